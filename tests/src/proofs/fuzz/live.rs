//! Hostile connections against a real server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, FrameBuffer, ServerFrame, UserId,
    frames::{Ack, CreateGroup, Invite, Join, Ping, Refused},
    limits::{FRAME_BYTES_MAX, INVITES_PER_REQUEST_MAX, SESSION_BYTES_MAX},
};
use fireside_server::{Claims, TokenKeys};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::task::JoinSet;

use super::{
    corpus::{self, Item, Side},
    mutate::{Input, Mutation, frame},
};
use crate::{
    chance::Chance,
    process::{Server, ServerPlan},
    proofs::Scale,
    wire::{
        Dialer, Outcome, Target, Wire, device, hello, next_frame, nonce, text_in, text_of, text_to,
    },
};

/// Hostile connections of the full proof and of its slice.
const HOSTILE: (u64, u64) = (1_000, 100);
/// Frames that one of them sends if it lives so long.
const HOSTILE_FRAMES: u64 = 60;
/// A message of the witnesses may take this long while all of that goes on.
const WITNESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that never read, in the full proof and its slice; in groups of 100.
const SILENT: (usize, usize) = (1_000, 200);
const SILENT_PER_GROUP: usize = 100;
/// What they let the server send before they stop it, in bytes.
const SILENT_WINDOW_BYTES: u32 = 4 * 1024;
/// Rounds of messages and pings; from the third on memory must stay where it is.
const ROUNDS: usize = 6;
/// Messages per group and round, from as many senders at once: three rounds are more than a session's queue takes.
const ROUND_MESSAGES: u64 = 250;
const ROUND_SENDERS: u64 = 5;
/// Pings per silent connection and round, at most; the server stops reading long before.
const ROUND_PINGS: u64 = 50_000;
const PINGS_PER_WRITE: u64 = 500;
/// Growth of the server's memory from the third round to the last, in MiB: noise of an allocator.
const GROWTH_MIB_MAX: u64 = 24;

/// Both proofs.
pub(super) fn run(scale: Scale) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    plan.settings =
        "[limits]\nrate_group_per_s = 100000\nrate_conversation_per_s = 100000\n".to_owned();
    let mut server = plan.start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        garbage(scale, &plan, &server)
            .await
            .with_context(|| plan.log_tail())?;
        server.check()?;
        silence(scale, &plan, &server)
            .await
            .with_context(|| plan.log_tail())
    })?;
    server.check()
}

pub(super) fn target(server: &Server) -> Target {
    Target {
        address: server.address(),
        fingerprint: server.fingerprint(),
    }
}

/// Signs tokens as the game's backend does.
pub(super) struct Tokens(TokenKeys);

impl Tokens {
    pub(super) fn of(plan: &ServerPlan) -> Result<Self> {
        Ok(Self(TokenKeys::load(&plan.data.join("token-keys.toml"))?))
    }

    pub(super) fn sign(&self, user: &str) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = Claims {
            sub: user.to_owned(),
            iat: now,
            exp: now + 3_600,
            ..Claims::default()
        };
        Ok(self.0.sign(None, &claims)?)
    }
}

/// Connections of garbage die alone, while two others chat.
async fn garbage(scale: Scale, plan: &ServerPlan, server: &Server) -> Result<()> {
    let mut chance = Chance::new(scale.seed);
    let dialer = Dialer::new(target(server))?;
    let tokens = Tokens::of(plan)?;
    let (carl, _) = Wire::log_in(&dialer, &tokens.sign("carl")?, device(&mut chance)).await?;
    let (dora, _) = Wire::log_in(&dialer, &tokens.sign("dora")?, device(&mut chance)).await?;
    // The users and the conversation of the vectors exist, so that mutated requests reach something.
    let (anna, _) = Wire::log_in(&dialer, &tokens.sign("anna")?, device(&mut chance)).await?;
    let bob = UserId::new("bob")?;
    for text in ["one", "two", "three", "four", "five", "six"] {
        persist(&anna, text_to(anna.user(), &bob, text, nonce(&mut chance))).await?;
    }
    anna.close();
    let done = Arc::new(AtomicBool::new(false));
    let slowest_us = Arc::new(AtomicU64::new(0));
    let chat = tokio::spawn(chat(
        carl,
        dora,
        done.clone(),
        slowest_us.clone(),
        chance.fork(),
    ));
    let vectors: Vec<Item> = corpus::load()?;
    let token = tokens.sign("anna")?;
    let start = Instant::now();
    let total = scale.pick(HOSTILE.1, HOSTILE.0);
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    let mut sent = 0;
    for _ in 0..total {
        let mut hostile = Hostile {
            chance: chance.fork(),
            vectors: &vectors,
            input: Input::default(),
            sent: 0,
        };
        let end = hostile.attack(&dialer, &token).await?;
        sent += hostile.sent;
        *ends.entry(end).or_default() += 1;
    }
    done.store(true, Ordering::Relaxed);
    let messages = chat.await??;
    println!(
        "fuzz: {total} hostile connections sent {sent} frames in {:.1} s and ended as {ends:?}; meanwhile {messages} messages arrived, the slowest after {} ms",
        start.elapsed().as_secs_f64(),
        slowest_us.load(Ordering::Relaxed) / 1_000,
    );
    for end in ends.keys() {
        let number = end.strip_prefix("code ").map(str::parse);
        ensure!(
            number.is_none_or(|number| number
                .is_ok_and(|number| !matches!(Code::from_number(number), Code::Unknown(_)))),
            "a connection ended with {end}, which no page names"
        );
    }
    for code in ["100", "101", "102"] {
        ensure!(
            ends.contains_key(&format!("code {code}")),
            "no connection ended with code {code}"
        );
    }
    Ok(())
}

/// One user writes, the other waits for each message; the number of messages.
async fn chat(
    carl: Wire,
    dora: Wire,
    done: Arc<AtomicBool>,
    slowest_us: Arc<AtomicU64>,
    mut chance: Chance,
) -> Result<u64> {
    let mut messages = 0;
    while !done.load(Ordering::Relaxed) || messages == 0 {
        let text = format!("message {messages}");
        let start = Instant::now();
        persist(
            &carl,
            text_to(carl.user(), dora.user(), &text, nonce(&mut chance)),
        )
        .await?;
        loop {
            let event = tokio::time::timeout(WITNESS_TIMEOUT, dora.next_event()).await;
            match event.context("a message did not arrive in time")? {
                Some(ServerFrame::Entry(entry)) if text_of(&entry).as_deref() == Some(&text) => {
                    break;
                }
                Some(_) => {}
                None => bail!("the witness lost its connection"),
            }
        }
        slowest_us.fetch_max(start.elapsed().as_micros() as u64, Ordering::Relaxed);
        messages += 1;
        // Below the rate of a user: this is a chat, not a load.
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    Ok(messages)
}

struct Hostile<'a> {
    chance: Chance,
    vectors: &'a [Item],
    input: Input,
    sent: u64,
}

impl Hostile<'_> {
    /// One connection from its handshake to its end; how it ended.
    async fn attack(&mut self, dialer: &Dialer, token: &str) -> Result<String> {
        let connection = dialer.connect().await?;
        // What fails to be sent, fails because the server has ended the connection: that is looked at below.
        let _ = self.talk(&connection, token).await;
        let end = match connection.close_reason() {
            Some(reason) => reason,
            None => {
                match tokio::time::timeout(Duration::from_millis(20), connection.closed()).await {
                    Ok(reason) => reason,
                    Err(_) => {
                        // All its frames made sense: it may live.
                        connection.close(0_u32.into(), b"");
                        return Ok("alive".to_owned());
                    }
                }
            }
        };
        match end {
            ConnectionError::ApplicationClosed(close) => Ok(format!("code {}", close.error_code)),
            other => bail!("a hostile connection ended without a code: {other}"),
        }
    }

    async fn talk(&mut self, connection: &Connection, token: &str) -> Result<()> {
        let (mut send, mut receive) = connection.open_bi().await?;
        let reader = tokio::spawn(async move {
            while let Ok(Some(_)) = receive.read_chunk(65_536, true).await {}
        });
        let way = self.chance.below(9);
        if way == 8 {
            // Ends inside its first frame.
            let frame = ClientFrame::from(hello(token, device(&mut self.chance))).encode(1);
            let cut = self.chance.between(1, frame.len() as u64 - 1) as usize;
            send.write_all(&[1]).await?;
            send.write_all(&frame[..cut]).await?;
            send.finish()?;
        } else if way == 0 {
            // Not this protocol at all.
            let noise: Vec<u8> = (0..self.chance.between(1, 2_000))
                .map(|_| self.chance.next() as u8)
                .collect();
            send.write_all(&noise).await?;
            send.finish()?;
        } else {
            send.write_all(&[1]).await?;
            if way > 1 {
                let device = device(&mut self.chance);
                send.write_all(&ClientFrame::from(hello(token, device)).encode(1))
                    .await?;
            }
            for _ in 0..HOSTILE_FRAMES {
                self.mutated();
                match way {
                    2 => connection.send_datagram(self.input.bytes.clone().into())?,
                    3 => {
                        let (mut page, _answer) = connection.open_bi().await?;
                        page.write_all(&[if self.chance.below(4) == 0 {
                            self.chance.next() as u8
                        } else {
                            2
                        }])
                        .await?;
                        page.write_all(&self.input.bytes).await?;
                        page.finish()?;
                    }
                    4 => {
                        // In pieces, so that the server meets every cut.
                        for piece in self.input.bytes.chunks(self.chance.between(1, 9) as usize) {
                            send.write_all(piece).await?;
                            tokio::task::yield_now().await;
                        }
                    }
                    _ => send.write_all(&self.input.bytes).await?,
                }
                self.sent += 1;
                tokio::task::yield_now().await;
            }
        }
        // Let it read what was sent.
        let _ = tokio::time::timeout(Duration::from_millis(300), connection.closed()).await;
        reader.abort();
        Ok(())
    }

    /// A mutated client frame, or once in a while a good one.
    fn mutated(&mut self) {
        let mut draw = || self.chance.pick(self.vectors);
        let Some((item, other)) = draw().zip(draw()) else {
            return;
        };
        if item.side == Side::Client && self.chance.below(3) == 0 {
            self.input.bytes = frame(item.kind, 9, &item.body, None);
            return;
        }
        let mutation = self
            .chance
            .pick(Mutation::ALL)
            .copied()
            .unwrap_or(Mutation::BitFlips);
        self.input.mutate(mutation, item, other, &mut self.chance);
    }
}

/// A connection that sends and never reads.
struct Silent {
    _connection: Connection,
    send: SendStream,
    _receive: RecvStream,
}

/// Connections that never read what they are sent leave the server's memory where it is.
async fn silence(scale: Scale, plan: &ServerPlan, server: &Server) -> Result<()> {
    let mut chance = Chance::new(scale.seed ^ 1);
    let total = scale.pick(SILENT.1, SILENT.0);
    let loud = Dialer::new(target(server))?;
    let deaf = Dialer::with_window(target(server), SILENT_WINDOW_BYTES)?;
    let tokens = Tokens::of(plan)?;
    let mut groups: Vec<(Arc<Wire>, ConversationId)> = Vec::new();
    let mut silent: Vec<Silent> = Vec::new();
    let start = Instant::now();
    for group in 0..total / SILENT_PER_GROUP {
        let (owner, _) = Wire::log_in(
            &loud,
            &tokens.sign(&format!("owner-{group}"))?,
            device(&mut chance),
        )
        .await?;
        let names: Vec<String> = (0..SILENT_PER_GROUP)
            .map(|member| format!("silent-{group}-{member}"))
            .collect();
        let create = CreateGroup {
            nonce: nonce(&mut chance),
            name: format!("Group {group}"),
            invite: Vec::new(),
            history_for_joiners: 0,
            kind: None,
            join: None,
            ends: 0,
            parent: None,
            by_default: false,
        };
        let made = persist(&owner, create).await?;
        let conversation = made.conversation.context("an ack without the group")?;
        let users = names
            .iter()
            .map(|name| UserId::new(name))
            .collect::<Result<Vec<_>, _>>()?;
        for users in users.chunks(INVITES_PER_REQUEST_MAX) {
            let invite = Invite {
                nonce: nonce(&mut chance),
                conversation,
                users: users.to_vec(),
            };
            persist(&owner, invite).await?;
        }
        for name in &names {
            let join = Join {
                nonce: nonce(&mut chance),
                conversation,
                link: None,
            };
            silent.push(Silent::join(&deaf, &tokens.sign(name)?, join, &mut chance).await?);
        }
        groups.push((Arc::new(owner), conversation));
    }
    let mib = |bytes: u64| bytes / 1_048_576;
    let before = server.memory_bytes()?;
    let mut rounds = Vec::new();
    let (mut messages, mut pings) = (0_u64, 0_u64);
    for _ in 0..ROUNDS {
        for connection in &mut silent {
            pings += flood(&mut connection.send).await;
        }
        let mut senders = JoinSet::new();
        for (owner, conversation) in &groups {
            for _ in 0..ROUND_SENDERS {
                senders.spawn(send_many(owner.clone(), *conversation, chance.fork()));
            }
        }
        while let Some(sent) = senders.join_next().await {
            messages += sent??;
        }
        rounds.push(mib(server.memory_bytes()?));
    }
    println!(
        "fuzz: {total} connections that never read, {messages} messages to {SILENT_PER_GROUP} of them each and {pings} pings in {:.1} s; server memory {} MiB, after each round {rounds:?} MiB",
        start.elapsed().as_secs_f64(),
        mib(before),
    );
    let (third, last) = (
        rounds.get(2).copied().unwrap_or(0),
        rounds.last().copied().unwrap_or(0),
    );
    ensure!(
        last <= third + GROWTH_MIB_MAX,
        "memory grows: {rounds:?} MiB"
    );
    let most = mib(before) + mib(total as u64 * SESSION_BYTES_MAX as u64);
    ensure!(
        last <= most,
        "{last} MiB for {total} connections; at most {most}"
    );
    // The others go on.
    for (owner, conversation) in &groups {
        persist(owner, text_in(*conversation, "the end", nonce(&mut chance))).await?;
    }
    Ok(())
}

impl Silent {
    /// Logs in and joins like everybody, and reads nothing from then on.
    async fn join(dialer: &Dialer, token: &str, join: Join, chance: &mut Chance) -> Result<Self> {
        let connection = dialer.connect().await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
        let mut first = vec![1];
        first.extend(ClientFrame::from(hello(token, device(chance))).encode(1));
        send.write_all(&first).await?;
        let join = ClientFrame::from(join).encode(2);
        loop {
            let frame =
                tokio::time::timeout(WITNESS_TIMEOUT, next_frame(&mut receive, &mut frames));
            match frame.await.context("no answer to a member in time")?? {
                Some(ServerFrame::Welcome(_)) => send.write_all(&join).await?,
                Some(ServerFrame::Ack(_)) => break,
                Some(ServerFrame::Refused(refused)) => {
                    wait(&refused).await?;
                    send.write_all(&join).await?;
                }
                Some(_) => {}
                None => bail!("a member's session ended"),
            }
        }
        Ok(Self {
            _connection: connection,
            send,
            _receive: receive,
        })
    }
}

/// A sender's share of a round; the number of messages.
async fn send_many(
    owner: Arc<Wire>,
    conversation: ConversationId,
    mut chance: Chance,
) -> Result<u64> {
    let text = "x".repeat(200);
    for _ in 0..ROUND_MESSAGES / ROUND_SENDERS {
        persist(&owner, text_in(conversation, &text, nonce(&mut chance))).await?;
    }
    Ok(ROUND_MESSAGES / ROUND_SENDERS)
}

/// A command, again and again while the server says "not now".
pub(super) async fn persist(wire: &Wire, frame: impl Into<ClientFrame>) -> Result<Ack> {
    let frame = frame.into();
    loop {
        match wire.command(frame.clone()).await? {
            Outcome::Acked(ack) => return Ok(ack),
            Outcome::Refused(refused) => wait(&refused).await?,
        }
    }
}

/// Waits as long as a refusal says; a refusal for good is an error.
async fn wait(refused: &Refused) -> Result<()> {
    ensure!(refused.code().retryable(), "refused: {}", refused.code());
    tokio::time::sleep(Duration::from_millis(
        refused.retry_after_ms.clamp(10, 2_000),
    ))
    .await;
    Ok(())
}

/// Pings until the server reads no more; how many went out.
async fn flood(send: &mut SendStream) -> u64 {
    let ping = ClientFrame::from(Ping { counter: 1 }).encode(7);
    let batch = ping.repeat(PINGS_PER_WRITE as usize);
    for count in 0..ROUND_PINGS / PINGS_PER_WRITE {
        let written = tokio::time::timeout(Duration::from_millis(5), send.write_all(&batch)).await;
        if !matches!(written, Ok(Ok(()))) {
            return count * PINGS_PER_WRITE;
        }
    }
    ROUND_PINGS
}
