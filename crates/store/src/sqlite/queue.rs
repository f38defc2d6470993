//! The bounded queue in front of the writer and the readers.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fireside_server_core::storage::{Effect, Op, Ticket};

/// An operation, or its place if it found no room (it is answered as busy when its turn comes, so that answers stay in order).
pub(super) type Queued = (Ticket, Option<Op>);

/// What a thread got from its queue.
#[derive(Debug)]
pub(super) enum Taken {
    /// Something to do.
    Some(VecDeque<Queued>),
    /// Nothing came for a while.
    Idle,
    /// Nothing is left and nothing will come.
    Closed,
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) ops: usize,
    /// Of content; the last one taken may go over it.
    pub(super) bytes: usize,
}

/// Operations in order of submission. Places without an operation are not counted: they are 16 bytes each, and their number is
/// bounded by what the submitter has pending.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    ops_max: usize,
}

#[derive(Debug, Default)]
struct State {
    queued: VecDeque<Queued>,
    ops: usize,
    sleeping: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(ops_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            ops_max,
        }
    }

    /// Adds an operation. `false`: the queue is closed.
    pub(super) fn push(&self, ticket: Ticket, op: Op) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if state.ops < self.ops_max {
            state.ops += 1;
            state.queued.push_back((ticket, Some(op)));
        } else {
            state.queued.push_back((ticket, None));
        }
        let wake = state.sleeping > 0;
        drop(state);
        // Waking is a system call even if nobody sleeps.
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Takes operations for `share` threads alike, within `limit`; waits `idle` for the first.
    pub(super) fn take(&self, limit: Limit, share: usize, idle: Option<Duration>) -> Taken {
        let mut state = self.lock();
        while state.queued.is_empty() {
            if state.closed {
                return Taken::Closed;
            }
            state.sleeping += 1;
            let timed_out = match idle {
                Some(idle) => {
                    let (guard, timeout) = self
                        .wake
                        .wait_timeout(state, idle)
                        .unwrap_or_else(PoisonError::into_inner);
                    state = guard;
                    timeout.timed_out()
                }
                None => {
                    state = self
                        .wake
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                    false
                }
            };
            state.sleeping -= 1;
            if timed_out && state.queued.is_empty() && !state.closed {
                return Taken::Idle;
            }
        }
        let mut bytes = 0;
        let count = state
            .queued
            .iter()
            .take(state.queued.len().div_ceil(share.max(1)).min(limit.ops))
            .take_while(|(_, op)| {
                // The first is taken whatever its size.
                let fits = bytes < limit.bytes;
                bytes += op.as_ref().map_or(0, content_bytes);
                fits
            })
            .count();
        let rest = state.queued.split_off(count);
        let taken = std::mem::replace(&mut state.queued, rest);
        state.ops -= taken.iter().filter(|(_, op)| op.is_some()).count();
        Taken::Some(taken)
    }

    /// Refuses what comes from now on; what is queued is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn content_bytes(op: &Op) -> usize {
    match op {
        Op::Append(append) => match &append.effect {
            Effect::Entries { entries, .. } => {
                entries.iter().map(|entry| entry.content.len()).sum()
            }
            Effect::Refuse(_) => 0,
        },
        _ => 0,
    }
}
