//! What an append does in conversations that belong to its own: apart from the SQLite store's way, with the same rules.

use super::*;

/// What was done in children, and for the user logs.
#[derive(Default)]
pub(super) struct Below {
    pub(super) children: Vec<ChildDone>,
    pub(super) records: Vec<(UserId, UserRecord)>,
}

impl Conversation {
    pub(super) fn new(new: &NewConversation) -> Self {
        Self {
            kind: new.kind,
            parent: new.parent,
            version: 1,
            name: new.name.clone(),
            history: new.history_for_joiners,
            settings: Settings::default(),
            dissolved: false,
            links: Vec::new(),
            entries: Vec::new(),
            members: BTreeMap::new(),
        }
    }
}

impl Database {
    fn is_in(&self, id: ConversationId, user: &UserId) -> bool {
        let member = self
            .conversations
            .get(&id)
            .and_then(|it| it.members.get(user));
        member.is_some_and(|row| row.role.is_some())
    }

    /// Whether a child operation, or somebody's coming into a child, was decided on what is no longer so.
    pub(super) fn is_child_stale<'o>(
        &self,
        id: ConversationId,
        child: Option<&ChildOp>,
        ops: impl Iterator<Item = &'o MemberOp>,
    ) -> bool {
        let parent = self.conversations.get(&id).and_then(|it| it.parent);
        let joins = ops.filter(|op| matches!(op, MemberOp::Join { .. }));
        let orphan = parent.is_some_and(|parent| {
            let mut joins = joins;
            joins.any(|op| !self.is_in(parent.conversation, op.user()))
        });
        let stale = child.is_some_and(|child| {
            let exists = self.conversations.contains_key(&child.conversation);
            let user = child.entry.member.as_ref().map(MemberOp::user);
            exists == child.create.is_some()
                || user.is_some_and(|user| self.is_in(child.conversation, user))
        });
        (orphan && !self.breaks.orphans) || stale
    }

    pub(super) fn child_op(&mut self, child: ChildOp, below: &mut Below) {
        let id = child.conversation;
        let made = child.create.is_some();
        if let Some(new) = &child.create {
            self.conversations.insert(id, Conversation::new(new));
        }
        if let (Some(shape), Some(conversation)) = (child.shape, self.conversations.get_mut(&id)) {
            conversation.name = shape.name;
            conversation.history = shape.history_for_joiners;
            conversation.settings = shape.settings;
        }
        self.extend(id, child.entry, Vec::new(), !made, below);
    }

    /// What an entry of a parent means for its children, and theirs.
    pub(super) fn pass_down(&mut self, parent: ConversationId, new: &NewEntry, below: &mut Below) {
        let children = self.conversations.iter().filter(|(_, it)| {
            !it.dissolved && it.parent.is_some_and(|of| of.conversation == parent)
        });
        let children: Vec<ConversationId> = children.map(|(id, _)| *id).collect();
        if new.kind == EntryKind::Dissolved {
            for id in children {
                self.dissolve_child(id, new, below);
            }
            return;
        }
        let op = new
            .member
            .clone()
            .filter(|_| new.kind != EntryKind::Created);
        let Some(op) = op else { return };
        let mut defaults = 0;
        for id in children {
            let Some(child) = self.conversations.get(&id) else {
                continue;
            };
            let default = children::is_default(child.kind, &child.settings, child.history)
                .filter(|_| matches!(op, MemberOp::Join { .. }));
            defaults += usize::from(default.is_some());
            let default = default.filter(|_| defaults <= limits::DEFAULT_CHANNELS_MAX);
            let member = child.members.get(op.user());
            let Some((kind, op)) = children::inherited(new.kind, &op, member, default) else {
                continue;
            };
            if self.breaks.orphans && matches!(op, MemberOp::Leave { .. }) {
                continue;
            }
            let entry = NewEntry {
                kind,
                nonce: None,
                content: Bytes::new(),
                member: Some(op.clone()),
                ..new.clone()
            };
            self.extend(id, entry.clone(), Vec::new(), true, below);
            let role = match &op {
                MemberOp::Mute { .. } => None,
                MemberOp::Join { role, .. } | MemberOp::SetRole { role, .. } => Some(Some(*role)),
                _ => Some(None),
            };
            if let Some(role) = role {
                let mut record = user_record(UserRecordKind::Membership, new.at);
                record.conversation = Some(id);
                record.value = role.map_or(0, |role| role.number().into());
                record.gone = role.is_none();
                let made = self.record(op.user().clone(), NewUserRecord { record });
                below.records.push(made);
            }
            self.pass_down(id, &entry, below);
        }
    }

    fn dissolve_child(&mut self, id: ConversationId, new: &NewEntry, below: &mut Below) {
        let Some(child) = self.conversations.get_mut(&id) else {
            return;
        };
        child.dissolved = true;
        let members: Vec<MemberRow> = child.members.values().cloned().collect();
        let mut ops = Vec::new();
        for row in members {
            let ended = [
                (row.role.is_some(), UserRecordKind::Membership, None),
                (
                    row.invited_by.is_some(),
                    UserRecordKind::Invitation,
                    row.invited_by.clone(),
                ),
                (row.asked, UserRecordKind::Asked, None),
            ];
            for (_, kind, by) in ended.into_iter().filter(|(on, ..)| *on) {
                let mut record = user_record(kind, new.at);
                record.conversation = Some(id);
                record.user = by;
                record.gone = true;
                let made = self.record(row.user.clone(), NewUserRecord { record });
                below.records.push(made);
            }
            if row.role.is_some() {
                let user = row.user.clone();
                ops.push(MemberOp::Leave { user });
            }
            let user = row.user.clone();
            ops.push(MemberOp::Unask { user });
            ops.push(MemberOp::Uninvite { user: row.user });
        }
        let entry = NewEntry {
            nonce: None,
            member: None,
            ..new.clone()
        };
        self.extend(id, entry.clone(), ops, true, below);
        self.pass_down(id, &entry, below);
    }

    fn extend(
        &mut self,
        id: ConversationId,
        entry: NewEntry,
        members: Vec<MemberOp>,
        bumps: bool,
        below: &mut Below,
    ) {
        let op = entry.member.clone();
        let next = self.last(id) + 1;
        let made = self.add(id, entry);
        let ops = op.into_iter().map(|op| (made.meta.sequence, op));
        let ops: Vec<_> = ops
            .chain(members.into_iter().map(|op| (next, op)))
            .collect();
        let changed: BTreeSet<UserId> = (ops.into_iter())
            .map(|(at, op)| self.member_op(id, at, op))
            .collect();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.version += u64::from(bumps);
        below.children.push(ChildDone {
            conversation: id,
            entries: vec![made],
            version: conversation.version,
            members: (changed.iter())
                .filter_map(|user| conversation.members.get(user).cloned())
                .collect(),
        });
    }
}
