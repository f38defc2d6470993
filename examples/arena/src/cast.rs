//! The scripted players: real clients, each with a connection of its own, on a thread beside the game. They know nothing of Bevy;
//! they could as well sit on another machine.

mod actor;
mod director;
mod script;
mod words;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bevy::prelude::*;
use bevy_fireside::UserId;
use fireside_client::Client;
use fireside_server::TokenKeys;

use actor::Actor;
use director::Director;

use crate::people::CAST;

/// The cast looks around at least this often.
const STEP: Duration = Duration::from_millis(50);

/// What the cast needs to know.
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) keys: Arc<TokenKeys>,
    pub(crate) folder: PathBuf,
    /// Whom they invite.
    pub(crate) player: UserId,
    /// Whether Chinese and Arabic can be shown.
    pub(crate) many_scripts: Arc<AtomicBool>,
    /// Lines said before the player comes.
    pub(crate) history: u32,
}

/// The running cast; dropping it sends it home.
#[derive(Resource)]
pub(crate) struct Cast {
    stop: Arc<AtomicBool>,
    wake: mpsc::SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Cast {
    /// Logs them in.
    pub(crate) fn start(plan: Plan) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (wake, woken) = mpsc::sync_channel(1);
        let actors = CAST
            .iter()
            .map(|name| Actor::log_in(name, &plan, &wake))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let thread = std::thread::Builder::new()
            .name("arena-cast".to_owned())
            .spawn({
                let stop = stop.clone();
                move || play(actors, Director::new(plan), &stop, &woken)
            })?;
        Ok(Self {
            stop,
            wake,
            thread: Some(thread),
        })
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = self.wake.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn play(
    mut actors: Vec<Actor>,
    mut director: Director,
    stop: &AtomicBool,
    woken: &mpsc::Receiver<()>,
) {
    while !stop.load(Ordering::SeqCst) {
        for at in 0..actors.len() {
            let mut events = Vec::new();
            let client: Client = actors[at].client.clone();
            client.tick(256, Duration::from_millis(20), &mut |event| {
                events.push(event);
            });
            for event in events {
                director.take(&mut actors, at, event);
            }
        }
        let now = Instant::now();
        director.step(&mut actors, now);
        for actor in &mut actors {
            actor.step(now);
        }
        // Woken or not: the next step looks again.
        let _ = woken.recv_timeout(STEP);
    }
}
