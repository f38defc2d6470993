//! What a session is given and gives: settings, links, frames, counters.

use bytes::Bytes;
use fireside_protocol::{Code, DeviceId, Lane, UserId};

/// A link is one connection (QUIC or other). The core numbers those it asks for.
pub type LinkId = u64;

/// Settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whose token it will be, if known before the log-in: lets the cache be shown offline.
    pub user: Option<UserId>,
    /// Used if the cache has none yet.
    pub device: DeviceId,
    /// Name and version of the game, for the server's logs.
    pub agent: String,
    /// For example `windows`, `ps5`.
    pub platform: String,
    /// Seed of the session's own randomness (nonces, jitter); from the operating system, new each time.
    pub seed: [u8; 32],
    /// First delay before a reconnect, in ms; doubles with jitter.
    pub reconnect_delay_ms_min: u64,
    /// Largest delay before a reconnect, in ms.
    pub reconnect_delay_ms_max: u64,
    /// Built-in faults, for the simulator.
    pub breaks: Breaks,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user: None,
            device: DeviceId::default(),
            agent: concat!("fireside/", env!("CARGO_PKG_VERSION")).to_owned(),
            platform: String::new(),
            seed: [0; 32],
            reconnect_delay_ms_min: 250,
            reconnect_delay_ms_max: 30_000,
            breaks: Breaks::default(),
        }
    }
}

/// Faults built in on purpose, so that the simulator can prove that it would notice them. All off in production.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of switches")]
pub struct Breaks {
    /// Holes are never asked for.
    pub repair: bool,
    /// Cursors are kept in a transaction before the rows they stand for.
    pub cursor_before_rows: bool,
    /// The last state that arrives wins, whatever its rev.
    pub rev_ignored: bool,
    /// Commands of one conversation are sent in any order, without `after`.
    pub outbox_order: bool,
    /// A head counts as covered.
    pub head_as_gap: bool,
    /// A state takes the place of an older one whole, whatever of the older one is newer.
    pub facets_whole: bool,
    /// Own settings of conversations that other devices changed are not taken over.
    pub personal_not_synced: bool,
}

/// What happened to a link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LinkEvent {
    /// Frames can be sent. `early`: only resume and reads until [`LinkEvent::Confirmed`].
    Up {
        /// 0-RTT.
        early: bool,
    },
    /// The handshake is done. `early_accepted` false: early frames are lost and must be sent again.
    Confirmed {
        /// The server took the early data.
        early_accepted: bool,
    },
    /// It ended. `code`: the peer's application code, if it gave one.
    Down {
        /// Why, if the server said.
        code: Option<Code>,
        /// For logs.
        reason: String,
    },
    /// A stream or page was refused by the transport; its request fails and is tried again.
    RequestLost {
        /// Whose.
        request: u32,
    },
    /// The machine's addresses changed: probe at once.
    RouteChanged,
}

/// A frame to send.
#[derive(Clone, Debug)]
pub struct Transmit {
    /// On which link.
    pub link: LinkId,
    /// On what. [`Lane::Page`]: a stream of its own, ended after the frame; the answer comes back through `handle_frame`.
    pub lane: Lane,
    /// Its request id (0: none).
    pub request: u32,
    /// The whole frame.
    pub frame: Bytes,
}

/// What the driver must do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Open a link. `early`: with 0-RTT if there is a ticket.
    Connect {
        /// Its name.
        link: LinkId,
        /// Try 0-RTT.
        early: bool,
    },
    /// Close a link.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Bind a new local socket under the link: the route changed.
    Rebind {
        /// Which.
        link: LinkId,
    },
    /// The session is over and everything kept is handed to storage.
    Stopped,
}

/// What a session counted; for the overlay, the simulator and the proofs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "named after what they count")]
pub struct Counters {
    pub entries: u64,
    pub skips: u64,
    pub heads: u64,
    pub holes_repaired: u64,
    pub pages: u64,
    pub resets: u64,
    pub page_live_overlaps: u64,
    pub resends: u64,
    pub reconnects: u64,
    pub tokens_renewed: u64,
    pub retry_in_order: u64,
    pub frames_bad: u64,
}
