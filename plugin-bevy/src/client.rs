//! A client as an entity: settings in, state out.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use bevy_ecs::{
    change_detection::{DetectChanges, DetectChangesMut},
    component::Component,
    entity::Entity,
    event::EntityEvent,
    lifecycle::{Discard, Insert},
    observer::On,
    prelude::ReflectComponent,
    query::{Changed, QueryState, With},
    resource::Resource,
    system::{Commands, Query, Res, ResMut},
    world::{Ref, World},
};
use bevy_reflect::Reflect;
use fireside_client::{
    Client, ClientConfig, StartError, Trust,
    core::{SyncState, event::ConnectionState},
};
use fireside_protocol::UserId;

use crate::{
    conversation::{ConversationList, Conversations},
    events::{Connected, Disconnected},
    receive::Calls,
};

/// One user's chat. Inserting it starts the client's thread; despawning the entity (or removing [`Link`]) ends it, together with the
/// entities of its conversations, and waits for that at most 250 ms.
///
/// To log another user in, despawn the entity and spawn another. A new token for the same user goes through
/// [`ChatOn::set_token`](crate::ChatOn::set_token).
#[derive(Clone, Component)]
#[component(immutable)]
#[require(
    CatchUp,
    ConnectionStatus,
    FrameBudget,
    Conversations,
    ConversationList
)]
pub struct ChatClient {
    /// `host:port` of the server.
    pub server: String,
    /// How the server proves who it is: the pinned certificate of a development server, or the web's authorities.
    pub trust: Trust,
    /// The token that the game's backend signed for this player. Empty: given later with
    /// [`ChatOn::set_token`](crate::ChatOn::set_token).
    pub token: String,
    /// Whose token it is. Needed with `folder`, and to write to a user before the first log-in.
    pub user: Option<UserId>,
    /// Where the cache and the outbox are kept. `None`: in memory, and unsent messages end with the process.
    pub folder: Option<PathBuf>,
    /// Connects at once; otherwise on [`ChatOn::connect`](crate::ChatOn::connect).
    pub connect: bool,
    /// Name and version of the game, for the server's logs.
    pub agent: String,
}

impl ChatClient {
    /// A client that connects at once and keeps nothing on disk.
    #[must_use]
    pub fn new(server: impl Into<String>, trust: Trust, token: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            trust,
            token: token.into(),
            user: None,
            folder: None,
            connect: true,
            agent: concat!("bevy_fireside/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The same, keeping its cache and its outbox in a folder: messages written offline survive the game's end.
    #[must_use]
    pub fn keeping(mut self, user: UserId, folder: impl Into<PathBuf>) -> Self {
        self.user = Some(user);
        self.folder = Some(folder.into());
        self
    }

    fn start(&self) -> Result<Client, StartError> {
        let mut config = ClientConfig::new(self.server.clone(), self.trust, self.token.clone());
        config.user.clone_from(&self.user);
        config.folder.clone_from(&self.folder);
        config.agent.clone_from(&self.agent);
        Client::start(config)
    }
}

impl fmt::Debug for ChatClient {
    /// Without the token: secrets never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatClient")
            .field("server", &self.server)
            .field("user", &self.user)
            .field("folder", &self.folder)
            .field("connect", &self.connect)
            .finish_non_exhaustive()
    }
}

/// The client that [`Chat`](crate::Chat) acts on when no other is named. Put it on one entity only.
#[derive(Clone, Component, Copy, Debug, Default, Reflect)]
#[reflect(Component)]
pub struct PrimaryClient;

/// The running client behind a [`ChatClient`]. Present once it has started; insert it before the `ChatClient` to bring your own.
#[derive(Clone, Component, Debug)]
#[component(immutable)]
pub struct Link(pub Client);

/// How a client is connected, for the UI. Changes only when it really changes, so `Changed<ConnectionStatus>` is worth asking.
#[derive(Clone, Component, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub enum ConnectionStatus {
    /// Not connected and not trying to.
    #[default]
    Offline,
    /// First try.
    Connecting,
    /// Logged in.
    Online,
    /// The connection was lost.
    Reconnecting {
        /// Which try, from 1.
        attempt: u32,
        /// Time until it, in ms, as of the change; 0: under way.
        next_in_ms: u64,
    },
    /// The server said no. Nothing is tried until there is a new token or `connect` is called.
    Refused {
        /// The stable number of the [`Code`](crate::Code).
        code: u16,
        /// For people.
        text: String,
        /// Until when a ban lasts, in ms since 1970; 0: not said.
        until: u64,
    },
}

impl ConnectionStatus {
    /// Logged in.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self, Self::Online)
    }

    /// Trying, for the first time or again.
    #[must_use]
    pub const fn is_connecting(&self) -> bool {
        matches!(self, Self::Connecting | Self::Reconnecting { .. })
    }
}

impl From<&ConnectionState> for ConnectionStatus {
    fn from(state: &ConnectionState) -> Self {
        match state {
            ConnectionState::Offline => Self::Offline,
            ConnectionState::Connecting => Self::Connecting,
            ConnectionState::Connected => Self::Online,
            ConnectionState::Reconnecting {
                attempt,
                next_in_ms,
            } => Self::Reconnecting {
                attempt: *attempt,
                next_in_ms: *next_in_ms,
            },
            ConnectionState::Refused { code, text, until } => Self::Refused {
                code: code.number(),
                text: text.clone(),
                until: *until,
            },
        }
    }
}

/// How far a client has caught up with what it missed, for a "catching up…" hint.
#[derive(Clone, Component, Copy, Debug, Default, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub enum CatchUp {
    /// Something is on its way, or there is no connection.
    #[default]
    Behind,
    /// The list, the unread counts and the newest messages are right.
    Newest,
    /// Everything missed is in the cache (only with background fill).
    Complete,
}

impl From<SyncState> for CatchUp {
    fn from(state: SyncState) -> Self {
        match state {
            SyncState::Behind => Self::Behind,
            SyncState::Newest => Self::Newest,
            SyncState::Complete => Self::Complete,
        }
    }
}

/// A frame's share of one client's chat. What does not fit waits for the next frame; the most important comes first.
#[derive(Clone, Component, Copy, Debug, Eq, PartialEq, Reflect)]
#[reflect(Component)]
pub struct FrameBudget {
    /// Events a frame at most.
    pub events_max: usize,
    /// Time a frame at most; the event under way is finished.
    pub time_max: Duration,
}

impl Default for FrameBudget {
    /// 1,024 events and half a millisecond.
    fn default() -> Self {
        Self {
            events_max: 1_024,
            time_max: Duration::from_micros(500),
        }
    }
}

/// Called from a client's thread when there is something to receive, for apps that sleep between frames (reactive `WinitSettings`).
/// Insert it before clients are spawned. It must not block: send `WinitUserEvent::WakeUp` through the event loop's proxy.
#[derive(Clone, Resource)]
pub struct WakeCallback(pub Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for WakeCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeCallback")
    }
}

/// A [`ChatClient`] could not be started: a setting makes no sense, or the machine gives no thread.
#[derive(Clone, Debug, EntityEvent)]
pub struct ClientFailed {
    /// The client's entity.
    #[event_target]
    pub client: Entity,
    /// What was wrong, what was expected.
    pub error: Arc<StartError>,
}

/// Starts the client of an inserted [`ChatClient`].
pub(crate) fn start_client(
    insert: On<Insert, ChatClient>,
    settings: Query<(&ChatClient, Option<&Link>)>,
    wake: Option<Res<WakeCallback>>,
    mut commands: Commands,
) {
    let entity = insert.entity;
    let Ok((settings, link)) = settings.get(entity) else {
        return;
    };
    let client = match link {
        Some(link) => link.0.clone(),
        None => match settings.start() {
            Ok(client) => client,
            Err(error) => {
                tracing::error!(%error, "a chat client could not be started");
                let error = Arc::new(error);
                commands.queue(move |world: &mut World| {
                    world.trigger(ClientFailed {
                        client: entity,
                        error,
                    });
                });
                return;
            }
        },
    };
    if let Some(wake) = wake {
        let wake = wake.0.clone();
        client.set_wake(move || wake());
    }
    // A client that was just started has room for a call; one that was shut down already has nothing to connect.
    if settings.connect && client.connect().is_err() {
        tracing::warn!("the chat client was shut down before it was spawned");
    }
    if link.is_none() {
        commands.entity(entity).insert(Link(client));
    }
}

/// A client without its link is offline, and its calls do not finish.
pub(crate) fn end_client(
    discard: On<Discard, Link>,
    mut clients: Query<(&mut ConnectionStatus, &mut CatchUp)>,
    mut calls: ResMut<Calls>,
) {
    calls.forget(discard.entity);
    if let Ok((mut status, mut catch_up)) = clients.get_mut(discard.entity) {
        status.set_if_neq(ConnectionStatus::Offline);
        catch_up.set_if_neq(CatchUp::Behind);
    }
}

/// Was it online when last looked at?
#[derive(Clone, Component, Copy, Debug)]
pub(crate) struct WasOnline(pub(crate) bool);

/// Clients whose status changed since the last frame.
pub(crate) type StatusChanges = QueryState<
    (
        Entity,
        Ref<'static, ConnectionStatus>,
        Option<&'static WasOnline>,
    ),
    (With<ChatClient>, Changed<ConnectionStatus>),
>;

/// Turns changes of [`ConnectionStatus`] into [`Connected`] and [`Disconnected`].
pub(crate) fn note_status_changes(world: &mut World, changes: &mut StatusChanges) {
    let came_or_went =
        |(client, status, was): (Entity, Ref<'_, ConnectionStatus>, Option<&WasOnline>)| {
            let was = was.is_some_and(|was| was.0);
            let is = status.is_online();
            let new = status.is_added() && !is;
            (!new && was != is).then(|| (client, ConnectionStatus::clone(&status)))
        };
    // Mostly empty, and then nothing is allocated.
    let changed: Vec<(Entity, ConnectionStatus)> =
        changes.iter(world).filter_map(came_or_went).collect();
    for (client, status) in changed {
        // An observer may have despawned it meanwhile.
        let Ok(mut entity) = world.get_entity_mut(client) else {
            continue;
        };
        let is = status.is_online();
        entity.insert(WasOnline(is));
        if is {
            world.trigger(Connected { client });
        } else {
            world.trigger(Disconnected { client, status });
        }
    }
}
