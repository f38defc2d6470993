//! Spawn, chat, despawn, many times over: no thread, no socket and no memory is left.

use std::{fs, time::Instant};

use anyhow::{Context, ensure};
use bevy::ecs::prelude::*;
use bevy_fireside::{Chat, ConnectionStatus, ConversationId, PrimaryClient, UserId};
use fireside_tests::process::ServerPlan;

use crate::stage::{Seen, Stage};

/// Memory may grow by this much over all rounds after the first tenth, in KiB: caches of the allocator, not something a round leaves.
const GROWTH_KIB_MAX: u64 = 6 * 1024;

/// What this process holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Held {
    threads: usize,
    files: usize,
    memory_kib: u64,
}

impl Held {
    fn now() -> anyhow::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = memory.and_then(|line| line.trim().strip_suffix("kB"));
        Ok(Self {
            threads: fs::read_dir("/proc/self/task")?.count(),
            files: fs::read_dir("/proc/self/fd")?.count(),
            memory_kib: memory.context("VmRSS")?.trim().parse()?,
        })
    }
}

pub(crate) fn run(plan: &mut ServerPlan, rounds: u32) -> anyhow::Result<()> {
    let server = plan.start()?;
    let mut stage = Stage::new();
    let bo = stage
        .world()
        .spawn(Stage::client(plan, &server, "bo")?)
        .id();
    stage.until("bo is online", |world| online(world, bo))?;
    let settings = Stage::client(plan, &server, "ada")?;
    let begin = Instant::now();
    let (mut first, mut warm) = (None, None);
    for round in 1..=rounds {
        let ada = stage.world().spawn((settings.clone(), PrimaryClient)).id();
        let text = format!("round {round}");
        let said = text.clone();
        // Before it is online: the outbox takes it.
        let user = UserId::new("bo")?;
        stage
            .act(move |mut chat: Chat| chat.whisper(&user, said.clone()))?
            .context("the whisper was not taken")?;
        stage.until("bo hears of the round", |world| {
            let seen = world.resource::<Seen>();
            seen.received
                .iter()
                .any(|message| message.client == bo && message.text.as_deref() == Some(&*text))
                && seen.sent.len() as u32 == round
        })?;
        stage.world().resource_mut::<Seen>().received.clear();
        stage.world().despawn(ada);
        stage.app.update();
        let held = Held::now()?;
        let before = *first.get_or_insert(held);
        ensure!(
            held.threads == before.threads && held.files == before.files,
            "round {round} left something: {held:?}, after the first round {before:?}"
        );
        if round == rounds.div_ceil(10) {
            warm = Some(held);
        }
    }
    let (held, warm) = (Held::now()?, warm.context("no rounds")?);
    let growth = held.memory_kib.saturating_sub(warm.memory_kib);
    ensure!(
        growth <= GROWTH_KIB_MAX,
        "memory grew by {growth} KiB over {rounds} rounds ({} to {} KiB)",
        warm.memory_kib,
        held.memory_kib
    );
    let conversations = stage
        .world()
        .query::<&ConversationId>()
        .iter(stage.app.world())
        .count();
    ensure!(
        conversations == 1,
        "{conversations} conversation entities are left; expected bo's one"
    );
    println!(
        "{rounds} rounds of spawn, chat, despawn in {:.1} s: {} threads and {} files before and after, memory {} to {} KiB",
        begin.elapsed().as_secs_f64(),
        held.threads,
        held.files,
        warm.memory_kib,
        held.memory_kib
    );
    Ok(())
}

fn online(world: &mut World, client: Entity) -> bool {
    world
        .get::<ConnectionStatus>(client)
        .is_some_and(ConnectionStatus::is_online)
}
