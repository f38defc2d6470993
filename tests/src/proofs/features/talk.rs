//! Scenes of messages: what they are, and their whole life.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use fireside_client_core::{
    Command, NewMessage,
    command::MessageRef,
    event::Completion,
    view::{Body, Details, MessageState, QuoteState, TimelineRow},
};
use fireside_protocol::{
    Content, ConversationId, Real, TextContent,
    content::{
        AnswerValue, Attachment, CardContent, CardElement, CardOption, CardPage, CustomContent,
        EarthPlace, ElementKind, ItemContent, ItemLink, LocationContent, MediaContent, PollContent,
        Span, SpanKind, StickerContent, WorldPlace,
    },
};

use super::{
    Scene,
    stage::{Place, Role, Stage},
};

pub(super) const SCENES: &[Scene] = &[
    Scene {
        name: "text",
        act: |stage, place| {
            place.note = stage.say(Role::Bob, place.group, "Ümit, 公会战, مرحبا 🎉")?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.note, |row| {
                text_of(row) == "Ümit, 公会战, مرحبا 🎉"
            })
        },
    },
    Scene {
        name: "spans",
        act: |stage, place| {
            place.note = stage.send(Role::Bob, place.group, NewMessage::new(spanned()))?;
            Ok(())
        },
        shows: |stage, role, place| details(stage, role, place, |it| it.spans == spanned().spans()),
    },
    Scene {
        name: "image",
        act: |stage, place| send(stage, place, Content::Image(media(3, "our camp"))),
        shows: |stage, role, place| {
            content(stage, role, place, &Content::Image(media(3, "our camp")))
        },
    },
    Scene {
        name: "video",
        act: |stage, place| send(stage, place, Content::Video(media(1, ""))),
        shows: |stage, role, place| content(stage, role, place, &Content::Video(media(1, ""))),
    },
    Scene {
        name: "audio",
        act: |stage, place| send(stage, place, Content::Audio(media(1, ""))),
        shows: |stage, role, place| content(stage, role, place, &Content::Audio(media(1, ""))),
    },
    Scene {
        name: "file",
        act: |stage, place| send(stage, place, Content::File(media(1, "the plan"))),
        shows: |stage, role, place| {
            content(stage, role, place, &Content::File(media(1, "the plan")))
        },
    },
    Scene {
        name: "sticker",
        act: |stage, place| send(stage, place, sticker()),
        shows: |stage, role, place| content(stage, role, place, &sticker()),
    },
    Scene {
        name: "location",
        act: |stage, place| send(stage, place, location()),
        shows: |stage, role, place| content(stage, role, place, &location()),
    },
    Scene {
        name: "custom",
        act: |stage, place| send(stage, place, Content::Custom(custom("a trade"))),
        shows: |stage, role, place| {
            content(stage, role, place, &Content::Custom(custom("a trade")))
        },
    },
    Scene {
        name: "item",
        act: |stage, place| send(stage, place, item()),
        shows: |stage, role, place| content(stage, role, place, &item()),
    },
    Scene {
        name: "poll",
        act: |stage, place| {
            send(stage, place, poll())?;
            let (conversation, message) = (place.group, MessageRef::Sequence(place.note));
            for (role, choice) in [(Role::Ann, 0), (Role::Cyd, 1), (Role::Cyd, 0)] {
                let choices = vec![choice];
                let vote = Command::Vote {
                    conversation,
                    message,
                    choices,
                };
                stage.call(role, vote)?;
            }
            Ok(())
        },
        shows: |stage, role, place| {
            details(stage, role, place, |it| {
                it.poll.as_ref().is_some_and(|poll| {
                    let votes: Vec<_> = poll
                        .options
                        .iter()
                        .map(|it| (it.users.len(), it.mine))
                        .collect();
                    votes == [(2, true), (0, false)] && !poll.closed
                })
            })
        },
    },
    Scene {
        name: "anonymous poll",
        act: |stage, place| {
            let Content::Poll(named) = poll() else {
                bail!("a poll is one");
            };
            let anonymous = true;
            let poll = Content::Poll(PollContent { anonymous, ..named });
            send(stage, place, poll)?;
            let (conversation, message) = (place.group, MessageRef::Sequence(place.note));
            for (role, choice) in [
                (Role::Ann, 1),
                (Role::Cyd, 1),
                (Role::Ann, 0),
                (Role::Bob, 0),
            ] {
                let choices = vec![choice];
                let vote = Command::Vote {
                    conversation,
                    message,
                    choices,
                };
                stage.call(role, vote)?;
            }
            Ok(())
        },
        shows: |stage, role, place| {
            details(stage, role, place, |it| {
                it.poll.as_ref().is_some_and(|poll| {
                    let options = poll.options.iter();
                    let votes: Vec<_> = options
                        .map(|it| (it.count, it.mine, it.users.len()))
                        .collect();
                    votes == [(2, true, 0), (1, false, 0)] && poll.anonymous
                })
            })
        },
    },
    Scene {
        name: "close poll",
        act: |stage, place| {
            send(stage, place, poll())?;
            let (conversation, message) = (place.group, MessageRef::Sequence(place.note));
            let close = Command::ClosePoll {
                conversation,
                message,
            };
            stage.call(Role::Bob, close)?;
            let vote = Command::Vote {
                conversation,
                message,
                choices: vec![0],
            };
            ensure!(
                stage.call(Role::Cyd, vote).is_err(),
                "a closed poll took a vote"
            );
            Ok(())
        },
        shows: |stage, role, place| {
            details(stage, role, place, |it| {
                it.poll.as_ref().is_some_and(|poll| poll.closed)
            })
        },
    },
    Scene {
        name: "card",
        act: |stage, place| {
            place.note = stage.send(Role::Ann, place.group, NewMessage::new(card()))?;
            Ok(())
        },
        shows: |stage, role, place| content(stage, role, place, &card()),
    },
    Scene {
        name: "answer to a card",
        act: |stage, place| {
            place.note = stage.send(Role::Ann, place.group, NewMessage::new(card()))?;
            let answer = Command::AnswerCard {
                conversation: place.group,
                message: MessageRef::Sequence(place.note),
                values: vec![value("role", "tank")],
            };
            stage.call(Role::Bob, answer)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, card) = (place.group, place.note);
            let seen = |stage: &mut Stage, role| -> Result<bool> {
                let rows = stage.device(role)?.rows(group);
                Ok(rows.iter().any(|row| {
                    matches!(&row.body, Body::Answer(it) if it.card == card && it.values == [value("role", "tank")])
                }))
            };
            // Its author sees it; another member does not.
            Ok(seen(stage, role)? && !seen(stage, Role::Cyd)?)
        },
    },
    Scene {
        name: "live object",
        act: |stage, place| {
            send(stage, place, Content::Live(custom("0:0")))?;
            // It waits for its turn by itself.
            let set = Command::SetLive {
                conversation: place.group,
                message: MessageRef::Sequence(place.note),
                state: Box::new(custom("1:0")),
            };
            stage.call(Role::Bob, set)?;
            Ok(())
        },
        shows: |stage, role, place| content(stage, role, place, &Content::Live(custom("1:0"))),
    },
    Scene {
        name: "reply",
        act: |stage, place| {
            let message = NewMessage {
                reply_to: place.said[0],
                ..text("yes")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| {
            details(stage, role, place, |it| {
                it.reply
                    .as_ref()
                    .is_some_and(|quote| quote.state == QuoteState::Held && &*quote.text == "gg")
            })
        },
    },
    Scene {
        name: "mention",
        act: |stage, place| {
            let message = NewMessage {
                mentions: vec![Stage::user(Role::Ann)?],
                ..text("@ann come")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let counted = stage.device(role)?.row(place.group).map(|row| row.mentions);
            Ok(counted == Some(1) && details(stage, role, place, |it| it.mentioned)?)
        },
    },
    Scene {
        name: "mention all",
        act: |stage, place| {
            let message = NewMessage {
                mention_all: true,
                ..text("all come")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let counted = stage.device(role)?.row(place.group).map(|row| row.mentions);
            Ok(counted == Some(1) && details(stage, role, place, |it| it.mentioned)?)
        },
    },
    Scene {
        name: "silent",
        act: |stage, place| {
            let message = NewMessage {
                silent: true,
                ..text("psst")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| {
            // The two that bob and cyd said are not read.
            let unread = stage.device(role)?.row(place.group).map(|row| row.unread);
            Ok(unread == Some(2) && details(stage, role, place, |it| it.silent)?)
        },
    },
    Scene {
        name: "priority",
        act: |stage, place| {
            let message = NewMessage {
                priority: 1,
                ..text("the gate falls!")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            Ok(())
        },
        shows: |stage, role, place| details(stage, role, place, |it| it.priority == 1),
    },
    Scene {
        name: "edit",
        act: |stage, place| {
            let edit = Command::EditText {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[1]),
                text: "good game".to_owned(),
            };
            stage.call(Role::Bob, edit)?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.said[1], |row| {
                text_of(row) == "good game" && row.edited
            })
        },
    },
    Scene {
        name: "history of edits",
        act: |stage, place| {
            let edit = Command::EditText {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[1]),
                text: "good game".to_owned(),
            };
            stage.call(Role::Bob, edit)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let ask = Command::Revisions {
                conversation: place.group,
                message: place.said[1],
                after: 0,
            };
            // The owner sees what it said before; its author, who is a member, does not.
            let Some(Completion::Revisions { revisions, .. }) = stage.device(role)?.asks(&ask)
            else {
                return Ok(false);
            };
            let before = Content::Text(TextContent::plain("gg")).encode();
            let mine = revisions.len() == 1 && revisions.iter().all(|it| it.content == before);
            Ok(mine && stage.device(Role::Bob)?.asks(&ask).is_none())
        },
    },
    Scene {
        name: "recall",
        act: |stage, place| {
            let recall = Command::Recall {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[1]),
            };
            stage.call(Role::Bob, recall)?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.said[1], |row| {
                row.body == Body::Recalled
            })
        },
    },
    Scene {
        name: "recall by an admin",
        act: |stage, place| {
            let recall = Command::Recall {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[2]),
            };
            stage.call(Role::Ann, recall)?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.said[2], |row| {
                row.body == Body::Recalled
            })
        },
    },
    Scene {
        name: "a quote follows what it quotes",
        act: |stage, place| {
            let message = NewMessage {
                reply_to: place.said[2],
                ..text("yes")
            };
            place.note = stage.send(Role::Bob, place.group, message)?;
            let recall = Command::Recall {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[2]),
            };
            stage.call(Role::Cyd, recall)?;
            Ok(())
        },
        shows: |stage, role, place| {
            details(stage, role, place, |it| {
                (it.reply.as_ref()).is_some_and(|quote| quote.state == QuoteState::Recalled)
            })
        },
    },
    Scene {
        name: "reactions",
        act: |stage, place| {
            for (role, key) in [(Role::Ann, "👍"), (Role::Cyd, "👍"), (Role::Cyd, "gg")] {
                let react = Command::React {
                    conversation: place.group,
                    message: MessageRef::Sequence(place.said[1]),
                    key: key.to_owned(),
                    on: true,
                };
                stage.call(role, react)?;
            }
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.group, place.said[1], |row| {
                let all = row.reactions.iter().flat_map(|all| all.iter());
                let all: Vec<_> = all
                    .map(|one| (&*one.key, one.users.len(), one.mine))
                    .collect();
                all == [("👍", 2, true), ("gg", 1, false)]
            })
        },
    },
    Scene {
        name: "pin",
        act: |stage, place| {
            let pin = Command::Pin {
                conversation: place.group,
                message: MessageRef::Sequence(place.said[1]),
                on: true,
            };
            stage.call(Role::Ann, pin)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let ask = Command::Pins {
                conversation: place.group,
                before: 0,
            };
            let Some(Completion::Pins { rows, .. }) = stage.device(role)?.asks(&ask) else {
                return Ok(false);
            };
            let listed = rows.iter().any(|row| row.sequence == Some(place.said[1]));
            Ok(listed && row(stage, role, place.group, place.said[1], |row| row.pinned)?)
        },
    },
    Scene {
        name: "delete for me",
        act: |stage, place| {
            let delete = Command::Delete {
                conversation: place.group,
                upto: 0,
                numbers: vec![place.said[1]],
            };
            stage.call(Role::Ann, delete)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let (group, said) = (place.group, place.said);
            let mine = stage.device(role)?;
            let gone =
                mine.message(group, said[1]).is_none() && mine.message(group, said[2]).is_some();
            let others = stage.device(Role::Cyd)?;
            Ok(gone && others.message(group, said[1]).is_some())
        },
    },
    Scene {
        name: "clear history",
        act: |stage, place| {
            let delete = Command::Delete {
                conversation: place.group,
                upto: u64::MAX,
                numbers: Vec::new(),
            };
            stage.call(Role::Ann, delete)?;
            place.note = stage.say(Role::Bob, place.group, "and on")?;
            Ok(())
        },
        shows: |stage, role, place| {
            let device = stage.device(role)?;
            let numbers: Vec<_> = device
                .rows(place.group)
                .iter()
                .map(|it| it.sequence)
                .collect();
            let unread = device.row(place.group).map(|row| row.unread);
            Ok(numbers == [Some(place.note)] && unread == Some(1))
        },
    },
    Scene {
        name: "read marker",
        act: |stage, place| {
            let read = Command::MarkRead {
                conversation: place.group,
                upto: 0,
            };
            stage.call(Role::Ann, read)?;
            Ok(())
        },
        shows: |stage, role, place| {
            let unread = stage.device(role)?.row(place.group).map(|row| row.unread);
            Ok(unread == Some(0))
        },
    },
    Scene {
        name: "read receipt",
        act: |stage, place| {
            let read = Command::MarkRead {
                conversation: place.direct,
                upto: place.between[0],
            };
            stage.call(Role::Bob, read)?;
            Ok(())
        },
        shows: |stage, role, place| {
            row(stage, role, place.direct, place.between[0], |row| {
                row.state == MessageState::Read
            })
        },
    },
];

pub(super) fn row(
    stage: &mut Stage,
    role: Role,
    id: ConversationId,
    number: u64,
    is: impl Fn(&TimelineRow) -> bool,
) -> Result<bool> {
    Ok(stage.device(role)?.message(id, number).is_some_and(is))
}

fn details(
    stage: &mut Stage,
    role: Role,
    place: &Place,
    is: impl Fn(&Details) -> bool,
) -> Result<bool> {
    row(stage, role, place.group, place.note, |row| {
        row.details.as_deref().is_some_and(&is)
    })
}

fn content(stage: &mut Stage, role: Role, place: &Place, content: &Content) -> Result<bool> {
    row(
        stage,
        role,
        place.group,
        place.note,
        |row| matches!(&row.body, Body::Content(shown) if **shown == *content),
    )
}

fn send(stage: &mut Stage, place: &mut Place, content: Content) -> Result<()> {
    place.note = stage.send(Role::Bob, place.group, NewMessage::new(content))?;
    Ok(())
}

pub(super) fn text(text: &str) -> NewMessage {
    NewMessage::new(Content::Text(TextContent::plain(text)))
}

fn text_of(row: &TimelineRow) -> &str {
    match &row.body {
        Body::Text(text) => text,
        _ => "",
    }
}

fn spanned() -> Content {
    let span = |kind, start, length, value: &str| Span {
        kind,
        start,
        length,
        user: None,
        value: value.to_owned(),
        item: None,
    };
    Content::Text(TextContent {
        text: "bold, a link, a sword".to_owned(),
        spans: vec![
            span(SpanKind::Bold, 0, 4, ""),
            span(SpanKind::Link, 8, 4, "https://example.org/raid"),
            Span {
                item: Some(Box::new(link())),
                ..span(SpanKind::Item, 16, 5, "")
            },
        ],
    })
}

fn media(count: usize, text: &str) -> MediaContent {
    let one = |number: usize| Attachment {
        reference: format!("https://cdn.example/{number}"),
        media_type: "image/png".to_owned(),
        name: format!("{number}.png"),
        size: 1_000,
        width: 640,
        height: 480,
        duration_ms: 2_000,
        hash: Bytes::from_static(&[7; 32]),
        thumbnail: String::new(),
        blur: Bytes::from_static(b"LEHV6nWB2yk8"),
        waveform: Bytes::from_static(&[1, 9, 4]),
    };
    MediaContent {
        attachments: (0..count).map(one).collect(),
        text: text.to_owned(),
        spans: Vec::new(),
    }
}

fn sticker() -> Content {
    Content::Sticker(StickerContent {
        pack: "cats".to_owned(),
        id: "7".to_owned(),
        text: ":cat:".to_owned(),
    })
}

fn location() -> Content {
    Content::Location(LocationContent {
        earth: Some(EarthPlace {
            latitude: Real(48.21),
            longitude: Real(-16.37),
        }),
        world: Some(WorldPlace {
            map: "Duskwood".to_owned(),
            x: Real(12.5),
            y: Real(-3.0),
            z: Real(0.0),
        }),
        label: "the mill".to_owned(),
        address: "behind the river".to_owned(),
        picture: String::new(),
    })
}

fn custom(text: &str) -> CustomContent {
    CustomContent {
        name: "score".to_owned(),
        data: Bytes::from_static(&[1, 2, 3]),
        text: text.to_owned(),
    }
}

fn link() -> ItemLink {
    ItemLink {
        id: "sword-7".to_owned(),
        name: "Sword of a thousand truths".to_owned(),
        rarity: "epic".to_owned(),
        tooltip: Bytes::from_static(b"+7"),
        signature: Bytes::from_static(&[5; 64]),
    }
}

fn item() -> Content {
    Content::Item(ItemContent {
        item: link(),
        text: "look!".to_owned(),
    })
}

fn poll() -> Content {
    Content::Poll(PollContent {
        question: "Where to?".to_owned(),
        options: ["mill", "harbour"].map(str::to_owned).into(),
        choices_max: 1,
        ends: 0,
        anonymous: false,
    })
}

fn card() -> Content {
    let option = |id: &str| CardOption {
        id: id.to_owned(),
        label: id.to_uppercase(),
    };
    let role = CardElement {
        kind: ElementKind::Choice,
        id: "role".to_owned(),
        label: "Your role".to_owned(),
        options: vec![option("tank"), option("healer")],
        required: true,
        value: String::new(),
    };
    let page = |title: &str, elements| CardPage {
        title: title.to_owned(),
        text: "Friday".to_owned(),
        picture: String::new(),
        elements,
    };
    Content::Card(CardContent {
        pages: vec![page("Raid", vec![role]), page("Loot", Vec::new())],
    })
}

fn value(id: &str, value: &str) -> AnswerValue {
    AnswerValue {
        id: id.to_owned(),
        value: value.to_owned(),
    }
}
