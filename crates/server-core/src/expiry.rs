//! The end of messages and of polls: by the time in their header or content, as an entry of the log.
//!
//! When a message ends stands in its row, and the store has an index of what ends first: a timer that survives every restart and can not
//! say anything else than the message does. A node keeps one time in memory, that of the next look. What it finds over it ends in its
//! author's name, by a command whose name comes from the message: two nodes, or a node before and after a restart, do it once.

use std::collections::BTreeSet;

use fireside_protocol::{ConversationId, EntryKind, Nonce, Now, Sequence, UserId, WallMs};

use crate::{
    decide::{Case, Decision, Plan},
    facets::FacetOp,
    forward::withdraw,
    job::{Job, Pending, Task},
    node::{Node, Origin, Published},
    storage::{EXPIRIES_READ_MAX, Expiring, Item, NewEntry, Op, Reply, StoreError, Target},
    timers::Due,
};

/// A message is over, or copies in it are to go. Decided anew each time it is tried.
#[derive(Clone, Debug)]
pub(crate) struct MessageEnd {
    conversation: ConversationId,
    message: Sequence,
    /// The copies that go; none: its time is over.
    withdraws: Vec<u32>,
    /// It is a poll, and closes.
    closes: bool,
}

impl MessageEnd {
    /// Its name: the same at every try, and on every node.
    pub(crate) fn nonce(&self) -> Nonce {
        match self.withdraws.first() {
            Some(place) => Nonce::withdrawal_of(self.conversation, self.message, *place),
            None if self.closes => Nonce::closing_of(self.conversation, self.message),
            None => Nonce::expiry_of(self.conversation, self.message),
        }
    }

    /// In whose name it ends, once it was read: only then it is known whether it is a poll that closes.
    pub(crate) fn by(&mut self, item: Option<&Option<Item>>, now: Now) -> Option<UserId> {
        let item = item?.as_ref()?;
        let ends = item.entry.ends();
        self.closes = ends == 0 || ends > now.wall_ms;
        Some(item.meta.sender.clone())
    }

    /// The end of the message; `None` if it is not over (any more), or gone already.
    pub(crate) fn decide(&self, case: &Case<'_>) -> Option<Decision> {
        let Some(item) = case.item else {
            return Some(Decision::Item(Target::Number(self.message)));
        };
        let item = item.as_ref()?;
        if !self.withdraws.is_empty() {
            return withdraw(case, item, &self.withdraws);
        }
        let closes = item.entry.closes();
        if self.closes {
            let open = closes == 0 || closes > case.now.wall_ms;
            if open || case.config.breaks.poll_stays_open {
                return None;
            }
            let entry = NewEntry {
                private: item.meta.private,
                target: Some((item.meta.sequence, item.entry.body_rev())),
                facet: Some(FacetOp::ClosePoll),
                ..case.entry(EntryKind::Vote)
            };
            return Some(Decision::Append(Plan {
                entries: vec![entry],
                ..Plan::default()
            }));
        }
        // Nobody's right is asked for: it was its author's wish, or the conversation's rule.
        let entry = NewEntry {
            private: item.meta.private,
            target: Some((item.meta.sequence, item.entry.body_rev())),
            keeps_revision: false,
            ..case.entry(EntryKind::Expire)
        };
        Some(Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        }))
    }
}

/// When to look for what is over.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    /// The next look, in monotonic ms; 0: none.
    timer: u64,
    /// A look is under way.
    reading: bool,
    /// A built-in fault: what came in this life.
    seen: BTreeSet<(ConversationId, Sequence)>,
}

impl Node {
    /// Looks for messages that are over.
    pub(crate) fn look_for_expired(&mut self, now: Now) {
        self.expiries.timer = 0;
        if self.draining || self.expiries.reading {
            // What is over while a node drains is the next node's to end.
            return;
        }
        if self.is_overloaded(now) {
            self.look_again(now.monotonic_ms + AGAIN_MS);
            return;
        }
        self.expiries.reading = true;
        let op = Op::Expiring { upto: now.wall_ms };
        self.submit(op, Pending::Expiring, now);
    }

    /// What is over was read.
    pub(crate) fn expired_read(&mut self, result: Result<Reply, StoreError>, now: Now) {
        self.expiries.reading = false;
        let Ok(Reply::Expiring(Expiring {
            mut due,
            next,
            mut withdrawn,
        })) = result
        else {
            self.counters.store_errors += 1;
            self.look_again(now.monotonic_ms + AGAIN_MS);
            return;
        };
        if self.config.breaks.copies_stay {
            withdrawn.clear();
        }
        let many = due.len().max(withdrawn.len()) >= EXPIRIES_READ_MAX;
        if self.config.breaks.expiry_forgotten {
            due.retain(|one| self.expiries.seen.contains(one));
        }
        if !due.is_empty() || !withdrawn.is_empty() {
            // Until they are known to be gone.
            let wait_ms = if many { NEXT_MS } else { AGAIN_MS };
            self.look_again(now.monotonic_ms + wait_ms);
        } else if next != 0 {
            self.look_by(next, now);
        }
        let due = due
            .into_iter()
            .map(|(id, message)| (id, message, Vec::new()));
        for (conversation, message, withdraws) in due.chain(withdrawn) {
            self.end_message(
                MessageEnd {
                    conversation,
                    message,
                    withdraws,
                    closes: false,
                },
                now,
            );
        }
    }

    fn end_message(&mut self, end: MessageEnd, now: Now) {
        // Whose name it has is only known once the message is read.
        if let Ok(nobody) = UserId::new("-") {
            let conversation = self.conversations.open(end.conversation);
            let job = Job::new(0, Origin::default(), nobody, Task::Expire(end));
            self.run(conversation, job, now);
            self.conversations.release(conversation);
        }
    }

    /// Messages came, here or on another node: some may end sooner than what is known.
    pub(crate) fn note_expiries(&mut self, published: &Published, now: Now) {
        let (conversation, _) = published.place();
        if (published.metas()).any(|meta| meta.kind == EntryKind::Recall) {
            // An admin's reaches what was copied from it.
            self.look_again(now.monotonic_ms);
        }
        for meta in published.metas().filter(|meta| meta.expires != 0) {
            if self.config.breaks.expiry_forgotten {
                self.expiries.seen.insert((conversation, meta.sequence));
            }
            self.look_by(meta.expires, now);
        }
    }

    /// Looks when a message ends, and before that from time to time: clocks jump.
    fn look_by(&mut self, ends: WallMs, now: Now) {
        let left = ends.saturating_sub(now.wall_ms).min(LOOK_MS);
        self.look_again(now.monotonic_ms.saturating_add(left));
    }

    /// Looks at a time, in monotonic ms, unless it does so sooner anyway.
    fn look_again(&mut self, at: u64) {
        let Expiries { timer, .. } = &mut self.expiries;
        if *timer != 0 && *timer <= at {
            return;
        }
        self.timers.clear(*timer, Due::Expiries);
        *timer = at.max(1);
        self.timers.set(*timer, Due::Expiries);
    }
}

/// Messages that are over are looked for so often while there are any that end, in ms.
const LOOK_MS: u64 = 60_000;
/// What is over is looked for again after this, in ms: it may have failed.
const AGAIN_MS: u64 = 1_000;
/// So soon where one look does not find them all, in ms.
const NEXT_MS: u64 = 100;
