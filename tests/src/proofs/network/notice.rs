//! Dead and silent servers are noticed in time, and nothing is lost by it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fireside_protocol::UserId;

use super::Ground;
use crate::{
    person::{Person, PersonPlan},
    proxy::{Proxy, Weather},
};

const PATIENCE: Duration = Duration::from_secs(20);
const RESTARTED_LIMIT: Duration = Duration::from_secs(1);
const CALL_PENDING_LIMIT: Duration = Duration::from_secs(5);
const VISIBLE_LIMIT: Duration = Duration::from_secs(10);
const IDLE_LIMIT: Duration = Duration::from_secs(60);

fn connected(ground: &Ground, user: &str) -> anyhow::Result<Person> {
    let token = ground.plan.token(user)?;
    let target = ground.target();
    let plan = PersonPlan {
        target,
        user,
        token: &token,
        folder: None,
        early_data: true,
    };
    let mut person = plan.start()?;
    person.connect(PATIENCE)?;
    Ok(person)
}

/// Killed and started again on its port: old connections are told at their next packet.
pub(super) fn restarted(ground: &mut Ground) -> anyhow::Result<()> {
    let rounds = ground.scale.pick(2, 10);
    let mut anna = connected(ground, "anna")?;
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        ground.server.take().context("no server")?.kill()?;
        ground.server = Some(ground.plan.start()?);
        anna.note_all();
        let seen = anna.states.len();
        let begin = Instant::now();
        let request = anna
            .client
            .send_to_user(UserId::new("bob")?, format!("round {round}"))?;
        // It may have noticed by itself before: then it is on its way back already.
        if anna.is_connected() {
            anna.until("that the server is another", PATIENCE, |p| {
                p.states.len() > seen
            })?;
            let at = anna
                .states
                .get(seen)
                .map_or_else(Instant::now, |(at, _)| *at);
            slowest = slowest.max(at.duration_since(begin));
        }
        anna.until("the message sent", PATIENCE, |p| {
            p.completions.contains_key(&request)
        })?;
        let number = anna.sent(request)?.context("not sent")?;
        ensure!(number == round, "message {round} has number {number}");
        anna.until("the connection", PATIENCE, Person::is_connected)?;
    }
    println!(
        "network: {rounds} restarts of the server noticed after {:.3} s at most (limit 1 s)",
        slowest.as_secs_f64()
    );
    ensure!(
        slowest < RESTARTED_LIMIT,
        "a restarted server was noticed after {slowest:?}"
    );
    Ok(())
}

/// A server that answers nothing, behind a proxy that swallows everything.
pub(super) fn silent(ground: &mut Ground) -> anyhow::Result<()> {
    let mut cases = vec![
        ("with a call pending", CALL_PENDING_LIMIT),
        ("with chat on screen", VISIBLE_LIMIT),
    ];
    if ground.scale.full {
        cases.push(("in the background", IDLE_LIMIT));
    }
    for (name, limit) in cases {
        let proxy = Proxy::start(ground.plan.listen, ground.scale.seed)?;
        let token = ground.plan.token("anna")?;
        let target = ground.through(&proxy);
        let plan = PersonPlan {
            target,
            user: "anna",
            token: &token,
            folder: None,
            early_data: true,
        };
        let mut anna = plan.start()?;
        anna.connect(PATIENCE)?;
        anna.client.set_visible(limit == VISIBLE_LIMIT)?;
        anna.until("quiet", PATIENCE, |p| p.client.stats().pending_calls == 0)?;
        proxy.set(Weather {
            silent: true,
            ..Weather::default()
        });
        let begin = Instant::now();
        let request = if limit == CALL_PENDING_LIMIT {
            Some(
                anna.client
                    .send_to_user(UserId::new("bob")?, format!("said {name}"))?,
            )
        } else {
            None
        };
        let took = anna
            .until("that the server is silent", limit + PATIENCE, |p| {
                !p.is_connected()
            })
            .with_context(|| name.to_owned())?;
        println!(
            "network: a silent server noticed {name} after {:.1} s (limit {} s)",
            took.as_secs_f64(),
            limit.as_secs()
        );
        ensure!(begin.elapsed() <= limit, "{name}: noticed after {took:?}");
        proxy.set(Weather::default());
        anna.until("the connection", PATIENCE, Person::is_connected)?;
        if let Some(request) = request {
            anna.until("the message", PATIENCE, |p| {
                p.completions.contains_key(&request)
            })?;
            anna.sent(request)?.context("not sent")?;
        }
    }
    Ok(())
}
