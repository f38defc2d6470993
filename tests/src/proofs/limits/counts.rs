//! How many there may be of something: so many are taken, one more is refused, and where one goes another is taken again.

use anyhow::{Context, Result, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, FolderId, FriendAction, LinkCode, Nonce,
    ReportReason, ServerFrame, Settings, UserId,
    content::PollContent,
    frames::{
        Ban, Block, CreateLink, DevicesRequest, Edit, Forward, Pin, React, RevisionsRequest,
        RevokeLink, SetConversation, Vote,
    },
    limits,
    personal::{Friend, SetDraft, SetFolder},
    report::Report,
};

use super::{
    sizes::{attributes, poll, text},
    stage::{Stage, create, seconds, send},
};
use crate::wire::{Wire, device};

/// Something that gathers.
struct Count {
    /// Its limit's name in `limits.rs`.
    limit: &'static str,
    /// How many there may be.
    at: usize,
    /// What one more is refused with.
    code: Code,
    /// Who does it.
    by: &'static str,
    /// Adds the n-th (from 0).
    add: fn(Nonce, &Place, usize) -> ClientFrame,
    /// Takes the first away again; none: it stays, or goes by the clock.
    take: Option<fn(Nonce, &Place) -> ClientFrame>,
}

/// Where it gathers.
struct Place {
    group: ConversationId,
    /// More conversations of ann: one for each draft, and one more.
    groups: Vec<ConversationId>,
    /// The number of the first of many messages in the group; the others follow it.
    first: u64,
}

const COUNTS: &[Count] = &[
    Count {
        limit: "PINS_MAX",
        at: limits::PINS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, place, n| pin(nonce, place, n, true),
        take: Some(|nonce, place| pin(nonce, place, 0, false)),
    },
    Count {
        limit: "REACTION_KEYS_MAX",
        at: limits::REACTION_KEYS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, place, n| react(nonce, place.group, place.first, n, true),
        take: Some(|nonce, place| react(nonce, place.group, place.first, 0, false)),
    },
    Count {
        limit: "FOLDERS_MAX",
        at: limits::FOLDERS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, _, n| folder(nonce, n, "raids"),
        take: Some(|nonce, _| folder(nonce, 0, "")),
    },
    Count {
        limit: "DRAFTS_MAX",
        at: limits::DRAFTS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, place, n| draft(nonce, place, n, "not yet"),
        take: Some(|nonce, place| draft(nonce, place, 0, "")),
    },
    Count {
        limit: "LINKS_MAX",
        at: limits::LINKS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, place, _| {
            CreateLink {
                nonce,
                conversation: place.group,
                expires: 0,
                uses: 0,
            }
            .into()
        },
        take: None,
    },
    Count {
        limit: "BANS_MAX",
        at: limits::BANS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, place, n| ban(nonce, place, n, true),
        take: Some(|nonce, place| ban(nonce, place, 0, false)),
    },
    Count {
        limit: "BLOCKS_MAX",
        at: limits::BLOCKS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, _, n| block(nonce, n, true),
        take: Some(|nonce, _| block(nonce, 0, false)),
    },
    Count {
        limit: "FRIENDS_MAX",
        at: limits::FRIENDS_MAX,
        code: Code::LimitReached,
        by: "ann",
        add: |nonce, _, n| friend(nonce, n, FriendAction::Request),
        take: Some(|nonce, _| friend(nonce, 0, FriendAction::Remove)),
    },
    Count {
        limit: "REPORTS_PER_DAY_MAX",
        at: limits::REPORTS_PER_DAY_MAX,
        code: Code::TooManyReports,
        by: "ann",
        add: |nonce, place, n| {
            Report {
                nonce,
                conversation: Some(place.group),
                sequence: place.first + n as u64,
                user: None,
                reason: ReportReason::Spam,
                text: String::new(),
            }
            .into()
        },
        take: None,
    },
    Count {
        limit: "ATTRIBUTES_MAX",
        at: limits::ATTRIBUTES_MAX,
        code: Code::ArgumentInvalid,
        by: "ann",
        add: |nonce, place, n| set(nonce, place.group, &n.to_string(), "1"),
        take: Some(|nonce, place| set(nonce, place.group, "0", "")),
    },
];

/// Tries all of them; how many there were.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let group = stage.group("ann", &["bob"]).await?;
    let mut first = 0;
    for n in 0..limits::PINS_MAX + 2 {
        let number = stage.says("bob", group, &text("gg")).await?;
        first = if n == 0 { number } else { first };
    }
    let (mut groups, mut makes) = (Vec::new(), Vec::new());
    for _ in 0..=limits::DRAFTS_MAX {
        let nonce = stage.nonce();
        groups.push(ConversationId::made(&UserId::new("ann")?, nonce));
        makes.push(create(nonce).into());
    }
    stage.all_taken("ann", makes).await?;
    let place = Place {
        group,
        groups,
        first,
    };
    for count in COUNTS {
        stage.tried(count.limit);
        gather(stage, count, &place).await.context(count.limit)?;
    }
    // A link that is revoked makes room.
    let link = CreateLink {
        nonce: stage.nonce(),
        conversation: stage.group("ann", &[]).await?,
        expires: 0,
        uses: 0,
    };
    revoked_links(stage, link).await.context("LINKS_MAX")?;
    votes_and_reactions(stage).await?;
    ballots(stage).await.context("BALLOTS_MAX")?;
    revisions(stage).await.context("REVISIONS_MAX")?;
    devices(stage).await.context("DEVICES_PER_USER_MAX")?;
    evidence(stage).await.context("REPORT_CONTEXT")?;
    sources(stage).await.context("FORWARD_SOURCES_MAX")?;
    lifetimes(stage).await.context("LIFETIME_MS")?;
    Ok(COUNTS.len() + 11)
}

async fn gather(stage: &mut Stage, count: &Count, place: &Place) -> Result<()> {
    let mut frames = Vec::new();
    for n in 0..count.at - 1 {
        frames.push((count.add)(stage.nonce(), place, n));
    }
    stage.all_taken(count.by, frames).await?;
    let nonce = stage.nonce();
    let last = (count.add)(nonce, place, count.at - 1);
    stage.taken(count.by, last).await?;
    let nonce = stage.nonce();
    let more = (count.add)(nonce, place, count.at);
    stage.refused(count.by, more, count.code).await?;
    let Some(take) = count.take else {
        return Ok(());
    };
    let nonce = stage.nonce();
    stage.taken(count.by, take(nonce, place)).await?;
    let nonce = stage.nonce();
    let again = (count.add)(nonce, place, count.at);
    stage.taken(count.by, again).await?;
    Ok(())
}

fn pin(nonce: Nonce, place: &Place, n: usize, on: bool) -> ClientFrame {
    Pin {
        nonce,
        after: None,
        conversation: place.group,
        target: place.first + n as u64,
        target_nonce: None,
        on,
    }
    .into()
}

fn react(
    nonce: Nonce,
    conversation: ConversationId,
    target: u64,
    key: usize,
    on: bool,
) -> ClientFrame {
    React {
        nonce,
        after: None,
        conversation,
        target,
        target_nonce: None,
        key: format!("k{key}"),
        on,
    }
    .into()
}

fn folder(nonce: Nonce, n: usize, name: &str) -> ClientFrame {
    SetFolder {
        nonce,
        folder: FolderId([n as u8 + 1; 16]),
        name: name.to_owned(),
        order: 0,
    }
    .into()
}

fn draft(nonce: Nonce, place: &Place, n: usize, words: &str) -> ClientFrame {
    SetDraft {
        nonce,
        conversation: place.groups.get(n).copied().unwrap_or_default(),
        content: match words {
            "" => Default::default(),
            words => text(words).encode(),
        },
        reply_to: 0,
    }
    .into()
}

fn stranger(n: usize) -> UserId {
    UserId::new(&format!("s{n}")).unwrap_or_else(|_| unreachable!("a short name"))
}

fn ban(nonce: Nonce, place: &Place, n: usize, on: bool) -> ClientFrame {
    Ban {
        nonce,
        conversation: place.group,
        user: stranger(n),
        on,
        until: 0,
    }
    .into()
}

fn block(nonce: Nonce, n: usize, on: bool) -> ClientFrame {
    Block {
        nonce,
        user: stranger(n),
        on,
    }
    .into()
}

fn friend(nonce: Nonce, n: usize, action: FriendAction) -> ClientFrame {
    Friend {
        nonce,
        // Others than those who are blocked.
        user: UserId::new(&format!("f{n}")).unwrap_or_else(|_| unreachable!("a short name")),
        action,
    }
    .into()
}

fn set(nonce: Nonce, conversation: ConversationId, key: &str, value: &str) -> ClientFrame {
    let mut attributes = attributes(1);
    for attribute in &mut attributes {
        (attribute.key, attribute.value) = (key.to_owned(), value.to_owned());
    }
    SetConversation {
        nonce,
        conversation,
        change: Settings {
            attributes,
            ..Settings::default()
        }
        .into(),
    }
    .into()
}

async fn revoked_links(stage: &mut Stage, link: CreateLink) -> Result<()> {
    let mut code = LinkCode::default();
    for n in 0..limits::LINKS_MAX {
        let nonce = stage.nonce();
        let ack = stage
            .acked(
                "ann",
                CreateLink {
                    nonce,
                    ..link.clone()
                },
            )
            .await?;
        if n == 0 {
            code = ack.link.context("a link has a code")?;
        }
    }
    let more = |nonce| CreateLink {
        nonce,
        ..link.clone()
    };
    let nonce = stage.nonce();
    stage
        .refused("ann", more(nonce), Code::LimitReached)
        .await?;
    let revoke = RevokeLink {
        nonce: stage.nonce(),
        conversation: link.conversation,
        code,
    };
    stage.taken("ann", revoke).await?;
    let nonce = stage.nonce();
    stage.taken("ann", more(nonce)).await?;
    Ok(())
}

/// Votes and reactions of many users: bounded in number, and in bytes for users with long names.
async fn votes_and_reactions(stage: &mut Stage) -> Result<()> {
    const KEYS: usize = limits::REACTION_KEYS_MAX;
    for (name, bytes, limit) in [("v", 4, "VOTES_MAX"), ("w", 64, "VOTES_BYTES_MAX")] {
        let voters: Vec<String> = (0..=limits::VOTES_MAX / KEYS)
            .map(|n| format!("{name}{n:0>width$}", width = bytes - 1))
            .collect();
        let group = stage
            .group(
                "ann",
                &voters.iter().map(String::as_str).collect::<Vec<_>>(),
            )
            .await?;
        let all = Content::Poll(poll(KEYS, KEYS as u32));
        let number = stage.says("ann", group, &all).await?;
        let vote = |nonce, choices: usize| Vote {
            nonce,
            after: None,
            conversation: group,
            target: number,
            target_nonce: None,
            choices: (0..choices as u32).collect(),
        };
        let mut votes = 0;
        let mut full = false;
        for voter in &voters {
            // As many as there is room for.
            for choices in (1..=KEYS).rev() {
                let nonce = stage.nonce();
                let frame: ClientFrame = vote(nonce, choices).into();
                let room = match name {
                    "v" => limits::VOTES_MAX - votes,
                    _ => limits::VOTES_BYTES_MAX,
                };
                if !full && choices <= room && bytes < 64 {
                    stage.taken(voter, frame).await?;
                } else {
                    // In bytes the proof does not know the last that fits: the server says so, and how full it is is looked at below.
                    match stage.ask(voter, frame).await? {
                        ServerFrame::Ack(_) => {}
                        ServerFrame::Refused(refused) => {
                            ensure!(refused.code() == Code::LimitReached, "{}", refused.code());
                            full = true;
                            continue;
                        }
                        other => anyhow::bail!("{other:?}"),
                    }
                }
                votes += choices;
                break;
            }
        }
        ensure!(full, "{limit}: {votes} votes and no end");
        let nonce = stage.nonce();
        let last = voters.last().context("somebody votes")?.clone();
        stage
            .refused(&last, vote(nonce, KEYS), Code::LimitReached)
            .await
            .context(limit)?;
        fill(stage, limit, group, number, votes, bytes).await?;
        stage.tried(limit);
        reactions(stage, group, &voters, bytes).await?;
    }
    Ok(())
}

/// Reactions of many users to one message.
async fn reactions(
    stage: &mut Stage,
    group: ConversationId,
    users: &[String],
    bytes: usize,
) -> Result<()> {
    let limit = if bytes < 64 {
        "REACTIONS_MAX"
    } else {
        "REACTIONS_BYTES_MAX"
    };
    let number = stage.says("ann", group, &text("gg")).await?;
    let (mut made, mut refused) = (0, 0);
    for user in users {
        let mut frames = Vec::new();
        for key in 0..limits::REACTION_KEYS_MAX {
            frames.push(react(stage.nonce(), group, number, key, true));
        }
        if bytes < 64 && made + frames.len() <= limits::REACTIONS_MAX {
            made += frames.len();
            stage.all_taken(user, frames).await?;
            continue;
        }
        for (key, frame) in frames.into_iter().enumerate() {
            if refused > 0 && key == 0 {
                let full = stage.refused(user, frame, Code::LimitReached).await;
                full.context(limit)?;
                continue;
            }
            match stage.ask(user, frame).await? {
                ServerFrame::Ack(_) => made += 1,
                ServerFrame::Refused(it) if it.code() == Code::LimitReached => refused += 1,
                other => anyhow::bail!("{limit}: {other:?}"),
            }
        }
    }
    ensure!(refused > 0, "{limit}: {made} reactions and no end");
    fill(stage, limit, group, number, made, bytes).await?;
    stage.tried(limit);
    Ok(())
}

/// How full a facet is: exactly so many, or within one more of the bytes.
async fn fill(
    stage: &mut Stage,
    limit: &str,
    group: ConversationId,
    number: u64,
    count: usize,
    bytes: usize,
) -> Result<()> {
    let log = stage.wire("ann").await?.whole_log(group).await?;
    let item = log.items.iter().find(|item| item.sequence == number);
    let facets = &item.context("the message is in the log")?.facets;
    let size = facets.iter().map(|facet| facet.content.len()).max();
    let size = size.context("it has a facet")?;
    if bytes < 64 {
        ensure!(count == 500, "{limit}: full with {count}");
    } else {
        let most = limits::REACTIONS_BYTES_MAX.max(limits::VOTES_BYTES_MAX);
        let least = most - 2 * (bytes + 4);
        ensure!(
            (least..=most).contains(&size),
            "{limit}: full with {size} bytes"
        );
    }
    Ok(())
}

/// A vote in a newer anonymous poll makes room, and of older ones nobody knows any more whether it would be the first.
async fn ballots(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &[]).await?;
    let poll = Content::Poll(PollContent {
        anonymous: true,
        ..poll(2, 1)
    });
    let mut polls = Vec::new();
    for _ in 0..limits::BALLOTS_MAX + 1 {
        polls.push(stage.says("ann", group, &poll).await?);
    }
    let vote = |nonce, target, choice| Vote {
        nonce,
        after: None,
        conversation: group,
        target,
        target_nonce: None,
        choices: vec![choice],
    };
    // At one below the limit and at it, from the newest to the oldest but one.
    for poll in polls.iter().skip(1).rev() {
        let nonce = stage.nonce();
        stage.taken("ann", vote(nonce, *poll, 0)).await?;
    }
    let (Some(oldest), Some(next)) = (polls.first(), polls.get(1)) else {
        anyhow::bail!("there are polls");
    };
    let nonce = stage.nonce();
    let above = vote(nonce, *oldest, 0);
    stage.refused("ann", above, Code::LimitReached).await?;
    let nonce = stage.nonce();
    stage.taken("ann", vote(nonce, *next, 1)).await?;
    stage.tried("BALLOTS_MAX");
    Ok(())
}

/// The oldest revision makes room, but never the first.
async fn revisions(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &[]).await?;
    let target = stage.says("ann", group, &text("0")).await?;
    let mut wanted = Vec::new();
    for n in 1..=limits::REVISIONS_MAX + 1 {
        let edit = Edit {
            nonce: stage.nonce(),
            after: None,
            conversation: group,
            target,
            target_nonce: None,
            seen_rev: 0,
            content: text(&n.to_string()).encode(),
        };
        stage.acked("ann", edit).await?;
        if n + 2 >= limits::REVISIONS_MAX {
            // At one below the limit, at it and above: the first and the newest.
            let first = (n).saturating_sub(limits::REVISIONS_MAX) + 1;
            let kept = std::iter::once(0).chain(first.max(1)..n);
            wanted = kept.map(|n| text(&n.to_string()).encode()).collect();
            let ask = RevisionsRequest {
                conversation: group,
                target,
                after: 0,
            };
            let ServerFrame::RevisionsPage(page) = stage.taken("ann", ask).await? else {
                anyhow::bail!("no revisions");
            };
            let found: Vec<_> = page.revisions.into_iter().map(|it| it.content).collect();
            ensure!(found == wanted, "after {n} edits: {found:?}");
        }
    }
    ensure!(wanted.len() == limits::REVISIONS_MAX, "{}", wanted.len());
    stage.tried("REVISIONS_MAX");
    Ok(())
}

/// The device that was not used for the longest time makes room.
async fn devices(stage: &mut Stage) -> Result<()> {
    let token = stage.keys.sign(None, &Stage::claims("dev")?)?;
    for n in 1..=limits::DEVICES_PER_USER_MAX + 1 {
        let device = device(&mut stage.chance);
        let (wire, _) = Wire::log_in(&stage.dialer, &token, device).await?;
        let wanted = n.min(limits::DEVICES_PER_USER_MAX);
        let begun = std::time::Instant::now();
        // A device that logged in a moment ago may be missing.
        loop {
            let ServerFrame::DevicesPage(page) =
                wire.ask_page(DevicesRequest { reserved: 0 }).await?
            else {
                anyhow::bail!("no devices");
            };
            let is_there = page.devices.iter().any(|it| it.device == device);
            if is_there && page.devices.len() == wanted {
                break;
            }
            ensure!(
                begun.elapsed().as_secs() < 5,
                "{n} devices: {} are kept",
                page.devices.len()
            );
        }
        wire.close();
    }
    stage.tried("DEVICES_PER_USER_MAX");
    Ok(())
}

/// What is kept with a report: the message, and so many on each side.
async fn evidence(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &["rex"]).await?;
    let mut numbers = Vec::new();
    for _ in 0..2 * limits::REPORT_CONTEXT + 4 {
        numbers.push(stage.says("ann", group, &text("gg")).await?);
    }
    for (place, wanted) in [
        (limits::REPORT_CONTEXT - 1, 2 * limits::REPORT_CONTEXT),
        (limits::REPORT_CONTEXT, 2 * limits::REPORT_CONTEXT + 1),
        (limits::REPORT_CONTEXT + 1, 2 * limits::REPORT_CONTEXT + 1),
    ] {
        let report = Report {
            nonce: stage.nonce(),
            conversation: Some(group),
            sequence: numbers.get(place).copied().unwrap_or_default(),
            user: None,
            reason: ReportReason::Hate,
            text: String::new(),
        };
        stage.acked("rex", report).await?;
        let kept = stage
            .ledger
            .bytes("SELECT evidence FROM reports ORDER BY number DESC LIMIT 1")?;
        let count = match kept.as_slice() {
            [short @ 0x90..=0x9f, ..] => usize::from(short & 0xf),
            [0xdc, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        };
        ensure!(count == wanted, "{count} messages are kept, not {wanted}");
    }
    stage.tried("REPORT_CONTEXT");
    Ok(())
}

/// What a forwarded message goes back to: the messages in it, and those that they were made of.
async fn sources(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &[]).await?;
    let most = limits::FORWARD_SOURCES_MAX;
    let mut frames: Vec<ClientFrame> = Vec::new();
    for _ in 0..most {
        let nonce = stage.nonce();
        frames.push(send(nonce, group, &text("gg")).into());
    }
    stage.all_taken("ann", frames).await?;
    // The log began with its making.
    let forward = |nonce, numbers: Vec<u64>| Forward {
        nonce,
        conversation: group,
        peer: None,
        from: group,
        numbers,
        merged: true,
        title: String::new(),
    };
    let half = most as u64 / 2;
    let nonce = stage.nonce();
    let first = stage
        .acked("ann", forward(nonce, (2..2 + half).collect()))
        .await?;
    for (sources, taken) in [(most - 1, true), (most, true), (most + 1, false)] {
        // Itself, the first, and as many of the others as are left.
        let left = sources as u64 - half - 2;
        let nonce = stage.nonce();
        let others = (2 + half..2 + half + left).collect();
        let second = stage.acked("ann", forward(nonce, others)).await?;
        let nonce = stage.nonce();
        let both = forward(nonce, vec![first.sequence, second.sequence]);
        if taken {
            stage.acked("ann", both).await?;
        } else {
            stage.refused("ann", both, Code::LimitReached).await?;
        }
    }
    stage.tried("FORWARD_SOURCES_MAX");
    Ok(())
}

/// How long a message, and all messages of a conversation, may live.
async fn lifetimes(stage: &mut Stage) -> Result<()> {
    let group = stage.group("ann", &[]).await?;
    let (least, most) = (limits::LIFETIME_MS_MIN, limits::LIFETIME_MS_MAX);
    let change = |nonce, ms| SetConversation {
        nonce,
        conversation: group,
        change: Settings {
            lifetime_ms: Some(ms),
            ..Settings::default()
        }
        .into(),
    };
    for (ms, taken) in [
        (least - 1, false),
        (least, true),
        (least + 1, true),
        (most - 1, true),
        (most, true),
        (most + 1, false),
        (0, true),
    ] {
        let nonce = stage.nonce();
        if taken {
            stage.acked("ann", change(nonce, ms)).await?;
        } else {
            let change = change(nonce, ms);
            stage.refused("ann", change, Code::LifetimeInvalid).await?;
        }
    }
    // Of one message: by the server's clock, so with a minute's room.
    let now = seconds()? * 1_000;
    for (expires, taken) in [(now + most - 60_000, true), (now + most + 60_000, false)] {
        let mut send = send(stage.nonce(), group, &text("gg"));
        send.header.expires = expires;
        if taken {
            stage.acked("ann", send).await?;
        } else {
            stage.refused("ann", send, Code::LifetimeInvalid).await?;
        }
    }
    stage.tried("LIFETIME_MS_MIN");
    stage.tried("LIFETIME_MS_MAX");
    Ok(())
}
