//! Without a disk, or with a late one.

use fireside_client_core::{Command, Event};

use crate::{
    server::user,
    world::{Disk, World},
};
use fireside_client_core::Config;

fn said(world: &World) -> usize {
    world
        .events
        .iter()
        .filter(|event| matches!(event, Event::MemoryMode { .. }))
        .count()
}

#[test]
fn everything_works_without_a_disk() {
    let disk = Disk {
        broken: true,
        ..Disk::default()
    };
    let mut world = World::with(Config::default(), disk);
    assert_eq!(said(&world), 1);
    let direct = world.server.direct("bob");
    for number in 1..=120 {
        world
            .server
            .log(direct)
            .text(&user("bob"), &number.to_string());
    }
    world.connect();
    world.open(direct);
    world.send(direct, "hi");
    assert_eq!(world.rows(direct).len(), 51);
    let call = world.call(Command::LoadOlder {
        conversation: direct,
        count: 100,
    });
    assert!(world.result(call).unwrap().is_ok());
    assert_eq!(world.rows(direct).len(), 121);
    world.call(Command::Close {
        conversation: direct,
    });
    world.open(direct);
    assert_eq!(world.rows(direct).len(), 121);
    assert_eq!(said(&world), 1);
}

#[test]
fn a_disk_that_fails_later_loses_nothing_that_is_shown() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    let group = world.server.group(1);
    world.server.log(direct).text(&user("bob"), "one");
    world.server.log(group).text(&user("bob"), "two");
    world.connect();
    world.open(direct);
    world.disk.broken = true;
    world.send(direct, "three");
    assert_eq!(said(&world), 1);
    assert_eq!(world.texts(direct), ["one", "three"]);
    world.open(group);
    assert_eq!(
        world.texts(group),
        ["two"],
        "what only the disk held is paged again"
    );
    world.advance(5_000);
    let frame = {
        world.server.log(direct).edit(&user("bob"), 1, "uno");
        world.server.log(direct).live(3)
    };
    world.live(frame);
    assert_eq!(world.texts(direct), ["uno", "three"]);
}

#[test]
fn a_late_disk_is_not_waited_for_longer_than_a_moment() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.open(direct);
    world.hold_disk = true;
    world.hold_frames = true;
    world.send(direct, "hi");
    world.advance(200);
    assert_eq!(world.texts(direct), [] as [String; 0]);
    world.advance(100);
    assert_eq!(said(&world), 1);
    assert_eq!(world.texts(direct), ["hi"]);
    world.hold_frames = false;
    world.pump();
    assert_eq!(world.texts(direct), ["hi"]);
    assert_eq!(world.server.log(direct).last(), 1);
    // It was only late: nothing is lost on it.
    world.hold_disk = false;
    world.pump();
    assert_eq!(world.disk.items.len(), 1);
    assert!(world.disk.outbox.is_empty());
    world.send(direct, "again");
    assert_eq!(world.disk.items.len(), 2);
}
