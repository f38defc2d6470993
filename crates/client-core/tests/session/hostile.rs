//! Any bytes from a server: nothing panics, nothing grows without bound, nothing is asked in a loop.

use fireside_client_core::Command;
use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, Facet, FacetKind, RawFrame, ServerFrame,
    UserId,
    frames::{Head, HeadsPage, Page, Range, Receipt, Skip, TypingOf, UserRecord, UserRecordKind},
};
use proptest::prelude::*;

use crate::{
    server::{message, user},
    world::World,
};

/// Numbers where things go wrong.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..12,
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(u64::MAX / 2),
        Just(1 << 32)
    ]
}

/// One that is known, one that is open, one that is neither.
fn conversation() -> impl Strategy<Value = ConversationId> {
    (0u8..3).prop_map(|number| match number {
        0 => ConversationId::direct(&user("ada"), &user("bob")),
        other => ConversationId([other; 16]),
    })
}

fn sender() -> impl Strategy<Value = UserId> {
    prop_oneof![Just(user("ada")), Just(user("bob"))]
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        Just(EntryKind::Message),
        Just(EntryKind::Edit),
        Just(EntryKind::Recall),
        Just(EntryKind::React),
        Just(EntryKind::Pin),
        Just(EntryKind::Joined),
        Just(EntryKind::Unknown(40)),
        Just(EntryKind::Unknown(90)),
    ];
    let numbers = (number(), number(), number(), number(), number());
    let content = || proptest::collection::vec(any::<u8>(), 0..8);
    let facet = (0u16..8, number(), content()).prop_map(|(kind, rev, content)| Facet {
        kind: FacetKind::from_number(kind),
        rev,
        content: content.into(),
    });
    let facets = (proptest::collection::vec(facet, 0..4), number());
    (conversation(), sender(), kind, numbers, content(), facets).prop_map(
        |(id, sender, kind, (sequence, rev, target, at, ordinal), content, facets)| Entry {
            body_rev: facets.1,
            facets: facets.0,
            sequence,
            rev,
            target,
            at,
            ordinal,
            kind,
            content: content.into(),
            ..message(id, &sender, "", None)
        },
    )
}

fn head() -> impl Strategy<Value = Head> {
    let numbers = (number(), number(), number(), number(), number());
    (
        conversation(),
        numbers,
        any::<bool>(),
        any::<u32>(),
        entry(),
    )
        .prop_map(
            |(id, (last, first, visible_from, at, read), direct, unread, preview)| Head {
                conversation: id,
                kind: if direct {
                    ConversationKind::Direct
                } else {
                    ConversationKind::Group
                },
                last,
                first,
                visible_from,
                ordinal: at,
                unread,
                mentions: unread,
                at,
                preview: Some(preview),
                read,
                peer_delivered: read,
                peer_read: last,
                version: first,
                rights: u64::from(unread % 3),
                name: "x".to_owned(),
                peer: direct.then(|| user("bob")),
                members: unread,
                role: None,
                capabilities: 0,
                frozen: false,
                slow_mode_ms: 0,
                picture: String::new(),
                forget_on_leave: false,
                settings: None,
                parent: None,
                root: 0,
                muted_until: 0,
            },
        )
}

fn page() -> impl Strategy<Value = Page> {
    let numbers = (number(), number(), number(), number());
    let entries = || proptest::collection::vec(entry(), 0..4);
    (conversation(), numbers, entries(), entries(), any::<bool>()).prop_map(
        |(id, (first, last, as_of, oldest), items, changes, reset)| {
            let raw = |entries: Vec<Entry>| {
                let encode =
                    |entry: &Entry| fireside_protocol::Raw(fireside_protocol::encode(entry).into());
                entries.iter().map(encode).collect()
            };
            Page {
                conversation: id,
                first,
                last,
                as_of,
                items: raw(items),
                skips: vec![Range {
                    first: last,
                    last: first,
                }],
                changes: raw(changes),
                reset,
                oldest,
            }
        },
    )
}

fn frame() -> impl Strategy<Value = ServerFrame> {
    let record = (number(), 0u16..8, conversation(), number(), any::<bool>()).prop_map(
        |(sequence, kind, id, value, gone)| UserRecord {
            sequence,
            kind: UserRecordKind::from_number(kind),
            conversation: Some(id),
            user: Some(user("bob")),
            value,
            name: String::new(),
            gone,
            at: 0,
            folder: None,
            body: bytes::Bytes::new(),
        },
    );
    prop_oneof![
        6 => entry().prop_map(ServerFrame::Entry),
        2 => (conversation(), number(), number()).prop_map(|(conversation, first, last)| {
            ServerFrame::Skip(Skip { conversation, first, last })
        }),
        2 => head().prop_map(ServerFrame::Head),
        4 => page().prop_map(ServerFrame::Page),
        1 => proptest::collection::vec(head(), 0..3).prop_map(|heads| {
            ServerFrame::HeadsPage(HeadsPage { heads, more: true, stamp: 1 })
        }),
        2 => record.prop_map(ServerFrame::UserRecord),
        1 => (conversation(), number(), number()).prop_map(|(conversation, delivered, read)| {
            ServerFrame::Receipt(Receipt { conversation, user: user("bob"), delivered, read, joined: 0, gone: false })
        }),
        1 => (conversation(), number()).prop_map(|(conversation, counter)| {
            ServerFrame::TypingOf(TypingOf { conversation, user: user("bob"), counter, on: true })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn absurd_frames_do_no_harm(frames in proptest::collection::vec((frame(), 0u32..40), 0..60), times in any::<u16>()) {
        let mut world = World::new();
        let direct = world.server.direct("bob");
        let group = world.server.group(1);
        for _ in 0..5 {
            world.server.log(direct).text(&user("bob"), "x");
            world.server.log(group).text(&user("bob"), "x");
        }
        world.connect();
        world.open(direct);
        world.call(Command::SetBackgroundFill(times.is_multiple_of(2)));
        world.hold_frames = true;
        let before = world.server.seen.len();
        for (index, (frame, request)) in frames.iter().enumerate() {
            if world.links.is_empty() {
                world.advance(31_000);
            }
            world.deliver(*request, frame);
            if index % 4 == 0 {
                world.advance(u64::from(times % 1_000));
            }
        }
        world.hold_frames = false;
        world.advance(60_000);
        // A minute of nonsense is answered with a bounded number of questions.
        let asked = world.server.seen.len() - before;
        prop_assert!(asked < 60 * 20 + 600, "{} requests", asked);
    }

    #[test]
    fn any_bytes_do_no_harm(kinds in proptest::collection::vec((60u16..104, proptest::collection::vec(any::<u8>(), 0..24)), 0..30)) {
        let mut world = World::connected();
        for (kind, body) in kinds {
            if world.links.is_empty() {
                world.advance(31_000);
            }
            let link = *world.links.last().unwrap();
            let frame = RawFrame { kind, request: 0, body: body.into() };
            world.session.handle_frame(link, Ok(frame), world.now);
            world.pump();
        }
    }
}

#[test]
fn a_broken_frame_ends_its_link_only() {
    let mut world = World::connected();
    let link = world.links[0];
    let error = fireside_protocol::FrameError::Cut;
    world.session.handle_frame(link, Err(error), world.now);
    world.pump();
    assert_eq!(world.links.len(), 0);
    assert_eq!(world.session.counters().frames_bad, 1);
    world.advance(250);
    assert_eq!(world.links.len(), 1);
}
