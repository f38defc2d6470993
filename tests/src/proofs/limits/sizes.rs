//! How large one request may be in each of its parts: one below the limit and at it is taken, one above is refused.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fireside_protocol::{
    Attribute, ClientFrame, Code, Content, ConversationId, FolderId, Nonce, PresenceState,
    ReportReason, RichPresence, Settings, TextContent, UserId,
    content::{
        AnswerValue, Attachment, CardContent, CardElement, CardOption, CardPage, CustomContent,
        ElementKind, ItemContent, ItemLink, LocationContent, MediaContent, PollContent, Span,
        SpanKind, StickerContent, WorldPlace,
    },
    encode,
    frames::{
        Answer, Attention, CreateGroup, Delete, Edit, HeadsRequest, Invite, MembersRequest,
        PageRequest, Range, React, SetConversation, SetLive, SetMember,
    },
    limits,
    personal::{SetDraft, SetFolder},
    presence::{PresenceRequest, SetPresence},
    report::Report,
};

use super::{
    pages::heads_request,
    stage::{Stage, send},
};

/// A limit of something in a request.
pub(super) struct Bound {
    /// Its name in `limits.rs`.
    pub(super) limit: &'static str,
    /// What has it.
    what: &'static str,
    /// The limit.
    at: usize,
    /// Whether it is the least that is taken, not the most.
    least: bool,
    /// What is on the other side of it.
    code: Code,
    /// Who asks.
    by: &'static str,
    /// The request, with so much of it.
    make: fn(&Place, usize) -> ClientFrame,
}

/// Where it is tried: a group of ann and bob, and what was said in it.
pub(super) struct Place {
    nonce: Nonce,
    group: ConversationId,
    /// Ann's text.
    said: u64,
    /// Ann's card with a line of text.
    card: u64,
    /// Grows with each try, for what must be new each time.
    turn: usize,
}

/// Tries all of them.
pub(super) async fn run(stage: &mut Stage) -> Result<usize> {
    let group = stage.group("ann", &["bob"]).await?;
    // What is deleted must be there: more than a request may name.
    for _ in 0..limits::DELETES_PER_REQUEST_MAX + 1 {
        stage.says("bob", group, &text("gg")).await?;
    }
    let mut place = Place {
        nonce: stage.nonce(),
        group,
        said: stage.says("ann", group, &text("gg")).await?,
        card: stage.says("ann", group, &line_card()).await?,
        turn: 0,
    };
    let live = stage
        .says("ann", group, &Content::Live(custom(1, 1)))
        .await?;
    live_state(stage, group, live).await?;
    let mut wrong = Vec::new();
    for bound in BOUNDS {
        stage.tried(bound.limit);
        let beyond = match bound.least {
            true => bound.at.checked_sub(1).context("a least of nothing")?,
            false => bound.at + 1,
        };
        let within = match bound.least {
            true => bound.at + 1,
            false => bound.at.saturating_sub(1),
        };
        let name = |count| format!("{} ({}): {count}", bound.limit, bound.what);
        for count in [within, bound.at] {
            place.nonce = stage.nonce();
            place.turn += 1;
            let frame = (bound.make)(&place, count);
            if let Err(error) = stage.taken(bound.by, frame).await {
                wrong.push(format!("{}: {error:#}", name(count)));
            }
        }
        place.nonce = stage.nonce();
        place.turn += 1;
        let frame = (bound.make)(&place, beyond);
        if let Err(error) = stage.refused(bound.by, frame, bound.code).await {
            wrong.push(format!("{}: {error:#}", name(beyond)));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} sizes:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(BOUNDS.len())
}

const fn most(
    limit: &'static str,
    what: &'static str,
    at: usize,
    code: Code,
    make: fn(&Place, usize) -> ClientFrame,
) -> Bound {
    Bound {
        limit,
        what,
        at,
        least: false,
        code,
        by: "ann",
        make,
    }
}

const BOUNDS: &[Bound] = &[
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
    // --- names and profiles
    most(
        "NAME_GRAPHEMES_MAX",
        "a new group",
        limits::NAME_GRAPHEMES_MAX,
        Code::NameInvalid,
        |place, n| create(place, "e\u{301}".repeat(n), 0),
    ),
    most(
        "NAME_BYTES_MAX",
        "a new group",
        limits::NAME_BYTES_MAX,
        Code::NameInvalid,
        |place, n| create(place, wide(n), 0),
    ),
    most(
        "NAME_GRAPHEMES_MAX",
        "a conversation",
        limits::NAME_GRAPHEMES_MAX,
        Code::NameInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    name: Some("x".repeat(n)),
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "NAME_BYTES_MAX",
        "a conversation",
        limits::NAME_BYTES_MAX,
        Code::NameInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    name: Some(wide(n)),
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "NAME_GRAPHEMES_MAX",
        "a member",
        limits::NAME_GRAPHEMES_MAX,
        Code::NameInvalid,
        |place, n| member(place, Some("x".repeat(n)), None),
    ),
    most(
        "NAME_BYTES_MAX",
        "a member",
        limits::NAME_BYTES_MAX,
        Code::NameInvalid,
        |place, n| member(place, Some(wide(n)), None),
    ),
    most(
        "NAME_GRAPHEMES_MAX",
        "a folder",
        limits::NAME_GRAPHEMES_MAX,
        Code::NameInvalid,
        |place, n| folder(place, "x".repeat(n)),
    ),
    most(
        "NAME_BYTES_MAX",
        "a folder",
        limits::NAME_BYTES_MAX,
        Code::NameInvalid,
        |place, n| folder(place, wide(n)),
    ),
    most(
        "NAME_GRAPHEMES_MAX",
        "a status",
        limits::NAME_GRAPHEMES_MAX,
        Code::NameInvalid,
        |_, n| presence(|it| it.text = "x".repeat(n)),
    ),
    most(
        "REACTION_KEY_BYTES_MAX",
        "a status's emoji",
        limits::REACTION_KEY_BYTES_MAX,
        Code::ArgumentInvalid,
        |_, n| presence(|it| it.emoji = "x".repeat(n)),
    ),
    most(
        "NAME_BYTES_MAX",
        "what a player does",
        limits::NAME_BYTES_MAX,
        Code::NameInvalid,
        |_, n| {
            presence(|it| {
                it.rich = Some(Box::new(RichPresence {
                    what: wide(n),
                    ..rich(1)
                }))
            })
        },
    ),
    most(
        "JOIN_SECRET_BYTES_MAX",
        "a secret to join",
        limits::JOIN_SECRET_BYTES_MAX,
        Code::ArgumentInvalid,
        |_, n| presence(|it| it.rich = Some(Box::new(rich(n)))),
    ),
    most(
        "DESCRIPTION_GRAPHEMES_MAX",
        "a conversation",
        limits::DESCRIPTION_GRAPHEMES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    description: Some("e\u{301}".repeat(n)),
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "DESCRIPTION_BYTES_MAX",
        "a conversation",
        limits::DESCRIPTION_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    description: Some(wide(n)),
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "PICTURE_BYTES_MAX",
        "a conversation",
        limits::PICTURE_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    picture: Some("x".repeat(n)),
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "ATTRIBUTE_KEY_BYTES_MAX",
        "a conversation",
        limits::ATTRIBUTE_KEY_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            // Set and taken away again: they do not gather.
            let value = if place.turn % 2 == 0 { "" } else { "1" };
            set(
                place,
                Settings {
                    attributes: vec![attribute(&"x".repeat(n), value)],
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "ATTRIBUTE_VALUE_BYTES_MAX",
        "a conversation",
        limits::ATTRIBUTE_VALUE_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    attributes: vec![attribute("a0", &"x".repeat(n))],
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "ATTRIBUTES_MAX",
        "a member",
        limits::ATTRIBUTES_MAX,
        Code::ArgumentInvalid,
        |place, n| member(place, None, Some(attributes(n))),
    ),
    most(
        "ATTRIBUTE_KEY_BYTES_MAX",
        "a member",
        limits::ATTRIBUTE_KEY_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| member(place, None, Some(vec![attribute(&"x".repeat(n), "1")])),
    ),
    most(
        "ATTRIBUTE_VALUE_BYTES_MAX",
        "a member",
        limits::ATTRIBUTE_VALUE_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| member(place, None, Some(vec![attribute("a", &"x".repeat(n))])),
    ),
    most(
        "SLOW_MODE_MS_MAX",
        "a conversation",
        limits::SLOW_MODE_MS_MAX as usize,
        Code::ArgumentInvalid,
        |place, n| {
            set(
                place,
                Settings {
                    slow_mode_ms: Some(n as u32),
                    ..Settings::default()
                },
            )
        },
    ),
    // --- how many are named at once
    most(
        "INVITES_PER_REQUEST_MAX",
        "an invitation",
        limits::INVITES_PER_REQUEST_MAX,
        Code::TooManyNamed,
        |place, n| {
            Invite {
                nonce: place.nonce,
                conversation: place.group,
                users: users("i", n),
            }
            .into()
        },
    ),
    most(
        "INVITES_PER_REQUEST_MAX",
        "a new group",
        limits::INVITES_PER_REQUEST_MAX,
        Code::TooManyNamed,
        |place, n| create(place, "the raid".to_owned(), n),
    ),
    most(
        "PRESENCE_USERS_MAX",
        "a question",
        limits::PRESENCE_USERS_MAX,
        Code::TooManyNamed,
        |_, n| {
            PresenceRequest {
                users: users("p", n),
            }
            .into()
        },
    ),
    most(
        "OPEN_CONVERSATIONS_MAX",
        "a screen",
        limits::OPEN_CONVERSATIONS_MAX,
        Code::ArgumentInvalid,
        |_, n| {
            Attention {
                open: (0..n).map(|n| ConversationId([n as u8; 16])).collect(),
            }
            .into()
        },
    ),
    most(
        "HELD_RANGES_MAX",
        "a page",
        limits::HELD_RANGES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            let held = (1..=n as u64).map(|n| Range {
                first: 2 * n,
                last: 2 * n,
            });
            PageRequest {
                conversation: place.group,
                anchor: 0,
                number: 0,
                to: 0,
                limit: 1,
                since: 1,
                held: held.collect(),
            }
            .into()
        },
    ),
    most(
        "HEADS_ONLY_MAX",
        "heads by name",
        limits::HEADS_ONLY_MAX,
        Code::ArgumentInvalid,
        |_, n| {
            let only = (0..n).map(|n| ConversationId([n as u8; 16])).collect();
            HeadsRequest {
                only,
                ..heads_request(0)
            }
            .into()
        },
    ),
    most(
        "MEMBER_PREFIX_BYTES_MAX",
        "a search for members",
        limits::MEMBER_PREFIX_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            MembersRequest {
                conversation: place.group,
                after: None,
                limit: 0,
                asked: false,
                prefix: "x".repeat(n),
            }
            .into()
        },
    ),
    // --- reports
    Bound {
        by: "bob",
        ..most(
            "REPORT_TEXT_GRAPHEMES_MAX",
            "a report",
            limits::REPORT_TEXT_GRAPHEMES_MAX,
            Code::TextTooLong,
            |place, n| report(place, "e\u{301}".repeat(n)),
        )
    },
    Bound {
        by: "bob",
        ..most(
            "REPORT_TEXT_BYTES_MAX",
            "a report",
            limits::REPORT_TEXT_BYTES_MAX,
            Code::TextTooLong,
            |place, n| report(place, wide(n)),
        )
    },
];

/// A live object's state that is too large: it waits for no interval to be refused.
async fn live_state(stage: &mut Stage, group: ConversationId, live: u64) -> Result<()> {
    let set = SetLive {
        nonce: stage.nonce(),
        after: None,
        conversation: group,
        target: live,
        target_nonce: None,
        state: Box::new(custom(limits::LIVE_DATA_BYTES_MAX + 1, 1)),
    };
    stage.refused("ann", set, Code::ContentInvalid).await?;
    Ok(())
}

fn says(place: &Place, content: &Content) -> ClientFrame {
    send(place.nonce, place.group, content).into()
}

pub(super) fn text(text: &str) -> Content {
    Content::Text(TextContent::plain(text))
}

/// So many bytes in few characters: emojis of 8 bytes each, and letters for the rest.
fn wide(bytes: usize) -> String {
    let mut text = "👍🏽".repeat(bytes / 8);
    text.push_str(&"x".repeat(bytes % 8));
    text
}

fn padded(start: &str, bytes: usize) -> String {
    format!("{start}{}", "x".repeat(bytes - start.len()))
}

fn zeros(bytes: usize) -> Bytes {
    vec![0; bytes].into()
}

fn users(prefix: &str, count: usize) -> Vec<UserId> {
    let names = (0..count).map(|n| format!("{prefix}{n}"));
    names.filter_map(|name| UserId::new(&name).ok()).collect()
}

fn span(kind: SpanKind, value: &str) -> Span {
    Span {
        kind,
        start: 0,
        length: 2,
        user: None,
        value: value.to_owned(),
        item: None,
    }
}

fn media(count: usize) -> MediaContent {
    let one = || Attachment {
        reference: "https://cdn.example/1".to_owned(),
        media_type: String::new(),
        name: String::new(),
        size: 0,
        width: 0,
        height: 0,
        duration_ms: 0,
        hash: Bytes::new(),
        thumbnail: String::new(),
        blur: Bytes::new(),
        waveform: Bytes::new(),
    };
    MediaContent {
        attachments: (0..count).map(|_| one()).collect(),
        text: String::new(),
        spans: Vec::new(),
    }
}

fn file(place: &Place, change: impl Fn(&mut Attachment)) -> ClientFrame {
    let mut media = media(1);
    media.attachments.iter_mut().for_each(change);
    says(place, &Content::File(media))
}

fn world(bytes: usize) -> WorldPlace {
    WorldPlace {
        map: "x".repeat(bytes),
        x: Default::default(),
        y: Default::default(),
        z: Default::default(),
    }
}

fn location(place: &Place, change: impl Fn(&mut LocationContent)) -> ClientFrame {
    let mut location = LocationContent {
        earth: None,
        world: Some(world(1)),
        label: String::new(),
        address: String::new(),
        picture: String::new(),
    };
    change(&mut location);
    says(place, &Content::Location(location))
}

pub(super) fn custom(data: usize, text: usize) -> CustomContent {
    CustomContent {
        name: "score".to_owned(),
        data: zeros(data),
        text: "x".repeat(text),
    }
}

/// One whose encoded content has so many bytes.
fn custom_of(bytes: usize) -> Content {
    let more = Content::Custom(custom(bytes, 1)).encode().len() - bytes;
    Content::Custom(custom(bytes - more, 1))
}

/// A text whose encoded content has so many bytes: a field that nobody knows makes up the rest.
fn padded_text(bytes: usize) -> Bytes {
    let mut content = encode(&TextContent::plain("gg"));
    // A map of one more field, which is a `bin 16`.
    if let Some(first) = content.first_mut() {
        *first += 1;
    }
    content.extend_from_slice(b"\xa2zz\xc5");
    let left = bytes.saturating_sub(content.len() + 2);
    content.extend_from_slice(&(left as u16).to_be_bytes());
    content.resize(bytes, 0);
    content.into()
}

fn item(place: &Place, change: impl Fn(&mut ItemLink)) -> ClientFrame {
    let mut item = ItemLink {
        id: "sword-7".to_owned(),
        name: String::new(),
        rarity: String::new(),
        tooltip: Bytes::new(),
        signature: Bytes::new(),
    };
    change(&mut item);
    let text = String::new();
    says(place, &Content::Item(ItemContent { item, text }))
}

pub(super) fn poll(options: usize, choices_max: u32) -> PollContent {
    PollContent {
        question: "Where to?".to_owned(),
        options: (0..options).map(|n| n.to_string()).collect(),
        choices_max,
        ends: 0,
    }
}

fn card(pages: Vec<CardPage>) -> Content {
    Content::Card(CardContent { pages })
}

/// A card with a line of text to fill in.
pub(super) fn line_card() -> Content {
    card(vec![page(vec![element(ElementKind::Text, "line", 0)])])
}

fn page(elements: Vec<CardElement>) -> CardPage {
    CardPage {
        title: "Raid".to_owned(),
        text: String::new(),
        picture: String::new(),
        elements,
    }
}

fn element(kind: ElementKind, id: &str, options: usize) -> CardElement {
    let option = |n: usize| CardOption {
        id: n.to_string(),
        label: String::new(),
    };
    CardElement {
        kind,
        id: id.to_owned(),
        label: String::new(),
        options: (0..options).map(option).collect(),
        required: false,
        value: String::new(),
    }
}

fn create(place: &Place, name: String, invited: usize) -> ClientFrame {
    CreateGroup {
        nonce: place.nonce,
        name,
        invite: users("c", invited),
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: 0,
    }
    .into()
}

fn set(place: &Place, change: Settings) -> ClientFrame {
    SetConversation {
        nonce: place.nonce,
        conversation: place.group,
        change: change.into(),
    }
    .into()
}

fn attribute(key: &str, value: &str) -> Attribute {
    Attribute {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

pub(super) fn attributes(count: usize) -> Vec<Attribute> {
    (0..count)
        .map(|n| attribute(&format!("a{n}"), "1"))
        .collect()
}

fn member(place: &Place, name: Option<String>, attributes: Option<Vec<Attribute>>) -> ClientFrame {
    SetMember {
        nonce: place.nonce,
        conversation: place.group,
        user: None,
        name,
        attributes,
    }
    .into()
}

fn folder(place: &Place, name: String) -> ClientFrame {
    SetFolder {
        nonce: place.nonce,
        folder: FolderId([1; 16]),
        name,
        order: 0,
    }
    .into()
}

fn draft(place: &Place, content: Bytes) -> ClientFrame {
    SetDraft {
        nonce: place.nonce,
        conversation: place.group,
        content,
        reply_to: 0,
    }
    .into()
}

fn rich(secret: usize) -> RichPresence {
    RichPresence {
        what: "Raid".to_owned(),
        details: String::new(),
        join_secret: zeros(secret),
        party_size: 0,
        party_max: 0,
    }
}

fn presence(change: impl Fn(&mut SetPresence)) -> ClientFrame {
    let mut said = SetPresence {
        state: PresenceState::Online,
        text: String::new(),
        emoji: String::new(),
        until: 0,
        rich: None,
    };
    change(&mut said);
    said.into()
}

fn report(place: &Place, text: String) -> ClientFrame {
    Report {
        nonce: place.nonce,
        conversation: Some(place.group),
        sequence: place.said,
        user: None,
        reason: ReportReason::Other,
        text,
    }
    .into()
}
