//! Reads that decisions wait for: conversations, items, blocks.

use fireside_protocol::{Code, ConversationId, Nonce, Now, UserId};

use crate::{
    answers::BUSY_RETRY_MS,
    conversation::ConversationKey,
    job::{Job, Pending, peers},
    loaded::Loaded,
    node::Node,
    rate::Bucket,
    storage::{Op, Reply, StoreError, Ticket},
};

impl Node {
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
                    Ok(Reply::User(user)) => Ok(*user),
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
            Pending::Blocks(conversation, ask) => {
                self.blocks_loaded(conversation, ask, result, now);
            }
            Pending::Block(conversation, job) => self.block_set(conversation, job, result, now),
            Pending::Marks => self.marked(result, now),
            Pending::Read(key, origin) => self.read_done(key, origin, result),
            Pending::Sync(key, cursor) => self.synced(key, cursor, result),
            Pending::JoinHead(conversation, user) => {
                self.join_head(conversation, &user, result, now);
            }
            Pending::BehindHeads(key) => self.behind_heads(key, result, now),
            Pending::Revoke(job) => self.revoked(&job, result),
            Pending::Meetings => self.meetings_read(result, now),
            Pending::Expiring => self.expired_read(result, now),
            Pending::Presence(key, origin, users) => {
                self.presence_read(key, origin, users, result, now);
            }
            Pending::Report(job) => self.reported(job, result),
            Pending::Own(job) => self.own_set(job, result, now),
        }
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

    /// Reads a conversation, unless that is under way.
    pub(crate) fn load(&mut self, conversation: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let work = slot.work();
        if work.loading {
            return;
        }
        work.loading = true;
        let epoch = work.epoch;
        let peers = work.waiting.iter().find_map(|job| peers(job));
        self.counters.loads += 1;
        let pending = Pending::Load {
            conversation,
            epoch,
            peers: peers.is_some(),
        };
        let op = Op::LoadConversation {
            conversation: id,
            peers,
        };
        self.submit(op, pending, now);
    }

    /// A conversation was read.
    pub(crate) fn loaded(
        &mut self,
        conversation: ConversationKey,
        epoch: u32,
        knows_peers: bool,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let work = slot.work();
        work.loading = false;
        let overtaken = work.epoch != epoch;
        let loaded = match result {
            Ok(Reply::Conversation(loaded)) => loaded,
            other => {
                let code = other.err().map_or(Code::StorageUnavailable, |it| it.code());
                self.load_failed(conversation, code, now);
                return;
            }
        };
        if overtaken {
            self.load(conversation, now);
            return;
        }
        let rate = Bucket::full(self.config.rate_conversation_per_s, now.monotonic_ms);
        let mut state = Loaded::new(*loaded, knows_peers, rate);
        if let Some(older) = &slot.loaded {
            state.carry_over(older);
        }
        self.conversations.put(conversation, Box::new(state));
        self.counters.evictions += self.conversations.evict(self.config.conversations_max);
        self.request_join_heads(conversation, now);
        self.run_waiting(conversation, now);
        self.deliver_held(conversation, now);
        self.conversations.release(conversation);
    }

    fn load_failed(&mut self, conversation: ConversationKey, code: Code, now: Now) {
        self.counters.store_errors += 1;
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let waiting = std::mem::take(&mut slot.work().waiting);
        for job in waiting {
            self.give_up(job, code, BUSY_RETRY_MS);
        }
        // Who should have had the entries gets heads instead.
        self.drop_held(conversation, now);
        self.conversations.release(conversation);
    }

    /// Goes on with the jobs that waited for the conversation.
    pub(crate) fn run_waiting(&mut self, conversation: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(work) = &mut slot.work else {
            return;
        };
        if work.holds > 0 || work.loading {
            return;
        }
        for job in std::mem::take(&mut work.waiting) {
            self.run(conversation, job, now);
        }
    }

    /// Goes on with the jobs that waited for a command.
    pub(crate) fn unpark(
        &mut self,
        conversation: ConversationKey,
        user: &UserId,
        nonce: Nonce,
        now: Now,
    ) {
        let mut resolved = vec![nonce];
        while let Some(nonce) = resolved.pop() {
            let Some(work) = self
                .conversations
                .get_mut(conversation)
                .and_then(|slot| slot.work.as_mut())
            else {
                return;
            };
            if work.parked.is_empty() {
                return;
            }
            let parked = std::mem::take(&mut work.parked);
            let (ready, still): (Vec<_>, Vec<_>) = parked
                .into_iter()
                .partition(|(on, job)| *on == nonce && job.user == *user);
            work.parked = still;
            for (_, job) in ready {
                resolved.extend(job.nonce());
                self.run(conversation, job, now);
            }
        }
    }

    /// The item a change is about was read, or a member's record that it takes.
    pub(crate) fn item_loaded(
        &mut self,
        conversation: ConversationKey,
        mut job: Box<Job>,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let nonce = job.nonce();
        let user = job.user.clone();
        if let Some(slot) = self.conversations.get_mut(conversation) {
            let work = slot.work();
            work.pins = work.pins.saturating_sub(1);
            work.undecided
                .retain(|(who, name)| Some(*name) != nonce || *who != user);
        }
        match result {
            Ok(Reply::Item(item)) => {
                job.item = Some(*item);
                self.run(conversation, job, now);
            }
            Ok(Reply::Member(member)) => {
                job.elsewhere = Some(*member);
                self.run(conversation, job, now);
            }
            Ok(Reply::Originals(originals)) => {
                job.originals = Some(originals);
                self.run(conversation, job, now);
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                self.give_up(job, error.code(), BUSY_RETRY_MS);
            }
        }
        if let Some(nonce) = nonce {
            self.unpark(conversation, &user, nonce, now);
        }
        self.conversations.release(conversation);
    }

    /// Asks for the blocks between a user and those they name: each pair's are read with its direct conversation.
    pub(crate) fn ask_blocks(
        &mut self,
        conversation: ConversationKey,
        mut job: Box<Job>,
        users: Vec<UserId>,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let me = job.user.clone();
        let ask = self.next_ticket;
        job.ask = ask;
        job.asked = users.len();
        job.hidden = Some(Vec::new());
        let work = slot.work();
        work.pins += users.len() as u32;
        work.asking.push(job);
        for user in users {
            let op = Op::LoadConversation {
                conversation: ConversationId::direct(&me, &user),
                peers: Some((me.clone(), user)),
            };
            self.submit(op, Pending::Blocks(conversation, ask), now);
        }
    }

    /// The blocks between the asker and one of those named came.
    pub(crate) fn blocks_loaded(
        &mut self,
        conversation: ConversationKey,
        ask: u64,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let work = slot.work();
        work.pins = work.pins.saturating_sub(1);
        // One that failed took the job with it.
        if let Some(place) = work.asking.iter().position(|job| job.ask == ask) {
            let mut job = work.asking.swap_remove(place);
            job.asked = job.asked.saturating_sub(1);
            match result {
                Ok(Reply::Conversation(loaded)) => {
                    let others = loaded
                        .blocks
                        .into_iter()
                        .flat_map(|(one, other)| [one, other]);
                    let others = others.filter(|other| *other != job.user);
                    job.hidden.get_or_insert_default().extend(others);
                    if job.asked > 0 {
                        work.asking.push(job);
                    } else {
                        self.run(conversation, job, now);
                    }
                }
                other => {
                    self.counters.store_errors += 1;
                    let code = other.err().map_or(Code::StorageUnavailable, |it| it.code());
                    self.give_up(job, code, BUSY_RETRY_MS);
                }
            }
        }
        self.conversations.release(conversation);
    }
}
