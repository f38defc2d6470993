//! The way of a request: who asks, is there room, what is known of the conversation, what is decided, what the store says.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, Nonce, Now, ServerFrame, UserId,
    frames::{Delivered, Refused},
    limits::{OPEN_CONVERSATIONS_MAX, REQUESTS_IN_FLIGHT_MAX},
};

use crate::{
    conversation::ConversationKey,
    decide::{Case, Decision, Plan},
    node::{Node, Origin, SessionKey, refused},
    storage::{
        Append, Command, Effect, Item, NewConversation, Op, Reply, SetBlock, StoreError, Ticket,
    },
};

/// A command on its way to a decision and an outcome.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) session: SessionKey,
    pub(crate) origin: Origin,
    pub(crate) user: UserId,
    pub(crate) task: Task,
    /// Decisions so far that were overtaken.
    pub(crate) tries: u8,
    /// The rate limits were charged.
    pub(crate) paid: bool,
    /// The answer is out (a built-in fault).
    pub(crate) acked: bool,
    /// What was read for the decision.
    pub(crate) item: Option<Option<Item>>,
    /// Who of those named blocks or is blocked by the user.
    pub(crate) hidden: Option<Vec<UserId>>,
    /// Reads of blocks still to come.
    pub(crate) asked: usize,
}

/// What a job is for.
#[derive(Debug)]
pub(crate) enum Task {
    /// A request.
    Frame(ClientFrame),
    /// Present receipts for a session that opened the conversation.
    Receipts,
}

impl Job {
    fn new(session: SessionKey, origin: Origin, user: UserId, task: Task) -> Box<Self> {
        Box::new(Self {
            session,
            origin,
            user,
            task,
            tries: 0,
            paid: false,
            acked: false,
            item: None,
            hidden: None,
            asked: 0,
        })
    }

    /// Nobody waits for an answer.
    const fn is_silent(&self) -> bool {
        matches!(
            self.task,
            Task::Receipts | Task::Frame(ClientFrame::Delivered(_))
        )
    }

    pub(crate) fn nonce(&self) -> Option<Nonce> {
        match &self.task {
            Task::Frame(frame) => frame.nonce(),
            Task::Receipts => None,
        }
    }

    /// The command before it in the outbox, and the one it changes.
    fn leans_on(&self) -> [Option<Nonce>; 2] {
        match &self.task {
            Task::Frame(ClientFrame::Send(frame)) => [frame.after, None],
            Task::Frame(ClientFrame::Edit(frame)) => [frame.after, frame.target_nonce],
            Task::Frame(ClientFrame::Recall(frame)) => [frame.after, frame.target_nonce],
            _ => [None, None],
        }
    }

    fn is_send(&self) -> bool {
        matches!(
            self.task,
            Task::Frame(ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Recall(_))
        )
    }
}

/// An append under way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) job: Box<Job>,
    pub(crate) conversation: ConversationKey,
    pub(crate) create: Option<NewConversation>,
    /// Entries it adds.
    pub(crate) entries: u64,
    /// The version it was decided on.
    pub(crate) version: Option<u64>,
}

/// What a reply is for.
#[derive(Debug)]
pub(crate) enum Pending {
    Login(SessionKey),
    Device,
    Load {
        conversation: ConversationKey,
        epoch: u32,
        peers: bool,
    },
    Append(Box<Flight>),
    Item(ConversationKey, Box<Job>),
    /// Blocks between the asker and those they name, all read into one job.
    Blocks(ConversationKey, Nonce, UserId),
    Block(ConversationKey, Box<Job>),
    Marks,
    Read(SessionKey, Origin),
    SyncLog(SessionKey),
    SyncHeads(SessionKey),
    JoinHead(ConversationKey, UserId),
    BehindHeads(SessionKey),
    Revoke(Box<Job>),
}

impl Node {
    /// A request comes in.
    pub(crate) fn request(
        &mut self,
        key: SessionKey,
        origin: Origin,
        frame: ClientFrame,
        now: Now,
    ) {
        let nonce = frame.nonce();
        let Some(session) = self.sessions.get(&key) else {
            return;
        };
        if session.entering.is_some() {
            if !self.wait_for_welcome(key, origin, frame) {
                self.refuse(key, origin, Code::TooManyRequests, BUSY_RETRY_MS, nonce);
            }
            return;
        }
        let is_read = matches!(
            frame,
            ClientFrame::PageRequest(_)
                | ClientFrame::HeadsRequest(_)
                | ClientFrame::UserLogRequest(_)
                | ClientFrame::MembersRequest(_)
                | ClientFrame::DevicesRequest(_)
        );
        if session.early && !is_read {
            self.refuse(key, origin, Code::NotInEarlyData, 0, nonce);
            return;
        }
        if usize::from(session.requests) >= REQUESTS_IN_FLIGHT_MAX {
            self.refuse(key, origin, Code::TooManyRequests, BUSY_RETRY_MS, nonce);
            return;
        }
        let user_key = session.user;
        let Some(user) = self.users.get_mut(user_key) else {
            return;
        };
        let id = user.id.clone();
        match &frame {
            ClientFrame::Typing(typing) => return self.typing(key, typing, now),
            ClientFrame::Delivered(delivered) => return self.delivered(key, delivered, now),
            // Messages have limits of their own, once it is known where they go.
            ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Recall(_) => {}
            _ => {
                let rate = self.config.rate_requests_per_s;
                if let Err(wait) = user.requests.take(rate, now.monotonic_ms) {
                    self.counters.rate_limited += 1;
                    self.refuse(key, origin, Code::RateLimited, wait, nonce);
                    return;
                }
            }
        }
        if is_read {
            self.read(key, origin, id, frame, now);
        } else {
            self.command(key, origin, id, frame, now);
        }
    }

    fn command(
        &mut self,
        key: SessionKey,
        origin: Origin,
        user: UserId,
        frame: ClientFrame,
        now: Now,
    ) {
        let conversation = match &frame {
            ClientFrame::Attention(attention) => {
                if attention.open.len() > OPEN_CONVERSATIONS_MAX {
                    self.refuse(key, origin, Code::ArgumentInvalid, 0, None);
                    return;
                }
                self.attend(key, attention.open.iter().copied(), now);
                self.done(key, origin);
                return;
            }
            ClientFrame::Send(frame) => frame.conversation,
            ClientFrame::Edit(frame) => frame.conversation,
            ClientFrame::Recall(frame) => frame.conversation,
            ClientFrame::Read(frame) => frame.conversation,
            ClientFrame::CreateGroup(frame) => ConversationId::made(&user, frame.nonce),
            ClientFrame::Invite(frame) => frame.conversation,
            ClientFrame::Join(frame) => frame.conversation,
            ClientFrame::Leave(frame) => frame.conversation,
            ClientFrame::RemoveMember(frame) => frame.conversation,
            ClientFrame::SetRole(frame) => frame.conversation,
            ClientFrame::Block(frame) => ConversationId::direct(&user, &frame.user),
            ClientFrame::RevokeDevice(_) => ConversationId::default(),
            _ => {
                self.refuse(key, origin, Code::UnknownRequest, 0, frame.nonce());
                return;
            }
        };
        let nonce = frame.nonce();
        if self.draining {
            self.refuse(key, origin, Code::Draining, DRAINING_RETRY_MS, nonce);
            return;
        }
        if self.is_overloaded(now) {
            self.refuse_overloaded(key, origin, nonce);
            return;
        }
        self.begin_request(key);
        let is_revoke = matches!(frame, ClientFrame::RevokeDevice(_));
        let is_block = matches!(frame, ClientFrame::Block(_));
        let job = Job::new(key, origin, user, Task::Frame(frame));
        if is_revoke {
            self.revoke_device(job, now);
        } else if is_block {
            self.set_block(conversation, job, now);
        } else {
            let conversation = self.conversations.open(conversation);
            self.run(conversation, job, now);
            self.conversations.release(conversation);
        }
    }

    /// Shows the present receipts of a conversation to a session that opened it.
    pub(crate) fn show_receipts(
        &mut self,
        key: SessionKey,
        user: UserId,
        conversation: ConversationKey,
        now: Now,
    ) {
        let job = Job::new(key, Origin::default(), user, Task::Receipts);
        self.run(conversation, job, now);
    }

    /// Notes how far a device got, once the conversation is in memory.
    pub(crate) fn note_delivered(
        &mut self,
        key: SessionKey,
        user: UserId,
        conversation: ConversationKey,
        frame: Delivered,
        now: Now,
    ) {
        let task = Task::Frame(ClientFrame::Delivered(frame));
        let job = Job::new(key, Origin::default(), user, task);
        self.run(conversation, job, now);
    }

    /// Takes a job as far as it goes: until it waits for something or is decided.
    pub(crate) fn run(&mut self, conversation: ConversationKey, job: Box<Job>, now: Now) {
        let peers = peers(&job);
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let ready = slot.loaded.as_ref().is_some_and(|loaded| {
            !loaded.dirty && (loaded.row.is_some() || loaded.knows_peers || peers.is_none())
        });
        let work = slot.work();
        if !ready || work.holds > 0 || work.loading {
            if work.waiting.len() >= WAITING_MAX {
                self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
                return;
            }
            work.waiting.push_back(job);
            if work.holds == 0 {
                self.load(conversation, now);
            }
            return;
        }
        // A change of a message that is still on its way waits for it.
        let leans_on = job.leans_on();
        let is_change = job.item.is_none()
            && matches!(
                job.task,
                Task::Frame(ClientFrame::Edit(_) | ClientFrame::Recall(_))
            );
        let parked_on = work
            .parked
            .iter()
            .filter(|(_, other)| other.user == job.user)
            .filter_map(|(_, other)| other.nonce())
            .chain(
                work.undecided
                    .iter()
                    .filter(|(user, _)| *user == job.user)
                    .map(|(_, n)| *n),
            )
            .find(|nonce| leans_on.contains(&Some(*nonce)));
        let flying = work
            .flying
            .iter()
            .filter(|(user, _)| is_change && *user == job.user)
            .map(|(_, nonce)| *nonce)
            .find(|nonce| leans_on.contains(&Some(*nonce)));
        if let Some(nonce) = parked_on.or(flying) {
            if work.parked.len() >= WAITING_MAX {
                self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
            } else {
                work.parked.push((nonce, job));
            }
            return;
        }
        self.decide(conversation, job, now);
    }

    /// Decides a job on what is in memory.
    fn decide(&mut self, conversation: ConversationKey, mut job: Box<Job>, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        loaded.used = true;
        let frame = match &job.task {
            Task::Receipts => return self.receipts_to(conversation, &job),
            Task::Frame(ClientFrame::Read(frame)) => {
                let upto = frame.upto;
                return self.mark_read(conversation, job, upto, now);
            }
            Task::Frame(ClientFrame::Delivered(frame)) => {
                let (user, upto) = (&job.user, frame.upto);
                return self.mark_delivered(conversation, user, upto, now);
            }
            Task::Frame(frame) => frame,
        };
        let case = Case {
            config: &self.config,
            id: slot.id,
            state: loaded,
            me: &job.user,
            now,
            item: job.item.as_ref(),
            hidden: job.hidden.as_deref(),
        };
        match case.decide(frame) {
            Decision::Append(plan) => {
                if let Err(refusal) = self.charge(conversation, &mut job, now) {
                    self.finish(&job, ServerFrame::Refused(refusal));
                    return;
                }
                self.append(conversation, job, plan, now);
            }
            Decision::Refuse(code) => self.refuse_for_good(conversation, job, code, now),
            Decision::Item(target) => {
                let id = slot.id;
                let work = slot.work();
                work.pins += 1;
                if let Some(nonce) = job.nonce() {
                    work.undecided.push((job.user.clone(), nonce));
                }
                let op = Op::LoadItem {
                    conversation: id,
                    target,
                };
                self.submit(op, Pending::Item(conversation, job), now);
            }
            Decision::Blocks(users) => self.ask_blocks(conversation, job, users, now),
        }
    }

    /// Charges the rate limits of a message.
    fn charge(
        &mut self,
        conversation: ConversationKey,
        job: &mut Job,
        now: Now,
    ) -> Result<(), Refused> {
        if !job.is_send() || job.paid {
            return Ok(());
        }
        let shedding = self.is_shedding(now);
        let slot = self.conversations.get_mut(conversation);
        let Some(loaded) = slot.and_then(|slot| slot.loaded.as_mut()) else {
            return Ok(());
        };
        let group = loaded.is_group();
        if group && shedding {
            self.counters.overloaded += 1;
            return Err(refused(Code::Overloaded, OVERLOAD_RETRY_MS));
        }
        let at = now.monotonic_ms;
        let config = &self.config;
        let taken = match self.users.by_id_mut(&job.user) {
            Some(user) if group => user.group.take(config.rate_group_per_s, at),
            Some(user) => user.direct.take(config.rate_direct_per_s, at),
            None => Ok(()),
        };
        let taken = taken.and_then(|()| {
            let taken = loaded.rate.take(config.rate_conversation_per_s, at);
            if taken.is_err()
                && let Some(user) = self.users.by_id_mut(&job.user)
            {
                // What the conversation refuses is not held against the user.
                let own = if group {
                    &mut user.group
                } else {
                    &mut user.direct
                };
                own.give_back();
            }
            taken
        });
        match taken {
            Ok(()) => {
                job.paid = true;
                Ok(())
            }
            Err(wait) => {
                self.counters.rate_limited += 1;
                Err(refused(Code::RateLimited, wait))
            }
        }
    }

    fn append(&mut self, conversation: ConversationKey, mut job: Box<Job>, plan: Plan, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(command) = command_of(&job, now) else {
            return;
        };
        let id = slot.id;
        let loaded = slot.loaded.as_ref();
        let version = loaded.and_then(|loaded| loaded.version());
        let flying = slot.work.as_ref().map_or(0, |work| work.entries_flying);
        let guess = loaded.map(|loaded| loaded.guess(flying));
        let entries = plan.entries.len() as u64;
        let work = slot.work();
        work.entries_flying += entries;
        work.flying.push((job.user.clone(), command.nonce));
        if self.config.breaks.ack_before_sync
            && job.is_send()
            && let Some((sequence, ordinal, at)) = guess
        {
            let outcome = crate::storage::Outcome::Done {
                conversation: Some(id),
                sequence,
                ordinal,
                at: at.max(now.wall_ms),
            };
            self.finish(&job, crate::appended::answer_of(command.nonce, outcome));
            job.acked = true;
        }
        let append = Append {
            conversation: id,
            expected_version: version,
            create: plan.create.clone(),
            command,
            effect: Effect::Entries {
                entries: plan.entries,
                bumps_version: plan.bumps_version,
                members: plan.members,
                records: plan.records,
            },
        };
        let flight = Flight {
            job,
            conversation,
            create: plan.create,
            entries,
            version,
        };
        let pending = Pending::Append(Box::new(flight));
        self.submit(Op::Append(Box::new(append)), pending, now);
    }

    /// A refusal for good is remembered before it is answered, so that a repeat gets the same and later commands go on.
    fn refuse_for_good(
        &mut self,
        conversation: ConversationKey,
        mut job: Box<Job>,
        code: Code,
        now: Now,
    ) {
        let Some(command) = command_of(&job, now) else {
            self.give_up(job, code, 0);
            return;
        };
        // Each is a write: whoever asks for nonsense is slowed down like everybody.
        let rate = self.config.rate_requests_per_s;
        if job.is_send()
            && !job.paid
            && let Some(user) = self.users.by_id_mut(&job.user)
            && let Err(wait) = user.requests.take(rate, now.monotonic_ms)
        {
            self.counters.rate_limited += 1;
            self.give_up(job, Code::RateLimited, wait);
            return;
        }
        job.paid = true;
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        slot.work().flying.push((job.user.clone(), command.nonce));
        let append = Append {
            conversation: id,
            expected_version: None,
            create: None,
            command,
            effect: Effect::Refuse(code),
        };
        let flight = Flight {
            job,
            conversation,
            create: None,
            entries: 0,
            version: None,
        };
        let pending = Pending::Append(Box::new(flight));
        self.submit(Op::Append(Box::new(append)), pending, now);
    }

    fn revoke_device(&mut self, job: Box<Job>, now: Now) {
        let Task::Frame(ClientFrame::RevokeDevice(frame)) = &job.task else {
            return;
        };
        let device = frame.device;
        if let Some(command) = command_of(&job, now) {
            let op = Op::RemoveDevice { command, device };
            self.submit(op, Pending::Revoke(job), now);
        }
    }

    fn set_block(&mut self, direct: ConversationId, job: Box<Job>, now: Now) {
        let Task::Frame(ClientFrame::Block(frame)) = &job.task else {
            return;
        };
        if frame.user == job.user {
            self.give_up(job, Code::ArgumentInvalid, 0);
            return;
        }
        let Some(command) = command_of(&job, now) else {
            return;
        };
        let block = SetBlock {
            command,
            other: frame.user.clone(),
            on: frame.on,
            direct,
        };
        // A direct conversation that does not exist has no version to go stale: what wants to make it waits.
        let conversation = self.conversations.open(direct);
        if let Some(slot) = self.conversations.get_mut(conversation) {
            slot.work().holds += 1;
        }
        self.submit(Op::SetBlock(block), Pending::Block(conversation, job), now);
    }

    /// Whether anything still waits to be decided.
    pub(crate) fn waits_for_decision(&self) -> bool {
        self.pending.values().any(|pending| {
            matches!(
                pending,
                Pending::Load { .. } | Pending::Item(..) | Pending::Blocks(..)
            )
        })
    }

    /// What came of an operation.
    pub(crate) fn stored(&mut self, ticket: Ticket, result: Result<Reply, StoreError>, now: Now) {
        let Some(pending) = self.pending.remove(&ticket) else {
            return;
        };
        while self
            .writes
            .front()
            .is_some_and(|(first, _)| *first <= ticket)
        {
            if !pending.is_write() {
                break;
            }
            self.writes.pop_front();
        }
        match pending {
            Pending::Login(key) => {
                let user = match result {
                    Ok(Reply::User(user)) => Ok(user),
                    Ok(_) => Err(StoreError::Unavailable("another reply".into())),
                    Err(error) => Err(error),
                };
                self.entered(key, user, now);
            }
            Pending::Device => self.counters.store_errors += u64::from(result.is_err()),
            Pending::Load {
                conversation,
                epoch,
                peers,
            } => self.loaded(conversation, epoch, peers, result, now),
            Pending::Append(flight) => self.appended(*flight, result, now),
            Pending::Item(conversation, job) => self.item_loaded(conversation, job, result, now),
            Pending::Blocks(conversation, nonce, user) => {
                self.blocks_loaded(conversation, nonce, &user, result, now);
            }
            Pending::Block(conversation, job) => self.block_set(conversation, job, result, now),
            Pending::Marks => self.marked(result, now),
            Pending::Read(key, origin) => self.read_done(key, origin, result),
            Pending::SyncLog(key) => self.sync_log(key, result),
            Pending::SyncHeads(key) => self.sync_heads(key, result),
            Pending::JoinHead(conversation, user) => {
                self.join_head(conversation, &user, result, now);
            }
            Pending::BehindHeads(key) => self.behind_heads(key, result, now),
            Pending::Revoke(job) => self.revoked(&job, result),
        }
    }

    /// Counts a request that waits for its answer.
    pub(crate) fn begin_request(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.requests = session.requests.saturating_add(1);
        }
    }

    pub(crate) fn end_request(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.requests = session.requests.saturating_sub(1);
        }
    }

    /// Answers a job's request.
    pub(crate) fn finish(&mut self, job: &Job, mut frame: ServerFrame) {
        if job.acked || job.is_silent() {
            return;
        }
        if let ServerFrame::Refused(refused) = &mut frame {
            refused.nonce = job.nonce();
        }
        self.end_request(job.session);
        self.answer(job.session, job.origin, &frame);
    }

    /// Refuses a job without remembering it.
    #[expect(
        clippy::boxed_local,
        reason = "the job ends here, and every caller has a box"
    )]
    pub(crate) fn give_up(&mut self, job: Box<Job>, code: Code, retry_after_ms: u64) {
        if code == Code::Overloaded {
            self.counters.overloaded += 1;
        }
        self.finish(&job, ServerFrame::Refused(refused(code, retry_after_ms)));
    }

    /// Refuses a request that was not begun.
    pub(crate) fn refuse(
        &mut self,
        key: SessionKey,
        origin: Origin,
        code: Code,
        retry_after_ms: u64,
        nonce: Option<Nonce>,
    ) {
        let refusal = Refused {
            nonce,
            ..refused(code, retry_after_ms)
        };
        self.answer(key, origin, &ServerFrame::Refused(refusal));
    }

    pub(crate) fn refuse_overloaded(
        &mut self,
        key: SessionKey,
        origin: Origin,
        nonce: Option<Nonce>,
    ) {
        self.counters.overloaded += 1;
        self.refuse(key, origin, Code::Overloaded, OVERLOAD_RETRY_MS, nonce);
    }

    /// Whether pages and group messages are refused, so that direct messages stay quick.
    pub(crate) fn is_shedding(&self, now: Now) -> bool {
        self.pending.len() >= self.config.store_pending_max / 2
            || self.write_lag_ms(now) >= SHED_LAG_MS
    }

    /// Whether every command is refused.
    fn is_overloaded(&self, now: Now) -> bool {
        self.pending.len() >= self.config.store_pending_max
            || self.write_lag_ms(now) >= REFUSE_LAG_MS
    }
}

impl Pending {
    const fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Device | Self::Append(_) | Self::Block(..) | Self::Marks | Self::Revoke(_)
        )
    }
}

/// What the store is told of a command.
fn command_of(job: &Job, now: Now) -> Option<Command> {
    Some(Command {
        user: job.user.clone(),
        nonce: job.nonce()?,
        after: job.leans_on()[0],
        now: now.wall_ms,
    })
}

/// The two users of the direct conversation that a job may make.
pub(crate) fn peers(job: &Job) -> Option<(UserId, UserId)> {
    match &job.task {
        Task::Frame(ClientFrame::Send(send)) => {
            let peer = send.peer.as_ref()?;
            (ConversationId::direct(&job.user, peer) == send.conversation)
                .then(|| (job.user.clone(), peer.clone()))
        }
        _ => None,
    }
}

/// Requests that wait for one conversation.
const WAITING_MAX: usize = 1_024;
/// When to try again what found too much in front of it, in ms.
pub(crate) const BUSY_RETRY_MS: u64 = 500;
/// When to try again what an overloaded server refused, in ms.
pub(crate) const OVERLOAD_RETRY_MS: u64 = 1_000;
/// When to try again elsewhere, in ms.
const DRAINING_RETRY_MS: u64 = 500;
/// The oldest write waits for this long, in ms: the least important is refused.
const SHED_LAG_MS: u64 = 250;
/// The oldest write waits for this long, in ms: every command is refused.
const REFUSE_LAG_MS: u64 = 750;
