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
            return Ok(Step::Rest);
        }
        // Those that stay must not be looked at for ever.
        Ok(Step::Tombstones(reached.max(from + 1)))
    }
}
