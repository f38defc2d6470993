//! How a conversation ends: by its owner, and of a meeting by its time, with its last member, or when nobody was there for long.
//!
//! A meeting's end time stands in its settings, in the row that it ends: a timer that survives every restart and can not say anything else
//! than what is set. A node reads them all when it starts; one that is late fires at once. How long nobody was there is not kept: time
//! in which the server is down does not count.

use std::collections::BTreeMap;

use fireside_protocol::{
    Code, ConversationId, ConversationKind, EntryKind, Nonce, Now, Permission, Role, UserId,
    WallMs,
    frames::{Dissolve, UserRecordKind},
    limits::MEETING_IDLE_MS,
};

use crate::{
    decide::{Case, Decision, Plan},
    groups,
    job::{Job, Pending, Task},
    loaded::Loaded,
    node::{Node, Origin},
    storage::{MEETINGS_READ_MAX, MemberOp, NewEntry, Op, Reply, StoreError},
    timers::Due,
};

/// The owner ends a conversation.
pub(crate) fn dissolve(case: &Case<'_>, frame: &Dissolve) -> Result<Decision, Code> {
    groups::role_in_group(case)?;
    case.may(Permission::Dissolve)?;
    Ok(Decision::Append(end(case, Some(frame.nonce))))
}

/// The last entry, and the end of all memberships with it.
fn end(case: &Case<'_>, nonce: Option<Nonce>) -> Plan {
    let entry = NewEntry {
        nonce,
        ..case.entry(EntryKind::Dissolved)
    };
    let mut plan = Plan {
        entries: vec![entry],
        bumps_version: true,
        ..Plan::default()
    };
    let all = !case.config.breaks.dissolve_keeps_members;
    for member in &case.state.members {
        let user = &member.reader.user;
        if member.role.is_some() && (all || user == case.me) {
            plan.members.push(MemberOp::Leave { user: user.clone() });
            plan.records.push(case.membership(user, None));
        }
    }
    end_rest(case, &mut plan);
    plan
}

/// Ends what is not a membership: invitations, and wishes to come in.
pub(crate) fn end_rest(case: &Case<'_>, plan: &mut Plan) {
    let mut asking = false;
    for member in &case.state.members {
        let user = &member.reader.user;
        if member.invited_by.is_some() {
            plan.members.push(MemberOp::Uninvite { user: user.clone() });
            groups::end_invitation(case, plan, member);
        }
        if member.asked {
            asking = true;
            plan.members.push(MemberOp::Unask { user: user.clone() });
            let (user, mut new) = case.record(user, UserRecordKind::Asked);
            new.record.gone = true;
            plan.records.push((user, new));
        }
    }
    let leads = |role: Option<Role>| matches!(role, Some(Role::Owner | Role::Admin));
    for member in case.state.members.iter().filter(|it| leads(it.role)) {
        if asking {
            let (user, mut new) = case.record(&member.reader.user, UserRecordKind::JoinRequests);
            new.record.gone = true;
            plan.records.push((user, new));
        }
    }
}

/// A meeting is over. Decided anew each time it is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MeetingEnd {
    conversation: ConversationId,
    /// Nobody was there for long; else its time has come.
    idle: bool,
}

impl MeetingEnd {
    /// Its name: the same at every try.
    pub(crate) fn nonce(&self) -> Nonce {
        Nonce::end_of(self.conversation)
    }

    /// In whose name it ends: somebody must have caused the entry.
    pub(crate) fn by(state: &Loaded) -> Option<UserId> {
        let here = || state.members.iter().filter(|member| member.role.is_some());
        let owner = here().find(|member| member.role == Some(Role::Owner));
        owner
            .or_else(|| here().next())
            .map(|member| member.reader.user.clone())
    }

    /// The end of the meeting; `None` if it is not over (any more).
    pub(crate) fn decide(&self, case: &Case<'_>) -> Option<Plan> {
        let row = case.state.row.as_ref()?;
        let ends = row.settings.ends.unwrap_or(0);
        let due = self.idle || (ends != 0 && ends <= case.now.wall_ms);
        if row.kind != ConversationKind::Meeting || row.dissolved || !due {
            return None;
        }
        // Whoever it is, it is not they who end it: no right is asked for.
        Some(end(case, None))
    }
}

/// The meetings that are not over.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    all: BTreeMap<ConversationId, Meeting>,
}

#[derive(Debug)]
struct Meeting {
    /// When it ends by itself; 0 never.
    ends: WallMs,
    /// Since when nobody is there, in monotonic ms; `None`: somebody was at the last look.
    idle_since: Option<u64>,
    /// When it is looked at next, in monotonic ms.
    timer: u64,
}

impl Meetings {
    /// Somebody who is a member of it has come.
    pub(crate) fn seen(&mut self, id: ConversationId) {
        if let Some(meeting) = self.all.get_mut(&id) {
            meeting.idle_since = None;
        }
    }
}

impl Node {
    /// Reads the meetings, to end those whose time comes.
    pub(crate) fn read_meetings(&mut self, after: Option<ConversationId>, now: Now) {
        self.submit(Op::Meetings { after }, Pending::Meetings, now);
    }

    /// Meetings were read.
    pub(crate) fn meetings_read(&mut self, result: Result<Reply, StoreError>, now: Now) {
        let Ok(Reply::Meetings(found)) = result else {
            self.counters.store_errors += 1;
            let at = now.monotonic_ms + READ_AGAIN_MS;
            self.timers.set(at, Due::ReadMeetings);
            return;
        };
        let more = found.len() >= MEETINGS_READ_MAX;
        let last = found.last().map(|(id, _)| *id);
        for (id, ends) in found {
            self.meeting_set(id, Some(ends), now);
        }
        if more {
            self.read_meetings(last, now);
        }
    }

    /// A meeting was made, changed, or has ended.
    pub(crate) fn meeting_set(&mut self, id: ConversationId, ends: Option<WallMs>, now: Now) {
        let known = self.meetings.all.remove(&id);
        if let Some(known) = &known {
            self.timers.clear(known.timer, Due::Meeting(id));
        }
        let Some(ends) = ends else { return };
        let idle_since = known.map_or(Some(now.monotonic_ms), |known| known.idle_since);
        let meeting = Meeting {
            ends,
            idle_since,
            timer: 0,
        };
        self.meetings.all.insert(id, meeting);
        self.set_meeting_timer(id, now.monotonic_ms + LOOK_MS, false, now);
    }

    /// It is time to look at a meeting.
    pub(crate) fn look_at_meeting(&mut self, id: ConversationId, now: Now) {
        let key = self.conversations.key(id);
        let slot = key.and_then(|key| self.conversations.get(key));
        let here = slot.is_some_and(|slot| slot.online.iter().any(|online| !online.leaving));
        let Some(meeting) = self.meetings.all.get_mut(&id) else {
            return;
        };
        let at = now.monotonic_ms;
        meeting.idle_since = (!here).then(|| meeting.idle_since.unwrap_or(at));
        let idle = (meeting.idle_since).is_some_and(|since| at >= since + MEETING_IDLE_MS);
        let over = meeting.ends != 0 && meeting.ends <= now.wall_ms;
        if (idle || over) && !self.draining {
            let end = MeetingEnd {
                conversation: id,
                idle: idle && !over,
            };
            // Whose name it has is only known once the conversation is read.
            if let Ok(nobody) = UserId::new("-") {
                let job = Job::new(0, Origin::default(), nobody, Task::End(end));
                let conversation = self.conversations.open(id);
                self.run(conversation, job, now);
                self.conversations.release(conversation);
            }
            // Until it is known to be over.
            self.set_meeting_timer(id, at + END_AGAIN_MS, true, now);
        } else {
            // One that is over while the node drains is the next node's to end.
            self.set_meeting_timer(id, at + LOOK_MS, over, now);
        }
    }

    /// Looks at a meeting at a time, or when it ends if that comes first. Of one whose time has come already `again` says when.
    fn set_meeting_timer(&mut self, id: ConversationId, at: u64, again: bool, now: Now) {
        let Some(meeting) = self.meetings.all.get_mut(&id) else {
            return;
        };
        let left = meeting.ends.saturating_sub(now.wall_ms);
        let by_its_time = meeting.ends != 0 && !again;
        meeting.timer = if by_its_time {
            at.min(now.monotonic_ms.saturating_add(left))
        } else {
            at
        };
        let timer = meeting.timer;
        self.timers.set(timer, Due::Meeting(id));
    }
}

/// Whether anybody is there is looked at so often, in ms.
const LOOK_MS: u64 = 60_000;
/// A meeting that is over and was not ended is tried again after this, in ms.
const END_AGAIN_MS: u64 = 5_000;
/// Meetings that could not be read are asked for again after this, in ms.
const READ_AGAIN_MS: u64 = 1_000;
