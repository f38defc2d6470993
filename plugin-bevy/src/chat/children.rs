//! Communities with their channels, and threads under messages.

use bevy_ecs::entity::Entity;
use fireside_client::core::{Command as ClientCommand, RequestId};
use fireside_protocol::{JoinPolicy, Sequence, UserId};

use super::{Chat, ChatError, ChatOn};

impl Chat<'_, '_> {
    /// Opens the thread under a message and comes into it; comes into it if it is open already. The thread is a conversation of its own: its
    /// entity comes with the list, with a [`BelongsTo`](crate::BelongsTo). An empty `name`: none.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn open_thread(
        &mut self,
        conversation: Entity,
        message: Sequence,
        name: impl Into<String>,
    ) -> Result<RequestId, ChatError> {
        let name = name.into();
        self.command(conversation, |conversation| ClientCommand::OpenThread {
            conversation,
            message,
            name,
        })
    }

    /// Makes a channel in a community. `by_default`: whoever comes into the community comes into it too.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn create_channel(
        &mut self,
        community: Entity,
        name: impl Into<String>,
        join: JoinPolicy,
        by_default: bool,
    ) -> Result<RequestId, ChatError> {
        let name = name.into();
        self.command(community, |community| ClientCommand::CreateChannel {
            community,
            name,
            join,
            by_default,
        })
    }

    /// Asks for the channels of a community or the threads of a conversation; the completion has them.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn children(&mut self, conversation: Entity) -> Result<RequestId, ChatError> {
        self.command(conversation, |conversation| ClientCommand::Children {
            conversation,
            after: None,
        })
    }
}

impl ChatOn<'_> {
    /// Makes a community, a space of channels, and invites users.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn create_community(
        &mut self,
        name: impl Into<String>,
        invite: Vec<UserId>,
        join: JoinPolicy,
    ) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::CreateCommunity {
            name: name.into(),
            invite,
            join,
        })
    }
}
