//! One session: who it is, what it looks at, how far behind it is.

use std::{collections::HashMap, sync::Arc};

use fireside_protocol::{ClientFrame, ConversationId, DeviceId, WallMs};
use foldhash::fast::RandomState;

use crate::{
    conversation::{ConversationKey, UserKey},
    node::{Origin, Outbound, SessionKey},
};

/// All sessions of the node.
pub(crate) type Sessions = HashMap<SessionKey, Session, RandomState>;

/// A session. Ten thousand of them are idle: what is rare is boxed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) user: UserKey,
    pub(crate) device: DeviceId,
    pub(crate) platform: Box<str>,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) token_expires: WallMs,
    /// When its timer is set, in monotonic ms; 0 none.
    pub(crate) token_timer: u64,
    /// Grows, so that the newest of two sessions is known.
    pub(crate) age: u64,
    /// The wall clock at the log-in, for heads.
    pub(crate) stamp: WallMs,
    pub(crate) early: bool,
    /// Until the welcome; then `None`.
    pub(crate) entering: Option<Box<Entering>>,
    /// Conversations on screen.
    pub(crate) open: Vec<ConversationKey>,
    pub(crate) behind: Option<Box<Behind>>,
    /// Requests that wait for their answer.
    pub(crate) requests: u16,
    /// Of the typing marks sent to it.
    pub(crate) typing_counter: u64,
    /// Of the newest typing mark it sent: datagrams overtake each other.
    pub(crate) typing_seen: u64,
}

/// What a log-in brought, and requests that came before its answer.
#[derive(Debug)]
pub(crate) struct Entering {
    pub(crate) login: crate::node::Login,
    pub(crate) waiting: Vec<(Origin, ClientFrame)>,
}

/// What a session that reads too slowly did not get.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    /// Where entries were dropped.
    pub(crate) moved: Vec<ConversationId>,
    /// More than [`BEHIND_MAX`].
    pub(crate) everywhere: bool,
    /// Since when, for `everywhere`.
    pub(crate) since: WallMs,
    /// Whose heads are being read.
    pub(crate) asked: Vec<ConversationId>,
    /// When it became behind, in monotonic ms, newest last.
    pub(crate) times: Vec<u64>,
    /// Nothing but heads until it was quiet.
    pub(crate) heads_only: bool,
    /// A read of heads is under way.
    pub(crate) reading: bool,
    /// When a frame found no room last, in monotonic ms.
    pub(crate) full_at: u64,
}

impl Behind {
    /// Notes that an entry of a conversation was dropped.
    pub(crate) fn note(&mut self, id: ConversationId, wall_ms: WallMs) {
        if self.everywhere || self.moved.contains(&id) {
            return;
        }
        if self.moved.is_empty() {
            self.since = wall_ms;
        }
        if self.moved.len() < BEHIND_MAX {
            self.moved.push(id);
        } else {
            self.moved = Vec::new();
            self.everywhere = true;
        }
    }

    /// Whether live entries of a conversation are dropped.
    pub(crate) fn drops(&self, id: ConversationId) -> bool {
        self.heads_only || self.everywhere || self.moved.contains(&id)
    }

    /// Whether anything was dropped that no head made up for.
    pub(crate) fn has_moved(&self) -> bool {
        self.everywhere || !self.moved.is_empty()
    }
}

/// Conversations a session may be behind in before it is behind everywhere: the heads of one page.
pub(crate) const BEHIND_MAX: usize = 256;
/// Frames kept for a session until its log-in is answered.
pub(crate) const ENTERING_FRAMES_MAX: usize = 64;
/// Falling behind this often ...
pub(crate) const BEHIND_TIMES: usize = 3;
/// ... within this, in ms: nothing but heads from now on.
pub(crate) const BEHIND_WINDOW_MS: u64 = 60_000;
/// Between heads for such a session, in ms.
pub(crate) const HEADS_INTERVAL_MS: u64 = 2_000;
/// Without a full queue for this long, in ms, it gets entries again.
pub(crate) const QUIET_MS: u64 = 10_000;
