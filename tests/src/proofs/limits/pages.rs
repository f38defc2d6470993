//! How much one page brings: as much as was asked for up to the limit, and no more above it. In a log and in lists that are longer.

use anyhow::{Context, Result, bail, ensure};
use fireside_protocol::{
    ClientFrame, ConversationId, ConversationKind, ServerFrame, UserId, encode,
    frames::{
        Anchor, ChildrenRequest, CreateGroup, HeadsPage, HeadsRequest, MembersRequest, Page,
        PageRequest, Range, Recall, UserLogRequest,
    },
    limits,
};

use super::{
    crowds,
    sizes::text,
    stage::{Stage, create, send},
};

/// Tries all of them; how many there were.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let log = stage.group("ann", &["bob"]).await?;
    unread(stage, log).await.context("UNREAD_COUNT_MAX")?;
    items(stage, log).await?;
    changes(stage, log).await.context("PAGE_CHANGES_MAX")?;
    crowds::deleted_runs(stage, log).await?;
    content(stage).await.context("PAGE_CONTENT_BYTES_MAX")?;
    lists(stage).await?;
    members(stage).await.context("MEMBERS_PAGE_MAX")?;
    channels(stage).await?;
    Ok(12)
}

/// One below 1,000 unread, 1,000, and more: which shows as 1,000, "999+".
async fn unread(stage: &mut Stage, log: ConversationId) -> Result<()> {
    let most = limits::UNREAD_COUNT_MAX;
    let mut sent = 0;
    for wanted in [most - 1, most, most + 1, most + 2] {
        let mut frames: Vec<ClientFrame> = Vec::new();
        while sent < wanted {
            let nonce = stage.nonce();
            frames.push(send(nonce, log, &text("gg")).into());
            sent += 1;
        }
        stage.all_taken("bob", frames).await?;
        let page = heads(
            stage,
            "ann",
            HeadsRequest {
                only: vec![log],
                ..heads_request(0)
            },
        )
        .await?;
        let unread = page.heads.first().context("a head")?.unread;
        ensure!(
            unread == wanted.min(most + 1),
            "{sent} unread show as {unread}"
        );
    }
    stage.tried("UNREAD_COUNT_MAX");
    Ok(())
}

/// Items of a page.
async fn items(stage: &mut Stage, log: ConversationId) -> Result<()> {
    let most = limits::PAGE_ITEMS_MAX;
    for (asked, brings) in [
        (0, limits::PAGE_ITEMS_DEFAULT),
        (most - 1, most - 1),
        (most, most),
        (most + 1, most),
        (u32::MAX, most),
    ] {
        let got = page(stage, page_request(log, asked)).await?.items.len();
        ensure!(
            got == brings as usize,
            "PAGE_ITEMS_MAX: {asked} asked, {got} came"
        );
    }
    stage.tried("PAGE_ITEMS_MAX");
    stage.tried("PAGE_ITEMS_DEFAULT");
    Ok(())
}

/// Changes of what a device holds: so many come, with one more it is to begin anew.
async fn changes(stage: &mut Stage, log: ConversationId) -> Result<()> {
    let since = page(stage, page_request(log, 1)).await?.as_of;
    let mut recalled = 0;
    for wanted in [
        limits::PAGE_CHANGES_MAX - 1,
        limits::PAGE_CHANGES_MAX,
        limits::PAGE_CHANGES_MAX + 1,
    ] {
        let mut frames: Vec<ClientFrame> = Vec::new();
        while recalled < wanted {
            recalled += 1;
            let recall = Recall {
                nonce: stage.nonce(),
                after: None,
                conversation: log,
                // The last 500 or so of them, so that what the other tries are about stays.
                target: since - u64::from(recalled),
                target_nonce: None,
            };
            frames.push(recall.into());
        }
        stage.all_taken("bob", frames).await?;
        let request = PageRequest {
            since,
            held: vec![Range {
                first: 1,
                last: since,
            }],
            ..page_request(log, 1)
        };
        let page = page(stage, request).await?;
        let too_many = wanted > limits::PAGE_CHANGES_MAX;
        // In bytes there is room for fewer: then it says so too, sooner.
        let bytes: usize = page.changes.iter().map(|raw| raw.0.len()).sum();
        ensure!(
            bytes <= limits::PAGE_CONTENT_BYTES_MAX,
            "{bytes} bytes of changes"
        );
        ensure!(
            page.reset == too_many
                && page.changes.len() == if too_many { 0 } else { wanted as usize },
            "{wanted} changes: {} came, reset: {}",
            page.changes.len(),
            page.reset
        );
    }
    stage.tried("PAGE_CHANGES_MAX");
    Ok(())
}

/// A page ends where its bytes do, and says so.
async fn content(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &[]).await?;
    for _ in 0..8 {
        stage
            .says("ann", group, &text(&"x".repeat(4_000)).clone())
            .await?;
        stage.says("ann", group, &text(&"👍🏽".repeat(2_000))).await?;
    }
    let page = page(stage, page_request(group, 100)).await?;
    let sizes: Vec<usize> = page.items.iter().map(|raw| raw.0.len()).collect();
    let bytes: usize = sizes.iter().sum();
    let room = limits::PAGE_CONTENT_BYTES_MAX;
    ensure!(
        bytes <= room && bytes + 17_000 > room,
        "a page has {bytes} bytes of entries"
    );
    ensure!(
        page.last == page.as_of && page.first > 1,
        "it ends earlier, and says so"
    );
    stage.tried("PAGE_CONTENT_BYTES_MAX");
    Ok(())
}

/// Heads and records of somebody who is in many conversations.
async fn lists(stage: &mut Stage) -> Result<()> {
    let most = limits::HEADS_MAX;
    let mut frames: Vec<ClientFrame> = Vec::new();
    for _ in 0..=most {
        let nonce = stage.nonce();
        let create = CreateGroup {
            name: "r".to_owned(),
            ..create(nonce)
        };
        frames.push(create.into());
    }
    stage.all_taken("max", frames).await?;
    for (asked, brings) in [
        (0, most),
        (most - 1, most - 1),
        (most, most),
        (most + 1, most),
    ] {
        let page = heads(stage, "max", heads_request(asked)).await?;
        let bytes: usize = page.heads.iter().map(|head| encode(head).len()).sum();
        ensure!(
            bytes <= limits::PAGE_CONTENT_BYTES_MAX,
            "{bytes} bytes of heads"
        );
        ensure!(
            page.heads.len() == brings as usize && page.more,
            "HEADS_MAX: {asked} asked, {} came",
            page.heads.len()
        );
    }
    stage.tried("HEADS_MAX");
    // Its first page has as many as fit, in number and in bytes; the next has the rest.
    let (mut cursor, mut records, mut pages) = (0, 0, 0);
    loop {
        let ServerFrame::UserLogPage(page) = stage.taken("max", UserLogRequest { cursor }).await?
        else {
            bail!("no user log");
        };
        let bytes: usize = page.records.iter().map(|record| encode(record).len()).sum();
        ensure!(
            page.records.len() <= limits::USER_RECORDS_MAX as usize
                && bytes <= limits::USER_LOG_PAGE_BYTES_MAX,
            "{} records of {bytes} bytes",
            page.records.len()
        );
        let is_full = page.records.len() == limits::USER_RECORDS_MAX as usize
            || bytes + 128 > limits::USER_LOG_PAGE_BYTES_MAX;
        ensure!(
            is_full == page.more,
            "a page of {} records that is not full says that there are more",
            page.records.len()
        );
        (cursor, pages) = (page.cursor, pages + 1);
        records += page.records.len();
        if !page.more {
            break;
        }
    }
    ensure!(
        records > most as usize && pages > 1,
        "{records} records in {pages} pages"
    );
    stage.tried("USER_RECORDS_MAX");
    stage.tried("USER_LOG_PAGE_BYTES_MAX");
    Ok(())
}

/// Members of a page.
async fn members(stage: &mut Stage) -> Result<()> {
    let most = limits::MEMBERS_PAGE_MAX;
    let group = stage
        .made("ann", &[], Some(ConversationKind::Public))
        .await?;
    for n in 0..most {
        stage.joins(&format!("member-{n}"), group).await?;
    }
    for n in 0..most {
        stage.forget(&format!("member-{n}"));
    }
    for (asked, brings) in [
        (0, most),
        (most - 1, most - 1),
        (most, most),
        (most + 1, most),
    ] {
        let ask = MembersRequest {
            conversation: group,
            after: None,
            limit: asked,
            asked: false,
            prefix: String::new(),
        };
        let ServerFrame::MembersPage(page) = stage.taken("ann", ask).await? else {
            bail!("no members");
        };
        ensure!(
            page.members.len() == brings as usize && page.more,
            "{asked} asked, {} came",
            page.members.len()
        );
    }
    stage.tried("MEMBERS_PAGE_MAX");
    Ok(())
}

/// Channels of a community: into how many of them somebody comes at once, and how many are in a page.
async fn channels(stage: &mut Stage) -> Result<()> {
    let open = |nonce, kind, parent, by_default| CreateGroup {
        kind: Some(kind),
        parent,
        by_default,
        ..create(nonce)
    };
    let nonce = stage.nonce();
    let community = open(nonce, ConversationKind::Community, None, false);
    stage.acked("ann", community).await?;
    let community = ConversationId::made(&UserId::new("ann")?, nonce);
    let most = limits::DEFAULT_CHANNELS_MAX;
    let mut made = 0;
    for (wanted, user) in [(most - 1, "def-1"), (most, "def-2"), (most + 1, "def-3")] {
        while made < wanted {
            let nonce = stage.nonce();
            let channel = open(nonce, ConversationKind::Channel, Some(community), true);
            stage.acked("ann", channel).await?;
            made += 1;
        }
        stage.joins(user, community).await?;
        let found = heads(stage, user, heads_request(0)).await?.heads.len();
        ensure!(
            found == 1 + wanted.min(most),
            "DEFAULT_CHANNELS_MAX: {wanted} channels, into {} of them",
            found - 1
        );
    }
    stage.tried("DEFAULT_CHANNELS_MAX");
    let most = limits::CHILDREN_PAGE_MAX;
    while made <= most as usize {
        let nonce = stage.nonce();
        let channel = open(nonce, ConversationKind::Channel, Some(community), false);
        stage.acked("ann", channel).await?;
        made += 1;
    }
    for (asked, brings) in [
        (0, most),
        (most - 1, most - 1),
        (most, most),
        (most + 1, most),
    ] {
        let answer = stage.taken("ann", children(community, asked)).await?;
        let ServerFrame::ChildrenPage(page) = answer else {
            bail!("no channels");
        };
        ensure!(
            page.children.len() == brings as usize && page.more,
            "CHILDREN_PAGE_MAX: {asked} asked, {} came",
            page.children.len()
        );
    }
    stage.tried("CHILDREN_PAGE_MAX");
    Ok(())
}

pub(super) const fn children(conversation: ConversationId, limit: u32) -> ChildrenRequest {
    ChildrenRequest {
        conversation,
        before_root: 0,
        after: None,
        limit,
    }
}

pub(super) const fn page_request(conversation: ConversationId, limit: u32) -> PageRequest {
    PageRequest {
        conversation,
        anchor: Anchor::Newest.number(),
        number: 0,
        to: 0,
        limit,
        since: 0,
        held: Vec::new(),
    }
}

pub(super) const fn heads_request(limit: u32) -> HeadsRequest {
    HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit,
        only: Vec::new(),
    }
}

async fn page(stage: &mut Stage, request: PageRequest) -> Result<Page> {
    match stage.taken("ann", request).await? {
        ServerFrame::Page(page) => Ok(page),
        other => bail!("a page answered with {other:?}"),
    }
}

async fn heads(stage: &mut Stage, user: &str, request: HeadsRequest) -> Result<HeadsPage> {
    match stage.taken(user, request).await? {
        ServerFrame::HeadsPage(page) => Ok(page),
        other => bail!("heads answered with {other:?}"),
    }
}
