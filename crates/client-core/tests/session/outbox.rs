//! Sending: echoes, acks, order, refusals, what survives.

use fireside_client_core::{
    Command,
    command::{MessageRef, Recipient},
    event::Completion,
    view::{Body, MessageState},
};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, EntryKind, ServerFrame, TextContent, decode,
    frames::{Refused, Send},
};

use crate::{server::user, world::World};

fn sends(world: &World) -> Vec<Send> {
    let send = |frame: &ClientFrame| match frame {
        ClientFrame::Send(send) => Some(send.clone()),
        _ => None,
    };
    world.server.seen.iter().filter_map(send).collect()
}

fn texts_sent(world: &World) -> Vec<String> {
    let text = |send: Send| decode::<TextContent>(&send.content).unwrap().text;
    sends(world).into_iter().map(text).collect()
}

#[test]
fn a_message_goes_from_echo_to_sent_in_one_row() {
    for live_first in [false, true] {
        let mut world = World::new();
        let peer = world.server.direct("bob");
        world.server.live_first = live_first;
        world.connect();
        world.open(peer);
        world.hold_disk = true;
        world.hold_frames = true;
        let call = world.send(peer, "hi");
        assert_eq!(world.rows(peer), [], "no echo before it is on disk");
        assert_eq!(sends(&world).len(), 1, "but it is on its way");
        world.hold_disk = false;
        world.pump();
        assert_eq!(world.texts(peer), ["hi"]);
        let echo = world.rows(peer)[0].clone();
        assert_eq!((echo.sequence, &echo.state), (None, &MessageState::Sending));
        assert_eq!(world.result(call), None);
        // One frame at a time: the row stays, and there is never a second one.
        while let Some((_, request, frame)) = world.inbox.pop_front() {
            world.deliver(request, &frame);
            assert_eq!(world.texts(peer), ["hi"]);
            assert_eq!(world.rows(peer)[0].row, echo.row);
        }
        world.hold_frames = false;
        assert_eq!(world.rows(peer)[0].sequence, Some(1));
        assert_eq!(world.rows(peer)[0].state, MessageState::Sent);
        let Some(Ok(Completion::Sent { sequence: 1, .. })) = world.result(call) else {
            panic!("{:?}", world.result(call));
        };
        assert!(world.disk.outbox.is_empty());
        assert_eq!(world.disk.items.len(), 1);
        assert_eq!(world.disk.items.values().next().unwrap().row, echo.row);
        assert_eq!(world.line(peer).unread, 0);
    }
}

#[test]
fn an_answer_that_overtakes_the_disk_leaves_one_row() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.hold_disk = true;
    let call = world.send(peer, "hi");
    assert!(matches!(
        world.result(call),
        Some(Ok(Completion::Sent { sequence: 1, .. }))
    ));
    let sent = world.rows(peer)[0].clone();
    assert_eq!((sent.sequence, &sent.state), (Some(1), &MessageState::Sent));
    world.hold_disk = false;
    world.pump();
    assert_eq!(world.rows(peer), [sent]);
    assert!(world.disk.outbox.is_empty());
    assert_eq!(world.disk.items.len(), 1);
    assert_eq!(sends(&world).len(), 1);
}

#[test]
fn a_client_that_is_killed_before_its_row_is_on_disk_has_no_second_copy() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.hold_disk = true;
    world.mute = true;
    for text in ["a", "b"] {
        world.send(peer, text);
    }
    assert_eq!(world.rows(peer), [], "the player saw no echo");
    assert!(world.disk.outbox.is_empty());
    let mut world = world.restart();
    world.mute = false;
    world.connect();
    world.open(peer);
    world.send(peer, "c");
    world.advance(1_000);
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    assert_eq!(world.server.log(peer).last(), 3);
    assert_eq!(sends(&world)[2].after, None, "nothing waits before it");
}

#[test]
fn what_was_written_without_a_link_is_on_disk_as_tried_before_it_is_sent() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.call(Command::Disconnect);
    world.send(peer, "a");
    world.hold_disk = true;
    world.call(Command::Connect);
    // Its row says that nobody can have it: a recall after a kill would take it back without a word.
    assert_eq!(texts_sent(&world), Vec::<String>::new());
    world.send(peer, "b");
    assert_eq!(
        texts_sent(&world),
        Vec::<String>::new(),
        "and nothing goes before it"
    );
    world.hold_disk = false;
    world.pump();
    assert_eq!(texts_sent(&world), ["a", "b"]);
}

#[test]
fn the_first_message_makes_a_direct_conversation() {
    let mut world = World::connected();
    let to = Recipient::User(user("zoe"));
    world.call(Command::SendText {
        to,
        text: "hello".to_owned(),
    });
    world.advance(1_000);
    let id = ConversationId::direct(&user("ada"), &user("zoe"));
    assert_eq!(sends(&world)[0].peer, Some(user("zoe")));
    assert_eq!(&*world.line(id).preview, "hello");
    assert_eq!(&*world.line(id).name, "zoe");
}

#[test]
fn at_most_eight_are_in_flight_and_each_names_the_one_before() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.hold_frames = true;
    for number in 0..20 {
        world.send(peer, &number.to_string());
    }
    let flying = sends(&world);
    assert_eq!(flying.len(), 8);
    assert_eq!(flying[0].after, None);
    for pair in flying.windows(2) {
        assert_eq!(pair[1].after, Some(pair[0].nonce));
    }
    world.hold_frames = false;
    world.pump();
    assert_eq!(world.server.log(peer).last(), 20);
    let order: Vec<u64> = (1..=20).collect();
    world.open(peer);
    let shown: Vec<u64> = world
        .rows(peer)
        .iter()
        .filter_map(|row| row.sequence)
        .collect();
    assert_eq!(shown, order);
    let texts: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(peer), texts);
}

#[test]
fn what_was_in_flight_is_sent_again_in_order_and_counts_once() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    // The server takes them, but the answers are lost.
    world.mute = true;
    for text in ["a", "b", "c"] {
        world.send(peer, text);
    }
    world.mute = false;
    world.cut();
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    world.advance(2_000);
    assert_eq!(world.server.log(peer).last(), 3);
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    assert!(
        world
            .rows(peer)
            .iter()
            .all(|row| row.state == MessageState::Sent)
    );
    assert!(world.disk.outbox.is_empty());
    assert_eq!(world.session.counters().reconnects, 1);
}

#[test]
fn the_outbox_survives_a_kill_and_goes_out_later() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.cut();
    world.up = false;
    for text in ["a", "b", "c"] {
        world.send(peer, text);
    }
    assert_eq!(world.disk.outbox.len(), 3);
    let mut world = world.restart();
    world.open(peer);
    assert_eq!(
        world.texts(peer),
        ["a", "b", "c"],
        "echoes are there without a network"
    );
    let rows: Vec<u64> = world.rows(peer).iter().map(|row| row.row).collect();
    world.connect();
    world.advance(1_000);
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    assert_eq!(
        world
            .rows(peer)
            .iter()
            .map(|row| row.row)
            .collect::<Vec<_>>(),
        rows
    );
    assert_eq!(world.server.log(peer).last(), 3);
}

#[test]
fn a_refusal_that_passes_keeps_the_order() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    let mut refused = Refused::new(Code::RateLimited);
    refused.retry_after_ms = 300;
    world.server.refuse.push(refused);
    world.hold_frames = true;
    for text in ["a", "b", "c"] {
        world.send(peer, text);
    }
    world.hold_frames = false;
    world.pump();
    assert_eq!(world.session.counters().retry_in_order, 2);
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    assert!(
        world
            .rows(peer)
            .iter()
            .all(|row| row.state == MessageState::Sending)
    );
    world.advance(5_000);
    let log = world.server.log(peer).clone();
    assert_eq!(log.last(), 3);
    assert_eq!(world.texts(peer), ["a", "b", "c"]);
    assert!(
        world
            .rows(peer)
            .iter()
            .all(|row| row.state == MessageState::Sent)
    );
}

#[test]
fn a_refusal_for_good_fails_one_and_the_others_go_on() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.server.refuse.push(Refused::new(Code::Rejected));
    let call = world.send(peer, "bad");
    world.send(peer, "good");
    assert_eq!(
        world.result(call).unwrap().unwrap_err().code,
        Code::Rejected
    );
    assert_eq!(world.texts(peer), ["good", "bad"]);
    let failed = world.rows(peer)[1].clone();
    assert_eq!(failed.state, MessageState::Failed(Code::Rejected));
    // Retried under a new name, discarded the second time.
    let nonce = failed.nonce.unwrap();
    world.server.refuse.push(Refused::new(Code::Rejected));
    world.call(Command::Retry { nonce });
    let again = world.rows(peer)[1].clone();
    assert_ne!(again.nonce, failed.nonce);
    world.call(Command::Discard {
        nonce: again.nonce.unwrap(),
    });
    assert_eq!(world.texts(peer), ["good"]);
    assert!(world.disk.outbox.is_empty());
}

#[test]
fn after_seven_days_it_fails() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.cut();
    world.up = false;
    let call = world.send(peer, "late");
    world.now.wall_ms += 8 * 24 * 3_600_000;
    world.advance(120_000);
    assert_eq!(world.result(call).unwrap().unwrap_err().code, Code::Expired);
    assert_eq!(
        world.rows(peer)[0].state,
        MessageState::Failed(Code::Expired)
    );
}

#[test]
fn an_unsent_message_is_edited_by_name_and_withdrawn_without_a_trace() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.cut();
    world.up = false;
    world.send(peer, "frist");
    let never = world.send(peer, "never mind");
    let (one, two) = (
        world.rows(peer)[0].nonce.unwrap(),
        world.rows(peer)[1].nonce.unwrap(),
    );
    world.call(Command::EditText {
        conversation: peer,
        message: MessageRef::Nonce(one),
        text: "first".to_owned(),
    });
    assert_eq!(world.texts(peer), ["first", "never mind"]);
    world.call(Command::Recall {
        conversation: peer,
        message: MessageRef::Nonce(two),
    });
    assert_eq!(world.texts(peer), ["first"]);
    assert_eq!(
        world.result(never).unwrap().unwrap_err().code,
        Code::Cancelled
    );
    world.up = true;
    world.advance(60_000);
    assert_eq!(sends(&world).len(), 1);
    assert_eq!(
        world.server.log(peer).entry(2).unwrap().kind,
        EntryKind::Edit
    );
    assert_eq!(world.texts(peer), ["first"]);
    assert!(world.rows(peer)[0].edited);
    // It is out now: a recall is an entry.
    world.call(Command::Recall {
        conversation: peer,
        message: MessageRef::Nonce(one),
    });
    assert_eq!(world.rows(peer)[0].body, Body::Recalled);
    assert_eq!(world.server.log(peer).last(), 3);
    assert!(world.disk.outbox.is_empty());
}

#[test]
fn read_marks_are_one_and_clear_the_count_at_once() {
    let mut world = World::new();
    let group = world.server.group(1);
    for _ in 0..5 {
        world.server.log(group).text(&user("bob"), "x");
    }
    world.connect();
    assert_eq!(world.line(group).unread, 5);
    world.cut();
    world.up = false;
    let calls: Vec<u64> = [2, 4, 0]
        .into_iter()
        .map(|upto| {
            world.call(Command::MarkRead {
                conversation: group,
                upto,
            })
        })
        .collect();
    assert_eq!(world.line(group).unread, 0);
    assert_eq!(world.disk.outbox.len(), 1);
    world.up = true;
    world.advance(60_000);
    assert_eq!(world.server.log(group).read, 5);
    assert_eq!(world.seen(|frame| matches!(frame, ClientFrame::Read(_))), 1);
    for call in calls {
        assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    }
    assert_eq!(world.line(group).unread, 0);
}

#[test]
fn the_outbox_is_bounded() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.cut();
    world.up = false;
    let mut full = 0;
    for _ in 0..1_010 {
        let to = Recipient::Conversation(peer);
        match world.command(Command::SendText {
            to,
            text: "x".to_owned(),
        }) {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.code, Code::OutboxFull);
                full += 1;
            }
        }
        // Calls that wait are bounded by themselves; they are not the point here.
        world.poll_events();
    }
    world.pump();
    assert_eq!(full, 10);
    assert_eq!(world.disk.outbox.len(), 1_000);
}

#[test]
fn a_live_entry_alone_settles_the_command() {
    let mut world = World::new();
    let peer = world.server.direct("bob");
    world.connect();
    world.open(peer);
    world.hold_frames = true;
    let call = world.send(peer, "hi");
    let live = world
        .inbox
        .iter()
        .find(|(.., f)| matches!(f, ServerFrame::Entry(_)))
        .unwrap()
        .2
        .clone();
    world.live(live);
    assert!(matches!(
        world.result(call),
        Some(Ok(Completion::Sent { .. }))
    ));
    assert!(world.disk.outbox.is_empty());
    assert_eq!(world.rows(peer).len(), 1);
}
