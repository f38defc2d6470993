//! The server's state as plain data: what `SimStore` keeps, and how each operation changes it.
//!
//! Written apart from the SQLite store on purpose: both pass the same conformance suite, and neither copies the other's mistakes.

// With paths, as tests of `server-core` include this file from elsewhere.
#[path = "database/append.rs"]
mod append;
#[path = "database/children.rs"]
mod below;
#[path = "database/own.rs"]
mod own;
#[path = "database/reader.rs"]
mod reader;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ConversationKind, Entry, EntryKind, MemberChange, Nonce, RecordKey, Rev,
    Sequence, Settings, Tombstone, UserId, UserProfile, UserSequence, WallMs, decode, encode,
    frames::{Device, DevicesPage, Link, Revision, UserLogPage, UserRecord, UserRecordKind},
    limits,
    profile::ProfilesPage,
};
use fireside_server_core::{
    Breaks,
    ballots::{self, Cast},
    children,
    facets::{self, FacetOp},
    forward::originals,
    log, own as own_rules,
    reports::StoredReport,
    rights::{EntryMeta, Interval, role_set},
    storage::{
        Append, Appended, BlockSet, ChildDone, ChildOp, Command, ConversationRow, Done,
        EXPIRIES_READ_MAX, Effect, Expiring, Item, LoadedConversation, LoadedUser, LogReader,
        MEETINGS_READ_MAX, Mark, MemberOp, MemberRow, NewConversation, NewEntry, NewUserRecord, Op,
        Outcome, Parent, PutDevice, Reply, SetBlock, StoreError, StoredEntry, Tally, Target,
    },
};

/// Everything a server keeps.
#[derive(Clone, Debug, Default)]
pub struct Database {
    conversations: BTreeMap<ConversationId, Conversation>,
    users: BTreeMap<UserId, User>,
    nonces: BTreeMap<(UserId, Nonce), Outcome>,
    blocks: BTreeSet<(UserId, UserId)>,
    reports: Vec<StoredReport>,
    /// Built-in faults.
    pub breaks: Breaks,
    copies: Vec<CopyRow>,
    /// Outcomes made before the last restart are not found (a built-in fault).
    forgotten: BTreeSet<(UserId, Nonce)>,
}

#[derive(Clone, Debug)]
struct Conversation {
    kind: ConversationKind,
    parent: Option<Parent>,
    version: u64,
    name: String,
    history: u64,
    settings: Settings,
    dissolved: bool,
    links: Vec<Link>,
    entries: Vec<Stored>,
    members: BTreeMap<UserId, MemberRow>,
}

#[derive(Clone, Debug)]
struct Stored {
    meta: EntryMeta,
    entry: Entry,
    /// What its body said before.
    revisions: Vec<Revision>,
    /// When it came to say what it says now, if not from the first.
    body_at: Option<WallMs>,
}

/// A part of a message that is copied from another.
#[derive(Clone, Debug)]
struct CopyRow {
    source: (ConversationId, Sequence),
    message: (ConversationId, Sequence),
    place: u32,
    /// It is to go.
    due: bool,
}

#[derive(Clone, Debug, Default)]
struct User {
    name: String,
    sequence: UserSequence,
    log: BTreeMap<RecordKey, UserRecord>,
    devices: Vec<Device>,
}

impl Conversation {
    fn last(&self) -> Sequence {
        self.entries.len() as u64
    }

    fn row(&self, id: ConversationId) -> ConversationRow {
        let last = self.entries.last();
        ConversationRow {
            id,
            kind: self.kind,
            parent: self.parent,
            version: self.version,
            name: self.name.clone(),
            history_for_joiners: self.history,
            settings: self.settings.clone(),
            dissolved: self.dissolved,
            first: 1,
            last: self.last(),
            ordinal: last.map_or(0, |stored| stored.meta.ordinal),
            last_at: last.map_or(0, |stored| stored.meta.at),
        }
    }

    fn get(&self, sequence: Sequence) -> Option<&Stored> {
        self.entries
            .get(usize::try_from(sequence.checked_sub(1)?).ok()?)
    }

    fn get_mut(&mut self, sequence: Sequence) -> Option<&mut Stored> {
        self.entries
            .get_mut(usize::try_from(sequence.checked_sub(1)?).ok()?)
    }

    /// Who wrote when last, while members must wait for it.
    fn sent(&self) -> Vec<(UserId, WallMs)> {
        let mut last = BTreeMap::new();
        if self.settings.slow_mode_ms.unwrap_or(0) > 0 {
            for meta in self.entries.iter().map(|stored| &stored.meta) {
                if meta.kind == EntryKind::Message {
                    last.insert(meta.sender.clone(), meta.at);
                }
            }
        }
        last.into_iter().collect()
    }

    fn member(&mut self, user: &UserId, name: &str, receipts_off: bool) -> &mut MemberRow {
        self.members
            .entry(user.clone())
            .or_insert_with(|| MemberRow {
                name: name.to_owned(),
                receipts_off,
                ..MemberRow::new(user.clone())
            })
    }
}

fn stored(stored: &Stored) -> StoredEntry {
    StoredEntry {
        meta: stored.meta.clone(),
        body: encode(&stored.entry).into(),
    }
}

impl Database {
    /// The log of a conversation as it is: for the oracle's final comparison.
    #[must_use]
    pub fn entries(&self, id: ConversationId) -> Vec<(Entry, EntryMeta)> {
        let found = self.conversations.get(&id);
        found.map_or_else(Vec::new, |c| {
            c.entries
                .iter()
                .map(|s| (s.entry.clone(), s.meta.clone()))
                .collect()
        })
    }

    /// Entries that add previews, by place and number: the message, and when.
    #[must_use]
    pub fn previews(&self) -> BTreeMap<(ConversationId, Sequence), (Sequence, WallMs)> {
        let all = (self.conversations.iter())
            .flat_map(|(id, it)| it.entries.iter().map(|stored| (*id, &stored.meta)));
        all.filter(|(_, meta)| meta.kind == EntryKind::Preview)
            .map(|(id, meta)| ((id, meta.sequence), (meta.target, meta.at)))
            .collect()
    }

    /// All conversations with their kinds.
    pub fn conversations(&self) -> impl Iterator<Item = (ConversationId, ConversationKind)> + '_ {
        self.conversations
            .iter()
            .map(|(id, conversation)| (*id, conversation.kind))
    }

    /// The largest number of a conversation.
    #[must_use]
    pub fn last(&self, id: ConversationId) -> Sequence {
        self.conversations.get(&id).map_or(0, Conversation::last)
    }

    /// A user's read marker in a conversation.
    #[must_use]
    pub fn read_marker(&self, id: ConversationId, user: &UserId) -> Sequence {
        self.conversations
            .get(&id)
            .and_then(|c| c.members.get(user))
            .map_or(0, |row| row.read)
    }

    /// Whether `user` blocks `other`.
    #[must_use]
    pub fn blocks(&self, user: &UserId, other: &UserId) -> bool {
        self.blocks.contains(&(user.clone(), other.clone()))
    }

    /// What a restart does to the built-in faults.
    pub fn restarted(&mut self) {
        if self.breaks.dedupe_after_restart {
            self.forgotten = self.nonces.keys().cloned().collect();
        }
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// None of its own; reading cannot fail here.
    pub fn carry_out(&mut self, op: Op) -> Result<Reply, StoreError> {
        Ok(match op {
            Op::Append(append) => Reply::Appended(self.append(*append)),
            Op::Mark(marks) => {
                Reply::Marked(marks.into_iter().flat_map(|mark| self.mark(mark)).collect())
            }
            Op::SetBlock(block) => Reply::BlockSet(self.set_block(block)),
            Op::Report(report) => Reply::Reported(self.report(&report)?),
            Op::Reports(after, limit) => Reply::Reports(
                (self.reports.iter())
                    .filter(|report| report.number > after)
                    .take(limit as usize)
                    .cloned()
                    .collect(),
            ),
            Op::SetOwn(set) => Reply::OwnSet(self.set_own(&set)),
            Op::PutDevice(put) => {
                self.put_device(put);
                Reply::Done
            }
            Op::RemoveDevice { command, .. }
                if self.known(&command.user, command.nonce).is_some() =>
            {
                Reply::Done
            }
            Op::RemoveDevice { command, device } => {
                let user = self.users.entry(command.user.clone()).or_default();
                user.devices.retain(|known| known.device != device);
                self.remember(
                    &command,
                    Outcome::Done {
                        conversation: None,
                        sequence: 0,
                        ordinal: 0,
                        at: command.now,
                        expires: 0,
                    },
                );
                Reply::Done
            }
            Op::LoadConversation {
                conversation,
                peers,
            } => Reply::Conversation(Box::new(self.load_conversation(conversation, peers))),
            Op::LoadUser(user) => Reply::User(Box::new(LoadedUser {
                user_sequence: self.users.get(&user).map_or(0, |known| known.sequence),
                valid_after: 0,
                banned_until: 0,
                conversations: self
                    .conversations
                    .iter()
                    .filter(|(_, c)| c.members.get(&user).is_some_and(|m| m.role.is_some()))
                    .map(|(id, _)| *id)
                    .collect(),
                friends: (self.live_records(&user).iter())
                    .filter_map(|record| own_rules::friend_of(record).cloned())
                    .collect(),
                blocks: self.pairs(|(by, of)| (*by == user).then_some(of)),
                blocked_by: self.pairs(|(by, of)| (*of == user).then_some(by)),
            })),
            Op::Profiles(users) => {
                let known = users.into_iter().filter_map(|user| {
                    let held = self.users.get(&user)?;
                    let key = user_record(UserRecordKind::Profile, 0).key();
                    Some(UserProfile {
                        name: held.name.clone(),
                        ..own_rules::profile_of(&user, held.log.get(&key))
                    })
                });
                Reply::Profiles(ProfilesPage {
                    profiles: known.collect(),
                })
            }
            Op::LastSeen(users) => Reply::LastSeen(
                users
                    .into_iter()
                    .filter_map(|user| {
                        let devices = &self.users.get(&user)?.devices;
                        let last = devices.iter().map(|device| device.seen).max()?;
                        Some((user, last))
                    })
                    .collect(),
            ),
            Op::LoadItem {
                conversation,
                target,
            } => Reply::Item(Box::new(self.load_item(conversation, &target))),
            Op::Page { user, request } => match log::page(self, &user, &request)? {
                Some(page) => Reply::Page(Box::new(page)),
                None => Reply::NotFound,
            },
            Op::Heads {
                user,
                request,
                only,
            } => Reply::Heads(log::heads(self, &user, &request, &only)?),
            Op::UserLog { user, cursor, now } => Reply::UserLog(self.user_log(&user, cursor, now)),
            Op::Sync {
                user,
                cursor,
                request,
                now,
            } => {
                let log = self.user_log(&user, cursor, now);
                Reply::Sync(Box::new((log, log::heads(self, &user, &request, &[])?)))
            }
            Op::LoadMember { conversation, user } => {
                Reply::Member(Box::new(self.member(conversation, &user)?))
            }
            Op::Children { user, request } => match children::children(self, &user, &request)? {
                Some(page) => Reply::Children(page),
                None => Reply::NotFound,
            },
            Op::Members { user, request } => match log::members(self, &user, &request)? {
                Some(page) => Reply::Members(page),
                None => Reply::NotFound,
            },
            Op::Readers { user, request } => match log::readers(self, &user, &request)? {
                Some(page) => Reply::Readers(page),
                None => Reply::NotFound,
            },
            Op::Pins { user, request } => match log::pins(self, &user, &request)? {
                Some(page) => Reply::Pins(page),
                None => Reply::NotFound,
            },
            Op::Bans { user, request, now } => match log::bans(self, &user, &request, now)? {
                Some(page) => Reply::Bans(page),
                None => Reply::NotFound,
            },
            Op::Links { user, request } => match log::links(self, &user, &request)? {
                Some(page) => Reply::Links(page),
                None => Reply::NotFound,
            },
            Op::Meetings { after } => Reply::Meetings(self.meetings(after)),
            Op::Originals {
                user,
                conversation,
                numbers,
            } => {
                let reader = self.forwards_as(user, conversation, &numbers);
                Reply::Originals(originals(self, &reader, conversation, &numbers)?)
            }
            Op::Expiring { upto } => Reply::Expiring(self.expiring(upto)),
            Op::Revisions { user, request } => match log::revisions(self, &user, &request)? {
                Ok(page) => Reply::Revisions(page),
                Err(Code::Forbidden) => Reply::Forbidden,
                Err(_) => Reply::NotFound,
            },
            Op::Devices(user) => Reply::Devices(DevicesPage {
                devices: self
                    .users
                    .get(&user)
                    .map_or_else(Vec::new, |known| known.devices.clone()),
            }),
        })
    }

    /// A built-in fault: what a user forwards is looked at as its author sees it.
    fn forwards_as(&self, user: UserId, id: ConversationId, numbers: &[Sequence]) -> UserId {
        let first = numbers.first().filter(|_| self.breaks.forward_unseen);
        let found = self.conversations.get(&id);
        let item = first.and_then(|n| found?.get(*n));
        item.map_or(user, |item| item.meta.sender.clone())
    }

    fn withdrawn(&self) -> Vec<(ConversationId, Sequence, Vec<u32>)> {
        let mut due: BTreeMap<(ConversationId, Sequence), BTreeSet<u32>> = BTreeMap::new();
        for copy in self.copies.iter().filter(|copy| copy.due) {
            due.entry(copy.message).or_default().insert(copy.place);
        }
        let due = due.into_iter().take(EXPIRIES_READ_MAX);
        due.map(|((id, n), places)| (id, n, places.into_iter().collect()))
            .collect()
    }

    fn expiring(&self, upto: WallMs) -> Expiring {
        let entries = self.conversations.iter();
        let entries = entries.flat_map(|(id, c)| c.entries.iter().map(move |it| (*id, &it.meta)));
        let ends = entries.filter(|(_, meta)| meta.expires != 0);
        let mut ends: Vec<_> = ends
            .map(|(id, meta)| (meta.expires, id, meta.sequence))
            .collect();
        ends.sort_unstable();
        let due = ends.iter().take_while(|(expires, ..)| *expires <= upto);
        let due: Vec<_> = due
            .take(EXPIRIES_READ_MAX)
            .map(|(_, id, number)| (*id, *number))
            .collect();
        Expiring {
            next: ends.get(due.len()).map_or(0, |(expires, ..)| *expires),
            due,
            withdrawn: self.withdrawn(),
        }
    }

    fn meetings(&self, after: Option<ConversationId>) -> Vec<(ConversationId, WallMs)> {
        let open = self.conversations.iter().filter(|(id, c)| {
            let later = after.is_none_or(|after| **id > after);
            later && c.kind == ConversationKind::Meeting && !c.dissolved
        });
        let ends = open.map(|(id, c)| (*id, c.settings.ends.unwrap_or(0)));
        ends.take(MEETINGS_READ_MAX).collect()
    }

    /// Users of pairs of a blocker and whom they block.
    fn pairs<'s>(&'s self, of: impl Fn(&'s (UserId, UserId)) -> Option<&'s UserId>) -> Vec<UserId> {
        self.blocks.iter().filter_map(of).cloned().collect()
    }

    fn known(&self, user: &UserId, nonce: Nonce) -> Option<Outcome> {
        let key = (user.clone(), nonce);
        if self.breaks.dedupe || self.forgotten.contains(&key) {
            return None;
        }
        self.nonces.get(&key).copied()
    }

    fn remember(&mut self, command: &Command, outcome: Outcome) {
        let key = (command.user.clone(), command.nonce);
        self.forgotten.remove(&key);
        self.nonces.insert(key, outcome);
    }

    fn name(&self, user: &UserId) -> String {
        self.users
            .get(user)
            .map_or_else(String::new, |known| known.name.clone())
    }

    fn record(&mut self, user: UserId, new: NewUserRecord) -> (UserId, UserRecord) {
        let known = self.users.entry(user.clone()).or_default();
        known.sequence += 1;
        let mut record = new.record;
        record.sequence = known.sequence;
        known.log.insert(record.key(), record.clone());
        (user, record)
    }

    fn mark(&mut self, mark: Mark) -> Vec<(UserId, UserRecord)> {
        let conversation = self.conversations.get_mut(&mark.conversation);
        let Some(member) = conversation.and_then(|it| it.members.get_mut(&mark.user)) else {
            return Vec::new();
        };
        member.delivered = member.delivered.max(mark.delivered);
        if mark.read <= member.read {
            return Vec::new();
        }
        member.read = mark.read;
        let mut record = user_record(UserRecordKind::ReadMarker, mark.at);
        record.conversation = Some(mark.conversation);
        record.value = member.read;
        let own = (mark.user.clone(), mark.conversation, mark.at);
        let mut made = vec![self.record(mark.user, NewUserRecord { record })];
        made.extend(self.read_own(&own.0, own.1, own.2));
        made
    }

    fn set_block(&mut self, block: SetBlock) -> BlockSet {
        if let Some(outcome) = self.known(&block.command.user, block.command.nonce) {
            return BlockSet {
                outcome,
                bumped: Vec::new(),
                records: Vec::new(),
            };
        }
        let me = block.command.user.clone();
        let pair = (me.clone(), block.other.clone());
        let held = self.blocks.iter().filter(|(by, _)| *by == me).count();
        if block.on && !self.blocks.contains(&pair) && held >= limits::BLOCKS_MAX {
            let outcome = Outcome::Refused(Code::LimitReached);
            self.remember(&block.command, outcome);
            return BlockSet {
                outcome,
                bumped: Vec::new(),
                records: Vec::new(),
            };
        }
        let outcome = Outcome::Done {
            conversation: None,
            sequence: 0,
            ordinal: 0,
            at: block.command.now,
            expires: 0,
        };
        self.remember(&block.command, outcome);
        let changed = if block.on {
            self.blocks.insert(pair)
        } else {
            self.blocks.remove(&pair)
        };
        if !changed {
            return BlockSet {
                outcome,
                bumped: Vec::new(),
                records: Vec::new(),
            };
        }
        let mut record = user_record(UserRecordKind::Block, block.command.now);
        record.user = Some(block.other.clone());
        record.gone = !block.on;
        let mut records = vec![record];
        let mut bumped = Vec::new();
        for (id, conversation) in &mut self.conversations {
            if !conversation.members.contains_key(&me)
                || !conversation.members.contains_key(&block.other)
            {
                continue;
            }
            conversation.version += 1;
            bumped.push((*id, conversation.version));
            if conversation.kind != ConversationKind::Direct
                && let Some(member) = conversation.members.get_mut(&me)
            {
                member.rights += 1;
                let mut record = user_record(UserRecordKind::Rights, block.command.now);
                record.conversation = Some(*id);
                record.value = member.rights;
                records.push(record);
            }
        }
        let records = records
            .into_iter()
            .map(|record| self.record(me.clone(), NewUserRecord { record }))
            .collect();
        BlockSet {
            outcome,
            bumped,
            records,
        }
    }

    fn put_device(&mut self, put: PutDevice) {
        let user = self.users.entry(put.user.clone()).or_default();
        if !put.name.is_empty() {
            user.name.clone_from(&put.name);
            for conversation in self.conversations.values_mut() {
                if let Some(member) = conversation.members.get_mut(&put.user) {
                    member.name.clone_from(&put.name);
                }
            }
        }
        user.devices.retain(|known| known.device != put.device);
        user.devices.push(Device {
            device: put.device,
            platform: put.platform,
            agent: put.agent,
            seen: put.at,
            online: false,
        });
        while user.devices.len() > limits::DEVICES_PER_USER_MAX {
            user.devices.remove(0);
        }
    }

    fn load_conversation(
        &self,
        id: ConversationId,
        peers: Option<(UserId, UserId)>,
    ) -> LoadedConversation {
        let found = self.conversations.get(&id);
        let members: Vec<MemberRow> =
            found.map_or_else(Vec::new, |c| c.members.values().cloned().collect());
        let mut among: BTreeSet<&UserId> = members.iter().map(|member| &member.user).collect();
        if let Some((one, other)) = &peers {
            among.extend([one, other]);
        }
        let blocks = self
            .blocks
            .iter()
            .filter(|(by, of)| among.contains(by) && among.contains(of))
            .cloned()
            .collect();
        LoadedConversation {
            row: found.map(|conversation| conversation.row(id)),
            members,
            blocks,
            sent: found.map_or_else(Vec::new, Conversation::sent),
            links: found.map_or_else(Vec::new, |it| it.links.clone()),
        }
    }

    fn load_item(&self, id: ConversationId, target: &Target) -> Option<Item> {
        let sequence = match target {
            Target::Number(sequence) => *sequence,
            Target::Nonce(user, nonce) => match self.nonces.get(&(user.clone(), *nonce))? {
                Outcome::Done {
                    conversation,
                    sequence,
                    ..
                } if *conversation == Some(id) => *sequence,
                _ => return None,
            },
        };
        let item = self.conversations.get(&id)?.get(sequence)?;
        (item.meta.target == 0).then(|| Item {
            meta: item.meta.clone(),
            entry: item.entry.clone(),
            pins: self.conversations.get(&id).map_or(0, |it| {
                it.entries.iter().filter(|it| it.meta.pinned).count()
            }),
        })
    }

    fn user_log(&self, user: &UserId, cursor: UserSequence, now: WallMs) -> UserLogPage {
        let Some(known) = self.users.get(user) else {
            return UserLogPage {
                records: Vec::new(),
                cursor: 0,
                reload: cursor > 0,
                more: false,
            };
        };
        // A cursor from a future this database does not have: everything anew.
        let expired =
            |record: &&UserRecord| record.gone && record.at + limits::USER_TOMBSTONE_MS < now;
        // Of those with so much before them that a reload could not reach past them in one page nothing is forgotten.
        let before = |at: UserSequence| -> usize {
            let live = known.log.values().filter(|it| !it.gone && it.sequence < at);
            live.map(|it| it.body.len()).sum()
        };
        let horizon = known
            .log
            .values()
            .filter(expired)
            .map(|record| record.sequence)
            .filter(|at| before(*at) <= limits::PAGE_FRAME_BYTES_MAX / 2)
            .max();
        let missed = cursor > 0 && horizon.is_some_and(|horizon| cursor < horizon);
        let reload = cursor > known.sequence || missed;
        let cursor = if reload { 0 } else { cursor };
        let mut records: Vec<UserRecord> = known
            .log
            .values()
            .filter(|record| record.sequence > cursor)
            .cloned()
            .collect();
        records.retain(|record| !record.gone || record.at + limits::USER_TOMBSTONE_MS >= now);
        records.sort_by_key(|record| record.sequence);
        // A reload's first page reaches past all that expired, else its own cursor would be too old again.
        let horizon = horizon.unwrap_or_default();
        let past = records
            .iter()
            .filter(|record| record.sequence <= horizon)
            .count();
        let mut bytes = 0;
        let fit = records.iter().take_while(|record| {
            bytes += record.body.len();
            bytes <= limits::USER_LOG_PAGE_BYTES_MAX
        });
        let fit = fit.count().clamp(1, limits::USER_RECORDS_MAX as usize);
        let limit = past.max(fit);
        let more = records.len() > limit;
        records.truncate(limit);
        let cursor = if more {
            records.last().map_or(cursor, |record| record.sequence)
        } else {
            known.sequence
        };
        UserLogPage {
            records,
            cursor,
            reload,
            more,
        }
    }
}

/// A record with nothing in it.
#[must_use]
pub const fn user_record(kind: UserRecordKind, at: WallMs) -> UserRecord {
    UserRecord::new(kind, at)
}
