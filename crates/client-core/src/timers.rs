//! When what is due.

use std::collections::BTreeMap;

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
    /// A message in an open timeline ends.
    Ends(ConversationId),
}

/// A number by a timer with another number: one kind of tree for both uses.
type Tree = BTreeMap<(u64, Timer), u64>;

/// All timers that run.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// By when it is due; the number means nothing.
    queue: Tree,
    /// By (0, timer): when it is due.
    when: Tree,
}

impl Timers {
    /// Sets or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at_ms: u64) {
        self.clear(&timer);
        for (tree, key, value) in [
            (&mut self.when, (0, timer.clone()), at_ms),
            (&mut self.queue, (at_ms, timer), 0),
        ] {
            tree.insert(key, value);
        }
    }

    /// Sets it unless it comes sooner already; whether it did.
    pub(crate) fn set_sooner(&mut self, timer: Timer, at_ms: u64) -> bool {
        let sooner = self.at(&timer).is_none_or(|at| at > at_ms);
        if sooner {
            self.set(timer, at_ms);
        }
        sooner
    }

    pub(crate) fn clear(&mut self, timer: &Timer) {
        let mut key = (0, timer.clone());
        if let Some(at) = self.when.remove(&key) {
            key.0 = at;
            self.queue.remove(&key);
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.at(timer).is_some()
    }

    fn at(&self, timer: &Timer) -> Option<u64> {
        self.when.get(&(0, timer.clone())).copied()
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        if self.next_at()? > now_ms {
            return None;
        }
        let ((_, timer), _) = self.queue.pop_first()?;
        let key = (0, timer);
        self.when.remove(&key);
        Some(key.1)
    }
}
