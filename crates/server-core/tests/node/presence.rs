//! Presence: who is told what, and who never is.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, FriendAction, PresenceState, RichPresence, ServerFrame,
    frames::{Attention, Block},
    limits::PRESENCE_GRACE_MS,
    personal::Friend,
    presence::{PresenceOf, PresenceRequest, SetPresence},
};

use crate::world::{World, user};

fn say(state: PresenceState) -> SetPresence {
    SetPresence {
        state,
        text: String::new(),
        emoji: String::new(),
        until: 0,
        rich: None,
    }
}

/// What came of others' presence.
fn told(world: &mut World, key: u64) -> Vec<(String, PresenceState)> {
    let frames = all(world, key);
    frames
        .into_iter()
        .map(|it| (it.user.to_string(), it.state))
        .collect()
}

fn all(world: &mut World, key: u64) -> Vec<PresenceOf> {
    world.later(1_500);
    let frames = world
        .presences(key)
        .into_iter()
        .filter_map(|frame| match frame {
            ServerFrame::PresenceOf(presence) => Some(presence),
            _ => None,
        });
    frames.collect()
}

fn befriend(world: &mut World, pairs: [(u64, &str); 2]) {
    for (key, other) in pairs {
        let nonce = world.nonce();
        let friend = Friend {
            nonce,
            user: user(other),
            action: FriendAction::Request,
        };
        world.acked(key, friend);
    }
}

/// Ann (1) and bob (2) are friends, cid (3) is in a group with ann.
fn world() -> (World, ConversationId) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        world.enter(name, key);
    }
    let group = world.group(&[("ann", 1), ("cid", 3)]);
    befriend(&mut world, [(1, "bob"), (2, "ann")]);
    world.later(PRESENCE_GRACE_MS + 1_000);
    for key in 1..=3 {
        all(&mut world, key);
    }
    (world, group)
}

#[test]
fn friends_are_told_and_strangers_are_not() {
    let (mut world, _) = world();
    world.ask(1, say(PresenceState::Away));
    let ann = "ann".to_owned();
    assert_eq!(told(&mut world, 2), [(ann.clone(), PresenceState::Away)]);
    assert_eq!(told(&mut world, 3), []);
    world.ask(1, say(PresenceState::Away));
    assert_eq!(told(&mut world, 2), [], "nothing changed");
    world.ask(1, say(PresenceState::Online));
    world.ask(1, say(PresenceState::DoNotDisturb));
    let busy = (ann.clone(), PresenceState::DoNotDisturb);
    assert_eq!(
        told(&mut world, 2),
        [busy],
        "what changes together is told together"
    );
    world.node.handle_disconnected(1, world.now);
    world.pump();
    assert_eq!(told(&mut world, 2), [(ann, PresenceState::Offline)]);
}

#[test]
fn who_has_a_shared_conversation_open_is_told_without_the_secret() {
    let (mut world, group) = world();
    let rich = RichPresence {
        what: "raid".to_owned(),
        details: "level 40".to_owned(),
        join_secret: Bytes::from_static(b"secret"),
        party_size: 3,
        party_max: 5,
    };
    let raid = SetPresence {
        rich: Some(Box::new(rich.clone())),
        ..say(PresenceState::Online)
    };
    world.ask(1, raid);
    let to_friend = all(&mut world, 2);
    assert_eq!(to_friend[0].rich.as_deref(), Some(&rich));
    assert_eq!(to_friend[0].platform, "test");
    let open = vec![group];
    world.ask(3, Attention { open });
    let to_member = all(&mut world, 3);
    let public = RichPresence {
        join_secret: Bytes::new(),
        ..rich
    };
    assert_eq!(to_member[0].rich.as_deref(), Some(&public));
    world.ask(3, Attention { open: Vec::new() });
    world.ask(1, say(PresenceState::Away));
    assert_eq!(told(&mut world, 3), [], "it is not open any more");
}

#[test]
fn nothing_passes_a_block() {
    let (mut world, _) = world();
    let block = |world: &mut World, on| {
        let nonce = world.nonce();
        let user = user("bob");
        world.acked(1, Block { nonce, user, on });
    };
    block(&mut world, true);
    let gone = |name: &str| [(name.to_owned(), PresenceState::Offline)];
    assert_eq!(told(&mut world, 1), gone("bob"));
    assert_eq!(told(&mut world, 2), gone("ann"));
    for state in [PresenceState::Away, PresenceState::Online] {
        world.ask(1, say(state));
        world.ask(2, say(state));
        assert_eq!(told(&mut world, 1), []);
        assert_eq!(told(&mut world, 2), []);
    }
    let users = vec![user("ann")];
    let page = world.ask(2, PresenceRequest { users });
    assert!(
        matches!(&page, ServerFrame::PresencePage(page)
        if page.users == [PresenceOf::offline(user("ann"), 0)]),
        "{page:?}"
    );
    // Also not after a new log-in.
    world.enter("bob", 4);
    assert_eq!(told(&mut world, 4), []);
    block(&mut world, false);
    assert_eq!(
        told(&mut world, 2),
        [("ann".to_owned(), PresenceState::Online)]
    );
}

#[test]
fn invisible_is_offline_and_the_most_present_device_counts() {
    let (mut world, _) = world();
    let ann = "ann".to_owned();
    world.ask(1, say(PresenceState::Invisible));
    assert_eq!(told(&mut world, 2), [(ann.clone(), PresenceState::Offline)]);
    world.enter("ann", 5);
    world.ask(5, say(PresenceState::Away));
    assert_eq!(told(&mut world, 2), [(ann.clone(), PresenceState::Away)]);
    world.ask(1, say(PresenceState::Online));
    assert_eq!(told(&mut world, 2), [(ann.clone(), PresenceState::Online)]);
    world.node.handle_disconnected(1, world.now);
    world.pump();
    assert_eq!(told(&mut world, 2), [(ann, PresenceState::Away)]);
}

#[test]
fn who_says_at_once_that_they_are_invisible_was_never_seen() {
    let (mut world, _) = world();
    world.node.handle_disconnected(1, world.now);
    world.pump();
    told(&mut world, 2);
    world.enter("ann", 6);
    world.ask(6, say(PresenceState::Invisible));
    world.later(PRESENCE_GRACE_MS + 1_000);
    assert_eq!(told(&mut world, 2), []);
    world.enter("ann", 7);
    world.later(PRESENCE_GRACE_MS + 1_000);
    let online = ("ann".to_owned(), PresenceState::Online);
    assert_eq!(told(&mut world, 2), [online], "who says nothing is there");
}

#[test]
fn a_status_ends_by_the_servers_clock() {
    let (mut world, _) = world();
    let lunch = SetPresence {
        text: " lunch ".to_owned(),
        emoji: "🍜".to_owned(),
        until: world.now.wall_ms + 60_000,
        ..say(PresenceState::Away)
    };
    world.ask(1, lunch);
    let seen = all(&mut world, 2);
    assert_eq!(
        (seen[0].text.as_str(), seen[0].emoji.as_str()),
        ("lunch", "🍜")
    );
    world.later(60_000);
    let seen = all(&mut world, 2);
    assert_eq!(
        (seen[0].text.as_str(), seen[0].state),
        ("", PresenceState::Away)
    );
}

#[test]
fn presence_can_be_asked_for_by_who_may_know() {
    let (mut world, _) = world();
    world.ask(1, say(PresenceState::Away));
    world.node.handle_disconnected(3, world.now);
    world.pump();
    let ask = |world: &mut World, key, names: &[&str]| {
        let users = names.iter().map(|name| user(name)).collect();
        match world.ask(key, PresenceRequest { users }) {
            ServerFrame::PresencePage(page) => page.users,
            other => panic!("{other:?}"),
        }
    };
    let seen = ask(&mut world, 2, &["ann", "cid", "eve"]);
    let states: Vec<_> = seen.iter().map(|it| (it.state, it.last_seen > 0)).collect();
    let nothing = (PresenceState::Offline, false);
    assert_eq!(states, [(PresenceState::Away, false), nothing, nothing]);
    world.ask(1, say(PresenceState::Invisible));
    let hidden = ask(&mut world, 2, &["ann"]);
    world.node.handle_disconnected(1, world.now);
    world.pump();
    let gone = ask(&mut world, 2, &["ann"]);
    assert_eq!(hidden, gone, "invisible is as gone");
    assert!(gone[0].last_seen > 0);
    let many = vec![user("ann"); 101];
    let refused = world.refused(2, PresenceRequest { users: many });
    assert_eq!(refused.code(), Code::TooManyNamed);
    let offline = world.refused(2, say(PresenceState::Offline));
    assert_eq!(offline.code(), Code::ArgumentInvalid);
}
