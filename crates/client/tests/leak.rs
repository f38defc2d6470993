//! Nothing is left after a client: no thread, no socket, no file; and every call was completed once.
//! One test in a binary of its own: it counts what the whole process has.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashSet,
    fs,
    net::UdpSocket,
    time::{Duration, Instant},
};

use fireside_client::{
    Client, ClientConfig, Trust,
    core::{Event, RequestId, event::Completion},
};
use fireside_protocol::{Code, UserId};

const ROUNDS: usize = 200;
/// The end of a thread is told a moment before the system has let go of it.
const SETTLE: Duration = Duration::from_secs(20);
/// On a busy disk the last sync may take longer than a game waits; then the thread ends alone.
const LATE_MAX: usize = ROUNDS / 10;

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

fn settles(what: &str, expected: usize) -> usize {
    let deadline = Instant::now() + SETTLE;
    while count(what) > expected && Instant::now() < deadline {
        std::thread::yield_now();
    }
    count(what)
}

#[test]
fn two_hundred_clients_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Somebody is there and never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap().to_string();
    let user = UserId::new("ada").unwrap();
    // What a process has once for all runtimes (tokio's pair of sockets for signals, if that feature is on) comes with the first.
    drop(Client::start(ClientConfig::new(server.clone(), Trust::Roots, "")).unwrap());
    let (threads, files) = (count("task"), count("fd"));
    let (mut slowest, mut late) = (Duration::ZERO, 0);
    for round in 0..ROUNDS {
        let mut config = ClientConfig::new(server.clone(), Trust::Pinned([1; 32]), "token");
        config.user = Some(user.clone());
        config.folder = (round % 2 == 0).then(|| folder.path().to_owned());
        let client = Client::start(config).unwrap();
        let mut taken: HashSet<RequestId> = HashSet::new();
        taken.insert(client.connect().unwrap());
        for n in 0..5 {
            taken.insert(
                client
                    .send_to_user("bob".parse().unwrap(), format!("{n}"))
                    .unwrap(),
            );
        }
        taken.insert(client.devices().unwrap());
        let mut completed: Vec<(RequestId, bool)> = Vec::new();
        let mut take = |client: &Client| {
            client.tick(1_000, Duration::from_secs(1), &mut |event| {
                if let Event::Completed { request, result } = event {
                    let ok = match result {
                        Ok(Completion::Done) => true,
                        Err(error) => error.code == Code::Cancelled || error.code == Code::Offline,
                        _ => false,
                    };
                    completed.push((request, ok));
                }
            });
        };
        if round % 3 == 0 {
            let _ = client.wait(Duration::from_millis(20));
            take(&client);
        }
        let start = Instant::now();
        late += usize::from(!client.shutdown(Duration::from_millis(250)));
        slowest = slowest.max(start.elapsed());
        take(&client);
        assert!(
            completed.iter().all(|(_, ok)| *ok),
            "round {round}: {completed:?}"
        );
        let names: HashSet<RequestId> = completed.iter().map(|(request, _)| *request).collect();
        assert_eq!(
            names.len(),
            completed.len(),
            "round {round}: completed twice"
        );
        assert_eq!(names, taken, "round {round}: not all completed");
        assert_eq!(client.connect().unwrap_err().code, Code::Cancelled);
        let clone = client.clone();
        drop(client);
        drop(clone);
        assert_eq!(
            settles("task", threads),
            threads,
            "round {round}: threads are left"
        );
        assert_eq!(
            settles("fd", files),
            files,
            "round {round}: files or sockets are left"
        );
    }
    assert!(
        slowest < Duration::from_millis(400),
        "a shutdown waited {slowest:?}"
    );
    assert!(
        late <= LATE_MAX,
        "{late} threads of {ROUNDS} were still busy after 250 ms"
    );
    println!(
        "{ROUNDS} rounds, slowest shutdown {slowest:?}, {threads} threads and {files} files before and after"
    );
}
