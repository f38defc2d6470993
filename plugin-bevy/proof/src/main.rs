//! `fireside-bevy-proof headless [--slice]`: the plugin under `MinimalPlugins` against the real server in a process of its own.
//! Status 0 only if it holds. `fireside-bevy-proof frame …` is a part of `fireside bench frame`.

mod events;
mod frame;
mod rounds;
mod stage;

use std::{process::ExitCode, time::Instant};

use anyhow::Context;
use fireside_tests::process::ServerPlan;

/// Rounds of spawn, chat, despawn.
const ROUNDS: u32 = 1_000;
const ROUNDS_SLICE: u32 = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|name| name == "frame") {
        return match frame::child(arguments.into_iter().skip(1)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("frame: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let full = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["headless"] => true,
        ["headless", "--slice"] => false,
        _ => {
            eprintln!("usage: fireside-bevy-proof headless [--slice]");
            return ExitCode::from(2);
        }
    };
    let begin = Instant::now();
    match headless(full) {
        Ok(()) => {
            println!("headless: holds ({:.1} s)", begin.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!(
                "headless: BROKEN ({:.1} s): {error:#}",
                begin.elapsed().as_secs_f64()
            );
            ExitCode::FAILURE
        }
    }
}

fn headless(full: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    events::run(&mut plan, folder.path()).context("messages and observers")?;
    let rounds = if full { ROUNDS } else { ROUNDS_SLICE };
    rounds::run(&mut plan, rounds).context("rounds of spawn, chat, despawn")
}
