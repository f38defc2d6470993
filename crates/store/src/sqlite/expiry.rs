//! What is over, and what messages are copied from.

use fireside_protocol::{ConversationId, Sequence, WallMs};
use fireside_server_core::storage::{EXPIRIES_READ_MAX, Expiring, Source};
use rusqlite::params;

use super::{
    reader::Snapshot,
    rows::{blob, conversation_id, decode_body, int, uint},
    trouble::Trouble,
    writer::Writer,
};

/// The messages that end first, at most `?1`.
const EXPIRING: &str = "SELECT c.id, e.seq, e.expires FROM entries e JOIN conversations c ON c.number = e.conversation \
     WHERE e.expires IS NOT NULL ORDER BY e.expires, e.conversation, e.seq LIMIT ?1";
/// Copies that are to be taken out, at most `?1`.
const WITHDRAWN: &str = "SELECT c.id, k.seq, k.place FROM copies k JOIN conversations c ON c.number = k.conversation \
     WHERE k.due = 1 ORDER BY k.conversation, k.seq, k.place LIMIT ?1";

impl Snapshot<'_> {
    /// Messages that are over, when the next one will be, and copies that are to go.
    pub(super) fn expiring(&self, upto: WallMs) -> Result<Expiring, Trouble> {
        let mut found = self.rows(EXPIRING, &[&(EXPIRIES_READ_MAX as i64 + 1)], |row| {
            Ok((conversation_id(row, 0)?, uint(row, 1)?, uint(row, 2)?))
        })?;
        let due = found.partition_point(|(_, _, expires)| *expires <= upto);
        let due = due.min(EXPIRIES_READ_MAX);
        let next = found.get(due).map_or(0, |(_, _, expires)| *expires);
        found.truncate(due);
        let copies = self.rows(WITHDRAWN, &[&(EXPIRIES_READ_MAX as i64)], |row| {
            Ok((conversation_id(row, 0)?, uint(row, 1)?, row.get(2)?))
        })?;
        let mut withdrawn: Vec<(ConversationId, Sequence, Vec<u32>)> = Vec::new();
        for (id, message, place) in copies {
            match withdrawn.last_mut() {
                Some((of, number, places)) if *of == id && *number == message => {
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
                _ => withdrawn.push((id, message, vec![place])),
            }
        }
        Ok(Expiring {
            due: (found.into_iter())
                .map(|(id, number, _)| (id, number))
                .collect(),
            next,
            withdrawn,
        })
    }

    /// What a message was copied from.
    pub(super) fn sources_of(
        &self,
        id: ConversationId,
        message: Sequence,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Sequence)>, Trouble> {
        let sql = "SELECT DISTINCT k.source, k.source_seq FROM copies k \
                   WHERE k.conversation = (SELECT number FROM conversations WHERE id = ?1) AND k.seq = ?2 \
                   ORDER BY k.source, k.source_seq LIMIT ?3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows(sql, &[&id.0, &int(message), &limit], |row| {
            Ok((conversation_id(row, 0)?, uint(row, 1)?))
        })
    }
}

impl Writer<'_> {
    /// Whether what is to be forwarded is as it was read: there, unchanged, and with no mark on what it was copied from itself.
    pub(super) fn is_as_read(&self, source: &Source) -> Result<bool, Trouble> {
        let Some(rev) = source.rev else {
            return Ok(true);
        };
        let mut statement = self.conn.prepare_cached(
            "SELECT e.body, EXISTS (SELECT 1 FROM copies k WHERE k.conversation = e.conversation AND k.seq = e.seq AND k.due = 1) \
             FROM entries e WHERE e.conversation = (SELECT number FROM conversations WHERE id = ?1) AND e.seq = ?2",
        )?;
        let mut rows = statement.query(params![source.conversation.0, int(source.sequence)])?;
        let Some(row) = rows.next()? else {
            return Ok(false);
        };
        let entry: fireside_protocol::Entry = decode_body(blob(row, 0)?)?;
        let marked: bool = row.get(1)?;
        Ok(entry.tombstone.is_none() && entry.body_rev() == rev && !marked)
    }

    /// Notes what a new message is copied from.
    pub(super) fn put_sources(
        &self,
        conversation: i64,
        message: Sequence,
        sources: &[Source],
    ) -> Result<(), Trouble> {
        for source in sources {
            self.conn
                .prepare_cached(
                    "INSERT INTO copies (source, source_seq, conversation, seq, place) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    source.conversation.0,
                    int(source.sequence),
                    conversation,
                    int(message),
                    source.place
                ])?;
        }
        Ok(())
    }

    /// Marks the copies of a message.
    pub(super) fn mark_copies(
        &self,
        source: ConversationId,
        message: Sequence,
    ) -> Result<(), Trouble> {
        self.conn
            .prepare_cached("UPDATE copies SET due = 1 WHERE source = ?1 AND source_seq = ?2")?
            .execute(params![source.0, int(message)])?;
        Ok(())
    }

    /// Forgets what some parts of a message are copied from; with `None` what all of it is.
    pub(super) fn drop_sources(
        &self,
        conversation: i64,
        message: Sequence,
        places: Option<&[u32]>,
    ) -> Result<(), Trouble> {
        let Some(places) = places else {
            self.conn
                .prepare_cached("DELETE FROM copies WHERE conversation = ?1 AND seq = ?2")?
                .execute(params![conversation, int(message)])?;
            return Ok(());
        };
        for place in places {
            self.conn
                .prepare_cached(
                    "DELETE FROM copies WHERE conversation = ?1 AND seq = ?2 AND place = ?3",
                )?
                .execute(params![conversation, int(message), place])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sqlite::schema;

    #[test]
    fn what_is_over_is_found_by_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.db");
        drop(schema::open_writer(&path, false, 1 << 20).unwrap());
        let conn = schema::open_reader(&path, 1 << 20).unwrap();
        for (sql, index) in [(EXPIRING, "entries_expiring"), (WITHDRAWN, "copies_due")] {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let lines = plan.query_map(params![200], |row| row.get::<_, String>(3));
            let lines: Vec<String> = lines.unwrap().map(Result::unwrap).collect();
            assert!(lines.iter().any(|line| line.contains(index)), "{lines:?}");
            assert!(
                !lines.iter().any(|line| line.contains("B-TREE")),
                "{lines:?}"
            );
        }
    }
}
