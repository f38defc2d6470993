//! `fireside-agent`: a client that can be killed; see [`fireside_tests::agent`].

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match fireside_tests::agent::child(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent: {error:?}");
            ExitCode::FAILURE
        }
    }
}
