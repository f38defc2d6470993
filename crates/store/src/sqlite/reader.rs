//! Reads: one snapshot per batch, `server_core::log` on top of it.

use std::collections::{HashSet, VecDeque};

use fireside_protocol::{
    Code, ConversationId, Rev, Sequence, UserId, WallMs,
    frames::{Link, Revision},
};
use fireside_server_core::{
    children::children,
    forward::originals,
    log,
    rights::EntryMeta,
    storage::{ConversationRow, LogReader, MemberRow, Op, Reply, StoreError, StoredEntry, Tally},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::{
    links::{LINKS, link},
    queue::Queued,
    reports::reports,
    revisions,
    rows::{
        CONVERSATION, COUNTABLE, EXPIRED, MEMBER, MEMBER_COLUMNS, MEMBER_FROM, MENTION_ALL, META,
        PINNED, PRIVATE, blob, conversation, entry_meta, int, member, stored_entry, uint, user,
    },
    trouble::Trouble,
    user_log::user_log,
    writer::Answer,
};

/// The entries of the conversation with the id `?1`.
pub(super) const IN_CONVERSATION: &str =
    "conversation = (SELECT number FROM conversations WHERE id = ?1)";

/// As the index of pinned items says it.
pub(super) const IS_PINNED: &str = "flags & 16";
const _: () = assert!(PINNED == 16);

/// As the index of such entries says it, word for word: else it is not used.
const APART: &str = "(flags & 42 OR mentions IS NOT NULL)";
const _: () = assert!(PRIVATE | MENTION_ALL | EXPIRED == 42);

/// What is apart in the conversation `?1` above `?2`, at most `?3`.
fn apart_above() -> String {
    format!(
        "SELECT {META} FROM entries WHERE {IN_CONVERSATION} AND seq > ?2 AND {APART} ORDER BY seq LIMIT ?3"
    )
}

/// Present members of the conversation `?1` that have something folded from `?2` to `?3`, above the user `?4`.
fn members_like() -> String {
    format!(
        "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.role IS NOT NULL AND m.user IN (\
         SELECT n.user FROM member_names n WHERE n.conversation = ?1 AND n.folded >= ?2 AND n.folded < ?3 AND n.user > ?4) \
         ORDER BY m.user LIMIT ?5"
    )
}

/// One snapshot of the file.
#[derive(Debug)]
pub(super) struct Snapshot<'c> {
    pub(super) conn: &'c Connection,
}

/// Carries out reads on one snapshot, taken after all of them were submitted. [`end`] ends it.
pub(super) fn run(conn: &Connection, batch: &VecDeque<Queued>) -> Vec<Answer> {
    let began = begin(conn);
    let mut snapshot = Snapshot { conn };
    batch
        .iter()
        .map(|(ticket, op)| {
            let result = match (op, &began) {
                (None, _) => Err(StoreError::Busy),
                (Some(_), Err(trouble)) => Err(trouble.clone().into()),
                (Some(op), Ok(())) => snapshot.read(op),
            };
            (*ticket, result)
        })
        .collect()
}

/// Ends the snapshot.
pub(super) fn end(conn: &Connection) {
    if !conn.is_autocommit() {
        // Nothing was written: ending it can not fail in a way that matters.
        let _ = conn
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
    }
}

fn begin(conn: &Connection) -> Result<(), Trouble> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    Ok(())
}

impl<'c> Snapshot<'c> {
    /// What the writer sees within its transaction.
    pub(super) const fn within(conn: &'c Connection) -> Self {
        Self { conn }
    }
}

impl Snapshot<'_> {
    fn read(&mut self, op: &Op) -> Result<Reply, StoreError> {
        match op {
            Op::LoadConversation {
                conversation,
                peers,
            } => Ok(Reply::Conversation(Box::new(
                self.load_conversation(*conversation, peers.as_ref())?,
            ))),
            Op::LoadUser(user) => Ok(Reply::User(Box::new(self.load_user(user)?))),
            Op::LoadItem {
                conversation,
                target,
            } => Ok(Reply::Item(Box::new(
                self.load_item(*conversation, target)?,
            ))),
            Op::UserLog { user, cursor, now } => {
                Ok(Reply::UserLog(user_log(self.conn, user, *cursor, *now)?))
            }
            Op::Devices(user) => Ok(Reply::Devices(self.devices(user)?)),
            Op::Reports(after, limit) => Ok(Reply::Reports(reports(self.conn, *after, *limit)?)),
            Op::Profiles(users) => Ok(Reply::Profiles(self.profiles(users)?)),
            Op::LastSeen(users) => Ok(Reply::LastSeen(self.last_seen(users)?)),
            Op::Page { user, request } => Ok(log::page(self, user, request)?
                .map_or(Reply::NotFound, |page| Reply::Page(Box::new(page)))),
            Op::Heads {
                user,
                request,
                only,
            } => Ok(Reply::Heads(log::heads(self, user, request, only)?)),
            Op::Sync {
                user,
                cursor,
                request,
                now,
            } => {
                let log = user_log(self.conn, user, *cursor, *now)?;
                let heads = log::heads(self, user, request, &[])?;
                Ok(Reply::Sync(Box::new((log, heads))))
            }
            Op::Bans { user, request, now } => {
                Ok(log::bans(self, user, request, *now)?.map_or(Reply::NotFound, Reply::Bans))
            }
            Op::Links { user, request } => {
                Ok(log::links(self, user, request)?.map_or(Reply::NotFound, Reply::Links))
            }
            Op::Meetings { after } => Ok(Reply::Meetings(self.meetings(*after)?)),
            Op::Originals {
                user,
                conversation,
                numbers,
            } => Ok(Reply::Originals(originals(
                self,
                user,
                *conversation,
                numbers,
            )?)),
            Op::Expiring { upto } => Ok(Reply::Expiring(self.expiring(*upto)?)),
            Op::Pins { user, request } => {
                Ok(log::pins(self, user, request)?.map_or(Reply::NotFound, Reply::Pins))
            }
            Op::Readers { user, request } => {
                Ok(log::readers(self, user, request)?.map_or(Reply::NotFound, Reply::Readers))
            }
            Op::Revisions { user, request } => Ok(match log::revisions(self, user, request)? {
                Ok(page) => Reply::Revisions(page),
                Err(Code::Forbidden) => Reply::Forbidden,
                Err(_) => Reply::NotFound,
            }),
            Op::LoadMember { conversation, user } => {
                let member = LogReader::member(self, *conversation, user)?;
                Ok(Reply::Member(Box::new(member)))
            }
            Op::Children { user, request } => {
                Ok(children(self, user, request)?.map_or(Reply::NotFound, Reply::Children))
            }
            Op::Members { user, request } => {
                Ok(log::members(self, user, request)?.map_or(Reply::NotFound, Reply::Members))
            }
            _ => Err(StoreError::Unavailable("a write came to a reader".into())),
        }
    }

    /// All rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> Result<T, Trouble>,
    ) -> Result<Vec<T>, Trouble> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut values = Vec::new();
        while let Some(row) = rows.next()? {
            values.push(read(row)?);
        }
        Ok(values)
    }

    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl Fn(&Row<'_>) -> Result<T, Trouble>,
    ) -> Result<Option<T>, Trouble> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(read).transpose()
    }
}

impl LogReader for Snapshot<'_> {
    fn conversation(&mut self, id: ConversationId) -> Result<Option<ConversationRow>, StoreError> {
        Ok(self.conversation_row(id)?)
    }

    fn member(
        &mut self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<MemberRow>, StoreError> {
        let sql =
            format!("SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.user = ?2");
        Ok(self.row(&sql, &[&id.0, &user.as_str()], member)?)
    }

    fn peer(&mut self, id: ConversationId, user: &UserId) -> Result<Option<MemberRow>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.user <> ?2 LIMIT 1"
        );
        Ok(self.row(&sql, &[&id.0, &user.as_str()], member)?)
    }

    fn member_count(&mut self, id: ConversationId) -> Result<u32, StoreError> {
        let count = self
            .conn
            .prepare_cached(
                "SELECT count(*) FROM members WHERE conversation = ?1 AND role IS NOT NULL",
            )
            .and_then(|mut statement| statement.query_row(params![id.0], |row| row.get(0)))
            .optional()
            .map_err(Trouble::from)?;
        Ok(count.unwrap_or(0))
    }

    fn members(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.user > ?2 AND m.role IS NOT NULL \
             ORDER BY m.user LIMIT ?3"
        );
        let after = after.map_or("", UserId::as_str);
        Ok(self.rows(&sql, &[&id.0, &after, &limit], member)?)
    }

    fn asking(
        &mut self,
        id: ConversationId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.user > ?2 AND m.asked <> 0 \
             ORDER BY m.user LIMIT ?3"
        );
        let after = after.map_or("", UserId::as_str);
        Ok(self.rows(&sql, &[&id.0, &after, &limit], member)?)
    }

    fn members_like(
        &mut self,
        id: ConversationId,
        prefix: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let after = after.map_or("", UserId::as_str);
        let end = format!("{prefix}{}", char::MAX);
        Ok(self.rows(
            &members_like(),
            &[&id.0, &prefix, &end, &after, &limit],
            member,
        )?)
    }

    fn banned(
        &mut self,
        id: ConversationId,
        now: WallMs,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<MemberRow>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.banned_by IS NOT NULL AND m.user > ?2 \
             AND (m.banned_until = 0 OR m.banned_until > ?3) ORDER BY m.user LIMIT ?4"
        );
        let after = after.map_or("", UserId::as_str);
        Ok(self.rows(&sql, &[&id.0, &after, &number(now), &limit], member)?)
    }

    fn links(&mut self, id: ConversationId) -> Result<Vec<Link>, StoreError> {
        Ok(self.rows(LINKS, &[&id.0], link)?)
    }

    fn memberships(
        &mut self,
        user: &UserId,
    ) -> Result<Vec<(ConversationRow, MemberRow)>, StoreError> {
        let sql = format!(
            "SELECT {MEMBER}, {CONVERSATION} FROM {MEMBER_FROM} JOIN conversations c ON c.id = m.conversation \
             WHERE m.user = ?1 AND m.intervals <> x''"
        );
        Ok(self.rows(&sql, &[&user.as_str()], |row| {
            Ok((
                self.with_end(conversation(row, MEMBER_COLUMNS)?)?,
                member(row)?,
            ))
        })?)
    }

    fn children(
        &mut self,
        id: ConversationId,
        after: Option<(Sequence, ConversationId)>,
        limit: u32,
    ) -> Result<Vec<ConversationRow>, StoreError> {
        let sql = format!(
            "SELECT {CONVERSATION} FROM conversations c WHERE c.parent = ?1 AND c.dissolved = 0 \
             AND (c.root < ?2 OR (c.root = ?2 AND c.id > ?3)) ORDER BY c.root DESC, c.id LIMIT ?4"
        );
        // Before the first there is the largest number with the empty id.
        let (root, child) = after.map_or_else(
            || (i64::MAX, Vec::new()),
            |(root, child)| (int(root), child.0.to_vec()),
        );
        let rows = self.rows(&sql, &[&id.0, &root, &child, &limit], |row| {
            self.with_end(conversation(row, 0)?)
        })?;
        Ok(rows)
    }

    fn blocked(&mut self, blocker: &UserId) -> Result<HashSet<UserId>, StoreError> {
        let blocked = self.rows(
            "SELECT blocked FROM blocks WHERE blocker = ?1",
            &[&blocker.as_str()],
            |row| user(row, 0),
        )?;
        Ok(blocked.into_iter().collect())
    }

    fn entries_below(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = format!(
            "SELECT {META}, body FROM entries WHERE {IN_CONVERSATION} AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
        );
        Ok(self.rows(&sql, &[&id.0, &number(below), &limit], stored_entry)?)
    }

    fn entries_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = format!(
            "SELECT {META}, body FROM entries WHERE {IN_CONVERSATION} AND seq > ?2 ORDER BY seq LIMIT ?3"
        );
        Ok(self.rows(&sql, &[&id.0, &number(above), &limit], stored_entry)?)
    }

    fn metas_above(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Vec<EntryMeta>, StoreError> {
        let sql = format!(
            "SELECT {META} FROM entries WHERE {IN_CONVERSATION} AND seq > ?2 ORDER BY seq LIMIT ?3"
        );
        Ok(self.rows(&sql, &[&id.0, &number(above), &limit], entry_meta)?)
    }

    fn metas_below(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: u32,
    ) -> Result<Vec<EntryMeta>, StoreError> {
        let sql = format!(
            "SELECT {META} FROM entries WHERE {IN_CONVERSATION} AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
        );
        Ok(self.rows(&sql, &[&id.0, &number(below), &limit], entry_meta)?)
    }

    fn newest_of(&mut self, id: ConversationId, user: &UserId) -> Result<Sequence, StoreError> {
        let sql = format!("SELECT seq FROM senders WHERE {IN_CONVERSATION} AND user = ?2");
        let found = self.row(&sql, &[&id.0, &user.as_str()], |row| uint(row, 0))?;
        Ok(found.unwrap_or(0))
    }

    fn tally(
        &mut self,
        id: ConversationId,
        above: Sequence,
        limit: u32,
    ) -> Result<Tally, StoreError> {
        // The number itself may be gone: then the next one says what was counted before it.
        let sql = format!(
            "SELECT seq, ordinal, flags FROM entries WHERE {IN_CONVERSATION} AND seq >= ?2 ORDER BY seq LIMIT 1"
        );
        let ordinal = self.row(&sql, &[&id.0, &number(above)], |row| {
            let counts = uint(row, 0)? > above && uint(row, 2)? & COUNTABLE != 0;
            Ok(uint(row, 1)?.saturating_sub(u64::from(counts)))
        })?;
        Ok(Tally {
            ordinal: ordinal.unwrap_or(0),
            apart: self.rows(&apart_above(), &[&id.0, &number(above), &limit], entry_meta)?,
        })
    }

    fn pinned(
        &mut self,
        id: ConversationId,
        below: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = format!(
            "SELECT {META}, body FROM entries WHERE {IN_CONVERSATION} AND seq < ?2 AND {IS_PINNED} ORDER BY seq DESC LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.rows(&sql, &[&id.0, &number(below), &limit], stored_entry)?)
    }

    fn revisions(
        &mut self,
        id: ConversationId,
        item: Sequence,
        above: Rev,
        limit: usize,
    ) -> Result<Vec<Revision>, StoreError> {
        let sql = format!(
            "SELECT rev, at, content FROM revisions WHERE {IN_CONVERSATION} AND seq = ?2 AND rev > ?3 ORDER BY rev LIMIT ?4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [&dyn ToSql; 4] = [&id.0, &number(item), &number(above), &limit];
        Ok(self.rows(&sql, &values, |row| {
            Ok(Revision {
                rev: uint(row, 0)?,
                at: uint(row, 1)?,
                content: revisions::content(blob(row, 2)?),
            })
        })?)
    }

    fn sources(
        &mut self,
        id: ConversationId,
        message: Sequence,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Sequence)>, StoreError> {
        Ok(self.sources_of(id, message, limit)?)
    }

    fn changed(
        &mut self,
        id: ConversationId,
        since: Rev,
        limit: u32,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let sql = format!(
            "SELECT {META}, body FROM entries WHERE {IN_CONVERSATION} AND rev > ?2 AND rev > seq ORDER BY rev LIMIT ?3"
        );
        Ok(self.rows(&sql, &[&id.0, &number(since), &limit], stored_entry)?)
    }
}

/// A number from a request, to compare with stored ones: all larger ones are alike.
fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sqlite::schema;

    #[test]
    fn what_is_apart_is_found_by_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.db");
        drop(schema::open_writer(&path, false, 1 << 20).unwrap());
        let conn = schema::open_reader(&path, 1 << 20).unwrap();
        let mut plan = conn
            .prepare(&format!("EXPLAIN QUERY PLAN {}", apart_above()))
            .unwrap();
        let lines = plan.query_map(params![[0u8; 16], 1, 256], |row| row.get::<_, String>(3));
        let lines: Vec<String> = lines.unwrap().map(Result::unwrap).collect();
        assert!(
            lines.iter().any(|line| line.contains("entries_apart")),
            "{lines:?}"
        );
    }

    #[test]
    fn members_are_looked_up_by_their_names_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.db");
        drop(schema::open_writer(&path, false, 1 << 20).unwrap());
        let conn = schema::open_reader(&path, 1 << 20).unwrap();
        let mut plan = conn
            .prepare(&format!("EXPLAIN QUERY PLAN {}", members_like()))
            .unwrap();
        let bound = params![[0u8; 16], "an", "an~", "", 200];
        let lines = plan.query_map(bound, |row| row.get::<_, String>(3));
        let lines: Vec<String> = lines.unwrap().map(Result::unwrap).collect();
        let by_name = |line: &String| {
            line.contains("SEARCH n USING") && line.contains("folded>? AND folded<?")
        };
        assert!(lines.iter().any(by_name), "{lines:?}");
        assert!(
            !lines.iter().any(|line| line.contains("SCAN m")),
            "{lines:?}"
        );
    }
}
