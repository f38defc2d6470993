//! Memory and processor time of connections that do nothing: logged in, three conversations each, keep-alives on.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use fireside_protocol::ConversationId;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{
    BenchArgs,
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{self, Clients, SOCKETS, Session},
    world::{self, Folder, Nonces},
};

/// Log-ins at once: more only wait for each other.
const AT_ONCE: usize = 64;

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = Arc::new(Folder::new()?);
    prepare(args, programs, &folder)?;
    let cases = [
        Case {
            bench: "idle",
            case: "memory",
            unit: "KiB/connection",
            aim: Aim::AtMost(1.3),
        },
        Case {
            bench: "idle",
            case: "cpu",
            unit: "ms/s per 1000",
            aim: Aim::None,
        },
    ];
    alternate(
        args,
        &cases,
        report,
        || ours(args, programs, &folder),
        || raw(args, programs),
    )
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}

/// Gives every user three direct conversations, in an earlier life of the server: what making them costs is not measured.
fn prepare(args: &BenchArgs, programs: &Programs, folder: &Arc<Folder>) -> anyhow::Result<()> {
    let mut server = programs.serve(folder)?;
    let runtime = runtime()?;
    let result = runtime.block_on(async {
        let clients = Arc::new(Clients::new(server.address, SOCKETS, &Arc::default())?);
        clients
            .enter(folder, 0)
            .await?
            .connection
            .close(0u32.into(), b"");
        let users = args.connections;
        let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
        for index in 0..users {
            if tasks.len() == AT_ONCE {
                tasks.join_next().await.context("no task")???;
            }
            let (clients, folder) = (Arc::clone(&clients), Arc::clone(folder));
            tasks.spawn(async move {
                let mut session = clients.enter(&folder, index).await?;
                // One from the left, one to the right, one across.
                let right = (index + 1) % users;
                let across = (index < users / 2).then_some(index + users / 2);
                for peer in [Some(right), across].into_iter().flatten() {
                    first_message(&mut session, index, peer).await?;
                }
                session.connection.close(0u32.into(), b"");
                Ok(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    });
    runtime.shutdown_background();
    server.check()?;
    result.context("preparing the conversations")
}

async fn first_message(session: &mut Session, from: usize, to: usize) -> anyhow::Result<()> {
    let (me, peer) = (world::user(from)?, world::user(to)?);
    let conversation = ConversationId::direct(&me, &peer);
    let text = wire::text(0, 0, from);
    let nonce = Nonces::new()?.next();
    session
        .call(&wire::message(nonce, None, conversation, Some(peer), text))
        .await?;
    Ok(())
}

/// Memory a connection and processor time, from before the connections to after the wait.
#[derive(Debug)]
struct Watch {
    memory_before: f64,
    cpu_before: f64,
}

impl Watch {
    fn before(server: &Server) -> anyhow::Result<Self> {
        Ok(Self {
            memory_before: server.memory()?,
            cpu_before: 0.0,
        })
    }

    fn sample(self, server: &Server, args: &BenchArgs, mut more: Value) -> anyhow::Result<Sample> {
        let connections = args.connections as f64;
        let memory = (server.memory()? - self.memory_before) / connections / 1024.0;
        let cpu_ms = (server.cpu()? - self.cpu_before) * 1e3;
        more["memory_before_mib"] = json!(self.memory_before / 1024.0 / 1024.0);
        more["connections"] = json!(args.connections);
        more["seconds"] = json!(args.idle_seconds);
        Ok(Sample {
            values: vec![memory, cpu_ms / args.idle_seconds / (connections / 1e3)],
            more,
        })
    }
}

fn raw(args: &BenchArgs, programs: &Programs) -> anyhow::Result<Sample> {
    let server = programs.raw_server(&["accept"])?;
    let mut watch = Watch::before(&server)?;
    let (address, connections) = (server.address.to_string(), args.connections.to_string());
    // Ended by us when we have looked.
    let seconds = (args.idle_seconds + 60.0).to_string();
    let arguments = [
        "idle",
        "--connect",
        &address,
        "--connections",
        &connections,
        "--seconds",
        &seconds,
    ];
    let mut load = programs.raw_load_started(&arguments)?;
    let more = load.line()?;
    watch.cpu_before = server.cpu()?;
    std::thread::sleep(Duration::from_secs_f64(args.idle_seconds));
    watch.sample(&server, args, more)
}

fn ours(args: &BenchArgs, programs: &Programs, folder: &Arc<Folder>) -> anyhow::Result<Sample> {
    let mut server = programs.serve(folder)?;
    let runtime = runtime()?;
    let result = runtime.block_on(hold(args, folder, &server));
    runtime.shutdown_background();
    server.check()?;
    result
}

async fn hold(args: &BenchArgs, folder: &Arc<Folder>, server: &Server) -> anyhow::Result<Sample> {
    let clients = Arc::new(Clients::new(server.address, SOCKETS, &Arc::default())?);
    // One log-in first: what the process allocates once is not a connection's.
    clients
        .enter(folder, 0)
        .await?
        .connection
        .close(0u32.into(), b"");
    let mut watch = Watch::before(server)?;
    let began = std::time::Instant::now();
    let mut tasks: JoinSet<anyhow::Result<Session>> = JoinSet::new();
    let mut held = Vec::with_capacity(args.connections);
    for index in 0..args.connections {
        if tasks.len() == AT_ONCE {
            held.push(tasks.join_next().await.context("no task")???);
        }
        let (clients, folder) = (Arc::clone(&clients), Arc::clone(folder));
        tasks.spawn(async move { clients.enter(&folder, index).await });
    }
    while let Some(entered) = tasks.join_next().await {
        held.push(entered??);
    }
    let took = began.elapsed().as_secs_f64();
    watch.cpu_before = server.cpu()?;
    tokio::time::sleep(Duration::from_secs_f64(args.idle_seconds)).await;
    let sample = watch.sample(
        server,
        args,
        json!({ "connected": held.len(), "seconds_to_connect": took }),
    )?;
    let gone = held
        .iter()
        .filter(|session| session.connection.close_reason().is_some())
        .count();
    ensure!(gone == 0, "{gone} of {} connections are gone", held.len());
    Ok(sample)
}
