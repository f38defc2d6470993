//! A player.

use std::collections::HashMap;

use fireside_client::Client;
use fireside_client_core::{
    ConnectionState, Event,
    event::Completion,
    view::{ConversationRow, TimelineRow},
};
use fireside_protocol::{ConversationId, UserId};

/// A player: a client and what it shows.
pub(super) struct Player {
    pub(super) user: UserId,
    pub(super) client: Client,
    pub(super) state: ConnectionState,
    pub(super) list: Vec<ConversationRow>,
    pub(super) timelines: HashMap<ConversationId, Vec<TimelineRow>>,
    pub(super) typing: Option<ConversationId>,
    pub(super) invited: Vec<ConversationId>,
    pub(super) created: Option<ConversationId>,
    pub(super) failed: Option<String>,
    pub(super) received: u64,
}

impl Player {
    /// Takes in an event of its client.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::State(state) => self.state = state,
            Event::Completed {
                result: Ok(Completion::Created { conversation }),
                ..
            } => self.created = Some(conversation),
            Event::Completed {
                result: Err(error), ..
            } if !error.code.retryable() => self.failed = Some(format!("{}: {error}", self.user)),
            Event::Conversations { diffs, .. } => {
                for diff in diffs {
                    diff.apply(&mut self.list);
                }
            }
            Event::Timeline {
                conversation,
                diffs,
                ..
            } => {
                let rows = self.timelines.entry(conversation).or_default();
                for diff in diffs {
                    diff.apply(rows);
                }
            }
            Event::MessageReceived { .. } => self.received += 1,
            Event::Missed { count } => self.received += count,
            Event::Invited { conversation, .. } => self.invited.push(conversation),
            Event::Typing {
                conversation, on, ..
            } => self.typing = on.then_some(conversation),
            _ => {}
        }
    }
}
