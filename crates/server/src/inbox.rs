//! What waits for the node: a bounded queue for clients' requests, an open door for what must not be lost.

use std::{
    mem,
    sync::{Arc, mpsc::SyncSender},
};

use fireside_protocol::{ClientFrame, WallMs};
use fireside_server_core::{
    Login, NodeConfig, Origin, SessionKey,
    node::{Counters, Published},
    previews::{PageSummary, PreviewRequest},
    storage::{Reply, StoreError, Ticket},
};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::session::Session;

/// Something for the node.
pub(crate) enum Input {
    Connected {
        session: Arc<Session>,
        login: Box<Login>,
    },
    Confirmed(SessionKey),
    Token {
        session: SessionKey,
        expires: WallMs,
        roles: Vec<String>,
        origin: Origin,
    },
    Request {
        session: SessionKey,
        origin: Origin,
        frame: ClientFrame,
    },
    Disconnected(SessionKey),
    Drained(SessionKey),
    Stored(Vec<(Ticket, Result<Reply, StoreError>)>),
    Published(Published),
    /// A page was read for a message.
    Preview(Box<(PreviewRequest, PageSummary)>),
    Config(Box<NodeConfig>),
    Count(SyncSender<Counters>),
    Drain {
        deadline: Instant,
    },
}

impl Input {
    /// Whether it took room. The rest is bounded by what it answers: sessions, and operations in flight.
    pub(crate) const fn is_counted(&self) -> bool {
        matches!(
            self,
            Self::Connected { .. } | Self::Token { .. } | Self::Request { .. }
        )
    }
}

/// The queue of the node. One lock per batch on the node's side.
pub(crate) struct Inbox {
    queue: Mutex<Vec<Input>>,
    ready: Notify,
    room: Semaphore,
}

impl Inbox {
    pub(crate) fn new(requests_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            ready: Notify::new(),
            room: Semaphore::new(requests_max.min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Waits for room; then [`Inbox::push`] without another wait. First come, first served.
    pub(crate) async fn reserve(&self) {
        // The semaphore is never closed.
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
    }

    /// Takes room if there is any at once.
    pub(crate) fn try_reserve(&self) -> bool {
        self.room
            .try_acquire()
            .map(|permit| permit.forget())
            .is_ok()
    }

    /// Gives back room that was reserved and not used.
    pub(crate) fn unreserve(&self) {
        self.room.add_permits(1);
    }

    /// Adds something; for a counted one room was reserved.
    pub(crate) fn push(&self, input: Input) {
        let mut queue = self.queue.lock();
        queue.push(input);
        let first = queue.len() == 1;
        drop(queue);
        if first {
            self.ready.notify_one();
        }
    }

    /// Waits for something, or for `deadline`.
    pub(crate) async fn wait(&self, deadline: Option<Instant>) {
        if !self.queue.lock().is_empty() {
            return;
        }
        match deadline {
            None => self.ready.notified().await,
            Some(deadline) => {
                let _ = tokio::time::timeout_at(deadline, self.ready.notified()).await;
            }
        }
    }

    /// Takes all that is there into `batch`, which must be empty, and gives its room back.
    pub(crate) fn take(&self, batch: &mut Vec<Input>) {
        debug_assert!(batch.is_empty(), "the batch before is done");
        mem::swap(&mut *self.queue.lock(), batch);
        let counted = batch.iter().filter(|input| input.is_counted()).count();
        if counted > 0 {
            self.room.add_permits(counted);
        }
    }
}
