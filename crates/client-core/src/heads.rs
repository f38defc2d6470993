//! Conversations in one line: heads as the server says them, kept right by live entries; unread counts.

use std::collections::VecDeque;

use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, Role, Sequence, Settings, Tombstone,
    UserId, decode,
    frames::Head,
    limits::{NAME_BYTES_MAX, PICTURE_BYTES_MAX, UNREAD_COUNT_MAX},
};

use crate::{Session, conversation::Conversation, details::names, rows::short};

/// Conversations in memory; heads of more are not taken.
pub(crate) const CONVERSATIONS_MAX: usize = 20_000;
/// Live messages remembered per conversation, to bring a head up to date that was overtaken by them.
const RECENT_MAX: usize = 32;
/// A head is asked for anew after this, in ms, so that a burst asks once.
const HEAD_DELAY_MS: u64 = 250;

/// Messages counted live, newest last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// Number, counts as unread, mentions the user.
    messages: VecDeque<(Sequence, Counted)>,
    /// The largest number that was dropped.
    floor: Sequence,
    /// The last number that took something off the counts.
    faded: Sequence,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Counted {
    /// Own: all before is read.
    Own,
    /// Neither own nor counted.
    Silent,
    /// Unread, and whether it mentions the user.
    Unread(bool),
}

impl Conversation {
    fn classify(entry: &Entry, me: Option<&UserId>, role: Option<Role>) -> Counted {
        if me == Some(&entry.sender) {
            return Counted::Own;
        }
        match &entry.header {
            Some(_) if entry.tombstone == Some(Tombstone::Expired) => Counted::Silent,
            Some(header) if !header.silent => {
                Counted::Unread(me.map_or(header.mention_all, |me| names(header, me, role)))
            }
            _ => Counted::Silent,
        }
    }

    fn add(&mut self, number: Sequence, counted: Counted) {
        match counted {
            Counted::Own => {
                self.head.unread = 0;
                self.head.mentions = 0;
            }
            Counted::Unread(mention) if number > self.head.read => {
                self.head.unread = (self.head.unread + 1).min(UNREAD_COUNT_MAX + 1);
                if mention {
                    self.head.mentions = (self.head.mentions + 1).min(UNREAD_COUNT_MAX + 1);
                }
            }
            Counted::Silent | Counted::Unread(_) => {}
        }
    }

    /// A live entry for the line in the list. `false`: the count can not be told from it alone.
    fn count(&mut self, entry: &Entry, me: Option<&UserId>) -> bool {
        let number = entry.sequence;
        if let Some(preview) = &mut self.head.preview
            && entry.kind.is_change()
            && entry.target == preview.sequence
        {
            preview.apply(entry);
        }
        let fades = self.fades(entry);
        if number <= self.counted_to {
            // A head overtook it; an older head may still come, which lacks it.
            self.remember(entry, me);
            return true;
        }
        let dense = number - self.counted_to == 1;
        let moves = !entry.kind.is_quiet_change();
        if self.counted_to == 0 && moves {
            // Before the first entry it is this device's own time, which may be ahead of the server's.
            self.head.at = 0;
        }
        self.counted_to = number;
        self.head.ordinal = self.head.ordinal.max(entry.ordinal);
        if moves {
            self.head.at = self.head.at.max(entry.at);
        }
        if entry.kind == EntryKind::Message {
            self.add(number, Self::classify(entry, me, self.head.role));
            self.remember(entry, me);
            self.head.preview = Some(short(entry));
        }
        // What has expired does not count any more; a recall takes its mentions along.
        match entry.kind {
            EntryKind::Expire if fades => dense && self.recount(me),
            EntryKind::Recall => dense && !(fades && self.head.mentions > 0),
            _ => dense,
        }
    }

    /// Whether an entry may take something off the counts. What was remembered of its item is put right.
    fn fades(&mut self, entry: &Entry) -> bool {
        let expires = entry.kind == EntryKind::Expire;
        if !expires && entry.kind != EntryKind::Recall {
            return false;
        }
        let recent = &mut self.recent;
        recent.faded = recent.faded.max(entry.sequence);
        if expires
            && let Ok(at) = (recent.messages).binary_search_by_key(&entry.target, |(of, _)| *of)
            && let Some((_, counted @ Counted::Unread(_))) = recent.messages.get_mut(at)
        {
            *counted = Counted::Silent;
        }
        entry.target > self.head.read && self.head.unread > 0
    }

    /// Keeps what a live message counts for, in the order of numbers, once.
    fn remember(&mut self, entry: &Entry, me: Option<&UserId>) {
        let (number, recent) = (entry.sequence, &mut self.recent);
        if entry.kind != EntryKind::Message || number <= recent.floor {
            return;
        }
        if let Err(at) = recent.messages.binary_search_by_key(&number, |(of, _)| *of) {
            recent
                .messages
                .insert(at, (number, Self::classify(entry, me, self.head.role)));
        }
        if recent.messages.len() > RECENT_MAX
            && let Some((dropped, _)) = recent.messages.pop_front()
        {
            recent.floor = dropped;
        }
    }

    /// Unread from what is in memory. `false`: it can not be told from it.
    fn recount(&mut self, me: Option<&UserId>) -> bool {
        let from = self.head.read.saturating_add(1);
        let from_seen = from.max(self.floor());
        if from_seen > self.counted_to {
            self.head.unread = 0;
            self.head.mentions = 0;
            return true;
        }
        let here = self.in_memory(from_seen)
            && self.in_memory(self.counted_to)
            && self.covered.contains_all(from_seen, self.counted_to);
        if !here {
            return false;
        }
        self.head.unread = 0;
        self.head.mentions = 0;
        let counted: Vec<(Sequence, Counted)> =
            (self.items.part(&from_seen, &self.counted_to).iter())
                .filter(|(_, item)| item.entry.kind == EntryKind::Message)
                .map(|(number, item)| (*number, Self::classify(&item.entry, me, self.head.role)))
                .collect();
        for (number, counted) in counted {
            self.add(number, counted);
        }
        true
    }

    /// Takes what the server says. `false`: entries came since, and the count can not be told.
    fn take_head(&mut self, head: Head, pending_read: Sequence, me: Option<&UserId>) -> bool {
        let old = std::mem::replace(&mut self.head, head);
        self.head.preview = self.head.preview.take().as_ref().map(short);
        self.head.unread = self.head.unread.min(UNREAD_COUNT_MAX + 1);
        self.head.mentions = self.head.mentions.min(UNREAD_COUNT_MAX + 1);
        if self.head.name.len() > NAME_BYTES_MAX {
            self.head.name.clear();
        }
        // Asked for anew by whoever wants to see them.
        self.head.settings = None;
        let head_read = self.head.read;
        self.head.read = head_read.max(old.read).max(pending_read);
        self.head.peer_delivered = self.head.peer_delivered.max(old.peer_delivered);
        self.head.peer_read = self.head.peer_read.max(old.peer_read);
        let said_to = self.head.last;
        if said_to < old.last && !self.provisional {
            // Read before entries that are known: what they said of members stands.
            self.head.role = old.role;
            self.head.members = old.members;
        }
        if self.head.at < self.left_at {
            self.head.role = None;
        }
        self.provisional = false;
        self.know(self.last_known.max(said_to));
        let mut sure = true;
        if said_to >= self.counted_to {
            self.counted_to = said_to;
        } else {
            // The head is older than what came live: its count and what came since.
            sure = self
                .live
                .contains_all(said_to.saturating_add(1), self.counted_to)
                && self.recent.floor <= said_to
                && self.recent.faded <= said_to;
            if !sure {
                self.head.unread = old.unread;
                self.head.mentions = old.mentions;
            }
            // Rights may have changed: what the head does not show any more is only right if it came later.
            self.head.preview = match (old.preview, self.head.preview.take()) {
                (Some(held), Some(mut said)) if held.sequence == said.sequence => {
                    said.merge(&held);
                    Some(said)
                }
                (Some(held), _) if held.sequence > said_to => Some(held),
                (_, said) => said,
            };
            self.head.at = self.head.at.max(old.at);
            self.head.ordinal = self.head.ordinal.max(old.ordinal);
            if sure {
                let recent: Vec<_> = (self.recent.messages.iter().copied())
                    .filter(|(number, _)| *number > said_to)
                    .collect();
                for (number, counted) in recent {
                    self.add(number, counted);
                }
            }
        }
        if self.head.read > head_read && self.head.unread > 0 {
            sure &= self.recount(me);
        }
        sure
    }
}

impl Session {
    /// A head, live or of a page.
    pub(crate) fn on_head(&mut self, head: Head, live: bool) {
        self.counters.heads += 1;
        let id = head.conversation;
        if head.kind == ConversationKind::Direct && head.peer.is_none() {
            self.counters.frames_bad += 1;
            return;
        }
        if !self.conversations.contains_key(&id) {
            if self.conversations.len() >= CONVERSATIONS_MAX {
                return;
            }
            let mut fresh = Conversation::new(head.clone());
            if self.cache.mode == crate::cache::Mode::Memory {
                fresh.memory = Some((0, u64::MAX));
            }
            self.conversations.insert(id, fresh);
        }
        let pending_read = self.outbox.pending_read(id);
        let me = self.me.clone();
        let breaks = self.config.breaks;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let rights_changed = !conversation.provisional && conversation.rights != head.rights;
        let appeared = conversation.provisional && head.role.is_some();
        let rights = head.rights;
        let known = conversation.last_known;
        let sure = conversation.take_head(head, pending_read, me.as_ref());
        conversation.unsure = false;
        if breaks.head_as_gap && conversation.last_known > known {
            conversation
                .covered
                .insert(known + 1, conversation.last_known);
            conversation.changes_to = conversation.last_known;
        }
        if conversation.pull_not_before == u64::MAX {
            conversation.pull_not_before = 0;
            conversation.pull_failures = 0;
        }
        conversation.rights = rights;
        if rights_changed {
            self.drop_held(id);
        }
        // It was on screen before it was: only now the server knows what that means.
        if appeared && self.open.contains(&id) {
            self.send_attention();
        }
        if !sure {
            self.ask_head(id, HEAD_DELAY_MS);
        }
        self.cache.touch(id);
        self.list.touch(id);
        self.timeline_dirty(id);
        self.deliver_held(id);
        if !(live && breaks.repair) {
            self.want_page(id);
        }
    }

    /// Rights changed outside the log: nothing that was read under the old ones is held any more.
    pub(crate) fn drop_held(&mut self, id: ConversationId) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.drop_items();
        if let Some(late) = &mut conversation.late {
            late.void = true;
        }
        let pending = &mut self.cache.transaction;
        pending.items.retain(|item| item.conversation != id);
        pending.drop_items.push(id);
        self.cache.touch(id);
        self.timeline_dirty(id);
        self.want_page(id);
    }

    pub(crate) fn count(&mut self, entry: &Entry) {
        let id = entry.conversation;
        let me = self.me.clone();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if !conversation.count(entry, me.as_ref()) {
            self.ask_head(id, HEAD_DELAY_MS);
        }
    }

    pub(crate) fn count_skip(&mut self, id: ConversationId, first: Sequence, last: Sequence) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if last > conversation.counted_to {
            let dense = first <= conversation.counted_to.saturating_add(1);
            conversation.counted_to = last;
            if !dense {
                self.ask_head(id, HEAD_DELAY_MS);
            }
        }
    }

    /// Read up to `upto`, by this or another device.
    pub(crate) fn read_to(&mut self, id: ConversationId, upto: Sequence) {
        let me = self.me.clone();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if upto <= conversation.head.read {
            return;
        }
        conversation.head.read = upto;
        let sure = conversation.head.unread == 0 || conversation.recount(me.as_ref());
        if !sure {
            self.ask_head(id, HEAD_DELAY_MS);
        }
        self.cache.touch(id);
        self.list.touch(id);
    }

    /// What a live member entry says about the conversation and the user.
    pub(crate) fn on_member_change(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::Dissolved {
            return self.on_dissolved(entry);
        }
        let Some(change) = &entry.member else { return };
        let own = self.me.as_ref() == Some(&change.user);
        let id = entry.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        // Who is banned need not have been a member: the head says how many are left.
        let banned = entry.kind == EntryKind::Banned;
        let members = &mut conversation.head.members;
        match entry.kind {
            EntryKind::Joined => {
                *members = members.saturating_add(1);
                if own {
                    conversation.head.role = Some(change.role.unwrap_or(Role::Member));
                }
            }
            EntryKind::Left | EntryKind::Removed => {
                *members = members.saturating_sub(1);
                conversation.readers.remove(&change.user);
                if own {
                    conversation.head.role = None;
                    conversation.left_at = conversation.left_at.max(entry.at);
                }
            }
            EntryKind::Banned => {
                conversation.readers.remove(&change.user);
                if own {
                    conversation.head.role = None;
                    conversation.left_at = conversation.left_at.max(entry.at);
                }
            }
            EntryKind::Muted if own => conversation.head.muted_until = change.until,
            EntryKind::Role if own => conversation.head.role = change.role,
            _ => {}
        }
        let forgets = own && conversation.head.role.is_none() && conversation.head.forget_on_leave;
        if own || banned {
            self.ask_head(id, HEAD_DELAY_MS);
        }
        if forgets {
            self.drop_held(id);
        }
    }

    /// A conversation ended for all.
    fn on_dissolved(&mut self, entry: &Entry) {
        let id = entry.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.head.members = 0;
        conversation.head.role = None;
        conversation.left_at = conversation.left_at.max(entry.at);
        if conversation.head.forget_on_leave {
            self.drop_held(id);
        }
    }

    /// What a live settings entry says about the conversation; what follows from it for this user is told by a head.
    pub(crate) fn on_settings(&mut self, entry: &Entry) {
        let change = (entry.kind == EntryKind::Settings)
            .then(|| decode::<Settings>(&entry.content).ok())
            .flatten();
        let Some(change) = change else { return };
        let id = entry.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let head = &mut conversation.head;
        if let Some(name) = change.name.filter(|name| name.len() <= NAME_BYTES_MAX) {
            head.name = name;
        }
        if let Some(picture) = change.picture.filter(|it| it.len() <= PICTURE_BYTES_MAX) {
            head.picture = picture;
        }
        head.frozen = change.frozen.unwrap_or(head.frozen);
        head.slow_mode_ms = change.slow_mode_ms.unwrap_or(head.slow_mode_ms);
        head.forget_on_leave = change.forget_on_leave.unwrap_or(head.forget_on_leave);
        self.cache.touch(id);
        self.list.touch(id);
        self.ask_head(id, HEAD_DELAY_MS);
    }
}
