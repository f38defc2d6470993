//! Load: senders with a peer each, and one payload at a time between two clients.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    LoadArgs,
    frame::{ACK, Cutter, DELIVER, check, fill, put_hello, put_send},
    net::{Clients, Net},
    stats::{Times, micros, window},
};

/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection whose hello was answered.
#[derive(Debug)]
pub(crate) struct Client {
    /// Kept: dropping it ends the connection.
    pub(crate) connection: quinn::Connection,
    pub(crate) send: quinn::SendStream,
    pub(crate) recv: quinn::RecvStream,
    pub(crate) cutter: Cutter,
}

impl Client {
    /// Connects and says who it is.
    pub(crate) async fn enter(
        clients: &Clients,
        load: &LoadArgs,
        who: u32,
        group: u32,
    ) -> anyhow::Result<Self> {
        let connection = clients.connect(who as usize, load.connect).await?;
        let (mut send, mut recv) = connection.open_bi().await?;
        let mut out = BytesMut::new();
        put_hello(&mut out, who, group);
        send.write_chunk(out.freeze()).await?;
        let (mut cutter, mut in_) = (Cutter::default(), false);
        while !in_ {
            let chunk = recv.read_chunk(READ_BYTES, true).await?.context("closed")?;
            cutter.cut(chunk.bytes, |kind, _| {
                in_ |= kind == ACK;
                Ok(())
            })?;
        }
        Ok(Self {
            connection,
            send,
            recv,
            cutter,
        })
    }
}

/// Acknowledged payloads a second.
pub(crate) async fn load(
    net: &Net,
    load: LoadArgs,
    pairs: u32,
    outstanding: usize,
) -> anyhow::Result<Value> {
    let clients = net.clients(load.sockets)?;
    let (acked, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let times = Arc::new(Times::new()?);
    let mut tasks = JoinSet::new();
    for pair in 0..pairs {
        let (from, to) = (2 * pair + 1, 2 * pair + 2);
        let reader = Client::enter(&clients, &load, to, 0).await?;
        tasks.spawn(receive(reader, load.payload, Arc::clone(&received)));
        let writer = Client::enter(&clients, &load, from, 0).await?;
        tasks.spawn(send(
            writer,
            load.payload,
            to,
            outstanding,
            Arc::clone(&acked),
            Arc::clone(&times),
        ));
    }
    let measured = window(&load, || times.clear(), || acked.load(Ordering::Relaxed));
    let measured = tokio::select! {
        result = measured => result?,
        Some(ended) = tasks.join_next() => bail!("a client ended: {ended:?}"),
    };
    Ok(json!({
        "per_second": measured.per_second, "per_cpu_second": measured.per_cpu_second, "server_share": measured.server_share, "p50_ms": times.quantile_ms(0.5), "p99_ms": times.quantile_ms(0.99),
        "pairs": pairs, "outstanding": outstanding, "payload": load.payload, "received": received.load(Ordering::Relaxed),
    }))
}

async fn send(
    mut client: Client,
    payload: usize,
    to: u32,
    outstanding: usize,
    acked: Arc<AtomicU64>,
    times: Arc<Times>,
) -> anyhow::Result<()> {
    let mut body = vec![0; payload];
    let mut name = 0u64;
    let mut in_flight = VecDeque::with_capacity(outstanding);
    let mut out = BytesMut::new();
    loop {
        while in_flight.len() < outstanding {
            name += 1;
            let now = micros();
            fill(&mut body, now, name, u64::from(to));
            put_send(&mut out, to, name, &body);
            in_flight.push_back((name, now));
        }
        if !out.is_empty() {
            client.send.write_chunk(out.split().freeze()).await?;
        }
        let chunk = client
            .recv
            .read_chunk(READ_BYTES, true)
            .await?
            .context("closed")?;
        let mut got = 0;
        client.cutter.cut(chunk.bytes, |kind, mut frame| {
            ensure!(kind == ACK, "a frame of kind {kind}");
            let (first, at) = in_flight.pop_front().context("an answer to nothing")?;
            ensure!(frame.get_u64() == first, "answers out of order");
            times.record(micros() - at);
            got += 1;
            Ok(())
        })?;
        acked.fetch_add(got, Ordering::Relaxed);
    }
}

async fn receive(
    mut client: Client,
    payload: usize,
    received: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut last = 0;
    loop {
        let chunk = client
            .recv
            .read_chunk(READ_BYTES, true)
            .await?
            .context("closed")?;
        let before = last;
        client.cutter.cut(chunk.bytes, |kind, mut frame| {
            ensure!(
                kind == DELIVER && frame.len() >= 16,
                "a frame of kind {kind}"
            );
            let (_sender, _target, sequence) = (frame.get_u32(), frame.get_u32(), frame.get_u64());
            let (_, counter, _) = check(&frame, payload)?;
            ensure!(
                sequence == last + 1 && counter == sequence,
                "{sequence} ({counter}) after {last}"
            );
            last = sequence;
            Ok(())
        })?;
        received.fetch_add(last - before, Ordering::Relaxed);
    }
}

/// Time of one payload from one client to another at low load: each client on a thread of its own, as the product's are.
pub(crate) fn ping(net: &Net, load: &LoadArgs, pause: Duration) -> anyhow::Result<Value> {
    let times = Arc::new(Times::new()?);
    let (arrived, wait) = crossbeam_channel::bounded::<()>(1);
    let (ready, is_ready) = crossbeam_channel::bounded::<()>(1);
    let (total, payload) = (
        Duration::from_secs_f64(load.warm_up + load.seconds),
        load.payload,
    );
    std::thread::scope(|scope| {
        let (reader_times, writer_times) = (Arc::clone(&times), Arc::clone(&times));
        let reader = scope.spawn(move || -> anyhow::Result<()> {
            let (arrived, ready) = (arrived, ready);
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(async {
                    let mut client = Client::enter(&net.clients(1)?, load, 2, 0).await?;
                    ready.send(())?;
                    let mut ended = false;
                    while !ended {
                        let chunk = client
                            .recv
                            .read_chunk(READ_BYTES, true)
                            .await?
                            .context("closed")?;
                        client.cutter.cut(chunk.bytes, |kind, mut frame| {
                            ensure!(
                                kind == DELIVER && frame.len() >= 16,
                                "a frame of kind {kind}"
                            );
                            frame.advance(16);
                            let (stamp, counter, _) = check(&frame, payload)?;
                            reader_times.record(micros() - stamp);
                            ended |= counter == u64::MAX;
                            Ok(())
                        })?;
                        if arrived.send(()).is_err() {
                            break;
                        }
                    }
                    client.connection.close(0u32.into(), b"done");
                    Ok(())
                })
        });
        let writer = scope.spawn(move || -> anyhow::Result<()> {
            let (wait, is_ready) = (wait, is_ready);
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(async {
                    let mut client = Client::enter(&net.clients(1)?, load, 1, 0).await?;
                    let mut acks = client.recv;
                    tokio::spawn(async move {
                        while let Ok(Some(_)) = acks.read_chunk(READ_BYTES, true).await {}
                    });
                    tokio::task::spawn_blocking(move || {
                        is_ready.recv_timeout(Duration::from_secs(10))
                    })
                    .await??;
                    let mut body = vec![0; payload];
                    let (began, mut cleared, mut counter) = (Instant::now(), false, 0);
                    let mut ended = false;
                    while !ended {
                        if !cleared && began.elapsed().as_secs_f64() >= load.warm_up {
                            cleared = true;
                            writer_times.clear();
                        }
                        counter += 1;
                        ended = began.elapsed() >= total;
                        let name = if ended { u64::MAX } else { counter };
                        let mut out = BytesMut::new();
                        fill(&mut body, micros(), name, 1);
                        put_send(&mut out, 2, name, &body);
                        client.send.write_chunk(out.freeze()).await?;
                        // The reader is on another thread: this one must go on driving its connection.
                        let wait = wait.clone();
                        tokio::task::spawn_blocking(move || {
                            wait.recv_timeout(Duration::from_secs(10))
                        })
                        .await??;
                        tokio::time::sleep(pause).await;
                    }
                    client.connection.close(0u32.into(), b"done");
                    Ok(())
                })
        });
        for thread in [reader, writer] {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        Ok(
            json!({ "p50_ms": times.quantile_ms(0.5), "p99_ms": times.quantile_ms(0.99), "count": times.len() }),
        )
    })
}
