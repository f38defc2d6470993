//! Times and counts.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use hdrhistogram::Histogram;

use crate::LoadArgs;

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

/// What a load did in its measured window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// How often.
    pub(crate) per_second: f64,
    /// Per second of processor time that this process and the server used: foreign load moves it less.
    pub(crate) per_cpu_second: f64,
    /// The server's part of that processor time.
    pub(crate) server_share: f64,
}

/// Waits for the warm-up, then measures how much `read` grows in the window.
pub(crate) async fn window(
    load: &LoadArgs,
    start: impl FnOnce(),
    read: impl Fn() -> u64,
) -> anyhow::Result<Window> {
    tokio::time::sleep(Duration::from_secs_f64(load.warm_up)).await;
    start();
    let (before, (load_before, server_before)) = (read(), cpu_seconds(load)?);
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs_f64(load.seconds)).await;
    let count = (read() - before) as f64;
    let took = began.elapsed().as_secs_f64();
    let (load_after, server_after) = cpu_seconds(load)?;
    let server = server_after - server_before;
    let cpu = (load_after - load_before + server).max(0.01);
    Ok(Window {
        per_second: count / took,
        per_cpu_second: count / cpu,
        server_share: server / cpu,
    })
}

/// Processor time of this process, and of the server if it was named.
fn cpu_seconds(load: &LoadArgs) -> anyhow::Result<(f64, f64)> {
    let server = load
        .server_pid
        .map(|pid| process_cpu(&pid.to_string()))
        .transpose()?;
    Ok((process_cpu("self")?, server.unwrap_or(0.0)))
}

fn process_cpu(process: &str) -> anyhow::Result<f64> {
    /// Clock ticks a second in /proc: 100 on every Linux that Rust runs on.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(')').context("no name in stat")?.1;
    let mut ticks = 0.0;
    for number in fields.split_whitespace().skip(11).take(2) {
        ticks += number.parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_S)
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
