//! What the client keeps: on disk (SQLite, on a thread of its own) or in memory. Operations are carried out in the order given.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use crossbeam_channel::{Sender, unbounded};
pub use fireside_client_core::storage::StoreError;
use fireside_client_core::storage::{Rows, StoreOp, Ticket};
use fireside_protocol::{ConversationId, Sequence, UserId, WallMs};
use tokio::sync::mpsc;

use crate::trust::hex;

mod disk;
mod memory;
mod schema;
mod text;

use disk::Job;
use memory::MemoryCache;

/// What came of an operation.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) ticket: Ticket,
    pub(crate) result: Result<Rows, StoreError>,
}

/// A message that a search found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// Where.
    pub conversation: ConversationId,
    /// Its number.
    pub sequence: Sequence,
    /// Who wrote it.
    pub sender: UserId,
    /// When.
    pub at: WallMs,
    /// What it says.
    pub text: Arc<str>,
}

/// A search on its way to the cache.
pub(crate) struct SearchQuery {
    pub(crate) text: String,
    pub(crate) conversation: Option<ConversationId>,
    pub(crate) limit: u32,
    pub(crate) reply: Sender<Result<Vec<Found>, StoreError>>,
}

/// One or the other.
pub(crate) enum Cache {
    Memory(Box<MemoryCache>),
    Disk(DiskHandle),
}

/// The disk's thread as the driver sees it.
pub(crate) struct DiskHandle {
    // Bounded by the driver, which reads nothing from the network while too many wait.
    jobs: Sender<Job>,
    waiting: usize,
    thread: Option<JoinHandle<()>>,
}

impl Cache {
    /// Opens a folder (on its own thread; what goes wrong is the answer of the first operation) or memory.
    pub(crate) fn open(folder: Option<PathBuf>) -> (Self, mpsc::UnboundedReceiver<Stored>) {
        // Bounded by the operations that wait.
        let (results, stored) = mpsc::unbounded_channel();
        let Some(folder) = folder else {
            return (Self::Memory(Box::default()), stored);
        };
        let (jobs, queue) = unbounded();
        let thread = std::thread::Builder::new()
            .name("fireside-disk".to_owned())
            .spawn(move || disk::run(&folder, &queue, &results));
        let handle = DiskHandle {
            jobs,
            waiting: 0,
            thread: thread.ok(),
        };
        (Self::Disk(handle), stored)
    }

    /// Carries out an operation; `None`: the result comes later.
    pub(crate) fn submit(&mut self, ticket: Ticket, op: StoreOp) -> Option<Stored> {
        match self {
            Self::Memory(memory) => Some(Stored {
                ticket,
                result: memory.run(op),
            }),
            Self::Disk(disk) => {
                if disk.thread.is_none() || disk.jobs.send(Job::Op(ticket, op)).is_err() {
                    let reason = "its thread is not there".to_owned();
                    return Some(Stored {
                        ticket,
                        result: Err(StoreError { reason }),
                    });
                }
                disk.waiting += 1;
                None
            }
        }
    }

    /// A result came.
    pub(crate) const fn done(&mut self) {
        if let Self::Disk(disk) = self {
            disk.waiting = disk.waiting.saturating_sub(1);
        }
    }

    /// Operations without a result.
    pub(crate) const fn waiting(&self) -> usize {
        match self {
            Self::Memory(_) => 0,
            Self::Disk(disk) => disk.waiting,
        }
    }

    /// Answers through the query's own channel.
    pub(crate) fn search(&self, query: SearchQuery) {
        match self {
            Self::Memory(memory) => {
                let _ = query.reply.try_send(Ok(memory.search(&query)));
            }
            // If the thread is gone, so is the sender of the reply.
            Self::Disk(disk) => drop(disk.jobs.send(Job::Search(query))),
        }
    }
}

impl Drop for DiskHandle {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The folder of a user's cache of a server.
pub(crate) fn folder_of(base: &Path, server: &[u8], user: &UserId) -> PathBuf {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    // One length byte keeps (ab, c) and (a, bc) apart.
    hash.update(&[user.as_str().len() as u8]);
    hash.update(user.as_str().as_bytes());
    hash.update(server);
    base.join(hex(&hash.finish().as_ref()[..16]))
}
