//! Acknowledged 1:1 messages a second: 100 pairs, 8 outstanding each, against the raw relay with group commit.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{
    ClientFrame, ConversationId, EntryKind, ServerFrame,
    frames::{Attention, Delivered},
    limits::RECEIPT_INTERVAL_MS,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bench::{
    BenchArgs,
    clock::{Times, Window, micros, window},
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{self, Clients, SOCKETS, Session},
    world::{self, Folder, Nonces},
};

/// Senders, each with a reader.
const PAIRS: usize = 100;
/// Unacknowledged messages of a sender: as many as a client may have in flight in a conversation.
const OUTSTANDING: usize = 8;

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let case = Case {
        bench: "durable",
        case: "1:1",
        unit: "messages/s",
        aim: Aim::AtLeast(0.6),
    };
    alternate(
        args,
        &[case],
        report,
        || ours(args, programs),
        || raw(args, programs),
    )
}

fn raw(args: &BenchArgs, programs: &Programs) -> anyhow::Result<Sample> {
    let folder = Folder::new()?;
    let plain = folder.path().join("plain");
    let sqlite =
        programs.raw_run(&["sqlite", "--seconds", "1", "--db", &plain.to_string_lossy()])?;
    let relay = folder.path().join("relay");
    let server = programs.raw_server(&["relay", "--db", &relay.to_string_lossy()])?;
    let (pairs, outstanding) = (PAIRS.to_string(), OUTSTANDING.to_string());
    let shape = ["--pairs", &pairs, "--outstanding", &outstanding];
    let mut found = programs.raw_load("pairs", &server, args.seconds, &shape)?;
    let value = found["per_second"].as_f64().context("no rate")?;
    found["sqlite_alone_per_second"] = sqlite["per_second"].clone();
    Ok(Sample {
        values: vec![value],
        more: found,
    })
}

fn ours(args: &BenchArgs, programs: &Programs) -> anyhow::Result<Sample> {
    let folder = Arc::new(Folder::new()?);
    let mut server = programs.serve(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(load(args, Arc::clone(&folder), &server));
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

#[derive(Debug)]
struct Counts {
    acked: AtomicU64,
    received: AtomicU64,
    times: Times,
}

async fn load(
    args: &BenchArgs,
    folder: Arc<Folder>,
    server: &Server,
) -> anyhow::Result<(Window, Value)> {
    let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
    let counts = Arc::new(Counts {
        acked: AtomicU64::new(0),
        received: AtomicU64::new(0),
        times: Times::new()?,
    });
    let mut tasks = JoinSet::new();
    for pair in 0..PAIRS {
        let (from, to) = (2 * pair, 2 * pair + 1);
        let reader = clients.enter(&folder, to).await?;
        tasks.spawn(receive(reader, Arc::clone(&counts)));
        let writer = clients.enter(&folder, from).await?;
        tasks.spawn(send(writer, from, to, Arc::clone(&counts)));
    }
    let rate = window(
        args.seconds,
        server,
        || counts.times.clear(),
        || counts.acked.load(Ordering::Relaxed),
    );
    let rate = tokio::select! {
        rate = rate => rate?,
        Some(ended) = tasks.join_next() => match ended {
            Ok(Err(error)) => return Err(error.context("a client ended")),
            other => bail!("a client ended: {other:?}"),
        },
    };
    let received = counts.received.load(Ordering::Relaxed);
    ensure!(received > 0, "nothing was delivered");
    let more = json!({
        "p50_ms": counts.times.quantile_ms(0.5), "p99_ms": counts.times.quantile_ms(0.99), "received": received,
        "acked": counts.acked.load(Ordering::Relaxed), "pairs": PAIRS, "outstanding": OUTSTANDING,
    });
    Ok((rate, more))
}

async fn send(
    mut session: Session,
    from: usize,
    to: usize,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let peer = world::user(to)?;
    let conversation = ConversationId::direct(&world::user(from)?, &peer);
    let mut nonces = Nonces::new()?;
    // The first message makes the conversation; then it is put on screen.
    let mut counter = 1;
    let text = wire::text(micros(), counter, from);
    let first = wire::message(nonces.next(), None, conversation, Some(peer.clone()), text);
    session.call(&first).await?;
    let attention = Attention {
        open: vec![conversation],
    };
    session.call(&ClientFrame::Attention(attention)).await?;
    let Session {
        connection: _connection,
        mut out,
        mut frames,
        ..
    } = session;
    let mut in_flight = VecDeque::with_capacity(OUTSTANDING);
    loop {
        while in_flight.len() < OUTSTANDING {
            counter += 1;
            let (nonce, now) = (nonces.next(), micros());
            let after = in_flight.back().map(|(_, _, nonce)| *nonce);
            let text = wire::text(now, counter, from);
            let request = out.put(&wire::message(
                nonce,
                after,
                conversation,
                Some(peer.clone()),
                text,
            ));
            in_flight.push_back((request, now, nonce));
        }
        out.flush().await?;
        let mut got = 0;
        frames
            .read(|request, frame| {
                match frame {
                    ServerFrame::Ack(ack) => {
                        let (first, at, nonce) =
                            in_flight.pop_front().context("an answer to nothing")?;
                        ensure!(
                            request == first && ack.nonce == nonce,
                            "answers out of order"
                        );
                        counts.times.record(micros() - at);
                        got += 1;
                    }
                    ServerFrame::Refused(refused) => {
                        bail!("refused: {} ({})", refused.text, refused.code)
                    }
                    // Receipts, own records.
                    _ => {}
                }
                Ok(())
            })
            .await?;
        counts.acked.fetch_add(got, Ordering::Relaxed);
    }
}

async fn receive(session: Session, counts: Arc<Counts>) -> anyhow::Result<()> {
    let Session {
        connection: _connection,
        mut out,
        mut frames,
        ..
    } = session;
    let (mut last, mut told) = (0, Instant::now());
    loop {
        let before = last;
        let mut conversation = None;
        frames
            .read(|_, frame| {
                match frame {
                    ServerFrame::Entry(entry) if entry.kind == EntryKind::Message => {
                        let (_, counter, _) = wire::check_text(&entry.content)?;
                        ensure!(entry.sequence > last, "{} after {last}", entry.sequence);
                        // The conversation's first entry says that it was made.
                        ensure!(
                            last == 0 || entry.sequence == last + 1,
                            "{} after {last}",
                            entry.sequence
                        );
                        ensure!(
                            counter <= entry.sequence,
                            "message {counter} at {}",
                            entry.sequence
                        );
                        last = entry.sequence;
                        conversation = Some(entry.conversation);
                    }
                    ServerFrame::Head(head) if last > 0 && head.last > last => {
                        bail!("a reader fell behind at {last}, head {}", head.last)
                    }
                    _ => {}
                }
                Ok(())
            })
            .await?;
        counts.received.fetch_add(last - before, Ordering::Relaxed);
        if let Some(conversation) = conversation
            && told.elapsed() >= Duration::from_millis(RECEIPT_INTERVAL_MS)
        {
            told = Instant::now();
            out.put_silent(&ClientFrame::Delivered(Delivered {
                conversation,
                upto: last,
            }));
            out.flush().await?;
        }
    }
}
