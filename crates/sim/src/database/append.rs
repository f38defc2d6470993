//! What takes a number, and what is done with it.

use super::*;

impl Database {
    pub(super) fn append(&mut self, append: Append) -> Appended {
        let command = &append.command;
        if let Some(outcome) = self.known(&command.user, command.nonce) {
            return Appended::Known(outcome);
        }
        if command
            .after
            .is_some_and(|after| !self.nonces.contains_key(&(command.user.clone(), after)))
        {
            return Appended::OutOfOrder;
        }
        let (entries, bumps_version, members, records) = match append.effect {
            Effect::Refuse(code) => {
                let outcome = Outcome::Refused(code);
                self.remember(command, outcome);
                return refused(outcome);
            }
            Effect::Entries {
                entries,
                bumps_version,
                members,
                records,
            } => (entries, bumps_version, members, records),
        };
        let version = self
            .conversations
            .get(&append.conversation)
            .map(|conversation| conversation.version);
        if version != append.expected_version && !(self.breaks.removal_race && version.is_some()) {
            return Appended::Stale;
        }
        if let Some(new) = append
            .create
            .as_ref()
            .filter(|new| new.kind == ConversationKind::Direct)
        {
            let pairs = new.members.iter().flat_map(|(one, _)| {
                new.members
                    .iter()
                    .map(move |(other, _)| (one.clone(), other.clone()))
            });
            if pairs.into_iter().any(|pair| self.blocks.contains(&pair))
                && entries.iter().any(|entry| !entry.private)
            {
                return Appended::Stale;
            }
        }
        for source in entries.iter().flat_map(|entry| &entry.sources) {
            let found = self.conversations.get(&source.conversation);
            let item = found.and_then(|it| it.get(source.sequence));
            let marked = self
                .copies
                .iter()
                .any(|copy| copy.due && copy.message == (source.conversation, source.sequence));
            let as_read = |rev| {
                item.is_some_and(|it| it.entry.tombstone.is_none() && it.entry.body_rev() == rev)
            };
            if source.rev.is_some_and(|rev| marked || !as_read(rev)) {
                return Appended::Stale;
            }
        }
        for entry in &entries {
            if let Some((target, rev)) = entry.target {
                let item = self
                    .conversations
                    .get(&append.conversation)
                    .and_then(|c| c.get(target));
                if item.is_none_or(|item| {
                    item.entry.body_rev() != rev
                        || item.entry.tombstone.is_some()
                        || item.meta.target != 0
                        || (entry.facet.as_ref())
                            .is_some_and(|op| !facets::is_possible(&item.entry, op, &entry.sender))
                }) {
                    return Appended::Stale;
                }
            }
        }
        let joins = (entries.iter().filter_map(|entry| entry.member.as_ref())).chain(&members);
        if self.is_child_stale(append.conversation, append.child.as_deref(), joins) {
            return Appended::Stale;
        }
        let mut entries = entries;
        let mut records = records;
        let Ok(cast) = ballots::cast(self, append.conversation, &entries, append.command.now);
        match cast {
            None => {}
            Some(Cast::Old) => {
                let outcome = Outcome::Refused(Code::LimitReached);
                self.remember(&append.command, outcome);
                return refused(outcome);
            }
            Some(Cast::Same) => entries.clear(),
            Some(Cast::Counts {
                entries: known,
                record,
            }) => {
                entries = known;
                if !self.breaks.ballot_forgotten {
                    records.push(record);
                }
            }
        }
        let mut changed = BTreeSet::new();
        if let Some(new) = append.create {
            let conversation = Conversation::new(&new);
            self.conversations
                .entry(append.conversation)
                .or_insert(conversation);
            for (user, role) in new.members {
                let name = self.name(&user);
                let off = self.receipts_off(&user);
                if let Some(conversation) = self.conversations.get_mut(&append.conversation) {
                    let member = conversation.member(&user, &name, off);
                    member.role = Some(role);
                    member.intervals.push(Interval {
                        from: 1,
                        until: None,
                    });
                    changed.insert(user);
                }
            }
        }
        let next = self.last(append.conversation) + 1;
        let mut done = Vec::new();
        let mut own = Vec::new();
        let passed: Vec<NewEntry> = (entries.iter())
            .filter(|entry| entry.member.is_some() || entry.kind == EntryKind::Dissolved)
            .cloned()
            .collect();
        for entry in entries {
            own.extend(self.message_own(append.conversation, &entry, append.command.now));
            let member = entry.member.clone();
            let made = self.add(append.conversation, entry);
            if let Some(op) = member {
                changed.insert(self.member_op(append.conversation, made.meta.sequence, op));
            }
            done.push(made);
        }
        for op in members {
            changed.insert(self.member_op(append.conversation, next, op));
        }
        let Some(conversation) = self.conversations.get_mut(&append.conversation) else {
            return Appended::Stale;
        };
        if let Some(shape) = append.shape {
            conversation.name = shape.name;
            conversation.history = shape.history_for_joiners;
            conversation.settings = shape.settings;
        }
        conversation.dissolved |= done
            .iter()
            .any(|entry| entry.meta.kind == EntryKind::Dissolved);
        for op in &append.links {
            op.carry_out(&mut conversation.links);
        }
        conversation.version += u64::from(bumps_version);
        let version = conversation.version;
        let members = changed
            .iter()
            .filter_map(|user| conversation.members.get(user).cloned())
            .collect::<Vec<_>>();
        let first = done.first();
        let outcome = Outcome::Done {
            conversation: Some(append.conversation),
            sequence: first.map_or(0, |entry| entry.meta.sequence),
            ordinal: first.map_or(0, |entry| entry.meta.ordinal),
            at: first.map_or(append.command.now, |entry| entry.meta.at),
            expires: first
                .and_then(|entry| decode::<Entry>(&entry.body).ok())
                .map_or(0, |entry| entry.ends()),
        };
        self.remember(&append.command, outcome);
        let mut below = below::Below::default();
        if let Some(child) = append.child {
            self.child_op(*child, &mut below);
        }
        for entry in passed {
            self.pass_down(append.conversation, &entry, &mut below);
        }
        let records = (records.into_iter().chain(own))
            .map(|(user, mut new)| {
                if new.record.kind == UserRecordKind::Rights && new.record.value == 0 {
                    let row = members.iter().find(|row: &&MemberRow| row.user == user);
                    new.record.value = row.map_or(0, |row| row.rights);
                }
                self.record(user, new)
            })
            .chain(below.records)
            .collect();
        Appended::Done(Done {
            outcome,
            entries: done,
            version,
            records,
            members,
            children: below.children,
        })
    }

    /// Gives an entry its number and keeps it; what is returned is what readers get live.
    pub(super) fn add(&mut self, id: ConversationId, new: NewEntry) -> StoredEntry {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            // The version check above has found it.
            return StoredEntry {
                meta: empty_meta(&new.sender),
                body: Bytes::new(),
            };
        };
        let sequence = conversation.last() + 1;
        let rows = new.sources.iter().map(|source| CopyRow {
            source: (source.conversation, source.sequence),
            message: (id, sequence),
            place: source.place,
            due: false,
        });
        self.copies.extend(rows);
        let before = conversation
            .entries
            .last()
            .map_or((0, 0), |last| (last.meta.ordinal, last.meta.at));
        let mut entry = Entry {
            conversation: id,
            sequence,
            kind: new.kind,
            sender: new.sender.clone(),
            at: new.at.max(before.1),
            ordinal: 0,
            rev: 0,
            nonce: new.nonce,
            target: new.target.map_or(0, |(target, _)| target),
            header: new.header,
            content: new.content,
            edited: false,
            tombstone: new.tombstone,
            member: new
                .member
                .as_ref()
                .filter(|_| new.kind != EntryKind::Message)
                .map(|op| {
                    member_change(
                        op,
                        if new.kind == EntryKind::Created {
                            conversation.name.clone()
                        } else {
                            String::new()
                        },
                    )
                }),
            body_rev: 0,
            facets: Vec::new(),
        };
        let countable = entry.is_countable();
        entry.ordinal = before.0 + u64::from(countable);
        let mut meta = EntryMeta {
            sequence,
            kind: entry.kind,
            sender: new.sender,
            at: entry.at,
            ordinal: entry.ordinal,
            countable,
            rev: sequence,
            private: new.private,
            audience: new.audience,
            target: entry.target,
            target_sender: None,
            target_private: false,
            mentions: entry
                .header
                .as_ref()
                .map_or_else(Vec::new, |header| header.mentions.clone()),
            mention_roles: entry
                .header
                .as_ref()
                .map_or(0, |header| role_set(&header.mention_roles)),
            mention_all: entry
                .header
                .as_ref()
                .is_some_and(|header| header.mention_all),
            pinned: false,
            expires: entry.due(),
            expired: false,
        };
        if let (Some(op), Some(target)) = (&new.facet, conversation.get(entry.target)) {
            let op = &spoil(self.breaks, op, &target.entry, &entry.sender);
            let facet = facets::carry_out(&target.entry, op, &entry.sender, entry.at);
            entry.facets.push(facet);
        }
        let live = entry.clone();
        if let Some(target) = conversation.get_mut(entry.target) {
            meta.target_sender = Some(target.meta.sender.clone());
            meta.target_private = target.meta.private;
            let facets = target.entry.facets.clone();
            if new.keeps_revision
                && matches!(entry.kind, EntryKind::Edit | EntryKind::Recall)
                && !target.entry.content.is_empty()
            {
                let rev = target.entry.body_rev();
                let before = target.body_at.unwrap_or(target.entry.at);
                target.revisions.push(Revision {
                    rev,
                    at: before,
                    content: target.entry.content.clone(),
                });
                target.body_at = Some(entry.at);
                if target.revisions.len() > limits::REVISIONS_MAX {
                    target.revisions.remove(1);
                }
            }
            target.entry.apply(&entry);
            let message = (id, entry.target);
            let gone = target.entry.tombstone.is_some();
            (self.copies).retain(|copy| {
                copy.message != message || !(gone || new.withdraws.contains(&copy.place))
            });
            if entry.kind == EntryKind::Recall
                && entry.tombstone == Some(Tombstone::RecalledByAdmin)
            {
                let copies = self.copies.iter_mut();
                let of_it = copies.filter(|copy| copy.source == message);
                of_it.for_each(|copy| copy.due = true);
            }
            if self.breaks.recall_keeps_facets {
                target.entry.facets = match entry.kind {
                    EntryKind::Recall => facets,
                    _ => std::mem::take(&mut target.entry.facets),
                };
            }
            target.meta.rev = sequence;
            target.meta.pinned = facets::is_pinned(&target.entry.facets);
            target.meta.expires = target.entry.due();
            if target.entry.tombstone.is_some() {
                target.meta.mentions.clear();
                target.meta.mention_all = false;
                target.meta.mention_roles = 0;
                target.meta.expired =
                    entry.kind == EntryKind::Expire && !self.breaks.expired_unread;
            }
            if matches!(entry.kind, EntryKind::Expire | EntryKind::Withdraw) {
                target.revisions.clear();
            }
            entry.content = Bytes::new();
            entry.facets.clear();
        }
        conversation.entries.push(Stored {
            meta: meta.clone(),
            entry,
            revisions: Vec::new(),
            body_at: None,
        });
        StoredEntry {
            meta,
            body: encode(&live).into(),
        }
    }

    pub(super) fn member_op(&mut self, id: ConversationId, at: Sequence, op: MemberOp) -> UserId {
        let user = op.user().clone();
        let name = self.name(&user);
        let off = self.receipts_off(&user);
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return user;
        };
        let member = conversation.member(&user, &name, off);
        match op {
            MemberOp::Join { role, history, .. } => {
                member.role = Some(role);
                member.invited_by = None;
                member.asked = false;
                member.ban = None;
                let from = if history == 0 {
                    at
                } else {
                    at.saturating_sub(history).max(1)
                };
                // Devices hold skips of what was withheld in the last membership; now it is not.
                if member.intervals.last().is_some_and(|last| last.from > from) {
                    member.rights += 1;
                }
                // What reaches into an earlier membership takes it in.
                let mut from = from;
                while let Some(last) = member.intervals.last()
                    && last.until.is_some_and(|until| until + 1 >= from)
                {
                    from = from.min(last.from);
                    member.intervals.pop();
                }
                member.intervals.push(Interval { from, until: None });
            }
            MemberOp::Leave { .. } => {
                member.role = None;
                if let Some(interval) = member.intervals.last_mut() {
                    interval.until = Some(at);
                }
            }
            MemberOp::SetRole { role, .. } => member.role = Some(role),
            MemberOp::Invite { by, .. } => member.invited_by = Some(by),
            MemberOp::Uninvite { .. } => member.invited_by = None,
            MemberOp::Ask { .. } => member.asked = true,
            MemberOp::Unask { .. } => member.asked = false,
            MemberOp::Mute { until, .. } => member.muted_until = until,
            MemberOp::Unban { .. } => member.ban = None,
            MemberOp::Ban { ban, .. } => {
                if member.role.take().is_some()
                    && let Some(interval) = member.intervals.last_mut()
                {
                    interval.until = Some(at);
                }
                member.invited_by = None;
                member.asked = false;
                member.ban = Some(ban);
            }
            MemberOp::Profile {
                name, attributes, ..
            } => {
                member.name_here = name.unwrap_or(std::mem::take(&mut member.name_here));
                member.attributes = attributes.unwrap_or(std::mem::take(&mut member.attributes));
            }
            MemberOp::Delete { upto, numbers, .. } => {
                let mut deleted = member.deleted.clone();
                let kept = deleted.add(upto, &numbers);
                member.rights += u64::from(kept);
                if !self.breaks.deleted_comes_back {
                    member.deleted = deleted;
                }
            }
        }
        user
    }
}

/// A refusal: it leaves its outcome, and nothing else.
fn refused(outcome: Outcome) -> Appended {
    Appended::Done(Done {
        outcome,
        entries: Vec::new(),
        version: 0,
        records: Vec::new(),
        members: Vec::new(),
        children: Vec::new(),
    })
}

/// A built-in fault: a vote that leaves the one before.
fn spoil(breaks: Breaks, op: &FacetOp, item: &Entry, by: &UserId) -> FacetOp {
    match op {
        FacetOp::Vote { choices } if breaks.vote_twice => {
            let before = facets::votes(&item.facets);
            let kept = before.options.iter().filter(|one| one.users.contains(by));
            let kept = kept.map(|one| one.option);
            FacetOp::Vote {
                choices: choices.iter().copied().chain(kept).collect(),
            }
        }
        other => other.clone(),
    }
}

fn empty_meta(sender: &UserId) -> EntryMeta {
    EntryMeta {
        sequence: 0,
        kind: EntryKind::Message,
        sender: sender.clone(),
        at: 0,
        ordinal: 0,
        countable: false,
        rev: 0,
        private: false,
        audience: None,
        target: 0,
        target_sender: None,
        target_private: false,
        mentions: Vec::new(),
        mention_all: false,
        mention_roles: 0,
        pinned: false,
        expires: 0,
        expired: false,
    }
}

fn member_change(op: &MemberOp, name: String) -> MemberChange {
    MemberChange {
        name,
        ..op.change()
    }
}
