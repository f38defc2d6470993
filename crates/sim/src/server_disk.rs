//! The server's disk in virtual time: group commit, syncs that take a while, stalls, no room, and what a crash forgets.

use fireside_server_core::storage::{Op, Reply, StoreError, Ticket};

use crate::database::Database;

/// Results on their way back to the node.
pub type Results = Vec<(Ticket, Result<Reply, StoreError>)>;

/// What is on the disk, and what is only on its way there.
#[derive(Debug, Default)]
pub struct ServerDisk {
    /// Synced.
    pub database: Database,
    /// Submitted, not in a commit yet.
    waiting: Vec<(Ticket, Op)>,
    /// In the commit that is being synced.
    committing: Vec<(Ticket, Op)>,
    /// No room until then.
    pub full_until_ms: u64,
    /// Nothing moves until then.
    pub stalled_until_ms: u64,
}

impl ServerDisk {
    /// Takes a write. `true`: no commit is running, start one.
    pub fn submit(&mut self, ticket: Ticket, op: Op) -> bool {
        self.waiting.push((ticket, op));
        self.begin()
    }

    /// Puts what waits into a commit, if none is running.
    pub fn begin(&mut self) -> bool {
        if !self.committing.is_empty() || self.waiting.is_empty() {
            return false;
        }
        self.committing = std::mem::take(&mut self.waiting);
        true
    }

    /// The sync is done: all of the commit is durable, or, without room, none of it.
    pub fn sync(&mut self, now_ms: u64) -> Results {
        let full = now_ms < self.full_until_ms;
        let batch = std::mem::take(&mut self.committing);
        let carried = batch.into_iter().map(|(ticket, op)| {
            let result = if full {
                Err(StoreError::Full)
            } else {
                self.database.carry_out(op)
            };
            (ticket, result)
        });
        carried.collect()
    }

    /// The process ends. `synced`: the running commit made it to the disk, its answers did not get out.
    /// Answers how many operations were lost.
    pub fn crash(&mut self, now_ms: u64, synced: bool) -> usize {
        if synced {
            self.sync(now_ms);
        }
        let lost = self.committing.len() + self.waiting.len();
        self.committing.clear();
        self.waiting.clear();
        self.database.restarted();
        lost
    }

    /// Whether a commit is being synced.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        !self.committing.is_empty()
    }
}
