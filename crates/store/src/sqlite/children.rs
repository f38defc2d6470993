//! Conversations that belong to another: what is done in them with an append to their parent, in its transaction.

use fireside_protocol::{
    ConversationId, Entry, EntryKind, Role, UserId,
    frames::{UserRecord, UserRecordKind},
    limits::DEFAULT_CHANNELS_MAX,
};
use fireside_server_core::{
    children::{inherited, is_default},
    storage::{Append, ChildDone, ChildOp, MemberOp, MemberRow, NewConversation, NewEntry},
};
use rusqlite::params;

use super::{
    append::number,
    members::record,
    rows::{CONVERSATION, MEMBER, MEMBER_COLUMNS, MEMBER_FROM, conversation, int, member},
    trouble::Trouble,
    writer::{Head, Writer},
};

/// A child in which a change of a member of its parent may mean something.
struct Touched {
    id: ConversationId,
    /// Their record there, if they are in it.
    member: Option<MemberRow>,
    /// Whoever comes into the parent comes into it, and sees so many earlier numbers.
    by_default: Option<u64>,
}

/// What was done in children, and for the user logs.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub(super) children: Vec<ChildDone>,
    pub(super) records: Vec<(UserId, UserRecord)>,
}

impl Writer<'_> {
    /// Whether a child operation, or somebody's coming into a child, was decided on what is no longer so.
    pub(super) fn is_child_stale(
        &mut self,
        append: &Append,
        head: &Head,
        ops: &[&MemberOp],
    ) -> Result<bool, Trouble> {
        if let Some(parent) = head.parent {
            for op in ops {
                if let MemberOp::Join { user, .. } = op
                    && self.role(parent, user)?.is_none()
                {
                    return Ok(true);
                }
            }
        }
        let Some(child) = &append.child else {
            return Ok(false);
        };
        let exists = self.head(child.conversation)?.is_some();
        if exists == child.create.is_some() {
            return Ok(true);
        }
        let user = child.entry.member.as_ref().map(MemberOp::user);
        match user {
            Some(user) => Ok(self.role(child.conversation, user)?.is_some()),
            None => Ok(false),
        }
    }

    fn role(&self, id: ConversationId, user: &UserId) -> Result<Option<Role>, Trouble> {
        Ok(self.member(id, user)?.and_then(|row| row.role))
    }

    /// Carries out what an append wants done in a child.
    pub(super) fn child_op(&mut self, child: &ChildOp, below: &mut Below) -> Result<(), Trouble> {
        let id = child.conversation;
        if let Some(new) = &child.create {
            let head = Head {
                number: 0,
                kind: new.kind,
                parent: new.parent.map(|parent| parent.conversation),
                version: 1,
                first: 1,
                last: 0,
                ordinal: 0,
                last_at: 0,
            };
            let number = self.create(id, new, head)?;
            self.heads.insert(id, Head { number, ..head });
            if let Some(shape) = &child.shape {
                self.put_shape(id, shape)?;
            }
        }
        self.extend(
            id,
            child.create.as_ref(),
            std::slice::from_ref(&child.entry),
            &[],
            below,
        )
    }

    /// What an entry of a parent means for its children, and theirs.
    pub(super) fn pass_down(
        &mut self,
        parent: ConversationId,
        new: &NewEntry,
        below: &mut Below,
    ) -> Result<(), Trouble> {
        if new.kind == EntryKind::Dissolved {
            return self.dissolve_children(parent, new, below);
        }
        let Some(op) = &new.member else {
            return Ok(());
        };
        if matches!(op, MemberOp::Join { .. }) && new.kind == EntryKind::Created {
            return Ok(());
        }
        for touched in self.touched_children(parent, op)? {
            let (id, member) = (touched.id, touched.member.as_ref());
            let Some((kind, op)) = inherited(new.kind, op, member, touched.by_default) else {
                continue;
            };
            let user = op.user().clone();
            let role = match &op {
                MemberOp::Join { role, .. } | MemberOp::SetRole { role, .. } => Some(*role),
                _ => None,
            };
            let entry = NewEntry {
                kind,
                nonce: None,
                content: bytes::Bytes::new(),
                member: Some(op.clone()),
                ..new.clone()
            };
            self.extend(id, None, std::slice::from_ref(&entry), &[], below)?;
            if !matches!(op, MemberOp::Mute { .. }) {
                self.membership(id, &user, role, new.at, below)?;
            }
            self.pass_down(id, &entry, below)?;
        }
        Ok(())
    }

    /// Those that a change of a member of the parent may touch.
    fn touched_children(
        &self,
        parent: ConversationId,
        op: &MemberOp,
    ) -> Result<Vec<Touched>, Trouble> {
        let mut found = Vec::new();
        if matches!(op, MemberOp::Join { .. }) {
            let mut statement = self.conn.prepare_cached(&format!(
                "SELECT {CONVERSATION} FROM conversations c WHERE c.parent = ?1 AND c.by_default = 1 AND c.dissolved = 0 \
                 ORDER BY c.id LIMIT {DEFAULT_CHANNELS_MAX}"
            ))?;
            let mut rows = statement.query(params![parent.0])?;
            while let Some(row) = rows.next()? {
                let (row, _) = conversation(row, 0)?;
                let default = is_default(row.kind, &row.settings, row.history_for_joiners);
                if default.is_some() {
                    found.push(Touched {
                        id: row.id,
                        member: self.member(row.id, op.user())?,
                        by_default: default,
                    });
                }
            }
        } else {
            let mut statement = self.conn.prepare_cached(&format!(
                "SELECT {MEMBER}, {CONVERSATION} FROM {MEMBER_FROM} JOIN conversations c ON c.id = m.conversation \
                 WHERE c.parent = ?1 AND c.dissolved = 0 AND m.user = ?2 AND m.role IS NOT NULL ORDER BY c.id"
            ))?;
            let mut rows = statement.query(params![parent.0, op.user().as_str()])?;
            while let Some(row) = rows.next()? {
                let (child, _) = conversation(row, MEMBER_COLUMNS)?;
                found.push(Touched {
                    id: child.id,
                    member: Some(member(row)?),
                    by_default: None,
                });
            }
        }
        Ok(found)
    }

    /// With a conversation all that belongs to it ends.
    fn dissolve_children(
        &mut self,
        parent: ConversationId,
        new: &NewEntry,
        below: &mut Below,
    ) -> Result<(), Trouble> {
        let children: Vec<ConversationId> = {
            let mut statement = self.conn.prepare_cached(
                "SELECT id FROM conversations WHERE parent = ?1 AND dissolved = 0 ORDER BY id",
            )?;
            let mut rows = statement.query(params![parent.0])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(super::rows::conversation_id(row, 0)?);
            }
            found
        };
        for id in children {
            let members: Vec<MemberRow> = {
                let mut statement = self.conn.prepare_cached(&format!(
                    "SELECT {MEMBER} FROM {MEMBER_FROM} WHERE m.conversation = ?1 ORDER BY m.user"
                ))?;
                let mut rows = statement.query(params![id.0])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(member(row)?);
                }
                found
            };
            let mut ops = Vec::new();
            for row in members {
                let user = row.user;
                if row.role.is_some() {
                    self.membership(id, &user, None, new.at, below)?;
                    ops.push(MemberOp::Leave { user: user.clone() });
                }
                for (on, kind, by) in [
                    (
                        row.invited_by.is_some(),
                        UserRecordKind::Invitation,
                        row.invited_by,
                    ),
                    (row.asked, UserRecordKind::Asked, None),
                ] {
                    if on {
                        let gone = UserRecord {
                            conversation: Some(id),
                            user: by,
                            gone: true,
                            at: new.at,
                            ..record(kind)
                        };
                        let gone = self.put_record(&user, gone)?;
                        below.records.push((user.clone(), gone));
                    }
                }
                if row.asked {
                    ops.push(MemberOp::Unask { user: user.clone() });
                }
                ops.push(MemberOp::Uninvite { user });
            }
            let entry = NewEntry {
                nonce: None,
                member: None,
                ..new.clone()
            };
            self.extend(id, None, std::slice::from_ref(&entry), &ops, below)?;
            self.conn
                .prepare_cached("UPDATE conversations SET dissolved = 1 WHERE id = ?1")?
                .execute(params![id.0])?;
            self.dissolve_children(id, new, below)?;
        }
        Ok(())
    }

    fn membership(
        &self,
        id: ConversationId,
        user: &UserId,
        role: Option<Role>,
        at: u64,
        below: &mut Below,
    ) -> Result<(), Trouble> {
        let membership = UserRecord {
            conversation: Some(id),
            value: role.map_or(0, |role| role.number().into()),
            gone: role.is_none(),
            at,
            ..record(UserRecordKind::Membership)
        };
        let membership = self.put_record(user, membership)?;
        below.records.push((user.clone(), membership));
        Ok(())
    }

    /// Adds entries to a child's log, with the changes of members that they carry and `members`.
    fn extend(
        &mut self,
        id: ConversationId,
        create: Option<&NewConversation>,
        new: &[NewEntry],
        members: &[MemberOp],
        below: &mut Below,
    ) -> Result<(), Trouble> {
        let head = self.head(id)?.ok_or_else(|| Trouble::damaged("child"))?;
        let mut after = head;
        let entries: Vec<Entry> = number(id, create, head, new);
        let (mut stored, mut touched) = (Vec::new(), Vec::new());
        for (entry, new) in entries.iter().zip(new) {
            stored.push(self.put_entry(head.number, entry, new, &mut [])?);
            (after.last, after.ordinal, after.last_at) = (entry.sequence, entry.ordinal, entry.at);
            if let Some(op) = &new.member {
                self.member_op(id, op, entry.sequence, &head, &mut touched)?;
            }
        }
        for op in members {
            self.member_op(id, op, head.last + 1, &head, &mut touched)?;
        }
        if create.is_none() {
            after.version += 1;
            self.conn
                .prepare_cached("UPDATE conversations SET version = ?2 WHERE id = ?1")?
                .execute(params![id.0, int(after.version)])?;
        }
        self.heads.insert(id, after);
        below.children.push(ChildDone {
            conversation: id,
            entries: stored,
            version: after.version,
            members: self.members_now(id, &touched)?,
        });
        Ok(())
    }
}
