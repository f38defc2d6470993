//! The node's task: feeds the state machine in batches and carries out what it says.

use std::{collections::HashMap, mem, sync::Arc};

use fireside_protocol::{Code, Now};
use fireside_server_core::{Node, NodeConfig, SessionKey, links::LinkSecret};
use fireside_store::Store;
use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::{bus::Bus, inbox::Input, previews::Previews, session::Session, shared::Shared};

/// Rounds of polls after one batch; what is left waits for the next round of the loop. A guard, not a pace.
const POLL_ROUNDS_MAX: usize = 16;

pub(crate) struct Driver {
    node: Node,
    secret: LinkSecret,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    shared: Arc<Shared>,
    /// Only where it is switched on.
    previews: Option<Previews>,
    sessions: HashMap<SessionKey, Arc<Session>, RandomState>,
    /// Sessions that got something in this turn and are to be woken at its end.
    woken: Vec<Arc<Session>>,
    draining: Option<Draining>,
    log_at: Instant,
}

impl Driver {
    pub(crate) fn new(
        config: NodeConfig,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        shared: Arc<Shared>,
        secret: LinkSecret,
        previews: Option<Previews>,
    ) -> Self {
        Self {
            secret,
            node: Node::new(config),
            store,
            bus,
            shared,
            previews,
            sessions: HashMap::default(),
            woken: Vec::new(),
            draining: None,
            log_at: Instant::now() + LOG_INTERVAL,
        }
    }

    /// Runs until it was told to drain, has, and all sessions are gone.
    pub(crate) async fn run(mut self) {
        let mut batch = Vec::new();
        self.node
            .handle_started(self.secret, self.shared.clock.now());
        self.poll();
        loop {
            self.shared.inbox.wait(self.deadline()).await;
            // What a batch publishes comes back at once: it goes out in the same turn, with the answers in one write.
            for _ in 0..BATCHES_PER_TURN {
                self.shared.inbox.take(&mut batch);
                if !self.turn(&mut batch) {
                    break;
                }
            }
            self.wake();
            if self.drain() {
                return;
            }
            self.log();
            // Connections get their turn between batches, also on one thread.
            tokio::task::yield_now().await;
        }
    }

    /// Takes one batch in and carries out what comes of it. `false`: there was nothing.
    fn turn(&mut self, batch: &mut Vec<Input>) -> bool {
        let now = self.shared.clock.now();
        let due = self.node.poll_timeout();
        let due = due.is_some_and(|at| at <= now.monotonic_ms);
        if due {
            self.node.handle_timeout(now);
        }
        let some = due || !batch.is_empty();
        if let Some(draining) = &mut self.draining
            && batch.iter().any(Input::is_counted)
        {
            draining.quiet_at = Instant::now() + DRAIN_QUIET;
        }
        for input in batch.drain(..) {
            self.handle(input, now);
        }
        if batch.capacity() > BATCH_KEPT {
            *batch = Vec::new();
        }
        self.poll();
        some
    }

    fn deadline(&self) -> Option<Instant> {
        let timer = self
            .node
            .poll_timeout()
            .map(|at| self.shared.clock.instant(at).into());
        let drain = self.draining.as_ref().map(Draining::look_at);
        [timer, drain, Some(self.log_at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Says now and then how things are. Nothing of users or messages.
    fn log(&mut self) {
        if Instant::now() < self.log_at {
            return;
        }
        self.log_at = Instant::now() + LOG_INTERVAL;
        let (gateway, node) = (self.shared.counts.read(), self.node.counters());
        tracing::info!(
            connections = gateway.connections,
            handshakes = gateway.handshakes,
            accepted = gateway.accepted,
            refused = gateway.refused,
            retried = gateway.retried,
            log_ins = gateway.log_ins,
            log_ins_refused = gateway.log_ins_refused,
            bad_frames = gateway.bad_frames,
            sessions = node.sessions,
            appended = node.appended,
            rate_limited = node.rate_limited,
            overloaded = node.overloaded,
            behind = node.behind,
            store_errors = node.store_errors,
            previews_wanted = node.previews_wanted,
            previews_added = node.previews_added,
            previews_read = gateway.previews_read,
            previews_failed = gateway.previews_failed,
            previews_dropped = gateway.previews_dropped,
            "counts"
        );
    }

    fn handle(&mut self, input: Input, now: Now) {
        let node = &mut self.node;
        match input {
            Input::Connected { session, login } => {
                let (key, outbound) = (session.key, session.outbound.clone());
                self.sessions.insert(key, session);
                node.handle_connected(key, outbound, *login, now);
            }
            Input::Confirmed(session) => node.handle_confirmed(session, now),
            Input::Token {
                session,
                expires,
                roles,
                origin,
            } => {
                node.handle_token(session, expires, roles, origin, now);
            }
            Input::Request {
                session,
                origin,
                frame,
            } => {
                node.handle_request(session, origin, frame, now);
            }
            Input::Disconnected(session) => {
                if self.sessions.remove(&session).is_some() {
                    node.handle_disconnected(session, now);
                }
            }
            Input::Drained(session) => node.handle_drained(session, now),
            Input::Stored(results) => {
                for (ticket, result) in results {
                    node.handle_stored(ticket, result, now);
                }
            }
            Input::Published(published) => node.handle_published(published, now),
            Input::Preview(read) => {
                let (request, page) = *read;
                node.handle_preview(request, &page, now);
            }
            Input::Config(config) => node.set_config(*config),
            Input::Count(answer) => {
                let _ = answer.try_send(node.counters());
            }
            Input::Drain { deadline } => {
                self.draining = Some(Draining {
                    deadline,
                    quiet_at: Instant::now() + DRAIN_QUIET,
                    closing: false,
                });
                node.drain(now);
            }
        }
    }

    /// Wakes the writers of all sessions that got something.
    fn wake(&mut self) {
        for session in self.woken.drain(..) {
            session.wake();
        }
        if self.woken.capacity() > BATCH_KEPT {
            self.woken = Vec::new();
        }
    }

    fn poll(&mut self) {
        for _ in 0..POLL_ROUNDS_MAX {
            let mut idle = true;
            while let Some((ticket, op)) = self.node.poll_store() {
                self.store.submit(ticket, op);
            }
            while let Some(published) = self.node.poll_publish() {
                self.bus.publish(published);
                idle = false;
            }
            while let Some(transmit) = self.node.poll_transmit() {
                if let Some(session) = self.sessions.get(&transmit.session)
                    && session.deliver(transmit)
                {
                    self.woken.push(session.clone());
                }
                idle = false;
            }
            while let Some((session, code)) = self.node.poll_disconnect() {
                if let Some(session) = self.sessions.get(&session) {
                    session.close(code);
                }
                idle = false;
            }
            while let Some(request) = self.node.poll_preview() {
                if let Some(previews) = &self.previews {
                    previews.ask(request);
                }
            }
            while let Some((user, device)) = self.node.poll_revoked() {
                self.shared.resume.forget_device(&user, device);
            }
            if idle {
                return;
            }
        }
    }

    /// Ends all sessions once nothing is in flight. `true`: all are gone.
    fn drain(&mut self) -> bool {
        let Some(draining) = &mut self.draining else {
            return false;
        };
        let now = Instant::now();
        let quiet = now >= draining.quiet_at && self.node.is_drained();
        if !draining.closing && (quiet || now >= draining.deadline) {
            draining.closing = true;
            for session in self.sessions.values() {
                session.close(Code::Draining);
            }
        }
        draining.closing && self.sessions.is_empty()
    }
}

/// How far the way down is.
struct Draining {
    deadline: Instant,
    /// No request came for a while: what clients sent before they were told has its answer.
    quiet_at: Instant,
    /// Sessions were told to end.
    closing: bool,
}

impl Draining {
    /// When to look again if nothing happens.
    fn look_at(&self) -> Instant {
        if self.closing || Instant::now() >= self.quiet_at {
            Instant::now() + CLOSING_STEP
        } else {
            self.quiet_at.min(self.deadline)
        }
    }
}

/// Without a request for this long, what was under way when clients were told has been answered: more than most round trips.
const DRAIN_QUIET: std::time::Duration = std::time::Duration::from_millis(400);
/// Between two lines of counts in the log.
const LOG_INTERVAL: std::time::Duration = std::time::Duration::from_secs(60);
/// Batches before connections get their turn: requests, and what their results publish.
const BATCHES_PER_TURN: usize = 4;
/// Inputs a batch's memory is kept for.
const BATCH_KEPT: usize = 4_096;
/// How often the end is looked at while sessions close, if nothing else happens.
const CLOSING_STEP: std::time::Duration = std::time::Duration::from_millis(200);

impl Drop for Driver {
    fn drop(&mut self) {
        // A driver that ends early (a panic) must not leave connections hanging.
        for (_, session) in mem::take(&mut self.sessions) {
            session.close(Code::Overloaded);
        }
    }
}
