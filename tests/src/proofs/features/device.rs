//! A device of somebody: the product's client, and what a game has of it.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_client::{Client, ClientConfig, Trust};
use fireside_client_core::{
    Command, ConnectionState, Event, RequestId, SyncState,
    event::{CallError, Completion},
    view::{ConversationRow, TimelineRow},
};
use fireside_protocol::{Code, ConversationId, UserId};
use fireside_server::RunningServer;

/// Whatever is awaited takes milliseconds; a machine that needs longer than this is not well.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Device {
    pub(super) client: Client,
    pub(super) user: UserId,
    pub(super) state: ConnectionState,
    pub(super) sync: SyncState,
    pub(super) list: Vec<ConversationRow>,
    pub(super) timelines: HashMap<ConversationId, Vec<TimelineRow>>,
    pub(super) typing: Vec<(ConversationId, UserId)>,
    /// All else that happened, oldest first.
    pub(super) events: Vec<Event>,
    done: HashMap<RequestId, Result<Completion, CallError>>,
}

impl Device {
    pub(super) fn start(
        server: &RunningServer,
        user: &str,
        token: &str,
        folder: Option<PathBuf>,
    ) -> Result<Self> {
        let trust = Trust::Pinned(server.fingerprint().0);
        let mut config = ClientConfig::new(server.address().to_string(), trust, token);
        let user = UserId::new(user)?;
        config.user = Some(user.clone());
        config.folder = folder;
        config.reconnect_delay_ms_max = 1_000;
        Ok(Self {
            client: Client::start(config)?,
            user,
            state: ConnectionState::Offline,
            sync: SyncState::Behind,
            list: Vec::new(),
            timelines: HashMap::new(),
            typing: Vec::new(),
            events: Vec::new(),
            done: HashMap::new(),
        })
    }

    /// Takes in what happened, waiting a moment for it.
    pub(super) fn pump(&mut self) {
        let _ = self.client.wait(Duration::from_millis(2));
        let mut events = Vec::new();
        let budget = Duration::from_millis(50);
        self.client
            .tick(1_024, budget, &mut |event| events.push(event));
        for event in events {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::State(state) => self.state = state,
            Event::Sync(state) => self.sync = state,
            Event::Completed { request, result } => drop(self.done.insert(request, result)),
            Event::Conversations { diffs, .. } => {
                for diff in diffs {
                    diff.apply(&mut self.list);
                }
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                let rows = self.timelines.entry(conversation).or_default();
                for diff in diffs {
                    diff.apply(rows);
                }
            }
            Event::Typing {
                conversation,
                user,
                on: true,
            } => self.typing.push((conversation, user)),
            other => self.events.push(other),
        }
    }

    /// Carries a command out and waits for what comes of it. What may pass is tried again.
    pub(super) fn call(&mut self, command: &Command) -> Result<Completion> {
        let begun = Instant::now();
        loop {
            let request = self
                .client
                .command(command.clone())
                .map_err(|error| anyhow::anyhow!("{command:?} is not taken: {error}"))?;
            let result = loop {
                if let Some(result) = self.done.remove(&request) {
                    break result;
                }
                ensure!(begun.elapsed() < PATIENCE, "{command:?} is not answered");
                self.pump();
            };
            match result {
                Ok(completion) => return Ok(completion),
                Err(error) if error.code.retryable() && error.code != Code::Offline => {
                    ensure!(begun.elapsed() < PATIENCE, "{command:?}: {error}");
                    self.pump();
                }
                Err(error) => bail!("{command:?}: {error}"),
            }
        }
    }

    pub(super) fn row(&self, id: ConversationId) -> Option<&ConversationRow> {
        self.list.iter().find(|row| row.conversation == id)
    }

    pub(super) fn rows(&self, id: ConversationId) -> &[TimelineRow] {
        self.timelines.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(super) fn message(&self, id: ConversationId, number: u64) -> Option<&TimelineRow> {
        self.rows(id)
            .iter()
            .find(|row| row.sequence == Some(number))
    }

    pub(super) fn connect(&mut self) -> Result<()> {
        self.call(&Command::Connect)?;
        self.until("connected", |it| {
            it.state == ConnectionState::Connected && it.sync >= SyncState::Newest
        })
    }

    pub(super) fn disconnect(&mut self) -> Result<()> {
        self.call(&Command::Disconnect)?;
        self.until("offline", |it| it.state == ConnectionState::Offline)
    }

    /// Waits until something is so.
    pub(super) fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is(self) {
            let user = &self.user;
            ensure!(begun.elapsed() < PATIENCE, "{user} waits for: {what}");
            self.pump();
        }
        Ok(())
    }

    /// What is different between what two devices of a user show of a conversation.
    pub(super) fn difference(&self, other: &Self, id: ConversationId) -> Option<String> {
        if self.row(id) != other.row(id) {
            return Some(format!("{:?} and {:?}", self.row(id), other.row(id)));
        }
        // Rows are numbered by each device, and only one of them sent it.
        let plain = |row: &TimelineRow| TimelineRow {
            row: 0,
            nonce: None,
            ..row.clone()
        };
        let (mine, theirs) = (self.rows(id), other.rows(id));
        let mut pairs = mine.iter().zip(theirs);
        let pair = pairs.find(|(one, other)| plain(one) != plain(other));
        match pair {
            Some((one, other)) => Some(format!("{one:?} and {other:?}")),
            None if mine.len() != theirs.len() => {
                Some(format!("{} and {} rows", mine.len(), theirs.len()))
            }
            None => None,
        }
    }

    /// What a call gave, as an option.
    pub(super) fn asks(&mut self, command: &Command) -> Option<Completion> {
        self.call(command).ok()
    }
}

/// The number that a message got.
pub(super) fn number_of(completion: &Completion) -> Result<u64> {
    match completion {
        Completion::Sent { sequence, .. } => Ok(*sequence),
        other => Err(anyhow::anyhow!("{other:?}")).context("a message was to be sent"),
    }
}
