//! What happens, for systems (messages) and for observers (events). Messages notify, components remember: what is true now stands in
//! components; a message or event that nobody read is not lost knowledge.

use std::sync::Arc;

use bevy_ecs::{entity::Entity, event::EntityEvent, message::Message};
use fireside_client::core::{
    ByteString, RequestId,
    event::{CallError, Completion, TransientMessage},
    view::{Diff, TimelineRow},
};
use fireside_protocol::{Nonce, Sequence, UserId, WallMs, frames::Member};

use crate::{client::ConnectionStatus, conversation::ConversationId};

/// A message of somebody else, or of another device of the user, arrived live. A notice: when very many come at once some are only
/// counted ([`MessagesMissed`]); the truth is in [`Timeline`](crate::Timeline).
#[derive(Clone, Debug, Message)]
pub struct MessageReceived {
    /// Whose client received it.
    pub client: Entity,
    /// Where.
    pub conversation: Entity,
    /// Its number there.
    pub sequence: Sequence,
    /// Who wrote it.
    pub sender: UserId,
    /// What, if it is a text. Copy what is kept for long: texts of a burst share memory.
    pub text: Option<ByteString>,
    /// When, in ms since 1970 by the server's clock.
    pub at: WallMs,
}

/// So many [`MessageReceived`] found no room in a frame's queue.
#[derive(Clone, Copy, Debug, Message)]
pub struct MessagesMissed {
    /// Whose.
    pub client: Entity,
    /// How many.
    pub count: u64,
}

/// The timeline of a conversation on screen changed; already applied to [`Timeline`](crate::Timeline). For UIs that keep an entity
/// a row: apply the diffs in order to whatever mirrors the rows.
#[derive(Clone, Debug, Message)]
pub struct TimelineChanged {
    /// Which.
    pub conversation: Entity,
    /// In order.
    pub diffs: Vec<Diff<TimelineRow>>,
}

/// Somebody types, or stopped. Also in [`TypingUsers`](crate::TypingUsers).
#[derive(Clone, Debug, Message)]
pub struct TypingChanged {
    /// Where.
    pub conversation: Entity,
    /// Who.
    pub user: UserId,
    /// Types.
    pub on: bool,
}

/// A call is done. Every call that was taken finishes exactly once, with `cancelled` if its client ends first and is still ticked.
#[derive(Clone, Debug, Message)]
pub struct CallFinished {
    /// Whose.
    pub client: Entity,
    /// Which, as the call returned it.
    pub request: RequestId,
    /// What came of it.
    pub result: Result<Completion, CallError>,
}

/// A client logged in.
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct Connected {
    /// Which.
    #[event_target]
    pub client: Entity,
}

/// A client that was logged in is not any more.
#[derive(Clone, Debug, EntityEvent)]
pub struct Disconnected {
    /// Which.
    #[event_target]
    pub client: Entity,
    /// What it is instead.
    pub status: ConnectionStatus,
}

/// The token ends soon: get a new one and give it to [`ChatOn::set_token`](crate::ChatOn::set_token); the connection stays.
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct TokenExpiring {
    /// Whose.
    #[event_target]
    pub client: Entity,
    /// From now, in ms.
    pub in_ms: u64,
}

/// The cache on disk can not be used; the session goes on in memory and unsent messages end with the process.
#[derive(Clone, Debug, EntityEvent)]
pub struct MemoryModeEntered {
    /// Whose.
    #[event_target]
    pub client: Entity,
    /// Why, for people.
    pub reason: String,
}

/// Somebody invites the user. Answer with [`ChatOn::join`](crate::ChatOn::join) or [`ChatOn::leave`](crate::ChatOn::leave).
#[derive(Clone, Debug, EntityEvent)]
pub struct Invited {
    /// Whom.
    #[event_target]
    pub client: Entity,
    /// Where to. There is no entity yet: it comes with joining.
    pub conversation: ConversationId,
    /// Who.
    pub by: UserId,
    /// The conversation's name.
    pub name: String,
}

/// Somebody said something to who is online now. It is in no timeline: show it, or not.
#[derive(Clone, Debug, EntityEvent)]
pub struct TransientReceived {
    /// Where.
    #[event_target]
    pub conversation: Entity,
    /// Who, where, when and what.
    pub message: Box<TransientMessage>,
}

/// A conversation came into the list; its components are set.
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct ConversationAdded {
    /// Which.
    #[event_target]
    pub conversation: Entity,
}

/// A conversation went out of the list. Its entity is despawned right after, unless it is on screen.
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct ConversationRemoved {
    /// Which.
    #[event_target]
    pub conversation: Entity,
}

/// An own message is on the server's disk.
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct MessageSent {
    /// Where.
    #[event_target]
    pub conversation: Entity,
    /// The call that sent it.
    pub request: RequestId,
    /// Its name before it had a number.
    pub nonce: Nonce,
    /// Its number.
    pub sequence: Sequence,
}

/// An own message, or a change of one (edit, recall), was refused for good. A message's row says so too and can be retried or discarded.
/// What else fails is told by [`CallFinished`] alone.
#[derive(Clone, Debug, EntityEvent)]
pub struct MessageFailed {
    /// Where.
    #[event_target]
    pub conversation: Entity,
    /// The call.
    pub request: RequestId,
    /// Why.
    pub error: CallError,
}

/// Older messages are in the [`Timeline`](crate::Timeline).
#[derive(Clone, Copy, Debug, EntityEvent)]
pub struct HistoryLoaded {
    /// Where.
    #[event_target]
    pub conversation: Entity,
    /// The call.
    pub request: RequestId,
    /// How many came.
    pub count: u32,
    /// There is nothing older.
    pub start_reached: bool,
}

/// A page of members.
#[derive(Clone, Debug, EntityEvent)]
pub struct MembersLoaded {
    /// Where.
    #[event_target]
    pub conversation: Entity,
    /// The call.
    pub request: RequestId,
    /// They.
    pub members: Arc<[Member]>,
    /// There are more: ask with the last one's id.
    pub more: bool,
}
