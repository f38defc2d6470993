//! When what is due.

use std::collections::{BTreeMap, BTreeSet};

use fireside_protocol::{ConversationId, UserId};

use crate::RequestId;

/// What a timer is for. One of each at most.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Timer {
    /// Open the next link.
    Reconnect,
    /// A link that does not come up or log in: by its id.
    Login(u64),
    /// Tell the game that its token ends.
    Token,
    /// The disk takes too long.
    Stall,
    /// Holes seen live are asked for.
    Repair(ConversationId),
    /// Pages may be asked for again after trouble.
    Pull(ConversationId),
    /// A page was not answered: its request.
    Page(u32),
    /// Heads that were to be asked anew.
    Heads,
    /// The outbox of a conversation goes on.
    Outbox(ConversationId),
    /// The oldest outbox entry is too old.
    Expiry,
    /// Commands without an answer for long.
    Unanswered(ConversationId),
    /// The delivered mark is sent.
    Delivered(ConversationId),
    /// Somebody's typing ends by itself.
    TypingOf(ConversationId, UserId),
    /// A call takes too long.
    Call(RequestId),
    /// What stands in a box is said.
    Draft(ConversationId),
    /// The next mute ends.
    Mute,
}

/// All timers that run.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(u64, Timer)>,
    when: BTreeMap<Timer, u64>,
}

impl Timers {
    /// Sets or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at_ms: u64) {
        self.clear(&timer);
        self.when.insert(timer.clone(), at_ms);
        self.queue.insert((at_ms, timer));
    }

    /// Sets it unless it comes sooner already; whether it did.
    pub(crate) fn set_sooner(&mut self, timer: Timer, at_ms: u64) -> bool {
        let sooner = self.when.get(&timer).is_none_or(|at| *at > at_ms);
        if sooner {
            self.set(timer, at_ms);
        }
        sooner
    }

    pub(crate) fn clear(&mut self, timer: &Timer) {
        if let Some(at) = self.when.remove(timer) {
            self.queue.remove(&(at, timer.clone()));
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.when.contains_key(timer)
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        if self.next_at()? > now_ms {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.when.remove(&timer);
        Some(timer)
    }
}
