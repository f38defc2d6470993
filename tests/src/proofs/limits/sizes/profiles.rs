//! Names, profiles, how many are named at once, reports.

use fireside_protocol::{
    Code, ConversationId, RichPresence, Settings,
    frames::{Attention, HeadsRequest, Invite, MembersRequest, PageRequest, Range},
    limits,
    presence::PresenceRequest,
    profile::ProfilesRequest,
    settings::OwnRole,
};

use super::{
    Bound,
    make::{
        attribute, attributes, create, folder, member, presence, profile, report, rich, set, users,
        wide,
    },
    most,
};
use crate::proofs::limits::pages::heads_request;

pub(super) const BOUNDS: &[Bound] = &[
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
                }));
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
    most(
        "OWN_ROLES_MAX",
        "a conversation",
        limits::OWN_ROLES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            let role = |n: usize| OwnRole {
                number: 16 + n as u16,
                name: format!("rank {n}"),
                permissions: 0,
                colour: 0,
            };
            let roles = (0..n).map(role).collect();
            set(
                place,
                Settings {
                    roles,
                    ..Settings::default()
                },
            )
        },
    ),
    most(
        "DESCRIPTION_GRAPHEMES_MAX",
        "a user",
        limits::DESCRIPTION_GRAPHEMES_MAX,
        Code::ArgumentInvalid,
        |place, n| profile(place, |it| it.description = Some("e\u{301}".repeat(n))),
    ),
    most(
        "DESCRIPTION_BYTES_MAX",
        "a user",
        limits::DESCRIPTION_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| profile(place, |it| it.description = Some(wide(n))),
    ),
    most(
        "PICTURE_BYTES_MAX",
        "a user",
        limits::PICTURE_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| profile(place, |it| it.picture = Some("x".repeat(n))),
    ),
    most(
        "ATTRIBUTE_VALUE_BYTES_MAX",
        "a user",
        limits::ATTRIBUTE_VALUE_BYTES_MAX,
        Code::ArgumentInvalid,
        |place, n| {
            profile(place, |it| {
                it.attributes = vec![attribute("a", &"x".repeat(n))];
            })
        },
    ),
    // --- how many are named at once
    most(
        "PROFILES_MAX",
        "a question",
        limits::PROFILES_MAX,
        Code::TooManyNamed,
        |_, n| {
            ProfilesRequest {
                users: users("p", n),
            }
            .into()
        },
    ),
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
