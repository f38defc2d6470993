//! The front door: one server node. Takes requests, storage results and time; gives frames, operations and published entries.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, DeviceId, Lane, Now, ServerFrame, UserId, WallMs,
    frames::{Done, Draining, Kicked, Refused},
    limits::TOKEN_LEEWAY_MS,
};
use foldhash::fast::RandomState;

use crate::{
    answers::DRAINING_RETRY_MS,
    conversation::Conversations,
    expiry::Expiries,
    job::Pending,
    links::LinkSecret,
    meetings::Meetings,
    output::Output,
    presence::Presences,
    previews::{PageSummary, PreviewRequest},
    receipts::Marks,
    rights::EntryMeta,
    session::Sessions,
    storage::{Op, Reply, StoreError, StoredEntry, Ticket},
    timers::{Due, Timers},
    transient::Told,
    users::Users,
};
pub use crate::{
    config::{Counters, DevicePolicy, NodeConfig},
    outbound::Outbound,
};

/// Names a session within one life of a node. Never used twice.
pub type SessionKey = u64;

/// Where a request came from; its answer goes back there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// 0: the session stream. Otherwise the gateway's name for a page stream, which ends with the answer.
    pub stream: u64,
    /// The client's request id.
    pub request: u32,
}

/// A frame to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// To whom.
    pub session: SessionKey,
    /// On what.
    pub lane: Lane,
    /// For [`Lane::Page`]: the stream to answer on and then end; 0: the sync stream, opened by the server, ended when `last`.
    pub stream: u64,
    /// The sync stream ends after this.
    pub last: bool,
    /// The whole frame.
    pub frame: Bytes,
}

/// A log-in whose token (or resume secret) the gateway has checked.
#[derive(Clone, Debug)]
pub struct Login {
    /// The token's `sub`.
    pub user: UserId,
    /// From the hello.
    pub device: DeviceId,
    /// The token's name.
    pub name: String,
    /// The token's roles (`staff` may send where others may not; unknown ones are kept).
    pub roles: Vec<String>,
    /// The token's or hello's platform.
    pub platform: String,
    /// From the hello.
    pub agent: String,
    /// When the token was issued; before the user's `valid_after` it is refused.
    pub issued_at: WallMs,
    /// When the token ends; 0 never.
    pub token_expires: WallMs,
    /// Request id of the hello.
    pub request: u32,
    /// Negotiated.
    pub version: u16,
    /// Goes into the welcome.
    pub resume_secret: Bytes,
    /// From the hello.
    pub user_cursor: u64,
    /// From the hello.
    pub heads_since: WallMs,
    /// From the hello.
    pub open: Vec<ConversationId>,
    /// From the hello.
    pub no_sync: bool,
    /// Still early data: kicks no device, notes no log-in, moves nothing until [`Node::handle_confirmed`].
    pub early: bool,
}

/// What nodes tell each other after a commit. One node tells itself, through `LocalBus`.
#[derive(Clone, Debug)]
pub enum Published {
    /// Entries of a conversation, ascending, dense within the message.
    Entries {
        /// Where.
        conversation: ConversationId,
        /// The version after them.
        version: u64,
        /// They.
        entries: Arc<[StoredEntry]>,
    },
    /// A transient message.
    Transient {
        /// Where.
        conversation: ConversationId,
        /// The version that it was decided on.
        version: u64,
        /// It.
        told: Told,
    },
}

impl Published {
    /// Where it belongs, and the version of that after it.
    #[must_use]
    pub const fn place(&self) -> (ConversationId, u64) {
        match self {
            Self::Entries {
                conversation,
                version,
                ..
            }
            | Self::Transient {
                conversation,
                version,
                ..
            } => (*conversation, *version),
        }
    }

    /// What the rules need of an entry.
    pub fn metas(&self) -> impl Iterator<Item = &EntryMeta> {
        let entries = match self {
            Self::Entries { entries, .. } => &**entries,
            Self::Transient { .. } => &[],
        };
        entries.iter().map(|entry| &entry.meta)
    }
}

/// One server node as a state machine. Call a `handle_*`, then every `poll_*` until it is `None`.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: NodeConfig,
    pub(crate) sessions: Sessions,
    pub(crate) users: Users,
    pub(crate) conversations: Conversations,
    pub(crate) pending: HashMap<Ticket, Pending, RandomState>,
    /// Writes submitted and not answered, oldest first, with the monotonic ms of their submission.
    pub(crate) writes: VecDeque<(Ticket, u64)>,
    pub(crate) marks: Marks,
    pub(crate) presence: Presences,
    /// The time of the call that is carried out, for what ends a session in it.
    pub(crate) clock: Now,
    pub(crate) timers: Timers,
    pub(crate) meetings: Meetings,
    pub(crate) expiries: Expiries,
    pub(crate) secret: Option<LinkSecret>,
    pub(crate) out: Output,
    pub(crate) counters: Counters,
    /// Sessions that had no room for a user-log record.
    pub(crate) lost_records: Vec<SessionKey>,
    /// Sessions whose queue emptied while they were marked behind.
    pub(crate) roomy: Vec<SessionKey>,
    pub(crate) next_ticket: Ticket,
    pub(crate) next_age: u64,
    pub(crate) draining: bool,
}

impl Node {
    /// A node with nothing in memory.
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        Self {
            config,
            sessions: HashMap::default(),
            users: Users::default(),
            conversations: Conversations::default(),
            pending: HashMap::default(),
            writes: VecDeque::new(),
            marks: Marks::default(),
            presence: Presences::default(),
            clock: Now {
                monotonic_ms: 0,
                wall_ms: 0,
            },
            timers: Timers::default(),
            meetings: Meetings::default(),
            expiries: Expiries::default(),
            secret: None,
            out: Output::default(),
            counters: Counters::default(),
            lost_records: Vec::new(),
            roomy: Vec::new(),
            next_ticket: 1,
            next_age: 1,
            draining: false,
        }
    }

    /// Takes new settings (limits, policies) without a restart.
    pub fn set_config(&mut self, config: NodeConfig) {
        self.config = config;
    }

    /// The node begins: it reads what its timers are about, and gets what invite links are made with. Call it once, before anything else.
    pub fn handle_started(&mut self, secret: LinkSecret, now: Now) {
        self.secret = Some(secret);
        if !self.config.breaks.timer_lost {
            self.read_meetings(None, now);
        }
        self.look_for_expired(now);
    }

    /// A session whose log-in the gateway has checked. The answer is `Welcome` or `Refused` (then [`Node::poll_disconnect`]).
    /// Requests may follow at once.
    pub fn handle_connected(
        &mut self,
        session: SessionKey,
        outbound: Arc<Outbound>,
        login: Login,
        now: Now,
    ) {
        self.clock = now;
        self.enter(session, outbound, login, now);
    }

    /// The handshake of an early session is done: it is a full one now.
    pub fn handle_confirmed(&mut self, session: SessionKey, now: Now) {
        self.clock = now;
        self.confirm(session, now);
    }

    /// A checked new token of the same user.
    pub fn handle_token(
        &mut self,
        session: SessionKey,
        token_expires: WallMs,
        roles: Vec<String>,
        origin: Origin,
        now: Now,
    ) {
        // Nothing depends on a role yet; the gateway keeps them.
        drop(roles);
        self.set_token_timer(session, token_expires, now);
        let done = Done { reserved: 0 };
        self.answer(session, origin, &ServerFrame::Done(done));
    }

    /// A request (not hello, resume, set-token or ping: those are the gateway's).
    pub fn handle_request(
        &mut self,
        session: SessionKey,
        origin: Origin,
        frame: ClientFrame,
        now: Now,
    ) {
        self.clock = now;
        self.request(session, origin, frame, now);
        self.flush_marks(now);
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, session: SessionKey, now: Now) {
        self.clock = now;
        self.leave(session);
    }

    /// The session's queue has room again after it was full.
    pub fn handle_drained(&mut self, session: SessionKey, now: Now) {
        self.clock = now;
        self.catch_up(session, now);
    }

    /// What came of an operation. Write replies must come in the order of submission.
    pub fn handle_stored(&mut self, ticket: Ticket, result: Result<Reply, StoreError>, now: Now) {
        self.clock = now;
        self.stored(ticket, result, now);
        self.flush_marks(now);
    }

    /// Something the bus brought, own publications included.
    pub fn handle_published(&mut self, published: Published, now: Now) {
        self.clock = now;
        self.note_expiries(&published, now);
        self.deliver(published, now);
    }

    /// A page was read that [`Node::poll_preview`] asked for. What can not be read is not handed in: nothing waits for it.
    pub fn handle_preview(&mut self, request: PreviewRequest, page: &PageSummary, now: Now) {
        self.clock = now;
        self.page_read(request, page, now);
        self.flush_marks(now);
    }

    /// Time went on to [`Node::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        self.clock = now;
        while let Some(due) = self.timers.take(now.monotonic_ms) {
            match due {
                Due::Token(session) => self.check_token(session, now),
                Due::Heads(session) => self.heads_due(session, now),
                Due::Receipts(conversation) => self.flush_receipts(conversation, now),
                Due::Meeting(conversation) => self.look_at_meeting(conversation, now),
                Due::ReadMeetings => self.read_meetings(None, now),
                Due::Expiries => self.look_for_expired(now),
                // Below, with the others.
                Due::Marks => {}
                Due::Presence(session) => self.on_presence(session, now),
                Due::PresenceTo(session) => self.presence_to(session, now),
            }
        }
        self.flush_marks(now);
    }

    /// Tells all sessions that the server goes down and refuses new commands as `draining`; appends in flight finish.
    pub fn drain(&mut self, now: Now) {
        let _ = now;
        if self.draining {
            return;
        }
        self.draining = true;
        let frame = ServerFrame::Draining(Draining {
            retry_after_ms: DRAINING_RETRY_MS,
        })
        .encode(0);
        let mut keys: Vec<SessionKey> = self.sessions.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            if let Some(session) = self.sessions.get(&key) {
                self.out
                    .push(key, session, Lane::Control, 0, false, frame.clone());
            }
        }
    }

    /// Whether nothing is in flight any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.writes.is_empty() && self.marks.is_empty() && !self.waits_for_decision()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.transmits.pop_front()
    }

    /// The next operation to submit.
    pub fn poll_store(&mut self) -> Option<(Ticket, Op)> {
        self.out.ops.pop_front()
    }

    /// The next thing to tell all nodes.
    pub fn poll_publish(&mut self) -> Option<Published> {
        self.out.published.pop_front()
    }

    /// The next session to end, after its frames are out. The node has forgotten it.
    pub fn poll_disconnect(&mut self) -> Option<(SessionKey, Code)> {
        self.out.disconnects.pop_front()
    }

    /// The next device that was signed out: its resume secrets must go.
    pub fn poll_revoked(&mut self) -> Option<(UserId, DeviceId)> {
        self.out.revoked.pop_front()
    }

    /// The next link whose page is to be read. It is asked for once, and may be left unread.
    pub fn poll_preview(&mut self) -> Option<PreviewRequest> {
        self.out.previews.pop_front()
    }

    /// When to call [`Node::handle_timeout`], in monotonic ms.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.timers.next()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            sessions: self.sessions.len() as u64,
            users: self.users.len() as u64,
            conversations: self.conversations.loaded as u64,
            conversations_known: self.conversations.known() as u64,
            conversations_busy: self.conversations.busy() as u64,
            store_pending: self.pending.len() as u64,
            ..self.counters
        }
    }

    /// Submits an operation.
    pub(crate) fn submit(&mut self, op: Op, pending: Pending, now: Now) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if op.is_write() {
            self.writes.push_back((ticket, now.monotonic_ms));
        }
        self.pending.insert(ticket, pending);
        self.out.ops.push_back((ticket, op));
        ticket
    }

    /// How long the oldest write has waited, in ms: what the store is behind.
    pub(crate) fn write_lag_ms(&self, now: Now) -> u64 {
        let oldest = self.writes.front();
        oldest.map_or(0, |(_, at)| now.monotonic_ms.saturating_sub(*at))
    }

    /// Answers a request. A session that has no room for its own answers ends.
    pub(crate) fn answer(&mut self, key: SessionKey, origin: Origin, frame: &ServerFrame) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if !self.out.answer(key, session, origin, frame) {
            self.counters.overloaded += 1;
            self.end(key, Code::Overloaded, None);
        }
    }

    /// Ends a session, telling it why if `kicked`.
    pub(crate) fn end(&mut self, key: SessionKey, code: Code, kicked: Option<Kicked>) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if let Some(kicked) = kicked {
            let frame = ServerFrame::Kicked(kicked).encode(0);
            self.out.push(key, session, Lane::Control, 0, false, frame);
        }
        self.counters.kicked += 1;
        self.out.disconnects.push_back((key, code));
        self.leave(key);
    }

    /// Sets the timer of a session's token.
    pub(crate) fn set_token_timer(&mut self, key: SessionKey, expires: WallMs, now: Now) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let due = Due::Token(key);
        self.timers.clear(session.token_timer, due);
        session.token_expires = expires;
        session.token_timer = 0;
        if expires != 0 {
            let left = (expires + TOKEN_LEEWAY_MS).saturating_sub(now.wall_ms);
            session.token_timer = now.monotonic_ms + left;
            self.timers.set(session.token_timer, due);
        }
    }

    fn check_token(&mut self, key: SessionKey, now: Now) {
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        let expires = session.token_expires;
        if expires + TOKEN_LEEWAY_MS > now.wall_ms {
            // The wall clock went back meanwhile.
            self.set_token_timer(key, expires, now);
        } else {
            self.end(key, Code::TokenExpired, Some(kicked(Code::TokenExpired)));
        }
    }
}

/// Why a session ends.
pub(crate) fn kicked(code: Code) -> Kicked {
    Kicked {
        code: code.number(),
        text: code.text().to_owned(),
        until: 0,
    }
}

/// A refusal, with when to come again.
pub(crate) fn refused(code: Code, retry_after_ms: u64) -> Refused {
    Refused {
        retry_after_ms,
        ..Refused::new(code)
    }
}
