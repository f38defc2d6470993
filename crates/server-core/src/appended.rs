//! What the store said: loads, outcomes, and what follows from them for memory, sessions and other nodes.

use std::sync::Arc;

use fireside_protocol::{
    Code, ConversationId, Nonce, Now, ServerFrame, UserId,
    frames::{Ack, HeadsRequest, Refused, UserRecord},
};

use crate::{
    commands::{BUSY_RETRY_MS, Flight, Job, Pending, Task, peers},
    conversation::{Awaiting, ConversationKey, Loaded},
    node::{Node, Published, refused},
    rate::Bucket,
    storage::{Appended, BlockSet, Done, Op, Outcome, Reply, StoreError},
};

impl Node {
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

    /// The item a change is about was read.
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
                job.item = Some(item);
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
        let Some(nonce) = job.nonce() else {
            return;
        };
        job.asked = users.len();
        let me = job.user.clone();
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let work = slot.work();
        work.pins += 1;
        // The same command twice at once would share its answers.
        if work
            .asking
            .iter()
            .any(|other| other.nonce() == Some(nonce) && other.user == me)
        {
            work.pins -= 1;
            self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
            return;
        }
        job.hidden = Some(Vec::new());
        work.asking.push(job);
        for user in users {
            let op = Op::LoadConversation {
                conversation: ConversationId::direct(&me, &user),
                peers: Some((me.clone(), user)),
            };
            let pending = Pending::Blocks(conversation, nonce, me.clone());
            self.submit(op, pending, now);
        }
    }

    /// The blocks between the asker and one of those named came.
    pub(crate) fn blocks_loaded(
        &mut self,
        conversation: ConversationKey,
        nonce: Nonce,
        user: &UserId,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let work = slot.work();
        let mut asking = work.asking.iter();
        let Some(place) = asking.position(|job| job.nonce() == Some(nonce) && job.user == *user)
        else {
            return;
        };
        let mut failed = None;
        if let Some(job) = work.asking.get_mut(place) {
            job.asked = job.asked.saturating_sub(1);
            match result {
                Ok(Reply::Conversation(loaded)) => {
                    let others = loaded
                        .blocks
                        .into_iter()
                        .flat_map(|(one, other)| [one, other]);
                    if let Some(hidden) = &mut job.hidden {
                        hidden.extend(others.filter(|other| other != user));
                    }
                }
                Ok(_) => failed = Some(Code::StorageUnavailable),
                Err(error) => failed = Some(error.code()),
            }
            if failed.is_none() && job.asked > 0 {
                return;
            }
        }
        work.pins = work.pins.saturating_sub(1);
        let job = work.asking.swap_remove(place);
        match failed {
            Some(code) => {
                self.counters.store_errors += 1;
                self.give_up(job, code, BUSY_RETRY_MS);
            }
            None => self.run(conversation, job, now),
        }
        self.conversations.release(conversation);
    }

    /// An append was answered.
    pub(crate) fn appended(&mut self, flight: Flight, result: Result<Reply, StoreError>, now: Now) {
        let Flight {
            mut job,
            conversation,
            create,
            entries,
            version,
        } = flight;
        let Some(nonce) = job.nonce() else {
            return;
        };
        let user = job.user.clone();
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let guess = slot.loaded.as_ref().map(|loaded| loaded.guess(0));
        let work = slot.work();
        work.entries_flying = work.entries_flying.saturating_sub(entries);
        if let Some(place) = work
            .flying
            .iter()
            .position(|(who, name)| *name == nonce && *who == user)
        {
            work.flying.remove(place);
        }
        match result {
            Ok(Reply::Appended(Appended::Done(done))) => {
                self.count_outcome(&done.outcome);
                if entries > 0 || !done.members.is_empty() || create.is_some() {
                    self.apply(conversation, id, &done, create.as_ref(), now);
                }
                self.send_records(&done.records);
                self.finish(&job, answer_of(nonce, done.outcome));
                if !done.entries.is_empty() {
                    self.out.published.push_back(Published::Entries {
                        conversation: id,
                        version: done.version,
                        entries: Arc::from(done.entries),
                    });
                }
            }
            Ok(Reply::Appended(Appended::Known(outcome))) => {
                self.counters.known_nonces += 1;
                self.finish(&job, answer_of(nonce, outcome));
            }
            Ok(Reply::Appended(Appended::OutOfOrder)) => {
                self.counters.out_of_order += 1;
                self.give_up(job, Code::RetryInOrder, IN_ORDER_RETRY_MS);
            }
            Ok(Reply::Appended(Appended::Stale)) => {
                self.counters.stale += 1;
                job.tries += 1;
                job.item = None;
                job.hidden = None;
                if job.tries >= DECISIONS_MAX {
                    self.give_up(job, Code::Overloaded, BUSY_RETRY_MS);
                } else {
                    if let Some(loaded) = slot_state(self, conversation)
                        && loaded.version() == version
                    {
                        loaded.dirty = true;
                    }
                    self.run(conversation, job, now);
                }
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                if self.config.breaks.overlay_kept
                    && let Some((sequence, ordinal, at)) = guess
                    && entries > 0
                {
                    self.keep_overlay(conversation, sequence);
                    let outcome = Outcome::Done {
                        conversation: Some(id),
                        sequence,
                        ordinal,
                        at,
                    };
                    self.finish(&job, answer_of(nonce, outcome));
                } else {
                    // The overlay goes with it: what leaned on this command has no outcome to lean on.
                    self.give_up(job, error.code(), STORE_RETRY_MS);
                }
            }
        }
        self.unpark(conversation, &user, nonce, now);
        self.conversations.release(conversation);
    }

    fn count_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done { .. } => self.counters.appended += 1,
            Outcome::Refused(_) => self.counters.refused_for_good += 1,
        }
    }

    /// A built-in fault: an entry that was never stored stays in memory as if it had been.
    fn keep_overlay(&mut self, conversation: ConversationKey, sequence: u64) {
        if let Some(row) = slot_state(self, conversation).and_then(|loaded| loaded.row.as_mut()) {
            row.last = row.last.max(sequence);
            row.ordinal += 1;
        }
    }

    /// Takes a durable append into memory.
    fn apply(
        &mut self,
        conversation: ConversationKey,
        id: ConversationId,
        done: &Done,
        create: Option<&crate::storage::NewConversation>,
        now: Now,
    ) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(loaded) = &mut slot.loaded else {
            return;
        };
        let changed = loaded.apply(id, done, create);
        if changed.is_empty() {
            return;
        }
        slot.work().epoch += 1;
        for user in &changed {
            self.member_changed(conversation, user);
        }
        let dirty = slot_state(self, conversation).is_some_and(|loaded| loaded.dirty);
        if dirty {
            self.load(conversation, now);
        } else {
            self.request_join_heads(conversation, now);
        }
    }

    /// A member's record changed: whoever came and is here gets a head and then entries, whoever went loses the rest.
    fn member_changed(&mut self, conversation: ConversationKey, user: &UserId) {
        let Some(key) = self.users.key(user) else {
            return;
        };
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let Some(online) = self.users.get_mut(key) else {
            return;
        };
        let role = slot.loaded.as_ref().and_then(|loaded| loaded.role(user));
        if role.is_none() {
            // Live entries end with the one that ended the membership; typing and receipts end here.
            for online in &mut slot.online {
                online.leaving |= online.user == key;
            }
            slot.openers
                .retain(|opener| !online.sessions.contains(opener));
            for session in &online.sessions {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.open.retain(|open| *open != conversation);
                }
            }
        } else if online.add(conversation) || !slot.is_member_here(key) {
            slot.remove_online(key);
            slot.add_online(key, user, true);
            slot.work().awaiting.push(Awaiting {
                user: key,
                held: Vec::new(),
                missed: false,
                asked: false,
            });
        }
    }

    /// Reads the heads of those who just came.
    pub(crate) fn request_join_heads(&mut self, conversation: ConversationKey, now: Now) {
        let Some(slot) = self.conversations.get_mut(conversation) else {
            return;
        };
        let id = slot.id;
        let Some(work) = &mut slot.work else {
            return;
        };
        let mut asked = Vec::new();
        for waiting in &mut work.awaiting {
            if !std::mem::replace(&mut waiting.asked, true) {
                asked.extend(self.users.get(waiting.user).map(|user| user.id.clone()));
            }
        }
        work.pins += asked.len() as u32;
        for user in asked {
            let op = Op::Heads {
                user: user.clone(),
                request: newest_heads(),
                only: vec![id],
            };
            self.submit(op, Pending::JoinHead(conversation, user), now);
        }
    }

    /// Sends user-log records to their owners' sessions.
    pub(crate) fn send_records(&mut self, records: &[(UserId, UserRecord)]) {
        for (user, record) in records {
            let Some(user) = self.users.by_id(user) else {
                continue;
            };
            let frame = ServerFrame::UserRecord(record.clone()).encode(0);
            for key in &user.sessions {
                let Some(session) = self.sessions.get(key) else {
                    continue;
                };
                // Who is being logged in reads the user log behind this.
                if session.entering.is_none() && !self.out.push_live(*key, session, &frame) {
                    self.lost_records.push(*key);
                }
            }
        }
        // A record has no head to make up for it: the session starts over from its cursor.
        for key in std::mem::take(&mut self.lost_records) {
            self.end(key, Code::Overloaded, None);
        }
    }

    /// A block was set or taken away.
    pub(crate) fn block_set(
        &mut self,
        direct: ConversationKey,
        job: Box<Job>,
        result: Result<Reply, StoreError>,
        now: Now,
    ) {
        if let Some(slot) = self.conversations.get_mut(direct) {
            let work = slot.work();
            work.holds = work.holds.saturating_sub(1);
        }
        match result {
            Ok(Reply::BlockSet(set)) => {
                self.apply_block(direct, &job, &set);
                self.send_records(&set.records);
                if let Some(nonce) = job.nonce() {
                    self.finish(&job, answer_of(nonce, set.outcome));
                }
            }
            Ok(_) => self.give_up(job, Code::StorageUnavailable, BUSY_RETRY_MS),
            Err(error) => {
                self.counters.store_errors += 1;
                self.give_up(job, error.code(), STORE_RETRY_MS);
            }
        }
        if let Some(slot) = self.conversations.get(direct)
            && slot.loaded.as_ref().is_none_or(|loaded| loaded.dirty)
            && slot
                .work
                .as_ref()
                .is_some_and(|work| !work.waiting.is_empty())
        {
            self.load(direct, now);
        }
        self.run_waiting(direct, now);
        self.conversations.release(direct);
    }

    fn apply_block(&mut self, direct: ConversationKey, job: &Job, set: &BlockSet) {
        let Task::Frame(fireside_protocol::ClientFrame::Block(block)) = &job.task else {
            return;
        };
        // A repeat changed nothing, and what it once did may have been undone.
        let changed = !set.records.is_empty();
        let bumped = set.bumped.iter();
        let bumped = bumped.filter_map(|(id, version)| {
            let key = self.conversations.key(*id)?;
            Some((key, Some(*version)))
        });
        let touched: Vec<_> = bumped.chain([(direct, None)]).collect();
        for (key, version) in touched {
            let Some(slot) = self.conversations.get_mut(key) else {
                continue;
            };
            if let Some(work) = &mut slot.work {
                work.epoch += 1;
            }
            let Some(loaded) = &mut slot.loaded else {
                continue;
            };
            if changed {
                loaded.set_block(&job.user, &block.user, block.on);
            }
            if let (Some(row), Some(version)) = (&mut loaded.row, version) {
                row.version = row.version.max(version);
            }
        }
    }

    /// A device was signed out.
    pub(crate) fn revoked(&mut self, job: &Job, result: Result<Reply, StoreError>) {
        let Task::Frame(fireside_protocol::ClientFrame::RevokeDevice(frame)) = &job.task else {
            return;
        };
        match result {
            Ok(_) => {
                let outcome = Outcome::Done {
                    conversation: None,
                    sequence: 0,
                    ordinal: 0,
                    at: 0,
                };
                self.finish(job, answer_of(frame.nonce, outcome));
                self.revoke(&job.user, frame.device);
            }
            Err(error) => {
                self.counters.store_errors += 1;
                let refusal = refused(error.code(), STORE_RETRY_MS);
                self.finish(job, ServerFrame::Refused(refusal));
            }
        }
    }
}

fn slot_state(node: &mut Node, conversation: ConversationKey) -> Option<&mut Loaded> {
    let slot = node.conversations.get_mut(conversation)?;
    slot.loaded.as_deref_mut()
}

/// The answer that an outcome stands for, the same each time.
pub(crate) fn answer_of(nonce: Nonce, outcome: Outcome) -> ServerFrame {
    match outcome {
        Outcome::Done {
            conversation,
            sequence,
            ordinal,
            at,
        } => ServerFrame::Ack(Ack {
            nonce,
            conversation,
            sequence,
            ordinal,
            at,
            entry: None,
        }),
        Outcome::Refused(code) => ServerFrame::Refused(Refused::new(code)),
    }
}

/// Heads without a start or an age.
pub(crate) const fn newest_heads() -> HeadsRequest {
    HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: Vec::new(),
    }
}

/// Decisions on one command that may be overtaken before it is refused as overloaded.
const DECISIONS_MAX: u8 = 8;
/// When to try again in order, in ms: at once, for what it waits for is on its way.
const IN_ORDER_RETRY_MS: u64 = 100;
/// When to try again what the store failed at, in ms.
const STORE_RETRY_MS: u64 = 1_000;
