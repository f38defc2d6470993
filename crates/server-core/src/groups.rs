//! Decides commands on groups: who comes, who goes, who may what. Pure.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationKind, EntryKind, JoinPolicy, Nonce, Permission, Role, Settings,
    TextContent, UserId, encode,
    frames::{CreateGroup, Invite, Join, RemoveMember, SetRole, UserRecordKind},
    limits::INVITES_PER_REQUEST_MAX,
    text::normalise_name,
};

use crate::{
    children,
    decide::{Case, Decision, Plan},
    links,
    loaded::Member,
    meetings,
    moderation::{self, check_rank},
    profiles, requests,
    storage::{MemberOp, NewConversation, NewEntry, Shape},
};

/// Decides a command on a group.
pub(crate) fn decide(case: &Case<'_>, frame: &ClientFrame) -> Result<Decision, Code> {
    match frame {
        ClientFrame::CreateGroup(frame) => create(case, frame),
        ClientFrame::OpenThread(frame) => children::open_thread(case, frame),
        ClientFrame::Invite(frame) => invite(case, frame),
        ClientFrame::Join(frame) => join(case, frame),
        ClientFrame::Leave(frame) => leave(case, frame.nonce),
        ClientFrame::RemoveMember(frame) => remove(case, frame),
        ClientFrame::SetRole(frame) => set_role(case, frame),
        ClientFrame::AnswerRequest(frame) => requests::answer(case, frame),
        ClientFrame::Dissolve(frame) => meetings::dissolve(case, frame),
        ClientFrame::Mute(frame) => moderation::mute(case, frame),
        ClientFrame::Ban(frame) => moderation::ban(case, frame),
        ClientFrame::SetMember(frame) => profiles::set(case, frame),
        ClientFrame::CreateLink(frame) => links::create(case, frame),
        ClientFrame::RevokeLink(frame) => links::revoke(case, frame),
        _ => Err(Code::UnknownRequest),
    }
}

fn create(case: &Case<'_>, frame: &CreateGroup) -> Result<Decision, Code> {
    if frame.parent.is_some() {
        return children::create_channel(case, frame);
    }
    if case.state.row.is_some() {
        // The id is derived from this very command, so a store that forgot its nonce is the only way here.
        return Err(Code::AlreadyExists);
    }
    let name = normalise_name(&frame.name).map_err(|error| error.code())?;
    let invited = named(case.me, &frame.invite)?;
    let kind = frame.kind.unwrap_or(ConversationKind::Group);
    let (public, meeting) = match kind {
        ConversationKind::Group => (false, false),
        ConversationKind::Public | ConversationKind::Community => (true, false),
        ConversationKind::Meeting => (false, true),
        _ => return Err(Code::ArgumentInvalid),
    };
    let closed = !public && !meeting;
    let wrong_end = frame.ends != 0 && (!meeting || frame.ends <= case.now.wall_ms);
    if frame.by_default
        || matches!(frame.join, Some(JoinPolicy::Unknown(_)))
        || (closed && frame.join.is_some_and(|join| join != JoinPolicy::Invite))
        || wrong_end
    {
        return Err(Code::ArgumentInvalid);
    }
    if invited.len() >= case.members_allowed(kind) {
        return Err(Code::TooManyMembers);
    }
    // Whoever comes into a public conversation is to know what it is about.
    let history_for_joiners = match frame.history_for_joiners {
        0 if public => u64::MAX,
        said => said,
    };
    let Some(hidden) = case.hidden.or(invited.is_empty().then_some(&[])) else {
        return Ok(Decision::Blocks(invited));
    };
    let mut plan = Plan {
        create: Some(NewConversation {
            kind,
            parent: None,
            name: name.clone(),
            creator: case.me.clone(),
            history_for_joiners,
            members: Vec::new(),
        }),
        entries: vec![NewEntry {
            nonce: Some(frame.nonce),
            content: Bytes::from(encode(&TextContent::plain(name.clone()))),
            member: Some(MemberOp::Join {
                user: case.me.clone(),
                role: Role::Owner,
                history: 0,
            }),
            ..case.entry(EntryKind::Created)
        }],
        shape: (frame.join.is_some() || frame.ends != 0).then(|| {
            Box::new(Shape {
                name: name.clone(),
                history_for_joiners,
                settings: Settings {
                    join: frame.join,
                    ends: (frame.ends != 0).then_some(frame.ends),
                    ..Settings::default()
                },
            })
        }),
        bumps_version: true,
        ..Plan::default()
    };
    plan.records
        .push(case.membership(case.me, Some(Role::Owner)));
    invite_all(case, &mut plan, invited, hidden, &name);
    Ok(Decision::Append(plan))
}

fn invite(case: &Case<'_>, frame: &Invite) -> Result<Decision, Code> {
    role_in_group(case)?;
    case.may(Permission::Invite)?;
    let mut invited = named(case.me, &frame.users)?;
    let named = invited.len();
    invited.retain(|user| case.state.role(user).is_none());
    let strangers = invited.len();
    invited.retain(|user| !case.is_barred(user));
    if invited.is_empty() {
        return Err(if named == 0 {
            Code::ArgumentInvalid
        } else if strangers > 0 {
            Code::Barred
        } else {
            Code::AlreadyMember
        });
    }
    if case.state.member_count + invited.len() > case.members_max() {
        return Err(Code::TooManyMembers);
    }
    let Some(hidden) = case.hidden else {
        return Ok(Decision::Blocks(invited));
    };
    let mut plan = Plan {
        bumps_version: true,
        ..Plan::default()
    };
    invite_all(case, &mut plan, invited, hidden, name(case));
    Ok(Decision::Append(plan))
}

/// Invites all but those who block the asker or are blocked by them: these hear nothing, and the asker is not told.
fn invite_all(
    case: &Case<'_>,
    plan: &mut Plan,
    invited: Vec<UserId>,
    hidden: &[UserId],
    name: &str,
) {
    for user in invited {
        if hidden.contains(&user) {
            continue;
        }
        let (user, mut new) = case.record(&user, UserRecordKind::Invitation);
        new.record.user = Some(case.me.clone());
        new.record.name = name.to_owned();
        plan.records.push((user.clone(), new));
        plan.members.push(MemberOp::Invite {
            user,
            by: case.me.clone(),
        });
    }
}

fn join(case: &Case<'_>, frame: &Join) -> Result<Decision, Code> {
    let (nonce, policy) = (frame.nonce, case.join_policy());
    if frame.link.is_none() && case.is_over() {
        return Err(Code::NotFound);
    }
    let role = match case.check_parent(case.me)? {
        Ok(role) => role.unwrap_or(Role::Member),
        Err(undecided) => return Ok(undecided),
    };
    let member = case.state.member(case.me);
    // Who has a link that lets them in is told as much as somebody who is invited, and who has another nothing at all.
    let by_link = match frame.link {
        Some(code) if member.is_none_or(|member| member.role.is_none()) => {
            Some(links::check(case, code)?)
        }
        _ => None,
    };
    if policy == JoinPolicy::Invite && by_link.is_none() {
        in_group(case)?;
    }
    if member.is_some_and(|member| member.role.is_some()) {
        return Err(Code::AlreadyMember);
    }
    if case.is_barred(case.me) {
        let was_here = member.is_some_and(|member| !member.reader.intervals.is_empty());
        let may_know = was_here || by_link.is_some() || policy != JoinPolicy::Invite;
        return Err(if may_know {
            Code::Barred
        } else {
            Code::NotFound
        });
    }
    let invited = member.filter(|member| member.invited_by.is_some());
    if invited.is_none() && by_link.is_none() {
        match policy {
            JoinPolicy::Open => {}
            JoinPolicy::Request => return requests::ask(case),
            // Who only ever was banned here knows nothing of it.
            _ if member.is_some_and(|it| it.ban.is_some() && it.reader.intervals.is_empty()) => {
                return Err(Code::NotFound);
            }
            _ => return Err(Code::NotInvited),
        }
    }
    if case.state.member_count >= case.members_max() {
        return Err(Code::TooManyMembers);
    }
    let history = case
        .state
        .row
        .as_ref()
        .map_or(0, |row| row.history_for_joiners);
    let mut plan = member_change(
        case,
        nonce,
        EntryKind::Joined,
        MemberOp::Join {
            user: case.me.clone(),
            role,
            history,
        },
    );
    plan.records.push(case.membership(case.me, Some(role)));
    plan.links.extend(by_link);
    if let Some(invited) = invited {
        end_invitation(case, &mut plan, invited);
    }
    requests::end(case, &mut plan, case.me);
    Ok(Decision::Append(plan))
}

fn leave(case: &Case<'_>, nonce: Nonce) -> Result<Decision, Code> {
    let member = in_group(case)?;
    let Some(role) = member.role else {
        return if member.invited_by.is_some() {
            Ok(Decision::Append(uninvite(case, member)))
        } else if member.asked {
            Ok(Decision::Append(requests::unask(case, case.me)))
        } else {
            Err(Code::NotFound)
        };
    };
    let mut others = case.state.members.iter();
    let other_owner =
        others.any(|other| other.role == Some(Role::Owner) && other.reader.user != *case.me);
    let row = case.state.row.as_ref();
    // Nobody has to look after a thread.
    let needs_owner = row.is_some_and(|row| row.kind != ConversationKind::Thread);
    if role == Role::Owner && case.state.member_count > 1 && !other_owner && needs_owner {
        return Err(Code::OwnerMustTransfer);
    }
    let user = case.me.clone();
    let mut plan = member_change(case, nonce, EntryKind::Left, MemberOp::Leave { user });
    plan.records.push(case.membership(case.me, None));
    if case.state.member_count == 1 && row.is_some_and(|row| row.kind == ConversationKind::Meeting)
    {
        // With its last member a meeting is over.
        plan.entries.push(case.entry(EntryKind::Dissolved));
        meetings::end_rest(case, &mut plan);
    }
    Ok(Decision::Append(plan))
}

fn remove(case: &Case<'_>, frame: &RemoveMember) -> Result<Decision, Code> {
    let role = role_in_group(case)?;
    if frame.user == *case.me {
        return Err(Code::ArgumentInvalid);
    }
    case.may(Permission::Remove)?;
    let target = case.state.member(&frame.user).ok_or(Code::NotMember)?;
    let Some(target_role) = target.role else {
        return if target.invited_by.is_some() {
            Ok(Decision::Append(uninvite(case, target)))
        } else {
            Err(Code::NotMember)
        };
    };
    check_rank(role, target_role)?;
    let user = frame.user.clone();
    let op = MemberOp::Leave { user };
    let mut plan = member_change(case, frame.nonce, EntryKind::Removed, op);
    plan.records.push(case.membership(&frame.user, None));
    Ok(Decision::Append(plan))
}

fn set_role(case: &Case<'_>, frame: &SetRole) -> Result<Decision, Code> {
    role_in_group(case)?;
    case.may(Permission::Roles)?;
    let own = case
        .state
        .row
        .as_ref()
        .map_or(&[][..], |row| &row.settings.roles);
    let is_known = match frame.role {
        Role::Unknown(number) => own.iter().any(|role| role.number == number),
        _ => true,
    };
    if !is_known || frame.user == *case.me {
        return Err(Code::ArgumentInvalid);
    }
    case.state.role(&frame.user).ok_or(Code::NotMember)?;
    let give = |user: &UserId, role: Role| MemberOp::SetRole {
        user: user.clone(),
        role,
    };
    let op = give(&frame.user, frame.role);
    let mut plan = member_change(case, frame.nonce, EntryKind::Role, op);
    plan.records
        .push(case.membership(&frame.user, Some(frame.role)));
    if frame.role == Role::Owner {
        // There is one owner.
        plan.entries.push(NewEntry {
            member: Some(give(case.me, Role::Admin)),
            ..case.entry(EntryKind::Role)
        });
        plan.records
            .push(case.membership(case.me, Some(Role::Admin)));
    }
    Ok(Decision::Append(plan))
}

pub(crate) fn member_change(case: &Case<'_>, nonce: Nonce, kind: EntryKind, op: MemberOp) -> Plan {
    Plan {
        entries: vec![NewEntry {
            nonce: Some(nonce),
            member: Some(op),
            ..case.entry(kind)
        }],
        bumps_version: true,
        ..Plan::default()
    }
}

/// Takes an invitation back or declines it: no entry.
fn uninvite(case: &Case<'_>, invited: &Member) -> Plan {
    let mut plan = Plan {
        bumps_version: true,
        members: vec![MemberOp::Uninvite {
            user: invited.reader.user.clone(),
        }],
        ..Plan::default()
    };
    end_invitation(case, &mut plan, invited);
    plan
}

pub(crate) fn end_invitation(case: &Case<'_>, plan: &mut Plan, invited: &Member) {
    let (user, mut new) = case.record(&invited.reader.user, UserRecordKind::Invitation);
    new.record.user.clone_from(&invited.invited_by);
    new.record.gone = true;
    plan.records.push((user, new));
}

/// The asker's record in a group; a direct conversation has no such commands, and its withheld peer must not learn of it.
fn in_group<'a>(case: &Case<'a>) -> Result<&'a Member, Code> {
    let member = case.state.member(case.me).ok_or(Code::NotFound)?;
    if case.is_over() {
        return Err(Code::NotFound);
    }
    if case.state.is_group() {
        Ok(member)
    } else if member.role.is_some() {
        Err(Code::Forbidden)
    } else {
        Err(Code::NotFound)
    }
}

pub(crate) fn role_in_group(case: &Case<'_>) -> Result<Role, Code> {
    in_group(case)?.role.ok_or(Code::NotFound)
}

pub(crate) fn name<'a>(case: &Case<'a>) -> &'a str {
    case.state.row.as_ref().map_or("", |row| &row.name)
}

/// Those named in a request, each once, without the asker.
fn named(me: &UserId, users: &[UserId]) -> Result<Vec<UserId>, Code> {
    if users.len() > INVITES_PER_REQUEST_MAX {
        return Err(Code::TooManyNamed);
    }
    let mut named: Vec<UserId> = users.iter().filter(|user| *user != me).cloned().collect();
    named.sort_unstable();
    named.dedup();
    Ok(named)
}

/// What a role may, more is larger.
pub(crate) const fn rank(role: Role) -> u16 {
    match role {
        Role::Owner => 4,
        Role::Admin => 3,
        // A role of the conversation's own.
        Role::Unknown(_) => 2,
        Role::Member => 1,
    }
}
