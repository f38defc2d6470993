//! Holes, pages, changes, resets, rights.

use fireside_client_core::{Command, event::Completion, view::Body};
use fireside_protocol::{
    ClientFrame, ConversationId, EntryKind, Lane, MemberChange, ServerFrame,
    frames::{PageRequest, UserRecord, UserRecordKind},
    limits::{HEADS_ONLY_MAX, PAGE_REQUEST_BYTES_MAX},
};

use crate::{
    server::{message, user},
    world::World,
};

fn pages(world: &World) -> Vec<PageRequest> {
    let page = |frame: &ClientFrame| match frame {
        ClientFrame::PageRequest(page) => Some(page.clone()),
        _ => None,
    };
    world.server.seen.iter().filter_map(page).collect()
}

#[test]
fn after_a_log_in_open_and_direct_are_pulled_and_read_groups_are_not() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    let quiet = world.server.group(1);
    let unread = world.server.group(2);
    world.server.log(direct).text(&user("bob"), "one");
    world.server.log(unread).text(&user("bob"), "two");
    world.server.log(quiet).text(&user("bob"), "three");
    world.server.log(quiet).read = 1;
    world.connect();
    let asked: Vec<_> = pages(&world).iter().map(|page| page.conversation).collect();
    assert_eq!(asked, [direct, unread]);
    assert_eq!(world.line(unread).unread, 1);
    assert_eq!(world.line(quiet).unread, 0);
    assert_eq!(&*world.line(quiet).preview, "three");
    world.open(quiet);
    assert_eq!(world.texts(quiet), ["three"]);
    assert_eq!(pages(&world).len(), 3);
    world.advance(60_000);
    assert_eq!(pages(&world).len(), 3, "nothing is asked twice");
}

/// A group of which 3 and 4 were missed.
fn missed() -> (World, ConversationId) {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    world.open(group);
    for _ in 0..5 {
        world.server.log(group).text(&user("bob"), "x");
    }
    for number in [1, 2, 5] {
        let frame = world.server.log(group).live(number);
        world.live(frame);
    }
    (world, group)
}

/// The ranges asked for.
fn ranges(world: &World) -> Vec<(u64, u64)> {
    let asked = pages(world).into_iter().filter(|page| page.anchor == 3);
    asked.map(|page| (page.number, page.to)).collect()
}

#[test]
fn a_hole_that_falls_under_the_floor_is_no_hole() {
    let (mut world, group) = missed();
    // Trimmed before anybody asked for it.
    world.server.log(group).first = 5;
    let head = world.server.log(group).head(&user("ada"));
    world.live(ServerFrame::Head(head));
    world.advance(60_000);
    assert_eq!(ranges(&world), [], "nothing is left to be filled");
    for _ in 0..5 {
        world.server.log(group).text(&user("bob"), "y");
    }
    let frame = world.server.log(group).live(10);
    world.live(frame);
    world.advance(250);
    assert_eq!(ranges(&world), [(6, 9)]);
}

#[test]
fn a_page_that_tells_of_the_floor_ends_the_asking() {
    let (mut world, group) = missed();
    world.advance(249);
    assert_eq!(ranges(&world), []);
    world.server.log(group).first = 5;
    world.advance(60_000);
    assert_eq!(ranges(&world), [(3, 4)], "once, and then it is known");
}

#[test]
fn a_live_hole_is_asked_for_after_a_moment_and_only_once() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.connect();
    world.open(group);
    for _ in 0..10 {
        world.server.log(group).text(&user("bob"), "x");
    }
    for number in [1, 2, 5, 10] {
        let frame = world.server.log(group).live(number);
        world.live(frame);
    }
    assert_eq!(pages(&world), []);
    let holes = world
        .rows(group)
        .iter()
        .filter(|row| row.body == Body::Hole)
        .count();
    assert_eq!(holes, 2);
    world.advance(249);
    assert_eq!(pages(&world), []);
    world.advance(1);
    let asked = pages(&world);
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].anchor, asked[0].number, asked[0].to), (3, 3, 9));
    assert_eq!(world.texts(group).len(), 10);
    assert_eq!(world.session.counters().holes_repaired, 1);
    assert_eq!(world.disk.conversations[&group].changes_to, 10);
    assert_eq!(world.line(group).unread, 10);
    world.advance(10_000);
    assert_eq!(pages(&world).len(), 1);
}

#[test]
fn a_page_overtaken_by_a_change_of_its_items_shows_the_change() {
    let mut world = World::new();
    let group = world.server.group(1);
    for number in 1..=3 {
        world
            .server
            .log(group)
            .text(&user("bob"), &format!("old {number}"));
    }
    world.server.log(group).read = 3;
    world.connect();
    assert_eq!(pages(&world).len(), 0);
    world.hold_frames = true;
    world.open(group);
    assert_eq!(pages(&world).len(), 1);
    assert_eq!(world.inbox.len(), 1, "{:?}", world.inbox);
    // The page was read before the edit, and comes after it.
    let edit = world.server.log(group).edit(&user("bob"), 2, "new");
    let frame = world.server.log(group).live(edit.sequence);
    world.live(frame);
    world.hold_frames = false;
    world.pump();
    assert_eq!(world.texts(group), ["old 1", "new", "old 3"]);
    assert_eq!(world.disk.conversations[&group].changes_to, 4);
    assert_eq!(world.session.counters().page_live_overlaps, 1);
}

#[test]
fn changes_missed_offline_come_with_the_next_page() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    for number in 1..=3 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &format!("old {number}"));
    }
    world.connect();
    world.cut();
    world.server.log(direct).edit(&user("bob"), 1, "edited");
    world.server.log(direct).recall(&user("bob"), 2);
    for number in 0..70 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &format!("new {number}"));
    }
    let mut world = world.restart();
    world.connect();
    let asked = pages(&world);
    let last = asked.last().unwrap();
    assert_eq!((last.since, last.held.len()), (3, 1));
    let cached = |number: u64| world.disk.items[&(direct, number)].text.to_string();
    assert_eq!(cached(1), "edited");
    assert_eq!(cached(2), "");
    assert_eq!(world.disk.conversations[&direct].changes_to, 75);
}

#[test]
fn too_many_changes_reset_to_the_page() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    for number in 1..=600 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &format!("old {number}"));
    }
    world.connect();
    world.call(Command::SetBackgroundFill(true));
    world.advance(1_000);
    assert_eq!(world.disk.items.len(), 600);
    world.cut();
    for number in 1..=550 {
        world
            .server
            .log(direct)
            .edit(&user("bob"), number, "changed");
    }
    world.server.log(direct).text(&user("bob"), "last");
    let mut world = world.restart();
    world.connect();
    assert_eq!(world.session.counters().resets, 1);
    assert!(world.disk.items.len() < 100);
    world.call(Command::SetBackgroundFill(true));
    world.advance(1_000);
    assert_eq!(world.disk.items.len(), 601);
    let right = |number: u64| world.disk.items[&(direct, number)].text.to_string();
    assert_eq!(
        (right(1), right(551)),
        ("changed".to_owned(), "old 551".to_owned())
    );
}

#[test]
fn an_edit_of_a_message_that_only_the_cache_holds_reaches_it() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.server.log(direct).text(&user("bob"), "old");
    world.connect();
    world.server.log(direct).edit(&user("bob"), 1, "new");
    let frame = world.server.log(direct).live(2);
    world.live(frame);
    world.advance(1_000);
    assert_eq!(&*world.disk.items[&(direct, 1)].text, "new");
    assert_eq!(world.disk.conversations[&direct].changes_to, 2);
}

#[test]
fn changed_rights_drop_what_was_held() {
    let mut world = World::new();
    let group = world.server.group(1);
    for name in ["bob", "eve", "bob"] {
        world.server.log(group).text(&user(name), name);
    }
    world.connect();
    world.open(group);
    assert_eq!(world.texts(group), ["bob", "eve", "bob"]);
    let log = world.server.log(group);
    log.hidden.insert(2);
    log.rights = 1;
    let record = UserRecord {
        sequence: 1,
        kind: UserRecordKind::Rights,
        conversation: Some(group),
        user: None,
        value: 1,
        name: String::new(),
        gone: false,
        at: 0,
        folder: None,
        body: bytes::Bytes::new(),
    };
    world.live(ServerFrame::UserRecord(record));
    assert_eq!(world.texts(group), ["bob", "bob"]);
    assert_eq!(world.disk.items.len(), 2);
    world.advance(1);
    assert_eq!(world.line(group).unread, 2);
}

#[test]
fn an_unknown_conversation_is_asked_for() {
    let mut world = World::connected();
    let direct = world.server.direct("bob");
    world.server.log(direct).text(&user("bob"), "surprise");
    let frame = world.server.log(direct).live(1);
    world.live(frame);
    world.advance(300);
    assert_eq!(&*world.line(direct).preview, "surprise");
    assert_eq!(world.line(direct).unread, 1);
    assert_eq!(world.disk.items.len(), 1);
}

#[test]
fn older_messages_come_from_the_cache_and_then_from_the_server() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    for number in 1..=180 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &number.to_string());
    }
    world.connect();
    world.open(direct);
    let mut expected: Vec<String> = (131..=180).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(direct), expected);
    let older = Command::LoadOlder {
        conversation: direct,
        count: 100,
    };
    let call = world.call(older.clone());
    let loaded = Completion::Loaded {
        count: 100,
        start_reached: false,
    };
    assert_eq!(world.result(call), Some(Ok(loaded)));
    expected = (31..=180).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(direct), expected);
    let asked = pages(&world).len();
    // Opened again: the newest hundred at once, the rest from the cache.
    world.call(Command::Close {
        conversation: direct,
    });
    world.open(direct);
    assert_eq!(world.rows(direct).len(), 100);
    let call = world.call(older.clone());
    assert!(matches!(
        world.result(call),
        Some(Ok(Completion::Loaded { count: 50, .. }))
    ));
    assert_eq!(pages(&world).len(), asked);
    let call = world.call(older.clone());
    let loaded = Completion::Loaded {
        count: 30,
        start_reached: true,
    };
    assert_eq!(world.result(call), Some(Ok(loaded)));
    assert_eq!(world.rows(direct).len(), 180);
    let call = world.call(older);
    let loaded = Completion::Loaded {
        count: 0,
        start_reached: true,
    };
    assert_eq!(world.result(call), Some(Ok(loaded)));
}

#[test]
fn an_opened_timeline_fills_a_screen() {
    let mut world = World::new();
    let group = world.server.group(1);
    for number in 1..=80 {
        world
            .server
            .log(group)
            .text(&user("bob"), &number.to_string());
    }
    world.server.log(group).read = 80;
    world.connect();
    // Only the newest came, live.
    world.server.log(group).text(&user("bob"), "81");
    let frame = world.server.log(group).live(81);
    world.live(frame);
    assert_eq!(pages(&world), []);
    world.open(group);
    let expected: Vec<String> = (31..=81).map(|n| n.to_string()).collect();
    assert_eq!(world.texts(group), expected);
    assert_eq!(pages(&world).len(), 1);
}

#[test]
fn a_head_from_before_the_leave_does_not_bring_the_member_back() {
    for entry_too in [false, true] {
        let mut world = World::new();
        let group = world.server.group(1);
        world.server.log(group).text(&user("bob"), "hi");
        world.connect();
        let stale = world.server.log(group).head(&user("ada"));
        let mut left = message(group, &user("ada"), "", None);
        left.kind = EntryKind::Left;
        left.header = None;
        left.member = Some(MemberChange {
            user: user("ada"),
            role: None,
            name: String::new(),
            until: 0,
        });
        let left = world.server.log(group).append(left);
        let record = UserRecord {
            sequence: 1,
            kind: UserRecordKind::Membership,
            conversation: Some(group),
            user: None,
            value: 0,
            name: String::new(),
            gone: true,
            at: left.at,
            folder: None,
            body: bytes::Bytes::new(),
        };
        world.live(ServerFrame::UserRecord(record));
        if entry_too {
            world.live(ServerFrame::Entry(left));
        }
        assert_eq!(world.line(group).role, None);
        world.live(ServerFrame::Head(stale));
        assert_eq!(world.line(group).role, None);
    }
}

#[test]
fn an_older_head_counts_what_a_newer_one_overtook() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.server.log(group).text(&user("bob"), "1");
    world.connect();
    world.server.log(group).text(&user("bob"), "2");
    let older = world.server.log(group).head(&user("ada"));
    let first = older.last;
    for text in ["3", "4"] {
        world.server.log(group).text(&user("bob"), text);
    }
    let newer = world.server.log(group).head(&user("ada"));
    let unread = newer.unread;
    // All in one flight: no page comes between.
    world.hear(0, &ServerFrame::Head(newer));
    for number in first..=first + 2 {
        let frame = world.server.log(group).live(number);
        world.hear(0, &frame);
    }
    world.hear(0, &ServerFrame::Head(older));
    world.poll_events();
    assert_eq!(world.line(group).unread, unread);
}

/// Of a head that is overtaken by what is no message the preview counts all the same: under new rights the one before is withheld.
#[test]
fn an_older_head_under_new_rights_takes_a_withheld_preview_away() {
    let mut world = World::new();
    let group = world.server.group(1);
    world.server.log(group).text(&user("bob"), "seen");
    world.server.log(group).text(&user("eve"), "withheld");
    world.connect();
    assert_eq!(&*world.line(group).preview, "withheld");
    let log = world.server.log(group);
    log.hidden.insert(2);
    log.rights = 1;
    let older = log.head(&user("ada"));
    let mut joined = message(group, &user("cyd"), "", None);
    joined.kind = EntryKind::Joined;
    joined.header = None;
    log.append(joined);
    let frame = log.live(3);
    world.hear(0, &frame);
    world.hear(0, &ServerFrame::Head(older));
    world.poll_events();
    assert_eq!(&*world.line(group).preview, "seen");
}

#[test]
fn heads_are_asked_for_by_as_many_names_as_a_request_takes() {
    let mut world = World::new();
    let ids: Vec<_> = (1..=250).map(|n| world.server.group(n)).collect();
    for id in &ids {
        for _ in 0..60 {
            world.server.log(*id).text(&user("bob"), "hello");
        }
    }
    world.connect();
    // Another device has read so far back that this one can not count what is left, everywhere.
    for id in &ids {
        let marker = UserRecord {
            conversation: Some(*id),
            value: 1,
            ..UserRecord::new(UserRecordKind::ReadMarker, 0)
        };
        let record = world.server.put(marker);
        world.hear(0, &record);
    }
    world.advance(60_000);
    let asks = |frame: &ClientFrame| match frame {
        ClientFrame::HeadsRequest(ask) => ask.only.len(),
        _ => 0,
    };
    let named: usize = world.server.seen.iter().map(asks).sum();
    assert!(named >= ids.len(), "{named} heads were asked for");
    for frame in &world.server.seen {
        assert!(asks(frame) <= HEADS_ONLY_MAX);
        if frame.lane() == Lane::Page {
            assert!(frame.encode(1).len() <= PAGE_REQUEST_BYTES_MAX);
        }
    }
}
