//! A conversation in memory: what was committed, and who of this node is to hear of it.

use std::collections::{HashMap, HashSet, VecDeque};

use fireside_protocol::{ConversationId, Nonce, UserId};
use foldhash::fast::RandomState;

use crate::{
    job::Job,
    loaded::Loaded,
    node::{Published, SessionKey},
    slab::Slab,
};

/// Key of a conversation in this node's memory.
pub(crate) type ConversationKey = u32;
/// Key of a user with a session on this node.
pub(crate) type UserKey = u32;

/// All conversations this node knows something of.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    slots: Slab<Slot>,
    by_id: HashMap<ConversationId, ConversationKey, RandomState>,
    /// Loaded ones, for eviction by second chance.
    clock: VecDeque<ConversationKey>,
    pub(crate) loaded: usize,
}

impl Conversations {
    pub(crate) fn key(&self, id: ConversationId) -> Option<ConversationKey> {
        self.by_id.get(&id).copied()
    }

    /// All that this node knows.
    pub(crate) fn all(&self) -> Vec<ConversationKey> {
        let mut all: Vec<ConversationKey> = self.by_id.values().copied().collect();
        all.sort_unstable();
        all
    }

    /// The slot of a conversation, made if there is none. Whoever makes one lets it go with [`Conversations::release`].
    pub(crate) fn open(&mut self, id: ConversationId) -> ConversationKey {
        let Self { slots, by_id, .. } = self;
        *by_id
            .entry(id)
            .or_insert_with(|| slots.insert(Slot::new(id)))
    }

    pub(crate) fn get(&self, key: ConversationKey) -> Option<&Slot> {
        self.slots.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: ConversationKey) -> Option<&mut Slot> {
        self.slots.get_mut(key)
    }

    /// Forgets the slot if nothing needs it.
    pub(crate) fn release(&mut self, key: ConversationKey) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.work.as_ref().is_some_and(|work| work.is_idle()) {
            slot.work = None;
        }
        // What does not exist is not kept: anyone may ask for anything.
        if slot.work.is_none()
            && slot
                .loaded
                .as_ref()
                .is_some_and(|loaded| loaded.row.is_none())
        {
            slot.loaded = None;
            self.loaded -= 1;
        }
        if slot.online.is_empty() && slot.loaded.is_none() && slot.work.is_none() {
            let id = slot.id;
            self.slots.remove(key);
            self.by_id.remove(&id);
        }
    }

    /// Puts what was loaded in its place.
    pub(crate) fn put(&mut self, key: ConversationKey, loaded: Box<Loaded>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        if slot.loaded.replace(loaded).is_none() {
            self.loaded += 1;
            self.clock.push_back(key);
            self.tidy_clock();
        }
    }

    /// All slots.
    pub(crate) fn known(&self) -> usize {
        self.by_id.len()
    }

    /// Slots with work. Looks at all.
    pub(crate) fn busy(&self) -> usize {
        let slots = self.slots.iter();
        slots.filter(|slot| slot.work.is_some()).count()
    }

    /// Drops places of conversations that went without an eviction, when they are more than those that stayed.
    fn tidy_clock(&mut self) {
        if self.clock.len() <= self.loaded * 2 + CLOCK_SLACK {
            return;
        }
        let Self { slots, clock, .. } = self;
        let mut seen = HashSet::new();
        clock.retain(|key| {
            let is_loaded = slots.get(*key).is_some_and(|slot| slot.loaded.is_some());
            is_loaded && seen.insert(*key)
        });
    }

    /// Makes room down to `max` conversations, looking at a bounded number. Answers how many went.
    pub(crate) fn evict(&mut self, max: usize) -> u64 {
        let mut evicted = 0;
        for _ in 0..EVICTION_LOOKS {
            if self.loaded <= max {
                break;
            }
            let Some(key) = self.clock.pop_front() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            let Some(loaded) = &mut slot.loaded else {
                continue;
            };
            if slot.work.is_some() || !slot.openers.is_empty() || loaded.used {
                loaded.used = false;
                self.clock.push_back(key);
                continue;
            }
            slot.loaded = None;
            self.loaded -= 1;
            evicted += 1;
            self.release(key);
        }
        evicted
    }
}

/// What this node knows of a conversation. Small while nobody talks.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: ConversationId,
    /// Members with a session here.
    pub(crate) online: Vec<Online>,
    /// Sessions that have it on screen.
    pub(crate) openers: Vec<SessionKey>,
    /// Its state, if it is in memory.
    pub(crate) loaded: Option<Box<Loaded>>,
    /// What is going on.
    pub(crate) work: Option<Box<Work>>,
}

/// A member with a session on this node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Online {
    pub(crate) user: UserKey,
    /// Index into [`Loaded::members`]; [`NO_MEMBER`] if they are not among them.
    pub(crate) member: u32,
    /// New here: gets a head before anything else.
    pub(crate) awaits_head: bool,
    /// No member any more; goes with the entry that says so.
    pub(crate) leaving: bool,
}

/// Not among the members.
pub(crate) const NO_MEMBER: u32 = u32::MAX;

impl Slot {
    const fn new(id: ConversationId) -> Self {
        Self {
            id,
            online: Vec::new(),
            openers: Vec::new(),
            loaded: None,
            work: None,
        }
    }

    pub(crate) fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// Adds an online user; `false` if they were there.
    pub(crate) fn add_online(&mut self, user: UserKey, id: &UserId, awaits_head: bool) -> bool {
        if self.online.iter().any(|online| online.user == user) {
            return false;
        }
        let member = self
            .loaded
            .as_ref()
            .and_then(|loaded| loaded.place(id).ok());
        // Most conversations are direct: two users.
        if self.online.capacity() == 0 {
            self.online.reserve_exact(1);
        }
        self.online.push(Online {
            user,
            member: member.map_or(NO_MEMBER, |place| place as u32),
            awaits_head,
            leaving: false,
        });
        true
    }

    /// Whether an online user is a member, as far as this node knows.
    pub(crate) fn is_member_here(&self, user: UserKey) -> bool {
        let mut online = self.online.iter();
        online.any(|online| online.user == user && !online.leaving)
    }

    pub(crate) fn remove_online(&mut self, user: UserKey) {
        self.online.retain(|online| online.user != user);
    }
}

/// What is going on in a conversation.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// A load is under way.
    pub(crate) loading: bool,
    /// Grows when members or blocks change, so that an overtaken load is noticed.
    pub(crate) epoch: u32,
    /// Requests that wait for the load or for `holds`.
    pub(crate) waiting: VecDeque<Box<Job>>,
    /// Changes that wait for the outcome of an earlier command.
    pub(crate) parked: Vec<(Nonce, Box<Job>)>,
    /// Commands for which something is read before they are decided.
    pub(crate) undecided: Vec<(UserId, Nonce)>,
    /// Commands for which blocks are read before they are decided.
    #[expect(clippy::vec_box, reason = "jobs come and go as boxes")]
    pub(crate) asking: Vec<Box<Job>>,
    /// Commands submitted and not answered.
    pub(crate) flying: Vec<(UserId, Nonce)>,
    /// Entries on their way to the log.
    pub(crate) entries_flying: u64,
    /// Published while the state was not here.
    pub(crate) held: VecDeque<Published>,
    /// Something was held for too long and dropped.
    pub(crate) held_dropped: bool,
    /// Entries for online users who await their head.
    pub(crate) awaiting: Vec<Awaiting>,
    /// Blocks under way that decide about this conversation.
    pub(crate) holds: u32,
    /// Other operations under way that name this slot's key.
    pub(crate) pins: u32,
    /// Members whose receipts wait.
    pub(crate) receipts: Vec<UserId>,
}

/// What an online user misses while their head is read.
#[derive(Debug)]
pub(crate) struct Awaiting {
    pub(crate) user: UserKey,
    pub(crate) held: Vec<Published>,
    /// Something found no place: another head is needed.
    pub(crate) missed: bool,
    /// Their head is being read.
    pub(crate) asked: bool,
}

impl Work {
    fn is_idle(&self) -> bool {
        !self.loading
            && self.waiting.is_empty()
            && self.parked.is_empty()
            && self.undecided.is_empty()
            && self.flying.is_empty()
            && self.held.is_empty()
            && self.awaiting.is_empty()
            && self.holds == 0
            && self.pins == 0
            && self.receipts.is_empty()
    }
}

/// Conversations looked at for one eviction.
const EVICTION_LOOKS: usize = 64;
/// Places of the clock that may be of no use before they are looked through.
const CLOCK_SLACK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rate::Bucket, storage::LoadedConversation};

    #[test]
    fn what_does_not_exist_leaves_nothing() {
        let mut conversations = Conversations::default();
        for place in 0..10_000u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&place.to_be_bytes());
            let key = conversations.open(ConversationId(id));
            let loaded = LoadedConversation::default();
            let loaded = Loaded::new(loaded, false, Bucket::full(1, 0));
            conversations.put(key, Box::new(loaded));
            conversations.release(key);
        }
        assert_eq!((conversations.loaded, conversations.slots.len()), (0, 0));
        assert!(conversations.by_id.is_empty());
        assert!(conversations.clock.len() <= CLOCK_SLACK + 2);
    }
}
