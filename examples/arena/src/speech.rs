//! What is said aloud at the fire: who, what. Bubbles show it; the headless scene prints it.

use bevy::prelude::*;
use bevy_fireside::{FiresideSystems, MessageReceived, UserId};

use fireside_protocol::text::is_direction;

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

/// What is shown of a text. Without characters that turn the direction of what follows: nobody can disguise a line. And without a
/// skin tone on a space: fonts have no picture of that, and Bevy then shows nothing of the paragraph, the name included.
pub(crate) fn plain(text: &str) -> String {
    let mut on_space = true;
    let shown = text.chars().filter(|c| !is_direction(*c)).map(|c| {
        let shown = match c {
            '\u{1f3fb}'..='\u{1f3ff}' if on_space => char::REPLACEMENT_CHARACTER,
            _ => c,
        };
        on_space = shown.is_whitespace()
            || on_space && matches!(shown, '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
        shown
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_turns_around() {
        assert_eq!(plain("ash\u{202e} :nimda"), "ash :nimda");
    }

    #[test]
    fn a_skin_tone_needs_a_hand() {
        assert_eq!(plain("👍🏽 yes"), "👍🏽 yes");
        assert_eq!(plain("👍 🏽"), "👍 \u{fffd}");
        assert_eq!(plain("🏽"), "\u{fffd}");
        assert_eq!(plain("a \u{200d}🏽"), "a \u{200d}\u{fffd}");
    }
}
