//! Sessions that read too slowly: what they missed comes as heads when they have room again.

use fireside_protocol::{
    Code, ConversationId, Now, ServerFrame,
    frames::{Head, HeadsRequest},
    limits::HEADS_OVERLAP_MS,
};

use crate::{
    appended::newest_heads,
    job::Pending,
    node::{Node, SessionKey},
    session::{BEHIND_TIMES, BEHIND_WINDOW_MS, HEADS_INTERVAL_MS, QUIET_MS, Session},
    storage::{Op, Reply, StoreError},
    timers::Due,
};

/// Notes that a session did not get an entry.
pub(crate) fn mark_behind(session: &mut Session, id: ConversationId, now: Now) {
    session.behind.get_or_insert_default().note(id, now.wall_ms);
}

/// A frame found no room. `true`: there is room again already.
pub(crate) fn fell_behind(session: &mut Session, id: ConversationId, now: Now) -> bool {
    let behind = session.behind.get_or_insert_default();
    if !behind.has_moved() {
        let at = now.monotonic_ms;
        behind.times.retain(|time| time + BEHIND_WINDOW_MS > at);
        behind.times.push(at);
        behind.heads_only |= behind.times.len() >= BEHIND_TIMES;
    }
    behind.full_at = now.monotonic_ms;
    behind.note(id, now.wall_ms);
    session.outbound.set_full()
}

impl Node {
    /// There is room again: heads for what moved.
    pub(crate) fn catch_up(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.behind.as_ref().is_some_and(|it| !it.heads_only) {
            self.ask_heads(key, now);
        }
    }

    /// The time for heads has come.
    pub(crate) fn heads_due(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(behind) = &mut session.behind else {
            return;
        };
        if behind.heads_only && now.monotonic_ms >= behind.full_at + QUIET_MS {
            behind.heads_only = false;
            behind.times.clear();
        }
        let again = behind.heads_only;
        if session.outbound.is_half_empty() {
            self.ask_heads(key, now);
        } else if session.outbound.set_full() {
            self.catch_up(key, now);
        }
        if again {
            let at = now.monotonic_ms + HEADS_INTERVAL_MS;
            self.timers.set(at, Due::Heads(key));
        }
    }

    /// Reads heads of the conversations that moved. From here on their entries go out again: what was answered before is in the
    /// heads, what comes later is delivered.
    fn ask_heads(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(behind) = &mut session.behind else {
            return;
        };
        if behind.reading || !behind.has_moved() {
            return;
        }
        let Some(user) = self.users.get(session.user) else {
            return;
        };
        behind.reading = true;
        let request = if std::mem::take(&mut behind.everywhere) {
            HeadsRequest {
                since: behind.since.saturating_sub(HEADS_OVERLAP_MS),
                ..newest_heads()
            }
        } else {
            newest_heads()
        };
        behind.asked = std::mem::take(&mut behind.moved);
        let op = Op::Heads {
            user: user.id.clone(),
            request,
            only: behind.asked.clone(),
        };
        self.submit(op, Pending::BehindHeads(key), now);
    }

    /// The heads came.
    pub(crate) fn behind_heads(
        &mut self,
        key: SessionKey,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(behind) = &mut session.behind else {
            return;
        };
        behind.reading = false;
        let asked = std::mem::take(&mut behind.asked);
        match result {
            // More than fit: it begins anew, with a whole sync.
            Ok(Reply::Heads(page)) if page.more => self.end(key, Code::Overloaded, None),
            Ok(Reply::Heads(page)) => {
                let ids: Vec<_> = page.heads.iter().map(|head| head.conversation).collect();
                self.send_heads(key, page.heads, now);
                self.receipts_again(key, &ids, now);
                // What moved while they were read.
                let session = self.sessions.get(&key);
                let behind = session.and_then(|session| session.behind.as_ref());
                if behind.is_some_and(|it| it.has_moved() && !it.heads_only)
                    && session.is_some_and(|it| it.outbound.is_half_empty())
                {
                    self.ask_heads(key, now);
                }
            }
            _ => {
                self.counters.store_errors += 1;
                behind.everywhere |= asked.is_empty();
                for id in asked {
                    behind.note(id, now.wall_ms);
                }
                let at = now.monotonic_ms + HEADS_INTERVAL_MS;
                self.timers.set(at, Due::Heads(key));
            }
        }
    }

    /// Receipts of open conversations that a session may have missed.
    fn receipts_again(&mut self, key: SessionKey, ids: &[ConversationId], now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let Some(user) = self.users.get(session.user).map(|user| user.id.clone()) else {
            return;
        };
        let open = session.open.clone();
        let moved = ids.iter().filter_map(|id| self.conversations.key(*id));
        let moved: Vec<_> = moved.filter(|key| open.contains(key)).collect();
        for conversation in moved {
            self.show_receipts(key, user.clone(), conversation, now);
        }
    }

    /// Sends heads to a session; those that find no room are owed.
    pub(crate) fn send_heads(&mut self, key: SessionKey, heads: Vec<Head>, now: Now) {
        let page = fireside_protocol::frames::HeadsPage {
            heads,
            more: false,
            stamp: 0,
        };
        let page = self.finish_heads(key, page);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.entering.is_some() {
            return;
        }
        let mut room_again = false;
        for head in page.heads {
            let id = head.conversation;
            let frame = ServerFrame::Head(head).encode(0);
            if self.out.push_live(key, session, &frame) {
                self.counters.heads_sent += 1;
            } else {
                self.counters.behind += 1;
                room_again |= fell_behind(session, id, now);
            }
        }
        self.heads_later(key, now);
        if room_again {
            self.catch_up(key, now);
        }
    }

    /// A session that gets nothing but heads gets them by a timer: whoever makes one such must call this, or it hears nothing more.
    pub(crate) fn heads_later(&mut self, key: SessionKey, now: Now) {
        let behind = self.sessions.get(&key).and_then(|it| it.behind.as_ref());
        if behind.is_some_and(|it| it.heads_only) {
            let at = now.monotonic_ms + HEADS_INTERVAL_MS;
            self.timers.set(at, Due::Heads(key));
        }
    }
}
