//! Upkeep when there is nothing to do: old nonces and old tombstones go, in small steps.

use fireside_protocol::{
    Nonce, UserId, WallMs,
    limits::{NONCE_RETENTION_MS, USER_TOMBSTONE_MS},
};
use rusqlite::params;

use super::{
    rows::{blob, int, text, uint, user},
    trouble::Trouble,
    user_log::prunable_below,
    writer::Writer,
};

/// Rows looked at in one step: about a ms.
const ROWS_PER_STEP: i64 = 500;
/// Between two rounds through everything, by the commands' clock: 1 h.
const ROUND_MS: u64 = 3_600_000;
/// Nonces of clients whose clock is this far ahead are looked at in every round, in ms: 1 day.
const CLOCK_AHEAD_MS: u64 = 24 * 3_600_000;

/// Where the round stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// The next one starts when the clock is here.
    next: WallMs,
    /// What the step in progress is.
    step: Step,
    /// Rows to look at while the writer is busy.
    owed: i64,
}

#[derive(Clone, Debug, Default)]
enum Step {
    /// Between rounds.
    #[default]
    Rest,
    /// After this nonce and user, up to nonces made at the given time.
    Nonces(Nonce, String, WallMs),
    /// From this age on.
    Tombstones(WallMs),
}

impl Writer<'_> {
    /// Upkeep of a writer that is never idle: looks at two rows for each operation, so that what goes keeps up with what comes.
    pub(super) fn prune_after(&mut self, ops: usize) {
        self.round.owed += 2 * ops as i64;
        if self.round.owed >= ROWS_PER_STEP {
            self.round.owed = 0;
            self.prune();
        }
    }

    /// One step, in a transaction of its own. A failure ends the round; the next one tries again.
    pub(super) fn prune(&mut self) {
        if matches!(self.round.step, Step::Rest) {
            if self.now < self.round.next {
                return;
            }
            self.round.next = self.now + ROUND_MS;
            self.round.step = Step::Nonces(
                Nonce([0; 16]),
                String::new(),
                self.now - NONCE_RETENTION_MS.min(self.now),
            );
        }
        let step = std::mem::take(&mut self.round.step);
        let next = self
            .begin()
            .and_then(|()| self.step(step))
            .and_then(|next| {
                self.commit()?;
                Ok(next)
            });
        match next {
            Ok(next) => self.round.step = next,
            Err(_) => self.roll_back(),
        }
    }

    fn step(&mut self, step: Step) -> Result<Step, Trouble> {
        match step {
            Step::Rest => Ok(Step::Rest),
            Step::Nonces(after, user, until) => self.prune_nonces(after, &user, until),
            Step::Tombstones(from) => self.prune_tombstones(from),
        }
    }

    /// Nonces are in the order of their clients' clocks: nearly all old ones stand at the front. Those of clocks that go wrong are
    /// found by their `at`, at the front or at the far end.
    fn prune_nonces(&mut self, after: Nonce, user: &str, until: WallMs) -> Result<Step, Trouble> {
        let oldest = self.now.saturating_sub(NONCE_RETENTION_MS);
        let mut last = None;
        let mut seen = 0;
        let mut old = Vec::new();
        {
            let mut statement = self.conn.prepare_cached(
                "SELECT nonce, user, at FROM nonces WHERE (nonce, user) > (?1, ?2) AND nonce < ?3 ORDER BY nonce, user LIMIT ?4",
            )?;
            let end = Nonce::new(until, [0; 10]).0;
            let end = if until == WallMs::MAX {
                [0xff; 16]
            } else {
                end
            };
            let mut rows = statement.query(params![after.0, user, end, ROWS_PER_STEP])?;
            while let Some(row) = rows.next()? {
                let nonce = blob(row, 0)?
                    .try_into()
                    .map(Nonce)
                    .map_err(|_| Trouble::damaged("nonce"))?;
                let user = text(row, 1)?.to_owned();
                if uint(row, 2)? < oldest {
                    old.push((nonce, user.clone()));
                }
                last = Some((nonce, user));
                seen += 1;
            }
        }
        for (nonce, user) in &old {
            self.conn
                .prepare_cached("DELETE FROM nonces WHERE nonce = ?1 AND user = ?2")?
                .execute(params![nonce.0, user])?;
            self.nonces.remove(nonce);
        }
        match last {
            Some((nonce, user)) if seen == ROWS_PER_STEP => Ok(Step::Nonces(nonce, user, until)),
            _ if until != WallMs::MAX => {
                let ahead = Nonce::new(self.now + CLOCK_AHEAD_MS, [0; 10]);
                Ok(Step::Nonces(ahead, String::new(), WallMs::MAX))
            }
            _ => Ok(Step::Tombstones(0)),
        }
    }

    fn prune_tombstones(&mut self, from: WallMs) -> Result<Step, Trouble> {
        let oldest = self.now.saturating_sub(USER_TOMBSTONE_MS);
        let mut old: Vec<(UserId, u64)> = Vec::new();
        let mut reached = from;
        let mut seen = 0;
        {
            let mut statement = self.conn.prepare_cached(
                "SELECT user, seq, at FROM user_log WHERE gone = 1 AND at >= ?1 AND at < ?2 ORDER BY at LIMIT ?3",
            )?;
            let mut rows = statement.query(params![int(from), int(oldest), ROWS_PER_STEP])?;
            while let Some(row) = rows.next()? {
                old.push((user(row, 0)?, uint(row, 1)?));
                reached = uint(row, 2)?;
                seen += 1;
            }
        }
        for (user, sequence) in &old {
            if int(*sequence) >= prunable_below(self.conn, user)? {
                continue;
            }
            self.conn
                .prepare_cached("DELETE FROM user_log WHERE user = ?1 AND seq = ?2")?
                .execute(params![user.as_str(), int(*sequence)])?;
            self.conn
                .prepare_cached("UPDATE users SET log_pruned = max(log_pruned, ?2) WHERE id = ?1")?
                .execute(params![user.as_str(), int(*sequence)])?;
        }
        if seen < ROWS_PER_STEP {
            self.prune_reports()?;
            return Ok(Step::Rest);
        }
        // Those that stay must not be looked at for ever.
        Ok(Step::Tombstones(reached.max(from + 1)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use fireside_protocol::{
        ConversationId,
        frames::{UserRecord, UserRecordKind},
    };
    use fireside_server_core::storage::Outcome;

    use super::{
        super::{members::record, schema, user_log::user_log},
        *,
    };

    const NOW: WallMs = 1_800_000_000_000;
    const DAY: u64 = 24 * 3_600_000;

    fn with_writer(test: impl FnOnce(&mut Writer<'_>)) {
        let folder = tempfile::tempdir().unwrap();
        let conn = schema::open_writer(&folder.path().join("prune.db"), true, 1 << 20).unwrap();
        test(&mut Writer::new(&conn).unwrap());
    }

    fn round(writer: &mut Writer<'_>) -> usize {
        let mut steps = 0;
        loop {
            writer.prune();
            steps += 1;
            if matches!(writer.round.step, Step::Rest) {
                return steps;
            }
        }
    }

    fn count(writer: &Writer<'_>, sql: &str) -> i64 {
        writer.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn nonces_go_after_30_days_whatever_their_clients_clock_says() {
        with_writer(|writer| {
            let ann = UserId::new("ann").unwrap();
            let mut put = |made: WallMs, at: WallMs, n: u32| {
                let mut random = [0; 10];
                random[6..].copy_from_slice(&n.to_be_bytes());
                let outcome = Outcome::Done {
                    conversation: None,
                    sequence: 0,
                    ordinal: 0,
                    at,
                    expires: 0,
                };
                assert!(
                    writer
                        .remember(&ann, Nonce::new(made, random), &outcome, at)
                        .unwrap()
                );
            };
            let (old, young) = (NOW - 31 * DAY, NOW - 29 * DAY);
            for n in 0..1_200 {
                put(old + u64::from(n), old, n);
                put(young + u64::from(n), young, n);
            }
            for (n, at) in [(1, old), (2, young)] {
                put(0, at, n);
                put(NOW + 1_000 * DAY, at, n);
            }
            writer.now = NOW;
            let steps = round(writer);
            assert!(steps >= 3, "in small steps: {steps}");
            let left = count(writer, "SELECT count(*) FROM nonces");
            assert_eq!(left, 1_202, "the young ones");
            let oldest = count(writer, "SELECT min(at) FROM nonces").cast_unsigned();
            assert_eq!(oldest, young);
            writer.prune();
            assert!(
                matches!(writer.round.step, Step::Rest),
                "rests until the next round"
            );
            writer.now = NOW + 2 * DAY;
            round(writer);
            assert_eq!(count(writer, "SELECT count(*) FROM nonces"), 0);
        });
    }

    #[test]
    fn tombstones_go_after_90_days_and_are_missed_by_no_cursor() {
        with_writer(|writer| {
            let ann = UserId::new("ann").unwrap();
            let put = |n: u16, gone, at| {
                let mut id = [0; 16];
                id[..2].copy_from_slice(&n.to_be_bytes());
                let new = UserRecord {
                    conversation: Some(ConversationId(id)),
                    gone,
                    at,
                    ..record(UserRecordKind::Membership)
                };
                writer.put_record(&ann, new).unwrap().sequence
            };
            for n in 0..700 {
                put(n, true, NOW - 91 * DAY);
            }
            put(1_000, false, NOW - 91 * DAY);
            let young = put(1_001, true, NOW - 89 * DAY);
            writer.now = NOW;
            round(writer);
            assert_eq!(count(writer, "SELECT count(*) FROM user_log"), 2);
            let page = user_log(writer.conn, &ann, 5, NOW).unwrap();
            assert!(page.reload);
            assert_eq!((page.records.len(), page.cursor), (2, young));
            let page = user_log(writer.conn, &ann, 700, NOW).unwrap();
            assert!(!page.reload, "it saw them all");
        });
    }

    #[test]
    fn tombstones_with_too_much_before_them_stay() {
        with_writer(|writer| {
            let ann = UserId::new("ann").unwrap();
            for n in 0..2_500u16 {
                let mut id = [0; 16];
                id[..2].copy_from_slice(&n.to_be_bytes());
                let new = UserRecord {
                    conversation: Some(ConversationId(id)),
                    gone: n == 100 || n == 2_400,
                    at: NOW - 91 * DAY,
                    ..record(UserRecordKind::Membership)
                };
                writer.put_record(&ann, new).unwrap();
            }
            writer.now = NOW;
            round(writer);
            let left = count(writer, "SELECT min(seq) FROM user_log WHERE gone = 1");
            assert_eq!(left, 2_401, "a reload could not reach past it in one page");
            let page = user_log(writer.conn, &ann, 50, NOW).unwrap();
            assert!(page.reload && page.more);
            let (mut held, mut cursor) = (page.records.len(), page.cursor);
            loop {
                let page = user_log(writer.conn, &ann, cursor, NOW).unwrap();
                assert!(!page.reload);
                held += page.records.len();
                cursor = page.cursor;
                if !page.more {
                    break;
                }
            }
            assert_eq!(held, 2_499);
        });
    }
}
