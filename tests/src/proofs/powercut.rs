//! Power cuts: the server is killed at random moments and everything it had not fsynced is undone, wholly or in part. What it had
//! acknowledged, or told anybody, is there afterwards, once, under the same number.

use std::{
    ffi::OsString,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use super::Scale;
use crate::{
    chance::Chance,
    disk::integrity_check,
    load::Load,
    powercut::{Damage, Loss, PowerCut},
    process::ServerPlan,
};

const USERS: usize = 6;
const PEERS: usize = 3;
/// The debug switch that makes the store forget to sync.
const SYNC_OFF: &str = "[store]\nsynchronous_off = true\n";
/// The load is not to be slowed by the rates of a person.
const RATES: &str = "[limits]\nrate_direct_per_s = 10000\nrate_group_per_s = 10000\n\
                     rate_conversation_per_s = 10000\nrate_requests_per_s = 10000\n";
/// What must be said of a server that does not sync; another error is no proof.
const FOUND_OUT: &[&str] = &[
    "LOST",
    "was acked as",
    "integrity_check",
    "malformed",
    "not a database",
    // The group whose making was acknowledged is gone.
    "refused for good with NotFound",
];
/// Cuts within which a server that does not sync must have been found out.
const CUTS_TO_FIND: u32 = 30;

/// 100 cuts without a loss; then a server that does not sync, which must lose something.
///
/// # Errors
/// The first broken promise, or a server that cheats and is not found out.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let cuts = scale.pick(12, 100);
    let mut chance = Chance::new(scale.seed);
    let total = survive(cuts, &mut chance, false)?;
    println!("powercut: {cuts} cuts: {total}");
    ensure!(
        total.sum.unsynced > 0,
        "no cut found anything unsynced: nothing was proved"
    );
    ensure!(
        total.sum.sectors_undone > 0 && total.sum.torn > 0,
        "no write was undone or torn"
    );

    match survive(CUTS_TO_FIND, &mut chance, true) {
        Ok(_) => bail!("a server that never syncs was not found out in {CUTS_TO_FIND} cuts"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(
                FOUND_OUT.iter().any(|word| text.contains(word)),
                "with synchronous=OFF: {text}"
            );
            let last = text.rsplit(": ").take(2).collect::<Vec<_>>().join(" < ");
            println!("powercut: with synchronous=OFF found out: {last}");
        }
    }
    Ok(())
}

#[derive(Default)]
struct Total {
    sum: Damage,
    early: u32,
    /// Of those, killed before they loaded the library.
    unborn: u32,
    whole: u32,
    acked: u64,
    heard: u64,
    messages: u64,
    integrity: u32,
    seconds_up: f64,
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Damage {
            writes,
            unsynced,
            sectors_undone,
            sectors_kept,
            torn,
            resized,
            names_undone,
        } = self.sum;
        write!(
            f,
            "{} whole, {} while starting ({} before the first instruction); {:.0} s of load; {} messages acknowledged, {} heard by others, {} in the logs; \
             {writes} writes, {unsynced} unsynced; {sectors_undone} sectors undone, {sectors_kept} kept, {torn} writes torn, \
             {resized} files resized, {names_undone} names undone; integrity_check clean {} times",
            self.whole,
            self.early,
            self.unborn,
            self.seconds_up,
            self.acked,
            self.heard,
            self.messages,
            self.integrity
        )
    }
}

fn survive(cuts: u32, chance: &mut Chance, sync_off: bool) -> anyhow::Result<Total> {
    let temporary = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(temporary.path());
    let power = PowerCut::prepare(&plan.data, &temporary.path().join("power"))?;
    for (key, value) in power.environment() {
        plan.environment
            .push((OsString::from(key), value.into_os_string()));
    }
    plan.settings = RATES.to_owned() + if sync_off { SYNC_OFF } else { "" };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut run = Run {
        plan,
        power,
        scratch: temporary.path().join("copy"),
        total: Total::default(),
    };
    let outcome = runtime.block_on(run.all(cuts, chance));
    let tail = run.plan.log_tail();
    outcome.with_context(|| tail)?;
    Ok(run.total)
}

struct Run {
    plan: ServerPlan,
    power: PowerCut,
    scratch: PathBuf,
    total: Total,
}

impl Run {
    async fn all(&mut self, cuts: u32, chance: &mut Chance) -> anyhow::Result<()> {
        // The first life is cut like the others, but the users' tokens need its keys.
        let mut server = self.plan.start()?;
        let certificate = server.fingerprint();
        let mut load = Load::new(&self.plan, USERS, PEERS, chance.next())?;
        let mut wires = load.connect(&server).await?;
        load.make_group(&wires).await?;
        for cut in 1..=cuts {
            let begun = Instant::now();
            let tasks = load.run(&wires);
            tokio::time::sleep(Duration::from_millis(chance.between(20, 900))).await;
            server.check()?;
            server.kill()?;
            self.total.seconds_up += begun.elapsed().as_secs_f64();
            // A killed server says nothing: without this everybody would wait for the idle timeout.
            wires.iter().for_each(|wire| wire.close());
            // What had come is read before the log is looked at.
            tasks.join_all().await;
            self.cut(chance).with_context(|| format!("cut {cut}"))?;
            if chance.happens(0.15) {
                self.cut_while_starting(chance)
                    .with_context(|| format!("cut {cut}"))?;
            }
            server = self
                .plan
                .start()
                .with_context(|| format!("after cut {cut}"))?;
            ensure!(
                server.fingerprint() == certificate,
                "cut {cut}: another certificate"
            );
            wires = load.connect(&server).await?;
            load.settle(&wires).await?;
            let checked = load
                .check(&wires, cut % 10 == 0 || cut == cuts)
                .await
                .with_context(|| format!("cut {cut}"))?;
            self.total.messages = checked.messages;
        }
        (_, self.total.acked, self.total.heard) = load.counts();
        Ok(())
    }

    fn cut(&mut self, chance: &mut Chance) -> anyhow::Result<()> {
        let loss = if chance.happens(0.4) {
            Loss::Everything
        } else {
            Loss::Part
        };
        self.total.whole += u32::from(loss == Loss::Everything);
        let damage = self.power.cut(loss, chance)?;
        self.total.sum.add(&damage);
        self.total.integrity += integrity_check(&self.plan.data, &self.scratch)?;
        Ok(())
    }

    /// Killed again while it recovers.
    fn cut_while_starting(&mut self, chance: &mut Chance) -> anyhow::Result<()> {
        self.plan
            .start_and_kill(Duration::from_millis(chance.between(1, 150)))?;
        self.total.early += 1;
        // Killed before its loader was done: there is nothing to undo.
        if !self.power.has_journal() {
            self.total.unborn += 1;
            return Ok(());
        }
        self.cut(chance)
    }
}

impl Damage {
    fn add(&mut self, other: &Self) {
        self.writes += other.writes;
        self.unsynced += other.unsynced;
        self.sectors_undone += other.sectors_undone;
        self.sectors_kept += other.sectors_kept;
        self.torn += other.torn;
        self.resized += other.resized;
        self.names_undone += other.names_undone;
    }
}
