//! What the client keeps: on disk (SQLite, on a thread of its own) or in memory. Operations are carried out in the order given.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bytes::Bytes;
pub use fireside_client_core::storage::StoreError;
use fireside_client_core::storage::{Rows, StoreOp, Ticket};
use fireside_protocol::{ConversationId, Entry, Sequence, UserId, WallMs, decode};
use tokio::sync::mpsc;

use crate::{
    channel::{Sender, channel},
    limits::{STORE_BATCH_MAX, STORE_HOLD_MS},
    search::SearchQuery,
    trust::hex,
};

#[cfg(feature = "cache")]
mod disk;
#[cfg(not(feature = "cache"))]
#[path = "cache/no_disk.rs"]
mod disk;
mod memory;
#[cfg(feature = "cache")]
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

/// A search result, if the item can be read.
fn found(body: &Bytes, text: &str) -> Option<Found> {
    let entry: Entry = decode(body).ok()?;
    Some(Found {
        conversation: entry.conversation,
        sequence: entry.sequence,
        sender: entry.sender,
        at: entry.at,
        text: Arc::from(text),
    })
}

/// Puts a search result among the others, the newest first and `limit` at most.
fn add_newest(hits: &mut Vec<Found>, hit: Found, limit: u32) {
    let key = |hit: &Found| (hit.at, hit.sequence);
    let place = hits.partition_point(|before| key(before) >= key(&hit));
    if place < limit as usize {
        hits.insert(place, hit);
        hits.truncate(limit as usize);
    }
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
    /// Writes that wait for others of their kind: one transaction for a flight of pages, and not while the pages come.
    held: Vec<(Ticket, StoreOp)>,
    /// When the first of them came.
    held_since: Option<Instant>,
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
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("fireside-disk".to_owned())
            .spawn(move || disk::run(&folder, &queue, &results));
        let handle = DiskHandle {
            jobs,
            waiting: 0,
            held: Vec::new(),
            held_since: None,
            thread: thread.ok(),
        };
        (Self::Disk(handle), stored)
    }

    /// Carries out an operation; `None`: the result comes later. `more`: others like it are on their way, and what nobody waits for
    /// may wait for them, at most [`STORE_HOLD_MS`] and as many as [`STORE_BATCH_MAX`]. The order is kept.
    pub(crate) fn submit(&mut self, ticket: Ticket, op: StoreOp, more: bool) -> Option<Stored> {
        match self {
            Self::Memory(memory) => Some(Stored {
                ticket,
                result: memory.run(op),
            }),
            Self::Disk(disk) => {
                if disk.thread.as_ref().is_none_or(JoinHandle::is_finished) {
                    let reason = "its thread is not there".to_owned();
                    return Some(Stored {
                        ticket,
                        result: Err(StoreError { reason }),
                    });
                }
                disk.waiting += 1;
                let may_wait = more && is_patient(&op);
                disk.held.push((ticket, op));
                if may_wait && disk.held.len() < STORE_BATCH_MAX {
                    disk.held_since.get_or_insert_with(Instant::now);
                } else {
                    disk.release();
                }
                None
            }
        }
    }

    /// Hands over what was held.
    pub(crate) fn release(&mut self) {
        if let Self::Disk(disk) = self {
            disk.release();
        }
    }

    /// When to call [`Cache::release`] at the latest.
    pub(crate) fn release_at(&self) -> Option<Instant> {
        match self {
            Self::Memory(_) => None,
            Self::Disk(disk) => Some(disk.held_since? + Duration::from_millis(STORE_HOLD_MS)),
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

    /// Answers through the query's own channel, at once or later.
    pub(crate) fn search(&mut self, query: SearchQuery) {
        self.release();
        match self {
            Self::Memory(memory) => {
                let found = memory.search(&query);
                query.answer(Ok(found));
            }
            // If the thread is gone, this ends the query without an answer.
            Self::Disk(disk) => drop(disk.jobs.send(Job::Search(query))),
        }
    }
}

/// Nobody waits for it: a read is waited for, and a command goes out only when it is kept.
fn is_patient(op: &StoreOp) -> bool {
    match op {
        StoreOp::Apply(changes) => changes.outbox.is_empty() && changes.outbox_remove.is_empty(),
        StoreOp::Load | StoreOp::Items(_) => false,
    }
}

impl DiskHandle {
    fn release(&mut self) {
        self.held_since = None;
        for (ticket, op) in self.held.drain(..) {
            // If the thread ends meanwhile, these stay unanswered: the session notices that and goes on without a disk.
            let _ = self.jobs.send(Job::Op(ticket, op));
        }
    }
}

impl Drop for DiskHandle {
    fn drop(&mut self) {
        self.release();
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use fireside_client_core::storage::{ItemsQuery, OutboxRecord, Profile, Transaction};
    use fireside_protocol::Nonce;

    use super::*;

    fn cursor(heads_since: u64) -> StoreOp {
        let profile = Some(Profile {
            heads_since,
            ..Profile::default()
        });
        StoreOp::Apply(Box::new(Transaction {
            profile,
            ..Transaction::default()
        }))
    }

    fn command() -> StoreOp {
        let record = OutboxRecord {
            nonce: Nonce([1; 16]),
            conversation: ConversationId([2; 16]),
            position: 1,
            row: 1,
            created_at: 1,
            tried: false,
            failed: 0,
            kind: 16,
            body: b"send"[..].into(),
        };
        StoreOp::Apply(Box::new(Transaction {
            outbox: vec![record],
            ..Transaction::default()
        }))
    }

    fn held(cache: &Cache) -> usize {
        let Cache::Disk(disk) = cache else {
            panic!("no disk")
        };
        disk.held.len()
    }

    #[test]
    fn what_nobody_waits_for_waits_for_more_and_what_comes_next_stays_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mut cache, mut stored) = Cache::open(Some(folder.path().to_owned()));
        let read = StoreOp::Items(ItemsQuery {
            conversation: ConversationId([2; 16]),
            below: 9,
            limit: 9,
        });
        let mut ticket = 0;
        for hurried in [command(), StoreOp::Load, read] {
            let due = cache.release_at();
            assert_eq!((held(&cache), due), (0, None));
            assert!(cache.submit(ticket + 1, cursor(ticket), true).is_none());
            assert_eq!(held(&cache), 1);
            assert!(
                cache.release_at().unwrap()
                    <= Instant::now() + Duration::from_millis(STORE_HOLD_MS)
            );
            assert!(cache.submit(ticket + 2, hurried, true).is_none());
            assert_eq!((held(&cache), cache.release_at()), (0, None));
            for expected in [ticket + 1, ticket + 2] {
                let answer = stored.blocking_recv().unwrap();
                assert_eq!(answer.ticket, expected);
                assert!(answer.result.is_ok());
                cache.done();
            }
            ticket += 2;
        }
        // As many as one transaction takes are not held longer; without more to come, none is.
        for number in 0..STORE_BATCH_MAX as u64 {
            assert_eq!(held(&cache) as u64, number);
            assert!(
                cache
                    .submit(ticket + number, cursor(number), true)
                    .is_none()
            );
        }
        assert_eq!(held(&cache), 0);
        assert!(cache.submit(1_000, cursor(77), false).is_none());
        assert_eq!(held(&cache), 0);
        // The end loses nothing that is held.
        assert!(cache.submit(1_001, cursor(99), true).is_none());
        assert_eq!(cache.waiting(), STORE_BATCH_MAX + 2);
        drop(cache);
        let (mut cache, mut stored) = Cache::open(Some(folder.path().to_owned()));
        assert!(cache.submit(1, StoreOp::Load, false).is_none());
        let Ok(Rows::Loaded(loaded)) = stored.blocking_recv().unwrap().result else {
            panic!("not loaded")
        };
        assert_eq!(loaded.profile.heads_since, 99);
    }
}
