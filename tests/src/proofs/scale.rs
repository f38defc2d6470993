//! What is large costs no more than what is shown of it: a list of 5,000 conversations and a conversation of 10,000 members. Opening
//! one costs a page, a change costs a change, fifty who react cost no page. Limits are counts and ratios, not speeds.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_client_core::{Command, event::Completion, view::LIST_ROWS_MAX};
use fireside_protocol::{
    ClientFrame, ConversationId, ConversationKind, UserId,
    frames::{CreateGroup, React},
    limits,
};

use super::{
    Scale,
    features::device::Device,
    limits::{
        crowds,
        stage::{Stage, UNHURRIED, create, send},
    },
};
use crate::{
    agent::{Agent, AgentPlan, Report},
    chance::Chance,
};

/// Conversations of the list: with the large one as many as a list view holds. (With more each change is a list anew.)
const CONVERSATIONS: (usize, usize) = (600, LIST_ROWS_MAX - 1);
/// Members of the large conversation.
const MEMBERS: (usize, usize) = (2_000, limits::PUBLIC_MEMBERS_MAX);
/// Who react at once.
const REACTING: usize = 50;
/// Bytes on the wire for a line of the list: a head with its last message, its record in the user log, and what frames and packets add.
const LINE_BYTES_MAX: u64 = 500;
/// Bytes that a line of the list may make a client hold, and its conversation a server: a few hundred of them are its texts.
const CLIENT_LINE_BYTES_MAX: u64 = 8 * 1024;
const SERVER_CONVERSATION_BYTES_MAX: u64 = 16 * 1024;
/// Of the server's memory the store's pages are no conversation's: they are set to a few MiB here, and what the allocator keeps beside them.
const STORE: &str =
    "[store]\nreaders = 1\nwriter_cache_bytes = 2097152\nreader_cache_bytes = 1048576\n";
const STORE_BYTES: u64 = 24 << 20;
/// What must not come would have come by then.
const QUIET: Duration = Duration::from_millis(800);
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs it.
///
/// # Errors
/// Something that costs more than it may.
pub fn run(scale: Scale) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let settings = format!("{UNHURRIED}{STORE}");
        let mut stage = Stage::set(&settings, Chance::new(scale.seed))?;
        let list = list(&mut stage, scale).await.context("the list");
        list.with_context(|| stage.log_tail())?;
        let members = members(&mut stage, scale).await.context("the members");
        members.with_context(|| stage.log_tail())?;
        stage.check()
    })
}

/// A list of thousands.
async fn list(stage: &mut Stage, scale: Scale) -> Result<()> {
    let count = scale.pick(CONVERSATIONS.0, CONVERSATIONS.1);
    // One conversation first, to see what a client and a server hold anyway.
    let first = stage.group("ann", &["bob"]).await?;
    stage.says("bob", first, &words("gg")).await?;
    let folder = tempfile::tempdir()?;
    let small = agent(stage, folder.path().join("small"))?;
    let (client_small, server_small) = (small.memory_bytes()?, stage.server_memory_bytes()?);
    drop(small);
    let begun = Instant::now();
    let mut creates: Vec<ClientFrame> = Vec::new();
    let mut ids = Vec::new();
    let ann = UserId::new("ann")?;
    for n in 1..count {
        let nonce = stage.nonce();
        ids.push(ConversationId::made(&ann, nonce));
        let create = CreateGroup {
            name: format!("raid {n}"),
            ..create(nonce)
        };
        creates.push(create.into());
    }
    in_parts(stage, creates).await?;
    let mut texts: Vec<ClientFrame> = Vec::new();
    for id in &ids {
        let nonce = stage.nonce();
        texts.push(send(nonce, *id, &words("gg wp")).into());
    }
    in_parts(stage, texts).await?;
    let made = begun.elapsed();
    let token = stage.keys.sign(None, &Stage::claims("ann")?)?;
    let mut device = Device::start(stage.target()?, "ann", &token, None)?;
    device.connect()?;
    device.until_or("the whole list", PATIENCE, |it| it.list.len() == count)?;
    quiet(&mut device);
    let stats = device.client.stats();
    let per_line = stats.bytes_received / count as u64;
    ensure!(
        per_line <= LINE_BYTES_MAX,
        "{per_line} bytes for each line of the list"
    );
    ensure!(
        stats.counters.pages <= 1,
        "{} pages for a list that nobody opened",
        stats.counters.pages
    );
    // One in the middle is opened: a page. Somebody writes there: a line changes.
    let middle = ids
        .get(count / 2)
        .copied()
        .context("a conversation in the middle")?;
    quiet(&mut device);
    let before = device.client.stats().counters.pages;
    device.call(&Command::Open {
        conversation: middle,
    })?;
    device.until("what is said there", |it| !it.rows(middle).is_empty())?;
    quiet(&mut device);
    let pages = device.client.stats().counters.pages - before;
    ensure!(
        pages == 1,
        "opening a conversation of {count} cost {pages} pages"
    );
    let (before, resets) = (
        device.client.stats().counters.pages,
        device.client.stats().counters.resets,
    );
    let diffs = changes(&mut device, middle)?;
    let nonce = stage.nonce();
    let sent = stage
        .acked("ann", send(nonce, middle, &words("and now?")))
        .await?;
    device.until("the new message", |it| {
        it.message(middle, sent.sequence).is_some()
    })?;
    quiet(&mut device);
    let after = changes(&mut device, middle)?;
    let (list, timeline) = (after.0 - diffs.0, after.1 - diffs.1);
    let stats = device.client.stats().counters;
    ensure!(
        (1..=2).contains(&list) && timeline == 1 && stats.pages == before && stats.resets == resets,
        "a message among {count} conversations cost {list} changes of the list, {timeline} of the timeline and {} pages",
        stats.pages - before
    );
    ensure!(
        device
            .list
            .first()
            .is_some_and(|row| row.conversation == middle),
        "it is not at the top"
    );
    device.client.shutdown(PATIENCE);
    let large = agent(stage, folder.path().join("large"))?;
    settle(&large);
    let client_line = large.memory_bytes()?.saturating_sub(client_small) / count as u64;
    let server_more = stage.server_memory_bytes()?.saturating_sub(server_small);
    let server_line = server_more.saturating_sub(STORE_BYTES) / count as u64;
    println!(
        "scale: a list of {count} conversations (made in {:.1} s): {per_line} bytes on the wire for each, one page to open one, {list} changes of the list for a message; \
         a client holds {} MiB ({client_line} bytes for each), the server {} MiB ({server_line} for each beside its store's pages)",
        made.as_secs_f64(),
        large.memory_bytes()? >> 20,
        stage.server_memory_bytes()? >> 20
    );
    ensure!(
        client_line <= CLIENT_LINE_BYTES_MAX,
        "a client holds {client_line} bytes for each line"
    );
    ensure!(
        server_line <= SERVER_CONVERSATION_BYTES_MAX,
        "the server holds {server_line} bytes for each conversation"
    );
    Ok(())
}

/// A conversation of thousands.
async fn members(stage: &mut Stage, scale: Scale) -> Result<()> {
    let count = scale.pick(MEMBERS.0, MEMBERS.1);
    let room = stage
        .made("ann", &[], Some(ConversationKind::Public))
        .await?;
    // Ann is there, and those who react and one more come by themselves.
    stage.prefill(&crowds::many(room, count - 2 - REACTING, false))?;
    let mut reacting = Vec::new();
    for n in 0..REACTING {
        let user = format!("r{n}");
        stage.joins(&user, room).await?;
        reacting.push(user);
    }
    let number = stage.says("ann", room, &words("who comes?")).await?;
    let token = stage.keys.sign(None, &Stage::claims("ann")?)?;
    let mut device = Device::start(stage.target()?, "ann", &token, None)?;
    device.connect()?;
    device.call(&Command::Open { conversation: room })?;
    device.until("what is said there", |it| {
        it.message(room, number).is_some()
    })?;
    quiet(&mut device);
    // The first page of the member list, then all of them.
    let mut after = None;
    let (mut pages, mut found) = (0_usize, 0);
    loop {
        let ask = Command::Members {
            conversation: room,
            after: after.clone(),
        };
        let Completion::Members { members, more } = device.call(&ask)? else {
            bail!("no members");
        };
        pages += 1;
        found += members.len();
        ensure!(
            members.len() <= limits::MEMBERS_PAGE_MAX as usize,
            "{} in a page",
            members.len()
        );
        after = members.last().map(|member| member.user.clone());
        if !more {
            break;
        }
    }
    let wanted = (count - 1).div_ceil(limits::MEMBERS_PAGE_MAX as usize);
    ensure!(
        found == count - 1 && pages == wanted,
        "{found} members in {pages} pages, not {} in {wanted}",
        count - 1
    );
    // One more comes: one line.
    let before = device.client.stats().counters;
    let (list, timeline) = changes(&mut device, room)?;
    let came = stage.joins("last", room).await?;
    device.until("who came", |it| it.message(room, came.sequence).is_some())?;
    quiet(&mut device);
    let now = device.client.stats().counters;
    let (list_now, timeline_now) = changes(&mut device, room)?;
    ensure!(
        timeline_now - timeline == 1
            && list_now - list <= 2
            && now.pages == before.pages
            && now.resets == before.resets,
        "a member of {count} cost {} changes of the timeline, {} of the list, {} pages",
        timeline_now - timeline,
        list_now - list,
        now.pages - before.pages
    );
    // Fifty react at once: changes of one line, and no page.
    let (_, timeline) = changes(&mut device, room)?;
    react(stage, &reacting, room, number).await?;
    device.until("all reactions", |it| {
        let row = it.message(room, number);
        let keys = row.and_then(|row| row.reactions.as_ref());
        keys.is_some_and(|keys| keys.iter().map(|key| key.users.len()).sum::<usize>() == REACTING)
    })?;
    quiet(&mut device);
    let now = device.client.stats().counters;
    let reactions = changes(&mut device, room)?.1 - timeline;
    ensure!(
        (1..=REACTING).contains(&reactions)
            && now.pages == before.pages
            && now.resets == before.resets,
        "{REACTING} reactions cost {reactions} changes and {} pages",
        now.pages - before.pages
    );
    device.client.shutdown(PATIENCE);
    println!(
        "scale: {count} members: the list opens with one page, {found} of them come in {pages}; one more who comes costs one line, {REACTING} reactions \
         {reactions} changes of one line and no page; the server holds {} MiB",
        stage.server_memory_bytes()? >> 20
    );
    Ok(())
}

async fn react(
    stage: &mut Stage,
    users: &[String],
    conversation: ConversationId,
    target: u64,
) -> Result<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for user in users {
        let react = React {
            nonce: stage.nonce(),
            after: None,
            conversation,
            target,
            target_nonce: None,
            key: "👍".to_owned(),
            on: true,
        };
        let wire = stage.wire(user).await?;
        tasks.spawn(async move { wire.command(react).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??.ack()?;
    }
    Ok(())
}

/// Many commands, some thousand at a time: a minute is not enough for all.
async fn in_parts(stage: &mut Stage, frames: Vec<ClientFrame>) -> Result<()> {
    let mut frames = frames.into_iter().peekable();
    while frames.peek().is_some() {
        let part = frames.by_ref().take(500).collect();
        stage.all_taken("ann", part).await?;
    }
    Ok(())
}

/// Lets what is under way come.
fn quiet(device: &mut Device) {
    let begun = Instant::now();
    while begun.elapsed() < QUIET {
        device.pump();
    }
}

/// Changes of the list and of a timeline so far.
fn changes(device: &mut Device, conversation: ConversationId) -> Result<(usize, usize)> {
    device.pump();
    let list = device.list_changes;
    let timeline = device.timeline_changes.get(&conversation).copied();
    Ok((list, timeline.unwrap_or(0)))
}

/// Ann's client in a process of its own, with its list.
fn agent(stage: &Stage, folder: PathBuf) -> Result<Agent> {
    let plan = AgentPlan {
        target: stage.target()?,
        user: UserId::new("ann")?,
        token: stage.keys.sign(None, &Stage::claims("ann")?)?,
        log: folder.with_extension("log"),
        folder,
    };
    let agent = plan.start()?;
    let begun = Instant::now();
    while agent.wait(Duration::from_millis(100)) != Some(Report::State("connected".to_owned())) {
        ensure!(begun.elapsed() < PATIENCE, "the agent does not connect");
    }
    Ok(agent)
}

/// Until its memory stays where it is.
fn settle(agent: &Agent) {
    let mut before = 0;
    for _ in 0..50 {
        std::thread::sleep(Duration::from_millis(400));
        let now = agent.memory_bytes().unwrap_or_default();
        if now.abs_diff(before) < 64 * 1024 {
            return;
        }
        before = now;
    }
}

fn words(text: &str) -> fireside_protocol::Content {
    fireside_protocol::Content::Text(fireside_protocol::TextContent::plain(text))
}
