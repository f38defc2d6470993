//! The node's inner loops without I/O: what a delivery costs, what an idle session weighs.
//!
//! `cargo bench -p fireside-server-core` prints one line per case.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

#[allow(warnings, reason = "the simulator's: linted there")]
#[path = "../../sim/src/database.rs"]
mod database;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use database::Database;
use fireside_protocol::{
    ClientFrame, ConversationId, DeviceId, Header, Nonce, Now, Role, TextContent, UserId, encode,
    frames::Send,
};
use fireside_server_core::{
    Login, Node, NodeConfig, Origin,
    node::Outbound,
    storage::{Append, Command, Effect, NewConversation, Op},
};

struct Bench {
    node: Node,
    database: Database,
    now: Now,
    outbounds: Vec<Arc<Outbound>>,
    nonces: u64,
    frames: u64,
    bytes: u64,
}

impl Bench {
    fn new() -> Self {
        Self {
            node: Node::new(NodeConfig {
                rate_direct_per_s: 0,
                rate_group_per_s: 0,
                rate_conversation_per_s: 0,
                ..NodeConfig::default()
            }),
            database: Database::default(),
            now: Now {
                monotonic_ms: 1,
                wall_ms: 1_800_000_000_000,
            },
            outbounds: Vec::new(),
            nonces: 0,
            frames: 0,
            bytes: 0,
        }
    }

    fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        let mut nonce = [0; 16];
        nonce[8..].copy_from_slice(&self.nonces.to_be_bytes());
        Nonce(nonce)
    }

    /// A conversation with these members, made in the store.
    fn conversation(&mut self, id: ConversationId, members: &[UserId]) {
        let command = Command {
            user: members[0].clone(),
            nonce: self.nonce(),
            after: None,
            now: self.now.wall_ms,
        };
        let kind = if members.len() == 2 {
            fireside_protocol::ConversationKind::Direct
        } else {
            fireside_protocol::ConversationKind::Group
        };
        let append = Append {
            conversation: id,
            expected_version: None,
            shape: None,
            child: None,
            create: Some(NewConversation {
                kind,
                parent: None,
                name: String::new(),
                creator: members[0].clone(),
                history_for_joiners: 0,
                members: members
                    .iter()
                    .map(|it| (it.clone(), Role::Member))
                    .collect(),
            }),
            command,
            effect: Effect::Entries {
                entries: Vec::new(),
                bumps_version: false,
                members: Vec::new(),
                records: Vec::new(),
            },
            links: Vec::new(),
        };
        self.database
            .carry_out(Op::Append(Box::new(append)))
            .unwrap();
    }

    fn enter(&mut self, key: u64, user: UserId) {
        let outbound = Arc::new(Outbound::default());
        self.outbounds.push(outbound.clone());
        let mut device = [0; 16];
        device[8..].copy_from_slice(&key.to_be_bytes());
        let login = Login {
            user,
            device: DeviceId(device),
            name: "Somebody".into(),
            roles: Vec::new(),
            platform: "windows".into(),
            agent: "bench/1".into(),
            issued_at: self.now.wall_ms,
            token_expires: self.now.wall_ms + 3_600_000,
            request: 1,
            version: 1,
            resume_secret: bytes::Bytes::from_static(&[7; 32]),
            user_cursor: 0,
            heads_since: 0,
            open: Vec::new(),
            no_sync: true,
            early: false,
        };
        self.node.handle_connected(key, outbound, login, self.now);
        self.pump();
    }

    fn send(&mut self, key: u64, conversation: ConversationId, content: &[u8]) {
        let send = Send {
            nonce: self.nonce(),
            after: None,
            conversation,
            peer: None,
            header: Header::text(),
            content: content.to_vec().into(),
        };
        let origin = Origin {
            stream: 0,
            request: 2,
        };
        let frame = ClientFrame::Send(send);
        self.node.handle_request(key, origin, frame, self.now);
        self.pump();
    }

    fn pump(&mut self) {
        let mut again = true;
        while std::mem::take(&mut again) {
            while let Some((ticket, op)) = self.node.poll_store() {
                again = true;
                let result = self.database.carry_out(op);
                self.node.handle_stored(ticket, result, self.now);
            }
            while let Some(published) = self.node.poll_publish() {
                again = true;
                self.node.handle_published(published, self.now);
            }
            while let Some(transmit) = self.node.poll_transmit() {
                self.frames += 1;
                self.bytes += transmit.frame.len() as u64;
                let outbound = &self.outbounds[transmit.session as usize - 1];
                outbound.sent(1, transmit.frame.len());
            }
        }
    }
}

fn user(place: u64) -> UserId {
    UserId::new(&format!("player-{place:08}")).unwrap()
}

/// Processor time of this thread, where the system tells: the machine may be busy with other things.
struct Stopwatch(Instant, Option<u64>);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now(), on_processor())
    }

    fn elapsed(&self) -> Duration {
        match (self.1, on_processor()) {
            (Some(then), Some(now)) => Duration::from_nanos(now - then),
            _ => self.0.elapsed(),
        }
    }
}

fn on_processor() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// Resident memory in bytes, where the system tells.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(0);
    pages * 4096
}

fn group(members: u64, messages: u64) {
    let mut bench = Bench::new();
    let id = ConversationId([1; 16]);
    let users: Vec<UserId> = (1..=members).map(user).collect();
    bench.conversation(id, &users);
    for (place, user) in users.into_iter().enumerate() {
        bench.enter(place as u64 + 1, user);
    }
    let content = encode(&TextContent::plain("gg, that was a good fight"));
    bench.send(1, id, &content);
    let frames = bench.frames;
    let start = Stopwatch::start();
    for place in 0..messages {
        bench.send(place % members + 1, id, &content);
    }
    let spent = start.elapsed();
    let frames = bench.frames - frames;
    assert_eq!(
        frames,
        messages * (members + 1),
        "each gets each, the sender an ack"
    );
    println!(
        "group of {members}: {:.0} ns a delivery, {:.0} messages/s",
        spent.as_nanos() as f64 / frames as f64,
        messages as f64 / spent.as_secs_f64()
    );
}

fn direct(messages: u64) {
    let mut bench = Bench::new();
    for place in 1..=1_000 {
        let users = [user(place * 2 - 1), user(place * 2)];
        let id = ConversationId::direct(&users[0], &users[1]);
        bench.conversation(id, &users);
    }
    for key in 1..=2_000 {
        bench.enter(key, user(key));
    }
    let content = encode(&TextContent::plain("gg"));
    let start = Stopwatch::start();
    for place in 0..messages {
        let key = place % 2_000 + 1;
        let peer = if key % 2 == 0 { key - 1 } else { key + 1 };
        let id = ConversationId::direct(&user(key), &user(peer));
        bench.send(key, id, &content);
    }
    let spent = start.elapsed();
    println!(
        "direct: {:.0} ns a message with its two deliveries and ack (and the store of plain data)",
        spent.as_nanos() as f64 / messages as f64
    );
}

fn idle(sessions: u64, conversations: u64) {
    let mut bench = Bench::new();
    let users: Vec<UserId> = (1..=sessions).map(user).collect();
    for place in 0..sessions * conversations / 10 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&place.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        id[8..].copy_from_slice(&place.to_be_bytes());
        let first = place * 10;
        let members: Vec<UserId> = (0..10)
            .map(|it| users[((first + it * 7919) % sessions) as usize].clone())
            .collect();
        bench.conversation(ConversationId(id), &members);
    }
    // The store finds a user's conversations by looking at all: log in beside it.
    let mut of: Vec<Vec<ConversationId>> = vec![Vec::new(); sessions as usize];
    for place in 0..sessions * conversations / 10 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&place.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        id[8..].copy_from_slice(&place.to_be_bytes());
        let first = place * 10;
        for it in 0..10 {
            of[((first + it * 7919) % sessions) as usize].push(ConversationId(id));
        }
    }
    let before = resident();
    let start = Stopwatch::start();
    for (place, user) in users.iter().enumerate() {
        let key = place as u64 + 1;
        let outbound = Arc::new(Outbound::default());
        let login = Login {
            user: user.clone(),
            device: DeviceId([1; 16]),
            name: "Somebody".into(),
            roles: Vec::new(),
            platform: "windows".into(),
            agent: "bench/1".into(),
            issued_at: bench.now.wall_ms,
            token_expires: bench.now.wall_ms + 3_600_000,
            request: 1,
            version: 1,
            resume_secret: bytes::Bytes::from_static(&[7; 32]),
            user_cursor: 0,
            heads_since: 0,
            open: Vec::new(),
            no_sync: true,
            early: false,
        };
        bench.node.handle_connected(key, outbound, login, bench.now);
        let mut ops: VecDeque<_> = std::iter::from_fn(|| bench.node.poll_store()).collect();
        while let Some((ticket, op)) = ops.pop_front() {
            use fireside_server_core::storage::{LoadedUser, Reply};
            let reply = match op {
                Op::LoadUser(_) => Reply::User(Box::new(LoadedUser {
                    conversations: of[place].clone(),
                    ..LoadedUser::default()
                })),
                _ => Reply::Done,
            };
            bench.node.handle_stored(ticket, Ok(reply), bench.now);
        }
        while bench.node.poll_transmit().is_some() {}
    }
    let spent = start.elapsed();
    println!(
        "idle: {} bytes a session in {conversations} conversations, {:.1} us a log-in",
        (resident().saturating_sub(before)) / sessions,
        spent.as_micros() as f64 / sessions as f64
    );
}

fn main() {
    idle(10_000, 20);
    idle(10_000, 3);
    group(10, 20_000);
    group(100, 5_000);
    group(1_000, 1_000);
    direct(100_000);
}
