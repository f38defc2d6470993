//! Handshakes, and connections that do nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    LoadArgs,
    net::{Net, Tickets},
    stats::{Times, input_ended, micros, window},
};

/// Takes connections; a stream that is opened gets its first byte back and stays open.
pub(crate) async fn serve(net: &Net) -> anyhow::Result<Value> {
    let endpoint = net.server()?;
    let accept = async {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    drop(hold(&connection).await);
                }
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = input_ended() => {}
    }
    Ok(Value::Null)
}

async fn hold(connection: &quinn::Connection) -> anyhow::Result<()> {
    let (mut send, mut recv) = connection.accept_bi().await?;
    while let Some(chunk) = recv.read_chunk(1024, true).await? {
        send.write_chunk(chunk.bytes).await?;
    }
    Ok(())
}

/// Handshakes a second, each worker one after the other.
pub(crate) async fn handshakes(
    net: &Net,
    load: LoadArgs,
    resumed: bool,
    workers: usize,
) -> anyhow::Result<Value> {
    let endpoints = (0..load.sockets)
        .map(|_| net.client())
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (count, verified) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let times = Arc::new(Times::new()?);
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for worker in 0..workers {
        let endpoint = endpoints
            .get(worker % endpoints.len())
            .context("no socket")?
            .clone();
        let tickets = Arc::<Tickets>::default();
        let config = net.client_config(&tickets)?;
        let (count, verified, times) = (
            Arc::clone(&count),
            Arc::clone(&verified),
            Arc::clone(&times),
        );
        tasks.spawn(async move {
            loop {
                let began = micros();
                let connection = endpoint
                    .connect_with(config.clone(), load.connect, "localhost")?
                    .await?;
                times.record(micros() - began);
                if resumed {
                    while !tickets.any() {
                        tickets.came.notified().await;
                    }
                } else {
                    tickets.clear();
                }
                connection.close(0u32.into(), b"");
                verified.fetch_add(
                    tickets.verified.swap(0, Ordering::Relaxed),
                    Ordering::Relaxed,
                );
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let start = || {
        times.clear();
        verified.store(0, Ordering::Relaxed);
    };
    let measured = window(&load, start, || count.load(Ordering::Relaxed));
    let measured = tokio::select! {
        result = measured => result?,
        Some(ended) = tasks.join_next() => bail!("a worker ended: {ended:?}"),
    };
    let full = verified.load(Ordering::Relaxed);
    let allowed = measured.per_second * load.seconds / 50.0;
    ensure!(
        !resumed || full as f64 <= allowed,
        "{full} handshakes were full"
    );
    Ok(json!({
        "per_second": measured.per_second, "per_cpu_second": measured.per_cpu_second, "server_share": measured.server_share, "p50_ms": times.quantile_ms(0.5), "p99_ms": times.quantile_ms(0.99),
        "full": full, "workers": workers,
    }))
}

/// Opens connections with a stream each and holds them; says `{"connected":N}` when all are there.
#[expect(
    clippy::print_stdout,
    reason = "whoever started it measures from then on"
)]
pub(crate) async fn idle(net: &Net, load: LoadArgs, connections: usize) -> anyhow::Result<Value> {
    /// Handshakes at once: more only wait for each other.
    const AT_ONCE: usize = 64;
    let clients = Arc::new(net.clients(load.sockets)?);
    let began = Instant::now();
    let mut tasks: JoinSet<anyhow::Result<_>> = JoinSet::new();
    let mut held = Vec::with_capacity(connections);
    for index in 0..connections {
        if tasks.len() == AT_ONCE {
            held.push(tasks.join_next().await.context("no task")???);
        }
        let clients = Arc::clone(&clients);
        tasks.spawn(async move {
            let connection = clients.connect(index, load.connect).await?;
            let (mut send, mut recv) = connection.open_bi().await?;
            send.write_all(b"hello").await?;
            ensure!(recv.read_chunk(64, true).await?.is_some(), "closed");
            Ok((connection, send, recv))
        });
    }
    while let Some(connected) = tasks.join_next().await {
        held.push(connected??);
    }
    println!(
        "{}",
        json!({ "connected": held.len(), "seconds": began.elapsed().as_secs_f64() })
    );
    tokio::time::sleep(Duration::from_secs_f64(load.seconds)).await;
    let alive = held
        .iter()
        .filter(|(connection, ..)| connection.close_reason().is_none())
        .count();
    Ok(json!({ "alive": alive }))
}
