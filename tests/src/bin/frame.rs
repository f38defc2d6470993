//! The Rust side of `fireside bench frame`: see `fireside_tests::frame`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match fireside_tests::frame::child(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("frame: {error:#}");
            ExitCode::FAILURE
        }
    }
}
