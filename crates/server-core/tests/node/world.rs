//! The node with its store, bus, sessions and clock in one hand.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, DeviceId, Entry, FrameBuffer, Header, Lane, Nonce, Now,
    ServerFrame, TextContent, UserId, decode, encode,
    frames::{Ack, CreateGroup, Head, Invite, Join, Refused, Send, Skip, UserRecord},
    limits::PAGE_FRAME_BYTES_MAX,
};
use fireside_server_core::{
    Breaks, Login, Node, NodeConfig, Origin, SessionKey,
    node::Outbound,
    storage::{Op, StoreError, Ticket},
};

use crate::database::Database;

pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) database: Database,
    pub(crate) now: Now,
    /// What each session got, in order.
    pub(crate) got: BTreeMap<SessionKey, Vec<(u32, ServerFrame)>>,
    pub(crate) ended: Vec<(SessionKey, Code)>,
    /// Operations wait for [`World::carry_out`].
    pub(crate) hold_store: bool,
    pub(crate) held: VecDeque<(Ticket, Op)>,
    /// The next writes fail.
    pub(crate) failing: Option<StoreError>,
    /// Sessions that read nothing.
    pub(crate) deaf: BTreeSet<SessionKey>,
    outbounds: BTreeMap<SessionKey, Arc<Outbound>>,
    unread: BTreeMap<SessionKey, Vec<(usize, u32, ServerFrame)>>,
    next_nonce: u64,
    next_request: u32,
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(crate) fn direct(one: &str, other: &str) -> ConversationId {
    ConversationId::direct(&user(one), &user(other))
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(NodeConfig::default())
    }

    pub(crate) fn broken(breaks: Breaks) -> Self {
        let mut this = Self::with(NodeConfig {
            breaks,
            ..NodeConfig::default()
        });
        this.database.breaks = breaks;
        this
    }

    pub(crate) fn with(config: NodeConfig) -> Self {
        Self {
            node: Node::new(config),
            database: Database::default(),
            now: Now {
                monotonic_ms: 1_000,
                wall_ms: 1_800_000_000_000,
            },
            got: BTreeMap::new(),
            ended: Vec::new(),
            hold_store: false,
            held: VecDeque::new(),
            failing: None,
            deaf: BTreeSet::new(),
            outbounds: BTreeMap::new(),
            unread: BTreeMap::new(),
            next_nonce: 0,
            next_request: 100,
        }
    }

    pub(crate) fn login(&self, name: &str, key: SessionKey) -> Login {
        Login {
            user: user(name),
            device: DeviceId([key as u8; 16]),
            name: name.to_uppercase(),
            roles: Vec::new(),
            platform: "test".into(),
            agent: "test/1".into(),
            issued_at: self.now.wall_ms - 1_000,
            token_expires: self.now.wall_ms + 3_600_000,
            request: 1,
            version: 1,
            resume_secret: Bytes::from_static(b"secret"),
            user_cursor: 0,
            heads_since: 0,
            open: Vec::new(),
            no_sync: true,
            early: false,
        }
    }

    /// Logs a user in, without sync.
    pub(crate) fn enter(&mut self, name: &str, key: SessionKey) {
        let login = self.login(name, key);
        self.connect(key, login);
    }

    /// The node forgets everything; the database does not. Sessions are gone.
    pub(crate) fn restart(&mut self) {
        self.node = Node::new(NodeConfig::default());
        self.outbounds.clear();
        self.got.clear();
    }

    pub(crate) fn connect(&mut self, key: SessionKey, login: Login) {
        let outbound = Arc::new(Outbound::default());
        self.outbounds.insert(key, outbound.clone());
        self.got.entry(key).or_default();
        self.node.handle_connected(key, outbound, login, self.now);
        self.pump();
    }

    pub(crate) fn outbound(&self, key: SessionKey) -> &Outbound {
        &self.outbounds[&key]
    }

    pub(crate) fn nonce(&mut self) -> Nonce {
        self.next_nonce += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.next_nonce.to_be_bytes());
        Nonce::new(self.now.wall_ms, random)
    }

    /// Hands a frame in and goes on until nothing moves. Answers its request id.
    pub(crate) fn request(&mut self, key: SessionKey, frame: impl Into<ClientFrame>) -> u32 {
        self.next_request += 1;
        let origin = Origin {
            stream: 0,
            request: self.next_request,
        };
        self.node
            .handle_request(key, origin, frame.into(), self.now);
        self.pump();
        self.next_request
    }

    /// The answer to a request.
    pub(crate) fn answer(&self, key: SessionKey, request: u32) -> Option<&ServerFrame> {
        let mut got = self.got[&key].iter();
        got.find(|(id, _)| *id == request).map(|(_, frame)| frame)
    }

    pub(crate) fn ask(&mut self, key: SessionKey, frame: impl Into<ClientFrame>) -> ServerFrame {
        let request = self.request(key, frame);
        self.answer(key, request).cloned().unwrap()
    }

    pub(crate) fn acked(&mut self, key: SessionKey, frame: impl Into<ClientFrame>) -> Ack {
        match self.ask(key, frame) {
            ServerFrame::Ack(ack) => ack,
            other => panic!("expected an ack, got {other:?}"),
        }
    }

    pub(crate) fn refused(&mut self, key: SessionKey, frame: impl Into<ClientFrame>) -> Refused {
        match self.ask(key, frame) {
            ServerFrame::Refused(refused) => refused,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    pub(crate) fn message(&mut self, conversation: ConversationId, text: &str) -> Send {
        Send {
            nonce: self.nonce(),
            after: None,
            conversation,
            peer: None,
            header: Header::text(),
            content: encode(&TextContent::plain(text)).into(),
        }
    }

    pub(crate) fn message_to(&mut self, from: &str, to: &str, text: &str) -> Send {
        Send {
            peer: Some(user(to)),
            ..self.message(direct(from, to), text)
        }
    }

    /// A group of the first (its session key with it) and the others, all joined.
    pub(crate) fn group(&mut self, members: &[(&str, SessionKey)]) -> ConversationId {
        let nonce = self.nonce();
        let create = CreateGroup {
            nonce,
            name: "Raid".into(),
            invite: members[1..].iter().map(|(name, _)| user(name)).collect(),
            history_for_joiners: 0,
            kind: None,
            join: None,
            ends: 0,
            parent: None,
            by_default: false,
        };
        let conversation = self.acked(members[0].1, create).conversation.unwrap();
        for (_, key) in &members[1..] {
            let nonce = self.nonce();
            self.acked(
                *key,
                Join {
                    nonce,
                    conversation,
                    link: None,
                },
            );
        }
        conversation
    }

    pub(crate) fn invite(&mut self, conversation: ConversationId, name: &str) -> Invite {
        Invite {
            nonce: self.nonce(),
            conversation,
            users: vec![user(name)],
        }
    }

    pub(crate) fn later(&mut self, ms: u64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
        while self
            .node
            .poll_timeout()
            .is_some_and(|at| at <= self.now.monotonic_ms)
        {
            self.node.handle_timeout(self.now);
        }
        self.pump();
    }

    /// Carries out what was held, in order.
    pub(crate) fn carry_out(&mut self) {
        while let Some((ticket, op)) = self.held.pop_front() {
            self.store(ticket, op);
            self.pump();
        }
    }

    /// Carries out some of what was held: writes in order, reads as it happens.
    pub(crate) fn carry_out_some(&mut self, count: usize) {
        for round in 0..count {
            let place = if round % 2 == 0 {
                0
            } else {
                // A read may overtake.
                let read = self.held.iter().rposition(|(_, op)| !op.is_write());
                read.unwrap_or(0)
            };
            if let Some((ticket, op)) = self.held.remove(place) {
                self.store(ticket, op);
                self.pump();
            }
        }
    }

    fn store(&mut self, ticket: Ticket, op: Op) {
        let result = match &self.failing {
            Some(error) if op.is_write() => Err(error.clone()),
            _ => self.database.carry_out(op),
        };
        self.node.handle_stored(ticket, result, self.now);
    }

    pub(crate) fn pump(&mut self) {
        loop {
            let mut moved = false;
            while let Some(transmit) = self.node.poll_transmit() {
                moved = true;
                let key = transmit.session;
                let bytes = transmit.frame.len();
                let mut buffer = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
                buffer.extend(&transmit.frame);
                let raw = buffer.next_frame().unwrap().unwrap();
                let frame = raw.server().unwrap();
                if transmit.lane == Lane::Datagram {
                    assert!(bytes <= 1_000);
                }
                if self.deaf.contains(&key) {
                    let unread = self.unread.entry(key).or_default();
                    unread.push((bytes, raw.request, frame));
                } else {
                    self.read(key, bytes, raw.request, frame);
                }
            }
            while let Some((ticket, op)) = self.node.poll_store() {
                moved = true;
                if self.hold_store {
                    self.held.push_back((ticket, op));
                } else {
                    self.store(ticket, op);
                }
            }
            while let Some(published) = self.node.poll_publish() {
                moved = true;
                self.node.handle_published(published, self.now);
            }
            while let Some(ended) = self.node.poll_disconnect() {
                moved = true;
                self.ended.push(ended);
            }
            if !moved {
                break;
            }
        }
    }

    fn read(&mut self, key: SessionKey, bytes: usize, request: u32, frame: ServerFrame) {
        self.got.entry(key).or_default().push((request, frame));
        if self.outbounds[&key].sent(1, bytes) {
            self.node.handle_drained(key, self.now);
        }
    }

    /// A deaf session reads all it has.
    pub(crate) fn hear(&mut self, key: SessionKey) {
        self.deaf.remove(&key);
        for (bytes, request, frame) in self.unread.remove(&key).unwrap_or_default() {
            self.read(key, bytes, request, frame);
        }
        self.pump();
    }

    /// Frames that nobody asked for, since the last call; but for presence.
    pub(crate) fn live(&mut self, key: SessionKey) -> Vec<ServerFrame> {
        self.take(key, |id, frame| {
            id == 0 && !matches!(frame, ServerFrame::PresenceOf(_))
        })
    }

    /// What came of others' presence since the last call.
    pub(crate) fn presences(&mut self, key: SessionKey) -> Vec<ServerFrame> {
        self.take(key, |_, frame| matches!(frame, ServerFrame::PresenceOf(_)))
    }

    fn take(
        &mut self,
        key: SessionKey,
        is: impl Fn(u32, &ServerFrame) -> bool,
    ) -> Vec<ServerFrame> {
        let got = self.got.get_mut(&key).unwrap();
        let all = std::mem::take(got);
        let (live, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(id, frame)| is(*id, frame));
        *got = rest;
        live.into_iter().map(|(_, frame)| frame).collect()
    }
}

/// What a session can see of a conversation: numbers with texts, `-` for skips.
pub(crate) fn shown(frames: &[ServerFrame]) -> Vec<String> {
    let mut shown = Vec::new();
    for frame in frames {
        match frame {
            ServerFrame::Entry(entry) => shown.push(format!("{} {}", entry.sequence, text(entry))),
            ServerFrame::Skip(Skip { first, last, .. }) => shown.push(format!("{first}-{last}")),
            ServerFrame::Head(head) => shown.push(format!("head {}", head.last)),
            _ => {}
        }
    }
    shown
}

pub(crate) fn text(entry: &Entry) -> String {
    decode::<TextContent>(&entry.content).map_or_else(|_| format!("{:?}", entry.kind), |it| it.text)
}

pub(crate) fn heads(frames: &[ServerFrame]) -> Vec<Head> {
    let heads = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Head(head) => Some(head.clone()),
        _ => None,
    });
    heads.collect()
}

pub(crate) fn records(frames: &[ServerFrame]) -> Vec<UserRecord> {
    let records = frames.iter().filter_map(|frame| match frame {
        ServerFrame::UserRecord(record) => Some(record.clone()),
        _ => None,
    });
    records.collect()
}
