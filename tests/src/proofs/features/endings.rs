//! Scenes of messages that end by themselves or are never kept, and of what is forwarded.

use std::time::{SystemTime, UNIX_EPOCH};

use fireside_client_core::{
    Command, NewMessage,
    command::{MessageRef, Recipient},
    event::Event,
    view::Body,
};
use fireside_protocol::{Content, Settings, content::PollContent, limits::LIFETIME_MS_MIN};

use super::{
    Scene,
    device::number_of,
    stage::{Role, Stage},
    talk::{row, text},
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "a message ends",
        act: |stage, place| {
            let message = NewMessage {
                expires: wall_ms() + SOON_MS,
                ..text("burns")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            let over = wall_ms() + SOON_MS + MARGIN_MS;
            (stage.device(Role::Ann)?).until("the end of its time", |_| wall_ms() >= over)
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.note, |row| {
                row.body == Body::Expired
            })
        },
    },
    Scene {
        name: "messages of a conversation end",
        act: |stage, place| {
            let change = Settings {
                lifetime_ms: Some(LIFETIME_MS_MIN),
                ..Settings::default()
            };
            let set = Command::SetConversation {
                conversation: place.group,
                change: Box::new(change),
            };
            stage.call(Role::Ann, set)?;
            place.note = stage.say(Role::Cyd, place.group, "burns")?;
            let over = wall_ms() + LIFETIME_MS_MIN + MARGIN_MS;
            (stage.device(Role::Ann)?).until("the end of its time", |_| wall_ms() >= over)
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.note, |row| {
                row.body == Body::Expired
            })
        },
    },
    Scene {
        name: "a poll closes by itself",
        act: |stage, place| {
            let ends = wall_ms() + SOON_MS;
            let poll = PollContent {
                question: "Where?".to_owned(),
                options: vec!["mill".to_owned(), "harbour".to_owned()],
                choices_max: 0,
                ends,
                anonymous: false,
            };
            let message = NewMessage::new(Content::Poll(poll));
            place.note = stage.send(Role::Bob, place.group, message)?;
            let over = ends + MARGIN_MS;
            (stage.device(Role::Ann)?).until("the end of its time", |_| wall_ms() >= over)
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.note, |row| {
                let details = row.details.as_ref();
                let poll = details.and_then(|it| it.poll.as_ref());
                poll.is_some_and(|poll| poll.closed)
            })
        },
    },
    Scene {
        name: "transient message",
        act: |stage, place| {
            let say = Command::SendTransient {
                conversation: place.group,
                message: Box::new(text("only now")),
            };
            stage.call(Role::Bob, say)?;
            Ok(())
        },
        // Heard by whoever is there; no device has anything of it afterwards.
        shows: |stage, role, place| {
            let bob = Stage::user(Role::Bob)?;
            let device = stage.device(role)?;
            let heard = (device.events.iter()).any(|event| match event {
                Event::Transient(told) => {
                    told.conversation == place.group
                        && told.sender == bob
                        && told.content == text("only now").content
                }
                _ => false,
            });
            Ok(heard == (role == Role::Ann))
        },
    },
    Scene {
        name: "forward",
        act: |stage, place| {
            let forward = Command::Forward {
                to: Recipient::Conversation(place.direct),
                from: place.group,
                messages: vec![place.said[2]],
                merged: None,
            };
            place.note = number_of(&stage.call(Role::Bob, forward)?)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let cyd = Stage::user(Role::Cyd)?;
            row(stage, role, place.direct, place.note, |row| {
                let details = row.details.as_ref();
                let from = details.and_then(|it| it.forwarded.as_ref());
                from.is_some_and(|from| from.user == cyd)
            })
        },
    },
    Scene {
        name: "merged forward",
        act: |stage, place| {
            let forward = Command::Forward {
                to: Recipient::Conversation(place.direct),
                from: place.group,
                messages: place.said.to_vec(),
                merged: Some("the raid".to_owned()),
            };
            place.note = number_of(&stage.call(Role::Bob, forward)?)?;
            // An admin's recall reaches the copy.
            let recall = Command::Recall {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[2]),
            };
            stage.call(Role::Ann, recall)?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.direct, place.note, |row| {
                let Body::Content(content) = &row.body else {
                    return false;
                };
                let Content::Merged(merged) = &**content else {
                    return false;
                };
                let gone: Vec<bool> = merged.copies.iter().map(|it| it.gone).collect();
                merged.title == "the raid" && gone == [false, false, true]
            })
        },
    },
];

/// How long a message lives that ends, in ms.
const SOON_MS: u64 = 1_500;
/// How long after its time a message has ended on all devices, in ms.
const MARGIN_MS: u64 = 500;

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
