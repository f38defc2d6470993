//! The world of one seed: clients, one server with several lives, networks and disks, driven by one queue of events.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use bytes::Bytes;
use fireside_client_core::{Breaks as ClientBreaks, storage::StoreOp};
use fireside_protocol::{
    ConversationId, EntryKind, FrameBuffer, Now, Sequence, UserId, limits::PAGE_FRAME_BYTES_MAX,
};
use fireside_server_core::{
    Breaks as ServerBreaks, Node, NodeConfig, SessionKey, links::LinkSecret,
    node::Counters as NodeCounters, previews::PreviewRequest,
};

use crate::{
    device::Device,
    network::{Link, LinkKey, StreamKey},
    record::{MS, Moment, Record},
    report::Report,
    rng::Rng,
    server_disk::{Results, ServerDisk},
    violation::Violation,
};

/// Wall clock at the start of the world, in ms since 1970.
pub const EPOCH_MS: u64 = 1_750_000_000_000;
/// Users with two devices.
pub const USERS_WITH_TWO: usize = 10;
/// Users in all.
pub const USERS: usize = 20;
/// Length of a fake token's life, in ms.
pub const TOKEN_LIFE_MS: u64 = 400_000;

/// Age to which a message may be changed, in ms.
const WINDOW_MS: u64 = 8_000;
/// The same in seeds that begin with a storm, which takes longer.
const STORM_WINDOW_MS: u64 = 600_000;
/// How far the server's clock may jump, in ms.
pub const CLOCK_JUMP_MS: u64 = 20_000;

/// What a seed is run with.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Events at least.
    pub steps: u64,
    /// Server faults built in.
    pub server_breaks: ServerBreaks,
    /// Client faults built in.
    pub client_breaks: ClientBreaks,
}

/// What happens next.
#[derive(Debug)]
pub enum What {
    /// The handshake of a link is done (or its 0-RTT flight is here).
    Opened(LinkKey),
    /// The rest of a 0-RTT handshake.
    Confirmed(LinkKey),
    /// The page behind a link was read, in a life of the server.
    PageRead(u32, PreviewRequest),
    /// A frame arrives at the server.
    ToServer(LinkKey, StreamKey, Bytes),
    /// A frame arrives at a client.
    ToClient(LinkKey, StreamKey, Bytes),
    /// The client notices that a link is gone, with the server's code if it said why.
    ClientLost(LinkKey, Option<u16>),
    /// The server notices.
    ServerLost(LinkKey),
    /// A slow reader reads again.
    Drained(LinkKey),
    /// The node's timer.
    NodeTimer(u32),
    /// The sync of a commit is done.
    Synced(u32),
    /// Results reach the node.
    Stored(u32, Results),
    /// A read is carried out.
    Read(u32, u64, fireside_server_core::storage::Op),
    /// A client's timer.
    ClientTimer(usize, u32),
    /// A client's disk does something.
    ClientDisk(usize, u32, u64, StoreOp),
    /// The game gives a command.
    Work,
    /// Something breaks.
    Fault,
    /// The server starts again.
    ServerStart,
    /// A client starts again.
    ClientStart(usize),
}

struct Scheduled {
    at: u64,
    order: u64,
    what: What,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The one server.
pub struct Server {
    /// Grows with each start.
    pub life: u32,
    /// `None` while it is down.
    pub node: Option<Node>,
    /// Its disk.
    pub disk: ServerDisk,
    /// Sessions to links.
    pub sessions: BTreeMap<SessionKey, LinkKey>,
    /// Resume secrets of this life.
    pub resume: BTreeMap<Vec<u8>, (UserId, u64)>,
    /// Never used twice.
    pub next_session: SessionKey,
    /// Against the world's clock, in ms; jumps.
    pub clock_offset: i64,
    /// When the timer that is set fires.
    pub timer_at: Option<u64>,
    /// It is draining and will end.
    pub draining: bool,
}

/// Everything.
pub struct World {
    /// What it is run with.
    pub plan: Plan,
    /// Its randomness.
    pub rng: Rng,
    /// Virtual time, in ms.
    pub now: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    /// Events so far.
    pub steps: u64,
    /// The server.
    pub server: Server,
    /// All devices.
    pub devices: Vec<Device>,
    /// All connections that somebody still holds.
    pub links: BTreeMap<LinkKey, Link>,
    next_link: LinkKey,
    /// What was seen, for the oracle.
    pub record: Record,
    /// Receipts as each link got them: delivered, read.
    pub receipts: BTreeMap<(LinkKey, ConversationId, UserId), (Sequence, Sequence)>,
    /// What happened.
    pub report: Report,
    /// Whether things break now.
    pub faults: bool,
    /// Whether the game gives commands now.
    pub working: bool,
    /// Groups that were made.
    pub groups: BTreeSet<ConversationId>,
    /// Messages with threads under them that are opened again.
    pub below: BTreeSet<(ConversationId, Sequence)>,
    /// Threads that anybody opened.
    pub threads: BTreeSet<ConversationId>,
    /// Communities made.
    pub communities: usize,
    /// Channels made.
    pub channels: usize,
    /// What somebody wanted to forward, the newest last.
    pub(crate) forwarded: Vec<(ConversationId, Sequence)>,
    /// Where the live stream of a link stands per conversation.
    pub live: BTreeMap<(LinkKey, ConversationId), Option<Sequence>>,
    /// Live streams with a gap that no head has explained yet.
    pub owed: BTreeMap<(LinkKey, ConversationId), String>,
    /// What was broken first.
    pub violation: Option<Violation>,
    /// Prints each event.
    pub verbose: bool,
    /// A hash over all events, to show that a seed is one world.
    pub trace: u64,
}

impl World {
    /// A world before its first event.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let mut rng = Rng::new(plan.seed);
        let mut devices = Vec::new();
        for user in 0..USERS {
            let id = UserId::new(&format!("u{user:02}"))
                .unwrap_or_else(|_| unreachable!("a fixed name"));
            for which in 0..=usize::from(user < USERS_WITH_TWO) {
                devices.push(Device::new(devices.len(), id.clone(), which, rng.bytes()));
            }
        }
        let mut disk = ServerDisk::default();
        disk.database.breaks = plan.server_breaks;
        let mut world = Self {
            plan,
            rng,
            now: 0,
            queue: BinaryHeap::new(),
            order: 0,
            steps: 0,
            server: Server {
                life: 0,
                node: None,
                disk,
                sessions: BTreeMap::new(),
                resume: BTreeMap::new(),
                next_session: 1,
                clock_offset: 0,
                timer_at: None,
                draining: false,
            },
            devices,
            links: BTreeMap::new(),
            next_link: 1,
            record: Record::default(),
            receipts: BTreeMap::new(),
            report: Report::default(),
            faults: true,
            working: true,
            groups: BTreeSet::new(),
            below: BTreeSet::new(),
            threads: BTreeSet::new(),
            communities: 0,
            channels: 0,
            forwarded: Vec::new(),
            live: BTreeMap::new(),
            owed: BTreeMap::new(),
            violation: None,
            verbose: false,
            trace: 0,
        };
        world.start_server();
        for device in 0..world.devices.len() {
            world.schedule(device as u64 * 3, What::ClientStart(device));
        }
        world
    }

    /// Whether this seed is one with storms: many changes while devices are away, readers that stand still.
    #[must_use]
    pub const fn is_stormy(&self) -> bool {
        self.plan.seed % 8 == 3
    }

    /// Whether this seed begins with more changes than a page takes.
    #[must_use]
    pub const fn has_storm(&self) -> bool {
        self.plan.seed % 32 == 3
    }

    /// Age to which a message may be changed, in ms.
    #[must_use]
    pub const fn window_ms(&self) -> u64 {
        if self.has_storm() {
            STORM_WINDOW_MS
        } else {
            WINDOW_MS
        }
    }

    /// Time as the oracle counts it.
    #[must_use]
    pub const fn moment(&self) -> Moment {
        self.now * MS + self.steps % MS
    }

    /// Time as the server sees it.
    #[must_use]
    pub fn server_now(&self) -> Now {
        let wall = (EPOCH_MS + self.now).saturating_add_signed(self.server.clock_offset);
        Now {
            monotonic_ms: self.now,
            wall_ms: wall,
        }
    }

    /// Puts an event `in_ms` ahead.
    pub fn schedule(&mut self, in_ms: u64, what: What) {
        self.schedule_at(self.now + in_ms, what);
    }

    /// Puts an event at a time.
    pub fn schedule_at(&mut self, at: u64, what: What) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled {
            at,
            order: self.order,
            what,
        }));
    }

    /// Runs until the plan's steps are done, with rests in between at which everything is checked.
    ///
    /// # Errors
    /// The first rule that was broken.
    pub fn run(&mut self) -> Result<(), Violation> {
        const PARTS: u64 = 3;
        if self.has_storm() {
            self.storm()?;
        }
        for part in 1..=PARTS {
            self.squall()?;
            self.working = true;
            self.faults = true;
            self.schedule(0, What::Work);
            self.schedule(500, What::Fault);
            let half = self.steps + self.plan.steps / PARTS / 2;
            while self.steps < half {
                self.step()?;
            }
            // Every part has its crash, whatever the dice say.
            if u64::from(self.server.life) <= part {
                let synced = self.rng.chance(500);
                self.kill_server(synced);
            }
            let until = half + self.plan.steps / PARTS / 2;
            while self.steps < until {
                self.step()?;
            }
            self.rest()?;
        }
        Ok(())
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn step(&mut self) -> Result<(), Violation> {
        let Some(Reverse(next)) = self.queue.pop() else {
            return Err(Violation {
                rule: "converge",
                seen: "nothing happens any more".to_owned(),
            });
        };
        self.now = next.at;
        self.steps += 1;
        self.trace = self.trace.wrapping_mul(0x0100_0000_01b3) ^ next.at ^ (next.order << 20);
        if self.verbose {
            println!("{:>8} {:>7}  {}", self.steps, self.now, brief(&next.what));
        }
        match next.what {
            What::Opened(link) => self.link_opened(link),
            What::Confirmed(link) => self.link_confirmed(link),
            What::ToServer(link, stream, frame) => self.server_gets(link, stream, &frame),
            What::ToClient(link, stream, frame) => self.client_gets(link, stream, &frame),
            What::ClientLost(link, code) => self.client_lost(link, code),
            What::ServerLost(link) => self.server_lost(link),
            What::Drained(link) => self.reader_reads(link),
            What::NodeTimer(life) => self.node_timer(life),
            What::Synced(life) => self.synced(life),
            What::Stored(life, results) => self.stored(life, results),
            What::Read(life, ticket, op) => self.read(life, ticket, op),
            What::PageRead(life, request) => self.page_read(life, &request),
            What::ClientTimer(device, life) => self.client_timer(device, life),
            What::ClientDisk(device, life, ticket, op) => {
                self.client_disk(device, life, ticket, op);
            }
            What::Work if self.working => {
                self.work();
                let pause = if self.is_stormy() { 4 } else { 12 };
                let pause = self.rng.between(1, pause);
                self.schedule(pause, What::Work);
            }
            What::Fault if self.faults => {
                self.fault();
                let pause = self.rng.between(40, 240);
                self.schedule(pause, What::Fault);
            }
            // The world is at rest.
            What::Work | What::Fault => {}
            What::ServerStart => self.start_server(),
            What::ClientStart(device) => self.start_client(device),
        }
        self.violation.clone().map_or(Ok(()), Err)
    }

    /// Notes a broken rule; the first one counts.
    pub fn broke(&mut self, check: Result<(), Violation>) {
        if let Err(violation) = check
            && self.violation.is_none()
        {
            self.violation = Some(violation);
        }
    }

    /// Starts the server on what its disk has.
    pub fn start_server(&mut self) {
        let stormy = self.is_stormy();
        let rate = |usual: u32| if stormy { 5_000 } else { usual };
        let config = NodeConfig {
            rate_direct_per_s: rate(10),
            rate_group_per_s: rate(5),
            rate_conversation_per_s: rate(40),
            rate_requests_per_s: rate(50),
            edit_window_ms: self.window_ms(),
            recall_window_ms: self.window_ms(),
            previews: true,
            breaks: self.plan.server_breaks,
            ..NodeConfig::default()
        };
        self.server.life += 1;
        let now = self.server_now();
        let mut node = Node::new(config);
        node.handle_started(LinkSecret([7; 32]), now);
        self.server.node = Some(node);
        self.server.timer_at = None;
        self.server.draining = false;
        self.report.count("server lives");
        self.pump_server();
    }

    /// The server is gone at once. `synced`: the commit under way made it to the disk.
    pub fn kill_server(&mut self, synced: bool) {
        let Some(node) = self.server.node.take() else {
            return;
        };
        self.count_node(&node.counters());
        let was_committing = self.server.disk.is_committing();
        let lost = self.server.disk.crash(self.now, synced);
        if was_committing && synced {
            self.report.count("fault: server killed after sync");
        } else if lost > 0 {
            self.report.count("fault: server killed before sync");
        }
        self.server.sessions.clear();
        self.server.resume.clear();
        let links: Vec<LinkKey> = self.links.keys().copied().collect();
        for key in links {
            if let Some(link) = self.links.get_mut(&key) {
                link.server_open = false;
                link.session = None;
                link.waiting.clear();
            }
            let notice = self.rng.between(20, 3_000);
            self.schedule(notice, What::ClientLost(key, None));
        }
        let down = self.rng.between(10, 1_500);
        self.schedule(down, What::ServerStart);
    }

    /// Takes a node's counters into the report.
    pub fn count_node(&mut self, counters: &NodeCounters) {
        self.report
            .add("duplicate nonce answered", counters.known_nonces);
        self.report.add("stale version", counters.stale);
        self.report.add("skip", counters.skips);
        self.report.add("behind", counters.behind);
        self.report.add("rate limited", counters.rate_limited);
    }

    /// A new link for a device.
    pub fn connect(&mut self, device: usize, local: u64, early: bool) {
        let key = self.fresh_link();
        let latency = self.rng.between(2, 40);
        let Some(client) = self.devices.get_mut(device) else {
            return;
        };
        let mut link = Link::new(device, client.life, local, self.server.life, latency);
        link.early = early && client.ticket_life.is_some();
        client.links.insert(local, key);
        if link.early {
            // The first flight leaves with the client's hello: frames can be sent at once.
            self.links.insert(key, link);
            self.schedule(0, What::Opened(key));
            self.schedule(latency * 2, What::Confirmed(key));
        } else {
            self.links.insert(key, link);
            self.schedule(latency * 2, What::Opened(key));
        }
    }

    /// A name no link has had.
    pub(crate) const fn fresh_link(&mut self) -> LinkKey {
        self.next_link += 1;
        self.next_link
    }

    /// Counts what only the logs tell.
    pub fn count_logs(&mut self) {
        for (id, _) in self.server.disk.database.conversations() {
            for (entry, meta) in self.server.disk.database.entries(id) {
                self.report.add("private entry", u64::from(meta.private));
                match entry.kind {
                    EntryKind::Joined => self.report.count("joins"),
                    EntryKind::Withdraw => self.report.count("copies taken out"),
                    EntryKind::Expire => self.report.count("messages ended"),
                    EntryKind::Left | EntryKind::Removed => {
                        self.report.count("leaves and removals");
                    }
                    _ => {}
                }
            }
        }
    }
}

fn brief(what: &What) -> String {
    let mut text = match what {
        What::ToServer(link, stream, frame) => format!(
            "to server  link {link} stream {stream}: {}",
            frame_brief(frame, true)
        ),
        What::ToClient(link, stream, frame) => format!(
            "to client  link {link} stream {stream}: {}",
            frame_brief(frame, false)
        ),
        other => format!("{other:?}"),
    };
    if text.len() > 600 {
        let cut = (0..=600)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(cut);
    }
    text
}

fn frame_brief(frame: &Bytes, up: bool) -> String {
    let mut buffer = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
    buffer.extend(frame);
    match buffer.next_frame() {
        Ok(Some(raw)) if up => format!("{} {:?}", raw.request, raw.client()),
        Ok(Some(raw)) => format!("{} {:?}", raw.request, raw.server()),
        other => format!("{other:?}"),
    }
}
