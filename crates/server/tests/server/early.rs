//! Early data: a resumed log-in and reads in the first flight, commands not before the handshake.

use bytes::Bytes;
use fireside_protocol::{ClientFrame, FrameBuffer, ServerFrame, frames::HeadsRequest};

use crate::client::{Client, Fixture, Network, resume, soon, welcome};

/// Connects with early data; a ticket may come a moment after the welcome.
async fn connect_early(network: &Network) -> (quinn::Connection, quinn::ZeroRttAccepted) {
    soon(async {
        loop {
            match network.connecting().into_0rtt() {
                Ok(early) => return early,
                Err(connecting) => drop(connecting.await),
            }
        }
    })
    .await
}

/// Resumes, sends and reads in one flight. Gives the message's number and the next secret.
async fn one_flight(network: &Network, secret: &Bytes, user: &str, text: &str) -> (u64, Bytes) {
    let (connection, accepted) = connect_early(network).await;
    let mut client = Client::open(connection.clone()).await;
    client.user = fireside_protocol::UserId::new(user).ok();
    let resumed = client.frame(resume(secret)).await;
    let mut send = client.direct("bob", text);
    send.nonce = fireside_protocol::Nonce::new(text.len() as u64, [text.len() as u8; 10]);
    let said = client.frame(send).await;
    let (mut page, mut answer) = connection.open_bi().await.unwrap();
    page.write_all(&[2]).await.unwrap();
    let request = HeadsRequest {
        since: 0,
        before_at: 0,
        before: None,
        limit: 0,
        only: Vec::new(),
    };
    page.write_all(&ClientFrame::from(request).encode(1))
        .await
        .unwrap();
    page.finish().unwrap();

    assert!(soon(accepted).await, "the server takes early data");
    let secret = welcome(client.answer(resumed).await).unwrap().resume_secret;
    let bytes = soon(answer.read_to_end(1 << 20)).await.unwrap();
    let mut buffer = FrameBuffer::new(1 << 20);
    buffer.extend(&bytes);
    let heads = buffer.next_frame().unwrap().unwrap().server().unwrap();
    assert!(matches!(heads, ServerFrame::HeadsPage(page) if page.heads.len() == 1));
    let ServerFrame::Ack(ack) = client.answer(said).await else {
        panic!("no ack");
    };
    (ack.sequence, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_reads_and_commands_in_the_first_flight() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut first = network.log_in(&fixture, "ada").await;
    assert_eq!(first.say("bob", "one").await, 1);
    let mut second = network.open().await;
    let welcome = second.hello(&fixture.token("ada")).await.unwrap();
    let mut secret = welcome.resume_secret;
    // Whether the server gets to the flight before or after the end of the handshake is up to the machine.
    for round in 1..=20 {
        let text = "x".repeat(round);
        let (sequence, next) = one_flight(&network, &secret, "ada", &text).await;
        assert_eq!(sequence, 1 + round as u64);
        secret = next;
        let counters = fixture.server().counters().gateway;
        assert_eq!(counters.resumed, round as u64);
        if counters.early > 0 {
            return;
        }
    }
    panic!("no log-in of 20 was early");
}
