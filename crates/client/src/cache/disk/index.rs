//! The index of the words, which follows the items: writing words takes several times as long as writing the items, and nobody
//! waits for words while a client catches up.
//!
//! The index has the items with an `id` up to the *watermark* (`indexed.upto`) and no others; watermark and words move in one
//! transaction, so a crash between items and words leaves only work to do. A search waits until the watermark has passed what was
//! there when it was asked. What changes or goes below the watermark is changed in the index in the same transaction.

use rusqlite::{Connection, params};

use super::Failure;
use crate::cache::text;

/// Items brought into the index in one transaction: some 10 ms, so that nothing waits long behind them.
pub(super) const SLICE_ITEMS: u32 = 512;

/// How far the index is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Standing {
    /// The watermark: items with this `id` or a smaller one are in the index.
    pub(super) upto: i64,
    /// The newest item's `id`; 0 without items.
    pub(super) newest: i64,
}

impl Standing {
    /// There are items that the index does not have.
    pub(super) const fn is_behind(self) -> bool {
        self.behind() > 0
    }

    /// Items that the index does not have, at most.
    pub(super) const fn behind(self) -> u64 {
        if self.newest > self.upto {
            self.newest.abs_diff(self.upto)
        } else {
            0
        }
    }
}

/// How far the index is.
pub(super) fn standing(connection: &Connection) -> Result<Standing, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT upto, (SELECT coalesce(max(id), 0) FROM item) AS newest FROM indexed",
    )?;
    Ok(statement.query_row([], |row| {
        Ok(Standing {
            upto: row.get(0)?,
            newest: row.get(1)?,
        })
    })?)
}

/// Brings the next items in, at most [`SLICE_ITEMS`].
pub(super) fn advance(connection: &mut Connection) -> Result<Standing, Failure> {
    // Rolled back when it is dropped without a commit.
    let transaction = connection.transaction()?;
    let before = standing(&transaction)?;
    let last: Option<i64> = transaction
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM item WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )?
        .query_row(params![before.upto, SLICE_ITEMS], |row| row.get(0))?;
    let Some(last) = last else {
        return Ok(before);
    };
    transaction
        .prepare_cached(
            "INSERT INTO item_text (rowid, words)
             SELECT id, CASE words WHEN '' THEN text ELSE words END FROM item
             WHERE id > ?1 AND id <= ?2 AND text <> '' ORDER BY id",
        )?
        .execute([before.upto, last])?;
    move_to(&transaction, last)?;
    transaction.commit()?;
    Ok(Standing {
        upto: last,
        ..before
    })
}

/// The words of one item change from `old` to `new` (as they are indexed; empty: none), if the index has the item.
pub(super) fn change(
    connection: &Connection,
    id: i64,
    old: &str,
    new: &str,
) -> Result<(), Failure> {
    if old == new || id > standing(connection)?.upto {
        return Ok(());
    }
    if !old.is_empty() {
        // With the very words that were put in: the index has no copy of them.
        connection
            .prepare_cached(
                "INSERT INTO item_text (item_text, rowid, words) VALUES ('delete', ?1, ?2)",
            )?
            .execute(params![id, old])?;
    }
    if !new.is_empty() {
        connection
            .prepare_cached("INSERT INTO item_text (rowid, words) VALUES (?1, ?2)")?
            .execute(params![id, new])?;
    }
    Ok(())
}

/// Takes a conversation's items out of the index, and then away.
pub(super) fn drop_items(connection: &Connection, conversation: &[u8; 16]) -> Result<(), Failure> {
    connection
        .prepare_cached(
            "INSERT INTO item_text (item_text, rowid, words)
             SELECT 'delete', id, CASE words WHEN '' THEN text ELSE words END FROM item
             WHERE conversation = ?1 AND text <> '' AND id <= (SELECT upto FROM indexed)",
        )?
        .execute([conversation])?;
    connection
        .prepare_cached("DELETE FROM item WHERE conversation = ?1")?
        .execute([conversation])?;
    // The ids of the newest items are given out again: the index does not have who gets them.
    let standing = standing(connection)?;
    if standing.upto > standing.newest {
        move_to(connection, standing.newest)?;
    }
    Ok(())
}

fn move_to(connection: &Connection, upto: i64) -> Result<(), Failure> {
    connection
        .prepare_cached("UPDATE indexed SET upto = ?1")?
        .execute([upto])?;
    Ok(())
}

/// What the index takes of a text, if that is not the text itself: kept beside it, because it must be given again to take it out.
pub(super) fn words_of(text: &str) -> String {
    if text.is_ascii() {
        return String::new();
    }
    let words = text::segment(text);
    if words == text { String::new() } else { words }
}

/// As they are in the index.
pub(super) fn indexed<'a>(text: &'a str, words: &'a str) -> &'a str {
    if words.is_empty() { text } else { words }
}
