//! Invite links: who comes in by one, how often, and what is never told.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, LinkCode, ServerFrame,
    frames::{Ban, CreateLink, Join, LinksRequest, RevokeLink},
    limits::LINKS_MAX,
};
use fireside_server_core::{NodeConfig, Origin, links::LinkSecret};

use crate::world::{World, user};

fn group(world: &mut World) -> ConversationId {
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
    world.group(&[("ann", 1), ("bob", 2)])
}

fn make(world: &mut World, id: ConversationId, expires: u64, uses: u32) -> CreateLink {
    CreateLink {
        nonce: world.nonce(),
        conversation: id,
        expires,
        uses,
    }
}

/// Ann makes a link.
fn made(world: &mut World, id: ConversationId, expires: u64, uses: u32) -> LinkCode {
    let frame = make(world, id, expires, uses);
    world.acked(1, frame).link.unwrap()
}

fn join(world: &mut World, conversation: ConversationId, code: LinkCode) -> Join {
    Join {
        nonce: world.nonce(),
        conversation,
        link: Some(code),
    }
}

#[test]
fn ten_who_race_for_one_use_are_one() {
    let mut world = World::new();
    let id = group(&mut world);
    let frame = make(&mut world, id, 0, 1);
    let ack = world.acked(1, frame.clone());
    assert_eq!(ack.sequence, 0);
    let code = ack.link.unwrap();
    assert_eq!(world.acked(1, frame), ack, "the same at every try");
    for n in 0..10u64 {
        world.enter(&format!("user-{n}"), 10 + n);
    }
    // All are decided before the first is durable.
    world.hold_store = true;
    let mut asked = Vec::new();
    for n in 0..10u64 {
        let frame = join(&mut world, id, code);
        asked.push((10 + n, world.request(10 + n, frame)));
    }
    world.hold_store = false;
    world.carry_out();
    let (mut inside, mut refused) = (0, 0);
    for (key, request) in asked {
        match world.answer(key, request).unwrap() {
            ServerFrame::Ack(_) => inside += 1,
            ServerFrame::Refused(it) => {
                assert_eq!(it.code(), Code::LinkInvalid);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((inside, refused), (1, 9));
    let list = LinksRequest { conversation: id };
    match world.ask(1, list.clone()) {
        ServerFrame::LinksPage(page) => {
            assert_eq!((page.links[0].uses, page.links[0].used), (1, 1));
            assert_eq!(page.links[0].by, user("ann"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.refused(2, list).code(), Code::NotFound);
}

#[test]
fn whatever_is_wrong_with_a_link_is_answered_alike() {
    let mut world = World::new();
    let id = group(&mut world);
    world.enter("cid", 3);
    let soon = world.now.wall_ms + 1_000;
    let [open, ends, revoked] = [0, soon, 0].map(|expires| made(&mut world, id, expires, 0));
    let revoke = |world: &mut World| RevokeLink {
        nonce: world.nonce(),
        conversation: id,
        code: revoked,
    };
    let frame = revoke(&mut world);
    world.acked(1, frame);
    let frame = revoke(&mut world);
    assert_eq!(world.refused(1, frame).code(), Code::LinkInvalid);
    world.later(1_000);
    let nowhere = ConversationId([9; 16]);
    let mut texts = Vec::new();
    for (id, code) in [
        (id, ends),
        (id, revoked),
        (id, LinkCode([4; 16])),
        (nowhere, open),
    ] {
        let frame = join(&mut world, id, code);
        let mut refused = world.refused(3, frame);
        assert_eq!(refused.code(), Code::LinkInvalid);
        refused.nonce = None;
        texts.push(refused);
    }
    assert!(texts.windows(2).all(|two| two[0] == two[1]));
    let frame = join(&mut world, id, open);
    world.acked(3, frame);
    let frame = join(&mut world, id, open);
    assert_eq!(world.refused(3, frame).code(), Code::AlreadyMember);
    // A ban is stronger; a repeat and a restart change nothing.
    let ban = Ban {
        nonce: world.nonce(),
        conversation: id,
        user: user("cid"),
        on: true,
        until: 0,
    };
    world.acked(1, ban);
    world.restart();
    for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        world.enter(name, key);
    }
    let frame = join(&mut world, id, open);
    assert_eq!(world.refused(3, frame).code(), Code::Barred);
    let frame = join(&mut world, id, ends);
    assert_eq!(world.refused(3, frame).code(), Code::LinkInvalid);
    let frame = make(&mut world, id, 0, 0);
    assert_eq!(world.refused(2, frame).code(), Code::Forbidden);
    // Without its secret a server makes none.
    let frame = make(&mut world, id, 0, 0);
    assert_eq!(world.refused(1, frame).code(), Code::UnknownRequest);
    let past = world.now.wall_ms;
    let frame = make(&mut world, id, past, 0);
    assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
}

#[test]
fn there_are_so_many_links_and_ended_ones_make_room() {
    let mut world = World::with(NodeConfig {
        rate_requests_per_s: 0,
        ..NodeConfig::default()
    });
    let id = group(&mut world);
    let soon = world.now.wall_ms + 1_000;
    let expires = |n| if n == 9 { soon } else { 0 };
    let all: Vec<LinkCode> = (0..LINKS_MAX)
        .map(|n| made(&mut world, id, expires(n), 0))
        .collect();
    let frame = make(&mut world, id, 0, 0);
    assert_eq!(world.refused(1, frame).code(), Code::LimitReached);
    world.later(1_000);
    made(&mut world, id, 0, 0);
    match world.ask(1, LinksRequest { conversation: id }) {
        ServerFrame::LinksPage(page) => {
            assert_eq!(page.links.len(), LINKS_MAX);
            assert!(page.links.iter().all(|link| link.code != all[9]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_code_is_in_no_debug_text() {
    let mut world = World::new();
    let id = group(&mut world);
    let code = made(&mut world, id, 0, 0);
    world.hold_store = true;
    let frame = ClientFrame::from(join(&mut world, id, code));
    let told = format!("{frame:?}");
    let origin = Origin::default();
    world.node.handle_request(2, origin, frame, world.now);
    let text = format!("{told} {:?}", world.node);
    assert!(text.contains("LinkCode") && text.contains("LinkSecret"));
    for bytes in [&code.0[..], &[5; 16]] {
        let list: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        assert!(!text.contains(&list.join(", ")));
    }
    assert!(!text.contains(&code.to_text()));
}
