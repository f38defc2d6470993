//! The cache on disk: one SQLite file, one thread, one process.

mod index;
mod rows;
mod wipe;

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    path::Path,
    sync::mpsc::{RecvTimeoutError, TryRecvError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use fireside_client_core::storage::{Rows, StoreError, StoreOp, Ticket};
use rusqlite::{Connection, ErrorCode, params};
use tokio::sync::mpsc;

use super::{
    Found, Stored, add_newest, found,
    schema::{MIGRATIONS, PRAGMAS},
    text,
};
use crate::{
    channel::Receiver,
    limits::{SEARCHES_MAX, STORE_BATCH_MAX},
    search::{Answer, SearchQuery},
};

/// Files up to this size, in bytes, are looked through when they are opened; larger ones when they are read.
const CHECKED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// For the disk's thread.
pub(crate) enum Job {
    Op(Ticket, StoreOp),
    Search(SearchQuery),
    Stop,
}

/// The thread: carries out jobs in order, as many in one transaction as have gathered, and has the index follow when it is quiet.
pub(super) fn run(folder: &Path, jobs: &Receiver<Job>, results: &mpsc::UnboundedSender<Stored>) {
    let mut worker = Worker {
        folder,
        results,
        disk: Disk::open(folder),
        index: Index::Rests,
        searches: VecDeque::new(),
    };
    worker.look();
    while worker.turn(jobs) {}
}

/// Nothing came for this long: the index may follow.
const QUIET: Duration = Duration::from_millis(100);

/// Items that the index may be behind without a quiet moment: how long a search waits, some 60 ms.
const BEHIND_ITEMS_MAX: u64 = 4_096;

/// What the index needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Index {
    /// It has all items, or can not be brought on: nothing to do until something is written or asked.
    Rests,
    /// Items were written; it waits for a quiet moment.
    Waits,
    /// It is quiet, or the index is far behind.
    Follows,
}

struct Worker<'a> {
    folder: &'a Path,
    results: &'a mpsc::UnboundedSender<Stored>,
    disk: Result<Disk, String>,
    index: Index,
    /// Searches and the item that the index must have for each; at most [`SEARCHES_MAX`].
    searches: VecDeque<(i64, SearchQuery)>,
}

impl Worker<'_> {
    /// One batch of jobs, then one slice of the index if it is its time. `false`: the end.
    /// Errors of `jobs` say whether it was the end (`true`) or nothing came.
    fn turn(&mut self, jobs: &Receiver<Job>) -> bool {
        let first = match self.index {
            Index::Rests if self.searches.is_empty() && !self.is_wipe_due() => {
                jobs.recv().map_err(|_| true)
            }
            Index::Rests | Index::Waits if self.searches.is_empty() => {
                (jobs.recv_timeout(QUIET)).map_err(|error| error == RecvTimeoutError::Disconnected)
            }
            // There is work.
            _ => jobs
                .try_recv()
                .map_err(|error| error == TryRecvError::Disconnected),
        };
        let goes_on = match first {
            Ok(first) => self.work(first, jobs),
            Err(true) => return false,
            Err(false) if self.index == Index::Rests && self.searches.is_empty() => {
                self.wipe();
                true
            }
            Err(false) => {
                self.index = Index::Follows;
                true
            }
        };
        if self.index == Index::Follows || !self.searches.is_empty() {
            self.follow();
        }
        goes_on
    }

    fn work(&mut self, first: Job, jobs: &Receiver<Job>) -> bool {
        let mut stop = false;
        let mut batch = Vec::new();
        let mut searches = Vec::new();
        for job in std::iter::once(first).chain(std::iter::from_fn(|| jobs.try_recv().ok())) {
            match job {
                Job::Op(ticket, op) => batch.push((ticket, op)),
                Job::Search(query) => searches.push(query),
                Job::Stop => stop = true,
            }
            if stop || batch.len() == STORE_BATCH_MAX {
                break;
            }
        }
        if !batch.is_empty() {
            stop |= !self.carry_out(batch);
            self.look();
        }
        for query in searches {
            self.search(query);
        }
        !stop
    }

    /// `false`: nobody waits for answers any more.
    fn carry_out(&mut self, batch: Vec<(Ticket, StoreOp)>) -> bool {
        let mut heard = true;
        let answers = match &mut self.disk {
            Ok(open) => open.run_batch(&batch),
            Err(reason) => batch
                .iter()
                .map(|_| Err(Failure::Other(reason.clone())))
                .collect(),
        };
        let mut broken = None;
        for ((ticket, _), result) in batch.into_iter().zip(answers) {
            let result = result.map_err(|failure| {
                let reason = match failure {
                    Failure::Corrupt(reason) => broken
                        .get_or_insert_with(|| Disk::set_aside(self.folder, &reason))
                        .clone(),
                    Failure::Other(reason) => reason,
                };
                StoreError { reason }
            });
            heard &= self.results.send(Stored { ticket, result }).is_ok();
        }
        if let Some(reason) = broken {
            self.disk = Err(reason);
        }
        heard
    }

    /// Something was written: does the index have it?
    fn look(&mut self) {
        let behind = match &self.disk {
            Ok(disk) => index::standing(&disk.connection).map_or(0, index::Standing::behind),
            Err(_) => 0,
        };
        self.index = match behind {
            0 => Index::Rests,
            1..=BEHIND_ITEMS_MAX => Index::Waits,
            _ => Index::Follows,
        };
    }

    /// Answers a search, at once or when the index has all that is written now.
    fn search(&mut self, query: SearchQuery) {
        let standing = match &self.disk {
            Ok(disk) => index::standing(&disk.connection).map_err(Failure::reason),
            Err(reason) => Err(reason.clone()),
        };
        match standing {
            Ok(standing) if standing.is_behind() && self.searches.len() >= SEARCHES_MAX => {
                let reason = format!(
                    "{SEARCHES_MAX} searches wait for the index already; search again when they are answered"
                );
                query.answer(failed(reason));
            }
            Ok(standing) if standing.is_behind() => {
                self.searches.push_back((standing.newest, query));
            }
            Ok(_) => self.answer(query),
            Err(reason) => query.answer(failed(reason)),
        }
    }

    fn answer(&mut self, query: SearchQuery) {
        let found = match &mut self.disk {
            Ok(disk) => disk.search(&query).or_else(failed),
            Err(reason) => failed(reason.clone()),
        };
        query.answer(found);
    }

    /// Brings the index on by a slice, and answers the searches that waited for it.
    fn follow(&mut self) {
        let moved = match &mut self.disk {
            Ok(disk) => index::advance(&mut disk.connection),
            Err(reason) => Err(Failure::Other(reason.clone())),
        };
        match moved {
            Ok(standing) => {
                if !standing.is_behind() {
                    self.index = Index::Rests;
                }
                while let Some((_, query)) = (self.searches)
                    .pop_front_if(|(needs, _)| !standing.is_behind() || *needs <= standing.upto)
                {
                    self.answer(query);
                }
            }
            Err(failure) => {
                let reason = match failure {
                    Failure::Corrupt(reason) => {
                        let reason = Disk::set_aside(self.folder, &reason);
                        self.disk = Err(reason.clone());
                        reason
                    }
                    Failure::Other(reason) => reason,
                };
                tracing::warn!(reason, "the search index does not follow");
                // Tried again when something is written or asked.
                self.index = Index::Rests;
                for (_, query) in std::mem::take(&mut self.searches) {
                    query.answer(failed(reason.clone()));
                }
            }
        }
    }
}

fn failed(reason: String) -> Answer {
    Err(StoreError { reason })
}

#[derive(Debug)]
enum Failure {
    /// The file is damaged.
    Corrupt(String),
    Other(String),
}

impl Failure {
    fn reason(self) -> String {
        match self {
            Self::Corrupt(reason) | Self::Other(reason) => reason,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            Some(ErrorCode::DiskFull) => {
                Self::Other("the disk is full; free some space and start again".to_owned())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

struct Disk {
    connection: Connection,
    /// Something was overwritten that is still in the write-ahead log.
    wipe_due: bool,
    /// Held as long as the cache is open: two processes must not both be this device.
    _lock: File,
}

impl Disk {
    fn open(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        fs::create_dir_all(folder)
            .map_err(|error| format!("the folder {shown} can not be made: {error}"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"));
        let lock =
            lock.map_err(|error| format!("the folder {shown} can not be written: {error}"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!("another program uses the cache in {shown}"));
            }
            Err(TryLockError::Error(error)) => {
                return Err(format!("the cache in {shown} can not be locked: {error}"));
            }
        }
        match Self::connect(&folder.join(FILE)) {
            Ok(connection) => Ok(Self {
                connection,
                // What a killed process has left in the log may be anything.
                wipe_due: true,
                _lock: lock,
            }),
            Err(Failure::Other(reason)) => Err(reason),
            Err(Failure::Corrupt(reason)) => Err(Self::set_aside(folder, &reason)),
        }
    }

    fn connect(file: &Path) -> Result<Connection, Failure> {
        let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
        let mut connection = Connection::open(file)?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.execute_batch(PRAGMAS)?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version as usize > MIGRATIONS.len() {
            return Err(Failure::Other(format!(
                "{} was made by a newer version of the game (schema {version}, this one knows {})",
                file.display(),
                MIGRATIONS.len()
            )));
        }
        if (1..=CHECKED_BYTES_MAX).contains(&size) {
            let verdict: String =
                connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                return Err(Failure::Corrupt(verdict));
            }
        }
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", index as u32 + 1)?;
            transaction.commit()?;
        }
        Ok(connection)
    }

    /// Moves a damaged file away, so that the next start has a new one and nothing is deleted. Says what was done.
    fn set_aside(folder: &Path, reason: &str) -> String {
        let stamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        let aside = format!("cache.damaged-{stamp}.sqlite");
        let moved = ["", "-wal", "-shm"].iter().filter(|end| {
            fs::rename(
                folder.join(format!("{FILE}{end}")),
                folder.join(format!("{aside}{end}")),
            )
            .is_ok()
        });
        if moved.count() > 0 {
            format!(
                "its file was damaged ({reason}); it is kept as {}",
                folder.join(aside).display()
            )
        } else {
            format!("its file is damaged ({reason}) and could not be moved away")
        }
    }

    /// All in one transaction; if that fails, each alone, so that one bad operation takes no other with it.
    fn run_batch(&mut self, batch: &[(Ticket, StoreOp)]) -> Vec<Result<Rows, Failure>> {
        if batch.len() > 1
            && let Ok(answers) = self.run_together(batch)
        {
            return answers.into_iter().map(Ok).collect();
        }
        batch
            .iter()
            .map(|op| {
                self.run_together(std::slice::from_ref(op))
                    .map(|mut answers| answers.remove(0))
            })
            .collect()
    }

    fn run_together(&mut self, batch: &[(Ticket, StoreOp)]) -> Result<Vec<Rows>, Failure> {
        // Rolled back when it is dropped without a commit.
        let transaction = self.connection.transaction()?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut overwrites = false;
        for (_, op) in batch {
            answers.push(match op {
                StoreOp::Load => Rows::Loaded(Box::new(rows::load(&transaction)?)),
                StoreOp::Apply(changes) => {
                    overwrites |= rows::apply(&transaction, changes)?;
                    Rows::Applied
                }
                StoreOp::Items(query) => Rows::Items(rows::items(&transaction, query)?),
            });
        }
        transaction.commit()?;
        self.wipe_due |= overwrites;
        Ok(answers)
    }

    fn search(&mut self, query: &SearchQuery) -> Result<Vec<Found>, String> {
        let Some(words) = text::query(&query.text) else {
            return Ok(Vec::new());
        };
        let scope = query
            .conversation
            .map(|conversation| conversation.0.to_vec());
        let run = || -> rusqlite::Result<Vec<Found>> {
            let mut statement = self.connection.prepare_cached(
                "SELECT item.body, item.text FROM item_text JOIN item ON item.id = item_text.rowid
                 WHERE item_text MATCH ?1 AND (?2 IS NULL OR item.conversation = ?2)
                 ORDER BY item_text.rowid DESC LIMIT ?3",
            )?;
            let rows = statement.query_map(params![words, scope, query.limit], |row| {
                Ok((
                    Bytes::from(row.get::<_, Vec<u8>>(0)?),
                    row.get::<_, String>(1)?,
                ))
            })?;
            let mut hits = Vec::new();
            for row in rows {
                let (body, text) = row?;
                if let Some(hit) = found(&body, &text) {
                    add_newest(&mut hits, hit, query.limit);
                }
            }
            Ok(hits)
        };
        run().map_err(|error| error.to_string())
    }
}

/// The cache's file in its folder.
const FILE: &str = "cache.sqlite";

#[cfg(test)]
mod tests;
