//! When what is due.

use fireside_protocol::{ConversationId, UserId};

use crate::{RequestId, sorted::Map};

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

/// All timers that run: tens, and a few hundred when everything is under way at once.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// When each is due.
    when: Map<Timer, u64>,
    /// When the first is.
    next: Option<u64>,
}

impl Timers {
    /// Sets or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at_ms: u64) {
        let before = self.when.insert(timer, at_ms);
        if before.is_some() && before == self.next {
            self.look();
        } else {
            self.next = Some(self.next.map_or(at_ms, |next| next.min(at_ms)));
        }
    }

    /// Finds when the first is due.
    fn look(&mut self) {
        self.next = self.when.values().copied().min();
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
        let at = self.when.remove(timer);
        if at.is_some() && at == self.next {
            self.look();
        }
    }

    pub(crate) fn is_set(&self, timer: &Timer) -> bool {
        self.at(timer).is_some()
    }

    fn at(&self, timer: &Timer) -> Option<u64> {
        self.when.get(timer).copied()
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.next
    }

    /// Takes the next timer that is due.
    pub(crate) fn pop(&mut self, now_ms: u64) -> Option<Timer> {
        let next = self.next.filter(|next| *next <= now_ms)?;
        let (timer, _) = self.when.iter().find(|(_, at)| **at == next)?;
        let timer = timer.clone();
        self.clear(&timer);
        Some(timer)
    }
}
