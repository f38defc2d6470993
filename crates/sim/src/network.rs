//! One connection in virtual time: reliable ordered streams that do not wait for each other, datagrams that may be lost, and an end
//! that loses what was on its way.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use fireside_protocol::UserId;
use fireside_server_core::{SessionKey, node::Outbound};

use crate::rng::Rng;

/// Names a connection in the whole world.
pub type LinkKey = u64;
/// Names a stream of a connection: 0 the session stream, others pages; `u64::MAX` datagrams.
pub type StreamKey = u64;

/// Where datagrams go.
pub const DATAGRAM: StreamKey = u64::MAX;

/// A connection.
#[derive(Debug)]
pub struct Link {
    /// Which client.
    pub client: usize,
    /// In which of its lives.
    pub client_life: u32,
    /// What the client core calls it.
    pub local: u64,
    /// The server's life it belongs to.
    pub server_life: u32,
    /// One way, in ms.
    pub latency_ms: u64,
    /// The client still thinks it is up.
    pub client_open: bool,
    /// The server still thinks it is up.
    pub server_open: bool,
    /// The handshake was 0-RTT and is not confirmed.
    pub early: bool,
    /// Logged in as.
    pub session: Option<(SessionKey, UserId)>,
    /// What the server has queued for it.
    pub outbound: Arc<Outbound>,
    /// The client reads nothing until then.
    pub slow_until_ms: u64,
    /// Bytes of something big before them: pages, downloads.
    pub ballast: usize,
    /// Frames that wait for a slow reader.
    pub waiting: VecDeque<(StreamKey, Bytes)>,
    /// Requests that came before the log-in was answered.
    pub before_login: Vec<(StreamKey, Bytes)>,
    /// Next page stream.
    pub next_stream: StreamKey,
    to_server: BTreeMap<StreamKey, u64>,
    to_client: BTreeMap<StreamKey, u64>,
}

impl Link {
    /// A connection that is being made.
    #[must_use]
    pub fn new(
        client: usize,
        client_life: u32,
        local: u64,
        server_life: u32,
        latency_ms: u64,
    ) -> Self {
        Self {
            client,
            client_life,
            local,
            server_life,
            latency_ms,
            client_open: false,
            server_open: false,
            early: false,
            session: None,
            outbound: Arc::default(),
            slow_until_ms: 0,
            ballast: 0,
            waiting: VecDeque::new(),
            before_login: Vec::new(),
            next_stream: 1,
            to_server: BTreeMap::new(),
            to_client: BTreeMap::new(),
        }
    }

    /// When a frame sent now arrives: after the one before it on the same stream, otherwise in any order.
    pub fn arrival(&mut self, now_ms: u64, stream: StreamKey, up: bool, rng: &mut Rng) -> u64 {
        // A lost packet holds up its own stream for a round trip.
        let lost = if rng.chance(30) {
            self.latency_ms * 2 + 10
        } else {
            0
        };
        let at = now_ms + self.latency_ms + rng.below(5) + lost;
        let lanes = if up {
            &mut self.to_server
        } else {
            &mut self.to_client
        };
        if stream == DATAGRAM {
            return at;
        }
        let last = lanes.entry(stream).or_default();
        *last = at.max(*last);
        *last
    }
}
