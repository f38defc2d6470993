//! A server, whoever is needed, and its database before and after each refusal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use fireside_protocol::{
    ClientFrame, Code, Content, ConversationId, ConversationKind, Header, JoinPolicy, Lane, Nonce,
    ServerFrame, UserId,
    frames::{Ack, CreateGroup, Join, Refused, Send},
};
use fireside_server::{Claims, TokenKeys};
use tokio::task::JoinSet;

use super::ledger::{Dump, Ledger};
use crate::{
    chance::Chance,
    process::{Server, ServerPlan},
    wire::{Dialer, Target, Wire, device, nonce},
};

/// Nothing waits for a rate but where rates are tried.
pub(in crate::proofs) const UNHURRIED: &str = "rate_direct_per_s = 0\nrate_group_per_s = 0\nrate_conversation_per_s = 0\nrate_requests_per_s = 0\n";
/// Requests of one user under way at a time: below what a session may have.
const AT_ONCE: usize = 64;
/// Whatever is awaited takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was tried.
#[derive(Debug, Default)]
pub(in crate::proofs) struct Tally {
    /// Requests that were taken at a limit or below.
    pub(in crate::proofs) taken: u64,
    /// Refusals before and after which the database was compared.
    pub(in crate::proofs) compared: u64,
    /// All codes that a server refused with.
    pub(in crate::proofs) codes: BTreeSet<Code>,
    /// The limits and settings that were tried.
    pub(in crate::proofs) tried: BTreeSet<String>,
}

/// One server and its players.
pub(in crate::proofs) struct Stage {
    _folder: tempfile::TempDir,
    plan: ServerPlan,
    server: Option<Server>,
    pub(in crate::proofs) dialer: Dialer,
    pub(in crate::proofs) keys: TokenKeys,
    pub(in crate::proofs) chance: Chance,
    wires: BTreeMap<String, Arc<Wire>>,
    pub(in crate::proofs) ledger: Ledger,
    /// The database after the last refusal, if nobody did anything since.
    still: Option<Arc<Dump>>,
    pub(in crate::proofs) tally: Tally,
}

impl Stage {
    /// A server with these lines in its `[limits]`, and more sections behind them.
    pub(in crate::proofs) fn set(settings: &str, chance: Chance) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut plan = ServerPlan::new(folder.path());
        plan.settings = format!("[limits]\n{settings}");
        let server = plan.start()?;
        let target = Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        };
        Ok(Self {
            dialer: Dialer::new(target)?,
            keys: TokenKeys::load(&plan.data.join("token-keys.toml"))?,
            ledger: Ledger::open(&plan.data)?,
            _folder: folder,
            plan,
            server: Some(server),
            chance,
            wires: BTreeMap::new(),
            still: None,
            tally: Tally::default(),
        })
    }

    /// Stops the server, writes into its file, and starts it again: what would take ten thousand players is there at once.
    pub(in crate::proofs) fn prefill(&mut self, sql: &str) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.terminate(PATIENCE)?;
        }
        let file = rusqlite::Connection::open(self.plan.data.join("fireside.sqlite"))?;
        file.execute_batch(&format!("BEGIN; {sql}; COMMIT"))?;
        drop(file);
        self.server = Some(self.plan.start()?);
        self.wires.clear();
        self.still = None;
        Ok(())
    }

    /// Fails if the server has ended by itself.
    pub(in crate::proofs) fn check(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), Server::check)
    }

    /// Resident memory of the server in bytes.
    pub(in crate::proofs) fn server_memory_bytes(&self) -> Result<u64> {
        let server = self.server.as_ref().context("the server runs")?;
        server.memory_bytes()
    }

    /// Where the server is.
    pub(in crate::proofs) fn target(&self) -> Result<Target> {
        let server = self.server.as_ref().context("the server runs")?;
        Ok(Target {
            address: server.address(),
            fingerprint: server.fingerprint(),
        })
    }

    /// What the server said last.
    pub(in crate::proofs) fn log_tail(&self) -> String {
        self.plan.log_tail()
    }

    pub(in crate::proofs) fn tried(&mut self, name: &str) {
        self.tally.tried.insert(name.to_owned());
    }

    pub(in crate::proofs) fn nonce(&mut self) -> Nonce {
        nonce(&mut self.chance)
    }

    /// A token that holds for an hour.
    pub(in crate::proofs) fn claims(user: &str) -> Result<Claims> {
        let now = seconds()?;
        Ok(Claims {
            sub: user.to_owned(),
            iat: now,
            exp: now + 3_600,
            ..Claims::default()
        })
    }

    /// A user's session, made at their first appearance; their log-in is in the database by then.
    pub(in crate::proofs) async fn wire(&mut self, user: &str) -> Result<Arc<Wire>> {
        if let Some(wire) = self.wires.get(user) {
            return Ok(Arc::clone(wire));
        }
        let token = self.keys.sign(None, &Self::claims(user)?)?;
        let device = device(&mut self.chance);
        let (wire, _) = Wire::log_in(&self.dialer, &token, device).await?;
        let wire = Arc::new(wire);
        self.wires.insert(user.to_owned(), Arc::clone(&wire));
        self.still = None;
        let id: String = device.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let noted = format!("SELECT count(*) FROM devices WHERE device = x'{id}'");
        let begun = Instant::now();
        while self.ledger.number(&noted)? == 0 {
            ensure!(begun.elapsed() < PATIENCE, "{user}'s log-in is not noted");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(wire)
    }

    /// Ends a user's session.
    pub(in crate::proofs) fn forget(&mut self, user: &str) {
        if let Some(wire) = self.wires.remove(user) {
            wire.close();
        }
    }

    /// Asks on the stream that the request belongs on.
    pub(in crate::proofs) async fn ask(
        &mut self,
        user: &str,
        frame: impl Into<ClientFrame>,
    ) -> Result<ServerFrame> {
        let frame = frame.into();
        let wire = self.wire(user).await?;
        let answer = ask(&wire, frame).await?;
        self.note(&answer);
        Ok(answer)
    }

    fn note(&mut self, answer: &ServerFrame) {
        if let ServerFrame::Refused(refused) = answer {
            self.tally.codes.insert(refused.code());
        }
        self.still = None;
    }

    /// What must be taken: whatever answers it but a refusal.
    pub(in crate::proofs) async fn taken(
        &mut self,
        user: &str,
        frame: impl Into<ClientFrame>,
    ) -> Result<ServerFrame> {
        let frame = frame.into();
        let what = short(&frame);
        match self.ask(user, frame).await? {
            ServerFrame::Refused(refused) => bail!("{user}: {what}: refused: {}", refused.code()),
            answer => {
                self.tally.taken += 1;
                Ok(answer)
            }
        }
    }

    /// A command that must be taken: its ack.
    pub(in crate::proofs) async fn acked(
        &mut self,
        user: &str,
        frame: impl Into<ClientFrame>,
    ) -> Result<Ack> {
        match self.taken(user, frame).await? {
            ServerFrame::Ack(ack) => Ok(ack),
            other => bail!("a command answered with {other:?}"),
        }
    }

    /// What must be refused with this code, and change nothing.
    pub(in crate::proofs) async fn refused(
        &mut self,
        user: &str,
        frame: impl Into<ClientFrame>,
        code: Code,
    ) -> Result<Refused> {
        let frame = frame.into();
        let (what, nonce) = (short(&frame), frame.nonce());
        let wire = self.wire(user).await?;
        let before = self.ledger.dump()?;
        if let Some(still) = &self.still {
            ensure!(*still == before, "{what}: an earlier refusal had effects");
        }
        let answer = ask(&wire, frame).await?;
        self.note(&answer);
        let refused = match answer {
            ServerFrame::Refused(refused) => refused,
            other => bail!(
                "{user}: {what}: answered with {other:?}, not {}",
                code.key()
            ),
        };
        let got = refused.code();
        ensure!(
            got == code,
            "{user}: {what}: refused with {}, not {}",
            got.key(),
            code.key()
        );
        let after = self.ledger.dump()?;
        let fine = before.refused(&after, nonce, code);
        fine.with_context(|| format!("{user}: {what}: {}", code.key()))?;
        self.still = Some(after);
        self.tally.compared += 1;
        Ok(refused)
    }

    /// Many requests of a user, some at a time; the answers in their order.
    pub(in crate::proofs) async fn many(
        &mut self,
        user: &str,
        frames: Vec<ClientFrame>,
    ) -> Result<Vec<ServerFrame>> {
        let wire = self.wire(user).await?;
        let (mut tasks, mut answers) = (JoinSet::new(), BTreeMap::new());
        for (place, frame) in frames.into_iter().enumerate() {
            if tasks.len() >= AT_ONCE
                && let Some(done) = tasks.join_next().await
            {
                let (place, answer): (usize, Result<ServerFrame>) = done?;
                answers.insert(place, answer?);
            }
            let wire = Arc::clone(&wire);
            tasks.spawn(async move { (place, ask(&wire, frame).await) });
        }
        while let Some(done) = tasks.join_next().await {
            let (place, answer) = done?;
            answers.insert(place, answer?);
        }
        for answer in answers.values() {
            self.note(answer);
        }
        Ok(answers.into_values().collect())
    }

    /// Many commands of a user that must all be taken. Those that change the same thing get into each other's way: they are tried again, as a
    /// client does.
    pub(in crate::proofs) async fn all_taken(
        &mut self,
        user: &str,
        mut frames: Vec<ClientFrame>,
    ) -> Result<()> {
        let what = frames.first().map_or_else(String::new, short);
        // However slow the machine is: some of them are taken, again and again.
        let mut begun = Instant::now();
        while !frames.is_empty() {
            let left = frames.len();
            let answers = self.many(user, frames.clone()).await?;
            let mut again = Vec::new();
            for (frame, answer) in frames.into_iter().zip(answers) {
                match answer {
                    ServerFrame::Refused(refused) if refused.code().retryable() => {
                        again.push(frame);
                    }
                    ServerFrame::Refused(refused) => {
                        bail!("{user}: {what} and more: {}", refused.code());
                    }
                    _ => self.tally.taken += 1,
                }
            }
            if again.len() < left {
                begun = Instant::now();
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{user}: {what} and more: no end"
            );
            frames = again;
        }
        Ok(())
    }

    /// A new conversation of `owner`, in which the others are members.
    pub(in crate::proofs) async fn made(
        &mut self,
        owner: &str,
        others: &[&str],
        kind: Option<ConversationKind>,
    ) -> Result<ConversationId> {
        let name = self.nonce();
        let create = CreateGroup {
            invite: others
                .iter()
                .map(|user| UserId::new(user))
                .collect::<Result<_, _>>()?,
            history_for_joiners: u64::MAX,
            kind,
            join: (kind == Some(ConversationKind::Public)).then_some(JoinPolicy::Open),
            ..create(name)
        };
        self.acked(owner, create).await?;
        let conversation = ConversationId::made(&UserId::new(owner)?, name);
        for user in others {
            self.joins(user, conversation).await?;
        }
        Ok(conversation)
    }

    /// A group of `owner` and the others.
    pub(in crate::proofs) async fn group(
        &mut self,
        owner: &str,
        others: &[&str],
    ) -> Result<ConversationId> {
        self.made(owner, others, None).await
    }

    pub(in crate::proofs) async fn joins(
        &mut self,
        user: &str,
        conversation: ConversationId,
    ) -> Result<Ack> {
        let nonce = self.nonce();
        let join = join(nonce, conversation);
        self.acked(user, join).await
    }

    /// Something said; its number.
    pub(in crate::proofs) async fn says(
        &mut self,
        user: &str,
        conversation: ConversationId,
        content: &Content,
    ) -> Result<u64> {
        let nonce = self.nonce();
        let ack = self.acked(user, send(nonce, conversation, content)).await?;
        ensure!(ack.sequence > 0, "a message got no number");
        Ok(ack.sequence)
    }
}

/// Seconds since 1970.
pub(in crate::proofs) fn seconds() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// A new group of nobody but its owner, with this command's name.
pub(in crate::proofs) fn create(nonce: Nonce) -> CreateGroup {
    CreateGroup {
        nonce,
        name: "the raid".to_owned(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: 0,
        parent: None,
        by_default: false,
    }
}

pub(in crate::proofs) const fn join(nonce: Nonce, conversation: ConversationId) -> Join {
    Join {
        nonce,
        conversation,
        link: None,
    }
}

/// A message of any kind.
pub(in crate::proofs) fn send(
    nonce: Nonce,
    conversation: ConversationId,
    content: &Content,
) -> Send {
    let mut header = Header::text();
    header.kind = content.kind();
    Send {
        nonce,
        after: None,
        conversation,
        peer: None,
        header,
        content: content.encode(),
    }
}

async fn ask(wire: &Wire, frame: ClientFrame) -> Result<ServerFrame> {
    match frame.lane() {
        Lane::Page => wire.ask_page(frame).await,
        _ => wire.ask(frame).await,
    }
}

/// A request in the words of an error: its name and its first letters.
fn short(frame: &ClientFrame) -> String {
    const SHOWN: usize = 160;
    let text = format!("{frame:?}");
    text.chars().take(SHOWN).collect()
}
