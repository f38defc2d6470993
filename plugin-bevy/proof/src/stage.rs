//! An app that a proof steps by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use anyhow::bail;
use bevy::{MinimalPlugins, app::App, ecs::prelude::*};
use bevy_fireside::{
    CallFinished, ChatClient, ClientFailed, Connected, ConversationAdded, ConversationRemoved,
    Disconnected, FiresidePlugin, HistoryLoaded, Invited, MembersLoaded, MemoryModeEntered,
    MessageFailed, MessageReceived, MessageSent, MessagesMissed, TimelineChanged, TokenExpiring,
    TypingChanged, UserId, WakeCallback,
};
use fireside_client::Trust;
use fireside_tests::process::{Server, ServerPlan};

/// Whatever is waited for takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// An app is stepped at least this often: what does not wake it (a frame later) is seen too.
const STEP: Duration = Duration::from_millis(20);

/// Everything that was seen, by the name of its type.
#[derive(Debug, Default, Resource)]
pub(crate) struct Seen {
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) received: Vec<MessageReceived>,
    pub(crate) finished: Vec<CallFinished>,
    pub(crate) sent: Vec<MessageSent>,
    pub(crate) failed: Vec<MessageFailed>,
    pub(crate) invited: Vec<Invited>,
    pub(crate) typing: Vec<TypingChanged>,
    pub(crate) loaded: Vec<HistoryLoaded>,
    pub(crate) members: Vec<MembersLoaded>,
    pub(crate) missed: u64,
    pub(crate) added: Vec<Entity>,
}

impl Seen {
    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    pub(crate) fn times(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

/// The app and what wakes it.
pub(crate) struct Stage {
    pub(crate) app: App,
    woken: mpsc::Receiver<()>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (wake, woken) = mpsc::sync_channel(1);
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, FiresidePlugin::default()))
            .init_resource::<Seen>()
            .insert_resource(WakeCallback(Arc::new(move || {
                let _ = wake.try_send(());
            })));
        app.add_systems(
            bevy::app::Update,
            (
                read_received,
                read_finished,
                read_timelines,
                read_typing,
                read_missed,
            ),
        );
        app.add_observer(|it: On<MessageSent>, mut seen: ResMut<Seen>| {
            seen.count("MessageSent");
            seen.sent.push(*it.event());
        });
        app.add_observer(|it: On<MessageFailed>, mut seen: ResMut<Seen>| {
            seen.count("MessageFailed");
            seen.failed.push(it.event().clone());
        });
        app.add_observer(|it: On<Invited>, mut seen: ResMut<Seen>| {
            seen.count("Invited");
            seen.invited.push(it.event().clone());
        });
        app.add_observer(|it: On<HistoryLoaded>, mut seen: ResMut<Seen>| {
            seen.count("HistoryLoaded");
            seen.loaded.push(*it.event());
        });
        app.add_observer(|it: On<MembersLoaded>, mut seen: ResMut<Seen>| {
            seen.count("MembersLoaded");
            seen.members.push(it.event().clone());
        });
        app.add_observer(|it: On<ConversationAdded>, mut seen: ResMut<Seen>| {
            seen.count("ConversationAdded");
            seen.added.push(it.event().conversation);
        });
        app.add_observer(|_: On<ConversationRemoved>, mut seen: ResMut<Seen>| {
            seen.count("ConversationRemoved");
        });
        app.add_observer(|_: On<Connected>, mut seen: ResMut<Seen>| seen.count("Connected"));
        app.add_observer(|_: On<Disconnected>, mut seen: ResMut<Seen>| seen.count("Disconnected"));
        app.add_observer(|_: On<TokenExpiring>, mut seen: ResMut<Seen>| {
            seen.count("TokenExpiring");
        });
        app.add_observer(|_: On<MemoryModeEntered>, mut seen: ResMut<Seen>| {
            seen.count("MemoryModeEntered");
        });
        app.add_observer(|_: On<ClientFailed>, mut seen: ResMut<Seen>| seen.count("ClientFailed"));
        app.finish();
        app.cleanup();
        Self { app, woken }
    }

    /// A client's settings for a user of this server.
    pub(crate) fn client(
        plan: &ServerPlan,
        server: &Server,
        user: &str,
    ) -> anyhow::Result<ChatClient> {
        let mut client = ChatClient::new(
            server.address().to_string(),
            Trust::Pinned(server.fingerprint()),
            plan.token(user)?,
        );
        // Who it is, so that it can write before it is online.
        client.user = Some(UserId::new(user)?);
        Ok(client)
    }

    pub(crate) fn world(&mut self) -> &mut World {
        self.app.world_mut()
    }

    pub(crate) fn seen(&self) -> &Seen {
        self.app.world().resource::<Seen>()
    }

    /// Runs a system once, for the system parameter `Chat`.
    pub(crate) fn act<T: 'static, M>(
        &mut self,
        system: impl IntoSystem<(), T, M> + 'static,
    ) -> anyhow::Result<T> {
        bevy::ecs::system::RunSystemOnce::run_system_once(self.app.world_mut(), system)
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Steps the app until something is so.
    pub(crate) fn until(
        &mut self,
        what: &str,
        mut so: impl FnMut(&mut World) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.app.update();
            if so(self.app.world_mut()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seen = self.seen();
                let last: Vec<_> = seen.finished.iter().rev().take(3).collect();
                bail!(
                    "{what}: not within {PATIENCE:?}; seen {:?}; last calls {last:?}",
                    seen.counts
                );
            }
            // Woken or not: the next step looks again.
            let _ = self.woken.recv_timeout(STEP);
        }
    }
}

fn read_received(mut reader: MessageReader<MessageReceived>, mut seen: ResMut<Seen>) {
    for message in reader.read() {
        seen.count("MessageReceived");
        seen.received.push(message.clone());
    }
}

fn read_finished(mut reader: MessageReader<CallFinished>, mut seen: ResMut<Seen>) {
    for message in reader.read() {
        seen.count("CallFinished");
        seen.finished.push(message.clone());
    }
}

fn read_timelines(mut reader: MessageReader<TimelineChanged>, mut seen: ResMut<Seen>) {
    reader.read().for_each(|_| seen.count("TimelineChanged"));
}

fn read_typing(mut reader: MessageReader<TypingChanged>, mut seen: ResMut<Seen>) {
    for message in reader.read() {
        seen.count("TypingChanged");
        seen.typing.push(message.clone());
    }
}

fn read_missed(mut reader: MessageReader<MessagesMissed>, mut seen: ResMut<Seen>) {
    for message in reader.read() {
        seen.count("MessagesMissed");
        seen.missed += message.count;
    }
}
