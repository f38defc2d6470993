//! Time from the send call of one client to the event of another, woken by the wake callback: durable, at low load, through the
//! real client with its outbox and cache. Against the same way through a raw relay that commits each payload where it reads it: a raw
//! round trip and one raw commit, and no thread between them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use crossbeam_channel::{Receiver, bounded};
use fireside_client::{Client, ClientConfig};
use fireside_client_core::{ConnectionState, Event};
use fireside_protocol::UserId;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::bench::{
    BenchArgs,
    process::{Programs, Server},
    report::{Aim, Case, Report},
    rounds::{Sample, alternate},
    wire,
    world::{self, Folder},
};

/// Pause between messages: low load.
const PAUSE: Duration = Duration::from_millis(5);
/// Not measured at the start, as the baseline's.
const WARM_UP: Duration = Duration::from_secs(1);
/// Nothing takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A message that makes a conversation is written again after this long without a notice.
const FIRST_TIMEOUT: Duration = Duration::from_secs(1);
/// Events a tick gives, and its time: as a game at 60 frames a second would say.
const TICK: (usize, Duration) = (256, Duration::from_millis(1));

/// Runs it.
pub(super) fn run(
    args: &BenchArgs,
    programs: &Programs,
    report: &mut Report,
) -> anyhow::Result<()> {
    let cases = [
        Case {
            bench: "latency",
            case: "p50",
            unit: "ms",
            aim: Aim::AtMost(1.3),
        },
        Case {
            bench: "latency",
            case: "p99",
            unit: "ms",
            aim: Aim::AtMost(2.0),
        },
    ];
    alternate(
        args,
        &cases,
        report,
        || ours(args, programs),
        || raw(args, programs),
    )
}

fn raw(args: &BenchArgs, programs: &Programs) -> anyhow::Result<Sample> {
    let folder = Folder::new()?;
    let relay = folder.path().join("relay");
    let server = programs.raw_server(&["relay", "--in-place", "--db", &relay.to_string_lossy()])?;
    let pause = PAUSE.as_millis().to_string();
    let more = programs.raw_load("ping", &server, args.seconds, &["--pause-ms", &pause])?;
    let of = |key: &str| more[key].as_f64().context("no time");
    Ok(Sample {
        values: vec![of("p50_ms")?, of("p99_ms")?],
        more,
    })
}

fn ours(args: &BenchArgs, programs: &Programs) -> anyhow::Result<Sample> {
    let folder = Folder::new()?;
    let mut server = programs.serve(&folder)?;
    let (anna, ben) = (world::user(0)?, world::user(1)?);
    let writer = Player::start(&folder, &server, &anna)?;
    let reader = Player::start(&folder, &server, &ben)?;
    make_conversation(&writer, &reader, &ben)?;
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?;
    let began = Instant::now();
    let mut counter = 0;
    while began.elapsed() < WARM_UP + Duration::from_secs_f64(args.seconds) {
        counter += 1;
        let text = wire::text(0, counter, 0);
        let sent = Instant::now();
        writer.client.send_to_user(ben.clone(), text.as_str())?;
        reader
            .until(|event| match event {
                Event::MessageReceived {
                    text: Some(got), ..
                } => **got == *text,
                _ => false,
            })
            .with_context(|| format!("message {counter} at its reader"))?;
        if began.elapsed() > WARM_UP {
            times.saturating_record(sent.elapsed().as_micros() as u64);
        }
        writer
            .until(|event| matches!(event, Event::Completed { result: Ok(_), .. }))
            .with_context(|| format!("message {counter} at its writer"))?;
        std::thread::sleep(PAUSE);
    }
    server.check()?;
    ensure!(!times.is_empty(), "no message arrived in time");
    let ms = |q| times.value_at_quantile(q) as f64 / 1e3;
    let more = json!({ "count": times.len(), "max_ms": times.max() as f64 / 1e3 });
    Ok(Sample {
        values: vec![ms(0.5), ms(0.99)],
        more,
    })
}

/// Writes until a message arrives live: the first one makes the conversation, and a reader who is still in its first sync may get that by
/// a page, which gives no notice.
fn make_conversation(writer: &Player, reader: &Player, to: &UserId) -> anyhow::Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        writer.client.send_to_user(to.clone(), "hello")?;
        writer.until(|event| matches!(event, Event::Completed { result: Ok(_), .. }))?;
        let arrived = |event: &Event| matches!(event, Event::MessageReceived { .. });
        match reader.until_within(FIRST_TIMEOUT, arrived) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context("the first messages at their reader"));
            }
            Err(_) => {}
        }
    }
}

/// A client and its game thread, which is ours.
pub(super) struct Player {
    pub(super) client: Client,
    woken: Receiver<()>,
}

impl Player {
    /// Starts a client with its cache under `folder` and waits until it is connected.
    fn start(folder: &Folder, server: &Server, user: &UserId) -> anyhow::Result<Self> {
        let player = Self::offline(folder, server, user, &folder.path().join("caches"))?;
        player.client.connect()?;
        player.until(|event| matches!(event, Event::State(ConnectionState::Connected)))?;
        Ok(player)
    }

    /// Starts a client that shows what its cache holds.
    pub(super) fn offline(
        folder: &Folder,
        server: &Server,
        user: &UserId,
        caches: &Path,
    ) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new(
            server.address.to_string(),
            server.trust,
            folder.token(user)?,
        );
        config.user = Some(user.clone());
        config.folder = Some(caches.to_owned());
        let client = Client::start(config)?;
        let (wake, woken) = bounded(1);
        client.set_wake(move || {
            // Full: it is awake already.
            let _ = wake.try_send(());
        });
        Ok(Self { client, woken })
    }

    /// Ticks whenever woken until an event is the one waited for.
    pub(super) fn until(&self, wanted: impl FnMut(&Event) -> bool) -> anyhow::Result<()> {
        self.until_within(TIMEOUT, wanted)
    }

    fn until_within(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let mut found = false;
            let mut refused = None;
            let tick = self.client.tick(TICK.0, TICK.1, &mut |event| {
                found |= wanted(&event);
                if let Event::State(ConnectionState::Refused { text, .. }) = event {
                    refused = Some(text);
                }
            });
            if let Some(text) = refused {
                bail!("the client was refused: {text}");
            }
            if found {
                return Ok(());
            }
            if tick.left == 0 {
                self.woken
                    .recv_deadline(deadline)
                    .context("the event did not come in time")?;
            }
        }
    }
}
