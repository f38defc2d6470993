//! What all connections of one server share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use fireside_server_core::SessionKey;
use tokio::sync::{Notify, Semaphore};

use crate::{
    addresses::Addresses, clock::Clock, health::Counts, inbox::Inbox, resume::ResumeStore,
    settings::Settings, token::TokenKeys,
};

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) tokens: ArcSwap<TokenKeys>,
    pub(crate) resume: ResumeStore,
    pub(crate) log_ins: Semaphore,
    pub(crate) counts: Counts,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) settings: Settings,
    pub(crate) draining: AtomicBool,
    /// A connection's task ended.
    pub(crate) ended: Notify,
    /// The node's task failed.
    pub(crate) failed: Notify,
    next_session: AtomicU64,
}

impl Shared {
    pub(crate) fn new(settings: Settings, tokens: TokenKeys, inbox: Arc<Inbox>) -> Arc<Self> {
        let limits = &settings.limits;
        Arc::new(Self {
            clock: Clock::new(),
            inbox,
            tokens: ArcSwap::from_pointee(tokens),
            resume: ResumeStore::new(limits.sessions_max.saturating_mul(2)),
            log_ins: Semaphore::new(limits.logins_max.min(Semaphore::MAX_PERMITS)),
            counts: Counts::default(),
            addresses: Addresses::new(settings.transport.connections_per_address_max),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
            failed: Notify::new(),
            next_session: AtomicU64::new(1),
            settings,
        })
    }

    pub(crate) fn next_session(&self) -> SessionKey {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }
}
