//! Log-ins a second against raw handshakes: full, and resumed with a ticket and the resume secret of the log-in before.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{
    BenchArgs,
    clock::{Times, Window, micros, window},
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{self, Clients, SOCKETS, Session, Tickets},
    world::Folder,
};

/// Log-ins at once, each by a user of its own.
const WORKERS: usize = 32;

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (case, resumed) in [("full", false), ("resumed", true)] {
        let case = Case {
            bench: "login",
            case,
            unit: "log-ins/s",
            aim: Aim::AtLeast(0.7),
        };
        alternate(
            args,
            &[case],
            report,
            || ours(args, programs, resumed),
            || raw(args, programs, resumed),
        )?;
    }
    Ok(())
}

fn raw(args: &BenchArgs, programs: &Programs, resumed: bool) -> anyhow::Result<Sample> {
    let server = programs.raw_server(&["accept"])?;
    let workers = WORKERS.to_string();
    let mut shape = vec!["--workers", &workers];
    if resumed {
        shape.push("--resumed");
    }
    let found = programs.raw_load("handshakes", &server, args.seconds, &shape)?;
    Ok(Sample {
        values: vec![found["per_second"].as_f64().context("no rate")?],
        more: found,
    })
}

fn ours(args: &BenchArgs, programs: &Programs, resumed: bool) -> anyhow::Result<Sample> {
    let folder = Arc::new(Folder::new()?);
    let mut server = programs.serve(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(load(args, folder, &server, resumed));
    runtime.shutdown_background();
    server.check()?;
    let (rate, mut more) = result?;
    more["per_cpu_second"] = json!(rate.per_cpu_second);
    more["server_share"] = json!(rate.server_share);
    Ok(Sample {
        values: vec![rate.per_second],
        more,
    })
}

async fn load(
    args: &BenchArgs,
    folder: Arc<Folder>,
    server: &Server,
    resumed: bool,
) -> anyhow::Result<(Window, Value)> {
    let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
    clients
        .enter(&folder, WORKERS)
        .await?
        .connection
        .close(0u32.into(), b"");
    let (count, full) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let times = Arc::new(Times::new()?);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for worker in 0..WORKERS {
        let tickets = Arc::<Tickets>::default();
        let clients = clients.with_tickets(&tickets)?;
        let (folder, count, full, times) = (
            Arc::clone(&folder),
            Arc::clone(&count),
            Arc::clone(&full),
            Arc::clone(&times),
        );
        tasks.spawn(async move {
            let hello = wire::hello(&folder, worker)?;
            let mut secret = None;
            loop {
                let began = micros();
                let connection = clients.connect(worker).await?;
                let first = match secret.take() {
                    Some(secret) if resumed => wire::resume(secret, worker),
                    _ => hello.clone(),
                };
                let session = Session::log_in(connection, &first).await?;
                times.record(micros() - began);
                secret = Some(session.welcome.resume_secret);
                if resumed {
                    while !tickets.any() {
                        tickets.came.notified().await;
                    }
                } else {
                    tickets.clear();
                }
                session.connection.close(0u32.into(), b"");
                full.fetch_add(
                    tickets.verified.swap(0, Ordering::Relaxed),
                    Ordering::Relaxed,
                );
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let start = || {
        times.clear();
        full.store(0, Ordering::Relaxed);
    };
    let rate = tokio::select! {
        rate = window(args.seconds, server, start, || count.load(Ordering::Relaxed)) => rate?,
        Some(ended) = tasks.join_next() => match ended {
            Ok(Err(error)) => return Err(error.context("a log-in failed")),
            other => bail!("a log-in failed: {other:?}"),
        },
    };
    let (full, all) = (full.load(Ordering::Relaxed), rate.per_second * args.seconds);
    ensure!(
        !resumed || full as f64 <= all / 100.0,
        "{full} of {all} handshakes were full"
    );
    let more = json!({
        "p50_ms": times.quantile_ms(0.5), "p99_ms": times.quantile_ms(0.99), "workers": WORKERS, "full": full,
    });
    Ok((rate, more))
}
