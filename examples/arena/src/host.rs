//! The server inside this process, started and stopped on a thread of its own: a game never waits for a server.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bevy::prelude::*;
use bevy_fireside::UserId;
use fireside_server::{Claims, RunningServer, Server, Settings, TokenKeys};
use tempfile::TempDir;

use crate::rescue;

/// Log-in tokens are good for so long; a game's backend would choose less.
const TOKEN_TIME: Duration = Duration::from_secs(12 * 3_600);

/// Whether there is a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Resource)]
pub(crate) enum ServerState {
    /// Clients can connect.
    Running,
    /// It tells its clients and goes down.
    Stopping,
    /// It is away, its data is on disk.
    Stopped,
    /// It comes back.
    Starting,
}

/// The server's host. Dropping it ends the server and, unless it was to be kept, its data.
#[derive(Resource)]
pub(crate) struct Host {
    orders: mpsc::Sender<Order>,
    states: Mutex<mpsc::Receiver<Result<ServerState, String>>>,
    thread: Option<JoinHandle<()>>,
    keys: Arc<TokenKeys>,
    /// Where clients connect; the same after a restart.
    pub(crate) address: SocketAddr,
    /// What clients pin.
    pub(crate) fingerprint: [u8; 32],
    folder: PathBuf,
    /// Removed when this goes.
    _temporary: Option<TempDir>,
}

enum Order {
    Stop,
    Start,
}

impl Host {
    /// Starts a server with its data in `data`, or in a temporary folder.
    pub(crate) fn start(data: Option<&Path>) -> anyhow::Result<Self> {
        let (folder, temporary) = match data {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let made = tempfile::Builder::new().prefix("fireside-arena-").tempdir();
                let made = made.context("a temporary folder can not be made")?;
                rescue::remember(made.path());
                (made.path().to_owned(), Some(made))
            }
        };
        let mut settings = Settings::dev(folder.join("server"));
        let server = Server::start(settings.clone())?;
        settings.server.listen = server.address();
        let (address, fingerprint) = (server.address(), server.fingerprint().0);
        let keys = server.token_keys();
        let (orders, ordered) = mpsc::channel();
        let (tell, states) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("arena-server".to_owned())
            .spawn(move || serve(server, &settings, &ordered, &tell))?;
        Ok(Self {
            orders,
            states: Mutex::new(states),
            thread: Some(thread),
            keys,
            address,
            fingerprint,
            folder,
            _temporary: temporary,
        })
    }

    /// Where everybody in this process keeps what they keep.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The keys that sign tokens.
    pub(crate) fn keys(&self) -> Arc<TokenKeys> {
        self.keys.clone()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The thread's receiver ends, and the server with it.
        let (orders, _) = mpsc::channel();
        self.orders = orders;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread. Ends when nobody can order any more.
fn serve(
    first: RunningServer,
    settings: &Settings,
    orders: &mpsc::Receiver<Order>,
    tell: &mpsc::Sender<Result<ServerState, String>>,
) {
    let mut running = Some(first);
    for order in orders {
        let outcome = match order {
            Order::Stop => {
                if let Some(server) = running.take() {
                    server.stop();
                }
                Ok(ServerState::Stopped)
            }
            Order::Start if running.is_some() => Ok(ServerState::Running),
            Order::Start => match Server::start(settings.clone()) {
                Ok(server) => {
                    running = Some(server);
                    Ok(ServerState::Running)
                }
                Err(error) => Err(error.to_string()),
            },
        };
        // Nobody listens any more: the orders end too.
        let _ = tell.send(outcome);
    }
    if let Some(server) = running {
        server.stop();
    }
}

/// Stops a server that runs, starts one that does not; in between it waits.
pub(crate) fn toggle(host: &Host, state: &mut ServerState) {
    let (order, next) = match state {
        ServerState::Running => (Order::Stop, ServerState::Stopping),
        ServerState::Stopped => (Order::Start, ServerState::Starting),
        ServerState::Stopping | ServerState::Starting => return,
    };
    if host.orders.send(order).is_ok() {
        *state = next;
    }
}

/// What the server's thread has to tell.
pub(crate) fn follow(host: Res<Host>, mut state: ResMut<ServerState>) {
    let states = host.states.lock().unwrap_or_else(PoisonError::into_inner);
    while let Ok(told) = states.try_recv() {
        match told {
            Ok(now) => {
                state.set_if_neq(now);
            }
            Err(error) => {
                error!("the server does not start: {error}");
                *state = ServerState::Stopped;
            }
        }
    }
}

/// What a game's backend does: signs who the player is.
pub(crate) fn sign(keys: &TokenKeys, user: &UserId) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = Claims {
        sub: user.as_str().to_owned(),
        iat: now,
        exp: now + TOKEN_TIME.as_secs(),
        name: user.as_str().to_owned(),
        ..Claims::default()
    };
    keys.sign(None, &claims)
        .with_context(|| format!("no token for {user}"))
}
