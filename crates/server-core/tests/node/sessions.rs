//! Sessions come, are replaced, expire and go.

use fireside_protocol::{
    Code, DeviceId, ServerFrame,
    frames::{DevicesRequest, PageRequest, RevokeDevice},
};
use fireside_server_core::{
    NodeConfig, Origin,
    node::DevicePolicy,
    storage::{LoadedUser, Op, Reply},
};

use crate::world::{World, direct, shown, user};

#[test]
fn requests_before_the_welcome_wait_for_it() {
    let mut world = World::new();
    world.enter("bob", 2);
    world.hold_store = true;
    world.enter("ann", 1);
    let send = world.message_to("ann", "bob", "early bird");
    let request = world.request(1, send);
    assert!(world.got[&1].is_empty());
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(world.got[&1][0].1, ServerFrame::Welcome(_)));
    assert!(matches!(
        world.answer(1, request),
        Some(ServerFrame::Ack(_))
    ));
    assert_eq!(shown(&world.live(2)), ["head 1", "1 early bird"]);
}

#[test]
fn early_data_reads_and_does_nothing_else() {
    let mut world = World::with(NodeConfig {
        device_policy: DevicePolicy::One,
        ..NodeConfig::default()
    });
    world.enter("ann", 1);
    let mut login = world.login("ann", 2);
    login.early = true;
    world.connect(2, login);
    assert!(world.ended.is_empty(), "kicks nobody");
    let send = world.message_to("ann", "bob", "x");
    assert_eq!(world.refused(2, send.clone()).code(), Code::NotInEarlyData);
    let page = PageRequest {
        conversation: direct("ann", "bob"),
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    assert_eq!(
        world.refused(2, page).code(),
        Code::NotFound,
        "a read is answered"
    );
    world.node.handle_confirmed(2, world.now);
    world.pump();
    assert_eq!(world.ended, [(1, Code::DeviceReplaced)]);
    world.acked(2, send);
}

#[test]
fn a_device_takes_its_own_place_and_another_ones() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("ann", 2);
    assert!(world.ended.is_empty(), "several devices at once");
    let mut login = world.login("ann", 3);
    login.device = DeviceId([1; 16]);
    world.connect(3, login);
    assert_eq!(world.ended, [(1, Code::DeviceReplaced)]);
    assert!(
        world.live(1).is_empty(),
        "its own successor needs no telling"
    );
    world.node.set_config(NodeConfig {
        device_policy: DevicePolicy::OnePerPlatform,
        ..NodeConfig::default()
    });
    let mut login = world.login("ann", 4);
    login.platform = "ps5".into();
    world.connect(4, login);
    assert_eq!(world.ended.len(), 1);
    world.enter("ann", 5);
    assert_eq!(world.ended.len(), 3);
    assert!(
        matches!(&world.live(2)[..], [ServerFrame::Kicked(it)] if it.code == Code::DeviceReplaced.number())
    );
}

#[test]
fn devices_are_listed_and_revoked() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("ann", 2);
    world.node.handle_disconnected(2, world.now);
    world.enter("ann", 3);
    let ServerFrame::DevicesPage(page) = world.ask(1, DevicesRequest { reserved: 0 }) else {
        panic!("no devices");
    };
    let online: Vec<bool> = page.devices.iter().map(|it| it.online).collect();
    assert_eq!(online, [true, false, true]);
    let nonce = world.nonce();
    world.acked(
        1,
        RevokeDevice {
            nonce,
            device: DeviceId([3; 16]),
        },
    );
    assert_eq!(world.ended, [(3, Code::SessionRevoked)]);
    assert_eq!(
        world.node.poll_revoked(),
        Some((user("ann"), DeviceId([3; 16])))
    );
}

#[test]
fn a_token_ends() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.later(3_600_000 - 1_000);
    let expires = world.now.wall_ms + 100_000;
    world.node.handle_token(
        1,
        expires,
        Vec::new(),
        Origin {
            stream: 0,
            request: 77,
        },
        world.now,
    );
    world.pump();
    assert!(matches!(world.answer(1, 77), Some(ServerFrame::Done(_))));
    world.later(100_000);
    assert!(world.ended.is_empty(), "leeway");
    world.later(60_000);
    assert_eq!(world.ended, [(1, Code::TokenExpired)]);
    assert!(
        matches!(&world.live(1)[..], [ServerFrame::Kicked(it)] if it.code == Code::TokenExpired.number())
    );
}

#[test]
fn banned_and_revoked_users_are_told_why() {
    for (loaded, code) in [
        (
            LoadedUser {
                banned_until: u64::MAX,
                ..LoadedUser::default()
            },
            Code::Banned,
        ),
        (
            LoadedUser {
                valid_after: u64::MAX,
                ..LoadedUser::default()
            },
            Code::TokenRevoked,
        ),
    ] {
        let mut world = World::new();
        world.hold_store = true;
        world.enter("ann", 1);
        let (ticket, op) = world.held.pop_front().unwrap();
        assert!(matches!(op, Op::LoadUser(_)));
        world
            .node
            .handle_stored(ticket, Ok(Reply::User(Box::new(loaded))), world.now);
        world.pump();
        assert!(matches!(&world.got[&1][..], [(1, ServerFrame::Refused(it))] if it.code() == code));
        assert_eq!(world.ended, [(1, code)]);
    }
}

#[test]
fn a_drain_finishes_what_it_has_and_takes_no_more() {
    let mut world = World::new();
    world.enter("ann", 1);
    world.enter("bob", 2);
    world.hold_store = true;
    let send = world.message_to("ann", "bob", "in flight");
    let request = world.request(1, send);
    world.node.drain(world.now);
    world.pump();
    assert!(matches!(world.live(2)[..], [ServerFrame::Draining(_)]));
    assert!(!world.node.is_drained());
    let send = world.message_to("ann", "bob", "too late");
    assert_eq!(world.refused(1, send).code(), Code::Draining);
    world.enter("cid", 3);
    assert_eq!(world.ended, [(3, Code::Draining)]);
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(
        world.answer(1, request),
        Some(ServerFrame::Ack(_))
    ));
    assert!(world.node.is_drained());
}

#[test]
fn nothing_is_left_of_users_who_went() {
    let mut world = World::new();
    for round in 0..50 {
        world.enter("ann", round * 2 + 1);
        world.enter("bob", round * 2 + 2);
        let send = world.message_to("ann", "bob", "x");
        world.acked(round * 2 + 1, send);
        world.node.handle_disconnected(round * 2 + 1, world.now);
        world.node.handle_disconnected(round * 2 + 2, world.now);
        world.later(1_000);
    }
    let counters = world.node.counters();
    assert_eq!(
        (counters.sessions, counters.users, counters.store_pending),
        (0, 0, 0)
    );
    assert_eq!(counters.conversations, 1, "kept for the next one");
    assert!(world.node.poll_timeout().is_none());
}
