//! What a frame costs the game's thread: a process that receives a burst of messages without ticking, then takes all of it in one tick and
//! reads every text to its last byte. `fireside bench frame` starts it and sends the bursts; Rust (`fireside-frame`), Bevy and C
//! each have one, with the same arguments and the same lines.
//!
//! Arguments: `SERVER FINGERPRINT TOKEN USER FOLDER PEER…`. It opens the conversations with the first three peers, says `ready`, and
//! answers each line `burst N` on standard input, once N entries have come and nothing moves any more, with one JSON line.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use fireside_client::{
    Client, ClientConfig, Trust,
    core::{
        Event,
        view::{Body, Diff, TimelineRow},
    },
};
use fireside_protocol::{ConversationId, UserId};
use serde_json::{Value, json};

/// Conversations on screen.
pub const OPEN: usize = 3;
/// A frame has no budget here: all of it is measured.
pub const NO_BUDGET: (usize, Duration) = (usize::MAX, Duration::from_secs(60));
/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nothing moved for so long: everything is there.
const QUIET: Duration = Duration::from_millis(150);

/// What the process was started with.
#[derive(Clone, Debug)]
pub struct FramePlan {
    /// `host:port`.
    pub server: String,
    /// The server's certificate.
    pub trust: Trust,
    /// The reader's token.
    pub token: String,
    /// The reader.
    pub user: UserId,
    /// Their cache.
    pub folder: PathBuf,
    /// Who writes.
    pub peers: Vec<UserId>,
}

impl FramePlan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// When they are others.
    pub fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let arguments: Vec<String> = arguments.collect();
        let [server, fingerprint, token, user, folder, peers @ ..] = arguments.as_slice() else {
            bail!("expected: SERVER FINGERPRINT TOKEN USER FOLDER PEER...");
        };
        ensure!(fingerprint.len() == 64, "a fingerprint has 64 digits");
        let mut pin = [0; 32];
        for (byte, digits) in pin.iter_mut().zip(fingerprint.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
        }
        Ok(Self {
            server: server.clone(),
            trust: Trust::Pinned(pin),
            token: token.clone(),
            user: UserId::new(user)?,
            folder: PathBuf::from(folder),
            peers: peers
                .iter()
                .map(|peer| UserId::new(peer))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The conversations that are on screen.
    pub fn on_screen(&self) -> impl Iterator<Item = ConversationId> {
        self.peers
            .iter()
            .take(OPEN)
            .map(|peer| ConversationId::direct(&self.user, peer))
    }
}

/// Frames measured after the one that takes the burst: views that had no room in its queue are whole after them.
const FRAMES_AFTER: usize = 2;

/// What one measured tick gave.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Read {
    /// Messages that arrived.
    pub messages: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Rows in changes of open timelines.
    pub rows: u64,
    /// Sum of all bytes read, so that reading them can not be optimised away.
    pub sum: u64,
}

impl Read {
    /// A message that arrived.
    pub fn message(&mut self, text: &str) {
        self.messages += 1;
        self.bytes += text.len() as u64;
        self.text(text);
    }

    /// A change of an open timeline.
    pub fn change(&mut self, diff: &Diff<TimelineRow>) {
        match diff {
            Diff::Insert { row, .. } | Diff::Set { row, .. } => self.row(row),
            Diff::Reset { rows } => rows.iter().for_each(|row| self.row(row)),
            Diff::Remove { .. } | Diff::Move { .. } => {}
        }
    }

    fn row(&mut self, row: &TimelineRow) {
        self.rows += 1;
        if let Body::Text(text) = &row.body {
            self.text(text);
        }
    }

    fn text(&mut self, text: &str) {
        // Eight at a time, as the C one does: what is measured is to have them at hand, not how a build checks its sums.
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_ne_bytes(*word));
        let sum = words.fold(self.sum, u64::wrapping_add);
        self.sum = rest
            .iter()
            .map(|byte| u64::from(*byte))
            .fold(sum, u64::wrapping_add);
    }
}

/// The loop around what is measured. `tick` takes one frame; `measure` takes the frame that counts and gives its time in µs.
///
/// # Errors
/// When nothing comes in time, or what comes is not what was sent.
pub fn run(
    plan: &FramePlan,
    client: &Client,
    mut tick: impl FnMut(),
    mut measure: impl FnMut() -> (f64, Read),
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    // Logged in, with a head of each conversation.
    let deadline = Instant::now() + PATIENCE;
    while client.stats().counters.heads < plan.peers.len() as u64 {
        ensure!(Instant::now() < deadline, "no log-in: {:?}", client.stats());
        thread::sleep(Duration::from_millis(5));
        tick();
    }
    settle(client, &mut tick)?;
    writeln!(out, "ready")?;
    out.flush()?;
    let mut entries = client.stats().counters.entries;
    for line in io::stdin().lock().lines() {
        let line = line?;
        let burst: u64 = line
            .strip_prefix("burst ")
            .context("expected: burst N")?
            .parse()?;
        entries += burst;
        let deadline = Instant::now() + PATIENCE;
        while client.stats().counters.entries < entries {
            ensure!(Instant::now() < deadline, "{:?}", client.stats());
            thread::sleep(Duration::from_millis(5));
        }
        settle(client, || {})?;
        let before = client.stats();
        let (mut us, mut read) = measure();
        // What the views have gathered since that frame's events were made comes with the next ones: it belongs to the burst.
        for _ in 0..FRAMES_AFTER {
            settle(client, || {})?;
            let (more, rest) = measure();
            us += more;
            read.messages += rest.messages;
            read.bytes += rest.bytes;
            read.rows += rest.rows;
            read.sum = read.sum.wrapping_add(rest.sum);
        }
        ensure!(
            read.messages == burst,
            "{read:?} of {burst} messages in the frame; before it {before:?}"
        );
        // What a burst leaves does not count for the next, which comes with the answer.
        settle(client, &mut tick)?;
        writeln!(out, "{}", told(us, read))?;
        out.flush()?;
    }
    Ok(())
}

fn told(us: f64, read: Read) -> Value {
    json!({ "us": us, "messages": read.messages, "bytes": read.bytes, "rows": read.rows, "sum": read.sum })
}

/// Until nothing moves any more.
fn settle(client: &Client, mut tick: impl FnMut()) -> anyhow::Result<()> {
    let look = |client: &Client| {
        let stats = client.stats();
        (stats.waiting_events, stats.waiting_store, stats.counters)
    };
    let deadline = Instant::now() + PATIENCE;
    let (mut before, mut since) = (look(client), Instant::now());
    while since.elapsed() < QUIET {
        ensure!(
            Instant::now() < deadline,
            "it does not become quiet: {:?}",
            client.stats()
        );
        thread::sleep(Duration::from_millis(5));
        tick();
        let now = look(client);
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
    Ok(())
}

/// Starts a client as the plan says.
///
/// # Errors
/// When it can not be started.
pub fn start(plan: &FramePlan) -> anyhow::Result<Client> {
    let mut config = ClientConfig::new(plan.server.clone(), plan.trust, plan.token.clone());
    config.user = Some(plan.user.clone());
    config.folder = Some(plan.folder.clone());
    Ok(Client::start(config)?)
}

/// The Rust one.
///
/// # Errors
/// As [`run`].
pub fn child(arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let plan = FramePlan::parse(arguments)?;
    let client = start(&plan)?;
    client.connect()?;
    for conversation in plan.on_screen() {
        client.open(conversation)?;
    }
    run(
        &plan,
        &client,
        || {
            client.tick(NO_BUDGET.0, NO_BUDGET.1, &mut |_| {});
        },
        || {
            let mut read = Read::default();
            let begin = Instant::now();
            client.tick(NO_BUDGET.0, NO_BUDGET.1, &mut |event| match event {
                Event::MessageReceived {
                    text: Some(text), ..
                } => read.message(&text),
                Event::Timeline { diffs, .. } => diffs.iter().for_each(|diff| read.change(diff)),
                _ => {}
            });
            (begin.elapsed().as_secs_f64() * 1e6, read)
        },
    )
}
