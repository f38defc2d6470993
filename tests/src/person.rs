//! The product's client in this process, as a game would use it: commands in, events out, and a note of everything that happened.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use fireside_client::{Client, ClientConfig, Trust};
use fireside_client_core::{
    ConnectionState, Event, RequestId,
    event::{CallError, Completion},
};
use fireside_protocol::{ConversationId, UserId};

use crate::wire::Target;

/// A message of somebody else that came live.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Where.
    pub conversation: ConversationId,
    /// Its number.
    pub sequence: u64,
    /// What.
    pub text: String,
}

/// A person with a client.
#[derive(Debug)]
pub struct Person {
    /// The client.
    pub client: Client,
    /// Who.
    pub user: UserId,
    /// Every state of the connection so far, and when it was seen.
    pub states: Vec<(Instant, ConnectionState)>,
    /// What came of calls so far.
    pub completions: HashMap<RequestId, Result<Completion, CallError>>,
    /// Messages of others so far, in the order they came.
    pub heard: Vec<Heard>,
    /// Why the cache could not be used.
    pub memory_mode: Option<String>,
}

/// How a person's client is started.
#[derive(Clone, Debug)]
pub struct PersonPlan<'a> {
    /// Where the server is.
    pub target: Target,
    /// Who.
    pub user: &'a str,
    /// Their token.
    pub token: &'a str,
    /// Cache and outbox; `None`: in memory.
    pub folder: Option<&'a Path>,
    /// 0-RTT where it can be had.
    pub early_data: bool,
}

impl PersonPlan<'_> {
    /// Starts the client; it does not connect yet.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn start(&self) -> anyhow::Result<Person> {
        let trust = Trust::Pinned(self.target.fingerprint);
        let user = UserId::new(self.user)?;
        let mut config = ClientConfig::new(self.target.address.to_string(), trust, self.token);
        config.user = Some(user.clone());
        config.folder = self.folder.map(Path::to_owned);
        config.early_data = self.early_data;
        // A proof does not wait half a minute for a reconnect.
        config.reconnect_delay_ms_max = 1_000;
        let client = Client::start(config)?;
        Ok(Person {
            client,
            user,
            states: Vec::new(),
            completions: HashMap::new(),
            heard: Vec::new(),
            memory_mode: None,
        })
    }
}

impl Person {
    /// Waits at most so long for something to happen, and notes it.
    pub fn pump(&mut self, timeout: Duration) {
        if self.client.wait(timeout) {
            self.note_all();
        }
    }

    /// Notes what has happened, without waiting.
    pub fn note_all(&mut self) {
        loop {
            let mut events = Vec::new();
            let budget = Duration::from_millis(50);
            let tick = self
                .client
                .tick(256, budget, &mut |event| events.push(event));
            let now = Instant::now();
            for event in events {
                self.note(event, now);
            }
            if tick.left == 0 {
                return;
            }
        }
    }

    fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::State(state) => self.states.push((now, state)),
            Event::Completed { request, result } => drop(self.completions.insert(request, result)),
            Event::MessageReceived {
                conversation,
                sequence,
                sender,
                text: Some(text),
                ..
            } if sender != self.user => {
                let text = text.to_string();
                self.heard.push(Heard {
                    conversation,
                    sequence,
                    text,
                });
            }
            Event::MemoryMode { reason } => self.memory_mode = Some(reason),
            _ => {}
        }
    }

    /// Waits until something is so; gives how long it took.
    ///
    /// # Errors
    /// When it does not become so in time.
    pub fn until(
        &mut self,
        what: &str,
        within: Duration,
        so: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        self.note_all();
        while !so(self) {
            let left = within.saturating_sub(begin.elapsed());
            if left.is_zero() {
                let states: Vec<_> = self.states.iter().rev().take(5).collect();
                bail!(
                    "{}: {what}: not within {within:?}; last states {states:?}",
                    self.user
                );
            }
            self.pump(left.min(Duration::from_millis(100)));
        }
        Ok(begin.elapsed())
    }

    /// The connection's state.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.states
            .last()
            .map_or(ConnectionState::Offline, |(_, state)| state.clone())
    }

    /// Logged in.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state() == ConnectionState::Connected
    }

    /// Connects and waits for the log-in; gives how long it took.
    ///
    /// # Errors
    /// When it is refused or takes too long.
    pub fn connect(&mut self, within: Duration) -> anyhow::Result<Duration> {
        self.note_all();
        let begin = Instant::now();
        self.client.connect()?;
        self.until("the log-in", within, Self::is_connected)?;
        // As the event says, not as this thread came to look.
        let at = self.states.last().map_or(begin, |(at, _)| *at);
        Ok(at.duration_since(begin))
    }

    /// Goes offline and waits for it.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn disconnect(&mut self) -> anyhow::Result<()> {
        self.client.disconnect()?;
        self.until("offline", Duration::from_secs(5), |p| {
            p.state() == ConnectionState::Offline
        })?;
        Ok(())
    }

    /// The number of a message, once it has one.
    ///
    /// # Errors
    /// When it was refused.
    pub fn sent(&self, request: RequestId) -> anyhow::Result<Option<u64>> {
        match self.completions.get(&request) {
            None => Ok(None),
            Some(Ok(Completion::Sent { sequence, .. })) => Ok(Some(*sequence)),
            Some(Ok(other)) => bail!("a message completed with {other:?}"),
            Some(Err(error)) => Err(error.clone()).context("a message was refused"),
        }
    }
}
