//! From one published entry to every session that is to have it: encoded once per variant, shared by all.

use std::sync::Arc;

use bytes::Bytes;
use fireside_protocol::{
    ConversationId, Now, Sequence, ServerFrame, envelope::encode_frame, frames::Skip,
};

use crate::{
    behind::mark_behind,
    conversation::{ConversationKey, NO_MEMBER, UserKey},
    node::{Node, Published},
    rights::visible,
    storage::{Reply, StoreError, StoredEntry},
};

impl Node {
    /// Entries came from the bus.
    pub(crate) fn deliver(&mut self, published: Published, now: Now) {
        let (conversation, version) = published.place();
        let Some(key) = self.conversations.key(conversation) else {
            return;
        };
        let Some(slot) = self.conversations.get_mut(key) else {
            return;
        };
        if slot.online.is_empty() {
            return;
        }
        let ready = slot.loaded.as_mut().is_some_and(|loaded| {
            // Another node changed members, or blocks: what is here would decide wrongly.
            loaded.dirty |= loaded.version().is_none_or(|own| own < version);
            !loaded.dirty
        });
        if ready && slot.work.as_ref().is_none_or(|work| work.held.is_empty()) {
            self.fan_out(key, &published, None, now);
            return;
        }
        let work = slot.work();
        if work.held.len() < HELD_MAX {
            work.held.push_back(published);
        } else {
            work.held_dropped = true;
        }
        self.load(key, now);
    }

    /// Goes on with what was published while the conversation was read.
    pub(crate) fn deliver_held(&mut self, key: ConversationKey, now: Now) {
        loop {
            let Some(slot) = self.conversations.get_mut(key) else {
                return;
            };
            let ready = slot.loaded.as_ref().is_some_and(|loaded| !loaded.dirty);
            let Some(work) = &mut slot.work else {
                return;
            };
            if !ready {
                return;
            }
            let Some(published) = work.held.pop_front() else {
                if std::mem::take(&mut work.held_dropped) {
                    self.owe_heads(key, now);
                }
                return;
            };
            let (_, version) = published.place();
            if let Some(loaded) = &mut slot.loaded
                && loaded.version().is_some_and(|own| own < version)
            {
                loaded.dirty = true;
                work.held.push_front(published);
                self.load(key, now);
                return;
            }
            self.fan_out(key, &published, None, now);
        }
    }

    /// Gives up on what was published while the conversation could not be read: heads will tell.
    pub(crate) fn drop_held(&mut self, key: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(key) else {
            return;
        };
        let work = slot.work();
        let held = !work.held.is_empty() || std::mem::take(&mut work.held_dropped);
        work.held.clear();
        if held {
            self.owe_heads(key, now);
        }
    }

    /// All sessions that should have had entries get a head.
    fn owe_heads(&mut self, key: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get(key) else {
            return;
        };
        for online in &slot.online {
            let sessions = self.users.get(online.user).map(|user| &user.sessions);
            for session in sessions.into_iter().flatten() {
                if let Some(session) = self.sessions.get_mut(session) {
                    mark_behind(session, slot.id, now);
                }
                let due = crate::timers::Due::Heads(*session);
                self.timers
                    .set(now.monotonic_ms + crate::session::HEADS_INTERVAL_MS, due);
            }
        }
    }

    /// Delivers entries to the online members, or to one of them.
    pub(crate) fn fan_out(
        &mut self,
        key: ConversationKey,
        published: &Published,
        only: Option<UserKey>,
        now: Now,
    ) {
        let entries = match published {
            Published::Entries { entries, .. } => entries,
            Published::Transient { told, .. } => return self.tell(key, told),
        };
        let Self {
            conversations,
            users,
            sessions,
            out,
            counters,
            config,
            timers,
            roomy,
            ..
        } = self;
        let Some(slot) = conversations.get_mut(key) else {
            return;
        };
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        loaded.used = true;
        if !loaded.indexed {
            loaded.indexed = true;
            for online in &mut slot.online {
                let user = users.get(online.user);
                let place = user.and_then(|user| loaded.place(&user.id).ok());
                online.member = place.map_or(NO_MEMBER, |place| place as u32);
            }
        }
        let last = entries.last().map_or(0, |entry| entry.meta.sequence);
        let mut frames = Frames::new(slot.id, entries);
        let mut pieces = Vec::new();
        let mut gone = Vec::new();
        for online in &slot.online {
            if only.is_some_and(|only| only != online.user) {
                continue;
            }
            let Some(member) = loaded.members.get(online.member as usize) else {
                continue;
            };
            if online.leaving && member.until().is_some_and(|until| until <= last) {
                gone.push(online.user);
            }
            if online.awaits_head && only.is_none() {
                if let Some(work) = &mut slot.work {
                    for waiting in &mut work.awaiting {
                        if waiting.user == online.user {
                            waiting.hold(published);
                        }
                    }
                }
                continue;
            }
            let Some(user) = users.get(online.user) else {
                continue;
            };
            pieces.clear();
            for (place, entry) in entries.iter().enumerate() {
                let number = entry.meta.sequence;
                if !member.reader.covers(number) {
                    continue;
                }
                if visible(&entry.meta, &member.reader) {
                    pieces.push(Piece::Entry(place));
                } else if !config.breaks.skip_omitted {
                    match pieces.last_mut() {
                        Some(Piece::Skip(_, last)) if *last + 1 == number => *last = number,
                        _ => pieces.push(Piece::Skip(number, number)),
                    }
                }
            }
            for session_key in &user.sessions {
                let Some(session) = sessions.get_mut(session_key) else {
                    continue;
                };
                if session.entering.is_some() {
                    continue;
                }
                for piece in &pieces {
                    if session.behind.as_ref().is_some_and(|it| it.drops(slot.id)) {
                        mark_behind(session, slot.id, now);
                        break;
                    }
                    let frame = frames.get(piece);
                    if !out.push_live(*session_key, session, frame) {
                        counters.behind += 1;
                        if crate::behind::fell_behind(session, slot.id, now) {
                            roomy.push(*session_key);
                        }
                        let due = crate::timers::Due::Heads(*session_key);
                        if session.behind.as_ref().is_some_and(|it| it.heads_only) {
                            timers.set(now.monotonic_ms + crate::session::HEADS_INTERVAL_MS, due);
                        }
                        break;
                    }
                    match piece {
                        Piece::Entry(_) => counters.entries_sent += 1,
                        Piece::Skip(..) => counters.skips += 1,
                    }
                }
            }
        }
        for user_key in gone {
            slot.remove_online(user_key);
            if let Some(user) = users.get_mut(user_key) {
                user.remove(key);
            }
        }
        for session in std::mem::take(&mut self.roomy) {
            self.catch_up(session, now);
        }
    }

    /// The head of a conversation for a user who just came into it: it goes first, then the entries that waited for it.
    pub(crate) fn join_head(
        &mut self,
        key: ConversationKey,
        user: &fireside_protocol::UserId,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let user_key = self.users.key(user);
        let Some(slot) = self.conversations.get_mut(key) else {
            return;
        };
        let id = slot.id;
        let work = slot.work();
        work.pins = work.pins.saturating_sub(1);
        let mut waiting = work.awaiting.iter();
        let place = waiting.position(|it| Some(it.user) == user_key && it.asked);
        let (Some(place), Some(user_key)) = (place, user_key) else {
            self.conversations.release(key);
            return;
        };
        let waiting = work.awaiting.swap_remove(place);
        for online in &mut slot.online {
            if online.user == user_key {
                online.awaits_head = false;
            }
        }
        let (heads, failed) = match result {
            Ok(Reply::Heads(page)) => (page.heads, false),
            _ => (Vec::new(), true),
        };
        let sessions = self.users.get(user_key).map(|it| it.sessions.clone());
        for session_key in sessions.unwrap_or_default() {
            self.send_heads(session_key, heads.clone(), now);
            if (failed || waiting.missed)
                && let Some(session) = self.sessions.get_mut(&session_key)
            {
                mark_behind(session, id, now);
                let at = now.monotonic_ms + crate::session::HEADS_INTERVAL_MS;
                self.timers.set(at, crate::timers::Due::Heads(session_key));
            }
        }
        for published in &waiting.held {
            self.fan_out(key, published, Some(user_key), now);
        }
        self.conversations.release(key);
    }
}

/// What one reader gets for a part of a batch.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// The entry at this place.
    Entry(usize),
    /// These numbers are withheld.
    Skip(Sequence, Sequence),
}

/// The frames of a batch, each encoded when the first reader needs it.
struct Frames<'a> {
    id: ConversationId,
    entries: &'a Arc<[StoredEntry]>,
    encoded: Vec<Option<Bytes>>,
    skips: Vec<(Sequence, Sequence, Bytes)>,
}

impl<'a> Frames<'a> {
    fn new(id: ConversationId, entries: &'a Arc<[StoredEntry]>) -> Self {
        Self {
            id,
            entries,
            encoded: vec![None; entries.len()],
            skips: Vec::new(),
        }
    }

    fn get(&mut self, piece: &Piece) -> &Bytes {
        match *piece {
            Piece::Entry(place) => {
                let body = &self.entries[place].body;
                self.encoded[place].get_or_insert_with(|| {
                    encode_frame(ENTRY_KIND, 0, |out| out.extend_from_slice(body))
                })
            }
            Piece::Skip(first, last) => {
                let mut known = self.skips.iter();
                let place = known
                    .position(|(from, to, _)| (*from, *to) == (first, last))
                    .unwrap_or_else(|| {
                        let skip = Skip {
                            conversation: self.id,
                            first,
                            last,
                        };
                        let frame = ServerFrame::Skip(skip).encode(0);
                        self.skips.push((first, last, frame));
                        self.skips.len() - 1
                    });
                &self.skips[place].2
            }
        }
    }
}

impl crate::conversation::Awaiting {
    fn hold(&mut self, published: &Published) {
        if self.held.len() < AWAITING_HELD_MAX {
            self.held.push(published.clone());
        } else {
            self.missed = true;
        }
    }
}

/// Number of [`ServerFrame::Entry`] on the wire.
const ENTRY_KIND: u16 = 72;
/// Publications kept while a conversation is read: 10 s at its full rate and some.
const HELD_MAX: usize = 512;
/// Publications kept for a newcomer while their head is read.
const AWAITING_HELD_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_kind_is_the_table_s() {
        let entry = ServerFrame::TABLE.iter().find(|info| info.name == "Entry");
        assert_eq!(entry.map(|info| info.kind), Some(ENTRY_KIND));
    }
}
