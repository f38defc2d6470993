//! What the node must do later.

use std::collections::BTreeSet;

use fireside_protocol::ConversationId;

use crate::node::SessionKey;

/// What is due. A timer whose cause is gone does nothing.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Due {
    /// The session's token ends.
    Token(SessionKey),
    /// Heads for a session that gets nothing else.
    Heads(SessionKey),
    /// Receipts of a conversation (by key).
    Receipts(u32),
    /// Marks whose batch failed.
    Marks,
    /// A meeting is to be looked at.
    Meeting(ConversationId),
    /// Meetings that could not be read.
    ReadMeetings,
    /// Messages that are over are looked for.
    Expiries,
    /// The session's presence: it said nothing, or its status ends.
    Presence(SessionKey),
    /// The session is told of others' presence.
    PresenceTo(SessionKey),
}

/// Timers by monotonic ms; the same one at the same time is kept once.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(u64, Due)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at_ms: u64, due: Due) {
        self.due.insert((at_ms, due));
    }

    pub(crate) fn clear(&mut self, at_ms: u64, due: Due) {
        self.due.remove(&(at_ms, due));
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the next one that is due.
    pub(crate) fn take(&mut self, now_ms: u64) -> Option<Due> {
        if self.next()? > now_ms {
            return None;
        }
        self.due.pop_first().map(|(_, due)| due)
    }
}
