//! Decides what a member is called in a conversation, and what the game notes about them there. Pure.

use bytes::Bytes;
use fireside_protocol::{Code, EntryKind, MemberProfile, Permission, encode, frames::SetMember};

use crate::{
    decide::{Case, Decision, Plan},
    groups,
    moderation::check_rank,
    storage::{MemberOp, NewEntry},
};

/// Decides a change of a member's name and attributes.
pub(crate) fn set(case: &Case<'_>, frame: &SetMember) -> Result<Decision, Code> {
    let role = groups::role_in_group(case)?;
    let user = frame.user.as_ref().unwrap_or(case.me);
    if user == case.me {
        // A name is read by all: who may not write does not write with it.
        case.check_mute()?;
    } else {
        case.may(Permission::Profile)?;
        let target = case.state.role(user).ok_or(Code::NotMember)?;
        check_rank(role, target)?;
    }
    let change = MemberProfile {
        name: frame.name.clone(),
        attributes: frame.attributes.clone(),
    }
    .normalised()?;
    let content = Bytes::from(encode(&change));
    let op = MemberOp::Profile {
        user: user.clone(),
        name: change.name,
        attributes: change.attributes,
    };
    if case.state.member_count > case.config.member_entries_max {
        // Only the member list and its version say it.
        return Ok(Decision::Append(Plan {
            bumps_version: true,
            members: vec![op],
            ..Plan::default()
        }));
    }
    Ok(Decision::Append(Plan {
        entries: vec![NewEntry {
            nonce: Some(frame.nonce),
            content,
            member: Some(op),
            ..case.entry(EntryKind::MemberSet)
        }],
        bumps_version: true,
        ..Plan::default()
    }))
}
