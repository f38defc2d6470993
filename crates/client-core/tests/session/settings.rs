//! What a conversation is set to, as the game sees it.

use fireside_client_core::{
    Command,
    event::Completion,
    view::{Body, MessageState},
};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, Entry, EntryKind, MemberChange, Permission, ServerFrame,
    Settings, encode,
    frames::{Head, Refused},
};

use crate::{
    server::{message, user},
    world::World,
};

fn change() -> Settings {
    Settings {
        name: Some("Night raid".into()),
        picture: Some("badge/7".into()),
        frozen: Some(true),
        slow_mode_ms: Some(5_000),
        ..Settings::default()
    }
}

/// Bob changes the settings, and it comes live.
fn set(world: &mut World, group: ConversationId) {
    let entry = Entry {
        kind: EntryKind::Settings,
        header: None,
        content: encode(&change()).into(),
        ..message(group, &user("bob"), "", None)
    };
    let number = world.server.log(group).append(entry).sequence;
    let frame = world.server.log(group).live(number);
    world.live(frame);
}

#[test]
fn a_change_shows_in_the_list_and_in_the_timeline() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    world.open(group);
    set(&mut world, group);
    let line = world.line(group);
    assert_eq!((&*line.name, &*line.picture), ("Night raid", "badge/7"));
    assert_eq!((line.frozen, line.slow_mode_ms), (true, 5_000));
    let rows = world.rows(group);
    let Some(Body::Settings(said)) = rows.last().map(|row| &row.body) else {
        panic!("{rows:?}")
    };
    assert_eq!(**said, change());
    // What follows for this user is told by a head.
    let asked = |frame: &ClientFrame| matches!(frame, ClientFrame::HeadsRequest(ask) if ask.only == [group]);
    let before = world.seen(asked);
    world.advance(1_000);
    assert_eq!(world.seen(asked), before + 1);
}

#[test]
fn settings_are_asked_for_and_changed() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    let call = world.call(Command::Settings {
        conversation: group,
    });
    let Some(Ok(Completion::Settings(settings))) = world.result(call) else {
        panic!("{:?}", world.result(call))
    };
    assert_eq!(settings.name.as_deref(), Some("guild"));
    let nameless = Command::SetConversation {
        conversation: group,
        change: Box::new(Settings {
            name: Some(" ".into()),
            ..Settings::default()
        }),
    };
    let refused = world.command(nameless);
    assert_eq!(refused.map_err(|error| error.code), Err(Code::NameInvalid));
    world.call(Command::SetConversation {
        conversation: group,
        change: change().into(),
    });
    let sent = |frame: &ClientFrame| matches!(frame, ClientFrame::SetConversation(set) if *set.change == change());
    assert_eq!(world.seen(sent), 1);
}

#[test]
fn in_slow_mode_a_message_waits_its_turn() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    world.open(group);
    world.server.refuse.push(Refused {
        retry_after_ms: 3_000,
        ..Refused::new(Code::SlowMode)
    });
    world.send(group, "wait for it");
    let state = |world: &World| world.rows(group).last().map(|row| row.state.clone());
    assert_eq!(state(&world), Some(MessageState::Sending));
    world.advance(2_000);
    assert_eq!(state(&world), Some(MessageState::Sending));
    world.advance(2_000);
    assert_eq!(state(&world), Some(MessageState::Sent));
}

#[test]
fn what_is_to_be_forgotten_goes_with_the_membership() {
    for forget in [true, false] {
        let mut world = World::new();
        let group = world.server.group(1);
        world.server.log(group).text(&user("bob"), "a secret");
        world.connect();
        world.open(group);
        let me = world.server.me.clone();
        let head = Head {
            forget_on_leave: forget,
            capabilities: Permission::Send.bit(),
            ..world.server.log(group).head(&me)
        };
        world.live(ServerFrame::Head(head));
        assert_eq!(world.line(group).capabilities, Permission::Send.bit());
        let removed = Entry {
            kind: EntryKind::Removed,
            header: None,
            content: bytes::Bytes::new(),
            member: Some(MemberChange {
                user: me,
                role: None,
                name: String::new(),
                until: 0,
            }),
            ..message(group, &user("bob"), "", None)
        };
        let number = world.server.log(group).append(removed).sequence;
        let frame = world.server.log(group).live(number);
        // Who is out is served nothing.
        world.server.logs.remove(&group);
        world.live(frame);
        let held = world.disk.items.keys().filter(|(id, _)| *id == group);
        let expected = if forget { 0 } else { 2 };
        assert_eq!(held.count(), expected, "forget: {forget}");
        assert_eq!(world.line(group).capabilities, 0, "who is out may nothing");
    }
}
