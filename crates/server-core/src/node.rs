//! The front door: one server node. Takes requests, storage results and time; gives frames, operations and published entries.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use fireside_protocol::{ClientFrame, Code, ConversationId, DeviceId, Lane, Now, UserId, WallMs};

use crate::{
    Breaks,
    rights::EntryMeta,
    storage::{Op, Reply, StoreError, StoredEntry, Ticket},
};

/// Names a session within one life of a node. Never used twice.
pub type SessionKey = u64;

/// Where a request came from; its answer goes back there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    /// When the token ends.
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

/// Bytes and frames on their way to one session, shared with its transport. The core adds before it hands a frame out, the
/// transport takes away after it has written; when it falls under half after [`Outbound::was_full`], it calls [`Node::handle_drained`].
#[derive(Debug, Default)]
pub struct Outbound {
    bytes: AtomicUsize,
    frames: AtomicUsize,
    full: AtomicBool,
}

impl Outbound {
    /// Bytes queued.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Frames queued.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.load(Ordering::Relaxed)
    }

    /// Counts a frame in.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a frame found no room.
    pub fn set_full(&self) {
        self.full.store(true, Ordering::Release);
    }

    /// Counts written frames out. `true`: there is room again after it was full; call [`Node::handle_drained`] once.
    pub fn sent(&self, frames: usize, bytes: usize) -> bool {
        let left = self.bytes.fetch_sub(bytes, Ordering::AcqRel) - bytes;
        let frames_left = self.frames.fetch_sub(frames, Ordering::AcqRel) - frames;
        left <= fireside_protocol::limits::SESSION_QUEUE_BYTES_MAX / 2
            && frames_left <= fireside_protocol::limits::SESSION_QUEUE_FRAMES_MAX / 2
            && self.full.swap(false, Ordering::AcqRel)
    }
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
}

impl Published {
    /// What the rules need of an entry.
    #[must_use]
    pub fn metas(&self) -> impl Iterator<Item = &EntryMeta> {
        let Self::Entries { entries, .. } = self;
        entries.iter().map(|entry| &entry.meta)
    }
}

/// Several devices of one user at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DevicePolicy {
    /// All.
    #[default]
    All,
    /// One per platform; the newest wins.
    OnePerPlatform,
    /// One; the newest wins.
    One,
}

/// Settings of a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Direct messages per second and user.
    pub rate_direct_per_s: u32,
    /// Group messages per second and user.
    pub rate_group_per_s: u32,
    /// Entries per second and conversation.
    pub rate_conversation_per_s: u32,
    /// Other requests per second and user.
    pub rate_requests_per_s: u32,
    /// Members of a group.
    pub group_members_max: usize,
    /// Several devices at once.
    pub device_policy: DevicePolicy,
    /// Age to which a message may be edited by its author, in ms.
    pub edit_window_ms: u64,
    /// Age to which a message may be recalled by its author, in ms.
    pub recall_window_ms: u64,
    /// Conversations kept in memory.
    pub conversations_max: usize,
    /// Operations submitted and not answered; above it requests are refused as overloaded.
    pub store_pending_max: usize,
    /// Sessions of this node.
    pub sessions_max: usize,
    /// Built-in faults, for the simulator.
    pub breaks: Breaks,
}

impl Default for NodeConfig {
    fn default() -> Self {
        use fireside_protocol::limits;
        Self {
            rate_direct_per_s: limits::RATE_DIRECT_PER_S,
            rate_group_per_s: limits::RATE_GROUP_PER_S,
            rate_conversation_per_s: limits::RATE_CONVERSATION_PER_S,
            rate_requests_per_s: limits::RATE_REQUESTS_PER_S,
            group_members_max: limits::GROUP_MEMBERS_MAX,
            device_policy: DevicePolicy::All,
            edit_window_ms: 15 * 60_000,
            recall_window_ms: 15 * 60_000,
            conversations_max: 100_000,
            store_pending_max: 16_384,
            sessions_max: 50_000,
            breaks: Breaks::default(),
        }
    }
}

/// What a node counted since it started; for metrics, the simulator and the proofs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "named after what they count")]
pub struct Counters {
    pub appended: u64,
    pub known_nonces: u64,
    pub stale: u64,
    pub out_of_order: u64,
    pub skips: u64,
    pub behind: u64,
    pub heads_sent: u64,
    pub rate_limited: u64,
    pub overloaded: u64,
    pub store_errors: u64,
}

/// One server node as a state machine. Call a `handle_*`, then every `poll_*` until it is `None`.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
}

impl Node {
    /// A node with nothing in memory.
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        Self { config }
    }

    /// Takes new settings (limits, policies) without a restart.
    pub fn set_config(&mut self, config: NodeConfig) {
        self.config = config;
    }

    /// A session whose log-in the gateway has checked. The answer is `Welcome` or `Refused` (then [`Node::poll_disconnect`]).
    pub fn handle_connected(
        &mut self,
        session: SessionKey,
        outbound: Arc<Outbound>,
        login: Login,
        now: Now,
    ) {
        let _ = (session, outbound, login, now);
        unimplemented!()
    }

    /// The handshake of an early session is done: it is a full one now.
    pub fn handle_confirmed(&mut self, session: SessionKey, now: Now) {
        let _ = (session, now);
        unimplemented!()
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
        let _ = (session, token_expires, roles, origin, now);
        unimplemented!()
    }

    /// A request (not hello, resume, set-token or ping: those are the gateway's).
    pub fn handle_request(
        &mut self,
        session: SessionKey,
        origin: Origin,
        frame: ClientFrame,
        now: Now,
    ) {
        let _ = (session, origin, frame, now);
        unimplemented!()
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, session: SessionKey, now: Now) {
        let _ = (session, now);
        unimplemented!()
    }

    /// The session's queue has room again after it was full.
    pub fn handle_drained(&mut self, session: SessionKey, now: Now) {
        let _ = (session, now);
        unimplemented!()
    }

    /// What came of an operation. Write replies must come in the order of submission.
    pub fn handle_stored(&mut self, ticket: Ticket, result: Result<Reply, StoreError>, now: Now) {
        let _ = (ticket, result, now);
        unimplemented!()
    }

    /// Something the bus brought, own publications included.
    pub fn handle_published(&mut self, published: Published, now: Now) {
        let _ = (published, now);
        unimplemented!()
    }

    /// Time went on to [`Node::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Now) {
        let _ = now;
        unimplemented!()
    }

    /// Tells all sessions that the server goes down and refuses new commands as `draining`; appends in flight finish.
    pub fn drain(&mut self, now: Now) {
        let _ = now;
        unimplemented!()
    }

    /// Whether nothing is in flight any more.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        unimplemented!()
    }

    /// The next frame to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        unimplemented!()
    }

    /// The next operation to submit.
    pub fn poll_store(&mut self) -> Option<(Ticket, Op)> {
        unimplemented!()
    }

    /// The next thing to tell all nodes.
    pub fn poll_publish(&mut self) -> Option<Published> {
        unimplemented!()
    }

    /// The next session to end, after its frames are out.
    pub fn poll_disconnect(&mut self) -> Option<(SessionKey, Code)> {
        unimplemented!()
    }

    /// When to call [`Node::handle_timeout`], in monotonic ms.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        unimplemented!()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        unimplemented!()
    }
}
