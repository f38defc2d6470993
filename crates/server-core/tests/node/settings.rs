//! What a conversation is set to, and what follows from it.

use bytes::Bytes;
use fireside_protocol::{
    Attribute, Code, ConversationId, EntryKind, Permission, Role, ServerFrame, Settings,
    TextContent, decode, encode,
    frames::{Edit, HeadsRequest, Recall, RemoveMember, SetConversation, SetRole},
};

use crate::world::{World, heads, shown, user};

/// A group of an owner, an admin and a member.
fn three() -> (World, ConversationId) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        world.enter(name, key);
    }
    let group = world.group(&[("ann", 1), ("bob", 2), ("cid", 3)]);
    let give = SetRole {
        nonce: world.nonce(),
        conversation: group,
        user: user("bob"),
        role: Role::Admin,
    };
    world.acked(1, give);
    for key in 1..=3 {
        world.live(key);
    }
    (world, group)
}

fn set(world: &mut World, conversation: ConversationId, change: Settings) -> SetConversation {
    SetConversation {
        nonce: world.nonce(),
        conversation,
        change: change.into(),
    }
}

fn frozen(on: bool) -> Settings {
    Settings {
        frozen: Some(on),
        ..Settings::default()
    }
}

fn slow(ms: u32) -> Settings {
    Settings {
        slow_mode_ms: Some(ms),
        ..Settings::default()
    }
}

#[test]
fn a_change_is_an_item_that_says_what_changed() {
    let (mut world, group) = three();
    let change = Settings {
        name: Some("  Night raid ".into()),
        attributes: vec![Attribute {
            key: "map".into(),
            value: "ruins".into(),
        }],
        ..Settings::default()
    };
    let frame = set(&mut world, group, change);
    let ack = world.acked(1, frame.clone());
    assert_eq!(world.acked(1, frame).sequence, ack.sequence, "a repeat");
    let live = world.live(3);
    let entry = live.iter().find_map(|frame| match frame {
        ServerFrame::Entry(entry) if entry.kind == EntryKind::Settings => Some(entry),
        _ => None,
    });
    let entry = entry.unwrap();
    assert_eq!(
        (entry.sequence, &entry.sender),
        (ack.sequence, &user("ann"))
    );
    let said: Settings = decode(&entry.content).unwrap();
    assert_eq!(said.name.as_deref(), Some("Night raid"));
    assert_eq!(said.frozen, None, "what stays is not said");
    let request = HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: vec![group],
    };
    let ServerFrame::HeadsPage(page) = world.ask(3, request) else {
        panic!("no heads")
    };
    assert_eq!(page.heads[0].name, "Night raid");
    let settings = page.heads[0].settings.as_deref().unwrap();
    assert_eq!(settings.attributes[0].value, "ruins");
}

#[test]
fn who_may_change_what() {
    let (mut world, group) = three();
    let name = Settings {
        name: Some("x".into()),
        ..Settings::default()
    };
    let permissions = Settings {
        member_permissions: Some(Permission::Send.bit() | Permission::Profile.bit()),
        ..Settings::default()
    };
    let mut codes = |key, change: &Settings| {
        let frame = set(&mut world, group, change.clone());
        match world.ask(key, frame) {
            ServerFrame::Ack(_) => None,
            ServerFrame::Refused(refused) => Some(refused.code()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(codes(3, &name), Some(Code::Forbidden));
    assert_eq!(codes(3, &frozen(true)), Some(Code::Forbidden));
    assert_eq!(codes(2, &name), None);
    assert_eq!(codes(2, &permissions), Some(Code::Forbidden));
    assert_eq!(codes(1, &permissions), None);
    assert_eq!(codes(3, &name), None, "it was given to members");
    assert_eq!(codes(3, &frozen(true)), Some(Code::Forbidden));
    assert_eq!(codes(1, &Settings::default()), Some(Code::ArgumentInvalid));
    let nameless = Settings {
        name: Some(" ".into()),
        ..Settings::default()
    };
    assert_eq!(codes(1, &nameless), Some(Code::NameInvalid));
    world.enter("dee", 4);
    let frame = set(&mut world, group, name);
    assert_eq!(world.refused(4, frame).code(), Code::NotFound);
}

#[test]
fn in_a_frozen_conversation_only_admins_write() {
    let (mut world, group) = three();
    let send = world.message(group, "before");
    let at = world.acked(3, send).sequence;
    let frame = set(&mut world, group, frozen(true));
    world.acked(2, frame);
    let send = world.message(group, "no");
    assert_eq!(world.refused(3, send).code(), Code::Frozen);
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: group,
        target: at,
        target_nonce: None,
        seen_rev: 0,
        content: Bytes::from(encode(&TextContent::plain(
            "a message in another's clothes",
        ))),
    };
    assert_eq!(world.refused(3, edit).code(), Code::Frozen);
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: group,
        target: at,
        target_nonce: None,
    };
    world.acked(3, recall);
    for key in [1, 2] {
        let send = world.message(group, "hear me");
        world.acked(key, send);
    }
    // A direct conversation cannot be frozen, and has no settings.
    let send = world.message_to("ann", "cid", "psst");
    let direct = send.conversation;
    world.acked(1, send);
    let frame = set(&mut world, direct, frozen(true));
    assert_eq!(world.refused(1, frame).code(), Code::Forbidden);
    let frame = set(&mut world, direct, frozen(true));
    assert_eq!(world.refused(2, frame).code(), Code::NotFound);
    let frame = set(&mut world, group, frozen(false));
    world.acked(1, frame);
    let send = world.message(group, "at last");
    world.acked(3, send);
}

#[test]
fn in_slow_mode_members_wait() {
    let (mut world, group) = three();
    // Who wrote before it was slow waits too.
    let send = world.message(group, "before");
    world.acked(3, send);
    let frame = set(&mut world, group, slow(10_000));
    world.acked(1, frame);
    world.later(4_000);
    let send = world.message(group, "too soon");
    let refused = world.refused(3, send.clone());
    assert_eq!(
        (refused.code(), refused.retry_after_ms),
        (Code::SlowMode, 6_000)
    );
    world.later(6_000);
    world.acked(3, send.clone());
    let before = shown(&world.live(1)).len();
    // A repeat of what was taken is answered as the first time, however soon.
    world.acked(3, send);
    let mut next = world.message(group, "and another");
    let refused = world.refused(3, next.clone());
    assert_eq!(refused.retry_after_ms, 10_000);
    assert_eq!(shown(&world.live(1)).len(), 0, "of {before}");
    // Admins and the owner do not wait.
    for key in [1, 2, 1, 2] {
        let send = world.message(group, "order!");
        world.acked(key, send);
    }
    // One that failed was not written.
    world.later(10_000);
    world.failing = Some(fireside_server_core::storage::StoreError::Full);
    assert_eq!(world.refused(3, next.clone()).code(), Code::StorageFull);
    world.failing = None;
    world.acked(3, next.clone());
    // Two at once are one too many.
    world.later(10_000);
    world.hold_store = true;
    next.nonce = world.nonce();
    let first = world.request(3, next.clone());
    next.nonce = world.nonce();
    let second = world.request(3, next);
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(world.answer(3, first), Some(ServerFrame::Ack(_))));
    let answer = world.answer(3, second);
    assert!(
        matches!(&answer, Some(ServerFrame::Refused(it)) if it.code() == Code::SlowMode),
        "{answer:?}"
    );
}

#[test]
fn slow_mode_is_remembered_over_a_restart() {
    let (mut world, group) = three();
    let frame = set(&mut world, group, slow(10_000));
    world.acked(1, frame);
    let send = world.message(group, "once");
    world.acked(3, send);
    world.restart();
    world.enter("cid", 7);
    world.later(3_000);
    let send = world.message(group, "twice");
    let refused = world.refused(7, send);
    assert_eq!(
        (refused.code(), refused.retry_after_ms),
        (Code::SlowMode, 7_000)
    );
}

#[test]
fn what_admins_may_can_be_taken_from_them() {
    let (mut world, group) = three();
    let change = Settings {
        admin_permissions: Some(Permission::Send.bit()),
        members_max: Some(3),
        ..Settings::default()
    };
    let frame = set(&mut world, group, change);
    world.acked(1, frame);
    let remove = RemoveMember {
        nonce: world.nonce(),
        conversation: group,
        user: user("cid"),
    };
    assert_eq!(world.refused(2, remove).code(), Code::Forbidden);
    let mut all = world.message(group, "all!");
    all.header.mention_all = true;
    assert_eq!(world.refused(2, all).code(), Code::Forbidden);
    let invite = world.invite(group, "dee");
    assert_eq!(world.refused(1, invite).code(), Code::TooManyMembers);
    let request = HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: vec![group],
    };
    let ServerFrame::HeadsPage(page) = world.ask(2, request) else {
        panic!("no heads")
    };
    assert_eq!(page.heads[0].capabilities, Permission::Send.bit());
    assert!(heads(&world.live(2)).is_empty());
}
