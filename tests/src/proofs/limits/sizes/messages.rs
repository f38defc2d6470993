//! Messages: what they hold, and what is done with them.

use fireside_protocol::{
    Code, Content, Role, TextContent,
    content::{
        AnswerValue, CardPage, CustomContent, ElementKind, MediaContent, PollContent, SpanKind,
        StickerContent,
    },
    frames::{Answer, Delete, Edit, Forward, React},
    limits,
};

use super::{
    Bound,
    make::{
        card, custom, custom_of, draft, element, file, item, location, media, padded, padded_text,
        page, poll, says, span, text, users, wide, world, zeros,
    },
    most,
};
use crate::proofs::limits::{stage::send, transient::transient};

pub(super) const BOUNDS: &[Bound] = &[
    // --- texts
    most(
        "TEXT_GRAPHEMES_MAX",
        "a text",
        limits::TEXT_GRAPHEMES_MAX,
        Code::TextTooLong,
        |place, n| says(place, &text(&"e\u{301}".repeat(n))),
    ),
    most(
        "TEXT_BYTES_MAX",
        "a text",
        limits::TEXT_BYTES_MAX,
        Code::TextTooLong,
        |place, n| says(place, &text(&wide(n))),
    ),
    most(
        "TEXT_BYTES_MAX",
        "a transient message",
        limits::TEXT_BYTES_MAX,
        Code::TextTooLong,
        |place, n| transient(place.group, &text(&wide(n))).into(),
    ),
    most(
        "TEXT_GRAPHEMES_MAX",
        "a transient message",
        limits::TEXT_GRAPHEMES_MAX,
        Code::TextTooLong,
        |place, n| transient(place.group, &text(&"e\u{301}".repeat(n))).into(),
    ),
    most(
        "TEXT_BYTES_MAX",
        "an edit",
        limits::TEXT_BYTES_MAX,
        Code::TextTooLong,
        |place, n| {
            Edit {
                nonce: place.nonce,
                after: None,
                conversation: place.group,
                target: place.said,
                target_nonce: None,
                seen_rev: 0,
                content: text(&wide(n)).encode(),
            }
            .into()
        },
    ),
    most(
        "TEXT_GRAPHEMES_MAX",
        "a caption",
        limits::TEXT_GRAPHEMES_MAX,
        Code::TextTooLong,
        |place, n| {
            says(
                place,
                &Content::File(MediaContent {
                    text: "x".repeat(n),
                    ..media(1)
                }),
            )
        },
    ),
    most(
        "CONTENT_BYTES_MAX",
        "a message of the game's own",
        limits::CONTENT_BYTES_MAX,
        Code::ContentTooLarge,
        |place, n| says(place, &custom_of(n)),
    ),
    most(
        "CONTENT_BYTES_MAX",
        "a transient message",
        limits::CONTENT_BYTES_MAX,
        Code::ContentTooLarge,
        |place, n| transient(place.group, &custom_of(n)).into(),
    ),
    most(
        "CONTENT_BYTES_MAX",
        "a draft",
        limits::CONTENT_BYTES_MAX,
        Code::ContentTooLarge,
        |place, n| draft(place, padded_text(n)),
    ),
    most(
        "TEXT_BYTES_MAX",
        "a draft",
        limits::TEXT_BYTES_MAX,
        Code::TextTooLong,
        |place, n| draft(place, text(&wide(n)).encode()),
    ),
    most(
        "SPANS_MAX",
        "a text",
        limits::SPANS_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Text(TextContent {
                    text: "gg".to_owned(),
                    spans: (0..n).map(|_| span(SpanKind::Bold, "")).collect(),
                }),
            )
        },
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a link",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Text(TextContent {
                    text: "gg".to_owned(),
                    spans: vec![span(SpanKind::Link, &padded("https://", n))],
                }),
            )
        },
    ),
    most(
        "ID_BYTES_MAX",
        "a picture in a text",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Text(TextContent {
                    text: "gg".to_owned(),
                    spans: vec![span(SpanKind::Emoji, &"x".repeat(n))],
                }),
            )
        },
    ),
    most(
        "MENTIONS_MAX",
        "a message",
        limits::MENTIONS_MAX,
        Code::TooManyNamed,
        |place, n| {
            let mut send = send(place.nonce, place.group, &text("come!"));
            send.header.mentions = users("u", n);
            send.into()
        },
    ),
    most(
        "MENTIONS_MAX",
        "a transient message",
        limits::MENTIONS_MAX,
        Code::TooManyNamed,
        |place, n| {
            let mut frame = transient(place.group, &text("come!"));
            frame.header.mentions = users("u", n);
            frame.into()
        },
    ),
    most(
        "MENTION_ROLES_MAX",
        "a message",
        limits::MENTION_ROLES_MAX,
        Code::TooManyNamed,
        |place, n| {
            let mut send = send(place.nonce, place.group, &text("come!"));
            send.header.mention_roles = (0..n).map(|n| Role::from_number(16 + n as u16)).collect();
            send.into()
        },
    ),
    // --- files
    most(
        "ATTACHMENTS_MAX",
        "pictures",
        limits::ATTACHMENTS_MAX,
        Code::ContentInvalid,
        |place, n| says(place, &Content::Image(media(n))),
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a file",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.reference = "x".repeat(n)),
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a thumbnail",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.thumbnail = "x".repeat(n)),
    ),
    most(
        "ID_BYTES_MAX",
        "a media type",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.media_type = "x".repeat(n)),
    ),
    most(
        "LABEL_BYTES_MAX",
        "a file's name",
        limits::LABEL_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.name = wide(n)),
    ),
    most(
        "LABEL_GRAPHEMES_MAX",
        "a file's name",
        limits::LABEL_GRAPHEMES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.name = "e\u{301}".repeat(n)),
    ),
    most(
        "HASH_BYTES_MAX",
        "a file",
        limits::HASH_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.hash = zeros(n)),
    ),
    most(
        "BLUR_BYTES_MAX",
        "a file",
        limits::BLUR_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.blur = zeros(n)),
    ),
    most(
        "WAVEFORM_BYTES_MAX",
        "a file",
        limits::WAVEFORM_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| file(place, |it| it.waveform = zeros(n)),
    ),
    // --- other kinds
    most(
        "ID_BYTES_MAX",
        "a sticker",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Sticker(StickerContent {
                    pack: "cats".to_owned(),
                    id: "x".repeat(n),
                    text: String::new(),
                }),
            )
        },
    ),
    most(
        "ID_BYTES_MAX",
        "a sticker's pack",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Sticker(StickerContent {
                    pack: "x".repeat(n),
                    id: "7".to_owned(),
                    text: String::new(),
                }),
            )
        },
    ),
    most(
        "ID_BYTES_MAX",
        "a map",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| location(place, |it| it.world = Some(world(n))),
    ),
    most(
        "LABEL_GRAPHEMES_MAX",
        "a place",
        limits::LABEL_GRAPHEMES_MAX,
        Code::ContentInvalid,
        |place, n| location(place, |it| it.label = "x".repeat(n)),
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a place's address",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| location(place, |it| it.address = "x".repeat(n)),
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a place's picture",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| location(place, |it| it.picture = "x".repeat(n)),
    ),
    most(
        "ID_BYTES_MAX",
        "a kind of the game's own",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Custom(CustomContent {
                    name: "x".repeat(n),
                    ..custom(1, 1)
                }),
            )
        },
    ),
    most(
        "ID_BYTES_MAX",
        "an item",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| item(place, |it| it.id = "x".repeat(n)),
    ),
    most(
        "ID_BYTES_MAX",
        "an item's rarity",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| item(place, |it| it.rarity = "x".repeat(n)),
    ),
    most(
        "LABEL_BYTES_MAX",
        "an item's name",
        limits::LABEL_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| item(place, |it| it.name = wide(n)),
    ),
    most(
        "ITEM_DATA_BYTES_MAX",
        "an item's tooltip",
        limits::ITEM_DATA_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| item(place, |it| it.tooltip = zeros(n)),
    ),
    most(
        "ITEM_DATA_BYTES_MAX",
        "an item's signature",
        limits::ITEM_DATA_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| item(place, |it| it.signature = zeros(n)),
    ),
    most(
        "LIVE_DATA_BYTES_MAX",
        "a live object",
        limits::LIVE_DATA_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| says(place, &Content::Live(custom(n, 1))),
    ),
    most(
        "LIVE_DATA_BYTES_MAX",
        "a live object's text",
        limits::LIVE_DATA_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| says(place, &Content::Live(custom(1, n))),
    ),
    Bound {
        limit: "POLL_OPTIONS_MIN",
        what: "a poll",
        at: limits::POLL_OPTIONS_MIN,
        least: true,
        code: Code::ContentInvalid,
        by: "ann",
        make: |place, n| says(place, &Content::Poll(poll(n, 1))),
    },
    most(
        "POLL_OPTIONS_MAX",
        "a poll",
        limits::POLL_OPTIONS_MAX,
        Code::ContentInvalid,
        |place, n| says(place, &Content::Poll(poll(n, 1))),
    ),
    most(
        "POLL_OPTIONS_MAX",
        "the choices of one user",
        limits::POLL_OPTIONS_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Poll(poll(limits::POLL_OPTIONS_MAX, n as u32)),
            )
        },
    ),
    most(
        "LABEL_GRAPHEMES_MAX",
        "a question",
        limits::LABEL_GRAPHEMES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &Content::Poll(PollContent {
                    question: "x".repeat(n),
                    ..poll(2, 1)
                }),
            )
        },
    ),
    most(
        "LABEL_BYTES_MAX",
        "an option",
        limits::LABEL_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            let options = vec!["no".to_owned(), wide(n)];
            says(
                place,
                &Content::Poll(PollContent {
                    options,
                    ..poll(2, 1)
                }),
            )
        },
    ),
    most(
        "CARD_PAGES_MAX",
        "a card",
        limits::CARD_PAGES_MAX,
        Code::ContentInvalid,
        |place, n| says(place, &card((0..n).map(|_| page(Vec::new())).collect())),
    ),
    most(
        "CARD_ELEMENTS_MAX",
        "a card of two pages",
        limits::CARD_ELEMENTS_MAX,
        Code::ContentInvalid,
        |place, n| {
            let mut elements: Vec<_> = (0..n)
                .map(|n| element(ElementKind::Text, &n.to_string(), 0))
                .collect();
            let second = elements.split_off(n / 2);
            says(place, &card(vec![page(elements), page(second)]))
        },
    ),
    most(
        "CARD_OPTIONS_MAX",
        "a choice",
        limits::CARD_OPTIONS_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &card(vec![page(vec![element(ElementKind::Choice, "role", n)])]),
            )
        },
    ),
    most(
        "ID_BYTES_MAX",
        "an element of a card",
        limits::ID_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &card(vec![page(vec![element(
                    ElementKind::Text,
                    &"x".repeat(n),
                    0,
                )])]),
            )
        },
    ),
    most(
        "LABEL_GRAPHEMES_MAX",
        "a card's title",
        limits::LABEL_GRAPHEMES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &card(vec![CardPage {
                    title: "x".repeat(n),
                    ..page(Vec::new())
                }]),
            )
        },
    ),
    most(
        "REFERENCE_BYTES_MAX",
        "a card's picture",
        limits::REFERENCE_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            says(
                place,
                &card(vec![CardPage {
                    picture: "x".repeat(n),
                    ..page(Vec::new())
                }]),
            )
        },
    ),
    most(
        "ANSWER_BYTES_MAX",
        "an answer to a card",
        limits::ANSWER_BYTES_MAX,
        Code::ContentInvalid,
        |place, n| {
            Answer {
                nonce: place.nonce,
                after: None,
                conversation: place.group,
                target: place.card,
                target_nonce: None,
                values: vec![AnswerValue {
                    id: "line".to_owned(),
                    value: "x".repeat(n),
                }],
            }
            .into()
        },
    ),
    // --- what is done with messages
    most(
        "FORWARD_COPIES_MAX",
        "forwarded together",
        limits::FORWARD_COPIES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            Forward {
                nonce: place.nonce,
                conversation: place.group,
                peer: None,
                from: place.group,
                numbers: (place.first..).take(n).collect(),
                merged: true,
                title: String::new(),
            }
            .into()
        },
    ),
    most(
        "REACTION_KEY_BYTES_MAX",
        "a reaction",
        limits::REACTION_KEY_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            React {
                nonce: place.nonce,
                after: None,
                conversation: place.group,
                target: place.said,
                target_nonce: None,
                key: "x".repeat(n),
                on: true,
            }
            .into()
        },
    ),
    most(
        "DELETES_PER_REQUEST_MAX",
        "numbers",
        limits::DELETES_PER_REQUEST_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            Delete {
                nonce: place.nonce,
                conversation: place.group,
                upto: 0,
                numbers: (1..=n as u64).collect(),
            }
            .into()
        },
    ),
];
