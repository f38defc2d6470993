//! Links: log-in, refusals, silence, draining, tokens, the end.

use fireside_client_core::{
    Command, Event, LinkEvent,
    event::{Completion, ConnectionState},
};
use fireside_protocol::{
    ClientFrame, Code, ServerFrame,
    frames::{Draining, Kicked, Refused},
};

use crate::{server::user, world::World};

fn hellos(world: &World) -> usize {
    world.seen(|frame| matches!(frame, ClientFrame::Hello(_)))
}

#[test]
fn a_reconnect_resumes_and_an_unknown_secret_logs_in_on_the_same_link() {
    let mut world = World::connected();
    assert_eq!(hellos(&world), 1);
    world.cut();
    assert!(
        matches!(world.state(), Some(ConnectionState::Reconnecting { attempt: 1, next_in_ms }) if next_in_ms <= 250)
    );
    world
        .server
        .refuse_login
        .push(Refused::new(Code::ResumeUnknown));
    world.advance(250);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    assert_eq!(
        world.seen(|frame| matches!(frame, ClientFrame::Resume(_))),
        1
    );
    assert_eq!(hellos(&world), 2);
    assert_eq!(world.links.len(), 1);
    world.cut();
    world.advance(1_000);
    assert_eq!(
        world.seen(|frame| matches!(frame, ClientFrame::Resume(_))),
        2
    );
    assert_eq!(hellos(&world), 2);
}

#[test]
fn a_refused_token_waits_for_another() {
    let mut world = World::new();
    world
        .server
        .refuse_login
        .push(Refused::new(Code::TokenExpired));
    world.call(Command::SetToken("a.b.c".to_owned()));
    world.call(Command::Connect);
    assert!(matches!(
        world.state(),
        Some(ConnectionState::Refused {
            code: Code::TokenExpired,
            ..
        })
    ));
    world.advance(600_000);
    assert_eq!(hellos(&world), 1, "no retry loop");
    world.call(Command::SetToken("d.e.f".to_owned()));
    assert_eq!(world.state(), Some(ConnectionState::Connected));
}

#[test]
fn a_kick_for_good_is_not_answered_with_a_reconnect() {
    let mut world = World::connected();
    let kicked = Kicked {
        code: Code::DeviceReplaced.number(),
        text: String::new(),
        until: 0,
    };
    world.live(ServerFrame::Kicked(kicked));
    world.advance(600_000);
    assert!(matches!(
        world.state(),
        Some(ConnectionState::Refused {
            code: Code::DeviceReplaced,
            ..
        })
    ));
    assert_eq!(world.links.len(), 0);
}

/// The connection ends with `device_replaced`.
fn replace(world: &mut World) {
    let event = LinkEvent::Down {
        code: Some(Code::DeviceReplaced),
        reason: "the link is gone".to_owned(),
    };
    let link = world.links.remove(0);
    world.session.handle_link(link, event, world.now);
    world.pump();
}

#[test]
fn a_device_replaced_at_once_tries_again_and_one_that_lasted_does_not() {
    // A log-in of its own past came late.
    let mut world = World::connected();
    replace(&mut world);
    assert!(matches!(
        world.state(),
        Some(ConnectionState::Reconnecting { .. })
    ));
    world.advance(4_900);
    assert_eq!(world.links.len(), 0, "whoever came last has time to last");
    world.advance(10_000);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    // Another process with the same folder.
    replace(&mut world);
    world.advance(600_000);
    assert!(matches!(
        world.state(),
        Some(ConnectionState::Refused {
            code: Code::DeviceReplaced,
            ..
        })
    ));
}

#[test]
fn a_dead_server_is_noticed_within_five_seconds_of_a_call() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.mute = true;
    world.send(direct, "anybody?");
    let link = world.links[0];
    world.advance(4_900);
    assert!(
        world.links.iter().any(|other| *other != link),
        "no second link"
    );
    assert!(matches!(
        world.state(),
        Some(ConnectionState::Reconnecting { .. })
    ));
    world.mute = false;
    world.cut();
    world.advance(1_000);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    assert_eq!(world.server.log(direct).last(), 1);
}

#[test]
fn the_raced_link_wins_if_it_logs_in_first() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    let link = world.links[0];
    world.mute = true;
    world.send(direct, "hello");
    world.advance(3_900);
    assert_eq!(world.links, [link]);
    world.mute = false;
    world.advance(1_000);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    assert_eq!(world.links.len(), 1);
    assert_ne!(world.links[0], link);
    assert!(world.disk.outbox.is_empty());
    assert_eq!(world.server.log(direct).last(), 1);
}

#[test]
fn pings_only_when_somebody_looks() {
    let mut world = World::connected();
    let pings = |world: &World| world.seen(|frame| matches!(frame, ClientFrame::Ping(_)));
    world.advance(60_000);
    assert_eq!(pings(&world), 0);
    world.call(Command::SetVisible(true));
    world.advance(60_000);
    assert_eq!(pings(&world), 13);
    world.call(Command::Suspend);
    world.advance(60_000);
    assert_eq!(pings(&world), 13);
    world.call(Command::Resume);
    assert_eq!(pings(&world), 14);
}

#[test]
fn a_server_that_drains_is_left_for_another() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    let link = world.links[0];
    world.live(ServerFrame::Draining(Draining {
        retry_after_ms: 500,
    }));
    world.send(direct, "not lost");
    assert_eq!(world.links, [link]);
    world.advance(500);
    assert_ne!(world.links, [link]);
    assert_eq!(world.server.log(direct).last(), 1);
    assert!(world.disk.outbox.is_empty());
}

#[test]
fn a_token_is_asked_for_in_time_and_once() {
    let mut world = World::new();
    // The server's clock says 2,000,000 at the log-in.
    world.server.token_expires = 2_000_000 + 3_600_000;
    world.connect();
    let asked = |world: &World| {
        world
            .events
            .iter()
            .filter(|e| matches!(e, Event::TokenExpiring { .. }))
            .count()
    };
    world.advance(3_290_000);
    assert_eq!(asked(&world), 0);
    world.advance(11_000);
    assert_eq!(asked(&world), 1);
    world.advance(200_000);
    assert_eq!(asked(&world), 1);
    let call = world.call(Command::SetToken("d.e.f".to_owned()));
    assert_eq!(world.result(call), Some(Ok(Completion::Done)));
    assert_eq!(world.session.counters().tokens_renewed, 1);
    assert_eq!(world.links.len(), 1);
}

#[test]
fn early_data_carries_no_commands_and_is_sent_again_if_refused() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.cut();
    world.up = false;
    world.advance(250);
    world.send(direct, "hi");
    // The driver opens the second link with early data; the server refuses it.
    let link = 2;
    world.links.push(link);
    world.mute = true;
    world
        .session
        .handle_link(link, LinkEvent::Up { early: true }, world.now);
    world.pump();
    world.mute = false;
    let resumes = |world: &World| world.seen(|frame| matches!(frame, ClientFrame::Resume(_)));
    assert_eq!(resumes(&world), 1);
    world.session.handle_link(
        link,
        LinkEvent::Confirmed {
            early_accepted: false,
        },
        world.now,
    );
    world.pump();
    assert_eq!(resumes(&world), 2);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
    assert_eq!(world.server.log(direct).last(), 1);
}

#[test]
fn the_end_completes_every_call() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.mute = true;
    let send = world.send(direct, "hi");
    let devices = world.call(Command::Devices);
    world.session.shutdown(world.now);
    world.pump();
    for call in [send, devices] {
        assert_eq!(
            world.result(call).unwrap().unwrap_err().code,
            Code::Cancelled
        );
    }
    assert!(world.stopped);
    assert_eq!(world.links.len(), 0);
    assert_eq!(world.disk.outbox.len(), 1, "kept for the next time");
    assert_eq!(
        world.command(Command::Connect).unwrap_err().code,
        Code::Cancelled
    );
}

#[test]
fn calls_without_a_link_are_offline_and_silent_ones_time_out() {
    let mut world = World::new();
    assert_eq!(
        world.command(Command::Devices).unwrap_err().code,
        Code::Offline
    );
    world.connect();
    world.mute = true;
    world.up = false;
    let call = world.call(Command::Devices);
    world.advance(31_000);
    assert_eq!(
        world.result(call).unwrap().unwrap_err().code,
        Code::TimedOut
    );
}

#[test]
fn what_is_on_screen_is_said_when_it_can_be() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.cut();
    world.up = false;
    world.advance(250);
    let link = 2;
    world.links.push(link);
    let early = LinkEvent::Up { early: true };
    world.session.handle_link(link, early, world.now);
    world.pump();
    world.open(direct);
    let said = |world: &World| world.seen(|frame| matches!(frame, ClientFrame::Attention(_)));
    assert_eq!(said(&world), 0, "not in early data");
    let confirmed = LinkEvent::Confirmed {
        early_accepted: true,
    };
    world.session.handle_link(link, confirmed, world.now);
    world.pump();
    assert_eq!(said(&world), 1);
}

#[test]
fn a_first_sync_that_is_lost_is_asked_for() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.server.log(direct).text(&user("bob"), "hi");
    world.lose_first_sync = true;
    world.connect();
    assert!(world.list.is_empty());
    world.advance(11_000);
    assert_eq!(world.line(direct).unread, 1);
    assert_eq!(world.disk.items.len(), 1);
}

#[test]
fn a_token_given_while_the_old_one_is_refused_is_tried() {
    let mut world = World::new();
    world.hold_logins = true;
    world
        .server
        .refuse_login
        .push(Refused::new(Code::TokenExpired));
    world.call(Command::SetToken("a.b.c".to_owned()));
    world.call(Command::Connect);
    world.call(Command::SetToken("d.e.f".to_owned()));
    world.hold_logins = false;
    world.pump();
    world.advance(1_000);
    assert_eq!(world.state(), Some(ConnectionState::Connected));
}

/// A player who writes or looks does not wait for the end of a long pause; a server's wish is kept all the same.
#[test]
fn who_is_at_it_is_connected_sooner() {
    let mut world = World::new();
    let direct = world.server.direct("bob");
    world.connect();
    world.up = false;
    world.cut();
    // Far into the pauses of up to 30 s.
    world.advance(300_000);
    let next = |world: &World| match world.events.iter().rev().find_map(|event| match event {
        Event::State(state) => Some(state.clone()),
        _ => None,
    }) {
        Some(ConnectionState::Reconnecting { next_in_ms, .. }) => next_in_ms,
        other => panic!("not reconnecting: {other:?}"),
    };
    while next(&world) < 10_000 {
        world.advance(1_000);
    }
    world.up = true;
    let before = world.links.len();
    world.call(Command::MarkRead {
        conversation: direct,
        upto: 1,
    });
    world.advance(100);
    assert_eq!(world.links.len(), before, "a marker is nobody at it");
    world.send(direct, "anybody there?");
    assert!(next(&world) <= 2_000, "{} ms", next(&world));
    world.advance(2_000);
    assert_eq!(world.server.log(direct).last(), 1);
}
