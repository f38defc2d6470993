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
use fireside_protocol::{ConversationId, ConversationKind, EntryKind, Header, Nonce, Role, UserId};
use fireside_server_core::storage::{
    Append, Appended, Command, Effect, NewConversation, NewEntry, Op, Reply,
};
use fireside_store::{Sink, SqliteConfig, SqliteStore, Store};

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
    fn new() -> Self {
        let user = |name: String| UserId::new(&name).unwrap();
        let users = (0..PAIRS).map(|n| {
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
            last: vec![None; PAIRS],
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
            create: first.then(|| NewConversation {
                kind: ConversationKind::Direct,
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
                    target: None,
                    tombstone: None,
                    member: None,
                }],
                bumps_version: false,
                members: Vec::new(),
                records: Vec::new(),
            },
        }))
    }
}

fn ours(folder: &Path, outstanding: usize) -> f64 {
    let (sender, answers) = unbounded();
    let sink: Sink = Arc::new(move |batch: Vec<_>| sender.send(batch).unwrap());
    let store = SqliteStore::open(SqliteConfig::new(folder.join("ours.db")), sink).unwrap();
    let mut pairs = Pairs::new();
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
