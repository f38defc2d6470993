//! Decides who asks to come in, and what they are answered. Pure.

use fireside_protocol::{
    Code, EntryKind, Permission, Role, UserId,
    frames::{AnswerRequest, UserRecordKind},
    limits::JOIN_REQUESTS_MAX,
};

use crate::{
    decide::{Case, Decision, Plan},
    groups::{self, rank},
    storage::MemberOp,
};

/// The asker wants in, where somebody has to say yes.
pub(crate) fn ask(case: &Case<'_>) -> Result<Decision, Code> {
    let mut plan = Plan {
        bumps_version: true,
        ..Plan::default()
    };
    if is_asking(case, case.me) {
        // Asking again changes nothing.
        plan.bumps_version = false;
        return Ok(Decision::Append(plan));
    }
    let waiting = asking(case);
    if waiting >= JOIN_REQUESTS_MAX || case.state.member_count >= case.members_max() {
        return Err(Code::TooManyMembers);
    }
    plan.members.push(MemberOp::Ask {
        user: case.me.clone(),
    });
    let (user, mut new) = case.record(case.me, UserRecordKind::Asked);
    groups::name(case).clone_into(&mut new.record.name);
    plan.records.push((user, new));
    tell(case, &mut plan, waiting + 1);
    Ok(Decision::Append(plan))
}

/// Somebody who may invite lets a user in, or does not.
pub(crate) fn answer(case: &Case<'_>, frame: &AnswerRequest) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    case.may(Permission::Invite)?;
    if case.state.role(&frame.user).is_some() {
        return Err(Code::AlreadyMember);
    }
    if !is_asking(case, &frame.user) {
        return Err(Code::NotAsked);
    }
    if !frame.accept {
        return Ok(Decision::Append(unask(case, &frame.user)));
    }
    if case.state.member_count >= case.members_max() {
        return Err(Code::TooManyMembers);
    }
    let role = match case.check_parent(&frame.user) {
        Ok(Ok(role)) => role.unwrap_or(Role::Member),
        Ok(Err(undecided)) => return Ok(undecided),
        // They have left the community since.
        Err(_) => return Err(Code::NotAsked),
    };
    let row = case.state.row.as_ref().ok_or(Code::NotFound)?;
    let op = MemberOp::Join {
        user: frame.user.clone(),
        role,
        history: row.history_for_joiners,
    };
    let mut plan = groups::member_change(case, frame.nonce, EntryKind::Joined, op);
    plan.records.push(case.membership(&frame.user, Some(role)));
    if let Some(invited) = case.state.member(&frame.user)
        && invited.invited_by.is_some()
    {
        groups::end_invitation(case, &mut plan, invited);
    }
    end(case, &mut plan, &frame.user);
    Ok(Decision::Append(plan))
}

/// A user does not ask any more: no entry.
pub(crate) fn unask(case: &Case<'_>, user: &UserId) -> Plan {
    let mut plan = Plan {
        bumps_version: true,
        members: vec![MemberOp::Unask { user: user.clone() }],
        ..Plan::default()
    };
    end(case, &mut plan, user);
    plan
}

/// Tells a user who asked, and those who could answer, that it has come to an end.
pub(crate) fn end(case: &Case<'_>, plan: &mut Plan, user: &UserId) {
    if !is_asking(case, user) {
        return;
    }
    let (user, mut new) = case.record(user, UserRecordKind::Asked);
    new.record.gone = true;
    plan.records.push((user, new));
    tell(case, plan, asking(case).saturating_sub(1));
}

/// Tells those who lead the conversation how many ask.
fn tell(case: &Case<'_>, plan: &mut Plan, waiting: usize) {
    for member in &case.state.members {
        if member
            .role
            .is_some_and(|role| rank(role) >= rank(Role::Admin))
        {
            let (user, mut new) = case.record(&member.reader.user, UserRecordKind::JoinRequests);
            new.record.value = waiting as u64;
            new.record.gone = waiting == 0;
            plan.records.push((user, new));
        }
    }
}

fn is_asking(case: &Case<'_>, user: &UserId) -> bool {
    case.state.member(user).is_some_and(|member| member.asked)
}

fn asking(case: &Case<'_>) -> usize {
    let members = case.state.members.iter();
    members.filter(|member| member.asked).count()
}
