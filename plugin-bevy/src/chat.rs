//! Acting on chat from a system.

mod children;

use bevy_ecs::{
    entity::Entity,
    query::{Has, With},
    system::{Query, Res, ResMut, SystemParam},
};
use fireside_client::{
    Client,
    core::{
        Command as ClientCommand, CommandError, NewMessage, RequestId,
        command::{MessageRef, Recipient},
    },
};
use fireside_protocol::{
    Code, Nonce, Role, Sequence, UserId,
    content::{AnswerValue, CustomContent},
};

use crate::{
    client::{ChatClient, ConnectionStatus, Link, PrimaryClient},
    conversation::{ConversationId, ConversationIndex, ConversationOf},
    receive::{About, Calls},
};

/// Everything a system can do in chat. All calls are **Local**: they put a command into a bounded queue and return at once; what
/// came of it arrives as [`CallFinished`](crate::CallFinished) and, for messages, as events on the conversation.
///
/// What names a conversation acts through the client that has it; the rest acts on the [`PrimaryClient`], or through
/// [`Chat::on`] on another.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use bevy_fireside::prelude::*;
///
/// #[derive(Component)]
/// struct Party;
///
/// fn say_hello(mut chat: Chat, party: Single<Entity, With<Party>>) -> Result {
///     chat.send(*party, "hello")?;
///     Ok(())
/// }
/// ```
#[derive(SystemParam)]
pub struct Chat<'w, 's> {
    clients: Query<
        'w,
        's,
        (
            Entity,
            &'static Link,
            &'static ConnectionStatus,
            Has<PrimaryClient>,
        ),
        With<ChatClient>,
    >,
    conversations: Query<'w, 's, (&'static ConversationId, &'static ConversationOf)>,
    index: Res<'w, ConversationIndex>,
    calls: ResMut<'w, Calls>,
}

/// Why a call was not even taken. Nothing happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// No client is marked as the primary one.
    #[error("there is no primary client; spawn a ChatClient with PrimaryClient, or use Chat::on")]
    NoPrimaryClient,
    /// The entity is no running client.
    #[error("{0} is no running client; expected an entity with a ChatClient that has started")]
    NoClient(Entity),
    /// The entity is no conversation.
    #[error("{0} is no conversation; expected an entity with ConversationId and ConversationOf")]
    NoConversation(Entity),
    /// The client did not take it: `busy` (too many calls are pending) or `cancelled` (it was shut down).
    #[error("the client did not take the call: {0}")]
    Refused(Code),
}

impl ChatError {
    /// The stable code, the same in every engine.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::NoPrimaryClient | Self::NoClient(_) | Self::NoConversation(_) => {
                Code::ArgumentInvalid
            }
            Self::Refused(code) => code,
        }
    }
}

impl From<CommandError> for ChatError {
    fn from(error: CommandError) -> Self {
        Self::Refused(error.code)
    }
}

impl Chat<'_, '_> {
    /// The primary client.
    ///
    /// # Errors
    /// [`ChatError::NoPrimaryClient`].
    pub fn primary(&mut self) -> Result<ChatOn<'_>, ChatError> {
        let found = self.clients.iter().find(|(.., primary)| *primary);
        let (entity, link, ..) = found.ok_or(ChatError::NoPrimaryClient)?;
        Ok(ChatOn {
            entity,
            client: &link.0,
            calls: &mut self.calls,
            index: &self.index,
        })
    }

    /// Another client.
    ///
    /// # Errors
    /// [`ChatError::NoClient`].
    pub fn on(&mut self, client: Entity) -> Result<ChatOn<'_>, ChatError> {
        let (entity, link, ..) =
            (self.clients.get(client)).map_err(|_| ChatError::NoClient(client))?;
        Ok(ChatOn {
            entity,
            client: &link.0,
            calls: &mut self.calls,
            index: &self.index,
        })
    }

    /// How the primary client is connected; `Offline` if there is none.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        let found = self.clients.iter().find(|(.., primary)| *primary);
        found.map_or_else(Default::default, |(_, _, status, _)| status.clone())
    }

    /// The entity of a conversation in a client's list.
    #[must_use]
    pub fn conversation(&self, client: Entity, id: ConversationId) -> Option<Entity> {
        self.index.get(client, id)
    }

    /// Sends a text. It shows in the [`Timeline`](crate::Timeline) at once as `Sending`; [`MessageSent`](crate::MessageSent) or
    /// [`MessageFailed`](crate::MessageFailed) follows, after however long without a network.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn send(
        &mut self,
        conversation: Entity,
        text: impl Into<String>,
    ) -> Result<RequestId, ChatError> {
        let text = text.into();
        self.about(conversation, |id| ClientCommand::SendText {
            to: Recipient::Conversation(id),
            text,
        })
    }

    /// Gives an own message a new text.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn edit(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        text: impl Into<String>,
    ) -> Result<RequestId, ChatError> {
        let text = text.into();
        self.about(conversation, |conversation| ClientCommand::EditText {
            conversation,
            message,
            text,
        })
    }

    /// Takes a message back for all.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn recall(
        &mut self,
        conversation: Entity,
        message: MessageRef,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Recall {
            conversation,
            message,
        })
    }

    /// Reacts to a message with an emoji or an id of the game's own (1 to 64 bytes without spaces), or takes it back. Shows at once in
    /// the timeline's rows.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn react(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        key: impl Into<String>,
        on: bool,
    ) -> Result<RequestId, ChatError> {
        let key = key.into();
        self.about(conversation, |conversation| ClientCommand::React {
            conversation,
            message,
            key,
            on,
        })
    }

    /// Pins a message for everybody, or unpins it: both users of a direct conversation may, in a group admins and owners.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn pin(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        on: bool,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Pin {
            conversation,
            message,
            on,
        })
    }

    /// Sends a message of any kind, with its options: a reply, mentions, a poll, a place.
    ///
    /// # Errors
    /// [`ChatError`], also for a content outside its kind's rules; nothing was sent then.
    pub fn send_message(
        &mut self,
        conversation: Entity,
        message: NewMessage,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |id| ClientCommand::Send {
            to: Recipient::Conversation(id),
            message: Box::new(message),
        })
    }

    /// Votes in a poll, in the place of the vote before; no choices take it back.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn vote(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        choices: Vec<u32>,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Vote {
            conversation,
            message,
            choices,
        })
    }

    /// Closes an own poll, or as an admin any.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn close_poll(
        &mut self,
        conversation: Entity,
        message: MessageRef,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::ClosePoll {
            conversation,
            message,
        })
    }

    /// Changes the state of an own live object; what comes sooner than 5 s after the change before waits that long.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn set_live(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        state: CustomContent,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::SetLive {
            conversation,
            message,
            state: Box::new(state),
        })
    }

    /// Answers a card; its author sees the answer, nobody else.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn answer_card(
        &mut self,
        conversation: Entity,
        message: MessageRef,
        values: Vec<AnswerValue>,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::AnswerCard {
            conversation,
            message,
            values,
        })
    }

    /// Sends copies of messages (their numbers, ascending, at most 100) of one conversation to another: all in one with a heading, or with
    /// `merged` as `None` the one as a message of its own kind. The server makes the copies. It needs a network: offline it fails at once.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn forward(
        &mut self,
        from: Entity,
        messages: Vec<Sequence>,
        to: ConversationId,
        merged: Option<String>,
    ) -> Result<RequestId, ChatError> {
        self.about(from, |from| ClientCommand::Forward {
            to: Recipient::Conversation(to.into()),
            from,
            messages,
            merged,
        })
    }

    /// Deletes messages for this user alone, on all their devices: at most 100 numbers.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn delete(
        &mut self,
        conversation: Entity,
        numbers: Vec<Sequence>,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Delete {
            conversation,
            upto: 0,
            numbers,
        })
    }

    /// Deletes the whole history so far for this user alone, on all their devices.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn clear_history(&mut self, conversation: Entity) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Delete {
            conversation,
            upto: Sequence::MAX,
            numbers: Vec::new(),
        })
    }

    /// Marks everything read up to a number; 0: all that is known.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn mark_read(
        &mut self,
        conversation: Entity,
        upto: Sequence,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::MarkRead {
            conversation,
            upto,
        })
    }

    /// The user is typing (call it at each key; it is debounced), or stopped.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn typing(&mut self, conversation: Entity, on: bool) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Typing {
            conversation,
            on,
        })
    }

    /// Loads older messages into the timeline of a conversation on screen; at most 200 at once.
    /// [`HistoryLoaded`](crate::HistoryLoaded) follows.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn load_older(&mut self, conversation: Entity, count: u32) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::LoadOlder {
            conversation,
            count,
        })
    }

    /// Invites users to a group.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn invite(
        &mut self,
        conversation: Entity,
        users: Vec<UserId>,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Invite {
            conversation,
            users,
        })
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn leave(&mut self, conversation: Entity) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Leave {
            conversation,
        })
    }

    /// Removes a member.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn remove_member(
        &mut self,
        conversation: Entity,
        user: UserId,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::RemoveMember {
            conversation,
            user,
        })
    }

    /// Gives a member a role.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn set_role(
        &mut self,
        conversation: Entity,
        user: UserId,
        role: Role,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::SetRole {
            conversation,
            user,
            role,
        })
    }

    /// Asks for a page of members; [`MembersLoaded`](crate::MembersLoaded) follows.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn members(
        &mut self,
        conversation: Entity,
        after: Option<UserId>,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, |conversation| ClientCommand::Members {
            conversation,
            after,
        })
    }

    /// Tries a failed message again.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn retry(&mut self, conversation: Entity, nonce: Nonce) -> Result<RequestId, ChatError> {
        self.about(conversation, |_| ClientCommand::Retry { nonce })
    }

    /// Drops a failed message.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn discard(&mut self, conversation: Entity, nonce: Nonce) -> Result<RequestId, ChatError> {
        self.about(conversation, |_| ClientCommand::Discard { nonce })
    }

    /// Sends a text to a user through the primary client.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn whisper(
        &mut self,
        user: &UserId,
        text: impl Into<String>,
    ) -> Result<RequestId, ChatError> {
        self.primary()?.whisper(user, text)
    }

    /// Any command of the client core about a conversation, through the client that has it: what has no method of its own yet.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn command(
        &mut self,
        conversation: Entity,
        command: impl FnOnce(fireside_protocol::ConversationId) -> ClientCommand,
    ) -> Result<RequestId, ChatError> {
        self.about(conversation, command)
    }

    /// A command about a conversation, through the client that has it.
    fn about(
        &mut self,
        entity: Entity,
        command: impl FnOnce(fireside_protocol::ConversationId) -> ClientCommand,
    ) -> Result<RequestId, ChatError> {
        let (id, of) =
            (self.conversations.get(entity)).map_err(|_| ChatError::NoConversation(entity))?;
        let (client, link, ..) = (self.clients.get(of.0)).map_err(|_| ChatError::NoClient(of.0))?;
        let command = command((*id).into());
        let about = About {
            conversation: *id,
            message: is_of_message(&command),
        };
        let request = link.0.command(command)?;
        self.calls.began(client, request, about);
        Ok(request)
    }
}

/// Sends or changes a message.
const fn is_of_message(command: &ClientCommand) -> bool {
    matches!(
        command,
        ClientCommand::SendText { .. }
            | ClientCommand::EditText { .. }
            | ClientCommand::Recall { .. }
            | ClientCommand::Retry { .. }
    )
}

/// What a [`Chat`] does on one client.
#[derive(Debug)]
pub struct ChatOn<'a> {
    entity: Entity,
    client: &'a Client,
    calls: &'a mut Calls,
    index: &'a ConversationIndex,
}

impl ChatOn<'_> {
    /// The client's entity.
    #[must_use]
    pub const fn entity(&self) -> Entity {
        self.entity
    }

    /// The entity of a conversation in its list.
    #[must_use]
    pub fn conversation(&self, id: ConversationId) -> Option<Entity> {
        self.index.get(self.entity, id)
    }

    /// Sends a text to a user; the conversation is made by the first message.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn whisper(
        &mut self,
        user: &UserId,
        text: impl Into<String>,
    ) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::SendText {
            to: Recipient::User(user.clone()),
            text: text.into(),
        })
    }

    /// Makes a group and invites users.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn create_group(
        &mut self,
        name: impl Into<String>,
        invite: Vec<UserId>,
    ) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::CreateGroup {
            name: name.into(),
            invite,
            history_for_joiners: 0,
        })
    }

    /// Accepts an invitation. The conversation's entity comes with the list.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn join(&mut self, conversation: ConversationId) -> Result<RequestId, ChatError> {
        let request = self.call(ClientCommand::Join {
            conversation: conversation.into(),
        })?;
        let about = About {
            conversation,
            message: false,
        };
        self.calls.began(self.entity, request, about);
        Ok(request)
    }

    /// Declines an invitation, or leaves.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn leave(&mut self, conversation: ConversationId) -> Result<RequestId, ChatError> {
        let request = self.call(ClientCommand::Leave {
            conversation: conversation.into(),
        })?;
        let about = About {
            conversation,
            message: false,
        };
        self.calls.began(self.entity, request, about);
        Ok(request)
    }

    /// Blocks or unblocks a user.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn block(&mut self, user: UserId, on: bool) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::Block { user, on })
    }

    /// Connects and stays connected, with retries.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn connect(&mut self) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::Connect)
    }

    /// Goes offline; unsent messages are kept.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn disconnect(&mut self) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::Disconnect)
    }

    /// A new token of the same user, without reconnecting. Also ends `Refused` after an expired one.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn set_token(&mut self, token: impl Into<String>) -> Result<RequestId, ChatError> {
        self.call(ClientCommand::SetToken(token.into()))
    }

    /// Any other command of the client core.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn call(&mut self, command: ClientCommand) -> Result<RequestId, ChatError> {
        Ok(self.client.command(command)?)
    }
}
