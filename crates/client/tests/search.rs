//! The answer of a search wakes the game as an event does, and the end of the client ends the searches.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, time::Duration};

use crossbeam_channel::{Receiver, bounded};
use fireside_client::{Client, ClientConfig, Trust};
use fireside_protocol::UserId;
use std::sync::mpsc::TryRecvError;

const SOON: Duration = Duration::from_secs(20);
/// Nothing more comes of the start when nothing came for so long.
const QUIET: Duration = Duration::from_millis(300);

fn start(folder: Option<&Path>) -> Client {
    let mut config = ClientConfig::new("127.0.0.1:9", Trust::Roots, "");
    config.user = Some(UserId::new("ada").unwrap());
    config.folder = folder.map(Path::to_owned);
    Client::start(config).unwrap()
}

fn tick(client: &Client) -> usize {
    let tick = client.tick(1_000, Duration::from_secs(1), &mut |_| {});
    tick.delivered
}

/// A client that has told all that there is to tell, and what receives its wakes.
fn quiet(folder: Option<&Path>) -> (Client, Receiver<()>) {
    let client = start(folder);
    while client.wait(QUIET) {
        tick(&client);
    }
    let (sender, wakes) = bounded(100);
    client.set_wake(move || {
        // Full: woken often enough.
        let _ = sender.try_send(());
    });
    (client, wakes)
}

fn answers_wake(folder: Option<&Path>) {
    let (client, wakes) = quiet(folder);
    for round in 0..5 {
        let answer = client.search("fire", None, 10).unwrap();
        wakes.recv_timeout(SOON).unwrap();
        assert_eq!(tick(&client), 0, "round {round}: woken by an event");
        assert_eq!(answer.try_recv().unwrap().unwrap(), []);
    }
    // One that was not looked at wakes no second time, as with events.
    let first = client.search("fire", None, 10).unwrap();
    let second = client.search("fire", None, 10).unwrap();
    wakes.recv_timeout(SOON).unwrap();
    for answer in [first, second] {
        answer.recv_timeout(SOON).unwrap().unwrap();
    }
    assert!(client.wait(Duration::ZERO));
    assert!(wakes.recv_timeout(QUIET).is_err());
    tick(&client);
    assert!(!client.wait(Duration::ZERO), "nothing is new after a tick");
}

#[test]
fn answers_wake_the_game() {
    answers_wake(None);
}

#[test]
fn answers_of_the_disk_wake_the_game() {
    answers_wake(Some(tempfile::tempdir().unwrap().path()));
}

#[test]
fn the_end_answers_or_ends_every_search() {
    for _ in 0..30 {
        let client = start(None);
        let asked: Vec<_> = (0..10)
            .filter_map(|_| client.search("fire", None, 10).ok())
            .collect();
        client.shutdown(SOON);
        for answer in asked {
            assert_ne!(answer.try_recv(), Err(TryRecvError::Empty));
        }
        assert!(client.search("fire", None, 10).is_err());
    }
}
