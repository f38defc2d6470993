//! 10,000 missed messages in 50 conversations, through the real client with its cache: (a) until list, unread and every newest page
//! are right, against transfer and decoding of those bytes; (b) with background fill, until all are cached and searchable, against
//! that and a plain SQLite and FTS5 insert of the same rows.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_client_core::{Event, view::ConversationRow};
use fireside_protocol::{ConversationId, Entry, TextContent, decode};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::bench::{
    BenchArgs,
    latency::Player,
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire::{Clients, SOCKETS},
    world::{self, Folder, Nonces},
};

/// Conversations, each with another user.
const CONVERSATIONS: usize = 50;
/// Messages missed in each.
const MISSED: u64 = 200;
/// Items of a newest page.
const NEWEST: u64 = 50;
/// Items of a page when everything is fetched.
const PAGE_ITEMS: u32 = 500;
/// Who was away: after the others.
const READER: usize = CONVERSATIONS;
/// Nothing takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often the cache is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let mut server = programs.serve(&folder)?;
    let world = World::prepare(&folder, &server)?;
    let cases = [
        Case {
            bench: "catchup",
            case: "(a) newest",
            unit: "ms",
            aim: Aim::AtMost(2.0),
        },
        Case {
            bench: "catchup",
            case: "(b) all",
            unit: "ms",
            aim: Aim::AtMost(1.5),
        },
    ];
    let ours = || {
        let newest = world.catch_up(&folder, &server, false)?;
        let all = world.catch_up(&folder, &server, true)?;
        Ok(Sample {
            values: vec![newest, all],
            more: json!({}),
        })
    };
    alternate(args, &cases, report, ours, || world.raw(programs))?;
    server.check()
}

/// What was missed, and the cache of who missed it.
#[derive(Debug)]
struct World {
    path: PathBuf,
    /// The last number of every conversation.
    last: u64,
}

impl World {
    fn prepare(folder: &Folder, server: &Server) -> anyhow::Result<Self> {
        let world = Self {
            path: folder.path().to_owned(),
            last: 0,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        // One message each, so that the conversations are in the reader's cache.
        runtime.block_on(write(folder, server, 0..1))?;
        let reader = world::user(READER)?;
        let player = Player::offline(folder, server, &reader, &world.cache("before"))?;
        player.client.connect()?;
        let mut rows = Vec::new();
        player.until(|event| list(&mut rows, event) && rows.len() == CONVERSATIONS)?;
        let first = rows.first().context("no rows")?.last;
        wait_for(&world.cache("before"), |db| {
            Ok(count(db, first - 1)? == CONVERSATIONS as u64)
        })?;
        ensure!(
            player.client.shutdown(Duration::from_secs(1)),
            "the client does not end"
        );
        drop(player);
        let last = runtime.block_on(write(folder, server, 1..MISSED + 1))?;
        let world = Self { last, ..world };
        runtime.block_on(world.record(folder, server))?;
        Ok(world)
    }

    fn cache(&self, name: &str) -> PathBuf {
        self.path.join("caches").join(name)
    }

    fn file(&self, name: &str) -> String {
        self.path.join(name).to_string_lossy().into_owned()
    }

    /// Keeps the bytes of both catch-ups for the raw side: sync and newest pages, sync and all pages, and the rows of all.
    async fn record(&self, folder: &Folder, server: &Server) -> anyhow::Result<()> {
        let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
        let session = clients.enter_quiet(folder, READER).await?;
        let sync = session.read_sync().await?;
        let (mut newest, mut all, mut rows) = (sync.clone(), sync, Vec::new());
        for peer in 0..CONVERSATIONS {
            let conversation = direct(peer)?;
            let (bytes, _) = session.page(conversation, NEWEST as u32).await?;
            newest.extend_from_slice(&bytes);
            let (bytes, page) = session.page(conversation, PAGE_ITEMS).await?;
            all.extend_from_slice(&bytes);
            for item in &page.items {
                let entry: Entry = decode(&item.0)?;
                if entry.content.is_empty() {
                    continue;
                }
                let text = decode::<TextContent>(&entry.content)?.text;
                rows.extend_from_slice(&(24 + text.len() as u32).to_be_bytes());
                rows.extend_from_slice(&conversation.0);
                rows.extend_from_slice(&entry.sequence.to_be_bytes());
                rows.extend_from_slice(text.as_bytes());
            }
        }
        std::fs::write(self.file("newest.bytes"), newest)?;
        std::fs::write(self.file("all.bytes"), all)?;
        std::fs::write(self.file("rows.bytes"), rows)?;
        Ok(())
    }

    fn raw(&self, programs: &Programs) -> anyhow::Result<Sample> {
        let fetch = |file: &str| {
            let server = programs.raw_server(&["ship", &self.file(file)])?;
            programs.raw_load("fetch", &server, 0.0, &["--times", "5"])
        };
        let (newest, all) = (fetch("newest.bytes")?, fetch("all.bytes")?);
        let db = self.file("raw-rows");
        let insert = programs.raw_run(&["insert", &self.file("rows.bytes"), "--db", &db])?;
        std::fs::remove_dir_all(db)?;
        let ms = |value: &serde_json::Value| value["ms"].as_f64().context("no time");
        let values = vec![ms(&newest)?, ms(&all)? + ms(&insert)?];
        Ok(Sample {
            values,
            more: json!({ "newest": newest, "all": all, "insert": insert }),
        })
    }

    /// Connects with the old cache: ms until all is right.
    fn catch_up(&self, folder: &Folder, server: &Server, fill: bool) -> anyhow::Result<f64> {
        let (before, now) = (self.cache("before"), self.cache("now"));
        copy(&before, &now)?;
        let player = Player::offline(folder, server, &world::user(READER)?, &now)?;
        let mut rows = Vec::new();
        player.until(|event| list(&mut rows, event) && rows.len() == CONVERSATIONS)?;
        if fill {
            player.client.set_background_fill(true)?;
        }
        let began = Instant::now();
        player.client.connect()?;
        let right =
            |row: &ConversationRow| row.last == self.last && u64::from(row.unread) == MISSED + 1;
        player.until(|event| list(&mut rows, event) && rows.iter().all(right))?;
        let (above, wanted) = if fill {
            (0, self.last)
        } else {
            (self.last - NEWEST, NEWEST)
        };
        wait_for(&now, |db| {
            // Whoever ticks makes room for the next events.
            player
                .client
                .tick(256, Duration::from_millis(1), &mut |event| {
                    list(&mut rows, &event);
                });
            Ok(count(db, above)? >= wanted * CONVERSATIONS as u64)
        })?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        ensure!(
            rows.iter().all(right),
            "the list was right and is not any more"
        );
        if fill {
            for peer in 0..CONVERSATIONS {
                for number in [1, MISSED / 2, MISSED] {
                    let found = player.client.search(&mark(peer, number), None, 10)?;
                    let found = found.recv_timeout(TIMEOUT).context("no answer")?;
                    let found = found.map_err(|error| anyhow::anyhow!("search: {error:?}"))?;
                    ensure!(
                        found.len() == 1,
                        "{} messages found, 1 expected",
                        found.len()
                    );
                }
            }
        }
        ensure!(
            player.client.shutdown(Duration::from_secs(1)),
            "the client does not end"
        );
        drop(player);
        std::fs::remove_dir_all(now)?;
        Ok(took)
    }
}

/// Takes an event of the conversation list in; whether it was one.
fn list(rows: &mut Vec<ConversationRow>, event: &Event) -> bool {
    let Event::Conversations { diffs, .. } = event else {
        return false;
    };
    for diff in diffs {
        diff.apply(rows);
    }
    true
}

/// Everybody writes messages to the reader; the last number, which is the same in all conversations.
async fn write(folder: &Folder, server: &Server, numbers: Range<u64>) -> anyhow::Result<u64> {
    let clients = Clients::new(server.address, SOCKETS, &Arc::default())?;
    let mut last = 0;
    for peer in 0..CONVERSATIONS {
        let mut session = clients.enter(folder, peer).await?;
        let (conversation, mut nonces) = (direct(peer)?, Nonces::new()?);
        let reader = world::user(READER)?;
        for number in numbers.clone() {
            let text = prose(peer, number);
            let message = crate::bench::wire::message(
                nonces.next(),
                None,
                conversation,
                Some(reader.clone()),
                text,
            );
            match session.call(&message).await? {
                fireside_protocol::ServerFrame::Ack(ack) => last = ack.sequence,
                other => bail!("an answer of kind {}", other.kind()),
            }
        }
        session.connection.close(0u32.into(), b"");
    }
    Ok(last)
}

fn direct(peer: usize) -> anyhow::Result<ConversationId> {
    Ok(ConversationId::direct(
        &world::user(peer)?,
        &world::user(READER)?,
    ))
}

/// A word that only one of the missed messages has.
fn mark(peer: usize, number: u64) -> String {
    format!("mark{peer:02}x{number:04}")
}

/// About 200 bytes of words, some frequent and most rare.
fn prose(peer: usize, number: u64) -> String {
    let mut text = mark(peer, number);
    let mut state = (peer as u64) << 32 | number;
    while text.len() < 190 {
        // A linear congruential generator (Knuth's MMIX): the same words in every run.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (a, b) = ((state >> 40) % 4_000, (state >> 33) % 4_000);
        text.push_str(&format!(" word{}", a * b / 4_000));
    }
    text
}

/// Looks at the cache until it is as wanted.
fn wait_for(
    caches: &Path,
    mut wanted: impl FnMut(&Connection) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let file = database(caches)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags)?;
    db.busy_timeout(Duration::from_secs(1))?;
    let deadline = Instant::now() + TIMEOUT;
    while !wanted(&db)? {
        ensure!(
            Instant::now() < deadline,
            "the cache does not become right in time"
        );
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Cached items above a number.
fn count(db: &Connection, above: u64) -> anyhow::Result<u64> {
    let above = i64::try_from(above)?;
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM item WHERE sequence > ?1")?
        .query_row([above], |row| row.get(0))?;
    Ok(u64::try_from(count)?)
}

/// The one database under a folder.
fn database(folder: &Path) -> anyhow::Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Ok(found) = database(&path) {
                return Ok(found);
            }
        } else if std::fs::read(&path)?.starts_with(b"SQLite format 3") {
            return Ok(path);
        }
    }
    bail!("no database under {}", folder.display())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
