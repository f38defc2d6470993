//! What games see.

use fireside_client_core::{
    Command, Event,
    command::Recipient,
    view::{MessageState, TIMELINE_ROWS_MAX},
};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, ServerFrame,
    frames::{Receipt, Refused, TypingOf},
};

use crate::{server::user, world::World};

#[test]
fn the_list_is_by_activity_and_counts() {
    let mut world = World::new();
    let one = world.server.group(1);
    let two = world.server.group(2);
    world.server.log(one).text(&user("bob"), "a");
    world.server.log(two).text(&user("bob"), "b");
    world.server.log(two).text(&user("bob"), "c");
    world.connect();
    let order =
        |world: &World| -> Vec<_> { world.list.iter().map(|row| row.conversation).collect() };
    assert_eq!(order(&world), [two, one]);
    for _ in 0..2 {
        world.server.log(one).text(&user("eve"), "d");
        let last = world.server.log(one).last();
        let frame = world.server.log(one).live(last);
        world.live(frame);
    }
    assert_eq!(order(&world), [one, two]);
    assert_eq!(
        (world.line(one).unread, &*world.line(one).preview),
        (3, "d")
    );
    assert_eq!(world.line(one).last_sender, Some(user("eve")));
    // An own message from another device: all before it is read.
    world.server.log(one).text(&user("ada"), "mine");
    let frame = world.server.log(one).live(4);
    world.live(frame);
    assert_eq!(world.line(one).unread, 0);
}

#[test]
fn receipts_move_rows_forward() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.open(direct);
    for text in ["a", "b"] {
        world.send(direct, text);
    }
    let receipt = |delivered, read| {
        ServerFrame::Receipt(Receipt {
            conversation: direct,
            user: user("bob"),
            delivered,
            read,
            joined: 0,
            gone: false,
        })
    };
    let states = |world: &World| -> Vec<_> {
        world
            .rows(direct)
            .iter()
            .map(|row| row.state.clone())
            .collect()
    };
    world.live(receipt(2, 0));
    assert_eq!(
        states(&world),
        [MessageState::Delivered, MessageState::Delivered]
    );
    world.live(receipt(0, 1));
    assert_eq!(
        states(&world),
        [MessageState::Read, MessageState::Delivered]
    );
}

#[test]
fn delivered_marks_are_few() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    for _ in 1..=10 {
        say_live(&mut world, direct);
    }
    world.advance(2_000);
    assert_eq!(marks(&world), [1, 10]);
}

/// Bob says something, and it comes live.
fn say_live(world: &mut World, direct: ConversationId) {
    let said = world.server.log(direct).text(&user("bob"), "x");
    let frame = world.server.log(direct).live(said.sequence);
    world.live(frame);
}

fn marks(world: &World) -> Vec<u64> {
    let mark = |frame: &ClientFrame| match frame {
        ClientFrame::Delivered(mark) => Some(mark.upto),
        _ => None,
    };
    world.server.seen.iter().filter_map(mark).collect()
}

/// The server may have too much to do: nothing comes after the mark that would bring it.
#[test]
fn a_refused_delivered_mark_is_said_again() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    for code in [Code::RateLimited, Code::StorageUnavailable] {
        let mut refused = Refused::new(code);
        refused.retry_after_ms = 3_000;
        world.server.refuse_marks.push(refused);
    }
    say_live(&mut world, direct);
    assert_eq!(marks(&world), [1]);
    world.advance(2_500);
    assert_eq!(marks(&world), [1]);
    world.advance(1_000);
    assert_eq!(marks(&world), [1, 1]);
    world.advance(60_000);
    assert_eq!(marks(&world), [1, 1, 1]);
}

#[test]
fn a_delivered_mark_refused_for_good_is_not_said_again() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    let refused = Refused::new(Code::NotFound);
    world.server.refuse_marks.push(refused);
    say_live(&mut world, direct);
    world.advance(60_000);
    assert_eq!(marks(&world), [1]);
}

/// What this user's other device said since is not on this device yet, and hides the other's message in the head.
#[test]
fn a_newer_own_message_does_not_keep_a_lost_delivered_mark_back() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    say_live(&mut world, direct);
    world.cut();
    world.server.log(direct).text(&user("ada"), "y");
    let mut world = world.restart();
    world.server.seen.clear();
    world.connect();
    assert!(marks(&world).contains(&1), "{:?}", marks(&world));
}

/// Whether the answer or the mark was lost is not known.
#[test]
fn a_delivered_mark_lost_with_its_link_is_said_again() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    say_live(&mut world, direct);
    assert_eq!(marks(&world), [1]);
    world.cut();
    world.advance(10_000);
    assert_eq!(marks(&world), [1, 1]);
    // Nor does a new process know.
    let mut world = world.restart();
    world.server.seen.clear();
    world.connect();
    world.advance(2_000);
    assert_eq!(marks(&world), [1]);
}

#[test]
fn an_own_message_behind_it_does_not_keep_the_delivered_mark_back() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.server.log(direct).text(&user("bob"), "x");
    world.server.log(direct).text(&user("ada"), "y");
    world.connect();
    world.open(direct);
    assert_eq!(world.texts(direct), ["x", "y"]);
    assert!(marks(&world).iter().any(|upto| *upto >= 1));
}

#[test]
fn delivered_marks_keep_to_what_a_server_takes() {
    let mut world = World::new();
    let directs: Vec<_> = (0..30)
        .map(|peer| world.server.direct(&format!("bob{peer}")))
        .collect();
    for (peer, direct) in directs.iter().enumerate() {
        let bob = user(&format!("bob{peer}"));
        world.server.log(*direct).text(&bob, "x");
    }
    world.connect();
    assert_eq!(marks(&world).len(), 8);
    world.advance(10_000);
    assert_eq!(marks(&world).len(), 30);
}

#[test]
fn typing_is_debounced_and_ends_by_itself() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    for _ in 0..20 {
        world.call(Command::Typing {
            conversation: direct,
            on: true,
        });
        world.advance(100);
    }
    assert_eq!(
        world.seen(|frame| matches!(frame, ClientFrame::Typing(_))),
        1
    );
    world.call(Command::Typing {
        conversation: direct,
        on: false,
    });
    assert_eq!(
        world.seen(|frame| matches!(frame, ClientFrame::Typing(_))),
        2
    );
    let typing = |counter, on| {
        ServerFrame::TypingOf(TypingOf {
            conversation: direct,
            user: user("bob"),
            counter,
            on,
        })
    };
    let said = |world: &World| -> Vec<bool> {
        (world.events.iter())
            .filter_map(|event| match event {
                Event::Typing { on, .. } => Some(*on),
                _ => None,
            })
            .collect()
    };
    world.live(typing(5, true));
    world.live(typing(4, false));
    assert_eq!(said(&world), [true]);
    world.advance(5_900);
    assert_eq!(said(&world), [true]);
    world.advance(200);
    assert_eq!(said(&world), [true, false]);
}

#[test]
fn a_game_that_does_not_poll_gets_one_reset() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.open(direct);
    let before = world.timelines[&direct].0;
    world.poll_views = false;
    for number in 1..=500 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &number.to_string());
        let frame = world.server.log(direct).live(number);
        world.live(frame);
    }
    world.poll_views = true;
    world.poll_events();
    assert_eq!(world.timelines[&direct].0, before + 1);
    assert_eq!(world.rows(direct).len(), TIMELINE_ROWS_MAX);
    assert_eq!(world.texts(direct).last().unwrap(), "500");
    let missed: u64 = (world.events.iter())
        .filter_map(|event| match event {
            Event::Missed { count } => Some(*count),
            _ => None,
        })
        .sum();
    let noticed = world
        .events
        .iter()
        .filter(|e| matches!(e, Event::MessageReceived { .. }))
        .count();
    assert_eq!(noticed as u64 + missed, 500);
}

#[test]
fn scrolling_far_up_slides_the_view_and_writing_comes_back() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    for number in 1..=900 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &number.to_string());
    }
    world.connect();
    world.open(direct);
    for _ in 0..4 {
        let call = world.call(Command::LoadOlder {
            conversation: direct,
            count: 200,
        });
        assert!(world.result(call).unwrap().is_ok());
    }
    assert_eq!(world.rows(direct).len(), TIMELINE_ROWS_MAX);
    assert_eq!(world.texts(direct)[0], "51");
    world.send(direct, "back");
    assert_eq!(world.texts(direct).last().unwrap(), "back");
    assert_eq!(
        world.rows(direct)[world.rows(direct).len() - 2].sequence,
        Some(900)
    );
}

#[test]
fn bad_input_is_refused_at_once() {
    let mut world = World::connected();
    let direct = world.server.direct("bob");
    let text = |text: &str| Command::SendText {
        to: Recipient::Conversation(direct),
        text: text.to_owned(),
    };
    assert_eq!(world.command(text(" ")).unwrap_err().code, Code::TextEmpty);
    assert_eq!(
        world.command(text(&"x".repeat(20_000))).unwrap_err().code,
        Code::TextTooLong
    );
    for number in 0..16 {
        let id = world.server.group(number);
        world.open(id);
    }
    let id = world.server.group(99);
    let error = world
        .command(Command::Open { conversation: id })
        .unwrap_err();
    assert_eq!(error.code, Code::LimitReached);
}

#[test]
fn the_time_of_a_conversation_is_the_servers_as_soon_as_it_has_an_entry() {
    let mut world = World::connected();
    let to = Recipient::User(user("zoe"));
    let text = "hello".to_owned();
    world.call(Command::SendText { to, text });
    let id = ConversationId::direct(&user("ada"), &user("zoe"));
    let said = world.server.log(id).entry(1).unwrap().at;
    assert_eq!(world.line(id).at, said, "the device's own time stays");
}
