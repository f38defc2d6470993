//! The game thread of the proof `stall`: see `fireside_tests::game`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match fireside_tests::game::child(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("game: {error:#}");
            ExitCode::FAILURE
        }
    }
}
