//! The disk as seen from the session: one transaction a call, in order; memory mode when the disk fails.

use std::collections::VecDeque;

use bytes::Bytes;
use fireside_protocol::{ConversationId, Nonce, Now, encode};

use crate::{
    Event, Session,
    conversation::{Conversation, Keep},
    id_set::IdSet,
    sorted::Map,
    storage::{ItemRecord, Loaded, Profile, Rows, StoreError, StoreOp, Ticket, Transaction},
    timers::Timer,
};

/// An operation unanswered for this long lets the session go on without it, in ms.
pub(crate) const STALL_MS: u64 = 250;
/// Operations handed out and not answered; above it the disk is given up.
const PENDING_MAX: usize = 4_096;
/// Row numbers reserved on disk at once.
const ROW_BLOCK: u64 = 1_024;
/// Items kept per conversation that is not open, without a disk.
pub(crate) const MEMORY_ITEMS_MAX: usize = 200;
/// Conversations with items in memory, without a disk.
const MEMORY_CONVERSATIONS_MAX: usize = 500;

/// Whether there is a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// It is being read.
    Loading,
    /// There is.
    Disk,
    /// There is not (any more).
    Memory,
}

/// What an operation was for.
#[derive(Debug)]
enum Pending {
    Load,
    Apply(Vec<Nonce>),
    Items(ItemsFor),
}

/// Whom items are read for.
#[derive(Clone, Debug)]
pub(crate) struct ItemsFor {
    pub(crate) conversation: ConversationId,
    /// Which reading; an older one's answer is of no use.
    pub(crate) serial: u64,
    pub(crate) limit: u32,
}

/// What is to be kept, and what was handed out.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) mode: Mode,
    /// The disk is late: nothing waits for it.
    pub(crate) stalled: bool,
    said: bool,
    next_ticket: Ticket,
    pending: Map<Ticket, (Pending, u64)>,
    pub(crate) queue: VecDeque<(Ticket, StoreOp)>,
    pub(crate) transaction: Transaction,
    dirty: IdSet,
    pub(crate) profile: Profile,
    pub(crate) profile_dirty: bool,
    row_reserved: u64,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self {
            mode: Mode::Loading,
            stalled: false,
            said: false,
            next_ticket: 1,
            pending: Map::default(),
            queue: VecDeque::new(),
            transaction: Transaction::default(),
            dirty: IdSet::default(),
            profile: Profile::default(),
            profile_dirty: false,
            row_reserved: 0,
        }
    }

    /// A stable row number.
    pub(crate) fn row(&mut self) -> u64 {
        let row = self.profile.row_counter.saturating_add(1);
        self.profile.row_counter = row;
        if row > self.row_reserved {
            self.profile_dirty = true;
        }
        row
    }

    /// The conversation's record is written with the next transaction.
    pub(crate) fn touch(&mut self, conversation: ConversationId) {
        self.dirty.insert(conversation);
    }

    pub(crate) fn keep(&mut self, conversation: ConversationId, keep: Vec<Keep>) {
        if self.mode == Mode::Memory {
            return;
        }
        for keep in keep {
            let Keep {
                row,
                entry,
                text,
                raw,
            } = keep;
            self.transaction.items.push(ItemRecord {
                conversation,
                sequence: entry.sequence,
                row,
                rev: entry.rev(),
                text,
                body: raw.unwrap_or_else(|| Bytes::from(encode(&entry))),
            });
        }
    }

    fn submit(&mut self, pending: Pending, op: StoreOp, now: Now) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.pending.insert(ticket, (pending, now.monotonic_ms));
        self.queue.push_back((ticket, op));
    }

    /// All that was handed out is answered, and nothing waits to be handed out.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty()
            && self.transaction == Transaction::default()
            && self.dirty.is_empty()
    }

    /// When the oldest operation becomes a stall.
    fn stall_at(&self) -> Option<u64> {
        let (_, (_, since)) = self.pending.first()?;
        Some(since.saturating_add(STALL_MS))
    }
}

impl Session {
    /// Asks for all that is kept.
    pub(crate) fn load(&mut self, now: Now) {
        self.cache.submit(Pending::Load, StoreOp::Load, now);
    }

    /// Asks for items. Memory mode has them at hand: callers check it first.
    pub(crate) fn read_items(&mut self, what: ItemsFor, below: u64, now: Now) {
        let query = crate::storage::ItemsQuery {
            conversation: what.conversation,
            below,
            limit: what.limit,
        };
        // What was decided before the question is in its answer.
        self.flush(now);
        self.cache
            .submit(Pending::Items(what), StoreOp::Items(query), now);
    }

    /// Hands out what this call gathered as one transaction.
    pub(crate) fn flush(&mut self, now: Now) {
        let mut transaction = std::mem::take(&mut self.cache.transaction);
        let nonces: Vec<Nonce> = transaction.outbox.iter().map(|r| r.nonce).collect();
        let dirty = std::mem::take(&mut self.cache.dirty);
        match self.cache.mode {
            Mode::Loading => return,
            Mode::Memory => {
                self.cache.profile_dirty = false;
                self.outbox_stored(&nonces, now);
                return;
            }
            Mode::Disk => {}
        }
        transaction.conversations = (dirty.iter())
            .filter_map(|id| self.conversations.get(&id))
            .map(Conversation::record)
            .collect();
        if std::mem::take(&mut self.cache.profile_dirty) {
            let mut profile = self.cache.profile.clone();
            profile.row_counter = profile.row_counter.saturating_add(ROW_BLOCK);
            self.cache.row_reserved = profile.row_counter;
            transaction.profile = Some(profile);
        }
        if transaction.is_empty() {
            return;
        }
        if self.config.breaks.cursor_before_rows && !transaction.items.is_empty() {
            let rows = Transaction {
                items: std::mem::take(&mut transaction.items),
                ..Transaction::default()
            };
            let cursors = StoreOp::Apply(Box::new(transaction));
            self.cache.submit(Pending::Apply(nonces), cursors, now);
            let rows = StoreOp::Apply(Box::new(rows));
            self.cache.submit(Pending::Apply(Vec::new()), rows, now);
        } else {
            let op = StoreOp::Apply(Box::new(transaction));
            self.cache.submit(Pending::Apply(nonces.clone()), op, now);
            if self.cache.stalled {
                self.outbox_stored(&nonces, now);
            }
        }
        if self.cache.pending.len() > PENDING_MAX {
            self.enter_memory_mode("the disk is too slow", now);
        } else if let Some(at) = self.cache.stall_at() {
            self.timers.set_sooner(Timer::Stall, at);
        }
    }

    /// What came of a storage operation.
    pub(crate) fn on_stored(&mut self, ticket: Ticket, result: Result<Rows, StoreError>, now: Now) {
        let Some((pending, _)) = self.cache.pending.remove(&ticket) else {
            return;
        };
        match (pending, result) {
            (Pending::Load, Ok(Rows::Loaded(loaded))) => self.on_loaded(*loaded, now),
            (Pending::Apply(nonces), Ok(Rows::Applied)) => {
                self.outbox_stored(&nonces, now);
            }
            (Pending::Items(what), Ok(Rows::Items(items))) => self.on_items(&what, &items),
            (pending, result) => {
                let reason = match result {
                    Err(error) => error.reason,
                    Ok(_) => "the store gave the wrong kind of answer".to_owned(),
                };
                self.cache
                    .pending
                    .insert(ticket, (pending, now.monotonic_ms));
                self.enter_memory_mode(&reason, now);
            }
        }
        self.sync_moved();
        let late = |at: u64| at <= now.monotonic_ms;
        if !self.cache.stall_at().is_some_and(late) {
            self.cache.stalled = false;
        }
        self.timers.clear(&Timer::Stall);
        if !self.cache.stalled
            && let Some(at) = self.cache.stall_at()
        {
            self.timers.set(Timer::Stall, at);
        }
    }

    /// The oldest operation is late.
    pub(crate) fn on_stall(&mut self, now: Now) {
        let Some((_, (pending, _))) = self.cache.pending.first() else {
            return;
        };
        if matches!(pending, Pending::Load) {
            // Opening may migrate and check; it is waited for.
            return;
        }
        self.cache.stalled = true;
        self.say_memory_mode("the disk does not answer in time");
        let mut nonces = Vec::new();
        for (pending, _) in self.cache.pending.values() {
            if let Pending::Apply(waiting) = pending {
                nonces.extend_from_slice(waiting);
            }
        }
        self.outbox_stored(&nonces, now);
    }

    fn say_memory_mode(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.cache.said, true) {
            let reason = reason.to_owned();
            self.complete_event(Event::MemoryMode { reason });
        }
    }

    /// The disk is given up: what only it held is no longer held.
    pub(crate) fn enter_memory_mode(&mut self, reason: &str, now: Now) {
        if self.cache.mode == Mode::Memory {
            return;
        }
        let was_loading = self.cache.mode == Mode::Loading;
        self.cache.mode = Mode::Memory;
        self.cache.stalled = false;
        self.say_memory_mode(reason);
        self.timers.clear(&Timer::Stall);
        let pending = std::mem::take(&mut self.cache.pending);
        self.cache.queue.clear();
        for conversation in self.conversations.values_mut() {
            let (from, to) = conversation.memory.unwrap_or((1, 0));
            if from > to {
                let asked = conversation.asked.take();
                conversation.drop_items();
                conversation.asked = asked.filter(|(_, asked)| asked.held.is_empty());
            } else {
                conversation.covered.remove(0, from.saturating_sub(1));
                if to < u64::MAX {
                    conversation.covered.remove(to + 1, u64::MAX);
                }
                conversation.live.remove(0, from.saturating_sub(1));
            }
            conversation.memory = Some((0, u64::MAX));
        }
        if was_loading {
            self.start_with(Loaded::default(), now);
        }
        let mut nonces = Vec::new();
        for (pending, _) in pending.into_values() {
            match pending {
                Pending::Load => {}
                Pending::Apply(waiting) => nonces.extend(waiting),
                Pending::Items(what) => self.on_items(&what, &[]),
            }
        }
        self.outbox_stored(&nonces, now);
        self.want_all_pages();
    }

    fn on_loaded(&mut self, loaded: Loaded, now: Now) {
        if self.cache.mode != Mode::Loading {
            return;
        }
        let other_user = match (&self.config.user, &loaded.profile.user) {
            (Some(user), Some(owner)) => user != owner,
            _ => false,
        };
        if other_user {
            self.enter_memory_mode("the cache belongs to another user", now);
            return;
        }
        self.cache.mode = Mode::Disk;
        self.start_with(loaded, now);
    }

    fn start_with(&mut self, loaded: Loaded, now: Now) {
        let known = loaded.profile.device != fireside_protocol::DeviceId::default();
        self.cache.profile = loaded.profile;
        if !known {
            self.cache.profile.device = self.config.device;
            self.cache.profile_dirty = true;
        }
        if let Some(user) = &self.config.user
            && self.cache.profile.user.is_none()
        {
            self.cache.profile.user = Some(user.clone());
            self.cache.profile_dirty = true;
        }
        self.me = self.cache.profile.user.clone();
        for record in loaded.conversations {
            let mut conversation = Conversation::from_record(record);
            conversation.counted_to = conversation.head.last;
            let id = conversation.id();
            let unsure = conversation.unsure;
            self.conversations.insert(id, conversation);
            if unsure {
                self.ask_head(id, 0);
            }
        }
        self.own.loaded(loaded.records);
        self.list.reset();
        self.outbox_loaded(loaded.outbox, now);
        for (request, command) in std::mem::take(&mut self.waiting_commands) {
            if let Err(error) = self.carry_out(request, command, now) {
                self.fail(request, error.code);
            }
        }
    }

    /// Without a disk: at most so many conversations with items, and so many items each.
    pub(crate) fn bound_memory(&mut self, conversation: ConversationId) {
        if self.cache.mode != Mode::Memory {
            return;
        }
        let open = self.open.contains(&conversation);
        if let Some(held) = self.conversations.get_mut(&conversation) {
            let max = if open {
                10 * MEMORY_ITEMS_MAX
            } else {
                MEMORY_ITEMS_MAX
            };
            held.shrink_memory(max, true);
            self.with_items.insert(conversation);
        }
        while self.with_items.len() > MEMORY_CONVERSATIONS_MAX {
            let oldest = (self.with_items.iter())
                .filter(|id| !self.open.contains(id) && *id != conversation)
                .min_by_key(|id| self.conversations.get(id).map(|held| held.head.at));
            let Some(oldest) = oldest else { return };
            self.with_items.remove(oldest);
            if let Some(held) = self.conversations.get_mut(&oldest) {
                held.drop_items();
            }
        }
    }
}
