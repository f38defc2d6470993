//! What can be seen of the world from outside: commands at the server's door, the answers that clients get, what is on their screens.
//! It is only written down here, in plain words; `oracle.rs` judges it.

use std::collections::{BTreeMap, BTreeSet};

use fireside_client_core::view::{Body, MessageState, TimelineRow};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, Entry, EntryKind, FacetKind,
    FriendAction, JoinPolicy, LinkCode, MessageKind, Nonce, Ordinal, Personal, Pinned, Reactions,
    RecordKey, Rev, Role, Sequence, Tombstone, UserId, WallMs,
    content::{LinkPreview, Votes},
    frames::{Ack, CreateGroup, Receipt, TypingOf, UserRecord, UserRecordKind},
    limits::UNREAD_COUNT_MAX,
};

/// Virtual time, finer than a millisecond: [`MS`] of it are one.
pub type Moment = u64;
/// A millisecond.
pub const MS: Moment = 1 << 20;

/// What a command wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// A message of a kind, and whether it is silent.
    Say(String, MessageKind, bool),
    /// Copies of messages of another place, in one message or the one alone.
    Forward(ConversationId, Vec<Sequence>, bool),
    /// A new text for an item, named by number or by name.
    Edit(Sequence, Option<Nonce>, String),
    /// An item back.
    Recall(Sequence, Option<Nonce>),
    /// A reaction to an item, or that it is taken back.
    React(Sequence, Option<Nonce>, String, bool),
    /// An item pinned or unpinned.
    Pin(Sequence, Option<Nonce>, bool),
    /// A vote in a poll; nothing: it is taken back.
    Vote(Sequence, Option<Nonce>, Vec<u32>),
    /// A poll closed.
    Close(Sequence, Option<Nonce>),
    /// An answer to a card.
    Answer(Sequence, Option<Nonce>),
    /// Numbers out of the user's own sight, and all up to one.
    Delete(Sequence, Vec<Sequence>),
    /// A group in which joiners see so much, who is invited, whether whoever wants comes in, and when it ends by itself (0: never).
    Create(u64, Vec<UserId>, bool, WallMs),
    /// Others in.
    Invite(Vec<UserId>),
    /// In.
    Join,
    /// In by a link.
    JoinBy(LinkCode),
    /// Somebody who asks in, or not.
    LetIn(UserId, bool),
    /// A member silent until a time.
    Mute(UserId, WallMs),
    /// Somebody out and kept out until a time, or not any more.
    Ban(UserId, bool, WallMs),
    /// Another name for a member; `None`: for oneself.
    SetMember(Option<UserId>),
    /// A link for so many.
    CreateLink(u32),
    /// The end for all.
    Dissolve,
    /// Out.
    Leave,
    /// Another out.
    Remove(UserId),
    /// A role for another.
    SetRole(UserId, Role),
    /// Only admins write from now on, joiners see so much, messages live so many ms; each only if said.
    Set(Option<bool>, Option<u64>, Option<u64>),
    /// Read up to here.
    Read(Sequence),
    /// Whom, and whether from now on.
    Block(UserId, bool),
    /// The user's own settings of a conversation.
    Personal(Personal),
    /// All of them read.
    ReadAll,
    /// A draft.
    Draft(String),
    /// A friendship, and what about it.
    Friend(UserId, FriendAction),
    /// Whether others are told how far the user has read.
    Receipts(bool),
    /// A channel in a community.
    Channel(ConversationId),
    /// The thread under a message.
    OpenThread(Sequence),
    /// What leaves no trace in a log.
    Other,
}

impl Act {
    /// Whether it writes or changes a message.
    #[must_use]
    pub const fn is_talk(&self) -> bool {
        matches!(
            self,
            Self::Say(..)
                | Self::Edit(..)
                | Self::Recall(..)
                | Self::React(..)
                | Self::Pin(..)
                | Self::Vote(..)
                | Self::Close(..)
                | Self::Answer(..)
                | Self::Forward(..)
                | Self::Delete(..)
                | Self::OpenThread(_)
        )
    }
}

/// A command, when it first came, and its answer with when a client got it.
#[derive(Clone, Debug)]
pub struct Command {
    /// Who gave it.
    pub user: UserId,
    /// Where.
    pub place: ConversationId,
    /// What.
    pub act: Act,
    /// When it came to the server.
    pub given: Moment,
    /// When a client got its answer, and which.
    pub answer: Option<(Moment, Result<Ack, Code>)>,
    /// Answered to the one who asks at rest: its device may have given up on it.
    pub late: bool,
    /// As it came first.
    pub frame: ClientFrame,
}

impl Command {
    /// The text it brings.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.act {
            Act::Say(text, ..) | Act::Edit(_, _, text) => Some(text.clone()),
            _ => None,
        }
    }

    /// Devices number what they write: which device, and its number. Not of what was asked for again at rest.
    #[must_use]
    pub fn counter(&self) -> Option<(&str, u64)> {
        match &self.act {
            Act::Say(text, ..) if !self.late => {
                // A link may stand before it.
                let (device, count) = text.rsplit(' ').next()?.split_once('#')?;
                Some((device, count.parse().ok()?))
            }
            _ => None,
        }
    }
}

/// A command with its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Acked<'a> {
    /// The command.
    pub by: &'a Command,
    /// When a client got it.
    pub moment: Moment,
    /// The number it made; 0 none.
    pub sequence: Sequence,
    /// Countable messages to there.
    pub ordinal: Ordinal,
    /// When, by the server.
    pub wall: WallMs,
    /// When the message ends, by the answer; 0 never.
    pub expires: WallMs,
}

impl Acked<'_> {
    /// From when it came to when a client got its answer.
    #[must_use]
    pub const fn span(&self) -> (Moment, Moment) {
        (self.by.given, self.moment)
    }

    /// Of a poll: when it closes by itself; 0 never.
    #[must_use]
    pub fn closes(&self) -> WallMs {
        let ClientFrame::Send(send) = &self.by.frame else {
            return 0;
        };
        match Content::decode(send.header.kind, &send.content) {
            Ok(Content::Poll(poll)) => poll.ends,
            _ => 0,
        }
    }

    /// A poll that tells nobody who chose what.
    #[must_use]
    pub fn is_unnamed_poll(&self) -> bool {
        let ClientFrame::Send(send) = &self.by.frame else {
            return false;
        };
        let content = Content::decode(send.header.kind, &send.content);
        matches!(content, Ok(Content::Poll(poll)) if poll.anonymous)
    }

    /// What is to be seen of what it made.
    #[must_use]
    pub fn look(&self) -> Look {
        let me = &self.by.user;
        let (kind, member) = match &self.by.act {
            Act::Create(..) => (EntryKind::Created, Some(me)),
            Act::Join | Act::JoinBy(_) => (EntryKind::Joined, Some(me)),
            Act::LetIn(user, _) => (EntryKind::Joined, Some(user)),
            Act::Mute(user, _) => (EntryKind::Muted, Some(user)),
            Act::Ban(user, ..) => (EntryKind::Banned, Some(user)),
            Act::SetMember(user) => (EntryKind::MemberSet, Some(user.as_ref().unwrap_or(me))),
            Act::Dissolve => (EntryKind::Dissolved, None),
            Act::Leave => (EntryKind::Left, Some(me)),
            Act::Remove(user) => (EntryKind::Removed, Some(user)),
            Act::SetRole(user, _) => (EntryKind::Role, Some(user)),
            Act::Set(..) => (EntryKind::Settings, None),
            Act::Edit(..) => (EntryKind::Edit, None),
            Act::Recall(..) => (EntryKind::Recall, None),
            Act::React(..) => (EntryKind::React, None),
            Act::Pin(..) => (EntryKind::Pin, None),
            Act::Vote(..) | Act::Close(..) => (EntryKind::Vote, None),
            Act::Answer(..) => (EntryKind::Answer, None),
            Act::Channel(_) => (EntryKind::ChannelMade, None),
            Act::OpenThread(_) => (EntryKind::Thread, None),
            _ => (EntryKind::Message, None),
        };
        Look {
            kind,
            sender: me.clone(),
            at: self.wall,
            ordinal: self.ordinal,
            rev: self.sequence,
            member: member.cloned(),
            role: match &self.by.act {
                Act::Create(..) => Some(Role::Owner),
                Act::Join | Act::JoinBy(_) | Act::LetIn(..) => Some(Role::Member),
                Act::SetRole(_, role) => Some(*role),
                _ => None,
            },
            text: self.by.text(),
            silent: matches!(self.by.act, Act::Say(_, _, true)),
            edited: false,
            ends: self.expires,
            over: false,
            marks: Marks::default(),
        }
    }
}

/// What others added to an item.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Marks {
    /// Reactions by key, in the order of first use, and whose they are, in order.
    pub reactions: Vec<(String, Vec<UserId>)>,
    /// Who pinned it.
    pub pinned: Option<UserId>,
    /// Who chose which option of a poll, in order.
    pub votes: Vec<(u32, Vec<UserId>)>,
    /// It is closed.
    pub closed: bool,
    /// There is a thread under it.
    pub thread: bool,
    /// The link that it has a preview of, and the title of its page.
    pub preview: Option<(String, String)>,
}

impl Marks {
    fn of(entry: &Entry) -> Self {
        let reactions = entry.facet::<Reactions>(FacetKind::Reactions);
        let votes = (entry.facet(FacetKind::Votes)).unwrap_or_else(Votes::none);
        let keys = reactions.map_or_else(Vec::new, |it| it.keys);
        Self {
            reactions: keys.into_iter().map(|one| (one.key, one.users)).collect(),
            pinned: entry.facet::<Pinned>(FacetKind::Pin).map(|it| it.by),
            votes: (votes.options.into_iter())
                .map(|one| {
                    // Who is named and who is only counted would both be seen.
                    let mut users = one.users;
                    users.extend(unnamed(one.count, false));
                    (one.option, users)
                })
                .collect(),
            closed: votes.closed,
            thread: entry.facets.iter().any(|it| it.kind == FacetKind::Thread),
            preview: (entry.facet::<LinkPreview>(FacetKind::Preview)).map(|it| (it.url, it.title)),
        }
    }

    /// A user's vote, in the place of the one before.
    pub fn vote(&mut self, choices: &[u32], user: &UserId) {
        let mut kept: BTreeMap<u32, Vec<UserId>> = self.votes.drain(..).collect();
        for option in choices {
            kept.entry(*option).or_default();
        }
        for (option, users) in &mut kept {
            let place = users.iter().position(|one| one == user);
            match (place, choices.contains(option)) {
                (Some(place), false) => drop(users.remove(place)),
                (None, true) => users.push(user.clone()),
                _ => {}
            }
        }
        kept.retain(|_, users| !users.is_empty());
        self.votes = kept.into_iter().collect();
    }

    /// How many chose what in a poll that names nobody: all of them, and what one of them chose, if that is told.
    pub fn count(&mut self, ballots: &BTreeMap<UserId, Vec<u32>>, mine: Option<&[u32]>) {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for option in ballots.values().flatten() {
            *counts.entry(*option).or_default() += 1;
        }
        let is_mine = |option| mine.is_some_and(|mine| mine.contains(option));
        let votes = counts.iter();
        let votes = votes.map(|(option, count)| (*option, unnamed(*count, is_mine(option))));
        self.votes = votes.collect();
    }

    /// A user's reaction, or that it is taken back.
    pub fn react(&mut self, key: &str, user: &UserId, on: bool) {
        let all = &mut self.reactions;
        if !all.iter().any(|(of, _)| of == key) {
            all.push((key.to_owned(), Vec::new()));
        }
        for (_, users) in all.iter_mut().filter(|(of, _)| of == key) {
            match users.iter().position(|one| one == user) {
                Some(place) if !on => drop(users.remove(place)),
                None if on => users.push(user.clone()),
                _ => {}
            }
        }
        all.retain(|(_, users)| !users.is_empty());
    }

    /// Without the reactions of some.
    #[must_use]
    pub fn without(&self, hidden: impl Fn(&UserId) -> bool) -> Self {
        let mut marks = self.clone();
        for (_, users) in &mut marks.reactions {
            users.retain(|user| !hidden(user));
        }
        marks.reactions.retain(|(_, users)| !users.is_empty());
        marks
    }
}

/// What is to be seen of an item or of a change, in one of its states.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// What it is.
    pub kind: EntryKind,
    /// Whose.
    pub sender: UserId,
    /// When.
    pub at: WallMs,
    /// Countable messages so far.
    pub ordinal: Ordinal,
    /// The number that made this state.
    pub rev: Rev,
    /// Whom it is about.
    pub member: Option<UserId>,
    /// And the role that they have from then on.
    pub role: Option<Role>,
    /// What it says; nothing if it was taken back or is no text.
    pub text: Option<String>,
    /// It counts for nobody.
    pub silent: bool,
    /// Its author changed it.
    pub edited: bool,
    /// When it ends; 0 never.
    pub ends: WallMs,
    /// Its time was over.
    pub over: bool,
    /// What others added; of a change: what it says of that.
    pub marks: Marks,
}

impl Look {
    /// Of an entry, live or in a page.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let text = matches!(
            entry.kind,
            EntryKind::Message | EntryKind::Edit | EntryKind::Withdraw
        );
        let text = text && entry.tombstone.is_none();
        let kind = match entry.kind {
            EntryKind::Withdraw => MessageKind::Merged,
            _ => (entry.header.as_ref()).map_or(MessageKind::Text, |header| header.kind),
        };
        Self {
            kind: entry.kind,
            sender: entry.sender.clone(),
            at: entry.at,
            ordinal: entry.ordinal,
            rev: entry.rev(),
            member: entry.member.as_ref().map(|change| change.user.clone()),
            role: entry.member.as_ref().and_then(|change| change.role),
            text: text.then(|| text_of(kind, &entry.content)),
            silent: entry.header.as_ref().is_some_and(|header| header.silent),
            edited: entry.edited,
            ends: entry.header.as_ref().map_or(0, |header| header.expires),
            over: !entry.kind.is_change() && entry.tombstone == Some(Tombstone::Expired),
            marks: Marks::of(entry),
        }
    }

    /// Without what rows do not show.
    #[must_use]
    pub fn as_row(&self) -> Self {
        Self {
            rev: 0,
            ordinal: 0,
            role: None,
            // Nor does a row say of what was taken back how it was sent.
            silent: self.silent && self.text.is_some(),
            ends: self.text.as_ref().map_or(0, |_| self.ends),
            marks: Marks {
                // A row says that it is pinned, not by whom.
                pinned: self.marks.pinned.as_ref().map(|_| self.sender.clone()),
                ..self.marks.clone()
            },
            ..self.clone()
        }
    }

    /// Of a row, which shows neither ordinal nor rev; `None`: there is no such item.
    #[must_use]
    pub fn of_row(row: &TimelineRow) -> Option<Self> {
        let (kind, member, text) = match &row.body {
            Body::Text(text) => (EntryKind::Message, None, Some(text.to_string())),
            Body::Content(content) => (EntryKind::Message, None, Some(content.plain_text())),
            Body::Answer(_) => (EntryKind::Answer, None, None),
            Body::Recalled | Body::Expired => (EntryKind::Message, None, None),
            Body::Created(_) => (EntryKind::Created, Some(row.sender.clone()), None),
            Body::Joined(user) => (EntryKind::Joined, Some(user.clone()), None),
            Body::Left(user) => (EntryKind::Left, Some(user.clone()), None),
            Body::Removed(user) => (EntryKind::Removed, Some(user.clone()), None),
            Body::Role(user, _) => (EntryKind::Role, Some(user.clone()), None),
            Body::Dissolved => (EntryKind::Dissolved, None, None),
            Body::Muted(user, _) => (EntryKind::Muted, Some(user.clone()), None),
            Body::Banned(user, _) => (EntryKind::Banned, Some(user.clone()), None),
            Body::MemberSet(user, _) => (EntryKind::MemberSet, Some(user.clone()), None),
            Body::Settings(_) => (EntryKind::Settings, None, None),
            Body::ChannelMade(_) => (EntryKind::ChannelMade, None, None),
            _ => return None,
        };
        let poll = row.details.as_ref().and_then(|it| it.poll.as_ref());
        Some(Self {
            kind,
            sender: row.sender.clone(),
            at: row.at,
            ordinal: 0,
            rev: 0,
            member,
            role: None,
            text,
            silent: row.details.as_ref().is_some_and(|details| details.silent),
            edited: row.edited,
            ends: row.details.as_ref().map_or(0, |details| details.expires),
            over: row.body == Body::Expired,
            marks: Marks {
                reactions: (row.reactions.iter().flat_map(|all| all.iter()))
                    .map(|one| (one.key.to_string(), one.users.to_vec()))
                    .collect(),
                pinned: row.pinned.then(|| row.sender.clone()),
                votes: (poll.iter().flat_map(|poll| poll.options.iter().zip(0..)))
                    .filter(|(one, _)| one.count > 0)
                    .map(|(one, option)| match one.users.is_empty() {
                        true => (option, unnamed(one.count, one.mine)),
                        false => (option, one.users.to_vec()),
                    })
                    .collect(),
                closed: poll.is_some_and(|poll| poll.closed),
                thread: row.details.as_ref().is_some_and(|it| it.thread.is_some()),
                preview: (row.details.as_ref())
                    .and_then(|it| it.preview.as_ref())
                    .map(|it| (it.url.clone(), it.title.clone())),
            },
        })
    }
}

/// Stands for voters whom nobody is told; one of them may be the reader.
fn unnamed(count: u64, mine: bool) -> Vec<UserId> {
    let of = |n| if mine && n == 0 { "(me)" } else { "(somebody)" };
    (0..count).filter_map(|n| UserId::new(of(n)).ok()).collect()
}

/// Unread messages that are counted; the last of them stands for more.
pub const UNREAD_SHOWN_MAX: usize = UNREAD_COUNT_MAX as usize + 1;

/// A conversation as a device has it at rest: its line in the list, and its cache.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// The user's role.
    pub role: Option<Role>,
    /// The largest number known.
    pub last: Sequence,
    /// When the last thing happened.
    pub at: WallMs,
    /// Unread messages, to [`UNREAD_SHOWN_MAX`].
    pub unread: usize,
    /// Who wrote the last message.
    pub sender: Option<UserId>,
    /// What it says.
    pub preview: String,
    /// The items in the cache.
    pub items: BTreeMap<Sequence, Look>,
}

/// What a device has and shows of a conversation at rest.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Whose.
    pub user: &'a UserId,
    /// Which device.
    pub index: usize,
    /// Where.
    pub id: ConversationId,
    /// The conversation; `None`: not listed.
    pub view: Option<View>,
    /// The open timeline's messages that have a number; a hole is `None`.
    pub rows: Option<Vec<(Sequence, Option<Look>, MessageState)>>,
    /// The newest number that the timeline may show.
    pub top: Sequence,
}

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
    /// From here on a device does not know what its disk has, or knows it again.
    pub fn outbox_turns(&mut self, device: usize, texts: u64) {
        self.turns
            .entry(format!("d{device}"))
            .or_default()
            .push(texts);
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

fn text_of(kind: MessageKind, content: &bytes::Bytes) -> String {
    let content = Content::decode(kind, content);
    content.map_or_else(|_| "(not a text)".to_owned(), |it| it.plain_text())
}
