//! The plugin and its place in the frame.

use bevy_app::{App, Plugin, PostUpdate, PreUpdate};
use bevy_ecs::{entity::Entity, schedule::IntoScheduleConfigs, schedule::SystemSet, world::World};

use crate::{
    attention::{close_hidden, open_shown, tell_visibility},
    client::{
        CatchUp, ChatClient, ConnectionStatus, FrameBudget, PrimaryClient, end_client, start_client,
    },
    conversation::{
        ConversationId, ConversationIndex, ConversationKind, ConversationList, ConversationOf,
        Conversations, OnScreen, Title, TypingUsers, Unread, forget_conversation,
        index_conversation,
    },
    events::{CallFinished, MessageReceived, MessagesMissed, TimelineChanged, TypingChanged},
    receive::{Calls, receive},
};

/// Chat in a Bevy app. Works under `MinimalPlugins`: it needs neither a window nor a renderer.
///
/// Every [`ChatClient`] in the world is one user who is logged in; several may live side by side.
#[derive(Clone, Debug, Default)]
pub struct FiresidePlugin {
    /// Spawned when the app starts, as the [`PrimaryClient`]. `None`: spawn [`ChatClient`]s yourself, whenever you know who plays.
    pub client: Option<ChatClient>,
}

/// Where chat stands in a frame.
#[derive(Clone, Debug, Eq, Hash, PartialEq, SystemSet)]
pub enum FiresideSystems {
    /// In `PreUpdate`: what happened becomes messages, events and components, within each client's [`FrameBudget`]. What is
    /// received here is seen by `Update` of the same frame.
    Receive,
    /// In `PostUpdate`: conversations that came on or went off the screen ([`OnScreen`]) are told to the server. Calls of
    /// [`Chat`](crate::Chat) do not wait for it; they go at once.
    Send,
}

impl Plugin for FiresidePlugin {
    fn build(&self, app: &mut App) {
        app.init_resource::<ConversationIndex>()
            .init_resource::<Calls>()
            .add_message::<MessageReceived>()
            .add_message::<MessagesMissed>()
            .add_message::<TimelineChanged>()
            .add_message::<TypingChanged>()
            .add_message::<CallFinished>()
            // Automatic registration is off with Bevy's default features off.
            .register_type::<CatchUp>()
            .register_type::<ConnectionStatus>()
            .register_type::<PrimaryClient>()
            .register_type::<FrameBudget>()
            .register_type::<ConversationId>()
            .register_type::<ConversationKind>()
            .register_type::<ConversationOf>()
            .register_type::<Conversations>()
            .register_type::<ConversationList>()
            .register_type::<OnScreen>()
            .register_type::<Title>()
            .register_type::<TypingUsers>()
            .register_type::<Unread>()
            .add_observer(start_client)
            .add_observer(end_client)
            .add_observer(index_conversation)
            .add_observer(forget_conversation)
            .configure_sets(PreUpdate, FiresideSystems::Receive)
            .configure_sets(PostUpdate, FiresideSystems::Send)
            // One system, although it does two things: each system and each point between two costs as much as an idle tick.
            .add_systems(PreUpdate, receive.in_set(FiresideSystems::Receive))
            .add_systems(
                PostUpdate,
                (open_shown, close_hidden, tell_visibility)
                    .chain()
                    .in_set(FiresideSystems::Send),
            );
        if let Some(client) = self.client.clone() {
            app.add_systems(bevy_app::PreStartup, move |world: &mut World| {
                spawn_primary(world, client.clone());
            });
        }
    }
}

fn spawn_primary(world: &mut World, client: ChatClient) -> Entity {
    world.spawn((client, PrimaryClient)).id()
}
