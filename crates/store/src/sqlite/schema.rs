//! Opening the file: lock, settings of a connection, forward migrations.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{names, trouble::Trouble};

/// Says in the file's header whose it is: "Fire".
const APPLICATION_ID: i64 = 0x4669_7265;
/// One step per version, run in order; a released step is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
];
/// The schema since which members are looked up by name.
const NAMES_FROM: usize = 5;
/// How long a connection waits for a lock of another one. Only start, checkpoints and outside tools ever hold one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The write-ahead log is cut back to this after a checkpoint that emptied it, in bytes.
const WAL_KEPT_BYTES: i64 = 32 * 1024 * 1024;
/// Prepared statements kept per connection: all there are.
const STATEMENTS_MAX: usize = 128;

/// Keeps a second process away from the file for as long as it lives.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, Trouble> {
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let name = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(|error| {
                Trouble::Other(format!(
                    "can not open {}: {error}; check that the folder exists and may be written",
                    name.display()
                ))
            })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Trouble::Other(format!(
                "{} is in use by another server; stop that one or choose another data folder",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Trouble::Other(format!(
                "can not lock {}: {error}; the data folder must be on a local disk",
                name.display()
            ))),
        }
    }
}

/// Opens the writer's connection and brings the schema forward.
pub(super) fn open_writer(
    path: &Path,
    synchronous_off: bool,
    cache_bytes: usize,
) -> Result<Connection, Trouble> {
    let conn = Connection::open(path).map_err(|error| explain(path, &error.into()))?;
    prepare(path, &conn, synchronous_off, cache_bytes)
        .map_err(|trouble| explain(path, &trouble))?;
    Ok(conn)
}

fn prepare(
    path: &Path,
    conn: &Connection,
    synchronous_off: bool,
    cache_bytes: usize,
) -> Result<(), Trouble> {
    settle(conn, cache_bytes)?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let owner: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != APPLICATION_ID && (owner != 0 || tables != 0) {
        return Err(Trouble::Other(format!(
            "{} is the database of another program; choose another data folder",
            path.display()
        )));
    }
    let known = MIGRATIONS.len() as i64;
    if !(0..=known).contains(&version) {
        return Err(Trouble::Other(format!(
            "{} has schema {version}, this build knows up to {known}; update the server or restore the backup made before the \
             update",
            path.display()
        )));
    }
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Trouble::Other(format!(
            "{} can not have a write-ahead log (journal mode is {mode}); the data folder must be on a local disk",
            path.display()
        )));
    }
    conn.pragma_update(
        None,
        "synchronous",
        if synchronous_off { "OFF" } else { "FULL" },
    )?;
    // Recalled text is overwritten, on pages that become free too.
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    // The writer checkpoints itself, after it has answered.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    for (done, step) in MIGRATIONS.iter().enumerate().skip(version as usize) {
        conn.execute_batch(&format!("BEGIN IMMEDIATE; {step}"))?;
        if done + 1 == NAMES_FROM {
            // What only Rust can fold.
            names::fill(conn)?;
        }
        conn.execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}; COMMIT;",
            done + 1
        ))?;
    }
    Ok(())
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path, cache_bytes: usize) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    settle(&conn, cache_bytes)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

fn settle(conn: &Connection, cache_bytes: usize) -> Result<(), Trouble> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let kib = i64::try_from(cache_bytes / 1024)
        .unwrap_or(i64::MAX)
        .max(64);
    conn.pragma_update(None, "cache_size", -kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // With STAT4 compiled in (as bundled), a statement whose range is bound anew is planned anew at every run; this plans it once.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn explain(path: &Path, trouble: &Trouble) -> Trouble {
    match trouble {
        Trouble::Full => Trouble::Full,
        Trouble::Other(text) if text.starts_with("file is not a database") => {
            Trouble::Other(format!(
                "{} is not a database or its header is damaged; restore a backup or choose another data folder",
                path.display()
            ))
        }
        Trouble::Other(text) if text.contains("malformed") => Trouble::Other(format!(
            "{} is damaged ({text}); restore a backup",
            path.display()
        )),
        Trouble::Other(text) if text.starts_with(&*path.to_string_lossy()) => {
            Trouble::Other(text.clone())
        }
        Trouble::Other(text) => Trouble::Other(format!("can not open {}: {text}", path.display())),
    }
}
