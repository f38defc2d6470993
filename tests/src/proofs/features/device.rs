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
    view::{ConversationRow, Diff, FolderRow, FriendRow, TimelineRow},
};
use fireside_protocol::{Code, ConversationId, UserId, presence::PresenceOf};

use crate::wire::Target;

/// Whatever is awaited takes milliseconds; a machine that needs longer than this is not well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Device {
    pub(crate) client: Client,
    pub(crate) user: UserId,
    pub(crate) state: ConnectionState,
    pub(crate) sync: SyncState,
    pub(crate) list: Vec<ConversationRow>,
    pub(crate) timelines: HashMap<ConversationId, Vec<TimelineRow>>,
    pub(crate) typing: Vec<(ConversationId, UserId)>,
    /// Changes of the list, and of each timeline, so far. A list that comes anew counts as all its rows.
    pub(crate) list_changes: usize,
    pub(crate) timeline_changes: HashMap<ConversationId, usize>,
    /// Unread messages of all conversations together.
    pub(crate) badge: u64,
    pub(crate) folders: Vec<FolderRow>,
    pub(crate) friends: Vec<FriendRow>,
    /// Whether others are told how far this user has read.
    pub(crate) tells: bool,
    /// What is known of others.
    pub(crate) presence: HashMap<UserId, PresenceOf>,
    /// All else that happened, oldest first.
    pub(crate) events: Vec<Event>,
    done: HashMap<RequestId, Result<Completion, CallError>>,
}

impl Device {
    /// A device of a user at a server, with its cache in a folder or without one.
    pub(crate) fn start(
        target: Target,
        user: &str,
        token: &str,
        folder: Option<PathBuf>,
    ) -> Result<Self> {
        let trust = Trust::Pinned(target.fingerprint);
        let mut config = ClientConfig::new(target.address.to_string(), trust, token);
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
            list_changes: 0,
            timeline_changes: HashMap::new(),
            badge: 0,
            folders: Vec::new(),
            friends: Vec::new(),
            tells: true,
            presence: HashMap::new(),
            events: Vec::new(),
            done: HashMap::new(),
        })
    }

    /// Takes in what happened, waiting a moment for it.
    pub(crate) fn pump(&mut self) {
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
                self.list_changes += weight(&diffs);
                for diff in diffs {
                    diff.apply(&mut self.list);
                }
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                *self.timeline_changes.entry(conversation).or_default() += weight(&diffs);
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
            Event::Badge { unread } => self.badge = unread,
            Event::Folders(rows) => self.folders = rows.to_vec(),
            Event::Friends(rows) => self.friends = rows.to_vec(),
            Event::Receipts { on } => self.tells = on,
            Event::Presence(of) => drop(self.presence.insert(of.user.clone(), *of)),
            other => self.events.push(other),
        }
    }

    /// Carries a command out and waits for what comes of it. What may pass is tried again.
    pub(crate) fn call(&mut self, command: &Command) -> Result<Completion> {
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

    pub(crate) fn row(&self, id: ConversationId) -> Option<&ConversationRow> {
        self.list.iter().find(|row| row.conversation == id)
    }

    pub(crate) fn rows(&self, id: ConversationId) -> &[TimelineRow] {
        self.timelines.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn message(&self, id: ConversationId, number: u64) -> Option<&TimelineRow> {
        self.rows(id)
            .iter()
            .find(|row| row.sequence == Some(number))
    }

    pub(crate) fn connect(&mut self) -> Result<()> {
        self.call(&Command::Connect)?;
        self.until("connected", |it| {
            it.state == ConnectionState::Connected && it.sync >= SyncState::Newest
        })
    }

    pub(crate) fn disconnect(&mut self) -> Result<()> {
        self.call(&Command::Disconnect)?;
        self.until("offline", |it| it.state == ConnectionState::Offline)
    }

    /// Waits until something is so.
    pub(crate) fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) -> Result<()> {
        self.until_or(what, PATIENCE, is)
    }

    /// The same, but not for so long.
    pub(crate) fn until_or(
        &mut self,
        what: &str,
        patience: Duration,
        is: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        while !is(self) {
            let (user, lines) = (&self.user, self.list.len());
            ensure!(
                begun.elapsed() < patience,
                "{user} waits for: {what} ({:?}, {:?}, {lines} conversations)",
                self.state,
                self.sync
            );
            self.pump();
        }
        Ok(())
    }

    /// What is different between what two devices of a user show of a conversation.
    pub(crate) fn difference(&self, other: &Self, id: ConversationId) -> Option<String> {
        let rows = (self.row(id), other.row(id));
        if let (Some(one), Some(two)) = rows
            && one.role.is_none()
            && two.role.is_none()
        {
            // Who is out is served nothing more: each device keeps what it has got, and shows that nothing may be done.
            let shut = one.capabilities == 0 && two.capabilities == 0;
            return (!shut).then(|| format!("{one:?} and {two:?}"));
        }
        if rows.0 != rows.1 {
            return Some(format!("{:?} and {:?}", rows.0, rows.1));
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
    pub(crate) fn asks(&mut self, command: &Command) -> Option<Completion> {
        self.call(command).ok()
    }
}

/// How many changes these are.
fn weight<Row>(diffs: &[Diff<Row>]) -> usize {
    let weights = diffs.iter().map(|diff| match diff {
        Diff::Reset { rows } => rows.len(),
        _ => 1,
    });
    weights.sum()
}

/// The number that a message got.
pub(crate) fn number_of(completion: &Completion) -> Result<u64> {
    match completion {
        Completion::Sent { sequence, .. } => Ok(*sequence),
        other => Err(anyhow::anyhow!("{other:?}")).context("a message was to be sent"),
    }
}
