//! The cache on disk: one SQLite file, one thread, one process.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, ItemsQuery, Loaded, OutboxRecord, Profile, Rows, StoreError,
    StoreOp, Ticket, Transaction,
};
use fireside_protocol::{
    ConversationId, DeviceId, Entry, Nonce, Sequence, UserId, Wire, decode, encode,
    frames::{Head, Range},
    record,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use tokio::sync::mpsc;

use super::{
    Found, SearchQuery, Stored,
    schema::{MIGRATIONS, PRAGMAS},
    text,
};
use crate::limits::STORE_BATCH_MAX;

/// Files up to this size, in bytes, are looked through when they are opened; larger ones when they are read.
const CHECKED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// For the disk's thread.
pub(crate) enum Job {
    Op(Ticket, StoreOp),
    Search(SearchQuery),
    Stop,
}

/// The thread: carries out jobs in order, as many in one transaction as have gathered.
pub(super) fn run(folder: &Path, jobs: &Receiver<Job>, results: &mpsc::UnboundedSender<Stored>) {
    let mut disk = Disk::open(folder);
    let mut stop = false;
    while !stop {
        let Ok(first) = jobs.recv() else { return };
        let mut batch = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Op(ticket, op) => batch.push((ticket, op)),
                Job::Search(query) => {
                    let found = disk
                        .as_mut()
                        .map_err(|reason| reason.clone())
                        .and_then(|disk| disk.search(&query));
                    let _ = query
                        .reply
                        .try_send(found.map_err(|reason| StoreError { reason }));
                }
                Job::Stop => stop = true,
            }
            if stop || batch.len() == STORE_BATCH_MAX {
                break;
            }
        }
        let answers = match &mut disk {
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
                        .get_or_insert_with(|| Disk::set_aside(folder, &reason))
                        .clone(),
                    Failure::Other(reason) => reason,
                };
                StoreError { reason }
            });
            if results.send(Stored { ticket, result }).is_err() {
                stop = true;
            }
        }
        if let Some(reason) = broken {
            disk = Err(reason);
        }
    }
}

enum Failure {
    /// The file is damaged.
    Corrupt(String),
    Other(String),
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

/// A stored value that can not be read is damage too.
fn unreadable(what: &str) -> impl Fn(fireside_protocol::DecodeError) -> Failure {
    move |error| Failure::Corrupt(format!("{what}: {error}"))
}

record! {
    /// An invitation as it is kept.
    Invitation {
        /// Where to.
        req "c" conversation: ConversationId,
        /// Who.
        req "u" by: UserId,
        /// The conversation's name.
        opt "nm" name: String,
    }
}

struct Disk {
    connection: Connection,
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
        for (_, op) in batch {
            answers.push(match op {
                StoreOp::Load => Rows::Loaded(Box::new(load(&transaction)?)),
                StoreOp::Apply(changes) => {
                    apply(&transaction, changes)?;
                    Rows::Applied
                }
                StoreOp::Items(query) => Rows::Items(items(&transaction, query)?),
            });
        }
        transaction.commit()?;
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
                hits.extend(found(&body, &text));
            }
            Ok(hits)
        };
        let mut hits = run().map_err(|error| error.to_string())?;
        hits.sort_by_key(|hit| std::cmp::Reverse((hit.at, hit.sequence)));
        Ok(hits)
    }
}

/// The cache's file in its folder.
const FILE: &str = "cache.sqlite";

/// A search result, if the item can be read.
pub(super) fn found(body: &Bytes, text: &str) -> Option<Found> {
    let entry: Entry = decode(body).ok()?;
    Some(Found {
        conversation: entry.conversation,
        sequence: entry.sequence,
        sender: entry.sender,
        at: entry.at,
        text: Arc::from(text),
    })
}

/// SQLite's integers are signed. Numbers of a log never get near the border; a lying server's are kept without an error.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::cast_unsigned)
}

fn blob(row: &Row<'_>, index: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(index).map(Bytes::from)
}

fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<[u8; 16]> {
    row.get(index)
}

fn decoded<T: Wire>(what: &str, bytes: &Bytes) -> Result<T, Failure> {
    decode(bytes).map_err(unreadable(what))
}

fn load(connection: &Connection) -> Result<Loaded, Failure> {
    let profile = connection
        .query_row("SELECT user, device, user_cursor, heads_since, blocked, invitations, row_counter FROM profile", [], |row| {
            Ok((row.get::<_, Option<String>>(0)?, id(row, 1)?, number(row, 2)?, number(row, 3)?, blob(row, 4)?, blob(row, 5)?, number(row, 6)?))
        })
        .optional()?;
    let profile = match profile {
        None => Profile::default(),
        Some((user, device, user_cursor, heads_since, blocked, invitations, row_counter)) => {
            let user = user.map(|user| UserId::new(&user)).transpose();
            let invitations: Vec<Invitation> = decoded("invitations", &invitations)?;
            Profile {
                user: user.map_err(|error| Failure::Corrupt(error.to_string()))?,
                device: DeviceId(device),
                user_cursor,
                heads_since,
                blocked: decoded("blocked", &blocked)?,
                invitations: invitations
                    .into_iter()
                    .map(|kept| (kept.conversation, kept.by, kept.name))
                    .collect(),
                row_counter,
            }
        }
    };
    let mut statement = connection
        .prepare_cached("SELECT head, covered, changes_to, last_known, rights FROM conversation")?;
    let rows = statement.query_map([], |row| {
        Ok((
            blob(row, 0)?,
            blob(row, 1)?,
            number(row, 2)?,
            number(row, 3)?,
            number(row, 4)?,
        ))
    })?;
    let mut conversations = Vec::new();
    for row in rows {
        let (head, covered, changes_to, last_known, rights) = row?;
        let head: Head = decoded("head", &head)?;
        let covered: Vec<Range> = decoded("covered", &covered)?;
        conversations.push(ConversationRecord {
            head,
            covered,
            changes_to,
            last_known,
            rights,
        });
    }
    let mut statement = connection.prepare_cached(
        "SELECT nonce, conversation, position, row, created_at, tried, failed, kind, body FROM outbox ORDER BY position",
    )?;
    let outbox = statement.query_map([], |row| {
        Ok(OutboxRecord {
            nonce: Nonce(id(row, 0)?),
            conversation: ConversationId(id(row, 1)?),
            position: number(row, 2)?,
            row: number(row, 3)?,
            created_at: number(row, 4)?,
            tried: row.get(5)?,
            failed: row.get(6)?,
            kind: row.get(7)?,
            body: blob(row, 8)?,
        })
    })?;
    Ok(Loaded {
        profile,
        conversations,
        outbox: outbox.collect::<Result<_, _>>()?,
    })
}

fn apply(connection: &Connection, changes: &Transaction) -> Result<(), Failure> {
    for conversation in changes.drop_items.iter().chain(&changes.forget) {
        connection
            .prepare_cached(
                "INSERT INTO item_text (item_text, rowid, words)
                 SELECT 'delete', id, words FROM item WHERE conversation = ?1 AND words <> ''",
            )?
            .execute([conversation.0])?;
        connection
            .prepare_cached("DELETE FROM item WHERE conversation = ?1")?
            .execute([conversation.0])?;
    }
    for conversation in &changes.forget {
        connection
            .prepare_cached("DELETE FROM conversation WHERE conversation = ?1")?
            .execute([conversation.0])?;
    }
    for record in &changes.conversations {
        connection
            .prepare_cached("INSERT OR REPLACE INTO conversation VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                record.head.conversation.0,
                encode(&record.head),
                encode(&record.covered),
                signed(record.changes_to),
                signed(record.last_known),
                signed(record.rights),
            ])?;
    }
    for item in &changes.items {
        apply_item(connection, item)?;
    }
    for record in &changes.outbox {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO outbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                record.nonce.0,
                record.conversation.0,
                signed(record.position),
                signed(record.row),
                signed(record.created_at),
                record.tried,
                record.failed,
                record.kind,
                &record.body[..],
            ])?;
    }
    for nonce in &changes.outbox_remove {
        connection
            .prepare_cached("DELETE FROM outbox WHERE nonce = ?1")?
            .execute([nonce.0])?;
    }
    if let Some(profile) = &changes.profile {
        let invitations: Vec<Invitation> = profile
            .invitations
            .iter()
            .map(|(conversation, by, name)| Invitation {
                conversation: *conversation,
                by: by.clone(),
                name: name.clone(),
            })
            .collect();
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO profile VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                profile.user.as_ref().map(UserId::as_str),
                profile.device.0,
                signed(profile.user_cursor),
                signed(profile.heads_since),
                encode(&profile.blocked),
                encode(&invitations),
                signed(profile.row_counter),
            ])?;
    }
    Ok(())
}

/// The larger rev wins.
fn apply_item(connection: &Connection, item: &ItemRecord) -> Result<(), Failure> {
    let key = params![item.conversation.0, signed(item.sequence)];
    let held = connection
        .prepare_cached(
            "SELECT id, rev, words FROM item WHERE conversation = ?1 AND sequence = ?2",
        )?
        .query_row(key, |row| {
            Ok((
                row.get::<_, i64>(0)?,
                number(row, 1)?,
                row.get::<_, String>(2)?,
            ))
        })
        .optional()?;
    let words = text::segment(&item.text);
    let rowid = match held {
        Some((_, rev, _)) if rev > item.rev => return Ok(()),
        Some((rowid, _, old)) => {
            let same = old == words;
            if !same && !old.is_empty() {
                // With the very words that were put in: an external-content index can not look them up itself.
                connection
                    .prepare_cached(
                        "INSERT INTO item_text (item_text, rowid, words) VALUES ('delete', ?1, ?2)",
                    )?
                    .execute(params![rowid, old])?;
            }
            connection
                .prepare_cached("UPDATE item SET row = ?2, rev = ?3, body = ?4, text = ?5, words = ?6 WHERE id = ?1")?
                .execute(params![rowid, signed(item.row), signed(item.rev), &item.body[..], &*item.text, words])?;
            if same {
                return Ok(());
            }
            rowid
        }
        None => {
            connection
                .prepare_cached(
                    "INSERT INTO item (conversation, sequence, row, rev, body, text, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    item.conversation.0,
                    signed(item.sequence),
                    signed(item.row),
                    signed(item.rev),
                    &item.body[..],
                    &*item.text,
                    words
                ])?;
            connection.last_insert_rowid()
        }
    };
    if !words.is_empty() {
        connection
            .prepare_cached("INSERT INTO item_text (rowid, words) VALUES (?1, ?2)")?
            .execute(params![rowid, words])?;
    }
    Ok(())
}

fn items(connection: &Connection, query: &ItemsQuery) -> Result<Vec<ItemRecord>, Failure> {
    let below = i64::try_from(query.below).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT sequence, row, rev, body, text FROM item WHERE conversation = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3",
    )?;
    let rows = statement.query_map(params![query.conversation.0, below, query.limit], |row| {
        Ok(ItemRecord {
            conversation: query.conversation,
            sequence: number(row, 0)? as Sequence,
            row: number(row, 1)?,
            rev: number(row, 2)?,
            body: blob(row, 3)?,
            text: row.get::<_, String>(4)?.into(),
        })
    })?;
    let mut found: Vec<ItemRecord> = rows.collect::<Result<_, _>>()?;
    found.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests;
