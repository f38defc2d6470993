//! Decides who is muted and who is banned. Pure.

use fireside_protocol::{
    Code, EntryKind, Permission, Role, UserId, WallMs,
    frames::{self, Mute},
    limits::BANS_MAX,
};

use crate::{
    decide::{Case, Decision, Plan},
    groups::{self, rank},
    loaded::Member,
    requests,
    storage::{Ban, MemberOp},
};

/// Decides that a member may not write for a while, or may again.
pub(crate) fn mute(case: &Case<'_>, frame: &Mute) -> Result<Decision, Code> {
    let role = groups::role_in_group(case)?;
    case.may(Permission::Mute)?;
    let has_passed = frame.until != 0 && frame.until <= case.now.wall_ms;
    if frame.user == *case.me || has_passed {
        return Err(Code::ArgumentInvalid);
    }
    let target = case.state.role(&frame.user).ok_or(Code::NotMember)?;
    check_rank(role, target)?;
    let op = MemberOp::Mute {
        user: frame.user.clone(),
        until: frame.until,
    };
    let plan = groups::member_change(case, frame.nonce, EntryKind::Muted, op);
    Ok(Decision::Append(plan))
}

/// Decides a ban or its end.
pub(crate) fn ban(case: &Case<'_>, frame: &frames::Ban) -> Result<Decision, Code> {
    let role = groups::role_in_group(case)?;
    case.may(Permission::Ban)?;
    let has_passed = frame.until != 0 && frame.until <= case.now.wall_ms;
    if frame.user == *case.me || (frame.on && has_passed) {
        return Err(Code::ArgumentInvalid);
    }
    let target = case.state.member(&frame.user);
    if !frame.on {
        return Ok(Decision::Append(unban(target)));
    }
    if let Some(target) = target.and_then(|target| target.role) {
        check_rank(role, target)?;
    }
    let members = case.state.members.iter();
    let barred = members.filter(|member| {
        member.reader.user != frame.user && case.holds(member.ban.as_ref()).is_some()
    });
    if barred.count() >= BANS_MAX {
        return Err(Code::LimitReached);
    }
    let op = MemberOp::Ban {
        user: frame.user.clone(),
        ban: Ban {
            by: case.me.clone(),
            until: frame.until,
        },
    };
    let mut plan = groups::member_change(case, frame.nonce, EntryKind::Banned, op);
    if let Some(target) = target {
        if target.role.is_some() {
            plan.records.push(case.membership(&frame.user, None));
        }
        if target.invited_by.is_some() {
            groups::end_invitation(case, &mut plan, target);
        }
        requests::end(case, &mut plan, &frame.user);
    }
    Ok(Decision::Append(plan))
}

/// No entry: there is nobody it would be about. Whoever is not banned stays so.
fn unban(target: Option<&Member>) -> Plan {
    let Some(target) = target.filter(|target| target.ban.is_some()) else {
        return Plan::default();
    };
    Plan {
        bumps_version: true,
        members: vec![MemberOp::Unban {
            user: target.reader.user.clone(),
        }],
        ..Plan::default()
    }
}

/// Nobody has their way with a member of their own role or a higher one, but for the owner.
pub(crate) fn check_rank(mine: Role, theirs: Role) -> Result<(), Code> {
    if mine == Role::Owner || rank(theirs) < rank(mine) {
        Ok(())
    } else {
        Err(Code::Forbidden)
    }
}

impl Member {
    /// Whether they may not write. The owner always may, also who became it while muted.
    pub(crate) fn is_muted(&self, now: WallMs) -> bool {
        self.role != Some(Role::Owner) && now < self.muted_until
    }
}

impl Case<'_> {
    /// Whether the asker may write, but for what their role says.
    pub(crate) fn check_mute(&self) -> Result<(), Code> {
        let member = self.state.member(self.me).ok_or(Code::NotFound)?;
        let muted = member.is_muted(self.now.wall_ms);
        if muted && !self.config.breaks.mute_ignored {
            Err(Code::Muted)
        } else {
            Ok(())
        }
    }

    /// A ban, if it bars somebody now.
    fn holds<'b>(&self, ban: Option<&'b Ban>) -> Option<&'b Ban> {
        ban.filter(|ban| ban.holds(self.now.wall_ms))
    }

    /// Whether a user is barred from coming in.
    pub(crate) fn is_barred(&self, user: &UserId) -> bool {
        let member = self.state.member(user);
        let ban = member.and_then(|member| self.holds(member.ban.as_ref()));
        ban.is_some() && !self.config.breaks.ban_ignored
    }
}

/// The time that goes with a refusal of this user.
pub(crate) fn until_of(member: &Member, code: Code) -> WallMs {
    match code {
        Code::Muted => member.muted_until,
        Code::Barred => member.ban.as_ref().map_or(0, |ban| ban.until),
        _ => 0,
    }
}
