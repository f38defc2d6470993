//! What a durable append costs, beside a plain writer that inserts one row per message with the same batches. Prints; asserts nothing
//! that depends on the machine. `cargo test --release -p fireside-store --test speed -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use fireside_protocol::{
    ConversationId, ConversationKind, EntryKind, Header, Nonce, Role, UserId,
    frames::{HeadsRequest, PageRequest},
};
use fireside_server_core::storage::{
    Append, Appended, Command, Effect, NewConversation, NewEntry, Op, Reply,
};
use fireside_store::{
    Sink, SqliteConfig, SqliteStore, Store,
    conformance::{Harness, StoreHarness},
};

const PAIRS: usize = 100;
const RUN: Duration = Duration::from_secs(5);
const CONTENT: usize = 200;

/// 1:1 conversations of which each has the same number of messages in flight.
struct Pairs {
    users: Vec<(UserId, UserId, ConversationId)>,
    sent: u64,
    last: Vec<Option<Nonce>>,
}

impl Pairs {
    fn new(pairs: usize) -> Self {
        let user = |name: String| UserId::new(&name).unwrap();
        let users = (0..pairs).map(|n| {
            let (one, other) = (
                user(format!("player-{n:05}")),
                user(format!("friend-{n:05}")),
            );
            let id = ConversationId::direct(&one, &other);
            (one, other, id)
        });
        Self {
            users: users.collect(),
            sent: 0,
            last: vec![None; pairs],
        }
    }

    fn send(&mut self, pair: usize, first: bool) -> Op {
        let (one, other, conversation) = &self.users[pair];
        self.sent += 1;
        let now = 1_000_000 + self.sent / 10;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let nonce = Nonce::new(now, random);
        Op::Append(Box::new(Append {
            conversation: *conversation,
            expected_version: (!first).then_some(1),
            shape: None,
            child: None,
            create: first.then(|| NewConversation {
                kind: ConversationKind::Direct,
                parent: None,
                name: String::new(),
                creator: one.clone(),
                history_for_joiners: 0,
                members: vec![(one.clone(), Role::Member), (other.clone(), Role::Member)],
            }),
            command: Command {
                user: one.clone(),
                nonce,
                after: self.last[pair].replace(nonce),
                now,
            },
            effect: Effect::Entries {
                entries: vec![NewEntry {
                    kind: EntryKind::Message,
                    sender: one.clone(),
                    at: now,
                    nonce: Some(nonce),
                    header: Some(Header::text()),
                    content: Bytes::from(vec![b'x'; CONTENT]),
                    private: false,
                    audience: None,
                    target: None,
                    facet: None,
                    keeps_revision: false,
                    tombstone: None,
                    member: None,
                    sources: Vec::new(),
                    withdraws: Vec::new(),
                }],
                bumps_version: false,
                members: Vec::new(),
                records: Vec::new(),
            },
            links: Vec::new(),
        }))
    }
}

fn ours(folder: &Path, outstanding: usize) -> f64 {
    let (sender, answers) = unbounded();
    let sink: Sink = Arc::new(move |batch: Vec<_>| sender.send(batch).unwrap());
    let store = SqliteStore::open(SqliteConfig::new(folder.join("ours.db")), sink).unwrap();
    let mut pairs = Pairs::new(PAIRS);
    for pair in 0..PAIRS {
        store.submit(pair as u64, pairs.send(pair, true));
    }
    let mut left = PAIRS;
    while left > 0 {
        left -= answers.recv().unwrap().len();
    }
    for n in 0..outstanding {
        let pair = n % PAIRS;
        store.submit(pair as u64, pairs.send(pair, false));
    }
    let start = Instant::now();
    let cpu_before = cpu("store-writer");
    let (mut done, mut batches) = (0u64, 0u64);
    while start.elapsed() < RUN {
        batches += 1;
        for (ticket, result) in answers.recv().unwrap() {
            assert!(
                matches!(result, Ok(Reply::Appended(Appended::Done(_)))),
                "{result:?}"
            );
            done += 1;
            store.submit(ticket, pairs.send(ticket as usize, false));
        }
    }
    let per_s = done as f64 / start.elapsed().as_secs_f64();
    let used = (cpu("store-writer") - cpu_before) as f64 / 1_000.0 / done as f64;
    let batch = done as f64 / batches as f64;
    println!(
        "  ours  {outstanding:4} outstanding: {per_s:8.0} /s, {used:5.1} us CPU of the writer each, {batch:4.0} a batch"
    );
    store.close();
    per_s
}

/// The plain writer: a queue, one row per message, a commit for what has gathered.
fn plain(folder: &Path, outstanding: usize) -> f64 {
    type Row = (usize, i64, Vec<u8>);
    let (rows, queue): (Sender<Row>, Receiver<Row>) = unbounded();
    let (sender, answers) = unbounded();
    let path = folder.join("plain.db");
    let builder = std::thread::Builder::new().name("plain-writer".to_owned());
    let thread = builder.spawn(move || {
        let conn = rusqlite::Connection::open(path).unwrap();
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;
             CREATE TABLE messages (conversation BLOB, seq INTEGER, sender TEXT, at INTEGER, body BLOB, PRIMARY KEY (conversation, seq)) WITHOUT ROWID;",
        )
        .unwrap();
        let mut insert = conn
            .prepare("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5)")
            .unwrap();
        while let Ok(first) = queue.recv() {
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut batch = Vec::new();
            for (pair, seq, body) in std::iter::once(first).chain(queue.try_iter().take(1_023)) {
                let id = ConversationId([pair as u8; 16]);
                insert
                    .execute(rusqlite::params![
                        id.0,
                        seq,
                        "player-00000",
                        1_000_000 + seq,
                        body
                    ])
                    .unwrap();
                batch.push(pair);
            }
            conn.execute_batch("COMMIT").unwrap();
            if sender.send(batch).is_err() {
                break;
            }
        }
    })
    .unwrap();
    let mut seqs = vec![0; PAIRS];
    let mut send = |pair: usize| {
        seqs[pair] += 1;
        rows.send((pair, seqs[pair], vec![b'x'; CONTENT + 100]))
            .unwrap();
    };
    for n in 0..outstanding {
        send(n % PAIRS);
    }
    let start = Instant::now();
    let cpu_before = cpu("plain-writer");
    let (mut done, mut batches) = (0u64, 0u64);
    while start.elapsed() < RUN {
        batches += 1;
        for pair in answers.recv().unwrap() {
            done += 1;
            send(pair);
        }
    }
    let per_s = done as f64 / start.elapsed().as_secs_f64();
    let used = (cpu("plain-writer") - cpu_before) as f64 / 1_000.0 / done as f64;
    let batch = done as f64 / batches as f64;
    println!(
        "  plain {outstanding:4} outstanding: {per_s:8.0} /s, {used:5.1} us CPU of the writer each, {batch:4.0} a batch"
    );
    drop((rows, answers));
    thread.join().unwrap();
    per_s
}

/// CPU time of the threads of a name, in ns.
fn cpu(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let times = tasks.filter_map(|task| {
        let path = task.unwrap().path();
        let read = |file| std::fs::read_to_string(path.join(file)).unwrap();
        let time = (read("comm").trim() == name).then(|| read("schedstat"))?;
        time.split(' ').next()?.parse::<u64>().ok()
    });
    times.sum()
}

#[test]
#[ignore = "measures for a minute"]
fn append_beside_a_plain_writer() {
    // `SPEED=800` measures one load only.
    let only: Option<usize> = std::env::var("SPEED").ok().map(|n| n.parse().unwrap());
    for outstanding in [64, 200, 800] {
        if only.is_some_and(|only| only != outstanding) {
            continue;
        }
        let mut ratios = Vec::new();
        for _ in 0..3 {
            let folder = tempfile::tempdir_in(
                std::env::var("CARGO_TARGET_TMPDIR")
                    .as_deref()
                    .unwrap_or(env!("CARGO_TARGET_TMPDIR")),
            )
            .unwrap();
            let plain = plain(folder.path(), outstanding);
            let ours = ours(folder.path(), outstanding);
            ratios.push(ours / plain);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{outstanding} outstanding: median ratio {:.2} of {ratios:.2?}",
            ratios[1]
        );
    }
}

/// What a device that missed 10,000 messages in 50 conversations asks for, from a store with 400,000 others around them.
#[test]
#[ignore = "measures for some seconds"]
fn reads_of_a_returning_device() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("reads.db");
    let mut store = StoreHarness::new(move |sink| {
        let config = SqliteConfig {
            synchronous_off: true,
            ..SqliteConfig::new(&path)
        };
        Box::new(SqliteStore::open(config, sink).unwrap())
    });
    let mut pairs = Pairs::new(2_050);
    // The last 50 are all with the same friend.
    let friend = UserId::new("returning").unwrap();
    for pair in &mut pairs.users[2_000..] {
        pair.1 = friend.clone();
        pair.2 = ConversationId::direct(&pair.0, &friend);
    }
    let mut send = |pairs: &mut Pairs, first| {
        let ops = (0..pairs.users.len())
            .map(|pair| pairs.send(pair, first))
            .collect();
        assert!(store.run(ops).iter().all(Result::is_ok));
    };
    for round in 0..200 {
        send(&mut pairs, round == 0);
    }
    store.reopen();
    let page = |id, number, limit| Op::Page {
        user: friend.clone(),
        request: PageRequest {
            conversation: id,
            anchor: if number == 0 { 0 } else { 2 },
            number,
            to: 0,
            limit,
            since: 0,
            held: Vec::new(),
        },
    };
    let heads = Op::Heads {
        user: friend.clone(),
        request: HeadsRequest {
            since: 0,
            before_at: 0,
            before: None,
            limit: 0,
            only: Vec::new(),
        },
        only: Vec::new(),
    };
    let ids: Vec<_> = pairs.users[2_000..].iter().map(|pair| pair.2).collect();
    for warm in [false, true] {
        let mut time = |what: &str, ops: Vec<Op>| {
            let count = ops.len();
            let (start, before) = (Instant::now(), cpu("store-reader"));
            let replies = store.run(ops);
            let elapsed = start.elapsed();
            let used = Duration::from_nanos(cpu("store-reader") - before);
            let items: usize = replies
                .iter()
                .map(|reply| match reply.as_ref().unwrap() {
                    Reply::Page(page) => page.items.len(),
                    Reply::Heads(page) => page.heads.len(),
                    other => panic!("unexpected {other:?}"),
                })
                .sum();
            let each = used.as_secs_f64() * 1e6 / items as f64;
            println!(
                "  {what} (warm: {warm}): {count} reads, {items} items, {elapsed:.1?}, CPU {used:.1?}, {each:.1} us an item"
            );
        };
        time("heads", vec![heads.clone()]);
        time(
            "newest pages",
            ids.iter().map(|id| page(*id, 0, 50)).collect(),
        );
        time(
            "all of it",
            ids.iter().map(|id| page(*id, 1, 500)).collect(),
        );
    }
}
