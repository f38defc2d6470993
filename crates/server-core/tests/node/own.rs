//! What belongs to a person: told to all devices of its user, and to nobody else.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, FolderId, FriendAction, Personal, ReportReason, ServerFrame, TextContent,
    decode, encode,
    frames::{Attention, Block, Read, UserRecord, UserRecordKind},
    personal::{Friend, ReadAll, ReadersRequest, SetDraft, SetFolder, SetPersonal, SetReceipts},
};

use fireside_protocol::report::Report;

use crate::world::{World, records, user};

/// Ann with two devices (1, 2) and bob (3) in a group.
fn world() -> (World, ConversationId) {
    let mut world = World::new();
    for (name, key) in [("ann", 1), ("bob", 3)] {
        world.enter(name, key);
    }
    let group = world.group(&[("ann", 1), ("bob", 3)]);
    world.enter("ann", 2);
    for key in 1..=3 {
        world.live(key);
    }
    (world, group)
}

fn personal(world: &mut World, conversation: ConversationId, change: Personal) -> SetPersonal {
    SetPersonal {
        nonce: world.nonce(),
        conversation,
        change,
    }
}

fn pinned() -> Personal {
    Personal {
        pinned: Some(true),
        ..Personal::NOTHING
    }
}

fn draft(world: &mut World, conversation: ConversationId, text: &str) -> SetDraft {
    let text = text.to_owned();
    SetDraft {
        nonce: world.nonce(),
        conversation,
        content: encode(&TextContent {
            text,
            spans: Vec::new(),
        })
        .into(),
        reply_to: 0,
    }
}

fn of_kind(frames: &[ServerFrame], kind: UserRecordKind) -> Vec<UserRecord> {
    let mut records = records(frames);
    records.retain(|record| record.kind == kind);
    records
}

#[test]
fn own_settings_reach_all_devices_of_their_user_alone() {
    let (mut world, group) = world();
    let set = personal(&mut world, group, pinned());
    let ack = world.acked(1, set.clone());
    assert_eq!((ack.conversation, ack.sequence), (Some(group), 0));
    for key in [1, 2] {
        let records = of_kind(&world.live(key), UserRecordKind::Personal);
        assert_eq!(decode::<Personal>(&records[0].body).unwrap(), pinned());
    }
    assert!(records(&world.live(3)).is_empty());
    assert_eq!(world.acked(2, set), ack, "a repeat");
    assert!(records(&world.live(1)).is_empty());
    let nothing = personal(&mut world, group, Personal::NOTHING);
    assert_eq!(world.refused(1, nothing).code(), Code::ArgumentInvalid);
    let elsewhere = personal(&mut world, ConversationId([9; 16]), pinned());
    assert_eq!(world.refused(1, elsewhere).code(), Code::NotFound);
}

#[test]
fn all_is_read_for_everybody_to_see() {
    let (mut world, group) = world();
    let send = world.message(group, "hello");
    let last = world.acked(3, send).sequence;
    let open = vec![group];
    world.ask(3, Attention { open });
    world.live(3);
    let nonce = world.nonce();
    world.acked(1, ReadAll { nonce });
    for key in [1, 2] {
        let markers = of_kind(&world.live(key), UserRecordKind::ReadMarker);
        let markers: Vec<_> = markers
            .iter()
            .map(|it| (it.conversation, it.value))
            .collect();
        assert_eq!(markers, [(Some(group), last)]);
    }
    let live = world.live(3);
    assert!(
        live.iter()
            .any(|frame| matches!(frame, ServerFrame::Receipt(receipt)
            if receipt.read == last && receipt.user == user("ann"))),
        "{live:?}"
    );
    // The marker is where it would be after a `Read`.
    let nonce = world.nonce();
    let read = Read {
        conversation: group,
        upto: last,
        nonce,
    };
    world.acked(1, read);
    assert!(records(&world.live(1)).is_empty(), "nothing moved");
}

#[test]
fn a_message_takes_the_draft_away_on_the_other_device() {
    let (mut world, group) = world();
    let set = draft(&mut world, group, "gg");
    world.acked(1, set);
    let held = of_kind(&world.live(2), UserRecordKind::Draft);
    assert!(!held[0].gone && !held[0].body.is_empty());
    let send = world.message(group, "gg wp");
    world.acked(1, send);
    let gone = of_kind(&world.live(2), UserRecordKind::Draft);
    assert!(gone[0].gone);
    assert!(of_kind(&world.live(3), UserRecordKind::Draft).is_empty());
}

#[test]
fn drafts_have_the_limits_of_messages() {
    let (mut world, group) = world();
    let long = draft(&mut world, group, &"x".repeat(4_001));
    assert_eq!(world.refused(1, long).code(), Code::TextTooLong);
    let mut junk = draft(&mut world, group, "x");
    junk.content = Bytes::from_static(b"\xc1");
    assert_eq!(world.refused(1, junk).code(), Code::ContentInvalid);
}

#[test]
fn folders_are_checked() {
    let (mut world, _) = world();
    let mut folder = |n: u8, name: &str| SetFolder {
        nonce: world.nonce(),
        folder: FolderId([n; 16]),
        name: name.to_owned(),
        order: 1,
    };
    let [zero, named, good] = [folder(0, "x"), folder(1, "a\u{7}"), folder(1, " guilds ")];
    assert_eq!(world.refused(1, zero).code(), Code::ArgumentInvalid);
    assert_eq!(world.refused(1, named).code(), Code::NameInvalid);
    world.acked(1, good);
    let record = &of_kind(&world.live(2), UserRecordKind::Folder)[0];
    assert_eq!((record.name.as_str(), record.value), ("guilds", 1));
}

fn friend(world: &mut World, name: &str, action: FriendAction) -> Friend {
    Friend {
        nonce: world.nonce(),
        user: user(name),
        action,
    }
}

#[test]
fn friends_hear_of_each_other_and_the_blocked_of_nothing() {
    let (mut world, _) = world();
    let ask = friend(&mut world, "bob", FriendAction::Request);
    world.acked(1, ask);
    let asks = of_kind(&world.live(3), UserRecordKind::Friend);
    assert_eq!(
        (asks[0].user.clone(), asks[0].value),
        (Some(user("ann")), 2)
    );
    let yes = friend(&mut world, "ann", FriendAction::Accept);
    world.acked(3, yes);
    for key in [1, 2, 3] {
        let states = of_kind(&world.live(key), UserRecordKind::Friend);
        assert_eq!(states.last().unwrap().value, 3);
    }
    let own = friend(&mut world, "ann", FriendAction::Request);
    assert_eq!(world.refused(1, own).code(), Code::ArgumentInvalid);
    let none = friend(&mut world, "cid", FriendAction::Decline);
    assert_eq!(world.refused(1, none).code(), Code::NoFriendRequest);

    let end = friend(&mut world, "bob", FriendAction::Remove);
    world.acked(1, end);
    let nonce = world.nonce();
    let block = Block {
        nonce,
        user: user("ann"),
        on: true,
    };
    world.acked(3, block);
    world.live(3);
    let again = friend(&mut world, "bob", FriendAction::Request);
    world.acked(1, again);
    let asked = of_kind(&world.live(1), UserRecordKind::Friend);
    assert_eq!(asked.last().unwrap().value, 1, "as if nothing were");
    assert!(of_kind(&world.live(3), UserRecordKind::Friend).is_empty());
}

/// Receipts of others that came: who, from which number on, read to, gone.
fn receipts(frames: &[ServerFrame]) -> Vec<(String, u64, u64, bool)> {
    let receipts = frames.iter().filter_map(|frame| match frame {
        ServerFrame::Receipt(it) => Some((it.user.to_string(), it.joined, it.read, it.gone)),
        _ => None,
    });
    receipts.collect()
}

#[test]
fn receipts_of_a_group_name_everybody_who_tells() {
    let (mut world, group) = world();
    world.enter("cid", 4);
    let invite = world.invite(group, "cid");
    world.acked(1, invite);
    let send = world.message(group, "hello");
    let last = world.acked(1, send).sequence;
    let open = vec![group];
    world.ask(1, Attention { open });
    let told = receipts(&world.live(1));
    assert_eq!(
        told,
        [("bob".to_owned(), 2, 0, false)],
        "who read nothing too"
    );
    let nonce = world.nonce();
    let join = fireside_protocol::frames::Join {
        nonce,
        conversation: group,
        link: None,
    };
    let joined = world.acked(4, join).sequence;
    world.later(1_000);
    let told = receipts(&world.live(1));
    assert_eq!(
        told,
        [("cid".to_owned(), joined, 0, false)],
        "who comes later"
    );
    let read = |world: &mut World, key| {
        let nonce = world.nonce();
        let read = Read {
            conversation: group,
            upto: last,
            nonce,
        };
        world.acked(key, read);
        world.later(1_000);
    };
    read(&mut world, 3);
    assert_eq!(
        receipts(&world.live(1)),
        [("bob".to_owned(), 2, last, false)]
    );

    let tell = |world: &mut World, key, on| {
        let nonce = world.nonce();
        world.acked(key, SetReceipts { nonce, on });
    };
    tell(&mut world, 3, false);
    assert_eq!(receipts(&world.live(1)), [("bob".to_owned(), 0, 0, true)]);
    let send = world.message(group, "again");
    let again = world.acked(1, send).sequence;
    let nonce = world.nonce();
    let upto = again;
    let conversation = group;
    world.acked(
        3,
        Read {
            conversation,
            upto,
            nonce,
        },
    );
    world.later(1_000);
    assert!(receipts(&world.live(1)).is_empty(), "told no more");
    // And who tells nothing is told nothing.
    let open = vec![group];
    world.ask(3, Attention { open });
    assert!(receipts(&world.live(3)).is_empty());
    tell(&mut world, 3, true);
    assert_eq!(
        receipts(&world.live(1)),
        [("bob".to_owned(), 2, again, false)]
    );
    let told = receipts(&world.live(3));
    assert_eq!(told.len(), 2, "ann and cid: {told:?}");
    let sequence = last;
    let page = world.ask(
        1,
        ReadersRequest {
            conversation,
            sequence,
        },
    );
    assert!(
        matches!(&page, ServerFrame::ReadersPage(page) if page.users == [user("bob")] && page.of == 1),
        "cid came later: {page:?}"
    );
}

#[test]
fn a_report_tells_nobody_and_answers_alike_for_what_is_not_seen() {
    let (mut world, group) = world();
    let send = world.message(group, "an insult");
    let last = world.acked(3, send).sequence;
    world.enter("cid", 4);
    for key in 1..=4 {
        world.live(key);
    }
    let mut report = |conversation, sequence, text: &str| Report {
        nonce: world.nonce(),
        conversation: Some(conversation),
        sequence,
        user: None,
        reason: ReportReason::Harassment,
        text: text.to_owned(),
    };
    let good = report(group, last, "look at this");
    let elsewhere = report(ConversationId([9; 16]), last, "");
    let later = report(group, last + 1, "");
    let foreign = report(group, last, "");
    let nobody = report(group, 0, "");
    let long = report(group, last, &"x".repeat(1_001));
    assert_eq!(world.acked(1, good.clone()), world.acked(2, good), "once");
    for (key, frame) in [(1, elsewhere), (1, later), (4, foreign)] {
        assert_eq!(world.refused(key, frame).code(), Code::NotFound);
    }
    assert_eq!(world.refused(1, nobody).code(), Code::ArgumentInvalid);
    assert_eq!(world.refused(1, long).code(), Code::TextTooLong);
    assert!(world.live(3).is_empty() && world.live(4).is_empty());
}
