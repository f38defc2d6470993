//! `fireside-proof NAME [--slice] [--seed N]`: runs one proof. Status 0 only if it holds.

use std::{process::ExitCode, time::Instant};

use fireside_tests::{
    chance::Chance,
    flood,
    proofs::{PROOFS, Scale},
};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, command, plan] = arguments.as_slice()
        && command == "flood"
    {
        // A part of the proof `overload`, in a process of its own.
        return match flood::child(plan.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("flood: {error:?}");
                ExitCode::FAILURE
            }
        };
    }
    let mut args = std::env::args().skip(1);
    let mut name = None;
    let mut scale = Scale {
        full: true,
        seed: Chance::fresh_seed(),
    };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--slice" => scale.full = false,
            "--seed" => match args.next().and_then(|seed| seed.parse().ok()) {
                Some(seed) => scale.seed = seed,
                None => return usage(),
            },
            other if name.is_none() && !other.starts_with('-') => name = Some(other.to_owned()),
            _ => return usage(),
        }
    }
    let Some((name, proof)) = PROOFS
        .iter()
        .find(|(known, _)| Some(*known) == name.as_deref())
    else {
        return usage();
    };
    println!(
        "{name}: {}, seed {}",
        scale.pick("slice", "full"),
        scale.seed
    );
    let start = Instant::now();
    let outcome = proof(scale);
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("{name}: holds ({seconds:.1} s)");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{name}: BROKEN ({seconds:.1} s): {error:#}");
            let slice = scale.pick(" --slice", "");
            println!(
                "{name}: again with: ./test {name}{slice} --seed {}",
                scale.seed
            );
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    let names: Vec<_> = PROOFS.iter().map(|(name, _)| *name).collect();
    eprintln!(
        "usage: fireside-proof NAME [--slice] [--seed N]; NAME is one of {}",
        names.join(", ")
    );
    ExitCode::from(2)
}
