//! Transient messages: decided as messages are, told to who is online now, and forgotten.
//!
//! Nothing is stored, so there is no number, no outcome and no repeat: whoever has no room for one just does not get it.

use bytes::Bytes;
use fireside_protocol::{
    Code, Content, DeviceId, Lane, Now, ServerFrame, UserId,
    frames::Done,
    transient::{SendTransient, Transient},
};

use crate::{
    conversation::ConversationKey,
    decide::{Case, Decision, check_content},
    job::Job,
    node::{Node, Published},
};

/// A transient message on its way to other nodes and sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Whose it is.
    pub sender: UserId,
    /// Where it was written: that device is not told.
    pub device: DeviceId,
    /// Behind a block: only the sender's other devices hear of it, as of a message that reaches nobody.
    pub withheld: bool,
    /// A whole frame.
    pub frame: Bytes,
}

impl Case<'_> {
    /// As a message: who may send one may send this. What only means something while it is kept is refused.
    pub(crate) fn transient(&self, frame: &SendTransient) -> Result<Decision, Code> {
        let content = check_content(&frame.header, &frame.content)?;
        if matches!(
            content,
            Content::Poll(_) | Content::Card(_) | Content::Live(_)
        ) {
            return Err(Code::KindUnsupported);
        }
        if frame.header.reply_to != 0 || frame.header.expires != 0 {
            return Err(Code::ArgumentInvalid);
        }
        if self.state.is_group() {
            self.may_write(&frame.header.mention_roles, frame.header.mention_all)?;
            if let Some(wait_ms) = self.slow_wait_ms() {
                return Ok(Decision::Later(Code::SlowMode, wait_ms));
            }
            return Ok(Decision::Tell);
        }
        self.state.role(self.me).ok_or(Code::NotFound)?;
        Ok(Decision::Tell)
    }
}

impl Node {
    /// A transient message is taken: it is answered, and told.
    pub(crate) fn take_transient(
        &mut self,
        conversation: ConversationKey,
        mut job: Box<Job>,
        frame: SendTransient,
        now: Now,
    ) {
        if let Err(refusal) = self.charge(conversation, &mut job, now) {
            self.finish(&job, ServerFrame::Refused(refusal));
            return;
        }
        self.slow(conversation, &mut job, now);
        let device = self.sessions.get(&job.session).map(|it| it.device);
        let slot = self.conversations.get(conversation);
        let loaded = slot.and_then(|slot| slot.loaded.as_deref());
        // Behind a block nobody but the sender's own devices hears of it, and nothing tells the sender.
        let withheld = loaded.is_none_or(|loaded| !loaded.is_group() && loaded.is_blocked());
        if let Some(version) = loaded.and_then(|loaded| loaded.version())
            && let Some(device) = device
        {
            let told = Transient {
                conversation: frame.conversation,
                sender: job.user.clone(),
                at: now.wall_ms,
                header: frame.header,
                content: frame.content,
            };
            self.out.published.push_back(Published::Transient {
                conversation: frame.conversation,
                version,
                told: Told {
                    sender: job.user.clone(),
                    device,
                    withheld,
                    frame: ServerFrame::Transient(told).encode(0),
                },
            });
        }
        self.finish(&job, ServerFrame::Done(Done { reserved: 0 }));
    }

    /// Tells the members who are online and have room.
    pub(crate) fn tell(&mut self, key: ConversationKey, told: &Told) {
        let Self {
            conversations,
            users,
            sessions,
            out,
            counters,
            ..
        } = self;
        let Some(slot) = conversations.get(key) else {
            return;
        };
        let Some(loaded) = &slot.loaded else {
            return;
        };
        for online in &slot.online {
            let Some(user) = users.get(online.user) else {
                continue;
            };
            let may = loaded
                .member(&user.id)
                .is_some_and(|it| it.role.is_some() && !it.reader.blocked.contains(&told.sender));
            let withheld = told.withheld && user.id != told.sender;
            if !may || withheld || online.awaits_head {
                continue;
            }
            for session_key in &user.sessions {
                let Some(session) = sessions.get_mut(session_key) else {
                    continue;
                };
                let is_own = user.id == told.sender && session.device == told.device;
                if is_own || session.entering.is_some() {
                    continue;
                }
                if session.outbound.has_room_live(told.frame.len()) {
                    out.push(
                        *session_key,
                        session,
                        Lane::Chat,
                        0,
                        false,
                        told.frame.clone(),
                    );
                    counters.transients_sent += 1;
                } else {
                    counters.transients_lost += 1;
                }
            }
        }
    }
}
