//! The client's thread: drives the core, the links and the cache, and nothing of it ever blocks the game.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fireside_client_core::{
    Action, Command, LinkEvent, Session, event::CallError, session::LinkId,
};
use fireside_protocol::{Code, Now};
use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::{
    cache::{Cache, Stored},
    client::Teller,
    connection::{Inbound, Input, Link, Target},
    limits::{INBOUND_FRAMES_MAX, PENDING_CALLS_MAX, ROUTE_CHECK_MS, STORE_OPS_MAX},
    queue::{Outlet, Queues},
    route::RouteWatch,
    trust::VerifierCalls,
};

/// The driver gives the core and the disk this long to end, in ms; less than the game waits.
const STOP_MS_MAX: u64 = 150;
/// And the goodbye packets this long.
const GOODBYE: Duration = Duration::from_millis(10);
/// Frames handled before events are handed out: keeps the delay of the first small.
const FRAMES_AT_ONCE: usize = 64;

/// Everything the client's thread owns.
pub(crate) struct Driver {
    pub(crate) session: Session,
    pub(crate) queues: Arc<Queues>,
    pub(crate) teller: Teller,
    pub(crate) verifier_calls: VerifierCalls,
    pub(crate) target: Arc<Target>,
    pub(crate) early_data: bool,
    pub(crate) clock: Clock,
    pub(crate) cache: Cache,
    pub(crate) stored: mpsc::UnboundedReceiver<Stored>,
    pub(crate) route: RouteWatch,
}

/// Time as the core wants it.
#[derive(Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            monotonic_ms: self.0.elapsed().as_millis() as u64,
            wall_ms: wall.as_millis() as u64,
        }
    }

    fn at(self, monotonic_ms: u64) -> Instant {
        // A week is as good as never, and can not overflow.
        self.0
            + Duration::from_millis(monotonic_ms.min(self.now().monotonic_ms + 7 * 24 * 3_600_000))
    }
}

struct Running {
    driver: Driver,
    outlet: Outlet,
    links: Links,
    inbound: mpsc::Sender<Inbound>,
    address: Option<SocketAddr>,
    attempts: usize,
    stopped: bool,
}

/// The links that are, oldest first: one, or two while another is tried.
#[derive(Default)]
struct Links(Vec<(LinkId, Link)>);

impl Links {
    fn get(&self, id: LinkId) -> Option<&Link> {
        let found = self.0.iter().find(|(other, _)| *other == id);
        found.map(|(_, link)| link)
    }

    fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let found = self.0.iter_mut().find(|(other, _)| *other == id);
        found.map(|(_, link)| link)
    }

    fn remove(&mut self, id: LinkId) -> Option<Link> {
        let place = self.0.iter().position(|(other, _)| *other == id)?;
        Some(self.0.remove(place).1)
    }
}

impl Driver {
    /// Runs until the game shuts the client down.
    pub(crate) async fn run(self, token: String) {
        let (inbound, mut frames) = mpsc::channel(INBOUND_FRAMES_MAX);
        let mut running = Running {
            driver: self,
            outlet: Outlet::default(),
            links: Links::default(),
            inbound,
            address: None,
            attempts: 0,
            stopped: false,
        };
        if !token.is_empty() {
            // A call of nobody: request 0 is never outstanding.
            let now = running.driver.clock.now();
            let _ = running
                .driver
                .session
                .handle_command(0, Command::SetToken(token), now);
        }
        running.pump().await;
        running.live(&mut frames).await;
        running.stop(&mut frames).await;
    }
}

impl Running {
    async fn live(&mut self, frames: &mut mpsc::Receiver<Inbound>) {
        let queues = self.driver.queues.clone();
        let mut route = tokio::time::interval(Duration::from_millis(ROUTE_CHECK_MS));
        route.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(FRAMES_AT_ONCE);
        while !queues.closing.load(Ordering::SeqCst) {
            let deadline = self
                .driver
                .session
                .poll_timeout()
                .map(|ms| self.driver.clock.at(ms));
            let release = self.driver.cache.release_at();
            let deadline = deadline.into_iter().chain(release).min();
            // A disk that does not keep up holds up the network, not the memory.
            let room = self.driver.cache.waiting() < STORE_OPS_MAX;
            tokio::select! {
                () = queues.notify.notified() => {}
                _ = frames.recv_many(&mut batch, FRAMES_AT_ONCE), if room => {
                    for (link, input) in batch.drain(..) {
                        self.take(link, input);
                    }
                }
                Some(stored) = self.driver.stored.recv() => self.take_stored(stored),
                () = sleep_until(deadline) => {}
                _ = route.tick() => self.check_route(),
            }
            self.take_commands();
            self.take_searches();
            self.run_timeouts();
            if release.is_some_and(|at| at <= Instant::now()) {
                self.driver.cache.release();
            }
            self.pump().await;
        }
    }

    fn take_commands(&mut self) {
        // As many as can be pending: more can not have been there when we began.
        for _ in 0..PENDING_CALLS_MAX {
            let Some((request, command)) = self.driver.queues.take_command() else {
                return;
            };
            let now = self.driver.clock.now();
            if let Err(error) = self.driver.session.handle_command(request, command, now) {
                self.driver
                    .queues
                    .complete(request, Err(refused(error.code)));
            }
        }
    }

    fn take_searches(&mut self) {
        while let Some(query) = self.driver.queues.take_search() {
            self.driver.cache.search(query);
        }
    }

    fn run_timeouts(&mut self) {
        let now = self.driver.clock.now();
        if self
            .driver
            .session
            .poll_timeout()
            .is_some_and(|due| due <= now.monotonic_ms)
        {
            self.driver.session.handle_timeout(now);
        }
    }

    fn take(&mut self, id: LinkId, input: Input) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let now = self.driver.clock.now();
        match input {
            Input::Address(address) => {
                self.address = Some(address);
                self.driver.route.changed(address);
            }
            Input::Frame(frame) => {
                let broken = frame.as_ref().err().map(|error| error.code());
                self.driver.session.handle_frame(id, frame, now);
                if let Some(code) = broken {
                    link.close(Some(code));
                }
            }
            Input::Event(event) => {
                match &event {
                    LinkEvent::Down { reason, .. } => {
                        tracing::info!(link = id, reason, "link down");
                        self.links.remove(id);
                    }
                    LinkEvent::Confirmed {
                        early_accepted: false,
                    } => link.early_refused(),
                    _ => {}
                }
                self.driver.session.handle_link(id, event, now);
            }
        }
    }

    fn take_stored(&mut self, stored: Stored) {
        self.driver.cache.done();
        let now = self.driver.clock.now();
        self.driver
            .session
            .handle_stored(stored.ticket, stored.result, now);
    }

    fn check_route(&mut self) {
        let Some(address) = self.address.filter(|_| !self.links.0.is_empty()) else {
            return;
        };
        if !self.driver.route.changed(address) {
            return;
        }
        tracing::info!("the route to the server changed");
        let now = self.driver.clock.now();
        let ids: Vec<LinkId> = self.links.0.iter().map(|(id, _)| *id).collect();
        for id in ids {
            self.rebind(id);
            self.driver
                .session
                .handle_link(id, LinkEvent::RouteChanged, now);
        }
    }

    fn rebind(&self, id: LinkId) {
        if let Some(Err(error)) = self.links.get(id).map(Link::rebind) {
            tracing::warn!(link = id, %error, "no new socket");
        }
    }

    /// Carries out what the core wants until it wants nothing. What others wait for, the server and the game, goes before what the
    /// disk is to keep: waking its thread takes as long as a packet.
    async fn pump(&mut self) {
        loop {
            let sent = self.pump_out();
            self.driver.queues.wake();
            if sent {
                // The link's task has its turn now.
                tokio::task::yield_now().await;
            }
            if !self.pump_store() {
                break;
            }
        }
        if !self.driver.session.expects_pages() {
            self.driver.cache.release();
        }
        let newest = self.links.0.last().map(|(_, link)| link);
        self.driver
            .teller
            .update(&self.driver.session, newest, self.driver.cache.waiting());
    }

    /// Links, frames and events. `true`: a frame went to a link.
    fn pump_out(&mut self) -> bool {
        let mut sent = false;
        loop {
            let mut moved = false;
            while let Some(action) = self.driver.session.poll_action() {
                moved = true;
                self.act(action);
            }
            while let Some(transmit) = self.driver.session.poll_transmit() {
                moved = true;
                let id = transmit.link;
                let Some(link) = self.links.get(id) else {
                    continue;
                };
                sent = true;
                if let Err(event) = link.send(transmit) {
                    if matches!(event, LinkEvent::Down { .. }) {
                        self.links.remove(id);
                    }
                    let now = self.driver.clock.now();
                    self.driver.session.handle_link(id, event, now);
                }
            }
            let session = &mut self.driver.session;
            moved |= self
                .outlet
                .pump(&self.driver.queues, |class| session.poll_event(class));
            if !moved {
                return sent;
            }
        }
    }

    /// What is to be kept. `true`: there was something, and its result may be here already.
    fn pump_store(&mut self) -> bool {
        let mut moved = false;
        while let Some((ticket, op)) = self.driver.session.poll_store() {
            moved = true;
            let more = self.driver.session.expects_pages();
            if let Some(stored) = self.driver.cache.submit(ticket, op, more) {
                let now = self.driver.clock.now();
                self.driver
                    .session
                    .handle_stored(stored.ticket, stored.result, now);
            }
        }
        moved
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { link, early } => {
                let early = early && self.driver.early_data;
                let opened = Link::connect(
                    link,
                    self.driver.target.clone(),
                    early,
                    self.attempts,
                    self.inbound.clone(),
                );
                self.attempts += 1;
                self.links.0.push((link, opened));
            }
            Action::Close { link } => {
                if let Some(link) = self.links.remove(link) {
                    link.close(None);
                }
            }
            Action::Rebind { link } => self.rebind(link),
            Action::Stopped => self.stopped = true,
        }
    }

    /// Ends everything: the core, the disk, the links, the calls.
    async fn stop(mut self, frames: &mut mpsc::Receiver<Inbound>) {
        let deadline = Instant::now() + Duration::from_millis(STOP_MS_MAX);
        self.take_commands();
        let now = self.driver.clock.now();
        self.driver.session.shutdown(now);
        self.pump().await;
        self.driver.cache.release();
        while !(self.stopped && self.driver.cache.waiting() == 0) {
            tokio::select! {
                Some(stored) = self.driver.stored.recv() => self.take_stored(stored),
                // Read on, so that a link can send what it still has to.
                Some(_) = frames.recv() => {}
                () = sleep_until(Some(deadline)) => break,
            }
            self.pump().await;
        }
        self.driver.queues.cancel_all();
        let mut last = Vec::new();
        for (_, link) in &self.links.0 {
            link.close(None);
            last.extend(link.endpoint());
        }
        self.links.0.clear();
        let goodbyes = async {
            for endpoint in last {
                endpoint.wait_idle().await;
            }
        };
        // Closed connections linger to answer late packets; nobody waits for that.
        let _ = tokio::time::timeout(GOODBYE, goodbyes).await;
        tracing::debug!(
            certificates = self.driver.verifier_calls.load(Ordering::Relaxed),
            "client stopped"
        );
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

fn refused(code: Code) -> CallError {
    CallError {
        code,
        text: code.text().to_owned(),
        retry_after_ms: 0,
    }
}
