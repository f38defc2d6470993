//! Meetings: they end by their time, with their last member, or when nobody was there for long; a restart ends none.

use fireside_protocol::{
    Code, ConversationId, ConversationKind, JoinPolicy, Settings,
    frames::{CreateGroup, Join, Leave, SetConversation, UserRecordKind},
    limits::MEETING_IDLE_MS,
};
use fireside_server_core::{NodeConfig, links::LinkSecret};

use crate::world::{World, records, shown};

fn meeting(world: &mut World, ends: u64, join: Option<JoinPolicy>) -> ConversationId {
    let create = CreateGroup {
        nonce: world.nonce(),
        name: "Raid".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: Some(ConversationKind::Meeting),
        join,
        ends,
        parent: None,
        by_default: false,
    };
    let id = world.acked(1, create).conversation.unwrap();
    world.live(1);
    id
}

fn enter(world: &mut World) {
    for (name, key) in [("ann", 1), ("bob", 2)] {
        world.enter(name, key);
    }
}

fn join(world: &mut World, conversation: ConversationId) -> Join {
    Join {
        nonce: world.nonce(),
        conversation,
        link: None,
    }
}

fn lives(world: &mut World, key: u64, id: ConversationId) -> bool {
    let send = world.message(id, "still there?");
    let request = world.request(key, send);
    matches!(
        world.answer(key, request),
        Some(fireside_protocol::ServerFrame::Ack(_))
    )
}

/// Time goes on in steps, as it does.
fn wait(world: &mut World, ms: u64) {
    for _ in 0..ms / 10_000 {
        world.later(10_000);
    }
    world.later(ms % 10_000);
}

#[test]
fn a_meeting_ends_at_its_time() {
    let mut world = World::new();
    enter(&mut world);
    let ends = world.now.wall_ms + 100_000;
    let id = meeting(&mut world, ends, Some(JoinPolicy::Open));
    let frame = join(&mut world, id);
    world.acked(2, frame);
    for key in [1, 2] {
        world.live(key);
    }
    world.later(99_999);
    assert!(world.live(1).is_empty());
    world.later(1);
    for key in [1, 2] {
        let live = world.live(key);
        assert_eq!(shown(&live), ["3 Dissolved"]);
        assert!(records(&live)[0].gone);
    }
    assert!(!lives(&mut world, 1, id));
    let frame = join(&mut world, id);
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
}

#[test]
fn its_time_may_be_moved_and_survives_a_restart() {
    let mut world = World::new();
    enter(&mut world);
    let ends = world.now.wall_ms + 100_000;
    let id = meeting(&mut world, ends, None);
    let change = |world: &mut World, ends| SetConversation {
        nonce: world.nonce(),
        conversation: id,
        change: Settings {
            ends: Some(ends),
            ..Settings::default()
        }
        .into(),
    };
    let past = world.now.wall_ms;
    let frame = change(&mut world, past);
    assert_eq!(world.refused(1, frame).code(), Code::ArgumentInvalid);
    let frame = change(&mut world, ends + 100_000);
    world.acked(1, frame);
    world.later(150_000);
    assert!(lives(&mut world, 1, id));
    // While the server is down its time comes: it ends when the server is up again.
    world.restart();
    world.now.wall_ms += 50_000;
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
    world.later(0);
    world.enter("ann", 1);
    assert!(!lives(&mut world, 1, id));
    let log = world.database.entries(id);
    let last = &log.last().unwrap().0;
    assert_eq!(last.kind, fireside_protocol::EntryKind::Dissolved);
    assert_eq!(last.at, now.wall_ms, "a late timer fires at once");
}

#[test]
fn with_its_last_member_it_is_over() {
    let mut world = World::new();
    enter(&mut world);
    let id = meeting(&mut world, 0, None);
    let invite = world.invite(id, "bob");
    world.acked(1, invite);
    world.live(2);
    let frame = Leave {
        nonce: world.nonce(),
        conversation: id,
    };
    assert_eq!(world.acked(1, frame).sequence, 2);
    let kinds: Vec<String> = (world.database.entries(id).iter())
        .map(|(entry, _)| format!("{:?}", entry.kind))
        .collect();
    assert_eq!(kinds, ["Created", "Left", "Dissolved"]);
    let told = records(&world.live(2));
    assert!(told[0].gone && told[0].kind == UserRecordKind::Invitation);
    let frame = join(&mut world, id);
    let code = world.refused(2, frame).code();
    assert_eq!(code, Code::NotFound);
}

#[test]
fn nobody_there_for_long_ends_it_and_a_restart_does_not() {
    let mut world = World::new();
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    enter(&mut world);
    let id = meeting(&mut world, 0, None);
    world.later(3 * MEETING_IDLE_MS);
    assert!(lives(&mut world, 1, id), "somebody is there");
    let now = world.now;
    world.node.handle_disconnected(1, now);
    wait(&mut world, MEETING_IDLE_MS - 1);
    let now = world.now;
    // Down for an hour: that does not count, and what was counted before is forgotten.
    world.restart();
    world.now.monotonic_ms += 3_600_000;
    world.now.wall_ms = now.wall_ms + 3_600_000;
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
    wait(&mut world, MEETING_IDLE_MS - 1);
    assert_eq!(world.database.entries(id).len(), 2);
    // Somebody looks in for a moment: it is counted anew.
    world.enter("ann", 1);
    let now = world.now;
    world.node.handle_disconnected(1, now);
    wait(&mut world, MEETING_IDLE_MS - 1);
    assert_eq!(world.database.entries(id).len(), 2);
    wait(&mut world, 2 * 60_000);
    let log = world.database.entries(id);
    assert_eq!(log.len(), 3);
    assert_eq!(log[2].0.kind, fireside_protocol::EntryKind::Dissolved);
    world.later(3 * MEETING_IDLE_MS);
    assert_eq!(world.database.entries(id).len(), 3, "once");
}

#[test]
fn what_is_no_meeting_has_no_end_and_a_full_one_is_full() {
    let mut world = World::with(NodeConfig {
        meeting_members_max: 1,
        ..NodeConfig::default()
    });
    enter(&mut world);
    let soon = world.now.wall_ms + 1_000;
    let mut create = CreateGroup {
        nonce: world.nonce(),
        name: "Friends".into(),
        invite: Vec::new(),
        history_for_joiners: 0,
        kind: None,
        join: None,
        ends: soon,
        parent: None,
        by_default: false,
    };
    let code = world.refused(1, create.clone()).code();
    assert_eq!(code, Code::ArgumentInvalid);
    create.nonce = world.nonce();
    create.kind = Some(ConversationKind::Meeting);
    create.ends = world.now.wall_ms;
    assert_eq!(world.refused(1, create).code(), Code::ArgumentInvalid);
    let id = meeting(&mut world, 0, Some(JoinPolicy::Open));
    let frame = join(&mut world, id);
    assert_eq!(world.refused(2, frame).code(), Code::TooManyMembers);
    let group = world.group(&[("bob", 2)]);
    let set = SetConversation {
        nonce: world.nonce(),
        conversation: group,
        change: Settings {
            ends: Some(soon),
            ..Settings::default()
        }
        .into(),
    };
    assert_eq!(world.refused(2, set).code(), Code::ArgumentInvalid);
}

#[test]
fn a_node_that_drains_ends_nothing_and_does_not_spin() {
    let mut world = World::new();
    enter(&mut world);
    let ends = world.now.wall_ms + 1_000;
    let id = meeting(&mut world, ends, None);
    let now = world.now;
    world.node.drain(now);
    world.later(1_000);
    assert_eq!(world.database.entries(id).len(), 1);
    // The next one does.
    world.restart();
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
    world.later(0);
    assert_eq!(world.database.entries(id).len(), 2);
}
