//! What can be seen of the world from outside: commands at the server's door, the answers that clients get, what is on their screens.
//! It is only written down here, in plain words; `oracle.rs` judges it.

mod command;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use fireside_protocol::{
    ClientFrame, Code, ConversationId, ConversationKind, Entry, JoinPolicy, LinkCode, MessageKind,
    Nonce, RecordKey, Rev, Sequence, UserId, WallMs,
    frames::{Ack, CreateGroup, Receipt, TypingOf, UserRecord, UserRecordKind},
};

pub use command::{Acked, Act, Command};
use look::text_of;
pub use look::{Look, Marks, Shown, UNREAD_SHOWN_MAX, View};

/// Virtual time, finer than a millisecond: [`MS`] of it are one.
pub type Moment = u64;
/// A millisecond.
pub const MS: Moment = 1 << 20;

/// To whom, where, which number, in which state, and whether in a line of the list, which shows nothing that others added.
pub type Delivery = (UserId, ConversationId, Sequence, Rev, bool);

/// All that was seen.
#[derive(Debug, Default)]
pub struct Record {
    /// Commands by who named them and name.
    pub commands: BTreeMap<(UserId, Nonce), Command>,
    /// Their names by when they came.
    pub order: Vec<(UserId, Nonce)>,
    /// Whoever did or saw anything.
    pub users: BTreeSet<UserId>,
    /// Entries that came to a user's devices, by place and rev: target (0: an item), look, when first.
    pub delivered: BTreeMap<Delivery, (Sequence, Look, Moment)>,
    /// Who was told that somebody types.
    pub typings: Vec<(UserId, TypingOf, Moment)>,
    /// Names of which their users' devices saw what came of them, an entry included.
    pub settled: BTreeSet<Nonce>,
    /// The newest record of each key that came to a user.
    records: BTreeMap<(UserId, RecordKey), UserRecord>,
    /// Read marks as they came: to whom, of whom, where, up to where, when.
    pub marks_told: BTreeMap<(UserId, UserId, ConversationId, Sequence), Moment>,
    /// Friend records as they came.
    pub friends_told: Vec<(UserId, UserRecord, Moment)>,
    /// Entries that add previews, by place and number, as the server has them at rest: the message, and when.
    pub previews: BTreeMap<(ConversationId, Sequence), (Sequence, WallMs)>,
    /// Of each device the numbers of texts after which it wrote without what its disk has, and with it again, in turns.
    turns: BTreeMap<String, Vec<u64>>,
    /// One name with two meanings or two answers.
    pub twofold: Option<String>,
}

impl Record {
    /// From this text on a device does not know what its disk has.
    pub fn outbox_lost(&mut self, device: usize, texts: u64) {
        self.turns
            .entry(format!("d{device}"))
            .or_default()
            .push(texts);
    }

    /// From this text on a device knows what its disk has, if it did not before.
    pub fn outbox_found(&mut self, device: usize, texts: u64) {
        if let Some(turns) = self.turns.get_mut(&format!("d{device}"))
            && turns.len() % 2 == 1
        {
            turns.push(texts);
        }
    }

    /// Which of its outboxes a device's text was in: 0 the one on its disk, else one of a life that could not read that.
    #[must_use]
    pub fn outbox_of(&self, device: &str, text: u64) -> usize {
        let turns = self.turns.get(device).map_or(&[][..], Vec::as_slice);
        let turn = turns.partition_point(|before| *before < text);
        if turn % 2 == 0 { 0 } else { turn }
    }

    /// A command came to the server's door, or came again.
    pub fn on_command(&mut self, user: &UserId, frame: &ClientFrame, now: Moment) {
        let Some(nonce) = frame.nonce() else {
            return;
        };
        let mut frame = frame.clone();
        let (place, act) = match &mut frame {
            ClientFrame::Send(f) => {
                f.after = None;
                self.users.extend(f.peer.clone());
                let (kind, silent) = (f.header.kind, f.header.silent);
                let text = text_of(kind, &f.content);
                (f.conversation, Act::Say(text, kind, silent))
            }
            ClientFrame::Edit(f) => {
                f.after = None;
                let text = text_of(MessageKind::Text, &f.content);
                (f.conversation, Act::Edit(f.target, f.target_nonce, text))
            }
            ClientFrame::Recall(f) => {
                f.after = None;
                (f.conversation, Act::Recall(f.target, f.target_nonce))
            }
            ClientFrame::React(f) => {
                f.after = None;
                let act = Act::React(f.target, f.target_nonce, f.key.clone(), f.on);
                (f.conversation, act)
            }
            ClientFrame::Pin(f) => {
                f.after = None;
                (f.conversation, Act::Pin(f.target, f.target_nonce, f.on))
            }
            ClientFrame::Vote(f) => {
                f.after = None;
                let act = Act::Vote(f.target, f.target_nonce, f.choices.clone());
                (f.conversation, act)
            }
            ClientFrame::ClosePoll(f) => {
                f.after = None;
                (f.conversation, Act::Close(f.target, f.target_nonce))
            }
            ClientFrame::Answer(f) => {
                f.after = None;
                (f.conversation, Act::Answer(f.target, f.target_nonce))
            }
            ClientFrame::Forward(f) => {
                self.users.extend(f.peer.clone());
                let act = Act::Forward(f.from, f.numbers.clone(), f.merged);
                (f.conversation, act)
            }
            ClientFrame::Delete(f) => (f.conversation, Act::Delete(f.upto, f.numbers.clone())),
            ClientFrame::CreateGroup(f) => {
                let id = ConversationId::made(user, nonce);
                match f.parent {
                    Some(parent) => (parent, Act::Channel(id)),
                    None => (id, created(f)),
                }
            }
            ClientFrame::OpenThread(f) => (f.conversation, Act::OpenThread(f.target)),
            ClientFrame::Join(f) => (f.conversation, f.link.map_or(Act::Join, Act::JoinBy)),
            ClientFrame::AnswerRequest(f) => (f.conversation, Act::LetIn(f.user.clone(), f.accept)),
            ClientFrame::Mute(f) => (f.conversation, Act::Mute(f.user.clone(), f.until)),
            ClientFrame::Ban(f) => (f.conversation, Act::Ban(f.user.clone(), f.on, f.until)),
            ClientFrame::SetMember(f) => (f.conversation, Act::SetMember(f.user.clone())),
            ClientFrame::CreateLink(f) => (f.conversation, Act::CreateLink(f.uses)),
            ClientFrame::Dissolve(f) => (f.conversation, Act::Dissolve),
            ClientFrame::Leave(f) => (f.conversation, Act::Leave),
            ClientFrame::RemoveMember(f) => (f.conversation, Act::Remove(f.user.clone())),
            ClientFrame::SetRole(f) => (f.conversation, Act::SetRole(f.user.clone(), f.role)),
            ClientFrame::SetConversation(f) => (
                f.conversation,
                Act::Set(
                    f.change.frozen,
                    f.change.history_for_joiners,
                    f.change.lifetime_ms,
                ),
            ),
            ClientFrame::Read(f) => (f.conversation, Act::Read(f.upto)),
            ClientFrame::Block(f) => (
                ConversationId::direct(user, &f.user),
                Act::Block(f.user.clone(), f.on),
            ),
            ClientFrame::Invite(f) => (f.conversation, Act::Invite(f.users.clone())),
            ClientFrame::SetPersonal(f) => (f.conversation, Act::Personal(f.change.clone())),
            ClientFrame::SetReceipts(f) => (ConversationId::default(), Act::Receipts(f.on)),
            ClientFrame::ReadAll(_) => (ConversationId::default(), Act::ReadAll),
            ClientFrame::SetDraft(f) if f.content.is_empty() => {
                (f.conversation, Act::Draft(String::new()))
            }
            ClientFrame::SetDraft(f) => (
                f.conversation,
                Act::Draft(text_of(MessageKind::Text, &f.content)),
            ),
            ClientFrame::Friend(f) => (
                ConversationId::default(),
                Act::Friend(f.user.clone(), f.action),
            ),
            _ => (ConversationId::default(), Act::Other),
        };
        let name = (user.clone(), nonce);
        if let Some(first) = self.commands.get(&name) {
            if first.frame != frame {
                self.twofold = Some(format!("{nonce} was {first:?} and is {frame:?} of {user}"));
            }
            return;
        }
        let command = Command {
            user: user.clone(),
            place,
            act,
            given: now,
            answer: None,
            late: false,
            frame,
        };
        self.commands.insert(name.clone(), command);
        self.order.push(name);
        self.users.insert(user.clone());
    }

    /// A client got an answer for good, or got it again. Only markers may be refused once and acknowledged later: nobody keeps their
    /// names.
    pub fn on_answer(
        &mut self,
        user: &UserId,
        nonce: Nonce,
        answer: Result<Ack, Code>,
        late: bool,
        now: Moment,
    ) {
        self.settled.insert(nonce);
        let Some(command) = self.commands.get_mut(&(user.clone(), nonce)) else {
            self.twofold = Some(format!("{user} is answered {nonce} and did not give it"));
            return;
        };
        let elsewhere = |ack: &Ack| ack.conversation.is_some_and(|id| id != command.place);
        if answer.as_ref().is_ok_and(elsewhere) {
            self.twofold = Some(format!("{command:?} is answered {answer:?}"));
            return;
        }
        match &command.answer {
            Some((_, first)) if *first != answer && !matches!(command.act, Act::Read(_)) => {
                self.twofold = Some(format!("{command:?} is answered {answer:?} too"));
            }
            Some((_, Ok(_))) => {}
            _ => {
                command.answer = Some((now, answer));
                command.late = late;
            }
        }
    }

    /// A user's device got an entry: live, in a page, or in a line of the list.
    pub fn on_entry(&mut self, user: &UserId, entry: &Entry, in_list: bool, now: Moment) {
        if entry.sender == *user {
            self.settled.extend(entry.nonce);
        }
        let key = (
            user.clone(),
            entry.conversation,
            entry.sequence,
            entry.rev(),
            in_list,
        );
        let look = Look::of(entry);
        let first = self
            .delivered
            .entry(key)
            .or_insert_with(|| (entry.target, look.clone(), now));
        if first.1 != look {
            self.twofold = Some(format!("{user} got {first:?} and then {look:?}"));
        }
        self.users.insert(user.clone());
    }

    /// A user's device was told how far another has read.
    pub fn on_receipt(&mut self, user: &UserId, receipt: &Receipt, now: Moment) {
        if receipt.read > 0 {
            let of = receipt.user.clone();
            let name = (user.clone(), of, receipt.conversation, receipt.read);
            self.marks_told.entry(name).or_insert(now);
        }
    }

    /// A user's device got a record of the user log.
    pub fn on_record(&mut self, user: &UserId, record: &UserRecord, now: Moment) {
        let name = (user.clone(), record.key());
        let held = self.records.get(&name);
        if held.is_none_or(|held| held.sequence < record.sequence) {
            self.records.insert(name, record.clone());
        }
        if record.kind == UserRecordKind::Friend {
            self.friends_told.push((user.clone(), record.clone(), now));
        }
    }

    /// The newest record of a key that came to a user, unless it is gone.
    #[must_use]
    pub fn newest(&self, user: &UserId, key: &RecordKey) -> Option<&UserRecord> {
        let newest = self.records.get(&(user.clone(), key.clone()));
        newest.filter(|record| !record.gone)
    }

    /// The newest records of a kind that came to a user, of what is not gone.
    pub fn newest_of<'r>(
        &'r self,
        user: &'r UserId,
        kind: UserRecordKind,
    ) -> impl Iterator<Item = &'r UserRecord> {
        let all = self.records.iter();
        let all = all.filter(move |((of, key), _)| of == user && key.kind == kind);
        all.map(|(_, record)| record).filter(|record| !record.gone)
    }

    /// A user's device is told that somebody types.
    pub fn on_typing(&mut self, user: &UserId, typing: &TypingOf, now: Moment) {
        self.typings.push((user.clone(), typing.clone(), now));
    }

    /// Acknowledged commands by when they came.
    pub fn acked(&self) -> impl Iterator<Item = Acked<'_>> {
        let commands = self.order.iter().filter_map(|name| self.commands.get(name));
        commands.filter_map(|by| match &by.answer {
            Some((moment, Ok(ack))) => Some(Acked {
                by,
                moment: *moment,
                sequence: ack.sequence,
                ordinal: ack.ordinal,
                wall: ack.at,
                expires: ack.expires,
            }),
            _ => None,
        })
    }

    /// Links whose makers got their codes: where to, the code, and for how many.
    pub fn links(&self) -> impl Iterator<Item = (ConversationId, LinkCode, u32)> {
        self.commands.values().filter_map(|by| match &by.answer {
            Some((_, Ok(ack))) => match by.act {
                Act::CreateLink(uses) => Some((by.place, ack.link?, uses)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Conversations that have a log.
    #[must_use]
    pub fn places(&self) -> BTreeSet<ConversationId> {
        let acked = self.acked().filter(|acked| acked.sequence > 0);
        acked.map(|acked| acked.by.place).collect()
    }

    /// The number of the item that a change names.
    #[must_use]
    pub fn target(&self, command: &Command) -> Sequence {
        if let Act::OpenThread(target) = &command.act {
            return *target;
        }
        let (Act::Edit(target, name, _)
        | Act::Recall(target, name)
        | Act::React(target, name, ..)
        | Act::Pin(target, name, _)
        | Act::Vote(target, name, _)
        | Act::Close(target, name)
        | Act::Answer(target, name)) = &command.act
        else {
            return 0;
        };
        let named = name.map(|name| (command.user.clone(), name));
        let named = named.and_then(|name| self.commands.get(&name)?.answer.as_ref());
        match named {
            Some((_, Ok(ack))) if *target == 0 => ack.sequence,
            _ => *target,
        }
    }

    /// The other user of a direct conversation.
    #[must_use]
    pub fn peer(&self, id: ConversationId, user: &UserId) -> Option<&UserId> {
        let mut users = self.users.iter();
        users.find(|other| ConversationId::direct(user, other) == id)
    }

    /// Whether anything of some numbers ever came to a user.
    #[must_use]
    pub fn got(&self, user: &UserId, id: ConversationId, from: Sequence, to: Sequence) -> bool {
        let keys = (user.clone(), id, from, 0, false)..=(user.clone(), id, to, Rev::MAX, true);
        self.delivered.range(keys).next().is_some()
    }

    /// Commands that came and that nobody got an answer to, oldest first.
    pub fn unanswered(&self) -> impl Iterator<Item = (&UserId, &ClientFrame)> {
        let commands = self.order.iter().filter_map(|name| self.commands.get(name));
        let open = commands.filter(|command| command.answer.is_none());
        open.map(|command| (&command.user, &command.frame))
    }
}

/// What a conversation is made as.
fn created(frame: &CreateGroup) -> Act {
    let public = matches!(
        frame.kind,
        Some(ConversationKind::Public | ConversationKind::Community)
    );
    let open = frame.join == Some(JoinPolicy::Open) || public && frame.join.is_none();
    let history = match frame.history_for_joiners {
        0 if public => u64::MAX,
        said => said,
    };
    Act::Create(history, frame.invite.clone(), open, frame.ends)
}
