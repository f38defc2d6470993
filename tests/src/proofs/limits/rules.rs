//! Rates, and what an operator sets: each on a server of its own that is set so.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, ServerFrame, UserId,
    frames::{Attention, DevicesRequest, Edit, Invite, Recall, RevisionsRequest, SetLive},
    limits,
};
use fireside_server::Claims;

use super::{
    sizes::{custom, text},
    stage::{Stage, Tally, UNHURRIED, join, send},
    transient::transient,
};
use crate::{
    chance::Chance,
    wire::{LoginRefused, Wire, device, hello},
};

/// Seconds' worth that may come at once.
const BURST_S: u32 = 2;
/// Windows in which messages are changed, in ms: long enough to be met, short enough to wait for.
const WINDOW_MS: u64 = 400;

/// Rates as the server has them by default.
pub(super) async fn rates(chance: &mut Chance, tally: &mut Tally, full: bool) -> Result<usize> {
    let mut stage = Stage::set("", chance.fork())?;
    let users: Vec<String> = (0..10).map(|n| format!("u{n}")).collect();
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let group = stage.group("ann", &names).await?;
    let (ann, bob) = (UserId::new("ann")?, UserId::new("bob")?);
    stage.wire("bob").await?;
    let direct = ConversationId::direct(&ann, &bob);
    let cases: [(&str, &str, u32, Make); 4] = [
        (
            "RATE_DIRECT_PER_S",
            "ann",
            limits::RATE_DIRECT_PER_S,
            |nonce, _, direct| {
                let mut send = send(nonce, direct, &text("gg"));
                send.peer = UserId::new("bob").ok();
                send.into()
            },
        ),
        (
            "RATE_GROUP_PER_S",
            "u0",
            limits::RATE_GROUP_PER_S,
            |nonce, group, _| send(nonce, group, &text("gg")).into(),
        ),
        // What stays nowhere is counted with what stays.
        (
            "RATE_GROUP_PER_S",
            "u2",
            limits::RATE_GROUP_PER_S,
            |nonce, group, _| match nonce.0[15] % 2 {
                0 => transient(group, &text("gg")).into(),
                _ => send(nonce, group, &text("gg")).into(),
            },
        ),
        (
            "RATE_REQUESTS_PER_S",
            "u1",
            limits::RATE_REQUESTS_PER_S,
            |_, _, _| Attention { open: Vec::new() }.into(),
        ),
    ];
    for (limit, by, per_s, make) in cases {
        // What it cost to come in is back.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let count = (BURST_S * per_s + per_s) as usize;
        let mut frames = Vec::new();
        for _ in 0..count {
            let nonce = stage.nonce();
            frames.push(make(nonce, group, direct));
        }
        let begun = Instant::now();
        let answers = stage.many(by, frames).await?;
        let took = begun.elapsed();
        let refused = answers.iter().filter_map(|answer| match answer {
            ServerFrame::Refused(refused) => Some(refused),
            _ => None,
        });
        let mut slow = 0;
        for refused in refused {
            slow += 1;
            ensure!(
                refused.code() == Code::RateLimited,
                "{limit}: {}",
                refused.code()
            );
            ensure!(
                (1..=1_000).contains(&refused.retry_after_ms),
                "{limit}: again in {} ms",
                refused.retry_after_ms
            );
        }
        let taken = count - slow;
        // What came back meanwhile may be taken too.
        let most = f64::from(per_s).mul_add(f64::from(BURST_S) + took.as_secs_f64(), 1.0);
        ensure!(
            taken >= (BURST_S * per_s) as usize && taken as f64 <= most,
            "{limit}: {taken} of {count} taken in {took:?}, at most {most:.0} may be"
        );
        stage.tried(limit);
    }
    // Of all who write in one conversation together, nobody too fast.
    let count = 2 * limits::RATE_GROUP_PER_S as usize;
    let begun = Instant::now();
    let mut taken = 0;
    let mut refused = 0;
    for user in users.iter().skip(1) {
        let mut frames: Vec<ClientFrame> = Vec::new();
        for _ in 0..count {
            let nonce = stage.nonce();
            frames.push(send(nonce, group, &text("gg")).into());
        }
        for answer in stage.many(user, frames).await? {
            match answer {
                ServerFrame::Ack(_) => taken += 1,
                ServerFrame::Refused(it) if it.code() == Code::RateLimited => refused += 1,
                other => anyhow::bail!("RATE_CONVERSATION_PER_S: {other:?}"),
            }
        }
    }
    let per_s = f64::from(limits::RATE_CONVERSATION_PER_S);
    let most = per_s.mul_add(f64::from(BURST_S) + begun.elapsed().as_secs_f64(), 1.0);
    ensure!(
        taken as f64 <= most && refused > 0,
        "RATE_CONVERSATION_PER_S: {taken} taken, {refused} refused, at most {most:.0} may be"
    );
    stage.tried("RATE_CONVERSATION_PER_S");
    live(&mut stage, full).await.context("LIVE_INTERVAL_MS")?;
    done(stage, tally)?;
    Ok(5)
}

type Make = fn(fireside_protocol::Nonce, ConversationId, ConversationId) -> ClientFrame;

/// A live object changes no sooner than its interval after it was made.
async fn live(stage: &mut Stage, full: bool) -> Result<()> {
    let group = stage.group("leo", &[]).await?;
    let live = stage
        .says("leo", group, &Content::Live(custom(1, 1)))
        .await?;
    let set = |nonce| SetLive {
        nonce,
        after: None,
        conversation: group,
        target: live,
        target_nonce: None,
        state: Box::new(custom(2, 2)),
    };
    let nonce = stage.nonce();
    let refused = stage.refused("leo", set(nonce), Code::RateLimited).await?;
    let wait = refused.retry_after_ms;
    ensure!(
        (1..=limits::LIVE_INTERVAL_MS).contains(&wait),
        "again in {wait} ms"
    );
    if full {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        stage.acked("leo", set(nonce)).await?;
    }
    stage.tried("LIVE_INTERVAL_MS");
    Ok(())
}

/// What stands in the settings' section of limits.
pub(super) async fn settings(chance: &mut Chance, tally: &mut Tally) -> Result<usize> {
    small_rooms(chance, tally)
        .await
        .context("members of small rooms")?;
    windows(chance, tally).await.context("windows")?;
    log_ins(chance, tally).await.context("log-ins")?;
    policies(chance, tally).await.context("device_policy")?;
    Ok(10)
}

/// Conversations that have room for few.
async fn small_rooms(chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    let set = "group_members_max = 2\npublic_members_max = 3\nmeeting_members_max = 4\n";
    let mut stage = Stage::set(&format!("{UNHURRIED}{set}"), chance.fork())?;
    for (key, kind, most) in [
        ("group_members_max", None, 2),
        ("public_members_max", Some(ConversationKind::Public), 3),
        ("meeting_members_max", Some(ConversationKind::Meeting), 4),
    ] {
        let room = stage.made("ann", &[], kind).await?;
        for n in 1..=most {
            let invite = Invite {
                nonce: stage.nonce(),
                conversation: room,
                users: vec![UserId::new(&format!("u{n}"))?],
            };
            stage.acked("ann", invite).await?;
        }
        for n in 1..=most {
            let user = format!("u{n}");
            if n < most {
                stage.joins(&user, room).await.context(key)?;
            } else {
                let nonce = stage.nonce();
                let join = join(nonce, room);
                stage
                    .refused(&user, join, Code::TooManyMembers)
                    .await
                    .context(key)?;
            }
        }
        stage.tried(key);
    }
    done(stage, tally)
}

/// How long authors may change what they said, and what is kept of it.
async fn windows(chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    let set = format!(
        "{UNHURRIED}edit_window_ms = {WINDOW_MS}\nrecall_window_ms = {WINDOW_MS}\nkeep_revisions = false\n"
    );
    let mut stage = Stage::set(&set, chance.fork())?;
    let group = stage.group("ann", &["bob"]).await?;
    let [early, late] = [
        stage.says("bob", group, &text("gg")).await?,
        stage.says("bob", group, &text("gg")).await?,
    ];
    let begun = Instant::now();
    let edit = |nonce, target| Edit {
        nonce,
        after: None,
        conversation: group,
        target,
        target_nonce: None,
        seen_rev: 0,
        content: text("good game").encode(),
    };
    let recall = |nonce, target| Recall {
        nonce,
        after: None,
        conversation: group,
        target,
        target_nonce: None,
    };
    let nonce = stage.nonce();
    let in_time = stage.ask("bob", edit(nonce, early)).await?;
    let was_in_time = begun.elapsed() < Duration::from_millis(WINDOW_MS);
    ensure!(
        !was_in_time || matches!(in_time, ServerFrame::Ack(_)),
        "{in_time:?}"
    );
    let ask = RevisionsRequest {
        conversation: group,
        target: early,
        after: 0,
    };
    let ServerFrame::RevisionsPage(page) = stage.taken("ann", ask).await? else {
        anyhow::bail!("no revisions");
    };
    ensure!(page.revisions.is_empty(), "what was said before is kept");
    stage.tried("keep_revisions");
    tokio::time::sleep(Duration::from_millis(WINDOW_MS)).await;
    let nonce = stage.nonce();
    stage
        .refused("bob", edit(nonce, late), Code::WindowClosed)
        .await?;
    let nonce = stage.nonce();
    stage
        .refused("bob", recall(nonce, late), Code::WindowClosed)
        .await?;
    let nonce = stage.nonce();
    stage.acked("ann", recall(nonce, late)).await?;
    stage.tried("edit_window_ms");
    stage.tried("recall_window_ms");
    done(stage, tally)
}

/// How many may be there, and how long one may take to say who one is.
async fn log_ins(chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    let set = format!("{UNHURRIED}sessions_max = 2\nlogin_ms = 300\n");
    let mut stage = Stage::set(&set, chance.fork())?;
    stage.wire("ann").await?;
    stage.wire("bob").await?;
    let token = stage.keys.sign(None, &Stage::claims("cyd")?)?;
    let device = device(&mut stage.chance);
    let third = Wire::log_in(&stage.dialer, &token, device).await;
    let Err(error) = third else {
        anyhow::bail!("sessions_max: a third session of two");
    };
    let refused = error.downcast_ref::<LoginRefused>().map(|it| it.code);
    ensure!(refused == Some(Code::Overloaded), "sessions_max: {error:#}");
    stage.tally.codes.extend(refused);
    stage.forget("bob");
    let begun = Instant::now();
    while let Err(error) = Wire::log_in(&stage.dialer, &token, device).await {
        ensure!(
            begun.elapsed() < Duration::from_secs(5),
            "sessions_max: {error:#}"
        );
    }
    stage.tried("sessions_max");
    let silent = stage.dialer.connect().await?;
    let begun = Instant::now();
    let end = tokio::time::timeout(Duration::from_secs(5), silent.closed()).await;
    let end = end.context("login_ms: who says nothing stays")?;
    let took = begun.elapsed();
    let is_105 = matches!(&end, quinn::ConnectionError::ApplicationClosed(close)
        if close.error_code.into_inner() == u64::from(Code::NotLoggedIn.number()));
    ensure!(
        is_105 && took >= Duration::from_millis(200),
        "login_ms: {end} after {took:?}"
    );
    stage.tally.codes.insert(Code::NotLoggedIn);
    stage.tried("login_ms");
    done(stage, tally)
}

/// Whether a second device takes the first one's place.
async fn policies(chance: &mut Chance, tally: &mut Tally) -> Result<()> {
    for (policy, platforms, stays) in [
        ("all", ["pc", "pc"], true),
        ("one_per_platform", ["pc", "ps5"], true),
        ("one_per_platform", ["pc", "pc"], false),
        ("one", ["pc", "ps5"], false),
    ] {
        let set = format!("{UNHURRIED}device_policy = \"{policy}\"\n");
        let mut stage = Stage::set(&set, chance.fork())?;
        let mut wires = Vec::new();
        for platform in platforms {
            let claims = Claims {
                ..Stage::claims("ann")?
            };
            let token = stage.keys.sign(None, &claims)?;
            let mut hello = hello(&token, device(&mut stage.chance));
            platform.clone_into(&mut hello.platform);
            wires.push(Wire::hello(&stage.dialer, hello).await?.0);
        }
        let first = wires.first().context("a first device")?;
        let end = tokio::time::timeout(Duration::from_secs(5), first.connection().closed());
        if stays {
            let alive = first.ask_page(DevicesRequest { reserved: 0 }).await?;
            ensure!(
                matches!(alive, ServerFrame::DevicesPage(_)),
                "{policy}: {alive:?}"
            );
            continue;
        }
        let end = end
            .await
            .with_context(|| format!("{policy}: the first device stays"))?;
        let is_206 = matches!(&end, quinn::ConnectionError::ApplicationClosed(close)
            if close.error_code.into_inner() == u64::from(Code::DeviceReplaced.number()));
        ensure!(is_206, "{policy}: {end}");
        stage.tally.codes.insert(Code::DeviceReplaced);
        stage.tried("device_policy");
        done(stage, tally)?;
    }
    Ok(())
}

/// Adds what a server's stage has tried to the whole.
pub(super) fn done(mut stage: Stage, tally: &mut Tally) -> Result<()> {
    stage.check()?;
    tally.taken += stage.tally.taken;
    tally.compared += stage.tally.compared;
    tally.codes.append(&mut stage.tally.codes);
    tally.tried.append(&mut stage.tally.tried);
    Ok(())
}
