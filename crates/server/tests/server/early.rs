//! Early data: a resumed log-in and reads in the first flight, commands not before the handshake.

use fireside_protocol::{ClientFrame, FrameBuffer, ServerFrame, frames::HeadsRequest};

use crate::client::{Client, Fixture, resume, soon, welcome};

#[tokio::test(flavor = "multi_thread")]
async fn resume_reads_and_commands_in_the_first_flight() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut first = network.log_in(&fixture, "ada").await;
    first.say("bob", "one").await;
    let mut second = network.open().await;
    let secret = second
        .hello(&fixture.token("ada"))
        .await
        .unwrap()
        .resume_secret;
    // A ticket may come a moment after the welcome.
    let (connection, accepted) = soon(async {
        loop {
            match network.connecting().into_0rtt() {
                Ok(early) => break early,
                Err(connecting) => drop(connecting.await),
            }
        }
    })
    .await;
    let mut client = Client::open(connection.clone()).await;
    client.user = first.user.clone();
    let resumed = client.frame(resume(&secret)).await;
    let send = client.direct("bob", "two");
    let said = client.frame(send).await;
    // A read beside it, in the same flight.
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
    welcome(client.answer(resumed).await).unwrap();
    let bytes = soon(answer.read_to_end(1 << 20)).await.unwrap();
    let mut buffer = FrameBuffer::new(1 << 20);
    buffer.extend(&bytes);
    let heads = buffer.next_frame().unwrap().unwrap().server().unwrap();
    assert!(matches!(heads, ServerFrame::HeadsPage(page) if page.heads.len() == 1));
    assert!(matches!(client.answer(said).await, ServerFrame::Ack(ack) if ack.sequence == 2));
    let counters = fixture.server().counters().gateway;
    assert_eq!((counters.resumed, counters.early), (1, 1));
}
