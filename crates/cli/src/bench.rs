//! `fireside bench`: what the product does a second, as a ratio to what raw quinn and raw SQLite do on the same machine in the
//! same minute.
//!
//! Both sides have the same layout (one server process, one load process), transport settings, payloads and client load, and take
//! turns. The raw side is the program `fireside-baseline`, found beside this one.

mod catchup;
mod clock;
mod durable;
mod fanout;
mod frame;
mod idle;
mod latency;
mod login;
mod process;
mod report;
mod rounds;
mod size;
mod wire;
mod world;

use std::path::PathBuf;

use anyhow::Context;

use crate::bench::{process::Programs, report::Report};

/// What to measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum BenchName {
    /// Time of a message from the send call to the other client's event.
    Latency,
    /// Acknowledged 1:1 messages a second.
    Durable,
    /// Deliveries a second in groups.
    Fanout,
    /// Memory and CPU of connections that do nothing.
    Idle,
    /// Log-ins a second, full and resumed.
    Login,
    /// Time until a client that was away is right again.
    Catchup,
    /// What a frame costs the game's thread, in Rust, Bevy and C.
    Frame,
    /// Size of the client's shared library. Builds it, so it is not part of `all`.
    Size,
    /// All of them but `size`.
    All,
}

/// Measures this machine; every number stands beside what raw quinn and raw SQLite reach.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// What to measure.
    pub(crate) name: BenchName,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Length of a round, in seconds.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Rounds of each side, alternating.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// Runs again at most so often when the rounds differ by more than 25 %.
    #[arg(long, default_value_t = 3)]
    pub(crate) again: usize,
    /// Ends with an error when an aim is missed.
    #[arg(long)]
    pub(crate) check: bool,
    /// Connections of `idle`.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Seconds that the connections of `idle` are held.
    #[arg(long, default_value_t = 60.0)]
    pub(crate) idle_seconds: f64,
    /// The program `fireside-baseline`; beside this one if not given.
    #[arg(long)]
    pub(crate) baseline: Option<PathBuf>,
}

/// Runs the benches asked for.
///
/// # Errors
/// A process that does not start or ends early; a wrong or missing delivery; with `check` a missed aim.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    use BenchName::{All, Catchup, Durable, Fanout, Frame, Idle, Latency, Login};
    if args.name == BenchName::Size {
        let mut report = Report::new(args.json);
        size::run(&mut report).context("bench size")?;
        return check(args, &report);
    }
    let programs = Programs::find(args.baseline.clone())?;
    let mut report = Report::new(args.json);
    report.note(&world::settings_note());
    let wants = |name| args.name == name || args.name == All;
    if wants(Latency) {
        latency::run(args, &programs, &mut report).context("bench latency")?;
    }
    if wants(Durable) {
        durable::run(args, &programs, &mut report).context("bench durable")?;
    }
    if wants(Fanout) {
        fanout::run(args, &programs, &mut report).context("bench fanout")?;
    }
    if wants(Login) {
        login::run(args, &programs, &mut report).context("bench login")?;
    }
    if wants(Idle) {
        idle::run(args, &programs, &mut report).context("bench idle")?;
    }
    if wants(Catchup) {
        catchup::run(args, &programs, &mut report).context("bench catchup")?;
    }
    if wants(Frame) {
        frame::run(args, &programs, &mut report).context("bench frame")?;
    }
    check(args, &report)
}

fn check(args: &BenchArgs, report: &Report) -> anyhow::Result<()> {
    let missed = report.missed();
    anyhow::ensure!(!args.check || missed == 0, "{missed} aims were missed");
    Ok(())
}
