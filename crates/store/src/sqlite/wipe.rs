//! What was overwritten in the file is still in the write-ahead log: there it is cut off.

use std::time::{Duration, Instant};

use super::{schema::BUSY_TIMEOUT, writer::Writer};

/// A busy writer does not wait longer for a quiet moment.
const WAITS_MAX: Duration = Duration::from_secs(10);
/// Not more often than this: it is two syncs, and with reactions there is always something overwritten.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long readers are waited for. Each holds a snapshot for a few ms; what takes longer (a backup) is tried again.
const READERS: Duration = Duration::from_millis(20);

/// Whether nothing came for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Quiet {
    Yes,
    No,
}

/// Since when something waits to be wiped, and when that was tried last.
#[derive(Debug)]
pub(super) struct Wipe {
    since: Option<Instant>,
    tried: Option<Instant>,
}

impl Wipe {
    /// What a killed server has left in the log may be anything.
    pub(super) fn at_start() -> Self {
        Self {
            since: Some(Instant::now()),
            tried: None,
        }
    }

    /// Something was overwritten.
    pub(super) fn due(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_time(&self, quiet: Quiet) -> bool {
        let waited = |since: Instant| quiet == Quiet::Yes || since.elapsed() >= WAITS_MAX;
        self.since.is_some_and(waited) && self.tried.is_none_or(|tried| tried.elapsed() >= INTERVAL)
    }
}

impl Writer<'_> {
    /// Moves all of the write-ahead log into the file and cuts it off, if something was overwritten and it is time. Called after the answers are
    /// out. A failure (a long reader, a full disk) costs nothing: it is tried again.
    pub(super) fn wipe(&mut self, quiet: Quiet) {
        if !self.wipe.is_time(quiet) {
            return;
        }
        self.wipe.tried = Some(Instant::now());
        let cut = self.conn.busy_timeout(READERS).and_then(|()| {
            let mut cut = self
                .conn
                .prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
            cut.query_row([], |row| row.get::<_, i64>(0))
        });
        let _ = self.conn.busy_timeout(BUSY_TIMEOUT);
        if matches!(cut, Ok(0)) {
            self.wipe.since = None;
        }
    }
}
