//! What "caught up" means: said in time, and not before it is so.

use fireside_client_core::{
    Command, SyncState,
    SyncState::{Behind, Complete, Newest},
};
use fireside_protocol::{Code, ConversationId, ServerFrame, frames::Refused};

use crate::{
    server::user,
    world::{Disk, World},
};

fn states(world: &World) -> Vec<SyncState> {
    world.synced.iter().map(|(state, _)| *state).collect()
}

/// A direct conversation and a group, both with something unread, and a group read to its end.
fn three(world: &mut World, messages: usize) -> [ConversationId; 3] {
    let direct = world.server.direct("bob");
    let (unread, read) = (world.server.group(1), world.server.group(2));
    for id in [direct, unread, read] {
        for number in 1..=messages {
            world
                .server
                .log(id)
                .text(&user("bob"), &format!("{number}"));
        }
    }
    world.server.log(read).read = messages as u64;
    [direct, unread, read]
}

#[test]
fn newest_is_said_behind_the_list_and_opening_needs_no_network() {
    let mut world = World::new();
    let [direct, unread, read] = three(&mut world, 120);
    world.hold_frames = true;
    world.connect();
    assert_eq!(states(&world), [], "the pages are still on their way");
    world.hold_frames = false;
    world.pump();
    assert_eq!(states(&world), [Newest]);
    let (_, list) = world.synced.last().unwrap();
    for (id, count) in [(direct, 120), (unread, 120), (read, 0)] {
        let row = list.iter().find(|row| row.conversation == id).unwrap();
        assert_eq!(row.unread, count, "the list came before it");
    }
    world.cut();
    assert_eq!(states(&world), [Newest, Behind]);
    let newest: Vec<String> = (71..=120).map(|number| number.to_string()).collect();
    for id in [direct, unread] {
        world.open(id);
        assert_eq!(world.texts(id), newest);
    }
    world.advance(60_000);
    assert_eq!(states(&world), [Newest, Behind, Newest]);
}

#[test]
fn a_page_that_is_refused_for_now_is_waited_for_and_one_refused_for_good_is_not() {
    for (code, expected) in [(Code::Overloaded, Behind), (Code::NotFound, Newest)] {
        let mut world = World::new();
        three(&mut world, 3);
        world.hold_frames = true;
        world.connect();
        world.inbox.back_mut().unwrap().2 = ServerFrame::Refused(Refused::new(code));
        world.hold_frames = false;
        world.pump();
        assert_eq!(world.sync_state(), expected, "{code:?}");
        world.advance(10_000);
        assert_eq!(states(&world), [Newest]);
    }
}

#[test]
fn a_live_entry_that_overtakes_the_sync_is_no_reason_to_say_it_early() {
    let mut world = World::new();
    let [direct, ..] = three(&mut world, 60);
    world.connect();
    world.cut();
    for number in 61..=160 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &format!("{number}"));
    }
    world.hold_logins = true;
    world.advance(2_000);
    // The welcome comes alone, and a live entry before the sync.
    let (_, request, welcome) = world.inbox.pop_front().unwrap();
    world.deliver(request, &welcome);
    let frame = world.server.log(direct).live(160);
    world.live(frame);
    assert_eq!(world.sync_state(), Behind);
    world.advance(300);
    assert_eq!(world.sync_state(), Behind);
    world.hold_logins = false;
    world.pump();
    assert_eq!(world.sync_state(), Newest);
    assert_eq!(world.line(direct).unread, 160);
}

#[test]
fn complete_is_said_when_all_is_on_the_disk() {
    let mut world = World::new();
    let [direct, unread, read] = three(&mut world, 1_200);
    world.call(Command::SetBackgroundFill(true));
    world.hold_disk = true;
    world.connect();
    assert_eq!(states(&world), [Newest], "held, and not yet written");
    while world.ops.len() > 1 {
        world.disk_one();
        world.pump();
    }
    assert_eq!(states(&world), [Newest]);
    world.hold_disk = false;
    world.pump();
    assert_eq!(states(&world), [Newest, Complete]);
    for id in [direct, unread, read] {
        let held = |disk: &Disk| disk.items.range((id, 0)..=(id, u64::MAX)).count();
        assert_eq!(held(&world.disk), 1_200);
    }
    world.call(Command::SetBackgroundFill(false));
    assert_eq!(states(&world), [Newest, Complete, Newest]);
}

#[test]
fn nothing_to_catch_up_with_is_caught_up() {
    let mut world = World::connected();
    assert_eq!(states(&world), [Newest]);
    world.cut();
    world.advance(60_000);
    assert_eq!(states(&world), [Newest, Behind, Newest]);
}
