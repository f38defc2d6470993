//! The user log: one sequence per user, the newest record of each key.

use fireside_protocol::{
    UserId, UserSequence, WallMs,
    codec::encode,
    frames::{UserLogPage, UserRecord},
    limits::{USER_LOG_PAGE_BYTES_MAX, USER_RECORDS_MAX, USER_TOMBSTONE_MS},
};
use rusqlite::{Connection, params};

use super::{
    own::place_of,
    rows::{blob, decode_body, int, uint},
    trouble::Trouble,
    writer::Writer,
};

/// Live records below a tombstone that may be pruned. A reload's first page reaches past everything pruned (else its own cursor
/// would be too old again), so what lies below must fit a page frame: 2,000 of at most 400 bytes.
const RECORDS_BELOW_PRUNED_MAX: i64 = 2_000;
/// Bytes of them: drafts are larger.
const BYTES_BELOW_PRUNED_MAX: i64 = 800_000;

impl Writer<'_> {
    /// Gives a record its number and puts it in the place of the one with the same key.
    pub(super) fn put_record(
        &self,
        user: &UserId,
        mut record: UserRecord,
    ) -> Result<UserRecord, Trouble> {
        let sequence: i64 = self
            .conn
            .prepare_cached(
                "INSERT INTO users (id, log_last) VALUES (?1, 1) ON CONFLICT (id) DO UPDATE SET log_last = log_last + 1 \
                 RETURNING log_last",
            )?
            .query_row(params![user.as_str()], |row| row.get(0))?;
        record.sequence = sequence.cast_unsigned();
        let key = record.key();
        let conversation = place_of(&key);
        let key_user = key.user.as_ref().map_or("", UserId::as_str);
        self.conn
            .prepare_cached(
                "DELETE FROM user_log WHERE user = ?1 AND kind = ?2 AND conversation = ?3 AND key_user = ?4",
            )?
            .execute(params![user.as_str(), record.kind.number(), conversation, key_user])?;
        self.conn
            .prepare_cached(
                "INSERT INTO user_log (user, seq, kind, conversation, key_user, gone, at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                user.as_str(),
                sequence,
                record.kind.number(),
                conversation,
                key_user,
                record.gone,
                int(record.at),
                encode(&record)
            ])?;
        Ok(record)
    }
}

/// Reads a page of the user log.
pub(super) fn user_log(
    conn: &Connection,
    user: &UserId,
    cursor: UserSequence,
    now: WallMs,
) -> Result<UserLogPage, Trouble> {
    let (end, pruned) = ends(conn, user)?;
    let oldest = now.saturating_sub(USER_TOMBSTONE_MS);
    let pruned = pruned.max(expired(conn, user, oldest)?);
    // A cursor past the end comes from a server that lost its data: it starts over as well.
    let reload = cursor != 0 && cursor < pruned || cursor > end;
    let after = if reload { 0 } else { cursor };
    let mut statement = conn.prepare_cached(
        "SELECT seq, body, gone, at FROM user_log WHERE user = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![user.as_str(), int(after)])?;
    let mut page = UserLogPage {
        records: Vec::new(),
        cursor: end,
        reload,
        more: false,
    };
    let (mut reached, mut bytes) = (after, 0);
    while let Some(row) = rows.next()? {
        let sequence = uint(row, 0)?;
        let body = blob(row, 1)?;
        let full = page.records.len() >= USER_RECORDS_MAX as usize
            || !page.records.is_empty() && bytes + body.len() > USER_LOG_PAGE_BYTES_MAX;
        if full && reached >= pruned {
            page.more = true;
            page.cursor = reached;
            break;
        }
        reached = sequence;
        let gone: bool = row.get(2)?;
        if gone && sequence <= pruned && uint(row, 3)? < oldest {
            continue;
        }
        bytes += body.len();
        page.records.push(decode_body(body)?);
    }
    Ok(page)
}

/// The log's last number and the last one pruned.
pub(super) fn ends(
    conn: &Connection,
    user: &UserId,
) -> Result<(UserSequence, UserSequence), Trouble> {
    let mut statement =
        conn.prepare_cached("SELECT log_last, log_pruned FROM users WHERE id = ?1")?;
    let mut rows = statement.query(params![user.as_str()])?;
    match rows.next()? {
        Some(row) => Ok((uint(row, 0)?, uint(row, 1)?)),
        None => Ok((0, 0)),
    }
}

/// The last tombstone that has expired, whether it is pruned yet or not; 0 none.
fn expired(conn: &Connection, user: &UserId, oldest: WallMs) -> Result<UserSequence, Trouble> {
    let last = |limit: i64| {
        conn.prepare_cached(
            "SELECT max(seq) FROM user_log WHERE user = ?1 AND gone = 1 AND at < ?2 AND seq < ?3",
        )?
        .query_row(params![user.as_str(), int(oldest), limit], |row| {
            row.get::<_, Option<i64>>(0)
        })
    };
    // Most users have none: only then the longer question.
    let last = match last(i64::MAX)? {
        None => None,
        Some(_) => last(prunable_below(conn, user)?)?,
    };
    Ok(last.unwrap_or(0).cast_unsigned())
}

/// Tombstones from this number on stay, see [`RECORDS_BELOW_PRUNED_MAX`].
pub(super) fn prunable_below(conn: &Connection, user: &UserId) -> Result<i64, Trouble> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, length(body) FROM user_log WHERE user = ?1 AND gone = 0 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![user.as_str()])?;
    let (mut records, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        bytes += row.get::<_, i64>(1)?;
        if records >= RECORDS_BELOW_PRUNED_MAX || bytes > BYTES_BELOW_PRUNED_MAX {
            return Ok(row.get(0)?);
        }
        records += 1;
    }
    Ok(i64::MAX)
}
