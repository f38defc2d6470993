//! No bytes break a decoder or a server.
//!
//! Golden vectors are mutated by the structure of the frames and given to every decoder. An input that reaches a new outcome
//! (another decoder, kind, error or structure) becomes a vector itself, so that later mutations start from there.

mod corpus;
mod decoders;
mod gaps;
mod guided;
mod live;
mod memory;
mod mutate;
mod tokens;

use std::{
    collections::{BTreeMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use self::{
    corpus::{Item, Side, hex},
    decoders::{Decoder, Outcome},
    mutate::{Input, Mutation},
    tokens::Tokens,
};
use super::Scale;
use crate::chance::Chance;

/// Executions of the full proof and of its slice.
const EXECUTIONS: (u64, u64) = (10_000_000, 300_000);
/// Of these, one in as many is a token.
const TOKEN_SHARE: u64 = 10;
/// Threads that execute.
const THREADS: u64 = 2;
/// Inputs kept per thread and decoder because they reached something new.
const FINDS_MAX: usize = 4_000;
/// Address space that may be added by all executions: a claimed length of 4 GiB that is believed once goes far over it.
const ADDRESS_SPACE_MIB_MAX: u64 = 384;

/// Mutated vectors against every decoder; then hostile connections against a real server.
///
/// # Errors
/// The first input that breaks something, in hexadecimal.
pub fn run(scale: Scale) -> Result<()> {
    decode(scale)?;
    guided::run(scale)?;
    live::run(scale)?;
    memory::run(scale)
}

/// What one thread counted.
#[derive(Debug, Default)]
struct Counts {
    /// (decoder, mutation) to (taken, refused).
    by_mutation: BTreeMap<(usize, usize), (u64, u64)>,
    /// Mutation of a token to (taken, refused).
    tokens: BTreeMap<usize, (u64, u64)>,
    /// Errors by name.
    errors: BTreeMap<&'static str, u64>,
    /// Inputs that reached something new.
    finds: usize,
}

fn decode(scale: Scale) -> Result<()> {
    let total = scale.pick(EXECUTIONS.1, EXECUTIONS.0);
    let vectors = corpus::load()?;
    println!(
        "fuzz: {} vectors, {total} executions, {THREADS} threads",
        vectors.len()
    );
    let before = address_space_mib()?;
    let start = Instant::now();
    let all: Vec<Counts> = thread::scope(|scope| {
        let work = |index: u64| {
            let vectors = vectors.clone();
            scope.spawn(move || attack(vectors, total / THREADS, Chance::new(scale.seed + index)))
        };
        let threads: Vec<_> = (0..THREADS).map(work).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread died"))?)
            .collect::<Result<_>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let grown = address_space_mib()?.saturating_sub(before);
    let executions = report(&all)?;
    println!(
        "fuzz: {executions} executions in {seconds:.1} s ({:.2} µs each), {} finds kept, address space +{grown} MiB at most",
        seconds * 1e6 * THREADS as f64 / executions as f64,
        all.iter().map(|counts| counts.finds).sum::<usize>(),
    );
    ensure!(
        executions >= total / THREADS * THREADS,
        "only {executions} executions"
    );
    ensure!(
        grown < ADDRESS_SPACE_MIB_MAX,
        "{grown} MiB of address space: something believes a length"
    );
    Ok(())
}

fn attack(vectors: Vec<Item>, executions: u64, mut chance: Chance) -> Result<Counts> {
    let mut counts = Counts::default();
    let mut seen = HashSet::new();
    let mut pools: Vec<Pool> = Decoder::ALL
        .iter()
        .map(|decoder| Pool::new(*decoder, &vectors))
        .collect();
    let mut input = Input::default();
    let tokens = Tokens::new()?;
    for execution in 0..executions {
        if execution % TOKEN_SHARE == 0 {
            attack_token(&tokens, &mut counts, &mut chance)?;
            continue;
        }
        let decoder = choose(&mut chance);
        let mutation = chance.below(Mutation::ALL.len() as u64) as usize;
        let item = pools[decoder].draw(&mut chance);
        let other = pools[choose(&mut chance)].draw(&mut chance);
        input.mutate(Mutation::ALL[mutation], item, other, &mut chance);
        if Decoder::ALL[decoder] == Decoder::Stream {
            // Good frames behind it, the last one cut now and then.
            for _ in 0..chance.below(4) {
                let next = pools[decoder].draw(&mut chance);
                input
                    .bytes
                    .extend(mutate::frame(next.kind, 1, &next.body, None));
            }
            if chance.below(4) == 0 {
                input.bytes.pop();
            }
        }
        let same_as = input.same_meaning.then_some(item);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            decoders::run(Decoder::ALL[decoder], &input.bytes, same_as, &mut chance)
        }));
        let outcome = match ran {
            Ok(Ok(outcome)) => outcome,
            broken => {
                let why = broken.map_or_else(
                    |_| anyhow!("panic"),
                    |result| result.err().unwrap_or_else(|| anyhow!("")),
                );
                let (decoder, mutation) = (Decoder::ALL[decoder], Mutation::ALL[mutation]);
                bail!("{decoder:?}, {mutation:?}: {why}\n{}", hex(&input.bytes));
            }
        };
        let line = counts.by_mutation.entry((decoder, mutation)).or_default();
        match outcome {
            Outcome::Taken => line.0 += 1,
            Outcome::Refused(name) => {
                line.1 += 1;
                *counts.errors.entry(name).or_default() += 1;
            }
        }
        let side = item.side;
        if pools[decoder].has_room()
            && let Some(find) = find(decoder, &input, side, outcome, &mut seen)
        {
            pools[decoder].items.push(find);
            counts.finds += 1;
        }
    }
    Ok(counts)
}

fn attack_token(tokens: &Tokens, counts: &mut Counts, chance: &mut Chance) -> Result<()> {
    let mutation = chance.below(tokens::Mutation::ALL.len() as u64) as usize;
    let (token, signed) = tokens.mutate(tokens::Mutation::ALL[mutation], chance);
    let ran = catch_unwind(AssertUnwindSafe(|| tokens.attack(&token, signed)));
    let outcome = ran.unwrap_or_else(|_| Err(anyhow!("panic")));
    let outcome =
        outcome.with_context(|| format!("{:?}: {token}", tokens::Mutation::ALL[mutation]))?;
    let line = counts.tokens.entry(mutation).or_default();
    match outcome {
        Outcome::Taken => line.0 += 1,
        Outcome::Refused(name) => {
            line.1 += 1;
            *counts.errors.entry(name).or_default() += 1;
        }
    }
    Ok(())
}

/// What one decoder's inputs are made of: its vectors, then what was found.
struct Pool {
    items: Vec<Item>,
    golden: usize,
}

impl Pool {
    fn new(decoder: Decoder, vectors: &[Item]) -> Self {
        let items: Vec<Item> = vectors
            .iter()
            .filter(|item| decoder.reads(item))
            .cloned()
            .collect();
        Self {
            golden: items.len(),
            items,
        }
    }

    /// Half of the time a vector, half anything.
    fn draw(&self, chance: &mut Chance) -> &Item {
        let bound = if chance.below(2) == 0 {
            self.golden
        } else {
            self.items.len()
        };
        &self.items[chance.below(bound as u64) as usize]
    }

    const fn has_room(&self) -> bool {
        self.items.len() < self.golden + FINDS_MAX
    }
}

/// Every second execution is for the server's decoder or the client's.
fn choose(chance: &mut Chance) -> usize {
    let bound = if chance.below(2) == 0 {
        2
    } else {
        Decoder::ALL.len()
    };
    chance.below(bound as u64) as usize
}

/// The input as a new vector, if its outcome was not seen before.
fn find(
    decoder: usize,
    input: &Input,
    side: Side,
    outcome: Outcome,
    seen: &mut HashSet<u64>,
) -> Option<Item> {
    if Decoder::ALL[decoder] == Decoder::Stream || input.bytes.len() > 2_000 {
        return None;
    }
    let kind = input
        .bytes
        .get(4..6)?
        .iter()
        .fold(0, |kind, byte| kind << 8 | u16::from(*byte));
    let item = Item::new(side, kind, input.bytes.get(10..)?.to_vec());
    let mut signature = item.structure();
    if let Outcome::Refused(name) = outcome {
        // One per error, kind and rough length: what is refused late is near to something.
        let (length, first) = (
            item.body.len().checked_ilog2().unwrap_or(0),
            *name.as_bytes().first()?,
        );
        signature = (name.len() as u64) << 48
            | u64::from(first) << 32
            | u64::from(kind) << 8
            | u64::from(length);
    }
    seen.insert(signature.rotate_left(8) ^ decoder as u64)
        .then_some(item)
}

/// Prints the table; the number of executions in it.
fn report(all: &[Counts]) -> Result<u64> {
    let mut total = 0;
    println!(
        "fuzz: taken/refused in thousands      {}",
        Decoder::ALL
            .iter()
            .map(|d| format!("{:>15}", format!("{d:?}")))
            .collect::<String>()
    );
    for (mutation, name) in Mutation::ALL.iter().enumerate() {
        let mut cells = String::new();
        for decoder in 0..Decoder::ALL.len() {
            let (mut taken, mut refused) = (0, 0);
            for counts in all {
                let (t, r) = counts
                    .by_mutation
                    .get(&(decoder, mutation))
                    .copied()
                    .unwrap_or_default();
                taken += t;
                refused += r;
            }
            ensure!(
                taken + refused > 0,
                "{name:?} never met {:?}",
                Decoder::ALL[decoder]
            );
            total += taken + refused;
            cells += &format!(
                "{:>15}",
                format!("{:.1}/{:.1}", taken as f64 / 1e3, refused as f64 / 1e3)
            );
        }
        println!("fuzz:   {:<29} {cells}", format!("{name:?}"));
    }
    for (mutation, name) in tokens::Mutation::ALL.iter().enumerate() {
        let lines = all.iter().filter_map(|counts| counts.tokens.get(&mutation));
        let (taken, refused) = lines.fold((0, 0), |sum, line| (sum.0 + line.0, sum.1 + line.1));
        ensure!(taken + refused > 0, "no token was made by {name:?}");
        total += taken + refused;
        let cell = format!("{:.1}/{:.1}", taken as f64 / 1e3, refused as f64 / 1e3);
        println!("fuzz:   {:<29} {cell:>15}", format!("token {name:?}"));
    }
    let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
    all.iter()
        .flat_map(|counts| &counts.errors)
        .for_each(|(name, count)| *errors.entry(name).or_default() += count);
    println!("fuzz: refused as {errors:?}");
    for name in [
        "truncated",
        "wrong type",
        "out of range",
        "too deep",
        "too many",
        "not UTF-8",
        "doubled field",
        "missing field",
        "trailing bytes",
        "frame too large",
        "frame too short",
        "frame cut",
        "token malformed",
        "token of an unknown key",
        "token of another algorithm",
        "token with crit",
        "token badly signed",
        "token of no user",
        "token expired",
        "token not yet valid",
    ] {
        ensure!(errors.contains_key(name), "nothing was refused as {name}");
    }
    Ok(total)
}

/// The largest address space this process ever had, in MiB.
fn address_space_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<u64>().ok());
    kib.map(|kib| kib / 1024)
        .ok_or_else(|| anyhow!("no VmPeak in /proc/self/status"))
}
