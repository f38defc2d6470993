//! Deliveries a second: 5 groups of 200 all open, and one of 1,000, against the raw relay. Every delivery is decoded and checked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{
    ClientFrame, ConversationId, Entry, EntryKind, ServerFrame, UserId,
    frames::{Attention, CreateGroup, Invite, Join},
    limits::INVITES_PER_REQUEST_MAX,
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::bench::{
    BenchArgs,
    clock::{Times, Window, micros, window},
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{self, Clients, Frames, Out, SOCKETS, Session},
    world::{self, Folder, Nonces},
};

/// How many of what.
#[derive(Clone, Copy, Debug)]
struct Shape {
    groups: usize,
    members: usize,
    senders: usize,
    outstanding: usize,
}

/// Joins at once: their entries reach the members that are in already.
const JOINS_AT_ONCE: usize = 4;
/// Messages of a sender whose readers are counted: above any number outstanding.
const COUNTED: usize = 256;

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let shapes = [
        (
            "5 x 200",
            Shape {
                groups: 5,
                members: 200,
                senders: 8,
                outstanding: 8,
            },
        ),
        (
            "1 x 1000",
            Shape {
                groups: 1,
                members: 1_000,
                senders: 8,
                outstanding: 8,
            },
        ),
    ];
    for (case, shape) in shapes {
        let case = Case {
            bench: "fanout",
            case,
            unit: "deliveries/s",
            aim: Aim::AtLeast(0.6),
        };
        alternate(
            args,
            &[case],
            report,
            || ours(args, programs, shape),
            || raw(args, programs, shape),
        )?;
    }
    Ok(())
}

fn raw(args: &BenchArgs, programs: &Programs, shape: Shape) -> anyhow::Result<Sample> {
    let server = programs.raw_server(&["relay"])?;
    let numbers = [
        shape.groups,
        shape.members,
        shape.senders,
        shape.outstanding,
    ]
    .map(|number| number.to_string());
    let [groups, members, senders, outstanding] = &numbers;
    let shape = [
        "--groups",
        groups,
        "--members",
        members,
        "--senders",
        senders,
        "--outstanding",
        outstanding,
    ];
    let found = programs.raw_load("groups", &server, args.seconds, &shape)?;
    Ok(Sample {
        values: vec![found["per_second"].as_f64().context("no rate")?],
        more: found,
    })
}

fn ours(args: &BenchArgs, programs: &Programs, shape: Shape) -> anyhow::Result<Sample> {
    let folder = Folder::new()?;
    let mut server = programs.serve(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(load(args, &folder, &server, shape));
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

/// A sender's messages under way: how many have each, and room for more.
#[derive(Debug)]
struct Sender {
    readers: Vec<AtomicU32>,
    room: Semaphore,
}

#[derive(Debug)]
struct Shared {
    shape: Shape,
    senders: Vec<Sender>,
    /// All have joined: from now on nothing may be missing.
    running: AtomicBool,
    delivered: AtomicU64,
    complete: Times,
}

async fn load(
    args: &BenchArgs,
    folder: &Folder,
    server: &Server,
    shape: Shape,
) -> anyhow::Result<(Window, Value)> {
    let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
    let senders = (0..shape.groups * shape.senders)
        .map(|_| Sender {
            readers: (0..COUNTED).map(|_| AtomicU32::new(0)).collect(),
            room: Semaphore::new(0),
        })
        .collect();
    let shared = Arc::new(Shared {
        shape,
        senders,
        running: AtomicBool::new(false),
        delivered: AtomicU64::new(0),
        complete: Times::new()?,
    });
    let joining = Arc::new(Semaphore::new(JOINS_AT_ONCE));
    let joined = Arc::new(Semaphore::new(0));
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for group in 0..shape.groups {
        let first = group * shape.members;
        let mut owner = Some(clients.enter(folder, first).await?);
        let conversation = create(&mut owner, first, shape.members).await?;
        for member in 0..shape.members {
            let index = first + member;
            let session = match owner.take() {
                Some(owner) => owner,
                None => clients.enter(folder, index).await?,
            };
            let (joining, joined) = (Arc::clone(&joining), Arc::clone(&joined));
            let sender = (member < shape.senders).then_some(group * shape.senders + member);
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                take_part(
                    session,
                    conversation,
                    member > 0,
                    sender,
                    joining,
                    joined,
                    shared,
                )
                .await
            });
        }
    }
    let everybody = u32::try_from(shape.groups * shape.members)?;
    tokio::select! {
        all = joined.acquire_many(everybody) => drop(all?),
        Some(ended) = tasks.join_next() => ended.context("a client panicked")?.context("a client ended")?,
    }
    shared.running.store(true, Ordering::Relaxed);
    for sender in &shared.senders {
        sender.room.add_permits(shape.outstanding);
    }
    let rate = window(
        args.seconds,
        server,
        || shared.complete.clear(),
        || shared.delivered.load(Ordering::Relaxed),
    );
    let rate = tokio::select! {
        rate = rate => rate?,
        Some(ended) = tasks.join_next() => match ended {
            Ok(Err(error)) => return Err(error.context("a client ended")),
            other => bail!("a client ended: {other:?}"),
        },
    };
    let more = json!({
        "p50_ms": shared.complete.quantile_ms(0.5), "p99_ms": shared.complete.quantile_ms(0.99),
        "groups": shape.groups, "members": shape.members, "senders": shape.senders, "outstanding": shape.outstanding,
    });
    Ok((rate, more))
}

/// Makes a group and invites everybody.
async fn create(
    owner: &mut Option<Session>,
    first: usize,
    members: usize,
) -> anyhow::Result<ConversationId> {
    let owner = owner.as_mut().context("no owner")?;
    let mut nonces = Nonces::new()?;
    let nonce = nonces.next();
    let group = CreateGroup {
        nonce,
        name: format!("bench {first}"),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: 0,
        parent: None,
        by_default: false,
    };
    owner
        .call(&ClientFrame::CreateGroup(group))
        .await
        .context("creating a group")?;
    let conversation = ConversationId::made(&world::user(first)?, nonce);
    let users: Vec<UserId> = (first + 1..first + members)
        .map(world::user)
        .collect::<anyhow::Result<_>>()?;
    for users in users.chunks(INVITES_PER_REQUEST_MAX) {
        let invite = Invite {
            nonce: nonces.next(),
            conversation,
            users: users.to_vec(),
        };
        owner
            .call(&ClientFrame::Invite(invite))
            .await
            .context("inviting")?;
    }
    Ok(conversation)
}

async fn take_part(
    mut session: Session,
    conversation: ConversationId,
    joins: bool,
    sender: Option<usize>,
    joining: Arc<Semaphore>,
    joined: Arc<Semaphore>,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let mut nonces = Nonces::new()?;
    let turn = joining.acquire().await?;
    if joins {
        let join = Join {
            nonce: nonces.next(),
            conversation,
            link: None,
        };
        session
            .call(&ClientFrame::Join(join))
            .await
            .context("joining")?;
    }
    session
        .call(&ClientFrame::Attention(Attention {
            open: vec![conversation],
        }))
        .await
        .context("attention")?;
    drop(turn);
    joined.add_permits(1);
    let Session {
        connection,
        out,
        frames,
        ..
    } = session;
    let Some(sender) = sender else {
        let result = receive(frames, conversation, None, shared).await;
        drop((connection, out));
        return result;
    };
    tokio::select! {
        result = send(out, nonces, conversation, sender, &shared) => result,
        result = receive(frames, conversation, Some(sender), Arc::clone(&shared)) => result,
    }
}

async fn send(
    mut out: Out,
    mut nonces: Nonces,
    conversation: ConversationId,
    sender: usize,
    shared: &Shared,
) -> anyhow::Result<()> {
    let me = shared.senders.get(sender).context("no such sender")?;
    let mut counter = 0;
    loop {
        let mut room = me.room.acquire().await?;
        while let Ok(more) = me.room.try_acquire() {
            room.merge(more);
        }
        let count = room.num_permits();
        room.forget();
        let mut after = None;
        for _ in 0..count {
            counter += 1;
            let nonce = nonces.next();
            let text = wire::text(micros(), counter, sender);
            out.put(&wire::message(nonce, after, conversation, None, text));
            after = Some(nonce);
        }
        out.flush().await?;
    }
}

async fn receive(
    mut frames: Frames,
    conversation: ConversationId,
    me: Option<usize>,
    shared: Arc<Shared>,
) -> anyhow::Result<()> {
    let (mut last, mut missing, mut acked) = (0u64, 0u64, 0u64);
    loop {
        let mut got = 0;
        let running = shared.running.load(Ordering::Relaxed);
        frames
            .read(|_, frame| {
                match frame {
                    ServerFrame::Entry(entry) => {
                        ensure!(
                            entry.conversation == conversation,
                            "an entry of another conversation"
                        );
                        ensure!(entry.sequence > last, "{} after {last}", entry.sequence);
                        if running && last > 0 {
                            missing += entry.sequence - last - 1;
                        }
                        last = entry.sequence;
                        if entry.kind == EntryKind::Message {
                            got += 1;
                            count(&shared, me, &entry)?;
                        }
                    }
                    ServerFrame::Ack(_) => acked += 1,
                    ServerFrame::Refused(refused) => {
                        bail!("refused: {} ({})", refused.text, refused.code)
                    }
                    ServerFrame::Head(head) if running => {
                        bail!("a reader fell behind at {last}, head {}", head.last);
                    }
                    _ => {}
                }
                Ok(())
            })
            .await?;
        // A sender has its own messages by their acknowledgement, which may come a little later.
        let allowed = if me.is_some() {
            acked + shared.shape.outstanding as u64
        } else {
            0
        };
        ensure!(
            missing <= allowed,
            "{missing} entries are missing at {last}"
        );
        shared.delivered.fetch_add(got, Ordering::Relaxed);
    }
}

/// Checks a message and counts its reader; its sender goes on when all others have it.
fn count(shared: &Shared, me: Option<usize>, entry: &Entry) -> anyhow::Result<()> {
    let (stamp, counter, sender) = wire::check_text(&entry.content)?;
    if me == Some(sender) {
        return Ok(());
    }
    let of = shared.senders.get(sender).context("no such sender")?;
    let readers = of
        .readers
        .get(counter as usize % COUNTED)
        .context("no such message")?;
    if readers.fetch_add(1, Ordering::Relaxed) + 2 == shared.shape.members as u32 {
        readers.store(0, Ordering::Relaxed);
        shared.complete.record(micros() - stamp);
        of.room.add_permits(1);
    }
    Ok(())
}
