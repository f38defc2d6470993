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
use fireside_client_core::{
    Event, SyncState,
    view::{Body, ConversationRow},
};
use fireside_protocol::{ConversationId, Entry, TextContent, decode};
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
        let (newest, opened) = world.catch_up(&folder, &server, false)?;
        let (all, searched) = world.catch_up(&folder, &server, true)?;
        Ok(Sample {
            values: vec![newest, all],
            more: json!({ "until_all_opened_ms": opened, "until_150_searches_ms": searched }),
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
        player.client.set_background_fill(true)?;
        player.until(|event| *event == Event::Sync(SyncState::Complete))?;
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

    /// Connects with the old cache. Without `fill`: ms until the client says that list, unread and newest pages are right, which is
    /// then looked at: the list, and without a connection every newest page as a game opens it. With `fill`: ms until the client
    /// says that all is on its disk and a search has looked through all of it; then more searches.
    fn catch_up(&self, folder: &Folder, server: &Server, fill: bool) -> anyhow::Result<(f64, f64)> {
        let (before, now) = (self.cache("before"), self.cache("now"));
        copy(&before, &now)?;
        let player = Player::offline(folder, server, &world::user(READER)?, &now)?;
        let mut rows = Vec::new();
        player.until(|event| list(&mut rows, event) && rows.len() == CONVERSATIONS)?;
        player.client.set_background_fill(fill)?;
        let began = Instant::now();
        player.client.connect()?;
        let wanted = if fill {
            SyncState::Complete
        } else {
            SyncState::Newest
        };
        player.until(|event| {
            list(&mut rows, event);
            *event == Event::Sync(wanted)
        })?;
        let ms = || began.elapsed().as_secs_f64() * 1e3;
        let mut took = ms();
        let right =
            |row: &ConversationRow| row.last == self.last && u64::from(row.unread) == MISSED + 1;
        ensure!(
            rows.len() == CONVERSATIONS && rows.iter().all(right),
            "the client says that the list is right, and it is not"
        );
        if fill {
            find(&player, CONVERSATIONS - 1, MISSED)?;
            took = ms();
            for peer in 0..CONVERSATIONS {
                for number in [1, MISSED / 2, MISSED] {
                    find(&player, peer, number)?;
                }
            }
        } else {
            player.client.disconnect()?;
            for peer in 0..CONVERSATIONS {
                open(&player, peer)?;
            }
        }
        let looked = ms();
        ensure!(
            player.client.shutdown(Duration::from_secs(1)),
            "the client does not end"
        );
        drop(player);
        std::fs::remove_dir_all(now)?;
        Ok((took, looked))
    }
}

/// Searches for the one message that has a word.
fn find(player: &Player, peer: usize, number: u64) -> anyhow::Result<()> {
    let found = player.client.search(&mark(peer, number), None, 10)?;
    let found = found.recv_timeout(TIMEOUT).context("no answer")?;
    let found = found.map_err(|error| anyhow::anyhow!("search: {error:?}"))?;
    ensure!(
        found.len() == 1,
        "{} messages found, 1 expected",
        found.len()
    );
    Ok(())
}

/// Opens a conversation: the first that is shown must be its newest page.
fn open(player: &Player, peer: usize) -> anyhow::Result<()> {
    let opened = direct(peer)?;
    player.client.open(opened)?;
    let mut shown = Vec::new();
    player.until(|event| match event {
        Event::Timeline {
            conversation,
            diffs,
            ..
        } if *conversation == opened => {
            diffs.iter().for_each(|diff| {
                diff.apply(&mut shown);
            });
            true
        }
        _ => false,
    })?;
    player.client.close(opened)?;
    let numbers = MISSED + 1 - NEWEST..=MISSED;
    let expected: Vec<Body> = numbers
        .map(|number| Body::Text(prose(peer, number).into()))
        .collect();
    let newest = shown.iter().rev().take(expected.len()).rev();
    ensure!(
        newest.map(|row| &row.body).eq(&expected),
        "the newest page of {opened} is not what it shows: {} rows",
        shown.len()
    );
    Ok(())
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
