//! The handle a game holds. Every call here returns at once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::RecvTimeoutError,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use fireside_client_core::{
    Command, CommandError, Config, Event, RequestId, Session,
    command::{MessageRef, Recipient},
    session::Counters,
};
use fireside_protocol::{
    ConversationId, DeviceId, JoinPolicy, LinkCode, MemberProfile, Nonce, Role, Sequence, Settings,
    UserId, WallMs,
};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    cache::{self, Cache, Found, StoreError},
    channel::{Receiver, channel},
    config::{ClientConfig, StartError, Trust, split_server},
    connection::{self, Link, Target},
    driver::{Clock, Driver},
    limits::{SEARCH_RESULTS_MAX, SHUTDOWN_MS_MAX},
    lock::Mutex,
    queue::{Game, Queues, Tick},
    route::RouteWatch,
    search::{Reply, SearchQuery},
    trust::{VerifierCalls, tls},
};

/// One user's chat. Cheap to clone; when the last clone is dropped the client is shut down.
///
/// Several may live in one process; they share nothing. All calls are **Local**: they neither wait nor do I/O, except
/// [`Client::shutdown`], [`Client::wait`] and the drop of the last clone.
#[derive(Clone)]
pub struct Client {
    owner: Arc<Owner>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("pending", &self.owner.queues.pending())
            .finish_non_exhaustive()
    }
}

/// What a client does, in numbers; for an overlay and for proofs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// What the core counted.
    pub counters: Counters,
    /// Full handshakes: certificates looked at. A resumed connection has none.
    pub certificates_checked: u64,
    /// Smoothed round trip in microseconds; 0 without a connection.
    pub rtt_us: u64,
    /// UDP bytes of the newest connection.
    pub bytes_sent: u64,
    /// UDP bytes of the newest connection.
    pub bytes_received: u64,
    /// Calls without a delivered completion.
    pub pending_calls: usize,
    /// Events that wait for a tick.
    pub waiting_events: usize,
    /// Operations that wait for the disk.
    pub waiting_store: usize,
}

/// What the client's thread told of itself last. Read without a wait, even while that thread is in the middle of telling.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// One is told, the other is what is read.
    slots: [Mutex<Stats>; 2],
    /// Which is read.
    newest: AtomicUsize,
}

impl Snapshot {
    /// Only the client's thread does.
    fn tell(&self, stats: Stats) {
        let [first, second] = &self.slots;
        let (slot, number) = match self.newest.load(Ordering::Acquire) {
            0 => (second, 1),
            _ => (first, 0),
        };
        *slot.lock() = stats;
        self.newest.store(number, Ordering::Release);
    }

    fn read(&self) -> Stats {
        let [first, second] = &self.slots;
        loop {
            let slot = match self.newest.load(Ordering::Acquire) {
                0 => first,
                _ => second,
            };
            // Another reads it, or it is told already, and then the other one is the newest.
            if let Some(stats) = slot.try_lock() {
                return *stats;
            }
            std::hint::spin_loop();
        }
    }
}

/// The client's thread's side of the [`Snapshot`].
pub(crate) struct Teller {
    snapshot: Arc<Snapshot>,
    told: Stats,
    /// When the transport was asked.
    asked: Option<Instant>,
}

/// The transport is asked for its numbers at most this often: that takes its lock.
const LINK_STATS_EVERY: Duration = Duration::from_millis(50);

impl Teller {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            told: Stats::default(),
            asked: None,
        }
    }

    pub(crate) fn update(&mut self, session: &Session, link: Option<&Link>, waiting_store: usize) {
        let mut stats = Stats {
            counters: session.counters(),
            waiting_store,
            ..self.told
        };
        let now = Instant::now();
        if (self.asked).is_none_or(|asked| now - asked >= LINK_STATS_EVERY) {
            self.asked = Some(now);
            stats.rtt_us = link
                .and_then(Link::rtt)
                .map_or(0, |rtt| rtt.as_micros() as u64);
            (stats.bytes_sent, stats.bytes_received) =
                link.and_then(Link::udp_bytes).unwrap_or_default();
        }
        if stats != self.told {
            self.told = stats;
            self.snapshot.tell(stats);
        }
    }
}

struct Owner {
    queues: Arc<Queues>,
    snapshot: Arc<Snapshot>,
    verifier_calls: VerifierCalls,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: Receiver<()>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shutdown(Duration::from_millis(SHUTDOWN_MS_MAX));
    }
}

impl Owner {
    fn shutdown(&self, timeout: Duration) -> bool {
        self.queues.closing.store(true, Ordering::SeqCst);
        self.queues.notify.notify_one();
        // Nothing is ever sent: the end of the thread drops the other side.
        let ended = !matches!(
            self.ended
                .recv_timeout(timeout.min(Duration::from_millis(SHUTDOWN_MS_MAX))),
            Err(RecvTimeoutError::Timeout)
        );
        if ended && let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        self.queues.cancel_all();
        ended
    }
}

impl Client {
    /// Starts a client with a thread of its own. It shows what its cache has and connects on [`Client::connect`].
    ///
    /// # Errors
    /// [`StartError`]: a setting does not make sense, or the machine gives no thread.
    pub fn start(config: ClientConfig) -> Result<Self, StartError> {
        let (host, port) = split_server(&config.server)?;
        let server_name = if config.server_name.is_empty() {
            host.clone()
        } else {
            config.server_name.clone()
        };
        if rustls::pki_types::ServerName::try_from(server_name.as_str()).is_err() {
            return Err(StartError::BadServerName(server_name));
        }
        if config.folder.is_some() && config.user.is_none() {
            return Err(StartError::UserNeeded);
        }
        let random = SystemRandom::new();
        let no_random = |_| StartError::Thread("the system gives no random numbers".to_owned());
        let (mut seed, mut device) = ([0; 32], [0; 16]);
        random.fill(&mut seed).map_err(no_random)?;
        random.fill(&mut device).map_err(no_random)?;

        let verifier_calls = VerifierCalls::default();
        let crypto = tls(config.trust, config.early_data, verifier_calls.clone())?;
        let mut quic = quinn::ClientConfig::new(Arc::new(crypto));
        quic.transport_config(Arc::new(connection::transport()));

        let queues = Arc::new(Queues::new());
        let snapshot = Arc::new(Snapshot::default());
        let (alive, ended) = channel::<()>();
        let folder = config
            .folder
            .as_ref()
            .zip(config.user.as_ref())
            .map(|(folder, user)| {
                let server = match config.trust {
                    Trust::Pinned(fingerprint) => fingerprint.to_vec(),
                    Trust::Roots => format!("{server_name}:{port}").into_bytes(),
                };
                cache::folder_of(folder, &server, user)
            });
        let core = Config {
            user: config.user,
            device: config.device.unwrap_or(DeviceId(device)),
            agent: config.agent,
            platform: config.platform,
            seed,
            reconnect_delay_ms_min: config.reconnect_delay_ms_min,
            reconnect_delay_ms_max: config.reconnect_delay_ms_max,
            ..Config::default()
        };
        let clock = Clock::start();
        let body = {
            let (queues, snapshot, verifier_calls) =
                (queues.clone(), snapshot.clone(), verifier_calls.clone());
            let target = Arc::new(Target {
                host,
                port,
                server_name,
                config: quic,
            });
            let (early_data, token, route_probe) =
                (config.early_data, config.token, config.route_probe);
            move || {
                let _alive = alive;
                let run = std::panic::AssertUnwindSafe(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_io()
                        .enable_time()
                        // Names are resolved on a thread that goes when it has nothing to do.
                        .max_blocking_threads(1)
                        .thread_keep_alive(Duration::from_millis(100))
                        .build();
                    let runtime = match runtime {
                        Ok(runtime) => runtime,
                        Err(error) => return tracing::error!(%error, "no runtime"),
                    };
                    let (cache, stored) = Cache::open(folder);
                    let driver = Driver {
                        session: Session::new(core, clock.now()),
                        queues: queues.clone(),
                        teller: Teller::new(snapshot),
                        verifier_calls,
                        target,
                        early_data,
                        clock,
                        cache,
                        stored,
                        route: RouteWatch::new(route_probe),
                    };
                    runtime.block_on(driver.run(token));
                    runtime.shutdown_background();
                });
                if std::panic::catch_unwind(run).is_err() {
                    tracing::error!("the client's thread failed; its calls are cancelled");
                }
                queues.closing.store(true, Ordering::SeqCst);
                queues.cancel_all();
            }
        };
        let thread = std::thread::Builder::new()
            .name("fireside".to_owned())
            .spawn(body)
            .map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self {
            owner: Arc::new(Owner {
                queues,
                snapshot,
                verifier_calls,
                thread: Mutex::new(Some(thread)),
                ended,
            }),
        })
    }

    /// Gives the client something to do. A taken command completes exactly once, with [`Event::Completed`].
    ///
    /// # Errors
    /// `busy`: too many calls wait for their completion to be ticked; `cancelled`: the client was shut down.
    pub fn command(&self, command: Command) -> Result<RequestId, CommandError> {
        self.owner.queues.command(command)
    }

    /// Delivers what happened, most important first, within a budget; at least one event if there is any. A view's reset counts its
    /// rows against `max_events`, its other changes one each ([`Event::weight`]); the last event may go over the budget.
    ///
    /// Classes come in the order of [`EventClass`](fireside_client_core::EventClass); the lowest that has something gets an eighth
    /// of the budget. Call it once a frame, from one thread: the callback runs there.
    pub fn tick(
        &self,
        max_events: usize,
        max_time: Duration,
        on_event: &mut dyn FnMut(Event),
    ) -> Tick {
        let game = Game::Takes(on_event);
        self.owner.queues.tick(max_events, max_time, game)
    }

    /// As [`Client::tick`], for who only reads what happened: quicker for many events, because they stay where they are, and the
    /// client's thread frees them.
    ///
    /// What an event holds on the heap (texts, names, rows) stays in its place and as it is until the next `tick` or `read` of this
    /// client begins, or its last clone is dropped: the C interface lends it to the game for so long.
    pub fn read(
        &self,
        max_events: usize,
        max_time: Duration,
        on_event: &mut dyn FnMut(&Event),
    ) -> Tick {
        let game = Game::Reads(on_event);
        self.owner.queues.tick(max_events, max_time, game)
    }

    /// Calls `wake` from a thread of the client when something can be ticked or a search was answered; once, until the next tick.
    /// It must not block.
    pub fn set_wake(&self, wake: impl Fn() + Send + 'static) {
        self.owner.queues.set_wake(Some(Box::new(wake)));
    }

    /// Waits until something can be ticked or a search was answered; `false`: nothing came in time. For tools and tests, not for a game's thread.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> bool {
        self.owner.queues.wait(timeout)
    }

    /// Ends the client: pending calls complete as `cancelled` (tick once more to get them), the cache and the connection are closed.
    ///
    /// Waits for at most `timeout`, and never more than [`SHUTDOWN_MS_MAX`] ms. `false`: its thread is still busy and ends alone.
    pub fn shutdown(&self, timeout: Duration) -> bool {
        self.owner.shutdown(timeout)
    }

    /// Numbers for an overlay.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.owner.snapshot.read();
        stats.certificates_checked = self.owner.verifier_calls.load(Ordering::Relaxed);
        stats.pending_calls = self.owner.queues.pending();
        stats.waiting_events = self.owner.queues.waiting();
        stats
    }

    /// Searches the texts this device holds, newest first: every word (as its beginning) must be in the message, characters of
    /// Chinese, Japanese and Korean in their order. The answer comes through the receiver: poll it with `try_recv`, after
    /// [`Client::tick`]. It wakes the game as an event does.
    ///
    /// # Errors
    /// `busy`: too many searches wait; `cancelled`: the client was shut down.
    pub fn search(
        &self,
        text: &str,
        conversation: Option<ConversationId>,
        limit: u32,
    ) -> Result<Receiver<Result<Vec<Found>, StoreError>>, CommandError> {
        let (reply, answer) = Reply::new(Arc::downgrade(&self.owner.queues));
        let limit = limit.min(SEARCH_RESULTS_MAX);
        self.owner.queues.search(SearchQuery {
            text: text.to_owned(),
            conversation,
            limit,
            reply,
        })?;
        Ok(answer)
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $kind:ty),*) => $command:expr;)*) => {
        /// Shorthands of [`Client::command`], with its errors.
        #[expect(clippy::missing_errors_doc, reason = "all alike, said above")]
        impl Client {
            $($(#[$doc])* pub fn $name(&self, $($arg: $kind),*) -> Result<RequestId, CommandError> {
                self.command($command)
            })*
        }
    };
}

calls! {
    /// [`Command::Connect`].
    connect() => Command::Connect;
    /// [`Command::Disconnect`].
    disconnect() => Command::Disconnect;
    /// [`Command::SetToken`].
    set_token(token: impl Into<String>) => Command::SetToken(token.into());
    /// [`Command::SendText`].
    send_text(to: Recipient, text: impl Into<String>) => Command::SendText { to, text: text.into() };
    /// [`Command::SendText`] to a user.
    send_to_user(user: UserId, text: impl Into<String>) => Command::SendText { to: Recipient::User(user), text: text.into() };
    /// [`Command::EditText`].
    edit_text(conversation: ConversationId, message: MessageRef, text: impl Into<String>) => Command::EditText { conversation, message, text: text.into() };
    /// [`Command::Recall`].
    recall(conversation: ConversationId, message: MessageRef) => Command::Recall { conversation, message };
    /// [`Command::Retry`].
    retry(nonce: Nonce) => Command::Retry { nonce };
    /// [`Command::Discard`].
    discard(nonce: Nonce) => Command::Discard { nonce };
    /// [`Command::MarkRead`].
    mark_read(conversation: ConversationId, upto: Sequence) => Command::MarkRead { conversation, upto };
    /// [`Command::Typing`].
    typing(conversation: ConversationId, on: bool) => Command::Typing { conversation, on };
    /// [`Command::Open`].
    open(conversation: ConversationId) => Command::Open { conversation };
    /// [`Command::Close`].
    close(conversation: ConversationId) => Command::Close { conversation };
    /// [`Command::LoadOlder`].
    load_older(conversation: ConversationId, count: u32) => Command::LoadOlder { conversation, count };
    /// [`Command::CreateGroup`].
    create_group(name: impl Into<String>, invite: Vec<UserId>) => Command::CreateGroup { name: name.into(), invite, history_for_joiners: 0 };
    /// [`Command::Invite`].
    invite(conversation: ConversationId, users: Vec<UserId>) => Command::Invite { conversation, users };
    /// [`Command::Join`].
    join(conversation: ConversationId) => Command::Join { conversation };
    /// [`Command::Leave`].
    leave(conversation: ConversationId) => Command::Leave { conversation };
    /// [`Command::RemoveMember`].
    remove_member(conversation: ConversationId, user: UserId) => Command::RemoveMember { conversation, user };
    /// [`Command::SetRole`].
    set_role(conversation: ConversationId, user: UserId, role: Role) => Command::SetRole { conversation, user, role };
    /// [`Command::CreatePublic`].
    create_public(name: impl Into<String>, invite: Vec<UserId>, join: JoinPolicy) => Command::CreatePublic { name: name.into(), invite, join };
    /// [`Command::AnswerRequest`].
    answer_request(conversation: ConversationId, user: UserId, accept: bool) => Command::AnswerRequest { conversation, user, accept };
    /// [`Command::Asking`].
    asking(conversation: ConversationId, after: Option<UserId>) => Command::Asking { conversation, after };
    /// [`Command::CreateMeeting`].
    create_meeting(name: impl Into<String>, invite: Vec<UserId>, join: JoinPolicy, ends: WallMs) => Command::CreateMeeting { name: name.into(), invite, join, ends };
    /// [`Command::CreateCommunity`].
    create_community(name: impl Into<String>, invite: Vec<UserId>, join: JoinPolicy) => Command::CreateCommunity { name: name.into(), invite, join };
    /// [`Command::CreateChannel`].
    create_channel(community: ConversationId, name: impl Into<String>, join: JoinPolicy, by_default: bool) => Command::CreateChannel { community, name: name.into(), join, by_default };
    /// [`Command::OpenThread`].
    open_thread(conversation: ConversationId, message: Sequence, name: impl Into<String>) => Command::OpenThread { conversation, message, name: name.into() };
    /// [`Command::Profiles`].
    profiles(users: Vec<UserId>) => Command::Profiles { users };
    /// [`Command::Children`].
    children(conversation: ConversationId, after: Option<(Sequence, ConversationId)>) => Command::Children { conversation, after };
    /// [`Command::Dissolve`].
    dissolve(conversation: ConversationId) => Command::Dissolve { conversation };
    /// [`Command::Mute`].
    mute(conversation: ConversationId, user: UserId, until: WallMs) => Command::Mute { conversation, user, until };
    /// [`Command::Ban`].
    ban(conversation: ConversationId, user: UserId, on: bool, until: WallMs) => Command::Ban { conversation, user, on, until };
    /// [`Command::Bans`].
    bans(conversation: ConversationId, after: Option<UserId>) => Command::Bans { conversation, after };
    /// [`Command::SetMember`].
    set_member(conversation: ConversationId, user: Option<UserId>, profile: MemberProfile) => Command::SetMember { conversation, user, profile: Box::new(profile) };
    /// [`Command::FindMembers`].
    find_members(conversation: ConversationId, prefix: impl Into<String>, after: Option<UserId>) => Command::FindMembers { conversation, prefix: prefix.into(), after };
    /// [`Command::CreateLink`].
    create_link(conversation: ConversationId, expires: WallMs, uses: u32) => Command::CreateLink { conversation, expires, uses };
    /// [`Command::RevokeLink`].
    revoke_link(conversation: ConversationId, code: LinkCode) => Command::RevokeLink { conversation, code };
    /// [`Command::Links`].
    links(conversation: ConversationId) => Command::Links { conversation };
    /// [`Command::JoinByLink`].
    join_by_link(conversation: ConversationId, code: LinkCode) => Command::JoinByLink { conversation, code };
    /// [`Command::SetConversation`].
    set_conversation(conversation: ConversationId, change: Settings) => Command::SetConversation { conversation, change: Box::new(change) };
    /// [`Command::Settings`].
    settings(conversation: ConversationId) => Command::Settings { conversation };
    /// [`Command::Block`].
    block(user: UserId, on: bool) => Command::Block { user, on };
    /// [`Command::Members`].
    members(conversation: ConversationId, after: Option<UserId>) => Command::Members { conversation, after };
    /// [`Command::Devices`].
    devices() => Command::Devices;
    /// [`Command::SetVisible`].
    set_visible(visible: bool) => Command::SetVisible(visible);
    /// [`Command::SetBackgroundFill`].
    set_background_fill(on: bool) => Command::SetBackgroundFill(on);
}
