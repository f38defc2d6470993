//! The client's driver against the real server in one process, and against servers that mean no good.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fireside_client::{Client, ClientConfig, RouteProbe, Trust};
use fireside_client_core::{
    ConnectionState, Event, RequestId,
    command::Recipient,
    event::{CallError, Completion},
};
use fireside_protocol::{Code, ConversationId, FrameBuffer, UserId, limits::FRAME_BYTES_MAX};
use fireside_server::{
    Claims, RunningServer, Server, Settings,
    certificate::{CertificateHolder, CertificateSource},
    keys::TransportKeys,
    settings::TransportSettings,
    transport,
};

/// Whatever is awaited takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn config(server: &RunningServer, name: &str) -> ClientConfig {
    let claims = Claims {
        sub: name.to_owned(),
        exp: 4_000_000_000,
        iat: 1_700_000_000,
        ..Claims::default()
    };
    let token = server.token_keys().sign(None, &claims).unwrap();
    let trust = Trust::Pinned(server.fingerprint().0);
    ClientConfig {
        user: Some(id(name)),
        ..ClientConfig::new(server.address().to_string(), trust, token)
    }
}

/// A client and what it said.
struct Watched {
    client: Client,
    events: Vec<Event>,
}

impl Watched {
    fn start(config: ClientConfig) -> Self {
        Self {
            client: Client::start(config).unwrap(),
            events: Vec::new(),
        }
    }

    fn connected(config: ClientConfig) -> Self {
        let mut watched = Self::start(config);
        watched.client.connect().unwrap();
        watched.until("connected", |events| {
            state(events) == Some(&ConnectionState::Connected)
        });
        watched
    }

    fn until(&mut self, what: &str, is: impl Fn(&[Event]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.client
                .tick(1_000, Duration::from_secs(1), &mut |event| {
                    self.events.push(event);
                });
            if is(&self.events) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not {what}: {:?}",
                self.events.iter().rev().take(5).collect::<Vec<_>>()
            );
            let _ = self.client.wait(Duration::from_millis(50));
        }
    }

    fn result(&mut self, request: RequestId) -> Result<Completion, CallError> {
        let find = |events: &[Event]| {
            events.iter().find_map(|event| match event {
                Event::Completed {
                    request: this,
                    result,
                } if *this == request => Some(result.clone()),
                _ => None,
            })
        };
        self.until("completed", |events| find(events).is_some());
        find(&self.events).unwrap()
    }

    fn send(&mut self, to: &str, text: &str) {
        let request = self
            .client
            .send_text(Recipient::User(id(to)), text)
            .unwrap();
        assert!(matches!(self.result(request), Ok(Completion::Sent { .. })));
    }
}

fn state(events: &[Event]) -> Option<&ConnectionState> {
    events.iter().rev().find_map(|event| match event {
        Event::State(state) => Some(state),
        _ => None,
    })
}

fn texts(events: &[Event]) -> Vec<&str> {
    let received = events.iter().filter_map(|event| match event {
        Event::MessageReceived { text, .. } => text.as_deref(),
        _ => None,
    });
    received.collect()
}

#[test]
fn messages_cross_and_reconnects_resume() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path())).unwrap();
    let mut ada = Watched::connected(config(&server, "ada"));
    let mut bob = Watched::connected(config(&server, "bob"));
    ada.send("bob", "one");
    bob.until("received", |events| texts(events) == ["one"]);
    for round in 0..5 {
        ada.events.clear();
        ada.client.disconnect().unwrap();
        ada.until("offline", |events| {
            state(events) == Some(&ConnectionState::Offline)
        });
        ada.client.connect().unwrap();
        ada.until("connected", |events| {
            state(events) == Some(&ConnectionState::Connected)
        });
        ada.send("bob", &format!("again {round}"));
    }
    assert_eq!(
        ada.client.stats().certificates_checked,
        1,
        "each reconnect resumes: no certificate"
    );
    let counted = server.counters().gateway;
    assert_eq!(
        (counted.log_ins, counted.resumed),
        (7, 5),
        "two log-ins, five resumes"
    );
    assert!(counted.early >= 1, "none of them came as early data");
    bob.until("all received", |events| texts(events).len() == 6);
    drop((ada, bob));
    server.stop();
}

#[test]
fn a_changed_route_is_noticed_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path())).unwrap();
    let road = Arc::new(AtomicU8::new(1));
    let seen = Arc::new(AtomicUsize::new(0));
    let probe = {
        let (road, seen) = (road.clone(), seen.clone());
        RouteProbe(Arc::new(move |_: SocketAddr| {
            seen.fetch_add(1, Ordering::SeqCst);
            Some(IpAddr::V4(Ipv4Addr::new(
                10,
                0,
                0,
                road.load(Ordering::SeqCst),
            )))
        }))
    };
    let mut ada = Watched::connected(ClientConfig {
        route_probe: Some(probe),
        ..config(&server, "ada")
    });
    let mut bob = Watched::connected(config(&server, "bob"));
    ada.send("bob", "before");
    let asked = seen.load(Ordering::SeqCst);
    road.store(2, Ordering::SeqCst);
    ada.until("asked again", |_| seen.load(Ordering::SeqCst) > asked);
    for n in 0..20 {
        ada.send("bob", &format!("after {n}"));
    }
    bob.until("all received", |events| texts(events).len() == 21);
    assert_eq!(
        ada.client.stats().counters.reconnects,
        0,
        "the connection moved"
    );
    let states = ada
        .events
        .iter()
        .filter(|event| matches!(event, Event::State(_)))
        .count();
    assert_eq!(states, 2, "connecting and connected, nothing since");
    drop((ada, bob));
    server.stop();
}

#[test]
fn two_processes_on_one_folder_both_chat() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path().join("server"))).unwrap();
    let cache = Some(folder.path().join("cache"));
    let mut first = Watched::connected(ClientConfig {
        folder: cache.clone(),
        ..config(&server, "ada")
    });
    let mut second = Watched::connected(ClientConfig {
        folder: cache.clone(),
        ..config(&server, "ada")
    });
    second.until("in memory", |events| {
        events.iter().any(|event| matches!(event, Event::MemoryMode { reason } if reason.contains("another program")))
    });
    first.send("bob", "from the first");
    second.send("bob", "from the second");
    assert!(
        !first
            .events
            .iter()
            .any(|event| matches!(event, Event::MemoryMode { .. }))
    );
    drop((first, second));
    // The lock went with the client, and the messages are there, without a network.
    server.stop();
    let offline = ClientConfig {
        user: Some(id("ada")),
        folder: cache,
        ..ClientConfig::new("127.0.0.1:9", Trust::Roots, "")
    };
    let again = Watched::start(offline);
    drop(again);
}

#[test]
fn what_the_device_holds_is_there_offline_and_found() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path().join("server"))).unwrap();
    let own = ClientConfig {
        folder: Some(folder.path().join("cache")),
        ..config(&server, "ada")
    };
    let mut ada = Watched::connected(own.clone());
    let here = ConversationId::direct(&id("ada"), &id("bob"));
    ada.client.open(here).unwrap();
    ada.send("bob", "去打副本吗");
    drop(ada);
    server.stop();
    let mut ada = Watched::start(own);
    ada.client.open(here).unwrap();
    ada.until("shown", |events| {
        events
            .iter()
            .any(|event| matches!(event, Event::Timeline { diffs, .. } if !diffs.is_empty()))
    });
    let waits = ada
        .client
        .send_text(Recipient::User(id("bob")), "later")
        .unwrap();
    let answer = ada.client.search("副本", None, 10).unwrap();
    let found = answer.recv_timeout(PATIENCE).unwrap().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].conversation, &*found[0].text),
        (here, "去打副本吗")
    );
    ada.client.shutdown(Duration::from_millis(250));
    assert_eq!(ada.result(waits).unwrap_err().code, Code::Cancelled);
}

/// What a server that means no good does with its connections, one after the other.
const TRICKS: usize = 9;

async fn trick(number: usize, connection: quinn::Connection) {
    let session = connection.accept_bi();
    let Ok((mut send, mut receive)) = session.await else {
        return;
    };
    let noise: Vec<u8> = (0..200_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    // A frame of each kind of the server with a body that is nothing.
    let empty = |kind: u16| [&[0, 0, 0, 7][..], &kind.to_be_bytes(), &[0, 0, 0, 1, 0x80]].concat();
    let outcome = async {
        match number {
            0 => send.write_all(&noise).await?,
            1 => send.write_all(&[0xff; 64]).await?,
            2 => send.write_all(&empty(64)).await?,
            3 => {
                for kind in 60..110 {
                    send.write_all(&empty(kind)).await?;
                }
            }
            4 => {
                for kind in [3_u8, 4, 9] {
                    let mut stream = connection.open_uni().await?;
                    stream.write_all(&[kind]).await?;
                    stream.write_all(&noise).await?;
                }
            }
            5 => {
                for size in [1, 9, 500] {
                    connection.send_datagram(noise[..size].to_vec().into())?;
                }
            }
            6 => connection.close(quinn::VarInt::MAX, &[0xff; 100]),
            7 => send.finish()?,
            // Half a frame, and then nothing ever.
            _ => send.write_all(&[0, 0, 0xff, 0xff, 0, 64]).await?,
        }
        anyhow::Ok(())
    };
    let _ = outcome.await;
    // What the client says is read like a good server would.
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    while let Ok(Some(chunk)) = receive.read_chunk(65_536, true).await {
        frames.extend(&chunk.bytes);
        while let Ok(Some(_)) = frames.next_frame() {}
    }
}

#[test]
fn hostile_servers_end_their_link_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let holder = CertificateHolder::load(
        CertificateSource::SelfMade(folder.path().to_owned()),
        transport::crypto_provider(),
    )
    .unwrap();
    let holder = Arc::new(holder);
    let keys = TransportKeys::load_or_make(folder.path()).unwrap();
    let server_config =
        transport::server_config(&TransportSettings::default(), holder.clone(), &keys).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let endpoint = runtime.block_on(async {
        quinn::Endpoint::server(server_config, "127.0.0.1:0".parse().unwrap()).unwrap()
    });
    let address = endpoint.local_addr().unwrap();
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let number = count.fetch_add(1, Ordering::SeqCst) % TRICKS;
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    trick(number, connection).await;
                }
            });
        }
    });
    let mut config = ClientConfig::new(
        address.to_string(),
        Trust::Pinned(holder.fingerprint().0),
        "token",
    );
    config.user = Some(id("ada"));
    config.early_data = false;
    config.reconnect_delay_ms_min = 1;
    config.reconnect_delay_ms_max = 20;
    let mut client = Watched::start(config);
    client.client.set_visible(true).unwrap();
    client.client.connect().unwrap();
    let request = client
        .client
        .send_text(Recipient::User(id("bob")), "waits")
        .unwrap();
    client.until("through all tricks", |_| {
        connections.load(Ordering::SeqCst) > TRICKS
    });
    assert!(
        !client
            .events
            .iter()
            .any(|event| matches!(event, Event::State(ConnectionState::Connected)))
    );
    let early: Vec<&Event> = client
        .events
        .iter()
        .filter(|event| matches!(event, Event::Completed { request: this, .. } if *this == request))
        .collect();
    assert!(early.is_empty(), "still in the outbox: {early:?}");
    assert!(client.client.shutdown(Duration::from_millis(250)));
    assert_eq!(client.result(request).unwrap_err().code, Code::Cancelled);
    runtime.shutdown_background();
}

#[test]
fn a_wrong_certificate_is_not_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path())).unwrap();
    let mut client = Watched::start(ClientConfig {
        trust: Trust::Pinned([7; 32]),
        ..config(&server, "ada")
    });
    client.client.connect().unwrap();
    client.until("trying again", |events| {
        matches!(
            state(events),
            Some(ConnectionState::Reconnecting { attempt: 2.., .. })
        )
    });
    assert_eq!(server.counters().gateway.log_ins, 0);
    drop(client);
    server.stop();
}

#[test]
fn a_restarted_server_refuses_early_data_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Settings::dev(folder.path())).unwrap();
    let quick = |name: &str| ClientConfig {
        reconnect_delay_ms_min: 5,
        reconnect_delay_ms_max: 50,
        ..config(&server, name)
    };
    let mut ada = Watched::connected(quick("ada"));
    let mut bob = Watched::connected(quick("bob"));
    ada.send("bob", "before");
    let mut settings = Settings::dev(folder.path());
    settings.server.listen = server.address();
    server.stop();
    let bob_id = Recipient::User(id("bob"));
    let waiting: Vec<RequestId> = (0..5)
        .map(|n| {
            ada.client
                .send_text(bob_id.clone(), format!("meanwhile {n}"))
                .unwrap()
        })
        .collect();
    let server = Server::start(settings).unwrap();
    for request in waiting {
        assert!(matches!(ada.result(request), Ok(Completion::Sent { .. })));
    }
    ada.send("bob", "after");
    // Whatever came while Bob was away comes as state, not as a notice: only what he is shown says that he has it.
    bob.client
        .open(ConversationId::direct(&id("ada"), &id("bob")))
        .unwrap();
    let rows = |events: &[Event]| -> usize {
        let mut rows = Vec::new();
        for event in events {
            if let Event::Timeline { diffs, .. } = event {
                for diff in diffs {
                    diff.apply(&mut rows);
                }
            }
        }
        rows.iter().filter(|row| row.sequence.is_some()).count()
    };
    bob.until("all shown", |events| rows(events) >= 7);
    assert_eq!(rows(&bob.events), 7, "each once");
    assert_eq!(
        server.counters().gateway.early,
        0,
        "a new server knows no ticket"
    );
    // Once each time, and once more for each try that a slow machine let run into its timeout.
    assert!(ada.client.stats().certificates_checked >= 2);
    drop((ada, bob));
    server.stop();
}
