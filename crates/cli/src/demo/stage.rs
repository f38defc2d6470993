//! Where the demo is played: the server, the players, and what the audience sees.

use std::{
    collections::HashMap,
    fs,
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, Sender, bounded};
use fireside_client::{Client, ClientConfig, Trust};
use fireside_client_core::{
    ConnectionState,
    command::Recipient,
    view::{Body, MessageState, TimelineRow},
};
use fireside_protocol::{ConversationId, Sequence, UserId};
use fireside_server::{RunningServer, Server, Settings, TokenKeys};
use unicode_width::UnicodeWidthStr;

use crate::token::sign_with;

mod acts;
mod player;

use player::Player;

/// Whatever is awaited takes milliseconds; a machine that needs longer than this is not well.
const PATIENCE: Duration = Duration::from_secs(15);
/// Going down takes this long: the server waits until its last packets are acknowledged.
const GOODBYE: Duration = Duration::from_millis(2_000);
const COLOURS: [&str; 4] = ["36", "33", "35", "32"];
/// Where a message's text begins, and the cells it has at least.
const TEXT_AT: usize = 22;
const TEXT_CELLS: usize = 34;

/// Time is over, or Ctrl-C.
#[derive(Debug)]
pub(super) struct Over;

/// A player's place among the players.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Role(usize);

/// The stage.
pub(super) struct Stage {
    folder: PathBuf,
    server: Option<RunningServer>,
    keys: Arc<TokenKeys>,
    players: Vec<Player>,
    wake: (Sender<()>, Receiver<()>),
    stop: Arc<AtomicBool>,
    started: Instant,
    deadline: Option<Instant>,
    colour: bool,
    sent: u64,
    latencies_us: Vec<u64>,
}

type Step<T = ()> = Result<T, super::Stop>;

/// Text in a colour, if there are colours.
fn paint(stage: &Stage, code: &str, text: &str) -> String {
    if stage.colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

impl Stage {
    /// Starts a server of its own in a temporary folder.
    pub(super) fn set(time: Option<Duration>) -> anyhow::Result<Self> {
        let started = Instant::now();
        let folder = std::env::temp_dir().join(format!("fireside-demo-{}", std::process::id()));
        fs::create_dir_all(&folder)
            .with_context(|| format!("the folder {} can not be made", folder.display()))?;
        let server = Server::start(Settings::dev(folder.join("server")))?;
        let stop = Arc::new(AtomicBool::new(false));
        stop_on_interrupt(stop.clone())?;
        let mut stage = Self {
            keys: server.token_keys(),
            folder,
            players: Vec::new(),
            wake: bounded(1),
            stop,
            started,
            deadline: time.map(|time| started + time),
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
            sent: 0,
            latencies_us: Vec::new(),
            server: None,
        };
        println!("{}", paint(&stage, "1", "Fireside"));
        println!(
            "a server on {} (QUIC), all its state in {}",
            server.address(),
            stage.folder.display()
        );
        stage.server = Some(server);
        Ok(stage)
    }

    pub(super) fn heading(&self, text: &str) {
        println!("\n{}", paint(self, "1;4", text));
    }

    fn tell(&self, text: &str) {
        println!("  {}", paint(self, "2", text));
    }

    fn player(&self, role: Role) -> &Player {
        &self.players[role.0]
    }

    fn name(&self, role: Role) -> String {
        self.player(role).user.to_string()
    }

    /// A player comes in, with a device of its own.
    pub(super) fn enter(&mut self, name: &str) -> Step<Role> {
        let role = Role(self.players.len());
        self.players.push(self.new_player(name)?);
        Ok(role)
    }

    fn new_player(&self, name: &str) -> anyhow::Result<Player> {
        let server = self.server.as_ref().context("no server")?;
        let user: UserId = name.parse()?;
        let token = sign_with(&self.keys, None, &user, name, &[], 3_600)?;
        let mut config = ClientConfig::new(
            server.address().to_string(),
            Trust::Pinned(server.fingerprint().0),
            token,
        );
        config.user = Some(user.clone());
        config.folder = Some(self.folder.join("players"));
        config.agent = "fireside-demo".to_owned();
        let client = Client::start(config)?;
        let wake = self.wake.0.clone();
        client.set_wake(move || {
            let _ = wake.try_send(());
        });
        client.connect()?;
        client.set_visible(true)?;
        Ok(Player {
            user,
            client,
            state: ConnectionState::Offline,
            list: Vec::new(),
            timelines: HashMap::new(),
            typing: None,
            invited: Vec::new(),
            created: None,
            failed: None,
            received: 0,
        })
    }

    /// Takes in what all clients have.
    fn pump(&mut self) {
        for player in &mut self.players {
            let client = player.client.clone();
            client.tick(1_000, Duration::from_millis(50), &mut |event| {
                player.take(event);
            });
        }
    }

    /// Waits for something to become true.
    fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) -> Step {
        let patience = Instant::now() + PATIENCE;
        loop {
            self.pump();
            if let Some(error) = self
                .players
                .iter_mut()
                .find_map(|player| player.failed.take())
            {
                return Err(
                    anyhow::anyhow!("a call failed while waiting for {what}: {error}").into(),
                );
            }
            if is(self) {
                return Ok(());
            }
            self.check_time()?;
            if Instant::now() > patience {
                return Err(
                    anyhow::anyhow!("waited {} s in vain: {what}", PATIENCE.as_secs()).into(),
                );
            }
            let _ = self.wake.1.recv_timeout(Duration::from_millis(20));
        }
    }

    fn check_time(&self) -> Result<(), Over> {
        let over = self
            .deadline
            .is_some_and(|deadline| Instant::now() + GOODBYE > deadline);
        if over || self.stop.load(Ordering::SeqCst) {
            Err(Over)
        } else {
            Ok(())
        }
    }

    /// Lets time go by.
    pub(super) fn rest(&mut self, time: Duration) -> Step {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.pump();
            self.check_time()?;
            let left = end.saturating_duration_since(Instant::now());
            let _ = self
                .wake
                .1
                .recv_timeout(left.min(Duration::from_millis(50)));
        }
        Ok(())
    }

    pub(super) fn wait_connected(&mut self) -> Step {
        let began = Instant::now();
        self.until("all are connected", |stage| {
            stage
                .players
                .iter()
                .all(|player| player.state == ConnectionState::Connected)
        })?;
        let names: Vec<String> = self
            .players
            .iter()
            .map(|player| player.user.to_string())
            .collect();
        self.tell(&format!(
            "{} are connected after {:.1} ms",
            names.join(", "),
            began.elapsed().as_secs_f64() * 1_000.0
        ));
        Ok(())
    }

    // ---- the end

    /// Compares what everybody shows, says how it went, and cleans up.
    pub(super) fn end(mut self) -> anyhow::Result<ExitCode> {
        // Those who were cut off when the time was over come back; then all must become equal.
        for player in &self.players {
            if player.state == ConnectionState::Offline {
                let _ = player.client.connect();
            }
        }
        self.stop.store(false, Ordering::SeqCst);
        self.deadline = None;
        let outcome = self.until("all show the same", Self::all_equal);
        self.latencies_us.sort_unstable();
        let middle = self
            .latencies_us
            .get(self.latencies_us.len() / 2)
            .copied()
            .unwrap_or(0);
        self.heading("The end");
        let received: u64 = self.players.iter().map(|player| player.received).sum();
        println!(
            "  {} messages sent, {received} received, {} players, {:.1} s\n  from the call to the server's disk and back: {} (median)",
            self.sent,
            self.players.len(),
            self.started.elapsed().as_secs_f64(),
            ms(Duration::from_micros(middle)),
        );
        let equal = match outcome {
            Ok(()) => {
                println!(
                    "  {} every player shows the same messages in the same order",
                    paint(&self, "32", "✓")
                );
                true
            }
            Err(_) => {
                println!(
                    "  {} the players do not show the same",
                    paint(&self, "31", "✗")
                );
                false
            }
        };
        std::io::stdout().flush()?;
        for player in &self.players {
            player.client.shutdown(Duration::from_millis(250));
        }
        if let Some(server) = self.server.take() {
            server.stop();
        }
        Ok(if equal {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn all_equal(&self) -> bool {
        let mut all: Vec<ConversationId> = self
            .players
            .iter()
            .flat_map(|player| player.timelines.keys().copied())
            .collect();
        all.sort();
        all.dedup();
        all.into_iter().all(|conversation| {
            let shown: Vec<Vec<(Sequence, &UserId, &Body)>> = self
                .players
                .iter()
                .filter_map(|player| player.timelines.get(&conversation))
                .filter(|rows| !rows.is_empty())
                .map(|rows| {
                    rows.iter()
                        .filter_map(|row| Some((row.sequence?, &row.sender, &row.body)))
                        .collect()
                })
                .collect();
            // From where the last one came in.
            let from = shown
                .iter()
                .filter_map(|rows| rows.first().map(|(sequence, ..)| *sequence))
                .max()
                .unwrap_or(0);
            let mut cut = shown.iter().map(|rows| {
                rows.iter()
                    .filter(|(sequence, ..)| *sequence >= from)
                    .collect::<Vec<_>>()
            });
            let first = cut.next();
            cut.all(|other| Some(other) == first)
        }) && self.players.iter().all(|player| {
            player
                .timelines
                .values()
                .flatten()
                .all(|row| row.state != MessageState::Sending)
        })
    }

    // ---- helpers

    fn command<T>(
        &self,
        role: Role,
        call: impl FnOnce(&Client) -> Result<T, fireside_client_core::CommandError>,
    ) -> anyhow::Result<T> {
        call(&self.player(role).client)
            .map_err(|error| anyhow::anyhow!("{}: {error}", self.name(role)))
    }

    /// When, and the row after which its echo comes.
    fn send(&mut self, from: Role, to: Recipient, text: &str) -> anyhow::Result<(Instant, u64)> {
        let start = Instant::now();
        let rows = self.player(from).timelines.values().flatten();
        let after = rows.map(|row| row.row).max().unwrap_or(0);
        self.command(from, |client| client.send_text(to, text))?;
        self.sent += 1;
        Ok((start, after))
    }

    fn open(&mut self, role: Role, conversation: ConversationId) -> anyhow::Result<()> {
        if !self.player(role).timelines.contains_key(&conversation) {
            self.command(role, |client| client.open(conversation))?;
        }
        Ok(())
    }

    fn find(
        &self,
        role: Role,
        conversation: ConversationId,
        is: impl Fn(&TimelineRow) -> bool,
    ) -> Option<&TimelineRow> {
        let player = self.player(role);
        player
            .timelines
            .get(&conversation)?
            .iter()
            .rev()
            .find(|row| row.sender == player.user && is(row))
    }

    fn state_of(
        &self,
        role: Role,
        conversation: ConversationId,
        after: u64,
        text: &str,
    ) -> Option<MessageState> {
        self.find(role, conversation, |row| {
            row.row > after && is_text(row, text)
        })
        .map(|row| row.state.clone())
    }

    fn number_of(
        &self,
        role: Role,
        conversation: ConversationId,
        after: u64,
        text: &str,
    ) -> Option<Sequence> {
        self.find(role, conversation, |row| {
            row.row > after && is_text(row, text)
        })
        .and_then(|row| row.sequence)
    }

    fn last_own(&self, role: Role, conversation: ConversationId) -> anyhow::Result<Sequence> {
        match self
            .find(role, conversation, |row| matches!(row.body, Body::Text(_)))
            .and_then(|row| row.sequence)
        {
            Some(sequence) => Ok(sequence),
            None => bail!("{} has no message there", self.name(role)),
        }
    }

    fn all_show(
        &self,
        group: ConversationId,
        sequence: Sequence,
        is: impl Fn(&TimelineRow) -> bool,
    ) -> bool {
        let members = self
            .players
            .iter()
            .filter_map(|player| player.timelines.get(&group));
        members.into_iter().all(|rows| {
            rows.iter()
                .any(|row| row.sequence == Some(sequence) && is(row))
        })
    }

    /// How many numbered messages a player shows.
    fn numbers(&self, role: Role, group: ConversationId) -> usize {
        let rows = self.player(role).timelines.get(&group);
        rows.map_or(0, |rows| {
            rows.iter()
                .filter(|row| row.sequence.is_some() && matches!(row.body, Body::Text(_)))
                .count()
        })
    }

    fn unsent(&self, role: Role, group: ConversationId) -> usize {
        let rows = self.player(role).timelines.get(&group);
        rows.map_or(0, |rows| {
            rows.iter()
                .filter(|row| row.state == MessageState::Sending)
                .count()
        })
    }

    fn title(&self, group: ConversationId) -> String {
        let row = self
            .players
            .iter()
            .find_map(|player| player.list.iter().find(|row| row.conversation == group));
        row.map_or_else(|| group.to_string(), |row| row.name.to_string())
    }

    fn show(&self, from: Role, to: &str, text: &str, note: &str) {
        let colour = COLOURS[from.0 % COLOURS.len()];
        let name = pad(&self.name(from), 5);
        let line = format!(
            "{} {} {}",
            paint(self, &format!("1;{colour}"), &name),
            paint(self, "2", &pad(&format!("▸ {to}"), 13)),
            pad(text, TEXT_CELLS)
        );
        let cells = TEXT_AT + text.width().max(TEXT_CELLS) + 1 + note.width();
        let gap = if columns().is_some_and(|columns| cells > columns) {
            // Under the text, where a narrow terminal would break it anywhere.
            format!("\n{}", " ".repeat(TEXT_AT))
        } else {
            " ".to_owned()
        };
        println!("  {line}{gap}{}", paint(self, "2", note));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.players.clear();
        if let Some(server) = self.server.take() {
            server.stop();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_text(row: &TimelineRow, text: &str) -> bool {
    matches!(&row.body, Body::Text(have) if **have == *text)
}

const fn reached(have: &MessageState, wanted: &MessageState) -> bool {
    match wanted {
        MessageState::Sent => matches!(
            have,
            MessageState::Sent | MessageState::Delivered | MessageState::Read
        ),
        MessageState::Delivered => matches!(have, MessageState::Delivered | MessageState::Read),
        _ => matches!(have, MessageState::Read),
    }
}

/// The terminal's width in cells, if it is one.
fn columns() -> Option<usize> {
    let terminal = std::io::stdout().is_terminal();
    let size = terminal.then(|| crossterm::terminal::size().ok())??;
    Some(usize::from(size.0))
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

fn pad(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(text.width())))
}

fn stop_on_interrupt(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                while tokio::signal::ctrl_c().await.is_ok() {
                    // Twice means now.
                    if stop.swap(true, Ordering::SeqCst) {
                        std::process::exit(130);
                    }
                }
            });
        })?;
    Ok(())
}
