//! What was overwritten in the file (`secure_delete`) is still in the write-ahead log: there it is cut off in the next quiet moment, so that a
//! recalled message does not wait for the end of the game.

use fireside_protocol::{decode, frames::Head};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Failure, Worker, rows::blob};

impl Worker<'_> {
    /// Whether the log has something that must go.
    pub(super) fn is_wipe_due(&self) -> bool {
        self.disk.as_ref().is_ok_and(|disk| disk.wipe_due)
    }

    /// Moves all of the log into the file and cuts it off. A failure is tried again when something else is overwritten: a disk that is full or
    /// broken gets no better by waiting.
    pub(super) fn wipe(&mut self) {
        let Ok(disk) = &mut self.disk else {
            return;
        };
        disk.wipe_due = false;
        let cut = disk
            .connection
            .prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")
            .and_then(|mut cut| cut.query_row([], |_| Ok(())));
        if let Err(error) = cut {
            tracing::warn!(%error, "the cache's log is not cut off");
        }
    }
}

/// Whether a conversation's new head takes a message's words away, and not only puts a newer message in their place.
pub(super) fn takes_preview(connection: &Connection, new: &Head) -> Result<bool, Failure> {
    let old = connection
        .prepare_cached("SELECT head FROM conversation WHERE conversation = ?1")?
        .query_row(params![new.conversation.0], |row| blob(row, 0))
        .optional()?;
    let old = old.and_then(|old| decode::<Head>(&old).ok());
    let Some(before) = old.and_then(|old| old.preview) else {
        return Ok(false);
    };
    let is_newer = |after: &fireside_protocol::Entry| {
        after.sequence > before.sequence
            || (after.sequence == before.sequence && after.content == before.content)
    };
    Ok(!new.preview.as_ref().is_some_and(is_newer))
}
