//! Databases on disk, looked at from outside.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{bail, ensure};
use fireside_protocol::{ConversationId, Entry, decode};
use rusqlite::Connection;

use crate::wire::WholeLog;

/// The SQLite databases under a folder.
///
/// # Errors
/// When it can not be read.
pub fn databases(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(databases(&path)?);
        } else if path.is_file() {
            let mut head = Vec::new();
            fs::File::open(&path)?.take(16).read_to_end(&mut head)?;
            if head == b"SQLite format 3\0" {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Opens a copy of a database, with its log: the original stays as it is, for its owner to recover.
///
/// # Errors
/// When it can not be copied or opened.
pub fn open_copy(database: &Path, scratch: &Path) -> anyhow::Result<Connection> {
    if scratch.exists() {
        fs::remove_dir_all(scratch)?;
    }
    fs::create_dir_all(scratch)?;
    let copy = scratch.join("copy.db");
    for end in ["", "-wal", "-journal"] {
        let with_end = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        if with_end(database).exists() {
            fs::copy(with_end(database), with_end(&copy))?;
        }
    }
    Ok(Connection::open(copy)?)
}

/// Lets SQLite recover and check a copy of each database under a folder. Gives how many there were.
///
/// # Errors
/// When one is damaged.
pub fn integrity_check(folder: &Path, scratch: &Path) -> anyhow::Result<u32> {
    let mut checked = 0;
    for database in databases(folder)? {
        let copy = open_copy(&database, scratch)?;
        let answer: String = copy.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        ensure!(
            answer == "ok",
            "integrity_check of {}: {answer}",
            database.display()
        );
        checked += 1;
    }
    Ok(checked)
}

/// The items a client's cache holds of a conversation, ascending.
///
/// # Errors
/// When there is no cache, or it can not be read.
pub fn cached_items(
    folder: &Path,
    scratch: &Path,
    conversation: ConversationId,
) -> anyhow::Result<Vec<Entry>> {
    let databases = databases(folder)?;
    ensure!(
        databases.len() == 1,
        "{} caches in {}",
        databases.len(),
        folder.display()
    );
    let copy = open_copy(&databases[0], scratch)?;
    let mut query =
        copy.prepare("SELECT body FROM item WHERE conversation = ? ORDER BY sequence")?;
    let bodies = query.query_map([conversation.0.as_slice()], |row| row.get::<_, Vec<u8>>(0))?;
    let mut items = Vec::new();
    for body in bodies {
        items.push(decode::<Entry>(&body?.into())?);
    }
    Ok(items)
}

/// Whether a client's cache holds exactly the items of the log.
///
/// # Errors
/// The first difference.
pub fn cache_is_log(
    folder: &Path,
    scratch: &Path,
    conversation: ConversationId,
    log: &WholeLog,
) -> anyhow::Result<()> {
    // What a reader sees; not the sender's names.
    let seen = |e: &Entry| {
        let body = (e.content.clone(), e.edited, e.tombstone, e.member.clone());
        (e.sequence, e.rev(), e.kind, e.sender.clone(), e.at, body)
    };
    let held: Vec<_> = cached_items(folder, scratch, conversation)?
        .iter()
        .map(seen)
        .collect();
    let logged: Vec<_> = log.items.iter().map(seen).collect();
    if let Some((one, other)) = held.iter().zip(&logged).find(|(one, other)| one != other) {
        bail!("the cache of {conversation} has {one:?} where the log has {other:?}");
    }
    ensure!(
        held.len() == logged.len(),
        "the cache of {conversation} has {} items, the log {}",
        held.len(),
        logged.len()
    );
    Ok(())
}
