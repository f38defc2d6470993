//! A game's main thread in a process of its own, so that it can be traced: it makes every kind of call, frame after frame, and measures
//! each by its own processor time. Commands come as lines on standard input; an answer is one JSON line.
//!
//! | in | |
//! |---|---|
//! | `connect` | connects and waits for the log-in; answers `{}` |
//! | `play S` | plays S seconds: about 1,000 frames a second, every call measured |
//! | `idle N` | N ticks with nothing to tell: how many allocations they made |
//! | `destroy` | ends the client: how long it took |
//!
//! Between [`BEGIN`] and [`END`], two paths that do not exist and are looked at, a tracer sees nothing but the frames.

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    io::{self, BufRead, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_client::{
    Client, ClientConfig, Trust,
    core::{
        ConnectionState, Event,
        command::{MessageRef, Recipient},
    },
};
use fireside_protocol::{ConversationId, UserId};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

/// Looked at when the frames begin.
pub const BEGIN: &str = "/fireside-game/begin";
/// Looked at when they have ended.
pub const END: &str = "/fireside-game/end";

/// A frame's share of chat: a game that wants no call over 50 µs says so. The event under way is finished.
const TICK: (usize, Duration) = (64, Duration::from_micros(20));
/// Ticks, looks at the numbers and signs of typing in a frame: more than a game makes, so that rare times are seen.
const REPEATED: usize = 4;
/// Steps of the work that touches nothing: about as long as the usual call.
const FLOOR_STEPS: u32 = 1_000;
/// Between two frames.
const FRAME: Duration = Duration::from_millis(1);
/// A client logs in within this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the child: server's address, fingerprint in hex, token, user, friend, cache folder.
///
/// # Errors
/// When it is told nonsense, or the client can not be started.
pub fn child(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let arguments: Vec<String> = arguments.collect();
    let [server, fingerprint, token, user, friend, folder] = arguments.as_slice() else {
        bail!("expected: SERVER FINGERPRINT TOKEN USER FRIEND FOLDER");
    };
    ensure!(fingerprint.len() == 64, "the fingerprint has 64 digits");
    let mut pin = [0; 32];
    for (byte, digits) in pin.iter_mut().zip(fingerprint.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    let user = UserId::new(user)?;
    let mut config = ClientConfig::new(server.clone(), Trust::Pinned(pin), token.clone());
    config.user = Some(user.clone());
    config.folder = Some(PathBuf::from(folder));
    let mut game = Game {
        client: Some(Client::start(config)?),
        friend: UserId::new(friend)?,
        conversation: ConversationId::direct(&user, &UserId::new(friend)?),
        seen: Seen::default(),
        said: 0,
    };
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("connect", _) => game.connect()?,
            ("play", seconds) => game.play(Duration::from_secs_f64(seconds.parse()?))?,
            ("idle", ticks) => game.idle(ticks.parse()?)?,
            ("destroy", _) => game.destroy()?,
            other => bail!("{other:?} is not known"),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// What the events told.
#[derive(Debug, Default)]
struct Seen {
    connected: bool,
    reconnecting: bool,
    memory_mode: bool,
    events: u64,
}

impl Seen {
    fn note(&mut self, event: &Event) {
        self.events += 1;
        match event {
            Event::State(state) => {
                self.connected = *state == ConnectionState::Connected;
                self.reconnecting |= matches!(state, ConnectionState::Reconnecting { .. });
            }
            Event::MemoryMode { .. } => self.memory_mode = true,
            _ => {}
        }
    }
}

struct Game {
    client: Option<Client>,
    friend: UserId,
    conversation: ConversationId,
    seen: Seen,
    said: u64,
}

/// How long each kind of call took.
#[derive(Default)]
struct Times {
    /// Thread processor time in ns, of all calls.
    cpu: Vec<u64>,
    /// And of as many pieces of work that touch nothing: what the machine adds (interrupts are charged to the thread they meet).
    floor: Vec<u64>,
    /// The largest of each kind: (processor time, wall time) in ns.
    worst: BTreeMap<&'static str, (u64, u64)>,
}

impl Times {
    fn measure<T>(&mut self, name: &'static str, call: impl FnOnce() -> T) -> T {
        let wall = Instant::now();
        let before = thread_ns();
        let result = call();
        let cpu = thread_ns() - before;
        let wall = wall.elapsed().as_nanos() as u64;
        self.cpu.push(cpu);
        let before = thread_ns();
        for step in 0..FLOOR_STEPS {
            black_box(step);
        }
        self.floor.push(thread_ns() - before);
        let worst = self.worst.entry(name).or_default();
        *worst = (worst.0.max(cpu), worst.1.max(wall));
        result
    }

    fn told(mut self) -> Value {
        self.cpu.sort_unstable();
        self.floor.sort_unstable();
        let of = |times: &[u64], q: f64| {
            let index = ((times.len() as f64 * q) as usize).min(times.len().saturating_sub(1));
            times.get(index).copied().unwrap_or_default() as f64 / 1e3
        };
        let at = |q: f64| of(&self.cpu, q);
        let worst: BTreeMap<_, _> = (self.worst.iter())
            .map(|(name, (cpu, wall))| (*name, json!([*cpu as f64 / 1e3, *wall as f64 / 1e3])))
            .collect();
        let wall = self
            .worst
            .values()
            .map(|(_, wall)| *wall)
            .max()
            .unwrap_or_default();
        json!({
            "calls": self.cpu.len(), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "p9999_us": at(0.9999),
            "floor_p50_us": of(&self.floor, 0.5), "floor_p999_us": of(&self.floor, 0.999), "floor_p9999_us": of(&self.floor, 0.9999),
            "wall_max_us": wall as f64 / 1e3, "worst_us": worst,
        })
    }
}

/// Processor time of this thread so far, in ns.
fn thread_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Game {
    fn client(&self) -> anyhow::Result<&Client> {
        self.client.as_ref().context("the client was destroyed")
    }

    fn connect(&mut self) -> anyhow::Result<Value> {
        let client = self.client()?.clone();
        client.connect()?;
        client.open(self.conversation)?;
        // The first message makes the conversation.
        client.send_to_user(self.friend.clone(), "first")?;
        let deadline = Instant::now() + PATIENCE;
        while !(self.seen.connected && client.stats().pending_calls == 0) {
            ensure!(Instant::now() < deadline, "no log-in within {PATIENCE:?}");
            let _ = client.wait(Duration::from_millis(20));
            let seen = &mut self.seen;
            client.tick(64, Duration::from_millis(5), &mut |event| seen.note(&event));
        }
        self.seen.reconnecting = false;
        Ok(json!({}))
    }

    fn play(&mut self, time: Duration) -> anyhow::Result<Value> {
        let client = self.client()?.clone();
        let mut times = Times::default();
        // Room for what is measured: the game's own growth is not the client's.
        let calls = time.as_millis() as usize * 16 + 1_024;
        times.cpu.reserve(calls);
        times.floor.reserve(calls);
        let (mut taken, mut refused) = (0_u64, 0_u64);
        let end = Instant::now() + time;
        // The clock's first call looks for the kernel's fast one.
        let _ = thread_ns();
        let _ = fs::metadata(BEGIN);
        let mut frame = 0_u64;
        while Instant::now() < end {
            frame += 1;
            let here = self.conversation;
            let mut call = |result: bool| *if result { &mut taken } else { &mut refused } += 1;
            for n in 0..REPEATED {
                let seen = &mut self.seen;
                times.measure("tick", || {
                    client.tick(TICK.0, TICK.1, &mut |event| seen.note(&event))
                });
                times.measure("stats", || client.stats());
                let on = (frame + n as u64).is_multiple_of(2);
                call(times.measure("typing", || client.typing(here, on)).is_ok());
            }
            if frame.is_multiple_of(8) {
                self.said += 1;
                let text = format!("frame {frame}, message {}", self.said);
                let to = Recipient::Conversation(here);
                call(times.measure("send", || client.send_text(to, text)).is_ok());
            }
            call(match frame % 32 {
                0 => times.measure("open", || client.open(here)).is_ok(),
                1..8 => times
                    .measure("mark_read", || client.mark_read(here, 0))
                    .is_ok(),
                8..16 => times
                    .measure("load_older", || client.load_older(here, 50))
                    .is_ok(),
                16..20 => times
                    .measure("members", || client.members(here, None))
                    .is_ok(),
                20..24 => times
                    .measure("search", || client.search("frame", None, 10))
                    .is_ok(),
                _ => {
                    let message = MessageRef::Sequence(1);
                    let text = "first, again";
                    times
                        .measure("edit", || client.edit_text(here, message, text))
                        .is_ok()
                }
            });
            thread::sleep(FRAME);
        }
        let _ = fs::metadata(END);
        let mut told = times.told();
        if let Some(told) = told.as_object_mut() {
            let seen = &self.seen;
            told.extend([
                ("frames".to_owned(), frame.into()),
                ("taken".to_owned(), taken.into()),
                ("refused".to_owned(), refused.into()),
                ("events".to_owned(), seen.events.into()),
                ("reconnecting".to_owned(), seen.reconnecting.into()),
                ("memory_mode".to_owned(), seen.memory_mode.into()),
            ]);
        }
        Ok(told)
    }

    fn idle(&mut self, ticks: u32) -> anyhow::Result<Value> {
        let client = self.client()?.clone();
        // What is under way comes first.
        let deadline = Instant::now() + PATIENCE;
        while client.stats().pending_calls > 0 {
            ensure!(
                Instant::now() < deadline,
                "calls stay pending: {:?}",
                client.stats()
            );
            let _ = client.wait(Duration::from_millis(20));
            client.tick(1_024, Duration::from_millis(5), &mut |_| {});
        }
        let (mut idle, mut allocations) = (0_u32, 0);
        while idle < ticks {
            let mut told = 0;
            let counted = allocation_counter::measure(|| {
                told = client.tick(TICK.0, TICK.1, &mut |_| {}).delivered;
            });
            if told == 0 {
                idle += 1;
                allocations += counted.count_total;
            }
        }
        Ok(json!({ "ticks": idle, "allocations": allocations }))
    }

    fn destroy(&mut self) -> anyhow::Result<Value> {
        let client = self.client.take().context("destroyed already")?;
        let begin = Instant::now();
        drop(client);
        Ok(json!({ "ms": begin.elapsed().as_secs_f64() * 1e3 }))
    }
}
