//! What items said before they were edited or recalled.

use bytes::Bytes;
use fireside_protocol::{Entry, EntryKind, Sequence, WallMs, limits::REVISIONS_MAX};
use rusqlite::{OptionalExtension, params};

use super::{rows::int, trouble::Trouble, writer::Writer};

impl Writer<'_> {
    /// Keeps what an item says now, before a change of its body takes its place.
    pub(super) fn keep_revision(
        &self,
        conversation: i64,
        item: &Entry,
        change: EntryKind,
    ) -> Result<(), Trouble> {
        if !matches!(change, EntryKind::Edit | EntryKind::Recall) || item.content.is_empty() {
            return Ok(());
        }
        let rev = item.body_rev();
        let at = if rev == item.sequence {
            item.at
        } else {
            self.time_of(conversation, rev)?
        };
        self.conn
            .prepare_cached(
                "INSERT INTO revisions (conversation, seq, rev, at, content) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                conversation,
                int(item.sequence),
                int(rev),
                int(at),
                item.content.as_ref()
            ])?;
        // The first stays: it is what was answered to.
        self.conn
            .prepare_cached(
                "DELETE FROM revisions WHERE conversation = ?1 AND seq = ?2 AND rev <> ?2 AND rev IN \
                 (SELECT rev FROM revisions WHERE conversation = ?1 AND seq = ?2 ORDER BY rev DESC LIMIT -1 OFFSET ?3)",
            )?
            .execute(params![
                conversation,
                int(item.sequence),
                REVISIONS_MAX as i64 - 1
            ])?;
        Ok(())
    }

    /// Forgets what an item said before.
    pub(super) fn drop_revisions(&self, conversation: i64, item: Sequence) -> Result<(), Trouble> {
        self.conn
            .prepare_cached("DELETE FROM revisions WHERE conversation = ?1 AND seq = ?2")?
            .execute(params![conversation, int(item)])?;
        Ok(())
    }

    fn time_of(&self, conversation: i64, number: u64) -> Result<WallMs, Trouble> {
        let found = self
            .conn
            .prepare_cached("SELECT at FROM entries WHERE conversation = ?1 AND seq = ?2")?
            .query_row(params![conversation, int(number)], |row| {
                row.get::<_, i64>(0)
            })
            .optional()?;
        Ok(found.map_or(0, i64::cast_unsigned))
    }
}

/// A revision's content in an allocation of its own.
pub(super) fn content(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
