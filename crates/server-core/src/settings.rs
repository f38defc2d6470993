//! Decides changes of what a conversation is set to, and keeps the times that slow mode goes by.

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationKind, EntryKind, JoinPolicy, Now, Permission, Settings, encode,
    frames::SetConversation,
};

use crate::{
    conversation::ConversationKey,
    decide::{Case, Decision, Plan},
    groups,
    job::{Job, Task},
    node::Node,
    storage::{NewEntry, Shape},
};

/// Decides a change of a conversation's settings.
pub(crate) fn decide(case: &Case<'_>, frame: &SetConversation) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    for permission in needed(&frame.change) {
        case.may(permission)?;
    }
    let change = frame.change.normalised()?;
    let row = case.state.row.as_ref().ok_or(Code::NotFound)?;
    let closed = !matches!(
        row.kind,
        ConversationKind::Public
            | ConversationKind::Meeting
            | ConversationKind::Community
            | ConversationKind::Channel
    );
    if closed && change.join.is_some_and(|join| join != JoinPolicy::Invite) {
        return Err(Code::ArgumentInvalid);
    }
    let is_meeting = row.kind == ConversationKind::Meeting;
    let wrong_end = |ends: u64| !is_meeting || (ends != 0 && ends <= case.now.wall_ms);
    if change.ends.is_some_and(wrong_end) {
        return Err(Code::ArgumentInvalid);
    }
    if change.by_default.is_some() && row.kind != ConversationKind::Channel {
        return Err(Code::ArgumentInvalid);
    }
    if change == Settings::default() {
        // Nothing to change: there is no entry that could say so.
        return Err(Code::ArgumentInvalid);
    }
    let mut shape = Shape {
        name: change.name.clone().unwrap_or_else(|| row.name.clone()),
        history_for_joiners: change
            .history_for_joiners
            .unwrap_or(row.history_for_joiners),
        settings: row.settings.clone(),
    };
    shape.settings.apply(&change)?;
    // These two have places of their own, from before there were settings.
    shape.settings.name = None;
    shape.settings.history_for_joiners = None;
    let entry = NewEntry {
        nonce: Some(frame.nonce),
        content: Bytes::from(encode(&change)),
        ..case.entry(EntryKind::Settings)
    };
    Ok(Decision::Append(Plan {
        shape: Some(Box::new(shape)),
        entries: vec![entry],
        bumps_version: true,
        ..Plan::default()
    }))
}

/// What who changes this must be allowed to do.
fn needed(change: &Settings) -> impl Iterator<Item = Permission> {
    let profile = change.name.is_some()
        || change.description.is_some()
        || change.picture.is_some()
        || !change.attributes.is_empty();
    let permissions = change.member_permissions.is_some()
        || change.admin_permissions.is_some()
        || !change.roles.is_empty();
    let rules = change.join.is_some()
        || change.frozen.is_some()
        || change.slow_mode_ms.is_some()
        || change.members_max.is_some()
        || change.history_for_joiners.is_some()
        || change.forget_on_leave.is_some()
        || change.lifetime_ms.is_some()
        || change.ends.is_some()
        || change.by_default.is_some();
    let none = !(profile || permissions || rules);
    [
        profile.then_some(Permission::Profile),
        permissions.then_some(Permission::Permissions),
        (rules || none).then_some(Permission::Settings),
    ]
    .into_iter()
    .flatten()
}

impl Node {
    /// A message goes to the store: where slow mode holds, its author waits from now on.
    pub(crate) fn slow(&mut self, conversation: ConversationKey, job: &mut Job, now: Now) {
        let is_message = matches!(
            job.task,
            Task::Frame(
                ClientFrame::Send(_) | ClientFrame::Forward(_) | ClientFrame::SendTransient(_)
            )
        );
        let slot = self.conversations.get_mut(conversation);
        let Some(loaded) = slot.and_then(|slot| slot.loaded.as_mut()) else {
            return;
        };
        if !is_message || loaded.slow_mode_ms() == 0 {
            return;
        }
        let last_at = loaded.row.as_ref().map_or(0, |row| row.last_at);
        if let Some(member) = loaded.member_mut(&job.user) {
            let at = now.wall_ms.max(last_at);
            job.slowed = Some((member.sent_at, at));
            member.sent_at = at;
        }
    }

    /// The message was not taken: its author did not write.
    pub(crate) fn unslow(&mut self, conversation: ConversationKey, job: &mut Job) {
        let Some((before, with)) = job.slowed.take() else {
            return;
        };
        let slot = self.conversations.get_mut(conversation);
        let loaded = slot.and_then(|slot| slot.loaded.as_mut());
        if let Some(member) = loaded.and_then(|loaded| loaded.member_mut(&job.user))
            && member.sent_at == with
        {
            member.sent_at = before;
        }
    }
}
