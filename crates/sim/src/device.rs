//! One installed client: its core while it runs, its disk always, and the views its game keeps by applying diffs.

use std::collections::{BTreeMap, BTreeSet};

use fireside_client_core::{
    Session,
    view::{ConversationRow, FolderRow, FriendRow, TimelineRow},
};
use fireside_protocol::{ConversationId, DeviceId, Nonce, UserId};

use crate::{client_disk::ClientDisk, network::LinkKey};

/// A device.
#[derive(Debug)]
pub struct Device {
    /// Its place among all.
    pub index: usize,
    /// Whose.
    pub user: UserId,
    /// Its id.
    pub id: DeviceId,
    /// First or second device of its user.
    pub which: usize,
    /// Grows with each start.
    pub life: u32,
    /// `None` while it is not running.
    pub session: Option<Session>,
    /// Its disk.
    pub disk: ClientDisk,
    /// When the disk is done with what it has.
    pub disk_free_at: u64,
    /// The core's links to the world's.
    pub links: BTreeMap<u64, LinkKey>,
    /// The server's life that gave its last session ticket.
    pub ticket_life: Option<u32>,
    /// When the timer that is set fires.
    pub timer_at: Option<u64>,
    /// Against the world's clock, in ms.
    pub clock_offset: i64,
    /// Its game does not tick until then.
    pub asleep_until: u64,
    /// The list view.
    pub list: Vec<ConversationRow>,
    /// Unread messages in all, as its game was told.
    pub badge: u64,
    /// Friends, as its game was told.
    pub friends: Vec<FriendRow>,
    /// Folders, as its game was told.
    pub folders: Vec<FolderRow>,
    /// Open timelines.
    pub timelines: BTreeMap<ConversationId, Vec<TimelineRow>>,
    /// What it opened.
    pub open: BTreeSet<ConversationId>,
    /// Where it is invited.
    pub invitations: BTreeSet<ConversationId>,
    /// Calls given, without an answer yet.
    pub calls: BTreeSet<u64>,
    /// The next call's name.
    pub next_call: u64,
    /// Numbers the texts it writes.
    pub texts: u64,
    /// Those that were before this life.
    pub texts_before: u64,
    /// Sends that were in its outbox on disk, for good.
    pub outboxed: BTreeSet<Nonce>,
    /// Blocks it wants now.
    pub blocking: BTreeMap<UserId, bool>,
    /// Its disk was broken in this life: what was unsent then may be lost.
    pub forgetful: bool,
    /// Connected, as its core says.
    pub connected: bool,
    seed: [u8; 32],
}

impl Device {
    /// A device that was never started.
    #[must_use]
    pub fn new(index: usize, user: UserId, which: usize, seed: [u8; 32]) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(index as u64 + 1).to_be_bytes());
        Self {
            index,
            user,
            id: DeviceId(id),
            which,
            life: 0,
            session: None,
            disk: ClientDisk::default(),
            disk_free_at: 0,
            links: BTreeMap::new(),
            ticket_life: None,
            timer_at: None,
            clock_offset: 0,
            asleep_until: 0,
            list: Vec::new(),
            badge: 0,
            friends: Vec::new(),
            folders: Vec::new(),
            timelines: BTreeMap::new(),
            open: BTreeSet::new(),
            invitations: BTreeSet::new(),
            calls: BTreeSet::new(),
            next_call: 1,
            texts: 0,
            texts_before: 0,
            outboxed: BTreeSet::new(),
            blocking: BTreeMap::new(),
            forgetful: false,
            connected: false,
            seed,
        }
    }

    /// The seed of a life: another each time.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        let mut seed = self.seed;
        seed[..4].copy_from_slice(&self.life.to_be_bytes());
        seed
    }

    /// Forgets all that a killed process forgets.
    pub fn forget(&mut self) {
        self.session = None;
        self.links.clear();
        self.timer_at = None;
        self.list.clear();
        self.badge = 0;
        self.friends.clear();
        self.folders.clear();
        self.timelines.clear();
        self.open.clear();
        self.calls.clear();
        self.connected = false;
        self.ticket_life = None;
    }
}
