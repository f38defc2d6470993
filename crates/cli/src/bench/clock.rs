//! Times and measured windows of a load.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::bench::process::{Server, own_cpu};

/// Not measured at the start of a load, in seconds: as the baseline's.
const WARM_UP_S: f64 = 1.0;

/// Microseconds since the first call.
pub(super) fn micros() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// Times in µs, shared by tasks.
#[derive(Debug)]
pub(super) struct Times(Mutex<Histogram<u64>>);

impl Times {
    /// None yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        // One minute: nothing here takes longer.
        Ok(Self(Mutex::new(Histogram::new_with_bounds(
            1, 60_000_000, 3,
        )?)))
    }

    /// One more.
    pub(super) fn record(&self, micros: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(micros.max(1));
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reset();
    }

    /// In ms.
    pub(super) fn quantile_ms(&self, q: f64) -> f64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .value_at_quantile(q) as f64
            / 1e3
    }
}

/// What a load did in its measured window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// How often.
    pub(super) per_second: f64,
    /// Per second of processor time that this process and the server used: foreign load moves it less.
    pub(super) per_cpu_second: f64,
    /// The server's part of that processor time.
    pub(super) server_share: f64,
}

/// Waits for the warm-up, then measures how much `read` grows in `seconds`.
pub(super) async fn window(
    seconds: f64,
    server: &Server,
    start: impl FnOnce(),
    read: impl Fn() -> u64,
) -> anyhow::Result<Window> {
    tokio::time::sleep(Duration::from_secs_f64(WARM_UP_S)).await;
    start();
    let (before, load_before, server_before) = (read(), own_cpu()?, server.cpu()?);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let count = (read() - before) as f64;
    let server_cpu = server.cpu()? - server_before;
    let cpu = (own_cpu()? - load_before + server_cpu).max(0.01);
    Ok(Window {
        per_second: count / began.elapsed().as_secs_f64(),
        per_cpu_second: count / cpu,
        server_share: server_cpu / cpu,
    })
}
