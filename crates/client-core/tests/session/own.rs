//! What belongs to a person: own settings, drafts, folders, friends, and what a list and a badge make of them.

use fireside_client_core::{
    Command, Event,
    event::Completion,
    view::{DraftRow, PersonalRow},
};
use fireside_protocol::{
    ClientFrame, Code, ConversationId, FolderId, FriendAction, FriendState, Nonce, Personal,
    PresenceState, TextContent, decode, encode,
    frames::{Receipt, Refused, UserRecord, UserRecordKind},
    limits::TEXT_BYTES_MAX,
    personal::{Draft, MUTED_FOR_EVER},
    presence::{PresenceOf, SetPresence},
};

use crate::{server::user, world::World};

/// Two conversations, the older of the two first.
fn world() -> (World, ConversationId, ConversationId) {
    let mut world = World::new();
    let ids = ["bob", "eve"].map(|name| world.server.direct(name));
    for (name, id) in ["bob", "eve"].into_iter().zip(ids) {
        let log = world.server.log(id);
        for _ in 0..=usize::from(name == "eve") {
            log.text(&user(name), "hello");
        }
    }
    world.connect();
    (world, ids[0], ids[1])
}

fn set(world: &mut World, conversation: ConversationId, change: Personal) -> u64 {
    world.call(Command::SetPersonal {
        conversation,
        change,
    })
}

fn pinned(on: bool) -> Personal {
    Personal {
        pinned: Some(on),
        ..Personal::NOTHING
    }
}

fn shown(world: &World, id: ConversationId) -> PersonalRow {
    world.line(id).personal
}

/// A record as another device of the user causes it.
fn of_another(
    world: &mut World,
    kind: UserRecordKind,
    id: ConversationId,
    body: Vec<u8>,
) -> fireside_protocol::ServerFrame {
    world.server.put(UserRecord {
        conversation: Some(id),
        body: body.into(),
        ..UserRecord::new(kind, 0)
    })
}

fn badge(world: &World) -> u64 {
    let told = world.events.iter().rev().find_map(|event| match event {
        Event::Badge { unread } => Some(*unread),
        _ => None,
    });
    told.unwrap_or(0)
}

#[test]
fn a_pinned_conversation_stands_at_the_top() {
    let (mut world, bob, eve) = world();
    assert_eq!(world.list[0].conversation, eve);
    world.hold_frames = true;
    let call = set(&mut world, bob, pinned(true));
    assert_eq!(world.list[0].conversation, bob, "at once");
    assert_eq!(world.result(call), None, "nothing came from the server");
    world.hold_frames = false;
    world.advance(1_000);
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    assert_eq!(world.list[0].conversation, bob);
    // And without a network, from the cache.
    let world = world.restart();
    assert_eq!(world.list[0].conversation, bob);
}

#[test]
fn the_last_change_in_the_servers_order_wins_also_over_one_made_offline() {
    let (mut world, bob, _) = world();
    world.cut();
    world.up = false;
    set(&mut world, bob, pinned(true));
    let muted = Personal {
        muted_until: Some(MUTED_FOR_EVER),
        ..Personal::NOTHING
    };
    let call = set(&mut world, bob, muted);
    assert!(shown(&world, bob).pinned && shown(&world, bob).muted);
    // Meanwhile another device says otherwise.
    let archived = Personal {
        archived: Some(true),
        archived_to: 1,
        ..Personal::NOTHING
    };
    of_another(&mut world, UserRecordKind::Personal, bob, encode(&archived));
    world.up = true;
    world.advance(60_000);
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    let row = shown(&world, bob);
    assert!(row.pinned && row.muted && row.archived, "{row:?}");
    let sets = world.seen(|frame| matches!(frame, ClientFrame::SetPersonal(_)));
    assert_eq!(sets, 1, "two that wait are one");
    let unpinned = of_another(
        &mut world,
        UserRecordKind::Personal,
        bob,
        encode(&Personal::NOTHING),
    );
    world.live(unpinned);
    assert_eq!(shown(&world, bob), PersonalRow::default());
}

#[test]
fn an_older_record_that_comes_later_changes_nothing() {
    let (mut world, bob, _) = world();
    let older = of_another(
        &mut world,
        UserRecordKind::Personal,
        bob,
        encode(&pinned(true)),
    );
    let newer = of_another(
        &mut world,
        UserRecordKind::Personal,
        bob,
        encode(&Personal::NOTHING),
    );
    world.live(newer);
    world.live(older);
    assert!(!shown(&world, bob).pinned);
}

#[test]
fn a_refused_change_goes_back() {
    let (mut world, bob, _) = world();
    world.server.refuse = vec![Refused::new(Code::NotFound)];
    let call = set(&mut world, bob, pinned(true));
    world.advance(1_000);
    assert!(matches!(world.result(call), Some(Err(error)) if error.code == Code::NotFound));
    assert!(!shown(&world, bob).pinned);
    let nothing = world.command(Command::SetPersonal {
        conversation: bob,
        change: Personal::NOTHING,
    });
    assert!(nothing.is_err());
}

#[test]
fn an_archived_one_comes_back_with_a_message_unless_it_is_muted() {
    let (mut world, bob, eve) = world();
    for (id, muted) in [(bob, 0), (eve, MUTED_FOR_EVER)] {
        let change = Personal {
            archived: Some(true),
            muted_until: Some(muted),
            ..Personal::NOTHING
        };
        set(&mut world, id, change);
        assert!(shown(&world, id).archived);
    }
    assert_eq!(badge(&world), 0, "what is put away does not count");
    for (name, id) in [("bob", bob), ("eve", eve)] {
        let entry = world.server.log(id).text(&user(name), "again");
        let live = world.server.log(id).live(entry.sequence);
        world.live(live);
    }
    assert!(!shown(&world, bob).archived);
    assert!(shown(&world, eve).archived);
    assert_eq!(badge(&world), 2, "both of bob's");
}

#[test]
fn a_mute_ends_by_itself() {
    let (mut world, bob, _) = world();
    assert_eq!(badge(&world), 3);
    let change = Personal {
        muted_until: Some(2_000_000 + 60_000),
        ..Personal::NOTHING
    };
    set(&mut world, bob, change);
    assert!(shown(&world, bob).muted);
    assert_eq!(badge(&world), 2);
    world.advance(30_000);
    assert!(shown(&world, bob).muted);
    world.advance(60_000);
    assert!(!shown(&world, bob).muted);
    assert_eq!(badge(&world), 3);
}

#[test]
fn marked_unread_counts_one_and_reading_takes_it_away() {
    let (mut world, bob, eve) = world();
    let mark = Personal {
        marked_unread: Some(true),
        ..Personal::NOTHING
    };
    for id in [bob, eve] {
        world.call(Command::MarkRead {
            conversation: id,
            upto: 0,
        });
    }
    assert_eq!(badge(&world), 0);
    set(&mut world, bob, mark);
    assert!(shown(&world, bob).marked_unread);
    assert_eq!((world.line(bob).unread, badge(&world)), (0, 1));
    let call = world.call(Command::MarkRead {
        conversation: bob,
        upto: 0,
    });
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    assert!(!shown(&world, bob).marked_unread);
    assert_eq!(badge(&world), 0);
    let held = world.server.held(UserRecordKind::Personal, bob).unwrap();
    assert_eq!(decode::<Personal>(&held.body).unwrap(), Personal::NOTHING);
}

fn write(world: &mut World, conversation: ConversationId, text: &str) {
    world.call(Command::SetDraft {
        conversation,
        text: text.to_owned(),
        reply_to: 0,
    });
}

fn draft(world: &World, id: ConversationId) -> Option<String> {
    let draft = world.line(id).draft.as_ref();
    draft.map(|draft: &DraftRow| draft.text.to_string())
}

/// Texts of the drafts that the server was told.
fn told(world: &World) -> Vec<String> {
    let drafts = world.server.seen.iter().filter_map(|frame| match frame {
        ClientFrame::SetDraft(set) => Some(&set.content),
        _ => None,
    });
    let text =
        |content| decode::<TextContent>(content).map_or_else(|_| String::new(), |it| it.text);
    drafts.map(text).collect()
}

#[test]
fn drafts_are_said_every_two_seconds_and_kept() {
    let (mut world, bob, _) = world();
    for text in ["h", "he", "hel"] {
        write(&mut world, bob, text);
        world.advance(100);
    }
    assert_eq!(told(&world), ["h"]);
    world.advance(2_000);
    assert_eq!(told(&world), ["h", "hel"]);
    assert_eq!(draft(&world, bob).as_deref(), Some("hel"));
    let world = world.restart();
    assert_eq!(draft(&world, bob).as_deref(), Some("hel"), "from the cache");
}

#[test]
fn a_draft_written_offline_goes_out_later() {
    let (mut world, bob, _) = world();
    world.cut();
    world.up = false;
    write(&mut world, bob, "one");
    world.advance(5_000);
    write(&mut world, bob, "two");
    world.advance(5_000);
    let mut world = world.restart();
    assert_eq!(draft(&world, bob).as_deref(), Some("two"));
    world.connect();
    world.advance(5_000);
    assert_eq!(
        told(&world),
        ["two"],
        "the newest stands for those before it"
    );
}

fn drafted(world: &mut World, id: ConversationId, text: &str) -> fireside_protocol::ServerFrame {
    let text = text.to_owned();
    let draft = Draft {
        nonce: Nonce::new(1_900_000, [7; 10]),
        content: encode(&TextContent {
            text,
            spans: Vec::new(),
        })
        .into(),
        reply_to: 0,
    };
    of_another(world, UserRecordKind::Draft, id, encode(&draft))
}

#[test]
fn a_box_in_use_does_not_change_under_the_fingers() {
    let (mut world, bob, eve) = world();
    world.call(Command::SetComposing {
        conversation: bob,
        on: true,
    });
    write(&mut world, bob, "mine");
    for id in [bob, eve] {
        let frame = drafted(&mut world, id, "from afar");
        world.live(frame);
    }
    assert_eq!(draft(&world, bob).as_deref(), Some("mine"));
    assert_eq!(draft(&world, eve).as_deref(), Some("from afar"));
    world.call(Command::SetComposing {
        conversation: bob,
        on: false,
    });
    assert_eq!(
        draft(&world, bob).as_deref(),
        Some("from afar"),
        "the newest"
    );
}

#[test]
fn sending_takes_the_draft_away_at_once() {
    let (mut world, bob, _) = world();
    let frame = drafted(&mut world, bob, "from afar");
    world.live(frame);
    world.hold_frames = true;
    write(&mut world, bob, "gg");
    write(&mut world, bob, "gg wp");
    world.send(bob, "gg wp");
    assert_eq!(draft(&world, bob), None);
    world.advance(10_000);
    assert_eq!(draft(&world, bob), None);
    assert_eq!(told(&world), ["gg"], "what was not said is said no more");
    let sent = world.server.seen.iter().find_map(|frame| match frame {
        ClientFrame::Send(send) => Some(send.nonce),
        _ => None,
    });
    let drafts = world.server.seen.iter().filter_map(|frame| match frame {
        ClientFrame::SetDraft(set) => Some(set.nonce),
        _ => None,
    });
    assert!(drafts.max() < sent, "the message is named after its draft");
}

#[test]
fn a_draft_is_as_long_as_a_message_may_be() {
    let (mut world, bob, _) = world();
    let text = "x".repeat(TEXT_BYTES_MAX + 1);
    let refused = world.command(Command::SetDraft {
        conversation: bob,
        text,
        reply_to: 0,
    });
    assert_eq!(refused.map_err(|error| error.code), Err(Code::TextTooLong));
}

#[test]
fn folders_and_friends_come_whole() {
    let (mut world, ..) = world();
    let folder = |n: u8, name: &str| UserRecord {
        folder: Some(FolderId([n; 16])),
        name: name.to_owned(),
        value: u64::from(10 - n),
        gone: name.is_empty(),
        ..UserRecord::new(UserRecordKind::Folder, 0)
    };
    let friend = |name: &str, state: FriendState| UserRecord {
        user: Some(user(name)),
        value: u64::from(state.number()),
        ..UserRecord::new(UserRecordKind::Friend, 5)
    };
    let records = [
        folder(1, "guilds"),
        folder(2, "friends"),
        folder(3, "old"),
        folder(3, ""),
        friend("eve", FriendState::Asks),
        friend("bob", FriendState::Friend),
    ];
    for record in records {
        let frame = world.server.put(record);
        world.live(frame);
    }
    let world = world.restart();
    let mut names = Vec::new();
    for event in &world.events {
        match event {
            Event::Folders(rows) => names = rows.iter().map(|row| row.name.to_string()).collect(),
            Event::Friends(rows) => {
                names.extend(
                    rows.iter()
                        .map(|row| format!("{} {:?}", row.user, row.state)),
                );
            }
            _ => {}
        }
    }
    assert_eq!(names, ["friends", "guilds", "bob Friend", "eve Asks"]);
}

#[test]
fn what_needs_the_server_says_so_offline() {
    let mut world = World::new();
    let commands = [
        Command::ReadAll,
        Command::SetFolder {
            folder: None,
            name: "guilds".to_owned(),
            order: 1,
        },
        Command::Friend {
            user: user("bob"),
            action: FriendAction::Request,
        },
        Command::SetReceipts { on: false },
    ];
    for command in commands {
        let refused = world.command(command).map_err(|error| error.code);
        assert_eq!(refused, Err(Code::Offline));
    }
}

#[test]
fn own_messages_of_a_group_say_how_many_have_read_them() {
    let mut world = World::new();
    let id = world.server.group(7);
    let me = world.server.me.clone();
    for text in ["one", "two"] {
        world.server.log(id).text(&me, text);
    }
    world.connect();
    world.open(id);
    let counts = |world: &World| -> Vec<(u32, u32)> {
        let rows = world.rows(id).iter();
        rows.map(|row| (row.read_by.readers, row.read_by.of))
            .collect()
    };
    assert_eq!(counts(&world), [(0, 0), (0, 0)]);
    let receipt = |name: &str, joined, read, gone| Receipt {
        conversation: id,
        user: user(name),
        delivered: 0,
        read,
        joined,
        gone,
    };
    world.live(receipt("bob", 1, 1, false).into());
    world.live(receipt("cid", 2, 0, false).into());
    assert_eq!(counts(&world), [(1, 1), (0, 2)]);
    world.live(receipt("bob", 1, 2, false).into());
    assert_eq!(counts(&world), [(1, 1), (1, 2)]);
    world.live(receipt("bob", 0, 0, true).into());
    assert_eq!(counts(&world), [(0, 0), (0, 1)]);
    let off = UserRecord {
        value: 1,
        ..UserRecord::new(UserRecordKind::Receipts, 0)
    };
    let off = world.server.put(off);
    world.live(off);
    assert_eq!(
        counts(&world),
        [(0, 0), (0, 0)],
        "who tells nothing is told nothing"
    );
}

#[test]
fn presence_is_said_anew_after_each_log_in_and_the_newest_counts() {
    let (mut world, ..) = world();
    let away = SetPresence {
        state: PresenceState::Away,
        text: " tea ".to_owned(),
        emoji: String::new(),
        until: 0,
        rich: None,
    };
    let call = world.call(Command::SetPresence(Box::new(away.clone())));
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    world.cut();
    world.advance(60_000);
    let said =
        |frame: &ClientFrame| matches!(frame, ClientFrame::SetPresence(it) if it.text == "tea");
    assert_eq!(world.seen(said), 2);
    let offline = SetPresence {
        state: PresenceState::Offline,
        ..away
    };
    let refused = world.command(Command::SetPresence(Box::new(offline)));
    assert_eq!(
        refused.map_err(|error| error.code),
        Err(Code::ArgumentInvalid)
    );
    for state in [PresenceState::Online, PresenceState::DoNotDisturb] {
        let presence = PresenceOf {
            state,
            ..PresenceOf::offline(user("bob"), 0)
        };
        world.hear(0, &presence.into());
    }
    world.poll_events();
    let told = world.events.iter().filter_map(|event| match event {
        Event::Presence(presence) => Some(presence.state),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [PresenceState::DoNotDisturb]);
}
