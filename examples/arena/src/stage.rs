//! What a window and a script have in common: the server, the cast, the player's client, and when it all ends.

use std::time::{Duration, Instant};

use anyhow::Context;
use bevy::{app::AppExit, prelude::*};
use bevy_fireside::{
    Chat, ChatClient, FiresidePlugin, MemoryModeEntered, PrimaryClient, TokenExpiring, UserId,
    prelude::Trust,
};

use crate::{
    args::Args,
    cast::{self, Cast},
    chat::rooms,
    fonts::ManyScripts,
    host::{self, Host, ServerState},
    out::say,
    speech,
};

/// The local player.
#[derive(Debug, Resource)]
pub(crate) struct Me {
    /// Who.
    pub(crate) user: UserId,
    /// The entity with the chat client.
    pub(crate) client: Entity,
}

/// What the arena was started with.
#[derive(Debug, Resource)]
pub(crate) struct Plan(pub(crate) Args);

/// When the process started, and when it is to end.
#[derive(Debug, Resource)]
struct End {
    started: Instant,
    after: Option<Duration>,
}

/// Puts all of it into an app, with a window or without.
pub(crate) fn plugin(app: &mut App, args: &Args) {
    app.insert_resource(Plan(args.clone()))
        .insert_resource(End {
            started: Instant::now(),
            after: args.seconds.map(Duration::from_secs),
        })
        .insert_resource(ServerState::Running)
        .init_resource::<ManyScripts>()
        // The client is spawned below, once there is a server to connect to.
        .add_plugins((FiresidePlugin::default(), rooms::plugin, speech::plugin))
        .add_systems(PreStartup, open)
        .add_systems(Update, (host::follow, end_in_time))
        .add_observer(renew_token)
        .add_observer(warn_of_memory);
}

/// Starts the server, logs everybody in.
fn open(world: &mut World) {
    if let Err(error) = try_open(world) {
        // Nothing is there yet that would have to be put away.
        eprintln!("arena: {error:#}");
        std::process::exit(1);
    }
}

fn try_open(world: &mut World) -> anyhow::Result<()> {
    let args = world.resource::<Plan>().0.clone();
    let host = Host::start(args.data.as_deref())?;
    let token = host::sign(&host.keys(), &args.name)?;
    say!(
        "A server on {} (QUIC), its data in {}. You are {}.",
        host.address,
        host.folder().display(),
        args.name
    );
    let client = ChatClient {
        agent: concat!("arena/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..ChatClient::new(
            host.address.to_string(),
            Trust::Pinned(host.fingerprint),
            token,
        )
    };
    let client = client.keeping(args.name.clone(), host.folder().join("players"));
    let client = world.spawn((client, PrimaryClient)).id();
    let cast = Cast::start(cast::Plan {
        address: host.address,
        fingerprint: host.fingerprint,
        keys: host.keys(),
        folder: host.folder().to_owned(),
        player: args.name.clone(),
        many_scripts: world.resource::<ManyScripts>().0.clone(),
        history: args.history,
    });
    world.insert_resource(cast.context("the cast can not log in")?);
    world.insert_resource(host);
    world.insert_resource(Me {
        user: args.name,
        client,
    });
    Ok(())
}

/// Tokens end; the connection stays.
fn renew_token(
    expiring: On<TokenExpiring>,
    mut chat: Chat,
    host: Res<Host>,
    me: Res<Me>,
) -> Result {
    let token = host::sign(&host.keys(), &me.user).map_err(|error| error.to_string())?;
    chat.on(expiring.client)?.set_token(token)?;
    Ok(())
}

fn warn_of_memory(entered: On<MemoryModeEntered>) {
    warn!(
        "unsent messages will not survive this process: {}",
        entered.reason
    );
}

fn end_in_time(end: Res<End>, mut exit: MessageWriter<AppExit>) {
    if end
        .after
        .is_some_and(|after| end.started.elapsed() >= after)
    {
        exit.write(AppExit::Success);
    }
}
