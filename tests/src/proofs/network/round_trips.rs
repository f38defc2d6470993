//! How many round trips a log-in takes: full, resumed, with 0-RTT; and that the first sync costs none.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{ServerFrame, UserId};

use super::{Ground, runtime};
use crate::{
    chance::Chance,
    person::{Person, PersonPlan},
    proxy::{Proxy, Weather},
    wire::{self, Dialer, Wire, text_to},
};

/// One round trip through the proxy, in ms; half of it in each direction.
const RTT_MS: f64 = 200.0;
const FAR: Weather = Weather {
    loss: 0.0,
    delay_ms: RTT_MS / 2.0,
    reorder: 0.0,
    reorder_ms: 0.0,
    duplicate: 0.0,
    silent: false,
};
const LIMIT_FULL: f64 = 2.3;
const LIMIT_EARLY: f64 = 1.3;
/// The sync stream's first frame after the welcome, in round trips: none, with room for the machine.
const LIMIT_SYNC: f64 = 0.3;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn round_trips(ground: &mut Ground) -> anyhow::Result<()> {
    let rounds = ground.scale.pick(3, 15);
    let proxy = Proxy::start(ground.plan.listen, ground.scale.seed)?;
    proxy.set(FAR);
    let token = ground.plan.token("anna")?;
    let mut took: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        for early_data in [false, true] {
            let plan = PersonPlan {
                target: ground.through(&proxy),
                user: "anna",
                token: &token,
                folder: None,
                early_data,
            };
            let mut anna = plan.start()?;
            took[0].push(rtts(anna.connect(PATIENCE)?));
            let checked = anna.client.stats().certificates_checked;
            ensure!(
                checked == 1,
                "a full handshake checked {checked} certificates"
            );
            // The ticket comes after the handshake.
            settle(&mut anna)?;
            anna.disconnect()?;
            let index = if early_data { 2 } else { 1 };
            took[index].push(rtts(anna.connect(PATIENCE)?));
            let checked = anna.client.stats().certificates_checked;
            ensure!(
                checked == 1,
                "not resumed: {checked} certificates were checked"
            );
        }
    }
    let mut broken = Vec::new();
    for ((name, limit), took) in [
        ("full", LIMIT_FULL),
        ("resumed", LIMIT_FULL),
        ("0-RTT", LIMIT_EARLY),
    ]
    .iter()
    .zip(&mut took)
    {
        took.sort_by(f64::total_cmp);
        let (median, worst) = (
            took[took.len() / 2],
            took.last().copied().unwrap_or_default(),
        );
        println!(
            "network: round trips: {name}: median {median:.2}, worst {worst:.2} of {} (limit {limit})",
            took.len()
        );
        if median > *limit {
            broken.push(*name);
        }
    }
    ensure!(
        broken.is_empty(),
        "too many round trips: {}",
        broken.join(", ")
    );
    Ok(())
}

/// A message there and back, so that everything of the handshake has arrived.
fn settle(anna: &mut Person) -> anyhow::Result<()> {
    let request = anna.client.send_to_user(UserId::new("bob")?, "one")?;
    anna.until("a message sent", PATIENCE, |p| {
        p.completions.contains_key(&request)
    })?;
    anna.sent(request)?.context("not sent")?;
    Ok(())
}

fn rtts(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0 / RTT_MS
}

/// Bare frames show it best: when the welcome is there, the first heads are there.
pub(super) fn first_sync(ground: &mut Ground) -> anyhow::Result<()> {
    let proxy = Proxy::start(ground.plan.listen, ground.scale.seed)?;
    let (near, far) = (ground.target(), ground.through(&proxy));
    let (anna, bob) = (ground.plan.token("anna")?, ground.plan.token("bob")?);
    let mut chance = Chance::new(ground.scale.seed);
    let late = runtime()?.block_on(async {
        let (wire, welcome) =
            Wire::log_in(&Dialer::new(near)?, &anna, wire::device(&mut chance)).await?;
        let to = UserId::new("bob")?;
        let text = text_to(&welcome.user, &to, "hello", wire::nonce(&mut chance));
        wire.command(text).await?.ack()?;
        proxy.set(FAR);
        let mut hello = wire::hello(&bob, wire::device(&mut chance));
        hello.no_sync = false;
        let (wire, _) = Wire::hello(&Dialer::new(far)?, hello).await?;
        let begin = Instant::now();
        loop {
            match wire.next_event().await {
                Some(ServerFrame::HeadsPage(page)) => {
                    ensure!(
                        page.heads.len() == 1,
                        "{} heads instead of one",
                        page.heads.len()
                    );
                    return Ok(rtts(begin.elapsed()));
                }
                Some(_) => {}
                None => bail!("no heads came"),
            }
        }
    })?;
    println!(
        "network: first sync: heads {late:.2} round trips after the welcome (limit {LIMIT_SYNC})"
    );
    ensure!(
        late <= LIMIT_SYNC,
        "the first sync takes a further round trip"
    );
    Ok(())
}

/// Everybody connects, goes, and comes back at once: nobody does a full handshake again.
pub(super) fn crowd(ground: &mut Ground) -> anyhow::Result<()> {
    let count = ground.scale.pick(100, 500);
    let target = ground.target();
    let mut people = Vec::new();
    for n in 0..count {
        let (user, token) = (
            format!("user-{n}"),
            ground.plan.token(&format!("user-{n}"))?,
        );
        let plan = PersonPlan {
            target,
            user: &user,
            token: &token,
            folder: None,
            early_data: true,
        };
        let mut person = plan.start()?;
        person.connect(PATIENCE)?;
        people.push(person);
    }
    for person in &mut people {
        person.disconnect()?;
    }
    // All at once: each on a thread of its own, held at a barrier.
    let barrier = Arc::new(std::sync::Barrier::new(count));
    let threads: Vec<_> = people
        .into_iter()
        .map(|mut person| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || -> anyhow::Result<(Duration, u64)> {
                barrier.wait();
                let took = person.connect(Duration::from_secs(60))?;
                Ok((took, person.client.stats().certificates_checked))
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut full = 0;
    for thread in threads {
        let joined = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a thread failed"))?;
        let (took, checked) = joined?;
        slowest = slowest.max(took);
        full += u64::from(checked != 1);
    }
    println!(
        "network: {count} clients came back at once, {} of them resumed; the slowest took {:.2} s",
        count as u64 - full,
        slowest.as_secs_f64()
    );
    ensure!(full == 0, "{full} of {count} did a full handshake again");
    Ok(())
}
