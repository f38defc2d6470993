//! The clocks at the edge; everything inside takes [`Now`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fireside_protocol::Now;

/// Reads both clocks. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> Now {
        let since = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Now {
            monotonic_ms: since(self.start.elapsed()),
            wall_ms: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, since),
        }
    }

    /// The instant of a monotonic time.
    pub(crate) fn instant(self, monotonic_ms: u64) -> Instant {
        self.start
            .checked_add(Duration::from_millis(monotonic_ms))
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }
}
