//! `Op::Append`: checked first, written then, so that what is refused leaves nothing.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ConversationKind, Entry, EntryKind, MemberChange, Role, Sequence,
    Tombstone, UserId, codec::encode, frames::UserRecordKind,
};
use fireside_server_core::{
    ballots::{self, Cast},
    facets::{carry_out, is_possible},
    rights::EntryMeta,
    storage::{
        Append, Appended, Done, Effect, MemberOp, MemberRow, NewConversation, NewEntry,
        NewUserRecord, Outcome, Shape, StoredEntry,
    },
};
use rusqlite::params;

use super::{
    children::Below,
    links,
    rows::{BODY, META, blob, decode_body, entry_meta, expires, flags, int, mentions, meta_of},
    trouble::Trouble,
    writer::{Head, Writer},
};

/// The parts of [`Effect::Entries`].
struct Addition<'a> {
    entries: &'a [NewEntry],
    bumps_version: bool,
    members: &'a [MemberOp],
    records: &'a [(UserId, NewUserRecord)],
}

/// An item that is changed, as it is with the changes so far.
pub(super) struct Changed {
    meta: EntryMeta,
    entry: Entry,
}

impl Writer<'_> {
    pub(super) fn append(&mut self, append: &Append) -> Result<Appended, Trouble> {
        let command = &append.command;
        let addition = match &append.effect {
            Effect::Refuse(code) => return self.refuse(append, Outcome::Refused(*code)),
            Effect::Entries {
                entries,
                bumps_version,
                members,
                records,
            } => Addition {
                entries,
                bumps_version: *bumps_version,
                members,
                records,
            },
        };
        let (head, mut changed) = match self.check(append, &addition)? {
            Ok(checked) => checked,
            Err(refused) => {
                let known = self.known(&command.user, command.nonce)?;
                return Ok(known.map_or(refused, Appended::Known));
            }
        };
        let (conversation, now) = (append.conversation, command.now);
        let cast = ballots::cast(self, conversation, addition.entries, now)?;
        let (addition, ballot) = match &cast {
            None => (addition, None),
            Some(Cast::Old) => {
                return self.refuse(append, Outcome::Refused(Code::LimitReached));
            }
            Some(Cast::Same) => {
                let entries = &[];
                (
                    Addition {
                        entries,
                        ..addition
                    },
                    None,
                )
            }
            Some(Cast::Counts { entries, record }) => (
                Addition {
                    entries,
                    ..addition
                },
                Some(record),
            ),
        };

        // Numbers need nothing but the head: the outcome is known before anything is written, so that the nonce's row can go first and
        // say in the same step whether it is new.
        let entries = number(conversation, append.create.as_ref(), head, addition.entries);
        let outcome = Outcome::Done {
            conversation: Some(conversation),
            sequence: entries.first().map_or(0, |entry| entry.sequence),
            ordinal: entries.first().map_or(0, |entry| entry.ordinal),
            at: entries.first().map_or(command.now, |entry| entry.at),
            expires: entries.first().map_or(0, Entry::ends),
        };
        if !self.remember(&command.user, command.nonce, &outcome, command.now)? {
            let known = self.known(&command.user, command.nonce)?;
            return known
                .map(Appended::Known)
                .ok_or_else(|| Trouble::damaged("outcome"));
        }

        let mut after = head;
        after.version += u64::from(addition.bumps_version);
        if let Some(new) = &append.create {
            after.number = self.create(conversation, new, after)?;
        } else if addition.bumps_version {
            self.conn
                .prepare_cached("UPDATE conversations SET version = ?2 WHERE id = ?1")?
                .execute(params![conversation.0, int(after.version)])?;
        }
        if let Some(shape) = &append.shape {
            self.put_shape(conversation, shape)?;
        }
        let mut touched = append.create.as_ref().map_or_else(Vec::new, |new| {
            new.members.iter().map(|(user, _)| user.clone()).collect()
        });
        let mut stored = Vec::with_capacity(entries.len());
        for (entry, new) in entries.iter().zip(addition.entries) {
            stored.push(self.put_entry(after.number, entry, new, &mut changed)?);
            (after.last, after.ordinal, after.last_at) = (entry.sequence, entry.ordinal, entry.at);
            if let Some(op) = &new.member {
                self.member_op(conversation, op, entry.sequence, &head, &mut touched)?;
            }
        }
        for op in addition.members {
            let number = head.last + 1;
            self.member_op(conversation, op, number, &head, &mut touched)?;
        }
        for op in &append.links {
            links::carry_out(self.conn, conversation, op)?;
        }
        if addition
            .entries
            .iter()
            .any(|entry| entry.kind == EntryKind::Dissolved)
        {
            self.conn
                .prepare_cached("UPDATE conversations SET dissolved = 1 WHERE id = ?1")?
                .execute(params![conversation.0])?;
        }
        self.heads.insert(conversation, after);
        let mut below = Below::default();
        if let Some(child) = &append.child {
            self.child_op(child, &mut below)?;
        }
        for new in addition.entries {
            self.pass_down(conversation, new, &mut below)?;
        }
        let mut records = Vec::with_capacity(addition.records.len());
        let members = self.members_now(conversation, &touched)?;
        for (user, new) in addition.records.iter().chain(ballot) {
            let mut record = new.record.clone();
            if record.kind == UserRecordKind::Rights && record.value == 0 {
                let row = members.iter().find(|row| row.user == *user);
                record.value = row.map_or(0, |row| row.rights);
            }
            records.push((user.clone(), self.put_record(user, record)?));
        }
        for new in addition.entries {
            let own = self.message_own(conversation, new, command.now)?;
            records.extend(own.map(|record| (new.sender.clone(), record)));
        }
        records.extend(below.records);
        Ok(Appended::Done(Done {
            outcome,
            entries: stored,
            version: after.version,
            records,
            members,
            children: below.children,
        }))
    }

    /// Remembers a refusal.
    fn refuse(&mut self, append: &Append, outcome: Outcome) -> Result<Appended, Trouble> {
        let command = &append.command;
        if let Some(after) = command.after
            && !self.has_outcome(&command.user, after)?
        {
            let known = self.known(&command.user, command.nonce)?;
            return Ok(known.map_or(Appended::OutOfOrder, Appended::Known));
        }
        if !self.remember(&command.user, command.nonce, &outcome, command.now)? {
            let known = self.known(&command.user, command.nonce)?;
            return known
                .map(Appended::Known)
                .ok_or_else(|| Trouble::damaged("outcome"));
        }
        let version = self
            .head(append.conversation)?
            .map_or(0, |head| head.version);
        Ok(Appended::Done(Done {
            outcome,
            entries: Vec::new(),
            version,
            records: Vec::new(),
            members: Vec::<MemberRow>::new(),
            children: Vec::new(),
        }))
    }

    /// Everything that can refuse the append but its own nonce. Writes nothing.
    fn check(
        &mut self,
        append: &Append,
        addition: &Addition<'_>,
    ) -> Result<Result<(Head, Vec<Changed>), Appended>, Trouble> {
        if let Some(after) = append.command.after
            && !self.has_outcome(&append.command.user, after)?
        {
            return Ok(Err(Appended::OutOfOrder));
        }
        let head = match (self.head(append.conversation)?, append.expected_version) {
            (Some(head), Some(version)) if head.version == version => head,
            (None, None) => {
                let Some(new) = &append.create else {
                    return Err(Trouble::Other(
                        "an append to no conversation that makes none".to_owned(),
                    ));
                };
                if new.kind == ConversationKind::Direct && self.is_block_missed(new, addition)? {
                    return Ok(Err(Appended::Stale));
                }
                Head {
                    number: 0,
                    kind: new.kind,
                    parent: new.parent.map(|parent| parent.conversation),
                    version: 1,
                    first: 1,
                    last: 0,
                    ordinal: 0,
                    last_at: 0,
                }
            }
            _ => return Ok(Err(Appended::Stale)),
        };
        let ops = addition
            .entries
            .iter()
            .filter_map(|new| new.member.as_ref());
        let ops: Vec<&MemberOp> = ops.chain(addition.members).collect();
        if self.is_child_stale(append, &head, &ops)? {
            return Ok(Err(Appended::Stale));
        }
        for source in addition.entries.iter().flat_map(|new| &new.sources) {
            if !self.is_as_read(source)? {
                return Ok(Err(Appended::Stale));
            }
        }
        let mut changed: Vec<Changed> = Vec::new();
        for (index, new) in addition.entries.iter().enumerate() {
            let Some((target, rev)) = new.target else {
                continue;
            };
            let known = changed.iter().position(|one| one.meta.sequence == target);
            let now = match known {
                // The same item twice in one append: the second change was decided on the first.
                Some(_) => head.last + index as u64,
                None => match self.item(head.number, target)? {
                    Some(item)
                        if item.entry.tombstone.is_none()
                            && (new.facet.as_ref())
                                .is_none_or(|op| is_possible(&item.entry, op, &new.sender)) =>
                    {
                        let now = item.entry.body_rev();
                        changed.push(item);
                        now
                    }
                    _ => return Ok(Err(Appended::Stale)),
                },
            };
            if now != rev {
                return Ok(Err(Appended::Stale));
            }
        }
        Ok(Ok((head, changed)))
    }

    /// A conversation that does not exist has no version that a block could have bumped: whether its first message was decided on
    /// the blocks of now is looked up.
    fn is_block_missed(
        &self,
        new: &NewConversation,
        addition: &Addition<'_>,
    ) -> Result<bool, Trouble> {
        if addition.entries.iter().all(|entry| entry.private) {
            return Ok(false);
        }
        let [(one, _), (other, _)] = new.members.as_slice() else {
            return Ok(false);
        };
        Ok(self.is_blocked(one, other)? || self.is_blocked(other, one)?)
    }

    pub(super) fn create(
        &self,
        id: ConversationId,
        new: &NewConversation,
        head: Head,
    ) -> Result<i64, Trouble> {
        self.conn
            .prepare_cached(
                "INSERT INTO conversations (id, kind, version, name, history, creator, first, parent, root) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                id.0,
                new.kind.number(),
                int(head.version),
                new.name,
                int(new.history_for_joiners),
                new.creator.as_str(),
                int(head.first),
                new.parent.map(|parent| parent.conversation.0),
                int(new.parent.map_or(0, |parent| parent.root))
            ])?;
        let number = self.conn.last_insert_rowid();
        for (user, role) in &new.members {
            self.put_first_member(id, user, *role)?;
        }
        Ok(number)
    }

    /// What a conversation is set to from now on.
    pub(super) fn put_shape(&self, id: ConversationId, shape: &Shape) -> Result<(), Trouble> {
        self.conn
            .prepare_cached(
                "UPDATE conversations SET name = ?2, history = ?3, settings = ?4, by_default = ?5 WHERE id = ?1",
            )?
            .execute(params![
                id.0,
                shape.name,
                int(shape.history_for_joiners),
                encode(&shape.settings),
                shape.settings.by_default.unwrap_or(false)
            ])?;
        Ok(())
    }

    /// Writes an entry, and what it changes.
    pub(super) fn put_entry(
        &mut self,
        conversation: i64,
        entry: &Entry,
        new: &NewEntry,
        changed: &mut [Changed],
    ) -> Result<StoredEntry, Trouble> {
        let target = changed
            .iter_mut()
            .find(|one| one.meta.sequence == entry.target);
        let audience = new.audience.clone();
        let target_meta = target.as_ref().map(|one| &one.meta);
        let meta = meta_of(entry, new.private, audience, target_meta);
        if let Some(target) = target {
            // The change's own row says nothing: after a recall no text may be left.
            let bare = Entry {
                content: Bytes::new(),
                ..entry.clone()
            };
            self.insert(conversation, &meta, &encode(&bare))?;
            let facet = (new.facet.as_ref())
                .map(|op| carry_out(&target.entry, op, &entry.sender, entry.at));
            let change = Entry {
                facets: facet.into_iter().collect(),
                ..entry.clone()
            };
            if matches!(entry.kind, EntryKind::Expire | EntryKind::Withdraw) {
                self.drop_revisions(conversation, entry.target)?;
            } else if new.keeps_revision {
                self.keep_revision(conversation, &target.entry, entry.kind)?;
            }
            target.entry.apply(&change);
            if entry.kind == EntryKind::Recall
                && entry.tombstone == Some(Tombstone::RecalledByAdmin)
            {
                self.mark_copies(entry.conversation, entry.target)?;
            }
            if target.entry.tombstone.is_some() {
                self.drop_sources(conversation, entry.target, None)?;
            } else if !new.withdraws.is_empty() {
                self.drop_sources(conversation, entry.target, Some(&new.withdraws))?;
            }
            let body = Bytes::from(encode(&change));
            self.update(conversation, target)?;
            Ok(StoredEntry { meta, body })
        } else {
            let body = Bytes::from(encode(entry));
            self.insert(conversation, &meta, &body)?;
            self.put_sources(conversation, entry.sequence, &new.sources)?;
            Ok(StoredEntry { meta, body })
        }
    }

    fn insert(&mut self, conversation: i64, meta: &EntryMeta, body: &[u8]) -> Result<(), Trouble> {
        if meta.kind == EntryKind::Message {
            self.sent
                .insert((conversation, meta.sender.clone()), meta.sequence);
        }
        self.insert_entry.execute(params![
            conversation,
            int(meta.sequence),
            meta.kind.number(),
            meta.sender.as_str(),
            int(meta.at),
            int(meta.ordinal),
            int(meta.rev),
            int(flags(meta)),
            int(meta.target),
            meta.target_sender.as_ref().map(UserId::as_str),
            mentions(meta),
            body,
            meta.audience.as_ref().map(UserId::as_str),
            expires(meta)
        ])?;
        Ok(())
    }

    /// Writes an item's new state.
    fn update(&mut self, conversation: i64, changed: &mut Changed) -> Result<(), Trouble> {
        self.wipe.due();
        let meta = &mut changed.meta;
        let (private, audience) = (meta.private, meta.audience.take());
        *meta = EntryMeta {
            // A recalled message still counts.
            countable: meta.countable,
            ..meta_of(&changed.entry, private, audience, None)
        };
        self.conn
            .prepare_cached(
                "UPDATE entries SET rev = ?3, flags = ?4, mentions = ?5, body = ?6, expires = ?7 WHERE conversation = ?1 AND seq = ?2",
            )?
            .execute(params![
                conversation,
                int(meta.sequence),
                int(meta.rev),
                int(flags(meta)),
                mentions(meta),
                encode(&changed.entry),
                expires(meta)
            ])?;
        Ok(())
    }

    /// An item to change.
    fn item(&self, conversation: i64, number: Sequence) -> Result<Option<Changed>, Trouble> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {META}, body FROM entries WHERE conversation = ?1 AND seq = ?2"
        ))?;
        let mut rows = statement.query(params![conversation, int(number)])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let meta = entry_meta(row)?;
        if meta.kind.is_change() {
            return Ok(None);
        }
        let entry = decode_body(blob(row, BODY)?)?;
        Ok(Some(Changed { meta, entry }))
    }
}

/// Gives entries their numbers, ordinals and times.
pub(super) fn number(
    conversation: ConversationId,
    create: Option<&NewConversation>,
    head: Head,
    new: &[NewEntry],
) -> Vec<Entry> {
    let (mut sequence, mut ordinal, mut at) = (head.last, head.ordinal, head.last_at);
    new.iter()
        .map(|new| {
            sequence += 1;
            at = at.max(new.at);
            let mut entry = Entry {
                conversation,
                sequence,
                kind: new.kind,
                sender: new.sender.clone(),
                at,
                ordinal,
                rev: 0,
                nonce: new.nonce,
                target: new.target.map_or(0, |(target, _)| target),
                header: new.header.clone(),
                content: new.content.clone(),
                edited: false,
                tombstone: tombstone(new),
                member: member_change(new, create),
                body_rev: 0,
                facets: Vec::new(),
            };
            ordinal += u64::from(entry.is_countable());
            entry.ordinal = ordinal;
            entry
        })
        .collect()
}

fn tombstone(new: &NewEntry) -> Option<Tombstone> {
    let default = (new.kind == EntryKind::Recall).then_some(Tombstone::Recalled);
    new.tombstone.or(default)
}

/// What a member item says to its readers.
fn member_change(new: &NewEntry, create: Option<&NewConversation>) -> Option<MemberChange> {
    if new.kind == EntryKind::Message {
        // A direct conversation's peer may join with a message, when a block has ended: nobody is to see that.
        return None;
    }
    let created = create.filter(|_| new.kind == EntryKind::Created);
    let mut change = match (&new.member, created) {
        (Some(op), _) => op.change(),
        (None, Some(created)) => MemberChange {
            user: created.creator.clone(),
            role: Some(Role::Owner),
            name: String::new(),
            until: 0,
        },
        (None, None) => return None,
    };
    if let Some(created) = created {
        change.name.clone_from(&created.name);
    }
    Some(change)
}
