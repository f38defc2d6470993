//! Reactions and pins: who may, what is told to whom, and when nothing is.

use fireside_protocol::{
    Code, EntryKind, FacetKind, Pinned, Reactions, ServerFrame,
    frames::{Block, Pin, PinsRequest, React, Recall},
    limits::{PINS_MAX, REACTION_KEYS_MAX},
};
use fireside_server_core::NodeConfig;

use crate::world::{World, direct, user};

fn world() -> World {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_group_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.enter(name, key);
    }
    world
}

fn react(world: &mut World, target: u64, key: &str, on: bool) -> React {
    React {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target,
        target_nonce: None,
        key: key.to_owned(),
        on,
    }
}

fn pin(world: &mut World, target: u64, on: bool) -> Pin {
    Pin {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target,
        target_nonce: None,
        on,
    }
}

#[test]
fn a_reaction_reaches_all_and_a_repeat_makes_nothing() {
    let mut world = world();
    let send = world.message_to("ann", "bob", "gg");
    let by_name = send.nonce;
    world.acked(1, send);
    world.live(1);
    world.live(2);
    let frame = react(&mut world, 1, "👍", true);
    assert_eq!(world.acked(2, frame.clone()).sequence, 2);
    assert_eq!(world.acked(2, frame).sequence, 2, "the same answer");
    for key in [1, 2] {
        let live = world.live(key);
        let [ServerFrame::Entry(entry)] = &live[..] else {
            panic!("{live:?}");
        };
        assert_eq!((entry.kind, entry.target), (EntryKind::React, 1));
        let state: Reactions = entry.facet(FacetKind::Reactions).unwrap();
        assert_eq!(state.keys[0].users, [user("bob")]);
    }
    let again = react(&mut world, 1, "👍", true);
    assert_eq!(world.acked(2, again).sequence, 0);
    let gone = react(&mut world, 1, "gg", false);
    assert_eq!(world.acked(2, gone).sequence, 0);
    assert_eq!(world.live(1), []);
    // Its author may name it as they did.
    let named = React {
        target: 0,
        target_nonce: Some(by_name),
        ..react(&mut world, 0, "🎉", true)
    };
    assert_eq!(world.acked(1, named).sequence, 3);
}

#[test]
fn refusals_of_reactions() {
    let mut world = world();
    let send = world.message_to("ann", "bob", "gg");
    world.acked(1, send);
    for key in ["", " ", "a b", "\u{202e}x", &"x".repeat(65)] {
        let frame = react(&mut world, 1, key, true);
        assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    }
    let frame = react(&mut world, 1, "gg", true);
    assert_eq!(world.refused(3, frame).code(), Code::NotFound, "a stranger");
    let frame = react(&mut world, 7, "gg", true);
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
    for n in 0..REACTION_KEYS_MAX {
        let frame = react(&mut world, 1, &format!("key{n}"), true);
        world.acked(2, frame);
    }
    let frame = react(&mut world, 1, "one more", true);
    assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    let frame = react(&mut world, 1, "one-more", true);
    assert_eq!(world.refused(2, frame).code(), Code::LimitReached);
    // A reaction is no message to react to, and a recalled message takes none.
    let frame = react(&mut world, 2, "gg", true);
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target: 1,
        target_nonce: None,
    };
    world.acked(1, recall);
    let frame = react(&mut world, 1, "gg", true);
    assert_eq!(world.refused(2, frame).code(), Code::Conflict);
}

#[test]
fn behind_a_block_nothing_is_told() {
    let mut world = world();
    let send = world.message_to("ann", "bob", "gg");
    world.acked(1, send);
    let block = Block {
        nonce: world.nonce(),
        user: user("ann"),
        on: true,
    };
    world.acked(2, block);
    world.live(1);
    world.live(2);
    let frame = react(&mut world, 1, "gg", true);
    assert_eq!(world.acked(1, frame).sequence, 0);
    let frame = pin(&mut world, 1, true);
    assert_eq!(world.acked(1, frame).sequence, 0);
    assert_eq!((world.live(1), world.live(2)), (vec![], vec![]));
    // What only its author sees may carry what they like.
    let send = world.message_to("ann", "bob", "nobody hears");
    let own = world.acked(1, send).sequence;
    let frame = react(&mut world, own, "gg", true);
    assert!(world.acked(1, frame).sequence > own);
    assert!(
        (world.live(2).iter()).all(|frame| matches!(frame, ServerFrame::Skip(_))),
        "bob hears of none of it"
    );
}

#[test]
fn pins_are_for_admins_of_a_group_and_both_of_two() {
    let mut world = world();
    let send = world.message_to("ann", "bob", "read this");
    world.acked(1, send);
    let frame = pin(&mut world, 1, true);
    assert_eq!(world.acked(2, frame).sequence, 2);
    let conversation = direct("ann", "bob");
    let page = world.ask(
        1,
        PinsRequest {
            conversation,
            before: 0,
        },
    );
    let ServerFrame::PinsPage(page) = page else {
        panic!("{page:?}");
    };
    let entry: fireside_protocol::Entry = fireside_protocol::decode(&page.items[0].0).unwrap();
    let pinned: Pinned = entry.facet(FacetKind::Pin).unwrap();
    assert_eq!((entry.sequence, pinned.by), (1, user("bob")));
    let page = world.ask(
        3,
        PinsRequest {
            conversation,
            before: 0,
        },
    );
    assert!(matches!(page, ServerFrame::Refused(it) if it.code() == Code::NotFound));

    let group = world.group(&[("ann", 1), ("bob", 2)]);
    let send = world.message(group, "in a group");
    let target = world.acked(2, send).sequence;
    let in_group = |frame: Pin| Pin {
        conversation: group,
        ..frame
    };
    let frame = in_group(pin(&mut world, target, true));
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    let frame = in_group(pin(&mut world, target, true));
    assert!(world.acked(1, frame).sequence > target);
    for _ in 1..PINS_MAX {
        let send = world.message(group, &"long ".repeat(700));
        let target = world.acked(1, send).sequence;
        let frame = in_group(pin(&mut world, target, true));
        world.acked(1, frame);
    }
    // Long ones come in several pages.
    let mut seen = Vec::new();
    let mut before = 0;
    loop {
        let conversation = group;
        let page = world.ask(
            2,
            PinsRequest {
                conversation,
                before,
            },
        );
        let ServerFrame::PinsPage(page) = page else {
            panic!("{page:?}");
        };
        for raw in &page.items {
            let entry: fireside_protocol::Entry = fireside_protocol::decode(&raw.0).unwrap();
            before = entry.sequence;
            seen.push(before);
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), PINS_MAX);
    assert!(seen.is_sorted_by(|one, other| one > other));
    let send = world.message(group, "too many");
    let target = world.acked(1, send).sequence;
    let frame = in_group(pin(&mut world, target, true));
    assert_eq!(world.refused(1, frame).code(), Code::LimitReached);
}
