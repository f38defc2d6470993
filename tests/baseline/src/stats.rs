//! Times and counts.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

/// Microseconds since the program's first call.
pub(crate) fn micros() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// Times in µs, shared by tasks.
#[derive(Debug)]
pub(crate) struct Times(Mutex<Histogram<u64>>);

impl Times {
    /// None yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        // One minute: nothing here takes longer.
        Ok(Self(Mutex::new(Histogram::new_with_bounds(
            1, 60_000_000, 3,
        )?)))
    }

    /// One more.
    pub(crate) fn record(&self, micros: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(micros.max(1));
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reset();
    }

    /// In ms.
    pub(crate) fn quantile_ms(&self, q: f64) -> f64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .value_at_quantile(q) as f64
            / 1e3
    }

    /// How many.
    pub(crate) fn len(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Waits for the warm-up, then takes `read` before and after `seconds`: (difference, measured seconds).
pub(crate) async fn window(
    warm_up: f64,
    seconds: f64,
    start: impl FnOnce(),
    read: impl Fn() -> u64,
) -> (u64, f64) {
    tokio::time::sleep(Duration::from_secs_f64(warm_up)).await;
    start();
    let (before, began) = (read(), Instant::now());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    (read() - before, began.elapsed().as_secs_f64())
}

/// Returns when standard input ends: whoever started this program is gone or done.
pub(crate) async fn input_ended() {
    let (done, ended) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(done);
    });
    let _ = ended.await;
}
