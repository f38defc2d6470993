//! Messages that end by their time: by the server's clock, once, also over a restart.

use fireside_protocol::{
    Code, Content, ConversationId, EntryKind, FacetKind, Nonce, ServerFrame, Settings, Tombstone,
    content::{PollContent, Votes},
    frames::{ClosePoll, PageRequest, Recall, SetConversation, Vote},
    limits::{LIFETIME_MS_MAX, LIFETIME_MS_MIN},
};
use fireside_server_core::{links::LinkSecret, storage::StoreError};

use crate::world::{World, direct, shown, user};

fn start(world: &mut World) {
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
}

/// A world of two who talk.
fn two() -> (World, ConversationId) {
    let mut world = World::new();
    start(&mut world);
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
    let hello = world.message_to("ann", "bob", "hello");
    world.acked(1, hello);
    for key in [1, 2] {
        world.live(key);
    }
    (world, direct("ann", "bob"))
}

fn ending(
    world: &mut World,
    id: ConversationId,
    text: &str,
    expires: u64,
) -> fireside_protocol::frames::Send {
    let mut send = world.message(id, text);
    send.header.expires = expires;
    send
}

#[test]
fn a_message_ends_at_its_time_for_all() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let send = ending(&mut world, id, "burns", ends);
    let ack = world.acked(1, send.clone());
    assert_eq!((ack.sequence, ack.expires), (2, ends));
    assert_eq!(world.acked(1, send), ack, "a repeat");
    let other = ending(&mut world, id, "burns later", ends + 5_000);
    world.acked(2, other);
    for key in [1, 2] {
        world.live(key);
    }
    world.later(59_999);
    assert_eq!(shown(&world.live(2)), Vec::<String>::new());
    world.later(1);
    for key in [1, 2] {
        let live = world.live(key);
        assert_eq!(shown(&live), ["4 Expire"]);
        let Some(ServerFrame::Entry(end)) = live.first() else {
            panic!("{live:?}")
        };
        assert_eq!((end.target, &end.sender), (2, &user("ann")));
    }
    let log = world.database.entries(id);
    assert_eq!(log[1].0.tombstone, Some(Tombstone::Expired));
    assert!(log[1].0.content.is_empty());
    world.later(5_000);
    assert_eq!(shown(&world.live(1)), ["5 Expire"]);
    // Nothing is left to do.
    world.later(200_000);
    assert_eq!(world.database.entries(id).len(), 5);
}

#[test]
fn its_time_survives_a_restart_and_comes_once() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let send = ending(&mut world, id, "burns", ends);
    world.acked(1, send);
    let send = ending(&mut world, id, "burns later", ends + 100_000);
    world.acked(1, send);
    world.restart();
    // Its time comes while the server is down.
    world.now.wall_ms += 70_000;
    start(&mut world);
    world.later(0);
    let kinds = |world: &World| -> Vec<EntryKind> {
        let log = world.database.entries(id);
        log.iter().map(|(entry, _)| entry.kind).collect()
    };
    let mut expected = vec![EntryKind::Message; 3];
    expected.push(EntryKind::Expire);
    assert_eq!(kinds(&world), expected);
    // A second node finds the same message over: the name of what it does is known.
    world.restart();
    start(&mut world);
    world.later(2_000);
    assert_eq!(kinds(&world), expected);
    world.later(100_000);
    expected.push(EntryKind::Expire);
    assert_eq!(kinds(&world), expected, "the other one too");
}

#[test]
fn two_tries_have_one_name() {
    let (one, other) = (direct("ann", "bob"), direct("ann", "cyd"));
    let names = [(one, 1), (one, 2), (other, 1)].map(|(id, n)| Nonce::expiry_of(id, n));
    assert_eq!(names[0], Nonce::expiry_of(one, 1));
    assert!(names[0] != names[1] && names[0] != names[2]);
}

#[test]
fn what_is_over_or_too_far_is_refused() {
    let (mut world, id) = two();
    let now = world.now.wall_ms;
    for (expires, code) in [
        (now, Code::MessageOver),
        (now - 1, Code::MessageOver),
        (now + LIFETIME_MS_MAX + 1, Code::LifetimeInvalid),
    ] {
        let send = ending(&mut world, id, "burns", expires);
        assert_eq!(world.refused(1, send).code(), code, "{expires}");
    }
    let send = ending(&mut world, id, "burns", now + LIFETIME_MS_MAX);
    world.acked(1, send);
    let send = ending(&mut world, id, "burns", now + 1);
    world.acked(1, send);
}

#[test]
fn what_was_taken_back_stays_so() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let send = ending(&mut world, id, "burns", ends);
    world.acked(1, send);
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: 2,
        target_nonce: None,
    };
    world.acked(1, recall);
    world.later(100_000);
    let log = world.database.entries(id);
    assert_eq!(log.len(), 3);
    assert_eq!(log[1].0.tombstone, Some(Tombstone::Recalled));
}

#[test]
fn a_conversation_gives_its_messages_a_lifetime() {
    let mut world = World::new();
    start(&mut world);
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
    let id = world.group(&[("ann", 1), ("bob", 2)]);
    let set = |world: &mut World, ms| SetConversation {
        nonce: world.nonce(),
        conversation: id,
        change: Settings {
            lifetime_ms: Some(ms),
            ..Settings::default()
        }
        .into(),
    };
    let frame = set(&mut world, LIFETIME_MS_MIN - 1);
    assert_eq!(world.refused(1, frame).code(), Code::LifetimeInvalid);
    let frame = set(&mut world, 60_000);
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    let before = world.message(id, "stays");
    assert_eq!(world.acked(2, before).expires, 0);
    let frame = set(&mut world, 60_000);
    world.acked(1, frame);
    for key in [1, 2] {
        world.live(key);
    }
    let rule = world.now.wall_ms + 60_000;
    for (wished, ends) in [(0, rule), (rule + 1, rule), (rule - 50_000, rule - 50_000)] {
        let send = ending(&mut world, id, "burns", wished);
        assert_eq!(world.acked(2, send.clone()).expires, ends);
        assert_eq!(world.acked(2, send).expires, ends, "a repeat");
        let live = world.live(1);
        let Some(ServerFrame::Entry(entry)) = live.first() else {
            panic!("{live:?}")
        };
        let header = entry.header.as_ref().unwrap();
        assert_eq!(header.expires, ends, "all see when it ends");
    }
    world.later(60_000);
    let ended = shown(&world.live(1));
    assert_eq!(ended.len(), 3, "{ended:?}");
    let frame = set(&mut world, 0);
    world.acked(1, frame);
    let after = world.message(id, "stays");
    assert_eq!(world.acked(2, after).expires, 0);
}

#[test]
fn a_page_shows_a_place_and_nothing_in_it() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let send = ending(&mut world, id, "burns", ends);
    world.acked(1, send);
    world.later(60_000);
    let request = PageRequest {
        conversation: id,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    let ServerFrame::Page(page) = world.ask(2, request) else {
        panic!("no page")
    };
    assert_eq!((page.first, page.last, page.items.len()), (1, 3, 2));
}

#[test]
fn while_the_store_fails_it_is_tried_again() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let send = ending(&mut world, id, "burns", ends);
    world.acked(1, send);
    world.failing = Some(StoreError::Full);
    world.later(60_000);
    assert_eq!(world.database.entries(id).len(), 2);
    world.failing = None;
    world.later(1_000);
    assert_eq!(world.database.entries(id).len(), 3);
}

#[test]
fn a_poll_closes_at_its_time_for_all() {
    let (mut world, id) = two();
    let ends = world.now.wall_ms + 60_000;
    let poll = Content::Poll(PollContent {
        question: "Where?".into(),
        options: vec!["mill".into(), "harbour".into()],
        choices_max: 0,
        ends,
        anonymous: false,
    });
    let mut send = ending(&mut world, id, "", ends + 60_000);
    (send.header.kind, send.content) = (poll.kind(), poll.encode());
    world.acked(1, send);
    let vote = |world: &mut World| Vote {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: 2,
        target_nonce: None,
        choices: vec![1],
    };
    let frame = vote(&mut world);
    world.acked(2, frame);
    world.live(2);
    world.restart();
    start(&mut world);
    world.enter("bob", 2);
    world.live(2);
    world.later(60_000);
    let live = world.live(2);
    let Some(ServerFrame::Entry(close)) = live.first() else {
        panic!("{live:?}")
    };
    assert_eq!((close.kind, close.target), (EntryKind::Vote, 2));
    let votes: Votes = close.facet(FacetKind::Votes).unwrap();
    assert!(votes.closed && votes.has(1, &user("bob")));
    let frame = vote(&mut world);
    assert_eq!(world.refused(2, frame).code(), Code::PollClosed);
    // Nothing more happens to it until it ends.
    world.later(59_000);
    assert_eq!(world.database.entries(id).len(), 4);
    world.later(1_000);
    let kinds = world.database.entries(id);
    assert_eq!(kinds[4].0.kind, EntryKind::Expire);
}

#[test]
fn a_poll_that_somebody_closed_is_not_closed_again() {
    let (mut world, id) = two();
    let poll = Content::Poll(PollContent {
        question: "Where?".into(),
        options: vec!["mill".into(), "harbour".into()],
        choices_max: 0,
        ends: world.now.wall_ms + 60_000,
        anonymous: false,
    });
    let mut send = world.message(id, "");
    (send.header.kind, send.content) = (poll.kind(), poll.encode());
    world.acked(1, send);
    let close = ClosePoll {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target: 2,
        target_nonce: None,
    };
    world.acked(1, close);
    world.later(100_000);
    assert_eq!(world.database.entries(id).len(), 3);
}
