//! The Bevy side of `fireside bench frame`: the whole `Receive` set, observers included, and a system that reads every text.

use std::time::Instant;

use anyhow::Context;
use bevy::{
    MinimalPlugins,
    app::{App, PreUpdate},
    ecs::{prelude::*, schedule::SingleThreadedExecutor},
};
use bevy_fireside::{
    ChatClient, ConversationId, ConversationOf, FiresidePlugin, FrameBudget, Link, MessageReceived,
    OnScreen, TimelineChanged,
};
use fireside_tests::frame::{FramePlan, NO_BUDGET, Read, run};
use serde_json::json;

/// What the frame's system read.
#[derive(Clone, Copy, Debug, Default, Resource)]
struct Total(Read);

/// Ticks that must not allocate.
const IDLE_TICKS: u32 = 10_000;

pub(crate) fn child(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let plan = FramePlan::parse(arguments)?;
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, FiresidePlugin::default()))
        .init_resource::<Total>()
        .add_systems(
            PreUpdate,
            read.after(bevy_fireside::FiresideSystems::Receive),
        );
    // What is measured is the plugin, not how Bevy hands systems to threads: the whole `Receive` set is one system anyway.
    app.edit_schedule(PreUpdate, |schedule| {
        schedule.set_executor(SingleThreadedExecutor::new());
    });
    app.finish();
    app.cleanup();
    let settings = ChatClient::new(plan.server.clone(), plan.trust, plan.token.clone())
        .keeping(plan.user.clone(), plan.folder.clone());
    let budget = FrameBudget {
        events_max: NO_BUDGET.0,
        time_max: NO_BUDGET.1,
    };
    let entity = app.world_mut().spawn((settings, budget)).id();
    let client = (app.world().get::<Link>(entity).map(|link| link.0.clone()))
        .context("the client did not start")?;
    for id in plan.on_screen() {
        app.world_mut()
            .spawn((ConversationId::from(id), ConversationOf(entity), OnScreen));
    }
    let app = std::cell::RefCell::new(app);
    run(
        &plan,
        &client,
        || app.borrow_mut().update(),
        || {
            let mut app = app.borrow_mut();
            app.world_mut().resource_mut::<Total>().0 = Read::default();
            let begin = Instant::now();
            app.world_mut().run_schedule(PreUpdate);
            let us = begin.elapsed().as_secs_f64() * 1e6;
            (us, app.world().resource::<Total>().0)
        },
    )?;
    drop(client);
    idle(&mut app.borrow_mut());
    Ok(())
}

fn read(
    mut received: MessageReader<MessageReceived>,
    mut changed: MessageReader<TimelineChanged>,
    mut total: ResMut<Total>,
) {
    for message in received.read() {
        if let Some(text) = &message.text {
            total.0.message(text);
        }
    }
    for change in changed.read() {
        change.diffs.iter().for_each(|diff| total.0.change(diff));
    }
}

/// The `Receive` set of a frame in which nothing happens.
fn idle(app: &mut App) {
    for _ in 0..100 {
        app.world_mut().run_schedule(PreUpdate);
    }
    let counted = allocation_counter::measure(|| {
        for _ in 0..IDLE_TICKS {
            app.world_mut().run_schedule(PreUpdate);
        }
    });
    #[expect(clippy::print_stdout, reason = "the answer is a line")]
    {
        println!(
            "{}",
            json!({ "idle_frames": IDLE_TICKS, "allocations": counted.count_total })
        );
    }
}
