//! Twenty times the sustainable load and a log-in storm: memory stays flat, every refusal says when to come back, people who write to
//! each other hardly notice, nothing acknowledged is lost, and at the end the server is as fast as before.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use fireside_protocol::{
    Code, ConversationId, Nonce, UserId,
    frames::{CreateGroup, Join},
};

use super::Scale;
use crate::{
    chance::Chance,
    flood::{FloodPlan, FloodReport, Flooder},
    process::{Server, ServerPlan},
    wire::{self, Dialer, Outcome, Target, Wire, text_to},
};

/// The rates of a person are out of the way: the server must hold by itself. Everything else is as delivered.
const RATES: &str = "[limits]\nrate_direct_per_s = 1000000\nrate_group_per_s = 1000000\n\
                     rate_conversation_per_s = 1000000\nrate_requests_per_s = 1000000\n";
const FLOODERS: usize = 48;
/// Flooders of one group.
const GROUP: usize = 4;
/// Pairs of people who write to each other meanwhile, twice a second.
const PAIRS: usize = 10;
const WRITE_EVERY: Duration = Duration::from_millis(500);
const TIMES: u64 = 20;
const P99_LIMIT: Duration = Duration::from_secs(1);
/// Memory in the second half of the flood may be above that of the first half by this factor, and these bytes.
const MEMORY_FACTOR: f64 = 1.2;
const MEMORY_ROOM: u64 = 16 * 1024 * 1024;
/// And never above this, in bytes: all limits of the server added up for this many users.
const MEMORY_MAX: u64 = 384 * 1024 * 1024;
const MIB: f64 = 1024.0 * 1024.0;
/// Speed after the flood, of the speed before.
const BACK: f64 = 0.8;
/// The same in a slice, whose few seconds say little of speed: it must only be there again.
const BACK_SLICE: f64 = 0.1;
const STORM_USERS: usize = 64;

/// 60 s of it; a slice: 12 s.
///
/// # Errors
/// What did not hold.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let seconds = scale.pick(12, 60);
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    plan.settings = RATES.to_owned();
    let mut server = plan.start()?;
    let mut ground = Ground::open(&plan, &server, scale.seed).context("the people")?;

    let before = ground
        .flood(folder.path(), "before", 0, scale.pick(4, 8), Vec::new())?
        .join()?;
    // The first second warms up.
    let sustainable = before.acks_per_s(1, scale.pick(4, 8));
    let busy_bytes = server.memory_bytes()?;
    println!(
        "overload: sustainable {sustainable:.0} messages/s (closed, {FLOODERS} users in groups of {GROUP}); {:.0} MiB then",
        busy_bytes as f64 / MIB
    );
    let rate = (sustainable * TIMES as f64) as u64;
    let storm = ground.storm.clone();
    let talk = ground.talk(scale.seed)?;
    let flood = ground.flood(folder.path(), "flood", rate, seconds, storm)?;
    let memory = watch(&mut server, seconds)?;
    let during = flood.join()?;
    let talked = talk.stop()?;
    server.check()?;

    let after = ground
        .flood(folder.path(), "after", 0, 10, Vec::new())?
        .join()?;
    let back = after.acks_per_s(5, 10);
    tell(&during, &talked, &memory, seconds, rate);
    println!(
        "overload: afterwards {back:.0} messages/s within 10 s (before {sustainable:.0}); by the second {:?} (before {:?})",
        after.acked_in_second, before.acked_in_second
    );
    let lost = ground.lost(&[&before, &during, &after])?;
    println!(
        "overload: {} acknowledged messages looked up, {lost} lost",
        { before.acks() + during.acks() + after.acks() }
    );

    let peak = memory.iter().copied().max().unwrap_or_default();
    // It may be higher than before: queues are full up to their limits. It may not go on growing.
    let (first, last) = memory.split_at(memory.len() / 2);
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
    let allowed = (most(first) as f64 * MEMORY_FACTOR) as u64 + MEMORY_ROOM;
    let flat = most(last) <= allowed && peak <= MEMORY_MAX;
    ensure!(lost == 0, "{lost} acknowledged messages are lost");
    ensure!(
        talked.lost == 0,
        "{} messages between people are lost",
        talked.lost
    );
    let series: Vec<_> = memory
        .iter()
        .map(|bytes| (*bytes as f64 / MIB) as u64)
        .collect();
    ensure!(flat, "memory is not flat; MiB by the second: {series:?}");
    ensure!(
        during.refused_badly == 0,
        "{} refusals without retry_after",
        during.refused_badly
    );
    let badly = during.logins_refused_badly;
    ensure!(badly == 0, "{badly} log-ins were refused for good");
    ensure!(
        talked.p99 < P99_LIMIT,
        "direct messages' p99 was {:?}",
        talked.p99
    );
    ensure!(during.lost == 0, "{} flooders were cut off", during.lost);
    ensure!(
        back >= sustainable * scale.pick(BACK_SLICE, BACK),
        "still slow after 10 s: {back:.0}/s"
    );
    // Otherwise it was no overload.
    let planned = rate * seconds;
    ensure!(
        planned > 5 * during.acks(),
        "{planned} messages were no flood for this server"
    );
    Ok(())
}

fn tell(during: &FloodReport, talked: &Talked, memory: &[u64], seconds: u64, rate: u64) {
    let least = memory.iter().copied().min().unwrap_or_default() as f64 / MIB;
    let most = memory.iter().copied().max().unwrap_or_default() as f64 / MIB;
    println!(
        "overload: {seconds} s at {rate} messages/s planned: {} written, {} acknowledged, {} refused, all others held back by flow control; \
         memory {least:.0} to {most:.0} MiB",
        during.written,
        during.acks(),
        during.refusals(),
    );
    for (code, count) in &during.refused {
        println!(
            "overload:   {count} refused with {}",
            Code::from_number(*code).key()
        );
    }
    println!(
        "overload: log-in storm: {} welcome, {} refused until later, {} refused badly",
        during.logins, during.logins_refused, during.logins_refused_badly
    );
    println!(
        "overload: {} direct messages between {PAIRS} pairs meanwhile: p50 {:?}, p99 {:?}, worst {:?}; {} tried again",
        talked.count, talked.p50, talked.p99, talked.worst, talked.retries
    );
}

/// Memory once a second, while the flood lasts.
fn watch(server: &mut Server, seconds: u64) -> anyhow::Result<Vec<u64>> {
    let mut memory = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) {
        thread::sleep(Duration::from_secs(1));
        server.check()?;
        memory.push(server.memory_bytes()?);
    }
    Ok(memory)
}

struct Ground {
    target: Target,
    flooders: Vec<Flooder>,
    /// Tokens of who logs in and out.
    storm: Vec<String>,
    pairs: Vec<[(UserId, String); 2]>,
    seed: u64,
}

impl Ground {
    fn open(plan: &ServerPlan, server: &Server, seed: u64) -> anyhow::Result<Self> {
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        let mut chance = Chance::new(seed);
        let mut people = Vec::new();
        for n in 0..FLOODERS {
            let user = format!("flooder-{n}");
            people.push((
                UserId::new(&user)?,
                plan.token(&user)?,
                wire::device(&mut chance),
            ));
        }
        let mut flooders = Vec::new();
        for group in people.chunks(GROUP) {
            let conversation = runtime()?.block_on(make_group(target, group, &mut chance))?;
            flooders.extend(group.iter().map(|(_, token, device)| Flooder {
                token: token.clone(),
                device: *device,
                conversation,
            }));
        }
        let mut storm = Vec::new();
        for n in 0..STORM_USERS {
            storm.push(plan.token(&format!("storm-{n}"))?);
        }
        let mut pairs = Vec::new();
        for n in 0..PAIRS {
            let person = |side: &str| -> anyhow::Result<(UserId, String)> {
                let user = format!("{side}-{n}");
                Ok((UserId::new(&user)?, plan.token(&user)?))
            };
            pairs.push([person("left")?, person("right")?]);
        }
        Ok(Self {
            target,
            flooders,
            storm,
            pairs,
            seed,
        })
    }

    fn flood(
        &mut self,
        folder: &Path,
        name: &str,
        rate: u64,
        seconds: u64,
        storm: Vec<String>,
    ) -> anyhow::Result<crate::flood::Flooding> {
        self.seed += 1;
        let (target, flooders, seed) = (self.target, self.flooders.clone(), self.seed);
        FloodPlan {
            target,
            flooders,
            rate,
            seconds,
            storm,
            seed,
        }
        .start(folder, name)
    }

    /// People begin to write to each other.
    fn talk(&self, seed: u64) -> anyhow::Result<Talk> {
        let stop = Arc::new(AtomicBool::new(false));
        let (target, pairs, ended) = (self.target, self.pairs.clone(), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("talk".into())
            .spawn(move || runtime()?.block_on(talk(target, pairs, seed, ended)))?;
        Ok(Talk { stop, thread })
    }

    /// Acknowledged messages that the logs do not have under their numbers.
    fn lost(&self, reports: &[&FloodReport]) -> anyhow::Result<u64> {
        let acked = reports.iter().flat_map(|report| &report.acked);
        let mut wanted: HashMap<ConversationId, HashSet<(Nonce, u64)>> = HashMap::new();
        for (name, conversation, number) in acked {
            wanted
                .entry(*conversation)
                .or_default()
                .insert((*name, *number));
        }
        let mut numbers: HashMap<ConversationId, HashSet<u64>> = HashMap::new();
        let device = wire::device(&mut Chance::new(self.seed ^ 77));
        let mut lost = 0;
        let runtime = runtime()?;
        for flooder in &self.flooders {
            let conversation = flooder.conversation;
            if numbers.contains_key(&conversation) {
                continue;
            }
            let log = runtime.block_on(async {
                let dialer = Dialer::new(self.target)?;
                let (wire, _) = Wire::log_in(&dialer, &flooder.token, device).await?;
                let log = wire.whole_log(conversation).await;
                wire.close();
                log
            })?;
            let held: HashSet<u64> = log.items.iter().map(|item| item.sequence).collect();
            let wanted = wanted.remove(&conversation).unwrap_or_default();
            // A number twice among the acks would be two messages under one number.
            let distinct: HashSet<u64> = wanted.iter().map(|(_, number)| *number).collect();
            lost += (wanted.len() - distinct.len()) as u64;
            lost += distinct.difference(&held).count() as u64;
            numbers.insert(conversation, held);
        }
        Ok(lost)
    }
}

struct Talk {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<anyhow::Result<Talked>>,
}

impl Talk {
    fn stop(self) -> anyhow::Result<Talked> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the talk failed"))?
    }
}

#[derive(Default)]
struct Talked {
    count: usize,
    retries: u64,
    lost: u64,
    p50: Duration,
    p99: Duration,
    worst: Duration,
}

async fn talk(
    target: Target,
    pairs: Vec<[(UserId, String); 2]>,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Talked> {
    let mut chance = Chance::new(seed);
    let mut tasks = tokio::task::JoinSet::new();
    for pair in pairs {
        for (me, you) in [(0, 1), (1, 0)] {
            let ((user, token), peer) = (pair[me].clone(), pair[you].0.clone());
            let (mut chance, stop) = (chance.fork(), Arc::clone(&stop));
            let dialer = Dialer::new(target)?;
            let (wire, _) = Wire::log_in(&dialer, &token, wire::device(&mut chance)).await?;
            tasks.spawn(async move { write(wire, user, peer, chance, stop).await });
        }
    }
    let mut talked = Talked::default();
    let mut took = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (times, retries, lost) = done??;
        took.extend(times);
        talked.retries += retries;
        talked.lost += lost;
    }
    took.sort_unstable();
    ensure!(!took.is_empty(), "nobody wrote anything");
    talked.count = took.len();
    talked.p50 = took[took.len() / 2];
    talked.p99 = took[(took.len() * 99 / 100).min(took.len() - 1)];
    talked.worst = took[took.len() - 1];
    Ok(talked)
}

/// Writes twice a second until told to stop; the time of a message is until it is durable, tries included.
async fn write(
    wire: Wire,
    user: UserId,
    peer: UserId,
    mut chance: Chance,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Vec<Duration>, u64, u64)> {
    let mut ticks = tokio::time::interval(WRITE_EVERY);
    let (mut took, mut retries, mut numbers) = (Vec::new(), 0, HashSet::new());
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let (name, begin) = (wire::nonce(&mut chance), Instant::now());
        let text = format!("{user} to {peer}");
        loop {
            match wire.command(text_to(&user, &peer, &text, name)).await? {
                Outcome::Acked(ack) => {
                    numbers.insert(ack.sequence);
                    break;
                }
                Outcome::Refused(refused) => {
                    let code = refused.code();
                    ensure!(
                        code.retryable() && refused.retry_after_ms > 0,
                        "refused: {code:?}"
                    );
                    retries += 1;
                    tokio::time::sleep(Duration::from_millis(refused.retry_after_ms)).await;
                }
            }
        }
        took.push(begin.elapsed());
    }
    let log = wire.whole_log(ConversationId::direct(&user, &peer)).await?;
    let held: HashSet<u64> = log.items.iter().map(|item| item.sequence).collect();
    let lost = numbers.difference(&held).count() as u64;
    wire.close();
    Ok((took, retries, lost))
}

async fn make_group(
    target: Target,
    people: &[(UserId, String, fireside_protocol::DeviceId)],
    chance: &mut Chance,
) -> anyhow::Result<ConversationId> {
    let mut group = None;
    for (user, token, device) in people {
        let (wire, _) = Wire::log_in(&Dialer::new(target)?, token, *device).await?;
        match group {
            None => {
                let name = wire::nonce(chance);
                let create = CreateGroup {
                    nonce: name,
                    name: "flood".into(),
                    invite: people[1..].iter().map(|(user, ..)| user.clone()).collect(),
                    history_for_joiners: u64::MAX,
                    kind: None,
                    join: None,
                    ends: 0,
                    parent: None,
                    by_default: false,
                };
                wire.command(create).await?.ack()?;
                group = Some(ConversationId::made(user, name));
            }
            Some(conversation) => {
                let join = Join {
                    nonce: wire::nonce(chance),
                    conversation,
                    link: None,
                };
                wire.command(join).await?.ack()?;
            }
        }
        wire.close();
    }
    group.context("no group")
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}
