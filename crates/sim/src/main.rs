//! Runs seeds of the simulated world.

use fireside_sim::proof::{BREAKS, STEPS, plan, proof, run_seed, run_seeds};

const USAGE: &str = "fireside-sim [--slice] | [--seeds N] [--first S] [--seed S] [--steps N] [--break NAME] [--verbose]";

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let (mut seeds, mut first, mut steps, mut one, mut fault) = (None, 1, STEPS, None, None);
    let (mut slice, mut verbose) = (false, false);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, String> {
            let value = args
                .next()
                .ok_or_else(|| format!("{arg} needs a number\n{USAGE}"))?;
            value
                .parse()
                .map_err(|_| format!("{arg} {value}: expected a number"))
        };
        match arg.as_str() {
            "--seeds" => seeds = Some(number()?),
            "--first" => first = number()?,
            "--steps" => steps = number()?,
            "--seed" => one = Some(number()?),
            "--break" => fault = args.next(),
            "--slice" => slice = true,
            "--verbose" => verbose = true,
            other => return Err(format!("unknown argument {other}\n{USAGE}")),
        }
    }
    let fault = fault.as_deref();
    if let Some(name) = fault.filter(|name| !BREAKS.contains(name)) {
        return Err(format!(
            "no built-in fault {name}; there are {}",
            BREAKS.join(", ")
        ));
    }
    if let Some(seed) = one {
        let plan = plan(seed, steps, fault).ok_or("no such fault")?;
        let outcome = run_seed(plan, verbose);
        println!(
            "seed {seed}: {:?}, trace {:016x}\n{}",
            outcome.size, outcome.trace, outcome.report
        );
        return outcome
            .violation
            .map_or(Ok(()), |violation| Err(violation.to_string()));
    }
    if seeds.is_none() && fault.is_none() {
        return proof(slice);
    }
    let ran = run_seeds(first, seeds.unwrap_or(100), steps, fault);
    println!("{} events\n{}", ran.steps, ran.report);
    ran.broken.map_or(Ok(()), |(seed, violation)| {
        Err(format!("seed {seed} {violation}"))
    })
}
