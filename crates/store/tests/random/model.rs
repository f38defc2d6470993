//! What the operations mean, over plain maps: the store's answers are compared with it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, MemberChange, Nonce, Settings, Tombstone,
    UserId, encode,
    frames::{Link, UserRecord, UserRecordKind},
};
use fireside_server_core::{
    facets::{carry_out, is_pinned, is_possible},
    rights::{EntryMeta, Interval},
    storage::{
        Append, Appended, BlockSet, Command, ConversationRow, Done, Effect, Item, LinkOp,
        LoadedConversation, Mark, MemberOp, MemberRow, NewEntry, Outcome, Reply, SetBlock,
        StoredEntry,
    },
};

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) conversations: BTreeMap<ConversationId, Conversation>,
    pub(crate) nonces: BTreeMap<(UserId, Nonce), Outcome>,
    pub(crate) logs: BTreeMap<UserId, Vec<UserRecord>>,
    blocks: BTreeSet<(UserId, UserId)>,
    ends: BTreeMap<UserId, u64>,
}

#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) row: ConversationRow,
    pub(crate) entries: Vec<(EntryMeta, Entry)>,
    pub(crate) members: BTreeMap<UserId, MemberRow>,
    pub(crate) links: Vec<Link>,
}

impl Model {
    pub(crate) fn append(&mut self, append: &Append) -> Appended {
        let command = &append.command;
        let key = (command.user.clone(), command.nonce);
        if let Some(outcome) = self.nonces.get(&key) {
            return Appended::Known(*outcome);
        }
        if let Some(after) = command.after
            && !self.nonces.contains_key(&(command.user.clone(), after))
        {
            return Appended::OutOfOrder;
        }
        let Effect::Entries {
            entries,
            bumps_version,
            members,
            records,
        } = &append.effect
        else {
            let Effect::Refuse(code) = append.effect else {
                unreachable!()
            };
            let outcome = Outcome::Refused(code);
            self.nonces.insert(key, outcome);
            let version = self
                .conversations
                .get(&append.conversation)
                .map_or(0, |c| c.row.version);
            return Appended::Done(Done {
                outcome,
                entries: Vec::new(),
                version,
                records: Vec::new(),
                members: Vec::new(),
                children: Vec::new(),
            });
        };
        let found = self.conversations.get(&append.conversation).cloned();
        let mut conversation = match (found, append.expected_version) {
            (Some(found), Some(version)) if found.row.version == version => found,
            (None, None) => match self.make(append, entries) {
                Some(made) => made,
                None => return Appended::Stale,
            },
            _ => return Appended::Stale,
        };
        let first = conversation.row.last + 1;
        let mut touched: Vec<UserId> = append
            .create
            .iter()
            .flat_map(|new| new.members.iter().map(|(user, _)| user.clone()))
            .collect();
        let mut stored = Vec::new();
        for new in entries {
            let Some(entry) = conversation.add(append, new) else {
                return Appended::Stale;
            };
            stored.push(entry);
            if let Some(op) = &new.member {
                conversation.member(op, conversation.row.last, first, &mut touched);
            }
        }
        for op in members {
            conversation.member(op, first, first, &mut touched);
        }
        for op in &append.links {
            match op {
                LinkOp::Create(link) => conversation.links.push(link.clone()),
                LinkOp::Remove(code) => conversation.links.retain(|link| link.code != *code),
                LinkOp::Use(code) => {
                    for link in &mut conversation.links {
                        link.used += u32::from(link.code == *code);
                    }
                }
            }
        }
        if let Some(shape) = &append.shape {
            conversation.row.name.clone_from(&shape.name);
            conversation.row.history_for_joiners = shape.history_for_joiners;
            conversation.row.settings = shape.settings.clone();
        }
        conversation.row.version += u64::from(*bumps_version);
        let outcome = Outcome::Done {
            conversation: Some(append.conversation),
            sequence: stored.first().map_or(0, |entry| entry.meta.sequence),
            ordinal: stored.first().map_or(0, |entry| entry.meta.ordinal),
            at: stored.first().map_or(command.now, |entry| entry.meta.at),
            expires: 0,
        };
        self.nonces.insert(key, outcome);
        let version = conversation.row.version;
        let members = touched
            .iter()
            .map(|user| conversation.members[user].clone())
            .collect();
        self.conversations.insert(append.conversation, conversation);
        let records = records
            .iter()
            .map(|(user, new)| (user.clone(), self.record(user, new.record.clone())));
        Appended::Done(Done {
            outcome,
            entries: stored,
            version,
            records: records.collect(),
            members,
            children: Vec::new(),
        })
    }

    fn make(&self, append: &Append, entries: &[NewEntry]) -> Option<Conversation> {
        let new = append.create.as_ref().unwrap();
        if new.kind == ConversationKind::Direct && !entries.iter().all(|entry| entry.private) {
            let (one, other) = (&new.members[0].0, &new.members[1].0);
            let pairs = [(one.clone(), other.clone()), (other.clone(), one.clone())];
            if pairs.iter().any(|pair| self.blocks.contains(pair)) {
                return None;
            }
        }
        let mut made = Conversation {
            row: ConversationRow {
                parent: None,
                id: append.conversation,
                kind: new.kind,
                version: 1,
                name: new.name.clone(),
                history_for_joiners: new.history_for_joiners,
                settings: Settings::default(),
                dissolved: false,
                first: 1,
                last: 0,
                ordinal: 0,
                last_at: 0,
            },
            entries: Vec::new(),
            members: BTreeMap::new(),
            links: Vec::new(),
        };
        for (user, role) in &new.members {
            let mut row = member(user);
            row.role = Some(*role);
            row.intervals = vec![Interval {
                from: 1,
                until: None,
            }];
            made.members.insert(user.clone(), row);
        }
        Some(made)
    }

    fn record(&mut self, user: &UserId, mut record: UserRecord) -> UserRecord {
        let end = self.ends.entry(user.clone()).or_default();
        *end += 1;
        record.sequence = *end;
        let key = |r: &UserRecord| {
            let other = if r.kind == UserRecordKind::Block {
                r.user.clone()
            } else {
                None
            };
            (r.kind, r.conversation, other)
        };
        let log = self.logs.entry(user.clone()).or_default();
        log.retain(|old| key(old) != key(&record));
        log.push(record.clone());
        record
    }

    pub(crate) fn mark(&mut self, marks: &[Mark]) -> Reply {
        let mut records = Vec::new();
        for mark in marks {
            let row = self.conversations.get_mut(&mark.conversation);
            let Some(row) = row.and_then(|c| c.members.get_mut(&mark.user)) else {
                continue;
            };
            row.delivered = row.delivered.max(mark.delivered);
            if mark.read > row.read {
                row.read = mark.read;
                let record = UserRecord {
                    value: mark.read,
                    at: mark.at,
                    ..blank(UserRecordKind::ReadMarker, Some(mark.conversation))
                };
                records.push((mark.user.clone(), self.record(&mark.user, record)));
            }
        }
        Reply::Marked(records)
    }

    pub(crate) fn block(&mut self, set: &SetBlock) -> BlockSet {
        let Command {
            user, nonce, now, ..
        } = &set.command;
        let mut reply = BlockSet {
            outcome: Outcome::Done {
                conversation: None,
                sequence: 0,
                ordinal: 0,
                at: *now,
                expires: 0,
            },
            bumped: Vec::new(),
            records: Vec::new(),
        };
        if let Some(outcome) = self.nonces.get(&(user.clone(), *nonce)) {
            reply.outcome = *outcome;
            return reply;
        }
        self.nonces.insert((user.clone(), *nonce), reply.outcome);
        let pair = (user.clone(), set.other.clone());
        let changed = if set.on {
            self.blocks.insert(pair)
        } else {
            self.blocks.remove(&pair)
        };
        if !changed {
            return reply;
        }
        let record = UserRecord {
            user: Some(set.other.clone()),
            gone: !set.on,
            at: *now,
            ..blank(UserRecordKind::Block, None)
        };
        reply
            .records
            .push((user.clone(), self.record(user, record)));
        let ids: Vec<_> = self.conversations.keys().copied().collect();
        for id in ids {
            let conversation = self.conversations.get_mut(&id).unwrap();
            if !conversation.members.contains_key(&set.other) {
                continue;
            }
            let Some(row) = conversation.members.get_mut(user) else {
                continue;
            };
            conversation.row.version += 1;
            reply.bumped.push((id, conversation.row.version));
            if conversation.row.kind == ConversationKind::Group && !row.intervals.is_empty() {
                row.rights += 1;
                let record = UserRecord {
                    value: row.rights,
                    at: *now,
                    ..blank(UserRecordKind::Rights, Some(id))
                };
                reply
                    .records
                    .push((user.clone(), self.record(user, record)));
            }
        }
        reply
    }

    pub(crate) fn load(&self, id: ConversationId) -> LoadedConversation {
        let Some(conversation) = self.conversations.get(&id) else {
            return LoadedConversation::default();
        };
        let inside = |user| conversation.members.contains_key(user);
        LoadedConversation {
            row: Some(conversation.row.clone()),
            members: conversation.members.values().cloned().collect(),
            blocks: self
                .blocks
                .iter()
                .filter(|(a, b)| inside(a) && inside(b))
                .cloned()
                .collect(),
            sent: conversation.sent(),
            links: conversation.links.clone(),
        }
    }

    pub(crate) fn item(&self, id: ConversationId, number: u64) -> Option<Item> {
        let (meta, entry) = self
            .conversations
            .get(&id)?
            .entries
            .get(number as usize - 1)?;
        (!meta.kind.is_change()).then(|| Item {
            meta: meta.clone(),
            entry: entry.clone(),
            pins: (self.conversations.get(&id).into_iter())
                .flat_map(|it| &it.entries)
                .filter(|(meta, _)| meta.pinned)
                .count(),
        })
    }

    pub(crate) fn memberships(&self, user: &UserId) -> Vec<ConversationId> {
        let is_in = |c: &Conversation| c.members.get(user).is_some_and(|row| row.role.is_some());
        self.conversations
            .iter()
            .filter(|(_, c)| is_in(c))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn end(&self, user: &UserId) -> u64 {
        self.ends.get(user).copied().unwrap_or(0)
    }
}

impl Conversation {
    fn sent(&self) -> Vec<(UserId, u64)> {
        if self.row.settings.slow_mode_ms.unwrap_or(0) == 0 {
            return Vec::new();
        }
        let messages = self.entries.iter().map(|(meta, _)| meta);
        let messages = messages.filter(|meta| meta.kind == EntryKind::Message);
        let last: BTreeMap<_, _> = messages
            .map(|meta| (meta.sender.clone(), meta.at))
            .collect();
        last.into_iter().collect()
    }

    fn add(&mut self, append: &Append, new: &NewEntry) -> Option<StoredEntry> {
        let target = match new.target {
            None => None,
            Some((number, rev)) => {
                let index = usize::try_from(number).ok()?.checked_sub(1)?;
                let (meta, entry) = self.entries.get(index)?;
                let impossible =
                    (new.facet.as_ref()).is_some_and(|op| !is_possible(entry, op, &new.sender));
                let stale = entry.body_rev() != rev || impossible;
                if stale || entry.tombstone.is_some() || meta.kind.is_change() {
                    return None;
                }
                Some(index)
            }
        };
        let row = &mut self.row;
        row.last += 1;
        row.last_at = row.last_at.max(new.at);
        let countable =
            new.kind == EntryKind::Message && new.header.as_ref().is_some_and(|h| !h.silent);
        row.ordinal += u64::from(countable);
        let entry = Entry {
            conversation: row.id,
            sequence: row.last,
            kind: new.kind,
            sender: new.sender.clone(),
            at: row.last_at,
            ordinal: row.ordinal,
            rev: 0,
            nonce: new.nonce,
            target: new.target.map_or(0, |(number, _)| number),
            header: new.header.clone(),
            content: new.content.clone(),
            edited: false,
            tombstone: (new.kind == EntryKind::Recall).then_some(Tombstone::Recalled),
            member: new
                .member
                .as_ref()
                .map(|op| member_change(op, new.kind, append)),
            body_rev: 0,
            facets: (new.facet.iter())
                .filter_map(|op| {
                    let (_, item) = self.entries.get(target?)?;
                    Some(carry_out(item, op, &new.sender, row.last_at))
                })
                .collect(),
        };
        let target_meta = target.map(|index| self.entries[index].0.clone());
        let meta = EntryMeta {
            sequence: entry.sequence,
            kind: entry.kind,
            sender: entry.sender.clone(),
            at: entry.at,
            ordinal: entry.ordinal,
            countable,
            rev: entry.sequence,
            private: new.private,
            audience: new.audience.clone(),
            target: entry.target,
            target_sender: target_meta.as_ref().map(|meta| meta.sender.clone()),
            target_private: target_meta.is_some_and(|meta| meta.private),
            mentions: new
                .header
                .as_ref()
                .map_or_else(Vec::new, |h| h.mentions.clone()),
            mention_all: false,
            mention_roles: 0,
            pinned: false,
            expires: entry.due(),
            expired: false,
        };
        if let Some(index) = target {
            let (meta, item) = &mut self.entries[index];
            assert!(item.apply(&entry));
            meta.rev = entry.sequence;
            meta.pinned = is_pinned(&item.facets);
            meta.expires = item.due();
            meta.expired = item.tombstone == Some(Tombstone::Expired);
            meta.mentions = item
                .header
                .as_ref()
                .map_or_else(Vec::new, |h| h.mentions.clone());
        }
        self.entries.push((meta.clone(), entry.clone()));
        Some(StoredEntry {
            meta,
            body: Bytes::from(encode(&entry)),
        })
    }

    fn member(&mut self, op: &MemberOp, number: u64, first: u64, touched: &mut Vec<UserId>) {
        let user = op.user();
        let row = self
            .members
            .entry(user.clone())
            .or_insert_with(|| member(user));
        if !touched.contains(user) {
            touched.push(user.clone());
        }
        match op {
            MemberOp::Join { role, history, .. } => {
                let from = if *history >= number {
                    1
                } else {
                    number - history
                };
                assert!(from <= number && first <= number);
                row.role = Some(*role);
                row.invited_by = None;
                row.asked = false;
                row.ban = None;
                let before = row.intervals.last().map(|last| last.from);
                if before.is_some_and(|before| from < before) {
                    row.rights += 1;
                }
                // The numbers seen so far and from now on, as stretches.
                let reaches = |i: &Interval| i.until.is_none_or(|until| until >= from);
                let from = row
                    .intervals
                    .iter()
                    .filter(|i| reaches(i))
                    .map(|i| i.from)
                    .min()
                    .unwrap_or(from)
                    .min(from);
                row.intervals.retain(|i| !reaches(i));
                row.intervals.push(Interval { from, until: None });
            }
            MemberOp::Leave { .. } => {
                row.role = None;
                if let Some(last) = row.intervals.last_mut() {
                    last.until.get_or_insert(number);
                }
            }
            MemberOp::SetRole { role, .. } if row.role.is_some() => row.role = Some(*role),
            MemberOp::SetRole { .. } => {}
            MemberOp::Invite { by, .. } => row.invited_by = Some(by.clone()),
            MemberOp::Uninvite { .. } => row.invited_by = None,
            MemberOp::Ask { .. } => row.asked = true,
            MemberOp::Unask { .. } => row.asked = false,
            MemberOp::Mute { until, .. } => row.muted_until = *until,
            MemberOp::Unban { .. } => row.ban = None,
            MemberOp::Ban { ban, .. } => {
                row.role = None;
                if let Some(last) = row.intervals.last_mut() {
                    last.until.get_or_insert(number);
                }
                row.invited_by = None;
                row.asked = false;
                row.ban = Some(ban.clone());
            }
            MemberOp::Profile {
                name, attributes, ..
            } => {
                if let Some(name) = name {
                    row.name_here = name.clone();
                }
                if let Some(attributes) = attributes {
                    row.attributes = attributes.clone();
                }
            }
            MemberOp::Delete { upto, numbers, .. } => {
                row.rights += u64::from(row.deleted.add(*upto, numbers));
            }
        }
    }
}

fn member_change(op: &MemberOp, kind: EntryKind, append: &Append) -> MemberChange {
    let mut change = op.change();
    let created = append
        .create
        .as_ref()
        .filter(|_| kind == EntryKind::Created);
    if let Some(new) = created {
        change.name.clone_from(&new.name);
    }
    change
}

fn member(user: &UserId) -> MemberRow {
    MemberRow::new(user.clone())
}

pub(crate) fn blank(kind: UserRecordKind, conversation: Option<ConversationId>) -> UserRecord {
    UserRecord {
        conversation,
        ..UserRecord::new(kind, 0)
    }
}
