//! Members: intervals, roles, invitations, markers, blocks, devices.

use fireside_protocol::{
    Code, ConversationId, ConversationKind, DeviceId, Role, Sequence, UserId, encode,
    frames::{UserRecord, UserRecordKind},
    limits::{BLOCKS_MAX, DEVICES_PER_USER_MAX},
};
use fireside_server_core::{
    rights::Interval,
    storage::{
        BlockSet, Command, DEVICE_SEEN_STEP_MS, Mark, MemberOp, MemberRow, Outcome, PutDevice,
        SetBlock,
    },
};
use rusqlite::{OptionalExtension, params};

use super::{
    names,
    rows::{MEMBER, MEMBER_FROM, conversation_id, int, intervals_blob, member, uint},
    trouble::Trouble,
    writer::{Head, Writer},
};

/// Intervals kept per member; whoever comes and goes more often no longer sees the oldest.
const INTERVALS_MAX: usize = 64;

impl Writer<'_> {
    /// Carries out a change of a member at entry `number`.
    pub(super) fn member_op(
        &self,
        id: ConversationId,
        op: &MemberOp,
        number: Sequence,
        before: &Head,
        touched: &mut Vec<UserId>,
    ) -> Result<(), Trouble> {
        let user = op.user();
        let mut row = self
            .member(id, user)?
            .unwrap_or_else(|| MemberRow::new(user.clone()));
        match op {
            MemberOp::Join { role, history, .. } => {
                let from = match *history {
                    u64::MAX => before.first,
                    back => number.saturating_sub(back).max(before.first),
                };
                row.role = Some(*role);
                row.invited_by = None;
                row.asked = false;
                row.ban = None;
                row.rights += u64::from(row.intervals.last().is_some_and(|last| from < last.from));
                join(&mut row.intervals, from);
            }
            MemberOp::Leave { .. } => leave(&mut row, number),
            MemberOp::Ban { ban, .. } => {
                leave(&mut row, number);
                row.invited_by = None;
                row.asked = false;
                row.ban = Some(ban.clone());
            }
            MemberOp::Unban { .. } => row.ban = None,
            MemberOp::Mute { until, .. } => row.muted_until = *until,
            MemberOp::Profile {
                name, attributes, ..
            } => {
                if let Some(name) = name {
                    row.name_here.clone_from(name);
                }
                if let Some(attributes) = attributes {
                    row.attributes.clone_from(attributes);
                }
            }
            MemberOp::SetRole { role, .. } => row.role = row.role.and(Some(*role)),
            MemberOp::Invite { by, .. } => row.invited_by = Some(by.clone()),
            MemberOp::Uninvite { .. } => row.invited_by = None,
            MemberOp::Ask { .. } => row.asked = true,
            MemberOp::Unask { .. } => row.asked = false,
            // More runs than are kept were refused before.
            MemberOp::Delete { upto, numbers, .. } => {
                row.rights += u64::from(row.deleted.add(*upto, numbers));
            }
        }
        self.put_member(id, &row)?;
        if matches!(
            op,
            MemberOp::Join { .. }
                | MemberOp::Leave { .. }
                | MemberOp::Ban { .. }
                | MemberOp::Profile { .. }
        ) {
            names::renew(self.conn, id, user)?;
        }
        if !touched.contains(user) {
            touched.push(user.clone());
        }
        Ok(())
    }

    /// A member of a conversation that has just been made.
    pub(super) fn put_first_member(
        &self,
        id: ConversationId,
        user: &UserId,
        role: Role,
    ) -> Result<(), Trouble> {
        self.put_member(
            id,
            &MemberRow {
                role: Some(role),
                intervals: vec![Interval {
                    from: 1,
                    until: None,
                }],
                ..MemberRow::new(user.clone())
            },
        )?;
        names::renew(self.conn, id, user)
    }

    /// The named members as they are now.
    pub(super) fn members_now(
        &self,
        id: ConversationId,
        users: &[UserId],
    ) -> Result<Vec<MemberRow>, Trouble> {
        let rows = users.iter().map(|user| self.member(id, user));
        rows.filter_map(Result::transpose).collect()
    }

    pub(super) fn member(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<MemberRow>, Trouble> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 AND m.user = ?2"
        ))?;
        let mut rows = statement.query(params![id.0, user.as_str()])?;
        rows.next()?.map(member).transpose()
    }

    fn put_member(&self, id: ConversationId, row: &MemberRow) -> Result<(), Trouble> {
        self.conn
            .prepare_cached(
                "INSERT INTO members (conversation, user, role, intervals, invited_by, read, delivered, rights, asked, \
                 muted_until, banned_by, banned_until, name_here, attributes, deleted) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (conversation, user) DO UPDATE SET \
                 role = excluded.role, intervals = excluded.intervals, invited_by = excluded.invited_by, \
                 read = excluded.read, delivered = excluded.delivered, rights = excluded.rights, asked = excluded.asked, \
                 muted_until = excluded.muted_until, banned_by = excluded.banned_by, banned_until = excluded.banned_until, \
                 name_here = excluded.name_here, attributes = excluded.attributes, deleted = excluded.deleted",
            )?
            .execute(params![
                id.0,
                row.user.as_str(),
                row.role.map(Role::number),
                intervals_blob(&row.intervals),
                row.invited_by.as_ref().map(UserId::as_str),
                int(row.read),
                int(row.delivered),
                int(row.rights),
                row.asked,
                int(row.muted_until),
                row.ban.as_ref().map(|ban| ban.by.as_str()),
                int(row.ban.as_ref().map_or(0, |ban| ban.until)),
                row.name_here,
                encode(&row.attributes),
                row.deleted.to_bytes()
            ])?;
        Ok(())
    }

    /// Moves markers forward.
    pub(super) fn mark(&mut self, marks: &[Mark]) -> Result<Vec<(UserId, UserRecord)>, Trouble> {
        let mut records = Vec::new();
        for mark in marks {
            let Some((read, delivered)) = self.markers(mark.conversation, &mark.user)? else {
                continue;
            };
            if mark.read <= read && mark.delivered <= delivered {
                continue;
            }
            self.conn
                .prepare_cached(
                    "UPDATE members SET read = ?3, delivered = ?4 WHERE conversation = ?1 AND user = ?2",
                )?
                .execute(params![
                    mark.conversation.0,
                    mark.user.as_str(),
                    int(mark.read.max(read)),
                    int(mark.delivered.max(delivered))
                ])?;
            if mark.read > read {
                let record = UserRecord {
                    conversation: Some(mark.conversation),
                    value: mark.read,
                    at: mark.at,
                    ..record(UserRecordKind::ReadMarker)
                };
                records.push((mark.user.clone(), self.put_record(&mark.user, record)?));
                let own = self.read_own(&mark.user, mark.conversation, mark.at)?;
                records.extend(own.map(|record| (mark.user.clone(), record)));
            }
        }
        Ok(records)
    }

    fn markers(
        &self,
        id: ConversationId,
        user: &UserId,
    ) -> Result<Option<(Sequence, Sequence)>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT read, delivered FROM members WHERE conversation = ?1 AND user = ?2",
        )?;
        let mut rows = statement.query(params![id.0, user.as_str()])?;
        match rows.next()? {
            Some(row) => Ok(Some((uint(row, 0)?, uint(row, 1)?))),
            None => Ok(None),
        }
    }

    /// Whether `blocker` blocks `blocked`.
    pub(super) fn is_blocked(&self, blocker: &UserId, blocked: &UserId) -> Result<bool, Trouble> {
        let found = self
            .conn
            .prepare_cached("SELECT 1 FROM blocks WHERE blocker = ?1 AND blocked = ?2")?
            .query_row(params![blocker.as_str(), blocked.as_str()], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }

    /// Blocks or unblocks.
    pub(super) fn set_block(&mut self, set: &SetBlock) -> Result<BlockSet, Trouble> {
        let command = &set.command;
        let nothing = |outcome| BlockSet {
            outcome,
            bumped: Vec::new(),
            records: Vec::new(),
        };
        if let Some(outcome) = self.known(&command.user, command.nonce)? {
            return Ok(nothing(outcome));
        }
        let done = Outcome::Done {
            conversation: None,
            sequence: 0,
            ordinal: 0,
            at: command.now,
            expires: 0,
        };
        let changes = self.is_blocked(&command.user, &set.other)? != set.on;
        let refused = changes && set.on && self.block_count(&command.user)? >= BLOCKS_MAX;
        let outcome = if refused {
            Outcome::Refused(Code::LimitReached)
        } else {
            done
        };
        self.remember(&command.user, command.nonce, &outcome, command.now)?;
        if refused || !changes {
            return Ok(nothing(outcome));
        }
        let sql = if set.on {
            "INSERT INTO blocks (blocker, blocked) VALUES (?1, ?2)"
        } else {
            "DELETE FROM blocks WHERE blocker = ?1 AND blocked = ?2"
        };
        self.conn
            .prepare_cached(sql)?
            .execute(params![command.user.as_str(), set.other.as_str()])?;
        let block = UserRecord {
            user: Some(set.other.clone()),
            gone: !set.on,
            at: command.now,
            ..record(UserRecordKind::Block)
        };
        let mut records = vec![(command.user.clone(), self.put_record(&command.user, block)?)];
        let mut shared = self.shared(&command.user, &set.other)?;
        if !shared.contains(&set.direct) {
            shared.push(set.direct);
        }
        let mut bumped = Vec::with_capacity(shared.len());
        for id in shared {
            let Some(mut head) = self.head(id)? else {
                continue;
            };
            head.version += 1;
            self.conn
                .prepare_cached("UPDATE conversations SET version = ?2 WHERE id = ?1")?
                .execute(params![id.0, int(head.version)])?;
            self.heads.insert(id, head);
            bumped.push((id, head.version));
            if head.kind != ConversationKind::Direct
                && let Some(record) = self.bump_rights(id, command)?
            {
                records.push((command.user.clone(), record));
            }
        }
        Ok(BlockSet {
            outcome,
            bumped,
            records,
        })
    }

    /// The blocker's rights version in a group they are or were in.
    fn bump_rights(
        &self,
        id: ConversationId,
        command: &Command,
    ) -> Result<Option<UserRecord>, Trouble> {
        let Some(mut row) = self.member(id, &command.user)? else {
            return Ok(None);
        };
        if row.intervals.is_empty() {
            return Ok(None);
        }
        row.rights += 1;
        self.put_member(id, &row)?;
        let record = UserRecord {
            conversation: Some(id),
            value: row.rights,
            at: command.now,
            ..record(UserRecordKind::Rights)
        };
        self.put_record(&command.user, record).map(Some)
    }

    fn block_count(&self, blocker: &UserId) -> Result<usize, Trouble> {
        let count: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM blocks WHERE blocker = ?1")?
            .query_row(params![blocker.as_str()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Conversations in which both have a record (are, were or are invited to be members), by id.
    fn shared(&self, one: &UserId, other: &UserId) -> Result<Vec<ConversationId>, Trouble> {
        let mut statement = self.conn.prepare_cached(
            "SELECT a.conversation FROM members a JOIN members b ON b.conversation = a.conversation AND b.user = ?2 \
             WHERE a.user = ?1 ORDER BY a.conversation",
        )?;
        let mut rows = statement.query(params![one.as_str(), other.as_str()])?;
        let mut shared = Vec::new();
        while let Some(row) = rows.next()? {
            shared.push(conversation_id(row, 0)?);
        }
        Ok(shared)
    }

    /// Notes a log-in.
    pub(super) fn put_device(&mut self, put: &PutDevice) -> Result<(), Trouble> {
        self.now = self.now.max(put.at);
        let user = put.user.as_str();
        let named = self
            .conn
            .prepare_cached(
                "INSERT INTO users (id, name) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = excluded.name \
                 WHERE excluded.name NOT IN ('', name)",
            )?
            .execute(params![user, put.name])?;
        if named > 0 && !put.name.is_empty() {
            names::renew_all(self.conn, &put.user)?;
        }
        // A device that comes back at once, as all do after a break of the network, changes nothing, and then there is nothing to sync.
        let changed = self
            .conn
            .prepare_cached(
                "INSERT INTO devices (user, device, platform, agent, seen) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (user, device) DO UPDATE SET platform = excluded.platform, agent = excluded.agent, seen = excluded.seen \
                 WHERE excluded.seen >= seen + ?6 OR excluded.platform <> platform OR excluded.agent <> agent",
            )?
            .execute(params![
                user,
                put.device.0,
                put.platform,
                put.agent,
                int(put.at),
                int(DEVICE_SEEN_STEP_MS)
            ])?;
        if changed == 0 {
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "DELETE FROM devices WHERE user = ?1 AND device IN (SELECT device FROM devices \
                 WHERE user = ?1 AND device <> ?2 ORDER BY seen DESC, device LIMIT -1 OFFSET ?3)",
            )?
            .execute(params![user, put.device.0, DEVICES_PER_USER_MAX as i64 - 1])?;
        Ok(())
    }

    /// Forgets a device.
    pub(super) fn remove_device(
        &mut self,
        command: &Command,
        device: DeviceId,
    ) -> Result<(), Trouble> {
        let done = Outcome::Done {
            conversation: None,
            sequence: 0,
            ordinal: 0,
            at: command.now,
            expires: 0,
        };
        if self.remember(&command.user, command.nonce, &done, command.now)? {
            self.conn
                .prepare_cached("DELETE FROM devices WHERE user = ?1 AND device = ?2")?
                .execute(params![command.user.as_str(), device.0])?;
        }
        Ok(())
    }
}

/// Ends a membership, if there is one.
fn leave(row: &mut MemberRow, number: Sequence) {
    row.role = None;
    for interval in &mut row.intervals {
        interval.until.get_or_insert(number);
    }
}

/// Opens an interval. One that reaches back into an earlier one takes it in, so that intervals stay ascending and apart.
fn join(intervals: &mut Vec<Interval>, mut from: Sequence) {
    while let Some(last) = intervals.last() {
        if last.until.is_some_and(|until| until < from) {
            break;
        }
        from = from.min(last.from);
        intervals.pop();
    }
    if intervals.len() >= INTERVALS_MAX {
        intervals.remove(0);
    }
    intervals.push(Interval { from, until: None });
}

pub(super) const fn record(kind: UserRecordKind) -> UserRecord {
    UserRecord::new(kind, 0)
}
