//! Answers and refusals, and when the node has too much to do.

use fireside_protocol::{Code, Nonce, Now, ServerFrame, frames::Refused};

use crate::{
    job::Job,
    node::{Node, Origin, SessionKey, refused},
};

impl Node {
    /// Counts a request that waits for its answer.
    pub(crate) fn begin_request(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.requests = session.requests.saturating_add(1);
        }
    }

    pub(crate) fn end_request(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.requests = session.requests.saturating_sub(1);
        }
    }

    /// Answers a job's request.
    pub(crate) fn finish(&mut self, job: &Job, mut frame: ServerFrame) {
        if job.acked || job.is_silent() {
            return;
        }
        if let ServerFrame::Refused(refused) = &mut frame {
            refused.nonce = job.nonce();
        }
        self.end_request(job.session);
        self.answer(job.session, job.origin, &frame);
    }

    /// Refuses a job without remembering it.
    pub(crate) fn give_up(&mut self, job: Box<Job>, code: Code, retry_after_ms: u64) {
        if code == Code::Overloaded {
            self.counters.overloaded += 1;
        }
        self.finish(&job, ServerFrame::Refused(refused(code, retry_after_ms)));
    }

    /// Refuses a request that was not begun.
    pub(crate) fn refuse(
        &mut self,
        key: SessionKey,
        origin: Origin,
        code: Code,
        retry_after_ms: u64,
        nonce: Option<Nonce>,
    ) {
        let refusal = Refused {
            nonce,
            ..refused(code, retry_after_ms)
        };
        self.answer(key, origin, &ServerFrame::Refused(refusal));
    }

    pub(crate) fn refuse_overloaded(
        &mut self,
        key: SessionKey,
        origin: Origin,
        nonce: Option<Nonce>,
    ) {
        self.counters.overloaded += 1;
        self.refuse(key, origin, Code::Overloaded, OVERLOAD_RETRY_MS, nonce);
    }

    /// Whether pages and group messages are refused, so that direct messages stay quick.
    pub(crate) fn is_shedding(&self, now: Now) -> bool {
        self.pending.len() >= self.config.store_pending_max / 2
            || self.write_lag_ms(now) >= SHED_LAG_MS
    }

    /// Whether every command is refused.
    pub(crate) fn is_overloaded(&self, now: Now) -> bool {
        self.pending.len() >= self.config.store_pending_max
            || self.write_lag_ms(now) >= REFUSE_LAG_MS
    }
}

/// When to try again what found too much in front of it, in ms.
pub(crate) const BUSY_RETRY_MS: u64 = 500;
/// When clients of a draining server connect again at the earliest, in ms.
pub(crate) const DRAINING_RETRY_MS: u64 = 500;
/// When to try again what an overloaded server refused, in ms.
pub(crate) const OVERLOAD_RETRY_MS: u64 = 1_000;
/// The oldest write waits for this long, in ms: the least important is refused.
const SHED_LAG_MS: u64 = 250;
/// The oldest write waits for this long, in ms: every command is refused.
const REFUSE_LAG_MS: u64 = 1_000;
