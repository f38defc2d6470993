//! Reactions and pins on the screen: at once, whatever comes in which order, without those of people who are blocked.

use fireside_client_core::{Command, command::MessageRef, event::Completion};
use fireside_protocol::{
    ConversationId, EntryKind,
    frames::{UserRecord, UserRecordKind},
};

use crate::{server::user, world::World};

fn world() -> (World, ConversationId) {
    let mut world = World::new();
    let id = world.server.direct("bob");
    world.server.log(id).text(&user("bob"), "gg");
    world.connect();
    world.open(id);
    (world, id)
}

/// Keys of the first row with those who reacted; mine in brackets.
fn shown(world: &World, id: ConversationId) -> Vec<String> {
    let row = &world.rows(id)[0];
    let all = row.reactions.iter().flat_map(|all| all.iter());
    let names = |one: &fireside_client_core::view::ReactionRow| {
        let users: Vec<_> = one
            .users
            .iter()
            .map(fireside_protocol::UserId::as_str)
            .collect();
        let text = format!("{} {}", one.key, users.join(" "));
        if one.mine { format!("[{text}]") } else { text }
    };
    all.map(names).collect()
}

fn react(world: &mut World, id: ConversationId, on: bool) -> u64 {
    world.call(Command::React {
        conversation: id,
        message: MessageRef::Sequence(1),
        key: "👍".to_owned(),
        on,
    })
}

#[test]
fn an_own_reaction_shows_at_once_and_stays() {
    let (mut world, id) = world();
    world.hold_frames = true;
    react(&mut world, id, true);
    assert_eq!(
        shown(&world, id),
        ["[👍 ada]"],
        "nothing came from the server yet"
    );
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(shown(&world, id), ["[👍 ada]"]);
    let entry = world.server.log(id).react(&user("bob"), 1, "👍", true);
    let live = world.server.log(id).live(entry.sequence);
    world.live(live);
    assert_eq!(shown(&world, id), ["[👍 ada bob]"]);
    let call = react(&mut world, id, false);
    world.advance(1_000);
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    assert_eq!(shown(&world, id), ["👍 bob"]);
    // And after a restart, from the cache alone.
    let mut world = world.restart();
    world.open(id);
    assert_eq!(shown(&world, id), ["👍 bob"]);
}

#[test]
fn a_reaction_that_overtakes_an_edit_hides_nothing_of_it() {
    let (mut world, id) = world();
    let log = world.server.log(id);
    let edit = log.edit(&user("bob"), 1, "good game").sequence;
    let reaction = log.react(&user("bob"), 1, "🎉", true).sequence;
    assert_eq!(log.entry(reaction).unwrap().kind, EntryKind::React);
    let (edit, reaction) = (log.live(edit), log.live(reaction));
    world.live(reaction);
    assert_eq!(shown(&world, id), ["🎉 bob"]);
    world.live(edit);
    assert_eq!(world.texts(id), ["good game"]);
    assert_eq!(shown(&world, id), ["🎉 bob"]);
}

#[test]
fn a_reaction_moves_no_conversation_up() {
    let (mut world, id) = world();
    let at = world.line(id).at;
    let reaction = world.server.log(id).react(&user("bob"), 1, "🎉", true);
    assert!(reaction.at > at);
    let live = world.server.log(id).live(reaction.sequence);
    world.live(live);
    assert_eq!(world.line(id).at, at);
}

#[test]
fn who_is_blocked_does_not_show_among_reactions() {
    let (mut world, id) = world();
    for name in ["eve", "bob"] {
        let entry = world.server.log(id).react(&user(name), 1, "👍", true);
        let live = world.server.log(id).live(entry.sequence);
        world.live(live);
    }
    assert_eq!(shown(&world, id), ["👍 eve bob"]);
    let record = |gone, sequence| UserRecord {
        sequence,
        kind: UserRecordKind::Block,
        conversation: None,
        user: Some(user("eve")),
        value: 0,
        name: String::new(),
        gone,
        at: 0,
        folder: None,
        body: bytes::Bytes::new(),
    };
    world.live(record(false, 1).into());
    assert_eq!(shown(&world, id), ["👍 bob"]);
    world.live(record(true, 2).into());
    assert_eq!(shown(&world, id), ["👍 eve bob"]);
}

#[test]
fn a_pin_shows_at_once_too() {
    let (mut world, id) = world();
    world.hold_frames = true;
    let message = MessageRef::Sequence(1);
    world.call(Command::Pin {
        conversation: id,
        message,
        on: true,
    });
    assert!(world.rows(id)[0].pinned);
    world.hold_frames = false;
    world.advance(1_000);
    assert!(world.rows(id)[0].pinned);
}
