//! What is said aloud at the fire: who, what. Bubbles show it; the headless scene prints it.

use bevy::prelude::*;
use bevy_fireside::{FiresideSystems, MessageReceived, UserId};

use crate::chat::rooms::Rooms;

/// Words in Camp, one's own included.
#[derive(Clone, Debug, Message)]
pub(crate) struct Spoken {
    /// Who.
    pub(crate) who: UserId,
    /// What.
    pub(crate) text: String,
}

pub(crate) fn plugin(app: &mut App) {
    app.add_message::<Spoken>()
        .add_systems(PreUpdate, hear.after(FiresideSystems::Receive));
}

/// A whisper is nobody else's business; what is said in Camp is heard.
fn hear(
    mut received: MessageReader<MessageReceived>,
    rooms: Res<Rooms>,
    mut spoken: MessageWriter<Spoken>,
) {
    for message in received.read() {
        if Some(message.conversation) == rooms.camp()
            && let Some(text) = &message.text
        {
            spoken.write(Spoken {
                who: message.sender.clone(),
                text: text.to_string(),
            });
        }
    }
}
