//! Load: groups whose members all receive what some of them send.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BytesMut};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    LoadArgs,
    frame::{ACK, Cutter, DELIVER, GROUP, check, fill, put_send},
    net::Net,
    pairs::Client,
    stats::{Times, micros, window},
};

/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Payloads of a sender whose readers are counted: a power of two above any number outstanding.
const COUNTED: usize = 256;

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) groups: u32,
    pub(crate) members: u32,
    pub(crate) senders: u32,
    pub(crate) outstanding: usize,
}

/// A sender's payloads under way: how many have each, and room for more.
#[derive(Debug)]
struct Sender {
    readers: Vec<AtomicU32>,
    room: Semaphore,
}

#[derive(Debug)]
struct Shared {
    shape: Shape,
    payload: usize,
    senders: Vec<Sender>,
    delivered: AtomicU64,
    complete: Times,
}

/// Deliveries a second. A sender goes on when all members have one of its payloads.
pub(crate) async fn load(net: &Net, load: LoadArgs, shape: Shape) -> anyhow::Result<Value> {
    let clients = net.clients(load.sockets)?;
    let senders = (0..shape.groups * shape.senders)
        .map(|_| Sender {
            readers: (0..COUNTED).map(|_| AtomicU32::new(0)).collect(),
            room: Semaphore::new(0),
        })
        .collect();
    let shared = Arc::new(Shared {
        shape,
        payload: load.payload,
        senders,
        delivered: AtomicU64::new(0),
        complete: Times::new()?,
    });
    let mut tasks = JoinSet::new();
    for index in 0..shape.groups * shape.members {
        let (group, member) = (index / shape.members + 1, index % shape.members);
        let client = Client::enter(&clients, &load, index + 1, group).await?;
        tasks.spawn(receive(client.recv, client.cutter, Arc::clone(&shared)));
        if member < shape.senders {
            let sender = (group - 1) * shape.senders + member;
            tasks.spawn(send(
                client.connection,
                client.send,
                group,
                sender as usize,
                Arc::clone(&shared),
            ));
        } else {
            let connection = client.connection;
            let stream = client.send;
            tasks.spawn(async move {
                let error = connection.closed().await;
                drop(stream);
                Err(error.into())
            });
        }
    }
    for sender in &shared.senders {
        sender.room.add_permits(shape.outstanding);
    }
    let clear = || shared.complete.clear();
    let measured = window(&load, clear, || shared.delivered.load(Ordering::Relaxed));
    let measured = tokio::select! {
        result = measured => result?,
        Some(ended) = tasks.join_next() => bail!("a client ended: {ended:?}"),
    };
    Ok(json!({
        "per_second": measured.per_second, "per_cpu_second": measured.per_cpu_second, "server_share": measured.server_share, "p50_ms": shared.complete.quantile_ms(0.5),
        "p99_ms": shared.complete.quantile_ms(0.99), "groups": shape.groups, "members": shape.members,
        "senders": shape.senders, "outstanding": shape.outstanding, "payload": load.payload,
    }))
}

async fn send(
    connection: quinn::Connection,
    mut stream: quinn::SendStream,
    group: u32,
    sender: usize,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let me = shared.senders.get(sender).context("no such sender")?;
    let mut body = vec![0; shared.payload];
    let mut out = BytesMut::new();
    let mut counter = 0u64;
    loop {
        let mut room = me.room.acquire().await?;
        while let Ok(more) = me.room.try_acquire() {
            room.merge(more);
        }
        let count = room.num_permits();
        room.forget();
        for _ in 0..count {
            counter += 1;
            fill(&mut body, micros(), counter, sender as u64);
            put_send(&mut out, GROUP | group, counter, &body);
        }
        stream.write_chunk(out.split().freeze()).await?;
        ensure!(connection.close_reason().is_none(), "closed");
    }
}

async fn receive(
    mut recv: quinn::RecvStream,
    mut cutter: Cutter,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let mut last = 0;
    loop {
        let chunk = recv.read_chunk(READ_BYTES, true).await?.context("closed")?;
        let before = last;
        cutter.cut(chunk.bytes, |kind, mut frame| {
            if kind == ACK {
                return Ok(());
            }
            ensure!(
                kind == DELIVER && frame.len() >= 16,
                "a frame of kind {kind}"
            );
            let (_sender, _target, sequence) = (frame.get_u32(), frame.get_u32(), frame.get_u64());
            let (stamp, counter, sender) = check(&frame, shared.payload)?;
            ensure!(last == 0 || sequence == last + 1, "{sequence} after {last}");
            last = sequence;
            let sender = shared
                .senders
                .get(sender as usize)
                .context("no such sender")?;
            let readers = sender
                .readers
                .get(counter as usize % COUNTED)
                .context("no such payload")?;
            if readers.fetch_add(1, Ordering::Relaxed) + 1 == shared.shape.members {
                readers.store(0, Ordering::Relaxed);
                shared.complete.record(micros() - stamp);
                sender.room.add_permits(1);
            }
            Ok(())
        })?;
        // The first number a reader gets may be any.
        let got = if before == 0 { 0 } else { last - before };
        shared.delivered.fetch_add(got, Ordering::Relaxed);
    }
}
