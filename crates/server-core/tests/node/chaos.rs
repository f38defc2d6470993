//! Anything at any time: every request has one answer, nobody gets a number twice or out of place, nothing is left behind.

use std::collections::BTreeMap;

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Nonce, Role, ServerFrame, TextContent, encode,
    frames::{
        Attention, Block, CreateGroup, Delivered, Edit, HeadsRequest, Invite, Join, Leave,
        PageRequest, Read, Recall, RemoveMember, SetRole, Typing,
    },
};
use fireside_server_core::{NodeConfig, storage::StoreError};

use crate::world::{World, direct, user};

const USERS: [&str; 6] = ["ann", "bob", "cid", "dee", "eve", "fay"];

struct Chaos {
    world: World,
    seed: u64,
    groups: Vec<ConversationId>,
    sent: Vec<(ConversationId, Nonce)>,
    /// Session and user, and what waits for an answer.
    sessions: BTreeMap<u64, (usize, BTreeMap<u32, u16>)>,
    next_session: u64,
}

impl Chaos {
    fn below(&mut self, end: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % end
    }

    fn name(&mut self) -> &'static str {
        USERS[self.below(6) as usize]
    }

    fn conversation(&mut self, me: &str) -> ConversationId {
        if self.groups.is_empty() || self.below(3) == 0 {
            let other = self.name();
            return direct(me, other);
        }
        let place = self.below(self.groups.len() as u64) as usize;
        self.groups[place]
    }

    fn frame(&mut self, me: &'static str) -> ClientFrame {
        let conversation = self.conversation(me);
        let other = user(self.name());
        let nonce = self.world.nonce();
        let number = self.below(30);
        let content: bytes::Bytes = encode(&TextContent::plain(
            ["x", "hello", "there", " "][self.below(4) as usize],
        ))
        .into();
        match self.below(22) {
            0 => CreateGroup {
                nonce,
                name: "Raid".into(),
                invite: vec![other, user("ann")],
                history_for_joiners: number,
                kind: None,
                join: None,
                ends: 0,
                parent: None,
                by_default: false,
            }
            .into(),
            1 => Invite {
                nonce,
                conversation,
                users: vec![other],
            }
            .into(),
            2 | 3 => Join {
                nonce,
                conversation,
                link: None,
            }
            .into(),
            4 => Leave {
                nonce,
                conversation,
            }
            .into(),
            5 => RemoveMember {
                nonce,
                conversation,
                user: other,
            }
            .into(),
            6 => SetRole {
                nonce,
                conversation,
                user: other,
                role: [Role::Owner, Role::Admin, Role::Member][self.below(3) as usize],
            }
            .into(),
            7 => {
                let on = self.below(2) == 0;
                Block {
                    nonce,
                    user: other,
                    on,
                }
                .into()
            }
            8 => Read {
                conversation,
                upto: number,
                nonce,
            }
            .into(),
            9 => Delivered {
                conversation,
                upto: number,
            }
            .into(),
            10 => Typing {
                conversation,
                counter: number + 1,
                on: true,
            }
            .into(),
            11 => Attention {
                open: vec![conversation, direct(me, "bob")],
            }
            .into(),
            12 => PageRequest {
                conversation,
                anchor: 0,
                number: 0,
                to: 0,
                limit: 0,
                since: 0,
                held: Vec::new(),
            }
            .into(),
            13 => HeadsRequest {
                since: 0,
                before_at: 0,
                before: None,
                limit: 0,
                only: Vec::new(),
            }
            .into(),
            14 | 15 if !self.sent.is_empty() => {
                let place = self.below(self.sent.len() as u64) as usize;
                let (conversation, target) = self.sent[place];
                let after = (self.below(3) == 0).then_some(target);
                if self.below(2) == 0 {
                    Edit {
                        nonce,
                        after,
                        conversation,
                        target: 0,
                        target_nonce: Some(target),
                        seen_rev: 0,
                        content,
                    }
                    .into()
                } else {
                    Recall {
                        nonce,
                        after,
                        conversation,
                        target: number,
                        target_nonce: Some(target),
                    }
                    .into()
                }
            }
            _ => {
                let mut send = self.world.message(conversation, "x");
                send.content = content;
                send.peer = Some(other);
                if self.below(2) == 0 {
                    send.peer = None;
                    send.after = self.sent.last().map(|(_, nonce)| *nonce);
                }
                self.sent.push((send.conversation, send.nonce));
                send.into()
            }
        }
    }

    fn step(&mut self) {
        match self.below(20) {
            0 => {
                let place = self.below(6) as usize;
                self.next_session += 1;
                let key = self.next_session;
                let mut login = self.world.login(USERS[place], key);
                login.device.0 = [self.below(3) as u8; 16];
                login.no_sync = self.below(2) == 0;
                login.open = vec![direct(USERS[place], "ann")];
                login.early = self.below(4) == 0;
                self.sessions.insert(key, (place, BTreeMap::new()));
                self.world.connect(key, login);
            }
            1 if self.below(3) == 0 => {
                if let Some(key) = self.session() {
                    let now = self.world.now;
                    self.world.node.handle_disconnected(key, now);
                    self.sessions.remove(&key);
                }
            }
            2 => {
                if let Some(key) = self.session() {
                    let now = self.world.now;
                    self.world.node.handle_confirmed(key, now);
                    self.world.pump();
                }
            }
            3 => self.world.failing = (self.below(4) == 0).then_some(StoreError::Full),
            4 => {
                let ms = [1, 50, 700][self.below(3) as usize];
                self.world.later(ms);
            }
            5..=8 => {
                let count = self.below(12);
                self.world.carry_out_some(count as usize);
            }
            _ => {
                let Some(key) = self.session() else { return };
                let name = USERS[self.sessions[&key].0];
                let frame = self.frame(name);
                let silent = matches!(frame, ClientFrame::Typing(_));
                let kind = frame.kind();
                let request = self.world.request(key, frame);
                if !silent && let Some((_, waiting)) = self.sessions.get_mut(&key) {
                    waiting.insert(request, kind);
                }
            }
        }
        for (key, _) in std::mem::take(&mut self.world.ended) {
            self.sessions.remove(&key);
        }
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            for (_, frame) in &self.world.got[&key] {
                if let ServerFrame::Ack(ack) = frame
                    && let Some(made) = ack.conversation
                    && made != ConversationId::default()
                    && !self.groups.contains(&made)
                    && self.groups.len() < 4
                    && ack.ordinal == 0
                    && ack.sequence == 1
                {
                    self.groups.push(made);
                }
            }
        }
    }

    fn session(&mut self) -> Option<u64> {
        let count = self.sessions.len() as u64;
        let place = self.below(count.max(1)) as usize;
        self.sessions.keys().nth(place).copied()
    }

    /// What must hold at the end.
    fn check(mut self) -> (u64, u64) {
        self.world.failing = None;
        self.world.hold_store = false;
        self.world.carry_out();
        self.world.later(10_000);
        for (key, _) in std::mem::take(&mut self.world.ended) {
            self.sessions.remove(&key);
        }
        for (key, (_, waiting)) in &self.sessions {
            let mut answers: BTreeMap<u32, u32> = BTreeMap::new();
            for (request, frame) in &self.world.got[key] {
                if *request > 100 {
                    *answers.entry(*request).or_default() += 1;
                }
                if let ServerFrame::Refused(refused) = frame {
                    let code = refused.code();
                    assert!(
                        !code.retryable()
                            || refused.retry_after_ms > 0
                            || code == Code::NotInEarlyData,
                        "{refused:?}"
                    );
                }
            }
            for (request, kind) in waiting {
                let count = answers.get(request);
                assert_eq!(count, Some(&1), "session {key}, {request} of kind {kind}");
            }
            self.check_numbers(*key);
        }
        let counters = self.world.node.counters();
        assert_eq!(counters.store_pending, 0);
        assert_eq!(counters.conversations_busy, 0);
        assert!(self.world.node.is_drained());
        for key in self.sessions.keys() {
            self.world.node.handle_disconnected(*key, self.world.now);
        }
        let left = self.world.node.counters();
        assert_eq!((left.sessions, left.users), (0, 0));
        assert_eq!(left.conversations_known, left.conversations);
        assert_eq!(self.world.node.poll_timeout(), None);
        (counters.appended, counters.entries_sent)
    }

    /// Each session got each number once, ascending, and whatever was left out between two is explained by a head or by what it
    /// was not a member for.
    fn check_numbers(&self, key: u64) {
        let mut last: BTreeMap<ConversationId, u64> = BTreeMap::new();
        for (_, frame) in &self.world.got[&key] {
            let (conversation, first, to) = match frame {
                ServerFrame::Entry(entry) => (entry.conversation, entry.sequence, entry.sequence),
                ServerFrame::Skip(skip) => (skip.conversation, skip.first, skip.last),
                ServerFrame::Head(head) => {
                    // What waited for the head comes behind it.
                    last.remove(&head.conversation);
                    continue;
                }
                _ => continue,
            };
            if let Some(before) = last.insert(conversation, to) {
                assert_eq!(first, before + 1, "session {key} in {conversation}");
            }
        }
    }
}

/// `SEEDS=2500` for more of them.
#[test]
fn anything_at_any_time() {
    let (mut appended, mut delivered) = (0, 0);
    let seeds = std::env::var("SEEDS").ok().and_then(|it| it.parse().ok());
    for seed in 1..seeds.unwrap_or(40_u64) {
        let mut world = World::with(NodeConfig {
            conversations_max: if seed % 3 == 0 { 2 } else { 100 },
            rate_requests_per_s: 0,
            ..NodeConfig::default()
        });
        world.hold_store = seed % 4 != 0;
        let mut chaos = Chaos {
            world,
            seed: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            groups: Vec::new(),
            sent: Vec::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
        };
        for _ in 0..700 {
            chaos.step();
        }
        let (more, reached) = chaos.check();
        appended += more;
        delivered += reached;
    }
    assert!(
        appended > 500 && delivered > 1_000,
        "{appended} {delivered}"
    );
}
