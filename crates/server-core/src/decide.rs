//! Decides a command on a conversation's committed state: what to add to the log, or why not. Pure.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, EntryKind, Header, MessageKind,
    Nonce, Now, Permission, Role, Tombstone, UserId, WallMs,
    frames::{Edit, Pin, React, Recall, Send, UserRecord, UserRecordKind},
    limits::{CONTENT_BYTES_MAX, LIFETIME_MS_MAX, PINS_MAX},
    text::{Count, is_reaction_key},
};

use crate::{
    config::NodeConfig,
    facets::{self, FacetOp},
    forward::Original,
    groups,
    links::LinkSecret,
    loaded::Loaded,
    rights::visible,
    settings,
    storage::{
        ChildOp, Item, LinkOp, MemberOp, MemberRow, NewConversation, NewEntry, NewUserRecord,
        Shape, Target,
    },
};

/// Everything a decision may look at.
pub(crate) struct Case<'a> {
    pub(crate) config: &'a NodeConfig,
    /// Where.
    pub(crate) id: ConversationId,
    /// What is committed there.
    pub(crate) state: &'a Loaded,
    /// Who asks.
    pub(crate) me: &'a UserId,
    pub(crate) now: Now,
    /// The item asked for by [`Decision::Item`].
    pub(crate) item: Option<&'a Option<Item>>,
    /// The record asked for by [`Decision::Member`].
    pub(crate) elsewhere: Option<&'a Option<MemberRow>>,
    /// The answer to [`Decision::Originals`].
    pub(crate) originals: Option<&'a Result<Vec<Original>, Code>>,
    /// The answer to [`Decision::Blocks`]: who of those named blocks or is blocked by `me`.
    pub(crate) hidden: Option<&'a [UserId]>,
    /// What link codes are made with.
    pub(crate) secret: Option<LinkSecret>,
    /// It was decided before, and its rates are paid.
    pub(crate) paid: bool,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Try to make this durable.
    Append(Plan),
    /// Refused for good.
    Refuse(Code),
    /// Refused for so many ms.
    Later(Code, u64),
    /// Tell it to who is online.
    Tell,
    /// Undecided without this item.
    Item(Target),
    /// Undecided without this user's record in another conversation.
    Member(ConversationId, UserId),
    /// Undecided without the messages that are to be forwarded.
    Originals,
    /// Undecided without the blocks between these and the asker.
    Blocks(Vec<UserId>),
}

/// What to add.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) create: Option<NewConversation>,
    pub(crate) shape: Option<Box<Shape>>,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) bumps_version: bool,
    pub(crate) members: Vec<MemberOp>,
    pub(crate) links: Vec<LinkOp>,
    pub(crate) child: Option<Box<ChildOp>>,
    pub(crate) records: Vec<(UserId, NewUserRecord)>,
}

impl Case<'_> {
    /// Decides a command of the outbox or of a group.
    pub(crate) fn decide(&self, frame: &ClientFrame) -> Decision {
        let decided = match frame {
            ClientFrame::Send(send) => self.send(send),
            ClientFrame::Forward(forward) => self.forward(forward),
            ClientFrame::SendTransient(frame) => self.transient(frame),
            ClientFrame::Edit(edit) => self.edit(edit),
            ClientFrame::Recall(recall) => self.recall(recall),
            ClientFrame::React(react) => self.react(react),
            ClientFrame::Pin(pin) => self.pin(pin),
            ClientFrame::Vote(vote) => self.vote(vote),
            ClientFrame::ClosePoll(close) => self.close_poll(close),
            ClientFrame::SetLive(set) => self.set_live(set),
            ClientFrame::Answer(answer) => self.answer(answer),
            ClientFrame::Delete(delete) => self.delete(delete),
            ClientFrame::SetConversation(frame) => settings::decide(self, frame),
            other => groups::decide(self, other),
        };
        decided.unwrap_or_else(Decision::Refuse)
    }

    fn send(&self, send: &Send) -> Result<Decision, Code> {
        let content = check_content(&send.header, &send.content)?;
        let header = Header {
            expires: self.expires(send.header.expires)?,
            ..send.header.clone()
        };
        let entry = NewEntry {
            header: Some(header),
            content: own(&send.content),
            nonce: Some(send.nonce),
            ..self.entry(EntryKind::Message)
        };
        if self.state.is_group() && matches!(content, Content::Card(_)) {
            self.may_write(&send.header.mention_roles, send.header.mention_all)?;
            self.may(Permission::Cards)?;
        }
        self.post(entry, send.nonce, send.peer.as_ref())
    }

    /// Adds a message, if the asker may write, and makes the direct conversation that it is the first of.
    pub(crate) fn post(
        &self,
        mut entry: NewEntry,
        nonce: Nonce,
        peer: Option<&UserId>,
    ) -> Result<Decision, Code> {
        let mut plan = Plan::default();
        if self.state.is_group() {
            if let Some(header) = &entry.header {
                self.may_write(&header.mention_roles, header.mention_all)?;
            }
            if let Some(wait_ms) = self.slow_wait_ms() {
                match self.item {
                    // A repeat of what was taken already is no second message: its own answer is due.
                    None => return self.target(0, Some(nonce)),
                    Some(None) => return Ok(Decision::Later(Code::SlowMode, wait_ms)),
                    Some(Some(_)) => {}
                }
            }
            plan.entries.push(entry);
            return Ok(Decision::Append(plan));
        }
        if peer.is_some() {
            // A wrong one is refused whether the conversation is there or not.
            self.named_peer(peer)?;
        }
        entry.private = self.state.is_blocked();
        match &self.state.row {
            None => self.begin_direct(peer, entry.private, &mut plan)?,
            Some(_) => self.join_direct(peer, entry.private, &mut plan)?,
        }
        plan.entries.push(entry);
        Ok(Decision::Append(plan))
    }

    /// When a message ends: as it says, or sooner where the conversation's messages live so long and no longer.
    pub(crate) fn expires(&self, wished: WallMs) -> Result<WallMs, Code> {
        let now = self.now.wall_ms;
        if wished != 0 && wished <= now {
            return Err(Code::MessageOver);
        }
        if wished > now.saturating_add(LIFETIME_MS_MAX) {
            return Err(Code::LifetimeInvalid);
        }
        let row = self.state.row.as_ref();
        let lifetime = row.and_then(|row| row.settings.lifetime_ms).unwrap_or(0);
        Ok(match (wished, lifetime) {
            (_, 0) => wished,
            (0, ms) => now.saturating_add(ms),
            (_, ms) => wished.min(now.saturating_add(ms)),
        })
    }

    /// The first message makes the conversation. A peer it is withheld from is not let in, only noted.
    fn begin_direct(
        &self,
        peer: Option<&UserId>,
        private: bool,
        plan: &mut Plan,
    ) -> Result<(), Code> {
        let peer = self.named_peer(peer)?;
        let mut members = vec![(self.me.clone(), Role::Member)];
        plan.records
            .push(self.membership(self.me, Some(Role::Member)));
        if private {
            plan.members.push(MemberOp::Invite {
                user: peer.clone(),
                by: self.me.clone(),
            });
        } else {
            members.push((peer.clone(), Role::Member));
            plan.records.push(self.membership(peer, Some(Role::Member)));
        }
        plan.create = Some(NewConversation {
            kind: ConversationKind::Direct,
            parent: None,
            name: String::new(),
            creator: self.me.clone(),
            history_for_joiners: 0,
            members,
        });
        Ok(())
    }

    /// In a conversation that began withheld, whoever was left out comes in with their own message or the first they may see.
    fn join_direct(
        &self,
        peer: Option<&UserId>,
        private: bool,
        plan: &mut Plan,
    ) -> Result<(), Code> {
        let newcomer = if self.state.role(self.me).is_none() {
            self.named_peer(peer)?;
            self.me
        } else {
            let mut others = self.state.members.iter();
            match others.find(|member| member.role.is_none()) {
                Some(other) if !private => &other.reader.user,
                _ => return Ok(()),
            }
        };
        plan.members.push(MemberOp::Join {
            user: newcomer.clone(),
            role: Role::Member,
            history: 0,
        });
        plan.bumps_version = true;
        plan.records
            .push(self.membership(newcomer, Some(Role::Member)));
        Ok(())
    }

    /// The peer, if the conversation is the direct one of the asker with them.
    fn named_peer<'a>(&self, peer: Option<&'a UserId>) -> Result<&'a UserId, Code> {
        let peer = peer.ok_or(Code::NotFound)?;
        if peer == self.me {
            Err(Code::ArgumentInvalid)
        } else if ConversationId::direct(self.me, peer) == self.id {
            Ok(peer)
        } else {
            Err(Code::NotFound)
        }
    }

    fn edit(&self, edit: &Edit) -> Result<Decision, Code> {
        self.may_write(&[], false)?;
        if edit.content.len() > CONTENT_BYTES_MAX {
            return Err(Code::ContentTooLarge);
        }
        let Some(item) = self.item else {
            return self.target(edit.target, edit.target_nonce);
        };
        let item = self.seen_message(item.as_ref())?;
        if item.meta.sender != *self.me {
            return Err(Code::Forbidden);
        }
        // Facets may have changed since: that is no conflict.
        let is_old = edit.seen_rev != 0 && edit.seen_rev < item.entry.body_rev();
        if item.entry.tombstone.is_some() || is_old {
            return Err(Code::Conflict);
        }
        // The kind of a message never changes, and whom it names neither: those it told of it were told.
        let header = item.entry.header.as_ref().ok_or(Code::NotFound)?;
        if header.forwarded.is_some() {
            // It is another's word.
            return Err(Code::KindUnsupported);
        }
        if !check_content(header, &edit.content)?.is_editable() {
            return Err(Code::KindUnsupported);
        }
        self.check_window(item, self.config.edit_window_ms)?;
        let entry = NewEntry {
            content: own(&edit.content),
            nonce: Some(edit.nonce),
            private: item.meta.private,
            target: Some((item.meta.sequence, item.entry.body_rev())),
            ..self.entry(EntryKind::Edit)
        };
        Ok(Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        }))
    }

    fn recall(&self, recall: &Recall) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        let Some(item) = self.item else {
            return self.target(recall.target, recall.target_nonce);
        };
        let item = self.seen_message(item.as_ref())?;
        if item.entry.tombstone.is_some() {
            return Err(Code::Conflict);
        }
        let is_own = item.meta.sender == *self.me;
        let is_admin = self.may(Permission::RecallOthers).is_ok();
        let window = self.check_window(item, self.config.recall_window_ms);
        let tombstone = match (is_own, is_admin) {
            (true, _) if window.is_ok() => Tombstone::Recalled,
            (_, true) => Tombstone::RecalledByAdmin,
            (true, false) => return Err(Code::WindowClosed),
            (false, false) => return Err(Code::Forbidden),
        };
        let entry = NewEntry {
            nonce: Some(recall.nonce),
            private: item.meta.private,
            target: Some((item.meta.sequence, item.entry.body_rev())),
            tombstone: Some(tombstone),
            ..self.entry(EntryKind::Recall)
        };
        Ok(Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        }))
    }

    fn react(&self, react: &React) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        if !is_reaction_key(&react.key) {
            return Err(Code::ArgumentInvalid);
        }
        let Some(item) = self.item else {
            return self.target(react.target, react.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        let state = facets::reactions(&item.entry.facets);
        let done = facets::reacts(&state, &react.key, self.me) == react.on;
        if !done && !facets::allows(&state, &react.key, self.me, react.on) {
            return Err(Code::LimitReached);
        }
        let key = react.key.clone();
        let op = FacetOp::React { key, on: react.on };
        Ok(self.change_facet(item, EntryKind::React, react.nonce, op, done))
    }

    fn pin(&self, pin: &Pin) -> Result<Decision, Code> {
        self.state.role(self.me).ok_or(Code::NotFound)?;
        self.check_mute()?;
        self.may(Permission::Pin)?;
        let Some(item) = self.item else {
            return self.target(pin.target, pin.target_nonce);
        };
        let item = self.facet_target(item.as_ref())?;
        let done = facets::is_pinned(&item.entry.facets) == pin.on;
        if pin.on && !done && item.pins >= PINS_MAX {
            return Err(Code::LimitReached);
        }
        let op = FacetOp::Pin { on: pin.on };
        Ok(self.change_facet(item, EntryKind::Pin, pin.nonce, op, done))
    }

    /// The message whose facets are to change.
    pub(crate) fn facet_target<'a>(&self, item: Option<&'a Item>) -> Result<&'a Item, Code> {
        let item = self.seen_message(item)?;
        if item.entry.tombstone.is_some() {
            return Err(Code::Conflict);
        }
        Ok(item)
    }

    /// An entry that changes a facet; none, but an outcome, if it is as wished already. Behind a block nothing is to reach the peer of a
    /// direct conversation, and nobody is to be told: there it is done without an effect.
    pub(crate) fn change_facet(
        &self,
        item: &Item,
        kind: EntryKind,
        nonce: Nonce,
        op: FacetOp,
        done: bool,
    ) -> Decision {
        let blocked = self.state.is_blocked() && !self.config.breaks.reaction_under_block;
        let closed = !self.state.is_group() && blocked && !item.meta.private;
        if done || closed {
            return Decision::Append(Plan::default());
        }
        let entry = NewEntry {
            nonce: Some(nonce),
            private: item.meta.private,
            target: Some((item.meta.sequence, item.entry.body_rev())),
            facet: Some(op),
            ..self.entry(kind)
        };
        Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        })
    }

    pub(crate) fn target(&self, number: u64, nonce: Option<Nonce>) -> Result<Decision, Code> {
        match (number, nonce) {
            (0, Some(nonce)) => Ok(Decision::Item(Target::Nonce(self.me.clone(), nonce))),
            (0, None) => Err(Code::ArgumentInvalid),
            (number, _) => Ok(Decision::Item(Target::Number(number))),
        }
    }

    /// The item, if it is a message that the asker may see.
    pub(crate) fn seen_message<'a>(&self, item: Option<&'a Item>) -> Result<&'a Item, Code> {
        let reader = self.state.member(self.me).ok_or(Code::NotFound)?;
        item.filter(|item| item.meta.kind == EntryKind::Message)
            .filter(|item| visible(&item.meta, &reader.reader))
            .ok_or(Code::NotFound)
    }

    /// Too old, or the peer of a direct conversation must not hear of it: both are answered alike, for a refusal does not tell.
    fn check_window(&self, item: &Item, window_ms: u64) -> Result<(), Code> {
        let closed = !self.state.is_group() && self.state.is_blocked() && !item.meta.private;
        if closed || self.now.wall_ms.saturating_sub(item.meta.at) > window_ms {
            Err(Code::WindowClosed)
        } else {
            Ok(())
        }
    }

    /// An entry of the asker's with nothing in it yet.
    pub(crate) fn entry(&self, kind: EntryKind) -> NewEntry {
        NewEntry {
            kind,
            sender: self.me.clone(),
            at: self.now.wall_ms,
            nonce: None,
            header: None,
            content: Bytes::new(),
            private: false,
            audience: None,
            target: None,
            facet: None,
            keeps_revision: self.config.keep_revisions,
            tombstone: None,
            member: None,
            sources: Vec::new(),
            withdraws: Vec::new(),
        }
    }

    /// A user-log record of this conversation.
    pub(crate) fn record(&self, user: &UserId, kind: UserRecordKind) -> (UserId, NewUserRecord) {
        let record = UserRecord {
            conversation: Some(self.id),
            ..UserRecord::new(kind, self.now.wall_ms)
        };
        (user.clone(), NewUserRecord { record })
    }

    /// The membership record of a user; without a role it is over.
    pub(crate) fn membership(&self, user: &UserId, role: Option<Role>) -> (UserId, NewUserRecord) {
        let (user, mut new) = self.record(user, UserRecordKind::Membership);
        new.record.value = role.map_or(0, |role| u64::from(role.number()));
        new.record.gone = role.is_none();
        (user, new)
    }
}

/// A content in an allocation of its own: what came is a slice of a whole read of the stream.
fn own(content: &Bytes) -> Bytes {
    Bytes::copy_from_slice(content)
}

pub(crate) fn check_content(header: &Header, content: &Bytes) -> Result<Content, Code> {
    if content.len() > CONTENT_BYTES_MAX {
        return Err(Code::ContentTooLarge);
    }
    if matches!(header.kind, MessageKind::System | MessageKind::Merged) {
        // Only the server and the game's backend speak for the game, and only the server for others.
        return Err(Code::KindUnsupported);
    }
    let content = Content::decode(header.kind, content)?;
    content.check(header, Count::GRAPHEMES)?;
    Ok(content)
}
