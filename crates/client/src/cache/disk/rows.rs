//! What stands in the tables: read and written, each within a transaction of the caller's.

use bytes::Bytes;
use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, ItemsQuery, Loaded, OutboxRecord, Profile, Transaction,
};
use fireside_protocol::{
    ConversationId, DeviceId, Nonce, Sequence, UserId, Wire, decode, encode,
    frames::{Head, Range, UserRecord},
    record,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Failure, index, wipe};

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

/// SQLite's integers are signed. Numbers of a log never get near the border; a lying server's are kept without an error.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(i64::cast_unsigned)
}

pub(super) fn blob(row: &Row<'_>, index: usize) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(index).map(Bytes::from)
}

fn id(row: &Row<'_>, index: usize) -> rusqlite::Result<[u8; 16]> {
    row.get(index)
}

fn decoded<T: Wire>(what: &str, bytes: &Bytes) -> Result<T, Failure> {
    decode(bytes).map_err(unreadable(what))
}

/// All that a client starts with.
///
/// # Errors
/// A damaged file, or one that can not be read.
pub(super) fn load(connection: &Connection) -> Result<Loaded, Failure> {
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
    let mut statement = connection.prepare_cached(
        "SELECT head, covered, changes_to, last_known, rights, got FROM conversation",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((
            blob(row, 0)?,
            blob(row, 1)?,
            number(row, 2)?,
            number(row, 3)?,
            number(row, 4)?,
            number(row, 5)?,
        ))
    })?;
    let mut conversations = Vec::new();
    for row in rows {
        let (head, covered, changes_to, last_known, rights, got) = row?;
        let head: Head = decoded("head", &head)?;
        let covered: Vec<Range> = decoded("covered", &covered)?;
        conversations.push(ConversationRecord {
            head,
            covered,
            changes_to,
            last_known,
            rights,
            got,
        });
    }
    let mut statement = connection.prepare_cached("SELECT body FROM record")?;
    let rows = statement.query_map([], |row| blob(row, 0))?;
    let mut records = Vec::new();
    for row in rows {
        records.push(decoded("record", &row?)?);
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
        records,
        outbox: outbox.collect::<Result<_, _>>()?,
    })
}

/// Writes changes. Whether it overwrote something that somebody wrote.
///
/// # Errors
/// A damaged file, or one that can not be written.
pub(super) fn apply(connection: &Connection, changes: &Transaction) -> Result<bool, Failure> {
    let mut overwrites = !changes.drop_items.is_empty()
        || !changes.forget.is_empty()
        || changes.forget_records
        || !changes.records.is_empty();
    for conversation in changes.drop_items.iter().chain(&changes.forget) {
        index::drop_items(connection, &conversation.0)?;
    }
    for conversation in &changes.forget {
        connection
            .prepare_cached("DELETE FROM conversation WHERE conversation = ?1")?
            .execute([conversation.0])?;
    }
    for record in &changes.conversations {
        overwrites |= changes.items.is_empty() && wipe::takes_preview(connection, &record.head)?;
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO conversation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                record.head.conversation.0,
                encode(&record.head),
                encode(&record.covered),
                signed(record.changes_to),
                signed(record.last_known),
                signed(record.rights),
                signed(record.got),
            ])?;
    }
    for item in &changes.items {
        overwrites |= apply_item(connection, item)?;
    }
    if changes.forget_records {
        connection
            .prepare_cached("DELETE FROM record")?
            .execute([])?;
    }
    for record in &changes.records {
        apply_record(connection, record)?;
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
    Ok(overwrites)
}

/// A record takes the place of the one with the same key; one that is gone only takes it away.
fn apply_record(connection: &Connection, record: &UserRecord) -> Result<(), Failure> {
    let key = record.key();
    let place = key.place.as_ref().map_or(&[][..], |place| place);
    let about = key.user.as_ref().map_or("", UserId::as_str);
    if record.gone {
        connection
            .prepare_cached("DELETE FROM record WHERE kind = ?1 AND place = ?2 AND about = ?3")?
            .execute(params![key.kind.number(), place, about])?;
    } else {
        connection
            .prepare_cached("INSERT OR REPLACE INTO record VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![key.kind.number(), place, about, encode(record)])?;
    }
    Ok(())
}

/// The larger rev wins. The index is told of changes; what is new it finds by itself. Whether another state of it was overwritten.
fn apply_item(connection: &Connection, item: &ItemRecord) -> Result<bool, Failure> {
    let words = index::words_of(&item.text);
    // Most items are new.
    let inserted = connection
        .prepare_cached(
            "INSERT INTO item (conversation, sequence, row, rev, body, text, words) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO NOTHING",
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
    if inserted > 0 {
        return Ok(false);
    }
    let (id, rev, old_text, old_words) = connection
        .prepare_cached(
            "SELECT id, rev, text, words FROM item WHERE conversation = ?1 AND sequence = ?2",
        )?
        .query_row(params![item.conversation.0, signed(item.sequence)], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                number(row, 1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
            ))
        })?;
    if rev > item.rev {
        return Ok(false);
    }
    let old = index::indexed(&old_text, &old_words);
    index::change(connection, id, old, index::indexed(&item.text, &words))?;
    connection
        .prepare_cached(
            "UPDATE item SET row = ?2, rev = ?3, body = ?4, text = ?5, words = ?6 WHERE id = ?1",
        )?
        .execute(params![
            id,
            signed(item.row),
            signed(item.rev),
            &item.body[..],
            &*item.text,
            words
        ])?;
    // The same state comes twice when pages overlap.
    Ok(rev < item.rev)
}

/// Items below a number, oldest first.
///
/// # Errors
/// A damaged file, or one that can not be read.
pub(super) fn items(
    connection: &Connection,
    query: &ItemsQuery,
) -> Result<Vec<ItemRecord>, Failure> {
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
