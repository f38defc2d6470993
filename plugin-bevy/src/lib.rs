#![doc = include_str!("../README.md")]
#![expect(
    clippy::type_complexity,
    reason = "a query's type says what it looks at; a name for it would hide that"
)]

mod attention;
mod chat;
mod client;
mod conditions;
mod conversation;
mod events;
mod plugin;
mod receive;

pub use chat::{Chat, ChatError, ChatOn};
pub use client::{
    CatchUp, ChatClient, ClientFailed, ConnectionStatus, FrameBudget, Link, PrimaryClient,
    WakeCallback,
};
pub use conditions::{
    ChatFocus, connecting, just_connected, just_disconnected, offline, online, typing,
};
pub use conversation::{
    BelongsTo, ConversationId, ConversationIndex, ConversationKind, ConversationList,
    ConversationOf, Conversations, Head, OnScreen, OwnRole, Peer, Timeline, TimelineRows, Title,
    TypingUsers, Unread,
};
pub use events::{
    CallFinished, Connected, ConversationAdded, ConversationRemoved, Disconnected, HistoryLoaded,
    Invited, MembersLoaded, MemoryModeEntered, MessageFailed, MessageReceived, MessageSent,
    MessagesMissed, TimelineChanged, TokenExpiring, TransientReceived, TypingChanged,
};
pub use fireside_client as client_core;
pub use fireside_protocol::{Code, Nonce, Role, Sequence, UserId, content::LinkPreview};
pub use plugin::{FiresidePlugin, FiresideSystems};

/// What most games use. Holds no name that Bevy's own prelude has.
pub mod prelude {
    pub use crate::{
        Chat, ChatClient, ChatError, ConnectionStatus, ConversationId, ConversationList,
        ConversationOf, FiresidePlugin, FiresideSystems, FrameBudget, MessageFailed,
        MessageReceived, MessageSent, OnScreen, PrimaryClient, Timeline, Title, Unread, UserId,
    };
    pub use fireside_client::{
        Trust,
        core::{
            NewMessage,
            view::{Body, MessageState, TimelineRow},
        },
    };
    pub use fireside_protocol::Content;
}
