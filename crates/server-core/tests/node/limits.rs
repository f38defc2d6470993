//! What happens when there is too much of something.

use fireside_protocol::{
    Code, ServerFrame,
    frames::{Attention, Delivered, PageRequest},
    limits::{SESSION_QUEUE_BYTES_MAX, SESSION_QUEUE_FRAMES_MAX},
};
use fireside_server_core::{Breaks, NodeConfig};

use crate::world::{World, direct, heads, shown};

#[test]
fn a_rate_limit_names_its_end_and_forgets_nothing() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("bob", 2);
    let mut refused = None;
    for place in 0..30 {
        let send = world.message_to("ann", "bob", &format!("{place}"));
        if let ServerFrame::Refused(it) = world.ask(1, send.clone()) {
            refused = Some((place, send, it));
            break;
        }
    }
    let (place, send, it) = refused.unwrap();
    assert_eq!(place, 20, "two seconds' worth");
    assert_eq!(it.code(), Code::RateLimited);
    assert!((1..=100).contains(&it.retry_after_ms));
    world.later(it.retry_after_ms);
    assert_eq!(world.acked(1, send).sequence, 21);
    assert_eq!(world.node.counters().rate_limited, 1);
}

#[test]
fn a_slow_reader_gets_heads_and_costs_little() {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    world.enter("ann", 1);
    world.enter("bob", 2);
    let send = world.message_to("ann", "bob", "first");
    world.acked(1, send);
    world.live(2);
    world.deaf.insert(2);
    let big = "x".repeat(3_000);
    for _ in 0..2_000 {
        let send = world.message_to("ann", "bob", &big);
        world.acked(1, send);
    }
    assert!(world.outbound(2).bytes() <= SESSION_QUEUE_BYTES_MAX);
    assert!(world.node.counters().behind >= 1);
    world.hear(2);
    let live = world.live(2);
    let entries = live.iter().filter(|it| matches!(it, ServerFrame::Entry(_)));
    assert!(entries.count() < 100);
    assert_eq!(
        heads(&live).last().unwrap().last,
        2_001,
        "the head tells the rest"
    );
    // And goes on live.
    let send = world.message_to("ann", "bob", "after");
    world.acked(1, send);
    assert_eq!(shown(&world.live(2)), ["2002 after"]);
    assert!(world.ended.is_empty());
}

#[test]
fn a_slow_reader_gets_the_receipts_it_missed() {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.enter(name, key);
    }
    let send = world.message_to("ann", "bob", "first");
    world.acked(1, send);
    let conversation = direct("ann", "bob");
    let open = vec![conversation];
    world.request(1, Attention { open });
    world.live(1);
    world.deaf.insert(1);
    let big = "x".repeat(3_000);
    for _ in 0..100 {
        let send = world.message_to("cyd", "ann", &big);
        world.acked(3, send);
    }
    // Nothing comes after it that would say it again.
    world.request(
        2,
        Delivered {
            conversation,
            upto: 1,
        },
    );
    world.later(1_000);
    world.hear(1);
    let live = world.live(1);
    let told = |it: &ServerFrame| match it {
        ServerFrame::Receipt(receipt) => receipt.conversation == conversation,
        ServerFrame::Head(head) => head.conversation == conversation && head.peer_delivered == 1,
        _ => false,
    };
    assert!(live.iter().any(told), "{live:?}");
}

#[test]
fn behind_for_the_third_time_means_heads_only_until_quiet() {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    world.enter("ann", 1);
    world.enter("bob", 2);
    for _ in 0..3 {
        world.deaf.insert(2);
        for _ in 0..600 {
            let send = world.message_to("ann", "bob", "x");
            world.acked(1, send);
        }
        world.later(100);
        world.hear(2);
    }
    world.live(2);
    let send = world.message_to("ann", "bob", "not live");
    let last = world.acked(1, send).sequence;
    assert_eq!(shown(&world.live(2)), [] as [&str; 0]);
    world.later(2_000);
    assert_eq!(heads(&world.live(2)).last().unwrap().last, last);
    for _ in 0..6 {
        world.later(2_000);
    }
    let send = world.message_to("ann", "bob", "live again");
    world.acked(1, send);
    assert_eq!(shown(&world.live(2)), [format!("{} live again", last + 1)]);
}

#[test]
fn a_receipt_without_room_can_be_the_third_time_too() {
    let mut world = World::with(NodeConfig {
        rate_direct_per_s: 0,
        rate_conversation_per_s: 0,
        ..NodeConfig::default()
    });
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.enter(name, key);
    }
    let send = world.message_to("ann", "bob", "first");
    world.acked(1, send);
    let conversation = direct("ann", "bob");
    let open = vec![conversation];
    world.request(1, Attention { open });
    for _ in 0..2 {
        world.deaf.insert(1);
        for _ in 0..600 {
            let send = world.message_to("cyd", "ann", "x");
            world.acked(3, send);
        }
        world.later(100);
        world.hear(1);
    }
    world.live(1);
    world.deaf.insert(1);
    while world.outbound(1).frames() < SESSION_QUEUE_FRAMES_MAX {
        let send = world.message_to("cyd", "ann", "x");
        world.acked(3, send);
    }
    let upto = 1;
    world.request(2, Delivered { conversation, upto });
    world.later(600);
    world.hear(1);
    world.live(1);
    // Nothing but heads from now on: they come by their timer.
    let send = world.message_to("bob", "ann", "a head tells");
    let last = world.acked(2, send).sequence;
    assert_eq!(shown(&world.live(1)), [] as [&str; 0]);
    world.later(2_000);
    let told = heads(&world.live(1));
    assert!(told.iter().any(|head| head.last == last), "{told:?}");
}

#[test]
fn answers_without_room_end_the_session() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.deaf.insert(1);
    for _ in 0..10_000 {
        let send = world.message(direct("ann", "bob"), "x");
        world.request(1, send);
        world.now.monotonic_ms += 100;
    }
    assert_eq!(world.ended, [(1, Code::Overloaded)]);
    assert!(world.outbound(1).bytes() <= SESSION_QUEUE_BYTES_MAX);
}

#[test]
fn too_many_requests_in_flight() {
    let mut world = World::with(NodeConfig {
        rate_requests_per_s: 0,
        ..NodeConfig::default()
    });
    world.enter("ann", 1);
    world.hold_store = true;
    let mut refused = 0;
    for _ in 0..300 {
        let request = PageRequest {
            conversation: direct("ann", "bob"),
            anchor: 0,
            number: 0,
            to: 0,
            limit: 0,
            since: 0,
            held: Vec::new(),
        };
        let id = world.request(1, request);
        if let Some(ServerFrame::Refused(it)) = world.answer(1, id) {
            assert_eq!(it.code(), Code::TooManyRequests);
            refused += 1;
        }
    }
    assert_eq!(refused, 300 - 256);
    world.hold_store = false;
    world.carry_out();
    let answered = world.got[&1].iter().filter(|(id, _)| *id > 100);
    assert_eq!(answered.count(), 300, "each has its answer");
}

#[test]
fn under_load_groups_and_pages_give_way_to_direct_messages() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("bob", 2);
    let group = world.group(&[("ann", 1), ("bob", 2)]);
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    world.hold_store = true;
    let send = world.message_to("ann", "bob", "waits");
    world.request(1, send);
    world.now.monotonic_ms += 300;
    let send = world.message(group, "y");
    let refused = world.refused(1, send);
    assert_eq!(refused.code(), Code::Overloaded);
    assert!(refused.retry_after_ms > 0);
    let send = world.message_to("bob", "ann", "goes");
    let request = world.request(2, send);
    assert!(world.answer(2, request).is_none(), "taken");
    world.now.monotonic_ms += 700;
    let send = world.message_to("bob", "ann", "not any more");
    assert_eq!(world.refused(2, send).code(), Code::Overloaded);
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(
        world.answer(2, request),
        Some(ServerFrame::Ack(_))
    ));
}

#[test]
fn the_store_does_not_answer_and_few_conversations_fit() {
    let mut world = World::with(NodeConfig {
        conversations_max: 4,
        ..NodeConfig::default()
    });
    for place in 0..20 {
        world.enter(&format!("u{place}"), place + 1);
    }
    for round in 0..3 {
        for place in 0..19 {
            let (from, to) = (format!("u{place}"), format!("u{}", place + 1));
            let send = world.message_to(&from, &to, &format!("{round}"));
            world.acked(place + 1, send);
        }
    }
    let counters = world.node.counters();
    assert!(counters.conversations <= 4, "{counters:?}");
    assert!(counters.evictions > 0);
    for place in 1..20 {
        let entries = world.live(place + 1);
        let entries = entries
            .iter()
            .filter(|it| matches!(it, ServerFrame::Entry(_)));
        assert_eq!(entries.count(), if place == 19 { 3 } else { 6 });
    }
}

#[test]
fn omitted_skips_are_a_fault_that_shows() {
    use fireside_protocol::frames::Block;
    let mut world = World::broken(Breaks {
        skip_omitted: true,
        ..Breaks::default()
    });
    world.enter("ann", 1);
    world.enter("bob", 2);
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: crate::world::user("ann"),
            on: true,
        },
    );
    world.live(2);
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    assert!(world.live(2).is_empty());
}
