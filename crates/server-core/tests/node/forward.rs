//! Forwarding: what the server copies, whom it does not, and what an admin's recall takes along.

use fireside_protocol::{
    Code, Content, ConversationId, Entry, EntryKind, MessageKind, ServerFrame, TextContent,
    Tombstone,
    content::{CustomContent, MergedContent},
    decode,
    frames::{Edit, Forward, Recall},
};
use fireside_server_core::links::LinkSecret;

use crate::world::{World, direct, user};

/// Ann's guild (1) with bob (2); bob's party with cyd (3).
fn world() -> (World, ConversationId, ConversationId) {
    let mut world = World::new();
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    for (name, key) in [("ann", 1), ("bob", 2), ("cyd", 3)] {
        world.enter(name, key);
    }
    let guild = world.group(&[("ann", 1), ("bob", 2)]);
    let party = world.group(&[("bob", 2), ("cyd", 3)]);
    for key in 1..=3 {
        world.live(key);
    }
    (world, guild, party)
}

fn forward(
    world: &mut World,
    from: ConversationId,
    to: ConversationId,
    numbers: &[u64],
) -> Forward {
    Forward {
        nonce: world.nonce(),
        conversation: to,
        peer: None,
        from,
        numbers: numbers.to_vec(),
        merged: numbers.len() > 1,
        title: String::new(),
    }
}

fn say(world: &mut World, key: u64, id: ConversationId, text: &str) -> u64 {
    let send = world.message(id, text);
    world.acked(key, send).sequence
}

fn entry(world: &World, id: ConversationId, number: u64) -> Entry {
    world.database.entries(id)[number as usize - 1].0.clone()
}

fn merged(entry: &Entry) -> MergedContent {
    decode(&entry.content).unwrap()
}

fn recall(world: &mut World, key: u64, id: ConversationId, target: u64) {
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: id,
        target,
        target_nonce: None,
    };
    world.acked(key, recall);
}

#[test]
fn one_message_keeps_whose_it_was() {
    let (mut world, guild, party) = world();
    let number = say(&mut world, 1, guild, "to the mill");
    let frame = forward(&mut world, guild, party, &[number]);
    let ack = world.acked(2, frame.clone());
    assert_eq!(world.acked(2, frame), ack, "a repeat");
    let copy = entry(&world, party, ack.sequence);
    let header = copy.header.as_ref().unwrap();
    assert_eq!((copy.sender, header.kind), (user("bob"), MessageKind::Text));
    let from = header.forwarded.as_ref().unwrap();
    assert_eq!((&from.user, from.name.as_str()), (&user("ann"), "ANN"));
    assert_eq!(from.at, entry(&world, guild, number).at);
    // Cyd forwards it on: it stays ann's.
    let peer = Some(user("ann"));
    let frame = Forward {
        peer,
        ..forward(&mut world, party, direct("ann", "cyd"), &[ack.sequence])
    };
    let ack = world.acked(3, frame);
    let copy = entry(&world, direct("ann", "cyd"), ack.sequence);
    let from = copy.header.unwrap().forwarded.unwrap();
    assert_eq!(from.user, user("ann"));
}

#[test]
fn nobody_puts_words_into_anothers_mouth() {
    let (mut world, guild, party) = world();
    let number = say(&mut world, 1, guild, "to the mill");
    let frame = forward(&mut world, guild, party, &[number]);
    let copy = world.acked(2, frame).sequence;
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: party,
        target: copy,
        target_nonce: None,
        seen_rev: 0,
        content: Content::Text(TextContent::plain("to the harbour")).encode(),
    };
    assert_eq!(world.refused(2, edit).code(), Code::KindUnsupported);
    // Neither a mark nor a merged message comes from a client.
    let mut send = world.message(party, "hello");
    let mark = entry(&world, party, copy).header.unwrap().forwarded;
    send.header.forwarded = mark;
    assert_eq!(world.refused(2, send).code(), Code::ArgumentInvalid);
    let mut send = world.message(party, "hello");
    send.header.kind = MessageKind::Merged;
    assert_eq!(world.refused(2, send).code(), Code::KindUnsupported);
}

#[test]
fn what_the_sender_does_not_see_is_not_there() {
    let (mut world, guild, party) = world();
    let number = say(&mut world, 1, guild, "to the mill");
    let spoken = say(&mut world, 3, party, "in the party");
    let frame = forward(&mut world, guild, party, &[number]);
    assert_eq!(world.refused(3, frame).code(), Code::NotFound, "no member");
    let frame = forward(&mut world, party, guild, &[spoken]);
    assert_eq!(
        world.refused(3, frame).code(),
        Code::NotFound,
        "not theirs to write in"
    );
    for numbers in [&[][..], &[number, number], &[number + 1, number]] {
        let mut frame = forward(&mut world, guild, party, numbers);
        frame.merged = true;
        assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    }
    let mut frame = forward(&mut world, guild, party, &[number, number + 1]);
    frame.merged = false;
    assert_eq!(world.refused(2, frame).code(), Code::ArgumentInvalid);
    recall(&mut world, 1, guild, number);
    let frame = forward(&mut world, guild, party, &[number]);
    assert_eq!(world.refused(2, frame).code(), Code::NotForwardable);
    let ends = world.now.wall_ms + 60_000;
    let mut send = world.message(guild, "burns");
    send.header.expires = ends;
    let number = world.acked(1, send).sequence;
    let frame = forward(&mut world, guild, party, &[number]);
    assert_eq!(world.refused(2, frame).code(), Code::NotForwardable);
    let live = Content::Live(CustomContent {
        name: "score".into(),
        data: bytes::Bytes::new(),
        text: "0:0".into(),
    });
    let mut send = world.message(guild, "");
    (send.header.kind, send.content) = (live.kind(), live.encode());
    let number = world.acked(1, send).sequence;
    let frame = forward(&mut world, guild, party, &[number]);
    assert_eq!(
        world.refused(2, frame).code(),
        Code::NotForwardable,
        "alone"
    );
}

#[test]
fn an_admins_recall_takes_copies_along_and_an_authors_does_not() {
    let (mut world, guild, party) = world();
    let numbers = ["one", "two", "three"].map(|text| say(&mut world, 2, guild, text));
    let frame = Forward {
        title: "from the guild".into(),
        ..forward(&mut world, guild, party, &numbers)
    };
    let all = world.acked(2, frame).sequence;
    let frame = forward(&mut world, guild, party, &numbers[1..2]);
    let alone = world.acked(2, frame).sequence;
    world.live(3);
    let said = merged(&entry(&world, party, all));
    let texts = said
        .copies
        .iter()
        .map(|it| decode::<TextContent>(&it.content).unwrap().text);
    assert_eq!(texts.collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(said.title, "from the guild");
    recall(&mut world, 2, guild, numbers[0]);
    world.later(0);
    assert!(
        merged(&entry(&world, party, all))
            .copies
            .iter()
            .all(|it| !it.gone)
    );
    recall(&mut world, 1, guild, numbers[1]);
    world.later(0);
    let said = merged(&entry(&world, party, all));
    let gone = said
        .copies
        .iter()
        .map(|it| it.gone && it.content.is_empty());
    assert_eq!(gone.collect::<Vec<_>>(), [false, true, false]);
    let left = entry(&world, party, alone);
    assert_eq!(left.tombstone, Some(Tombstone::RecalledByAdmin));
    let live = world.live(3);
    let ends = live.iter().filter(
        |frame| matches!(frame, ServerFrame::Entry(entry) if entry.kind == EntryKind::Withdraw),
    );
    assert_eq!(ends.count(), 2, "{live:?}");
    // The rest of it.
    recall(&mut world, 1, guild, numbers[2]);
    world.later(0);
    let said = merged(&entry(&world, party, all));
    assert_eq!(
        said.copies.iter().filter(|it| it.gone).count(),
        2,
        "one is left"
    );
}

#[test]
fn what_was_merged_and_then_forwarded_goes_whole() {
    let (mut world, guild, party) = world();
    let numbers = ["one", "two"].map(|text| say(&mut world, 2, guild, text));
    let frame = forward(&mut world, guild, party, &numbers);
    let all = world.acked(2, frame).sequence;
    let to = direct("ann", "cyd");
    let frame = Forward {
        peer: Some(user("ann")),
        ..forward(&mut world, party, to, &[all])
    };
    let alone = world.acked(3, frame).sequence;
    assert_eq!(merged(&entry(&world, to, alone)).copies.len(), 2);
    recall(&mut world, 1, guild, numbers[1]);
    world.later(0);
    let left = merged(&entry(&world, party, all));
    assert!(!left.copies[0].gone && left.copies[1].gone);
    assert_eq!(
        entry(&world, to, alone).tombstone,
        Some(Tombstone::RecalledByAdmin)
    );
}

#[test]
fn what_a_recall_marked_goes_after_a_restart() {
    let (mut world, guild, party) = world();
    let number = say(&mut world, 2, guild, "one");
    let frame = forward(&mut world, guild, party, &[number]);
    let copy = world.acked(2, frame).sequence;
    recall(&mut world, 1, guild, number);
    // The server dies before it looks.
    world.restart();
    assert_eq!(entry(&world, party, copy).tombstone, None);
    let now = world.now;
    world.node.handle_started(LinkSecret([5; 32]), now);
    world.pump();
    assert_eq!(
        entry(&world, party, copy).tombstone,
        Some(Tombstone::RecalledByAdmin)
    );
}
