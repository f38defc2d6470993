//! Two users write to each other.

use fireside_protocol::{
    Code, EntryKind, ServerFrame, TextContent, encode,
    frames::{
        Attention, Block, Delivered, Edit, Head, PageRequest, Read, Recall, Typing, UserRecordKind,
    },
};
use fireside_server_core::{Breaks, storage::StoreError};

use crate::world::{World, direct, heads, records, shown, user};

/// Ann (session 1) and Bob (session 2).
fn pair() -> World {
    pair_in(World::new())
}

fn pair_in(mut world: World) -> World {
    world.enter("ann", 1);
    world.enter("bob", 2);
    world.live(1);
    world.live(2);
    world
}

fn page(world: &mut World, key: u64, from: &str, to: &str) -> Vec<String> {
    let request = PageRequest {
        conversation: direct(from, to),
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    match world.ask(key, request) {
        ServerFrame::Page(page) => {
            let items = page.items.iter();
            let items = items.map(|raw| {
                let entry: fireside_protocol::Entry = fireside_protocol::decode(&raw.0).unwrap();
                format!("{} {}", entry.sequence, crate::world::text(&entry))
            });
            let skips = page
                .skips
                .iter()
                .map(|it| format!("{}-{}", it.first, it.last));
            let mut all: Vec<String> = items.chain(skips).collect();
            all.sort();
            all
        }
        ServerFrame::Refused(refused) => vec![refused.code().key().to_owned()],
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_message_makes_the_conversation_and_reaches_all_devices() {
    let mut world = pair();
    world.enter("bob", 3);
    let send = world.message_to("ann", "bob", "hello");
    let ack = world.acked(1, send.clone());
    assert_eq!((ack.sequence, ack.ordinal, ack.nonce), (1, 1, send.nonce));
    for key in [1, 2, 3] {
        let live = world.live(key);
        // The head tells of the conversation, then the entry follows.
        assert_eq!(shown(&live), ["head 1", "1 hello"], "session {key}");
        let record = &records(&live)[0];
        assert_eq!(record.kind, UserRecordKind::Membership);
        assert!(!record.gone);
    }
    let send = world.message(direct("ann", "bob"), "again");
    world.acked(2, send);
    for key in [1, 2, 3] {
        assert_eq!(shown(&world.live(key)), ["2 again"]);
    }
}

#[test]
fn a_repeat_has_the_same_answer_and_no_second_entry() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "once");
    let first = world.acked(1, send.clone());
    world.live(2);
    let second = world.acked(1, send.clone());
    assert_eq!(first, second);
    world.enter("ann", 9);
    assert_eq!(world.acked(9, send), first, "over another connection");
    assert_eq!(shown(&world.live(2)), [] as [&str; 0]);
    assert_eq!(world.node.counters().known_nonces, 2);

    // A refusal for good is remembered too.
    let mut empty = world.message_to("ann", "bob", " ");
    assert_eq!(world.refused(1, empty.clone()).code(), Code::TextEmpty);
    empty.content = encode(&TextContent::plain("now fine")).into();
    assert_eq!(world.refused(1, empty).code(), Code::TextEmpty);
}

#[test]
fn many_in_flight_keep_their_order() {
    let mut world = pair();
    world.hold_store = true;
    let mut before = None;
    let mut requests = Vec::new();
    for place in 0..8 {
        let mut send = world.message_to("ann", "bob", &format!("m{place}"));
        send.after = before;
        before = Some(send.nonce);
        requests.push(world.request(1, send));
    }
    world.hold_store = false;
    world.carry_out();
    let mut order = Vec::new();
    for request in requests {
        match world.answer(1, request) {
            Some(ServerFrame::Ack(ack)) => order.push(ack.sequence),
            // All were decided before the conversation was there; the client sends again in order.
            Some(ServerFrame::Refused(refused)) => assert_eq!(refused.code(), Code::RetryInOrder),
            other => panic!("{other:?}"),
        }
    }
    assert!(order.is_sorted() && !order.is_empty(), "{order:?}");

    // Once it exists all go through at once.
    world.live(2);
    world.later(2_000);
    world.hold_store = true;
    let mut before = None;
    for place in 0..8 {
        let mut send = world.message(direct("ann", "bob"), &format!("n{place}"));
        send.after = before;
        before = Some(send.nonce);
        world.request(1, send);
    }
    world.hold_store = false;
    world.carry_out();
    let texts: Vec<String> = shown(&world.live(2));
    let texts: Vec<&str> = texts
        .iter()
        .map(|it| it.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(texts, ["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
}

#[test]
fn out_of_order_is_refused_until_the_one_before_has_an_outcome() {
    let mut world = pair();
    let first = world.message_to("ann", "bob", "1");
    let mut second = world.message_to("ann", "bob", "2");
    second.after = Some(first.nonce);
    let refused = world.refused(1, second.clone());
    assert_eq!(refused.code(), Code::RetryInOrder);
    assert!(refused.code().retryable());
    world.acked(1, first);
    assert_eq!(world.acked(1, second).sequence, 2);
}

#[test]
fn a_failed_commit_is_retryable_and_leaves_nothing() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "x");
    world.failing = Some(StoreError::Full);
    let refused = world.refused(1, send.clone());
    assert_eq!(refused.code(), Code::StorageFull);
    assert!(refused.retry_after_ms > 0);
    assert_eq!(refused.nonce, Some(send.nonce));
    world.failing = None;
    assert_eq!(world.acked(1, send).sequence, 1);

    // The built-in fault acknowledges what was never stored.
    let mut world = pair_in(World::broken(Breaks {
        overlay_kept: true,
        ..Breaks::default()
    }));
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    world.failing = Some(StoreError::Full);
    let send = world.message_to("ann", "bob", "lost");
    assert_eq!(world.acked(1, send).sequence, 2);
    assert_eq!(world.database.last(direct("ann", "bob")), 1);
}

#[test]
fn the_ack_comes_after_the_commit() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    world.live(2);
    world.hold_store = true;
    let send = world.message_to("ann", "bob", "y");
    let request = world.request(1, send);
    assert!(world.answer(1, request).is_none());
    assert!(world.live(2).is_empty(), "nobody sees what is not durable");
    world.carry_out();
    assert!(matches!(
        world.answer(1, request),
        Some(ServerFrame::Ack(_))
    ));

    let mut world = pair_in(World::broken(Breaks {
        ack_before_sync: true,
        ..Breaks::default()
    }));
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    world.hold_store = true;
    let send = world.message_to("ann", "bob", "y");
    let request = world.request(1, send);
    assert!(world.answer(1, request).is_some(), "the fault shows");
}

#[test]
fn a_block_closes_both_ways_and_tells_nobody() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "before");
    world.acked(1, send);
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    world.live(1);
    world.live(2);
    for (key, from, to) in [(1, "ann", "bob"), (2, "bob", "ann")] {
        let send = world.message_to(from, to, "unheard");
        let ack = world.acked(key, send);
        assert!(ack.sequence > 1, "the sender gets sent");
    }
    assert_eq!(shown(&world.live(1)), ["2 unheard", "3-3"]);
    assert_eq!(shown(&world.live(2)), ["2-2", "3 unheard"]);
    let edit = Edit {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target: 1,
        target_nonce: None,
        seen_rev: 0,
        content: encode(&TextContent::plain("changed")).into(),
    };
    assert_eq!(world.refused(1, edit).code(), Code::WindowClosed);
    // And stays closed for what was written meanwhile.
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: false,
        },
    );
    let send = world.message_to("ann", "bob", "after");
    world.acked(1, send);
    world.live(1);
    assert_eq!(shown(&world.live(2)), ["4 after"]);
    assert_eq!(
        page(&mut world, 2, "ann", "bob"),
        ["1 before", "2-2", "3 unheard", "4 after"]
    );
}

#[test]
fn a_block_overtakes_messages_on_their_way() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "before");
    world.acked(1, send);
    world.live(2);
    world.hold_store = true;
    let nonce = world.nonce();
    let block = world.request(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    // Decided after the block was submitted, before it was answered.
    let send = world.message_to("ann", "bob", "too late");
    let sent = world.request(1, send);
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(world.answer(2, block), Some(ServerFrame::Ack(_))));
    assert!(matches!(world.answer(1, sent), Some(ServerFrame::Ack(_))));
    assert_eq!(shown(&world.live(2)), ["2-2"]);

    // The same where the conversation is not there yet.
    let mut world = pair();
    world.hold_store = true;
    let nonce = world.nonce();
    world.request(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    let send = world.message_to("ann", "bob", "too late");
    let sent = world.request(1, send);
    world.hold_store = false;
    world.carry_out();
    assert!(matches!(world.answer(1, sent), Some(ServerFrame::Ack(_))));
    let live = world.live(2);
    assert_eq!(shown(&live), [] as [&str; 0]);
    assert!(
        records(&live)
            .iter()
            .all(|it| it.kind == UserRecordKind::Block)
    );
}

#[test]
fn a_conversation_that_began_withheld_is_not_there_for_its_peer() {
    let mut world = pair();
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    world.live(2);
    let send = world.message_to("ann", "bob", "hidden");
    world.acked(1, send);
    assert_eq!(shown(&world.live(1)), ["head 1", "1 hidden"]);
    assert!(world.live(2).is_empty());
    assert_eq!(page(&mut world, 2, "ann", "bob"), ["not_found"]);
    // Unblocked, the next message brings it about.
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: false,
        },
    );
    world.live(2);
    let send = world.message_to("ann", "bob", "hello");
    world.acked(1, send);
    let live = world.live(2);
    assert_eq!(shown(&live), ["head 2", "2 hello"]);
    assert_eq!(records(&live)[0].kind, UserRecordKind::Membership);
    assert_eq!(heads(&live)[0].visible_from, 2);
    let send = world.message_to("bob", "ann", "hi");
    world.acked(2, send);
    assert_eq!(
        page(&mut world, 2, "ann", "bob"),
        ["1-1", "2 hello", "3 hi"]
    );
}

#[test]
fn whoever_was_away_hears_of_withheld_numbers_too() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "before");
    world.acked(1, send);
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    world.later(200_000);
    let stamp = world.now.wall_ms;
    let send = world.message_to("ann", "bob", "unheard");
    world.acked(1, send);
    let mut login = world.login("bob", 7);
    login.no_sync = false;
    login.heads_since = stamp;
    world.connect(7, login);
    let heads = world.live(7).into_iter().find_map(|frame| match frame {
        ServerFrame::HeadsPage(page) => Some(page.heads),
        _ => None,
    });
    let heads = heads.unwrap();
    assert_eq!((heads.len(), heads[0].last, heads[0].unread), (1, 2, 1));
    assert_eq!(heads[0].at, stamp - 200_000, "listed where it was");
}

#[test]
fn refusals_do_not_tell() {
    let mut world = pair();
    world.enter("eve", 3);
    let send = world.message_to("ann", "bob", "secret");
    world.acked(1, send);
    let foreign = world.message(direct("ann", "bob"), "let me in");
    let unknown = world.message(direct("ann", "nobody"), "let me in");
    let mut named = world.message(direct("ann", "bob"), "let me in");
    named.peer = Some(user("ann"));
    let answers: Vec<_> = [foreign, unknown, named]
        .into_iter()
        .map(|send| {
            let mut refused = world.refused(3, send);
            refused.nonce = None;
            refused
        })
        .collect();
    assert_eq!(answers[0].code(), Code::NotFound);
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:?}");
    assert_eq!(page(&mut world, 3, "ann", "bob"), ["not_found"]);
    let nonce = world.nonce();
    let read = Read {
        conversation: direct("ann", "bob"),
        upto: 1,
        nonce,
    };
    assert_eq!(world.refused(3, read).code(), Code::NotFound);
    let recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target: 1,
        target_nonce: None,
    };
    assert_eq!(world.refused(3, recall).code(), Code::NotFound);
    let counters = world.node.counters();
    assert!(
        counters.conversations <= 1,
        "what is foreign or unknown is not kept"
    );
}

#[test]
fn a_wrong_peer_is_refused_also_where_the_conversation_exists() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "hi");
    world.acked(1, send);
    let mut wrong = world.message_to("ann", "bob", "to whom?");
    wrong.peer = Some(user("eve"));
    assert_eq!(world.refused(1, wrong).code(), Code::NotFound);
    let mut unnamed = world.message_to("ann", "bob", "to bob");
    unnamed.peer = None;
    world.acked(1, unnamed);
}

#[test]
fn edits_and_recalls() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "helo");
    let original = send.nonce;
    world.acked(1, send);
    world.live(2);
    let edit = |nonce, text: &str, seen_rev| Edit {
        nonce,
        after: None,
        conversation: direct("ann", "bob"),
        target: 0,
        target_nonce: Some(original),
        seen_rev,
        content: encode(&TextContent::plain(text)).into(),
    };
    let nonce = world.nonce();
    assert_eq!(world.acked(1, edit(nonce, "hello", 1)).sequence, 2);
    let live = world.live(2);
    assert!(matches!(&live[..], [ServerFrame::Entry(entry)]
        if entry.kind == EntryKind::Edit && entry.target == 1 && entry.sequence == 2));
    let nonce = world.nonce();
    assert_eq!(
        world.refused(1, edit(nonce, "older", 1)).code(),
        Code::Conflict
    );
    // Another's message is not there by that name; by its number it is forbidden.
    let mut foreign = edit(world.nonce(), "mine", 0);
    assert_eq!(world.refused(2, foreign.clone()).code(), Code::NotFound);
    foreign.nonce = world.nonce();
    foreign.target = 1;
    assert_eq!(world.refused(2, foreign).code(), Code::Forbidden);
    let mut recall = Recall {
        nonce: world.nonce(),
        after: None,
        conversation: direct("ann", "bob"),
        target: 1,
        target_nonce: None,
    };
    assert_eq!(world.refused(2, recall.clone()).code(), Code::Forbidden);
    recall.nonce = world.nonce();
    assert_eq!(world.acked(1, recall.clone()).sequence, 3);
    recall.nonce = world.nonce();
    assert_eq!(world.refused(1, recall.clone()).code(), Code::Conflict);
    let nonce = world.nonce();
    assert_eq!(
        world.refused(1, edit(nonce, "back", 0)).code(),
        Code::Conflict
    );
    let send = world.message_to("ann", "bob", "old");
    let target = world.acked(1, send).sequence;
    world.later(16 * 60_000);
    recall.nonce = world.nonce();
    recall.target = target;
    assert_eq!(world.refused(1, recall).code(), Code::WindowClosed);
}

#[test]
fn an_edit_of_a_message_on_its_way_waits_for_it() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "x");
    world.acked(1, send);
    world.live(2);
    world.hold_store = true;
    let send = world.message_to("ann", "bob", "helo");
    let edit = Edit {
        nonce: world.nonce(),
        after: Some(send.nonce),
        conversation: send.conversation,
        target: 0,
        target_nonce: Some(send.nonce),
        seen_rev: 0,
        content: encode(&TextContent::plain("hello")).into(),
    };
    let mut last = world.message_to("ann", "bob", "there");
    last.after = Some(edit.nonce);
    let requests = [
        world.request(1, send),
        world.request(1, edit),
        world.request(1, last),
    ];
    world.hold_store = false;
    world.carry_out();
    for (place, request) in requests.into_iter().enumerate() {
        let answer = world.answer(1, request);
        assert!(
            matches!(answer, Some(ServerFrame::Ack(ack)) if ack.sequence == place as u64 + 2),
            "{place}: {answer:?}"
        );
    }
    assert_eq!(shown(&world.live(2)), ["2 helo", "3 hello", "4 there"]);
}

#[test]
fn reading_moves_the_marker_and_tells_who_looks() {
    let mut world = pair();
    world.enter("bob", 3);
    for text in ["a", "b", "c"] {
        let send = world.message_to("ann", "bob", text);
        world.acked(1, send);
    }
    let conversation = direct("ann", "bob");
    world.request(
        1,
        Attention {
            open: vec![conversation],
        },
    );
    world.live(1);
    world.live(3);
    let nonce = world.nonce();
    let read = Read {
        conversation,
        upto: 99,
        nonce,
    };
    let acked = world.ask(2, read.clone());
    assert!(matches!(&acked, ServerFrame::Ack(ack)
        if ack.nonce == nonce && ack.conversation == Some(conversation) && ack.sequence == 0));
    let record = records(&world.live(3))[0].clone();
    assert_eq!((record.kind, record.value), (UserRecordKind::ReadMarker, 3));
    let live = world.live(1);
    assert!(matches!(&live[..], [ServerFrame::Receipt(receipt)]
        if receipt.read == 3 && receipt.user == user("bob")));
    // Again changes nothing, and has the same answer.
    assert_eq!(world.ask(2, read), acked);
    assert!(world.live(1).is_empty() && records(&world.live(3)).is_empty());
    // Whoever opens it later gets the present receipts.
    world.enter("ann", 4);
    world.request(
        4,
        Attention {
            open: vec![conversation],
        },
    );
    let live = world.live(4);
    assert!(matches!(&live[..], [ServerFrame::Receipt(receipt)] if receipt.read == 3));

    // Two in a short time are one receipt.
    for text in ["d", "e"] {
        let send = world.message_to("ann", "bob", text);
        world.acked(1, send);
        world.live(1);
        let upto = world.database.last(conversation);
        world.request(2, Delivered { conversation, upto });
    }
    assert!(world.live(1).is_empty(), "told half a second ago");
    world.later(500);
    let live = world.live(1);
    assert!(matches!(&live[..], [ServerFrame::Receipt(receipt)] if receipt.delivered == 5));
}

#[test]
fn a_delivered_mark_outlives_a_full_disk() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "a");
    world.acked(1, send);
    let conversation = direct("ann", "bob");
    world.request(
        1,
        Attention {
            open: vec![conversation],
        },
    );
    world.live(1);
    world.failing = Some(StoreError::Full);
    world.request(
        2,
        Delivered {
            conversation,
            upto: 1,
        },
    );
    assert!(world.live(1).is_empty());
    world.failing = None;
    world.later(5_000);
    let live = world.live(1);
    assert!(matches!(&live[..], [ServerFrame::Receipt(receipt)] if receipt.delivered == 1));
}

/// A mark is never lost unsaid: whoever gave it an id knows when it is durable, or when to say it again.
#[test]
fn a_delivered_mark_is_answered() {
    let mut world = pair();
    let send = world.message_to("ann", "bob", "a");
    world.acked(1, send);
    let conversation = direct("ann", "bob");
    let mark = |upto| Delivered { conversation, upto };
    world.failing = Some(StoreError::Full);
    let refused = world.refused(2, mark(1));
    assert!(refused.code().retryable() && refused.retry_after_ms > 0);
    world.failing = None;
    world.later(5_000);
    assert!(matches!(world.ask(2, mark(1)), ServerFrame::Done(_)));
    assert!(
        matches!(world.ask(2, mark(1)), ServerFrame::Done(_)),
        "again"
    );
    let nowhere = Delivered {
        conversation: direct("ann", "cyd"),
        upto: 1,
    };
    assert_eq!(world.refused(2, nowhere).code(), Code::NotFound);
    // Too fast.
    let mut answers = (0..60).map(|upto| world.ask(2, mark(upto)));
    let refused = answers.find_map(|answer| match answer {
        ServerFrame::Refused(refused) => Some(refused),
        _ => None,
    });
    let refused = refused.expect("one is too many");
    assert_eq!(refused.code(), Code::RateLimited);
    assert!(refused.retry_after_ms > 0);
}

#[test]
fn typing_reaches_who_looks_and_nobody_else() {
    let mut world = pair();
    world.enter("bob", 3);
    let send = world.message_to("ann", "bob", "a");
    world.acked(1, send);
    let conversation = direct("ann", "bob");
    world.request(
        2,
        Attention {
            open: vec![conversation],
        },
    );
    for key in [1, 2, 3] {
        world.live(key);
    }
    let typing = |counter| Typing {
        conversation,
        counter,
        on: true,
    };
    world.request(1, typing(1));
    world.request(1, typing(2));
    let live = world.live(2);
    assert!(
        matches!(&live[..], [ServerFrame::TypingOf(one), ServerFrame::TypingOf(two)]
        if one.user == user("ann") && one.counter < two.counter)
    );
    assert!(world.live(1).is_empty() && world.live(3).is_empty());
    let nonce = world.nonce();
    world.acked(
        2,
        Block {
            nonce,
            user: user("ann"),
            on: true,
        },
    );
    world.live(2);
    world.request(1, typing(3));
    assert!(world.live(2).is_empty(), "blocked");
}

#[test]
fn unread_and_previews_in_heads() {
    let mut world = pair();
    for text in ["a", "b", "c"] {
        let send = world.message_to("ann", "bob", text);
        world.acked(1, send);
    }
    let mut login = world.login("bob", 7);
    login.no_sync = false;
    world.connect(7, login);
    let frames = world.live(7);
    let pages: Vec<&Head> = frames
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::HeadsPage(page) => Some(&page.heads),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(pages.len(), 1);
    assert_eq!((pages[0].last, pages[0].unread), (3, 3));
    assert_eq!(crate::world::text(pages[0].preview.as_ref().unwrap()), "c");
    assert_eq!(pages[0].peer, Some(user("ann")));
    let kinds: Vec<u16> = frames.iter().map(ServerFrame::kind).collect();
    assert_eq!(kinds, [98, 97], "user log, then heads");
}
