//! SQLite: one writer with group commit, readers beside it.
//!
//! The writer thread takes all that is queued, carries it out in one transaction with `synchronous=FULL`, and answers after the commit
//! returned: what is answered survives a power cut. While it syncs, the next batch gathers. Reader threads have connections of
//! their own and read a snapshot that is taken after the operation was submitted.
//!
//! Recalled text is overwritten in the file (`secure_delete`); the write-ahead log, which still has it, is cut off in the next quiet moment, or
//! 10 s later ([`wipe`]).

mod append;
mod children;
mod expiry;
mod links;
mod loads;
mod members;
mod names;
mod own;
mod prune;
mod queue;
mod reader;
mod recent;
mod reports;
mod revisions;
mod rows;
mod schema;
mod trouble;
mod user_log;
mod wipe;
mod writer;

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use fireside_server_core::storage::{Op, StoreError, Ticket};
use rusqlite::Connection;

use self::{
    queue::{Limit, Queue, Queued, Taken},
    trouble::Trouble,
    writer::{Answer, Pressure, Writer},
};
use crate::{Sink, Store};

/// Operations in one commit: more only adds waiting, the sync is paid by then.
pub const WRITE_BATCH_OPS_MAX: usize = 1_024;
/// Content in one commit, in bytes: what a disk takes in a few ms.
pub const WRITE_BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Reads on one snapshot: short, so that no reader holds up a checkpoint.
pub const READ_BATCH_OPS_MAX: usize = 32;
/// The writer does upkeep (checkpoint, pruning) after nothing came for this long.
const IDLE: Duration = Duration::from_millis(200);

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The file.
    pub path: PathBuf,
    /// Reader threads.
    pub readers: usize,
    /// Writes queued; above it they fail as busy.
    pub writes_queued_max: usize,
    /// Reads queued; above it they fail as busy.
    pub reads_queued_max: usize,
    /// Page cache of the writer in bytes: the ends of the busy logs.
    pub writer_cache_bytes: usize,
    /// Page cache of each reader in bytes.
    pub reader_cache_bytes: usize,
    /// The file's size at which writes fail as full, in bytes (4 KiB steps, the write-ahead log beside it not counted); 0 the disk's.
    pub file_bytes_max: u64,
    /// `PRAGMA synchronous`: FULL; OFF only to show that the power-cut proof notices.
    pub synchronous_off: bool,
    /// Forget known nonces at the start: a built-in fault for the simulator's kin.
    pub forget_nonces: bool,
}

impl SqliteConfig {
    /// The usual settings for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 2,
            writes_queued_max: 16_384,
            reads_queued_max: 16_384,
            writer_cache_bytes: 64 * 1024 * 1024,
            reader_cache_bytes: 16 * 1024 * 1024,
            file_bytes_max: 0,
            synchronous_off: false,
            forget_nonces: false,
        }
    }
}

/// The embedded store.
pub struct SqliteStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    writes: Queue,
    reads: Queue,
    sink: Sink,
    file_bytes_max: AtomicU64,
}

impl SqliteStore {
    /// Opens or makes the file, brings its schema forward and starts the threads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what was wrong and what to do; [`StoreError::Full`].
    pub fn open(config: SqliteConfig, sink: Sink) -> Result<Self, StoreError> {
        let lock = schema::Lock::take(&config.path)?;
        let conn = schema::open_writer(
            &config.path,
            config.synchronous_off,
            config.writer_cache_bytes,
        )?;
        if config.forget_nonces {
            conn.execute_batch("DELETE FROM nonces")
                .map_err(Trouble::from)?;
        }
        // The tables are as they should be.
        drop(Writer::new(&conn)?);
        let readers = (0..config.readers.max(1))
            .map(|_| schema::open_reader(&config.path, config.reader_cache_bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            writes: Queue::new(config.writes_queued_max),
            reads: Queue::new(config.reads_queued_max),
            sink,
            file_bytes_max: AtomicU64::new(config.file_bytes_max),
        });
        let store = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
        };
        let share = readers.len();
        for conn in readers {
            let shared = Arc::clone(&shared);
            store.spawn("store-reader", move || read(&conn, &shared, share))?;
        }
        store.spawn("store-writer", move || {
            write(conn, &shared);
            drop(lock);
        })?;
        Ok(store)
    }

    /// Changes [`SqliteConfig::file_bytes_max`] from the next batch on.
    pub fn set_file_bytes_max(&self, bytes: u64) {
        self.shared.file_bytes_max.store(bytes, Ordering::Relaxed);
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // A sink that panics must not leave the others waiting on a queue that nobody empties.
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    shared.abandon();
                }
            })
            .map_err(|error| {
                self.shared.close();
                StoreError::Unavailable(format!("can not start a thread: {error}").into())
            })?;
        self.threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thread);
        Ok(())
    }
}

impl Shared {
    fn close(&self) {
        self.writes.close();
        self.reads.close();
    }

    /// Answers all that is queued and all that comes as unavailable.
    fn abandon(&self) {
        self.close();
        let everything = Limit {
            ops: usize::MAX,
            bytes: usize::MAX,
        };
        for queue in [&self.writes, &self.reads] {
            if let Taken::Some(batch) = queue.take(everything, 1, None) {
                (self.sink)(
                    batch
                        .into_iter()
                        .map(|(ticket, _)| (ticket, Err(stopped())))
                        .collect(),
                );
            }
        }
    }
}

impl Store for SqliteStore {
    fn submit(&self, ticket: Ticket, op: Op) {
        let queue = if op.is_write() {
            &self.shared.writes
        } else {
            &self.shared.reads
        };
        if !queue.push(ticket, op) {
            // Closed: there is no thread left to answer on.
            (self.shared.sink)(vec![(ticket, Err(stopped()))]);
        }
    }

    fn close(&self) {
        self.shared.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Panics were dealt with in the thread.
            let _ = thread.join();
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

fn read(conn: &Connection, shared: &Shared, share: usize) {
    let limit = Limit {
        ops: READ_BATCH_OPS_MAX,
        bytes: usize::MAX,
    };
    while let Taken::Some(batch) = shared.reads.take(limit, share, None) {
        let answers = answer(&batch, || reader::run(conn, &batch));
        reader::end(conn);
        (shared.sink)(answers);
    }
}

fn write(conn: Connection, shared: &Shared) {
    let limit = Limit {
        ops: WRITE_BATCH_OPS_MAX,
        bytes: WRITE_BATCH_BYTES_MAX,
    };
    let Ok(mut writer) = Writer::new(&conn) else {
        // It worked at the start.
        return shared.abandon();
    };
    let mut file_bytes_max = 0;
    loop {
        match shared.writes.take(limit, 1, Some(IDLE)) {
            Taken::Some(batch) => {
                let max = shared.file_bytes_max.load(Ordering::Relaxed);
                if max != file_bytes_max {
                    writer.limit_file(max);
                    file_bytes_max = max;
                }
                let answers = answer(&batch, || writer.run(&batch));
                writer.end();
                let full = answers
                    .iter()
                    .any(|(_, result)| *result == Err(StoreError::Full));
                (shared.sink)(answers);
                writer.checkpoint(if full { Pressure::Full } else { Pressure::Busy });
                writer.wipe(wipe::Quiet::No);
                writer.prune_after(batch.len());
            }
            Taken::Idle => {
                writer.checkpoint(Pressure::Idle);
                writer.prune();
                writer.wipe(wipe::Quiet::Yes);
            }
            Taken::Closed => break,
        }
    }
    writer.finish();
    drop(writer);
    // Everything is durable already.
    let _ = conn.close();
}

/// The answers of a batch. A panic is a bug; it must not leave callers waiting.
fn answer(batch: &VecDeque<Queued>, work: impl FnOnce() -> Vec<Answer>) -> Vec<Answer> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let error = StoreError::Unavailable("a bug in the store; see the log".into());
        batch
            .iter()
            .map(|(ticket, _)| (*ticket, Err(error.clone())))
            .collect()
    })
}
