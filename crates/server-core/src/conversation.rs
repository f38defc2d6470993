//! A conversation in memory: what was committed, and who of this node is to hear of it.

use std::collections::{HashMap, VecDeque};

use fireside_protocol::{
    ConversationId, ConversationKind, Nonce, Ordinal, Role, Sequence, UserId, WallMs,
};

use crate::{
    commands::Job,
    node::{Published, SessionKey},
    rate::Bucket,
    rights::{Interval, Reader},
    slab::Slab,
    storage::{ConversationRow, Done, LoadedConversation, MemberRow, NewConversation},
};

/// Key of a conversation in this node's memory.
pub(crate) type ConversationKey = u32;
/// Key of a user with a session on this node.
pub(crate) type UserKey = u32;

/// All conversations this node knows something of.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    slots: Slab<Slot>,
    by_id: HashMap<ConversationId, ConversationKey>,
    /// Loaded ones, for eviction by second chance.
    clock: VecDeque<ConversationKey>,
    pub(crate) loaded: usize,
}

impl Conversations {
    pub(crate) fn key(&self, id: ConversationId) -> Option<ConversationKey> {
        self.by_id.get(&id).copied()
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
        }
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

/// A conversation's committed state.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// `None`: it does not exist.
    pub(crate) row: Option<ConversationRow>,
    /// All who are, were or are invited to be members, by user id.
    pub(crate) members: Vec<Member>,
    /// Members now.
    pub(crate) member_count: usize,
    /// Who blocks whom among the two of a direct conversation.
    pub(crate) blocks: Vec<(UserId, UserId)>,
    /// Whether the blocks of the two users of a direct conversation that may not exist were asked for.
    pub(crate) knows_peers: bool,
    /// Overtaken: must be loaded again before anything is decided or delivered.
    pub(crate) dirty: bool,
    /// Whether [`Online::member`] is right.
    pub(crate) indexed: bool,
    /// Touched since the eviction last looked.
    pub(crate) used: bool,
    /// Entries of all members.
    pub(crate) rate: Bucket,
    /// When receipts may go out next, in monotonic ms.
    pub(crate) receipts_at: u64,
}

/// A member's record in memory.
#[derive(Debug)]
pub(crate) struct Member {
    /// Their rights.
    pub(crate) reader: Reader,
    /// `None`: not a member now.
    pub(crate) role: Option<Role>,
    /// Who invited them.
    pub(crate) invited_by: Option<UserId>,
    /// Read marker.
    pub(crate) read: Sequence,
    /// Delivered marker.
    pub(crate) delivered: Sequence,
}

impl Member {
    fn new(row: MemberRow) -> Self {
        Self {
            reader: Reader {
                user: row.user,
                intervals: row.intervals,
                blocked: std::collections::HashSet::new(),
            },
            role: row.role,
            invited_by: row.invited_by,
            read: row.read,
            delivered: row.delivered,
        }
    }

    /// The last number this member gets; `None`: all.
    pub(crate) fn until(&self) -> Option<Sequence> {
        self.reader
            .intervals
            .last()
            .map_or(Some(0), |last| last.until)
    }
}

impl Loaded {
    pub(crate) fn new(loaded: LoadedConversation, knows_peers: bool, rate: Bucket) -> Self {
        let mut members: Vec<Member> = loaded.members.into_iter().map(Member::new).collect();
        members.sort_unstable_by(|one, other| one.reader.user.cmp(&other.reader.user));
        let mut this = Self {
            row: loaded.row,
            member_count: 0,
            members,
            blocks: Vec::new(),
            knows_peers,
            dirty: false,
            indexed: false,
            used: true,
            rate,
            receipts_at: 0,
        };
        for (blocker, blocked) in loaded.blocks {
            this.set_block(&blocker, &blocked, true);
        }
        this.count_members();
        this
    }

    pub(crate) fn is_group(&self) -> bool {
        let row = self.row.as_ref();
        row.is_some_and(|row| row.kind != ConversationKind::Direct)
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.row.as_ref().map(|row| row.version)
    }

    pub(crate) fn last(&self) -> Sequence {
        self.row.as_ref().map_or(0, |row| row.last)
    }

    /// Where a user is in `members`, or would be.
    pub(crate) fn place(&self, user: &UserId) -> Result<usize, usize> {
        self.members
            .binary_search_by(|member| member.reader.user.cmp(user))
    }

    pub(crate) fn member(&self, user: &UserId) -> Option<&Member> {
        self.members.get(self.place(user).ok()?)
    }

    pub(crate) fn member_mut(&mut self, user: &UserId) -> Option<&mut Member> {
        let place = self.place(user).ok()?;
        self.members.get_mut(place)
    }

    /// The role of a present member.
    pub(crate) fn role(&self, user: &UserId) -> Option<Role> {
        self.member(user)?.role
    }

    /// Whether the two of a direct conversation are closed to each other.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.blocks.is_empty()
    }

    /// Notes a block or its end.
    pub(crate) fn set_block(&mut self, blocker: &UserId, blocked: &UserId, on: bool) {
        if self.is_group() {
            if let Some(member) = self.member_mut(blocker) {
                if on {
                    member.reader.blocked.insert(blocked.clone());
                } else {
                    member.reader.blocked.remove(blocked);
                }
            }
            return;
        }
        self.blocks
            .retain(|(one, other)| (one, other) != (blocker, blocked));
        if on {
            self.blocks.push((blocker.clone(), blocked.clone()));
        }
    }

    /// Takes over a durable append. Answers the users whose record changed.
    pub(crate) fn apply(
        &mut self,
        id: ConversationId,
        done: &Done,
        create: Option<&NewConversation>,
    ) -> Vec<UserId> {
        let last = done.entries.last().map(|entry| &entry.meta);
        match (&mut self.row, create) {
            (None, Some(new)) => {
                self.row = Some(ConversationRow {
                    id,
                    kind: new.kind,
                    version: done.version,
                    name: new.name.clone(),
                    history_for_joiners: new.history_for_joiners,
                    first: 1,
                    last: 0,
                    ordinal: 0,
                    last_at: 0,
                });
                for (user, role) in &new.members {
                    self.merge_member(MemberRow {
                        user: user.clone(),
                        role: Some(*role),
                        intervals: vec![Interval {
                            from: 1,
                            until: None,
                        }],
                        invited_by: None,
                        read: 0,
                        delivered: 0,
                        rights: 0,
                        name: String::new(),
                    });
                }
            }
            (Some(row), _) => row.version = row.version.max(done.version),
            (None, None) => {}
        }
        if let (Some(row), Some(meta)) = (&mut self.row, last)
            && meta.sequence > row.last
        {
            row.last = meta.sequence;
            row.ordinal = meta.ordinal;
            row.last_at = meta.at;
        }
        let mut changed: Vec<UserId> = Vec::new();
        if let Some(new) = create {
            changed.extend(new.members.iter().map(|(user, _)| user.clone()));
        }
        for row in &done.members {
            if !changed.contains(&row.user) {
                changed.push(row.user.clone());
            }
            self.merge_member(row.clone());
        }
        self.count_members();
        changed
    }

    /// Replaces what a newer load says, but never goes back in numbers and markers.
    pub(crate) fn carry_over(&mut self, older: &Self) {
        if let (Some(row), Some(old)) = (&mut self.row, &older.row)
            && old.last > row.last
        {
            row.last = old.last;
            row.ordinal = old.ordinal;
            row.last_at = old.last_at;
        }
        for old in &older.members {
            if let Some(member) = self.member_mut(&old.reader.user) {
                member.read = member.read.max(old.read);
                member.delivered = member.delivered.max(old.delivered);
            }
        }
        self.rate = older.rate;
        self.receipts_at = older.receipts_at;
        self.knows_peers |= older.knows_peers;
    }

    fn merge_member(&mut self, row: MemberRow) {
        match self.place(&row.user) {
            Ok(place) => {
                let Some(member) = self.members.get_mut(place) else {
                    return;
                };
                member.read = member.read.max(row.read);
                member.delivered = member.delivered.max(row.delivered);
                member.role = row.role;
                member.invited_by = row.invited_by;
                member.reader.intervals = row.intervals;
            }
            Err(place) => {
                self.members.insert(place, Member::new(row));
                self.indexed = false;
                // Whom a newcomer blocks among the others is not known here.
                self.dirty |= self.is_group();
            }
        }
    }

    fn count_members(&mut self) {
        let now = self.members.iter().filter(|member| member.role.is_some());
        self.member_count = now.count();
    }

    /// The number and ordinal an entry would get behind those on their way. Only for built-in faults.
    pub(crate) fn guess(&self, flying: u64) -> (Sequence, Ordinal, WallMs) {
        self.row
            .as_ref()
            .map_or((flying + 1, flying + 1, 0), |row| {
                let next = row.last + flying + 1;
                (next, row.ordinal + flying + 1, row.last_at)
            })
    }
}

/// Conversations looked at for one eviction.
const EVICTION_LOOKS: usize = 64;
