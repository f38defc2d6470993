//! Drain, restart, crash.

use std::time::{Duration, Instant};

use fireside_protocol::{Code, ServerFrame};
use quinn::ConnectionError;

use crate::client::{Fixture, soon};

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_and_every_send_has_an_answer() {
    let mut fixture = Fixture::start();
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let mut bob = network.log_in(&fixture, "bob").await;
    ada.say("bob", "before").await;
    let mut requests = Vec::new();
    for index in 0..5 {
        let send = ada.direct("bob", &format!("in flight {index}"));
        requests.push(ada.frame(send).await);
    }
    let server = fixture.server.take().unwrap();
    let started = Instant::now();
    let stopping = tokio::task::spawn_blocking(move || server.stop());

    let (mut told, mut acked, mut refused) = (false, 0, 0);
    while let Some((request, frame)) = ada.next().await {
        match frame {
            ServerFrame::Draining(_) => told = true,
            ServerFrame::Ack(_) if requests.contains(&request) => acked += 1,
            ServerFrame::Refused(refusal) if requests.contains(&request) => {
                assert!(refusal.code().retryable(), "{:?}", refusal.code());
                refused += 1;
            }
            _ => {}
        }
    }
    assert!(told);
    assert_eq!(acked + refused, requests.len());
    assert_eq!(ada.closed().await, u64::from(Code::Draining.number()));
    assert_eq!(bob.closed().await, u64::from(Code::Draining.number()));
    let _ = bob.next().await;
    soon(stopping).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));

    // What was acknowledged is there in the next life.
    fixture.server = Some(fireside_server::Server::start(fixture.settings.clone()).unwrap());
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    assert_eq!(ada.say("bob", "after").await, 2 + acked as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_life_before_end_at_once() {
    let mut fixture = Fixture::start();
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    ada.say("bob", "one").await;
    fixture.restart(false);
    let started = Instant::now();
    ada.frame(fireside_protocol::frames::Ping { counter: 1 })
        .await;
    let end = soon(ada.connection.closed()).await;
    assert!(matches!(end, ConnectionError::Reset), "{end}");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    assert_eq!(ada.say("bob", "two").await, 2);
}
