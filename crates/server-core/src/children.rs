//! Conversations that belong to another: channels of a community, threads under messages. Each has a log and members of its own; who is out
//! of the parent is out of its children, in the same transaction.

use bytes::Bytes;
use fireside_protocol::{
    Child, Code, ConversationId, ConversationKind, EntryKind, FacetKind, JoinPolicy, Now,
    Permission, Role, Settings, TextContent, UserId, encode,
    frames::{
        ChildSummary, ChildrenPage, ChildrenRequest, CreateGroup, OpenThread, UserRecordKind,
    },
    limits::{CHILDREN_PAGE_MAX, PAGE_CONTENT_BYTES_MAX},
    text::normalise_name,
};

use crate::{
    conversation::Awaiting,
    decide::{Case, Decision, Plan},
    facets::FacetOp,
    groups,
    log::Viewer,
    node::{Node, Published},
    storage::{
        ChildDone, ChildOp, ConversationRow, Done, LogReader, MemberOp, MemberRow, NewConversation,
        NewEntry, Outcome, Parent, Shape, StoreError,
    },
};

/// What a change of a member of a parent means for their record in one of its children: the entry there and the change, or nothing.
/// `by_default`: whoever comes into the parent comes into this child, and sees so many earlier numbers. The same for every store.
#[must_use]
pub fn inherited(
    kind: EntryKind,
    op: &MemberOp,
    member: Option<&MemberRow>,
    by_default: Option<u64>,
) -> Option<(EntryKind, MemberOp)> {
    let role = member.and_then(|member| member.role);
    match op {
        MemberOp::Leave { user } if role.is_some() => {
            let kind = match kind {
                EntryKind::Left => EntryKind::Left,
                _ => EntryKind::Removed,
            };
            Some((kind, MemberOp::Leave { user: user.clone() }))
        }
        MemberOp::Ban { user, .. } if role.is_some() => {
            Some((EntryKind::Removed, MemberOp::Leave { user: user.clone() }))
        }
        MemberOp::SetRole { role: new, .. } if role.is_some_and(|role| role != *new) => {
            Some((EntryKind::Role, op.clone()))
        }
        MemberOp::Mute { .. } if role.is_some() => Some((EntryKind::Muted, op.clone())),
        MemberOp::Join {
            user, role: new, ..
        } => {
            let free = role.is_none() && member.is_none_or(|member| member.ban.is_none());
            let history = by_default.filter(|_| free)?;
            let op = MemberOp::Join {
                user: user.clone(),
                role: *new,
                history,
            };
            Some((EntryKind::Joined, op))
        }
        _ => None,
    }
}

/// Whether whoever comes into the parent comes into a child that is set so, and how much they see of earlier numbers.
#[must_use]
pub fn is_default(kind: ConversationKind, settings: &Settings, history: u64) -> Option<u64> {
    let open = settings.join.is_none_or(|join| join == JoinPolicy::Open);
    let is = kind == ConversationKind::Channel && open && settings.by_default == Some(true);
    is.then_some(history)
}

/// Opens the thread under a message, or comes into it.
pub(crate) fn open_thread(case: &Case<'_>, frame: &OpenThread) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    let name = match frame.name.as_str() {
        "" => String::new(),
        name => normalise_name(name).map_err(|error| error.code())?,
    };
    let Some(item) = case.item else {
        return case.target(frame.target, None);
    };
    let item = case.seen_message(item.as_ref())?;
    let known = item.entry.facet::<Child>(FacetKind::Thread);
    let thread = ConversationId::thread(case.id, frame.target);
    let mut plan = Plan::default();
    let (role, history, kind) = if known.is_some() {
        let Some(member) = case.elsewhere else {
            return Ok(Decision::Member(thread, case.me.clone()));
        };
        let member = member.as_ref();
        if member.is_some_and(|member| member.role.is_some()) {
            // They are in it: nothing to do.
            return Ok(Decision::Append(plan));
        }
        let ban = member.and_then(|member| member.ban.as_ref());
        if ban.is_some_and(|ban| ban.holds(case.now.wall_ms)) {
            return Err(Code::Barred);
        }
        (case.role_below(), u64::MAX, EntryKind::Joined)
    } else {
        // Whoever may not because it is frozen is told so.
        case.may_write(&[], false)?;
        case.may(Permission::Threads)?;
        if item.entry.tombstone.is_some() {
            return Err(Code::Conflict);
        }
        let child = Child {
            conversation: thread,
            name: name.clone(),
            by: case.me.clone(),
        };
        plan.entries.push(NewEntry {
            nonce: Some(frame.nonce),
            target: Some((item.meta.sequence, item.entry.body_rev())),
            facet: Some(FacetOp::Thread { child }),
            ..case.entry(EntryKind::Thread)
        });
        (Role::Owner, 0, EntryKind::Created)
    };
    let root = frame.target;
    let create = known.is_none().then(|| NewConversation {
        kind: ConversationKind::Thread,
        parent: Some(Parent {
            conversation: case.id,
            root,
        }),
        name: name.clone(),
        creator: case.me.clone(),
        history_for_joiners: u64::MAX,
        members: Vec::new(),
    });
    let content = match kind {
        EntryKind::Created if !name.is_empty() => encode(&TextContent::plain(name)).into(),
        _ => Bytes::new(),
    };
    come_in(case, &mut plan, thread, (role, history));
    plan.child = Some(Box::new(ChildOp {
        conversation: thread,
        create,
        shape: None,
        entry: entry(case, kind, content, (role, history)),
    }));
    Ok(Decision::Append(plan))
}

/// Makes a channel in a community.
pub(crate) fn create_channel(case: &Case<'_>, frame: &CreateGroup) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    let row = case.state.row.as_ref().ok_or(Code::NotFound)?;
    if row.kind != ConversationKind::Community
        || frame.kind != Some(ConversationKind::Channel)
        || !frame.invite.is_empty()
        || frame.ends != 0
        || matches!(frame.join, Some(JoinPolicy::Unknown(_)))
    {
        return Err(Code::ArgumentInvalid);
    }
    case.may(Permission::Channels)?;
    let name = normalise_name(&frame.name).map_err(|error| error.code())?;
    let channel = ConversationId::made(case.me, frame.nonce);
    let child = Child {
        conversation: channel,
        name: name.clone(),
        by: case.me.clone(),
    };
    // Whoever comes in is to know what it is about.
    let history_for_joiners = match frame.history_for_joiners {
        0 => u64::MAX,
        said => said,
    };
    let mut plan = Plan {
        entries: vec![NewEntry {
            nonce: Some(frame.nonce),
            content: encode(&child).into(),
            ..case.entry(EntryKind::ChannelMade)
        }],
        ..Plan::default()
    };
    let content = encode(&TextContent::plain(name.clone())).into();
    come_in(case, &mut plan, channel, (Role::Owner, 0));
    plan.child = Some(Box::new(ChildOp {
        conversation: channel,
        create: Some(NewConversation {
            kind: ConversationKind::Channel,
            parent: Some(Parent {
                conversation: case.id,
                root: 0,
            }),
            name: name.clone(),
            creator: case.me.clone(),
            history_for_joiners,
            members: Vec::new(),
        }),
        shape: Some(Box::new(Shape {
            name,
            history_for_joiners,
            settings: Settings {
                join: frame.join,
                by_default: frame.by_default.then_some(true),
                // The community's roles, to begin with; each channel may change what they mean in it.
                roles: row.settings.roles.clone(),
                ..Settings::default()
            },
        })),
        entry: entry(case, EntryKind::Created, content, (Role::Owner, 0)),
    }));
    Ok(Decision::Append(plan))
}

fn entry(case: &Case<'_>, kind: EntryKind, content: Bytes, as_what: (Role, u64)) -> NewEntry {
    NewEntry {
        content,
        member: Some(MemberOp::Join {
            user: case.me.clone(),
            role: as_what.0,
            history: as_what.1,
        }),
        ..case.entry(kind)
    }
}

fn come_in(case: &Case<'_>, plan: &mut Plan, child: ConversationId, as_what: (Role, u64)) {
    let (user, mut new) = case.record(case.me, UserRecordKind::Membership);
    new.record.conversation = Some(child);
    new.record.value = as_what.0.number().into();
    plan.records.push((user, new));
}

impl Case<'_> {
    /// The role that the asker begins with in a child of this conversation.
    fn role_below(&self) -> Role {
        self.state.role(self.me).unwrap_or(Role::Member)
    }

    /// In what belongs to another conversation only that one's members come: the role they begin with, `None`: nothing is asked of
    /// them. Undecided without their record there.
    pub(crate) fn check_parent(
        &self,
        user: &UserId,
    ) -> Result<Result<Option<Role>, Decision>, Code> {
        let row = self.state.row.as_ref();
        let Some(parent) = row.and_then(|row| row.parent) else {
            return Ok(Ok(None));
        };
        let Some(member) = self.elsewhere else {
            let decision = Decision::Member(parent.conversation, user.clone());
            return Ok(Err(decision));
        };
        let member = member.as_ref().ok_or(Code::NotFound)?;
        let role = member.role.ok_or(Code::NotFound)?;
        let sees = (member.intervals.iter()).any(|interval| interval.covers(parent.root));
        if parent.root != 0 && (!sees || member.deleted.has(parent.root)) {
            return Err(Code::NotFound);
        }
        Ok(Ok(Some(role)))
    }
}

/// Builds a page of the channels or threads of a conversation; `None` for who is not a member of it.
///
/// # Errors
/// What the reader answers.
pub fn children(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &ChildrenRequest,
) -> Result<Option<ChildrenPage>, StoreError> {
    let id = request.conversation;
    let Some(row) = reader.conversation(id)? else {
        return Ok(None);
    };
    let Some(own) = reader.member(id, user)?.filter(|own| own.role.is_some()) else {
        return Ok(None);
    };
    let limit = match request.limit {
        0 => CHILDREN_PAGE_MAX,
        asked => asked.min(CHILDREN_PAGE_MAX),
    };
    let blocked = crate::log::blocked_by(reader, &row, user)?;
    let viewer = Viewer::new(&row, &own, user, blocked);
    let after = request.after.map(|after| (request.before_root, after));
    let mut found = reader.children(id, after, limit + 1)?;
    let mut page = ChildrenPage {
        conversation: id,
        children: Vec::new(),
        more: found.len() > limit as usize,
    };
    found.truncate(limit as usize);
    let mut bytes = 0;
    for child in found {
        let Some(summary) = summary(reader, user, &viewer, child)? else {
            continue;
        };
        bytes += encode(&summary).len();
        if bytes > PAGE_CONTENT_BYTES_MAX && !page.children.is_empty() {
            page.more = true;
            break;
        }
        page.children.push(summary);
    }
    Ok(Some(page))
}

/// A child in one line, if the reader may know of it.
fn summary(
    reader: &mut impl LogReader,
    user: &UserId,
    viewer: &Viewer,
    child: ConversationRow,
) -> Result<Option<ChildSummary>, StoreError> {
    let member = reader.member(child.id, user)?;
    let role = member.as_ref().and_then(|member| member.role);
    let invited = member.is_some_and(|member| member.invited_by.is_some());
    let join = child.settings.join.unwrap_or(JoinPolicy::Open);
    let root = child.parent.map_or(0, |parent| parent.root);
    let known = role.is_some() || invited || join != JoinPolicy::Invite;
    let seen = match root {
        0 => true,
        root => (reader.entry(viewer.id, root)?).is_some_and(|entry| viewer.sees(&entry)),
    };
    if !known || !(seen || role.is_some()) {
        return Ok(None);
    }
    Ok(Some(ChildSummary {
        conversation: child.id,
        kind: child.kind,
        root,
        join: (child.kind == ConversationKind::Channel).then_some(join),
        role,
        members: reader.member_count(child.id)?,
        messages: child.ordinal,
        at: child.last_at,
        by_default: child.settings.by_default.unwrap_or(false),
        description: child.settings.description.unwrap_or_default(),
        name: child.name,
    }))
}

impl Node {
    /// Something happened in conversations that belong to the one of an append: who is here is told, as of any entry.
    pub(crate) fn children_changed(&mut self, children: Vec<ChildDone>, now: Now) {
        for child in children {
            let key = self.conversations.open(child.conversation);
            let done = Done {
                outcome: Outcome::Done {
                    conversation: None,
                    sequence: 0,
                    ordinal: 0,
                    at: 0,
                    expires: 0,
                },
                entries: child.entries,
                version: child.version,
                records: Vec::new(),
                members: child.members,
                children: Vec::new(),
            };
            let ready = |slot: &crate::conversation::Slot| {
                slot.loaded
                    .as_ref()
                    .is_some_and(|it| !it.dirty && it.row.is_some())
            };
            if self.conversations.get(key).is_some_and(ready) {
                self.apply(key, &done, None, None, &[], now);
            } else {
                self.members_came(key, &done.members, now);
            }
            self.out.published.push_back(Published::Entries {
                conversation: child.conversation,
                version: done.version,
                entries: done.entries.into(),
            });
            self.conversations.release(key);
        }
    }

    /// The same where the conversation is not in memory: it is read before anything is delivered.
    fn members_came(&mut self, key: u32, members: &[MemberRow], now: Now) {
        let mut came = false;
        for member in members {
            let Some(user) = self.users.key(&member.user) else {
                continue;
            };
            let Some(slot) = self.conversations.get_mut(key) else {
                return;
            };
            if let Some(loaded) = &mut slot.loaded {
                loaded.dirty = true;
            }
            slot.work().epoch += 1;
            if member.role.is_none() {
                for online in &mut slot.online {
                    online.leaving |= online.user == user;
                }
            } else if let Some(online) = self.users.get_mut(user)
                && (online.add(key) || !slot.is_member_here(user))
            {
                slot.remove_online(user);
                slot.add_online(user, &member.user, true);
                slot.work().awaiting.push(Awaiting {
                    user,
                    held: Vec::new(),
                    missed: false,
                    asked: false,
                });
                came = true;
            }
        }
        if came {
            self.load(key, now);
        }
    }
}
