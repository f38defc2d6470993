//! A conversation's committed state in memory.

use fireside_protocol::{
    ConversationId, ConversationKind, EntryKind, Ordinal, Role, Sequence, Settings, UserId, WallMs,
    frames::Link,
};

use crate::{
    rate::Bucket,
    rights::{Interval, Reader},
    storage::{
        Ban, ConversationRow, Done, LinkOp, LoadedConversation, MemberRow, NewConversation, Shape,
        StoredEntry,
    },
};

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
    /// Invite links, oldest first.
    pub(crate) links: Vec<Link>,
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
    /// They ask to come in.
    pub(crate) asked: bool,
    /// Read marker.
    pub(crate) read: Sequence,
    /// Delivered marker.
    pub(crate) delivered: Sequence,
    /// Nobody is told how far they have read.
    pub(crate) receipts_off: bool,
    /// When they wrote last, what is on its way included; only kept where slow mode holds.
    pub(crate) sent_at: WallMs,
    /// Until when they may not write.
    pub(crate) muted_until: WallMs,
    /// What bars them.
    pub(crate) ban: Option<Ban>,
}

impl Member {
    fn new(row: MemberRow) -> Self {
        Self {
            reader: Reader {
                user: row.user,
                intervals: row.intervals,
                blocked: std::collections::HashSet::new(),
                deleted: row.deleted,
            },
            role: row.role,
            invited_by: row.invited_by,
            asked: row.asked,
            read: row.read,
            delivered: row.delivered,
            receipts_off: row.receipts_off,
            sent_at: 0,
            muted_until: row.muted_until,
            ban: row.ban,
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
            links: loaded.links,
        };
        for (blocker, blocked) in loaded.blocks {
            this.set_block(&blocker, &blocked, true);
        }
        for (user, at) in loaded.sent {
            if let Some(member) = this.member_mut(&user) {
                member.sent_at = at;
            }
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

    /// Between two messages of a member, in ms; 0: nothing.
    pub(crate) fn slow_mode_ms(&self) -> u64 {
        let settings = self.row.as_ref().map(|row| &row.settings);
        settings.map_or(0, |settings| settings.slow_mode_ms.unwrap_or(0).into())
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
        shape: Option<Box<Shape>>,
        links: &[LinkOp],
    ) -> Vec<UserId> {
        let last = done.entries.last().map(|entry| &entry.meta);
        match (&mut self.row, create) {
            (None, Some(new)) => {
                self.row = Some(ConversationRow {
                    id,
                    kind: new.kind,
                    parent: new.parent,
                    version: done.version,
                    name: new.name.clone(),
                    history_for_joiners: new.history_for_joiners,
                    settings: Settings::default(),
                    dissolved: false,
                    first: 1,
                    last: 0,
                    ordinal: 0,
                    last_at: 0,
                });
                for (user, role) in &new.members {
                    self.merge_member(MemberRow {
                        role: Some(*role),
                        intervals: vec![Interval {
                            from: 1,
                            until: None,
                        }],
                        ..MemberRow::new(user.clone())
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
        let ends = |entry: &StoredEntry| entry.meta.kind == EntryKind::Dissolved;
        if let Some(row) = &mut self.row
            && done.entries.iter().any(ends)
        {
            row.dissolved = true;
        }
        for op in links {
            op.carry_out(&mut self.links);
        }
        let slow = self.slow_mode_ms();
        if let (Some(row), Some(shape)) = (&mut self.row, shape) {
            row.name = shape.name;
            row.history_for_joiners = shape.history_for_joiners;
            row.settings = shape.settings;
        }
        // Who wrote when is only known while it matters.
        self.dirty |= slow == 0 && self.slow_mode_ms() > 0;
        if slow > 0 {
            for entry in &done.entries {
                if entry.meta.kind == EntryKind::Message
                    && let Some(member) = self.member_mut(&entry.meta.sender)
                {
                    member.sent_at = member.sent_at.max(entry.meta.at);
                }
            }
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
                member.sent_at = member.sent_at.max(old.sent_at);
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
                member.asked = row.asked;
                member.muted_until = row.muted_until;
                member.ban = row.ban;
                member.receipts_off = row.receipts_off;
                member.reader.intervals = row.intervals;
                member.reader.deleted = row.deleted;
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
