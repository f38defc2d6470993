//! The same decoders under libFuzzer, which follows the branches that an input takes. `./test fuzz` builds the fuzzers
//! (`crates/protocol/fuzz`) where nightly and a C++ compiler are there, and names their folder in `FIRESIDE_FUZZERS`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    corpus::{self, CONTENT, Item, Side, hex},
    mutate::frame,
    tokens::Tokens,
};
use crate::proofs::Scale;

/// Seconds of each fuzzer in the full proof and in a slice.
const SECONDS: (u64, u64) = (60, 7);
/// Inputs are as long as this at most, in bytes: anything longer repeats itself.
const INPUT_BYTES_MAX: u64 = 4_096;
/// An execution that takes longer is a finding, in seconds.
const INPUT_SECONDS_MAX: u64 = 5;
/// Memory that a fuzzer may take, in MiB: a claimed length that is believed goes over it.
const MEMORY_MIB_MAX: u64 = 512;
/// The byte before a frame for the server, a frame for a client, a datagram, a stream; see the fuzzers.
const SERVER: u8 = 0;
const CLIENT: u8 = 1;
const DATAGRAM: u8 = 2;
const STREAM: u8 = 3;
/// Kind of an ack: its entry is a vector for the decoder of entries.
const ENTRY_KIND: u16 = 72;
/// Kinds that come as datagrams too.
const DATAGRAM_KINDS: [u16; 2] = [21, 77];

/// Runs each fuzzer from the golden vectors on; says so if there is none.
///
/// # Errors
/// The input that a fuzzer found, in hexadecimal.
pub(super) fn run(scale: Scale) -> Result<()> {
    let Some(folder) = env::var_os("FIRESIDE_FUZZERS").filter(|folder| !folder.is_empty()) else {
        println!(
            "fuzz: SKIPPED the coverage-guided part: ./test fuzz builds it where a nightly toolchain and a C++ compiler are there"
        );
        return Ok(());
    };
    let folder = PathBuf::from(folder);
    let vectors = corpus::load()?;
    let work = tempfile::tempdir()?;
    let seconds = scale.pick(SECONDS.1, SECONDS.0);
    let fuzzers: [(&str, Vec<Vec<u8>>); 3] = [
        ("frames", frames(&vectors)),
        ("values", values(&vectors)),
        ("tokens", tokens()?),
    ];
    for (name, seeds) in fuzzers {
        let ran = fuzz(
            &folder.join(name),
            &work.path().join(name),
            &seeds,
            seconds,
            scale.seed,
        )
        .with_context(|| format!("fuzzer {name}, seed {}", scale.seed))?;
        println!(
            "fuzz: guided by coverage, {name}: {} executions in {seconds} s from {} vectors; {} branches reached ({} by the vectors), corpus of {} inputs",
            ran.executions,
            seeds.len(),
            ran.covered,
            ran.covered_first,
            ran.corpus,
        );
        ensure!(
            ran.executions > 1_000 && ran.covered > ran.covered_first,
            "{name} was not guided: {ran:?}"
        );
    }
    Ok(())
}

fn with(first: &[u8], rest: &[u8]) -> Vec<u8> {
    [first, rest].concat()
}

fn frames(vectors: &[Item]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for item in vectors.iter().filter(|item| item.kind != CONTENT) {
        let bytes = frame(item.kind, 1, &item.body, None);
        let reader = if item.side == Side::Client {
            SERVER
        } else {
            CLIENT
        };
        seeds.push(with(&[reader], &bytes));
        seeds.push(with(&[STREAM, 7], &bytes.repeat(2)));
        if DATAGRAM_KINDS.contains(&item.kind) {
            seeds.push(with(&[DATAGRAM], &bytes));
        }
    }
    seeds
}

fn values(vectors: &[Item]) -> Vec<Vec<u8>> {
    let seed = |item: &Item| match item.kind {
        ENTRY_KIND => Some(with(&[0], &item.body)),
        CONTENT => Some(with(&[1], &item.body)),
        _ => None,
    };
    vectors.iter().filter_map(seed).collect()
}

fn tokens() -> Result<Vec<Vec<u8>>> {
    let tokens = Tokens::new()?;
    let as_they_come = tokens.good.iter().map(|token| with(&[0], token.as_bytes()));
    let to_sign = tokens
        .payloads
        .iter()
        .map(|payload| with(&[1], payload.as_bytes()));
    Ok(as_they_come.chain(to_sign).collect())
}

#[derive(Debug, Default)]
struct Ran {
    executions: u64,
    covered_first: u64,
    covered: u64,
    corpus: u64,
}

fn fuzz(program: &Path, work: &Path, seeds: &[Vec<u8>], seconds: u64, seed: u64) -> Result<Ran> {
    let inputs = work.join("corpus");
    fs::create_dir_all(&inputs)?;
    for (n, seed) in seeds.iter().enumerate() {
        fs::write(inputs.join(format!("vector-{n}")), seed)?;
    }
    let found = work.join("found-");
    let output = Command::new(program)
        .arg(&inputs)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        // 0 would be a seed of its own choice.
        .arg(format!("-seed={}", (seed as u32).max(1)))
        .arg(format!("-artifact_prefix={}", found.display()))
        .arg("-print_final_stats=1")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} does not start", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let inputs = fs::read_dir(work)?.filter_map(Result::ok);
        let found: Vec<String> = inputs
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("found-"))
            .filter_map(|entry| fs::read(entry.path()).ok())
            .map(|bytes| hex(&bytes))
            .collect();
        let tail: Vec<&str> = said.lines().rev().take(30).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("{}: inputs {found:?}\n{}", output.status, tail.join("\n"));
    }
    let number_after = |line: &str, word: &str| -> Option<u64> {
        let rest = line.split(word).nth(1)?;
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    };
    let mut ran = Ran::default();
    for line in said.lines() {
        if let Some(covered) = number_after(line, "cov: ") {
            if line.contains("INITED") {
                ran.covered_first = covered;
            }
            ran.covered = ran.covered.max(covered);
        }
        if let Some(executions) = number_after(line, "stat::number_of_executed_units:") {
            ran.executions = executions;
        }
        if let Some(corpus) = number_after(line, "corp: ") {
            ran.corpus = corpus;
        }
    }
    Ok(ran)
}
