//! Bad tokens, garbage, floods: each ends its own connection and no other.

use std::time::Duration;

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, ServerFrame,
    envelope::encode_frame,
    frames::{Attention, PageRequest, Ping, SetToken},
};

use crate::client::{Fixture, close_code, hello, soon, wall_ms, welcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_log_in_says_why_and_ends() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let now = wall_ms() / 1000;
    let cases = [
        ("garbage".to_owned(), Code::TokenInvalid),
        (fixture.token("ada").replace('.', "x"), Code::TokenInvalid),
        (
            fixture.token_with("ada", |claims| claims.exp = now - 61),
            Code::TokenExpired,
        ),
        (
            fixture.token_with("ada", |claims| claims.nbf = Some(now + 90)),
            Code::TokenNotYetValid,
        ),
        (fixture.token_with("a\nb", |_| {}), Code::TokenInvalid),
    ];
    for (token, code) in cases {
        let mut client = network.open().await;
        assert_eq!(client.hello(&token).await.err(), Some(code));
        assert_eq!(client.closed().await, u64::from(code.number()));
    }
    let mut client = network.open().await;
    let unspoken = fireside_protocol::frames::Hello {
        version_min: 7,
        version_max: 9,
        ..hello(&fixture.token("ada"))
    };
    assert_eq!(
        welcome(client.call(unspoken).await).err(),
        Some(Code::VersionUnsupported)
    );
    assert_eq!(
        client.closed().await,
        u64::from(Code::VersionUnsupported.number())
    );
    // Nothing of this disturbs others; a newer client is met half-way.
    let mut client = network.open().await;
    let newer = fireside_protocol::frames::Hello {
        version_max: 9,
        ..hello(&fixture.token("ada"))
    };
    assert_eq!(welcome(client.call(newer).await).unwrap().version, 1);
    assert_eq!(fixture.server().counters().gateway.log_ins_refused, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_pings_before_the_log_in() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut client = network.open().await;
    assert!(
        matches!(client.call(Ping { counter: 5 }).await, ServerFrame::Pong(pong) if pong.counter == 5)
    );
    let refused = client.call(Attention { open: Vec::new() }).await;
    assert!(
        matches!(refused, ServerFrame::Refused(refused) if refused.code() == Code::NotLoggedIn)
    );
    assert_eq!(client.closed().await, u64::from(Code::NotLoggedIn.number()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_log_in_is_closed() {
    let fixture = Fixture::with(|settings| settings.limits.login_ms = 300);
    let network = fixture.network();
    let silent = network.connect().await.unwrap();
    let half = network.open().await;
    for connection in [silent, half.connection.clone()] {
        let code = close_code(&soon(connection.closed()).await);
        assert_eq!(code, u64::from(Code::NotLoggedIn.number()));
    }
    // Who is logged in stays.
    let mut client = network.log_in(&fixture, "ada").await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(matches!(
        client.call(Ping { counter: 1 }).await,
        ServerFrame::Pong(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_connection_with_its_code() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut witness = network.log_in(&fixture, "witness").await;
    let cases: [(Bytes, Code); 6] = [
        (
            Bytes::from_static(&[0, 0, 0, 5, 0, 3, 0, 0, 0, 0]),
            Code::BadFrame,
        ),
        (Bytes::from_static(&[0xff; 32]), Code::FrameTooLarge),
        (
            encode_frame(3, 4, |body| body.extend([0xc1])),
            Code::BadBody,
        ),
        (
            encode_frame(3, 4, |body| body.extend([0x80, 0x80])),
            Code::BadBody,
        ),
        (encode_frame(16, 4, |body| body.push(0x80)), Code::BadBody),
        (Bytes::from_static(&[0, 1, 0, 0, 0, 3]), Code::FrameTooLarge),
    ];
    for (index, (bytes, code)) in cases.into_iter().enumerate() {
        let mut client = network.log_in(&fixture, "mallory").await;
        client.send.write_all(&bytes).await.unwrap();
        let (request, frame) = client.next().await.unwrap();
        let expected = if code == Code::BadBody { 4 } else { 0 };
        assert_eq!(request, expected, "case {index}");
        assert!(
            matches!(&frame, ServerFrame::Refused(refused) if refused.code() == code),
            "case {index}: {frame:?}"
        );
        assert_eq!(
            client.closed().await,
            u64::from(code.number()),
            "case {index}"
        );
    }
    // A stream that ends inside a frame.
    let mut client = network.log_in(&fixture, "mallory").await;
    client.send.write_all(&[0, 0, 0]).await.unwrap();
    client.send.finish().unwrap();
    assert_eq!(client.closed().await, u64::from(Code::BadFrame.number()));
    // A page stream with garbage.
    let client = network.log_in(&fixture, "mallory").await;
    let (mut send, _receive) = client.connection.open_bi().await.unwrap();
    send.write_all(&[2, 1, 2, 3]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(client.closed().await, u64::from(Code::BadFrame.number()));
    // What can not become one frame ends before the stream does: a length over the limit, a second frame.
    let devices = encode_frame(52, 1, |body| body.push(0x80));
    for (bytes, code) in [
        (vec![2, 0, 1, 0, 0, 0, 48], Code::FrameTooLarge),
        ([&[2][..], &devices, &[0]].concat(), Code::BadFrame),
    ] {
        let mut client = network.log_in(&fixture, "mallory").await;
        let (mut send, _receive) = client.connection.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        // The reason comes on the session stream, without a request's id.
        assert!(
            matches!(client.answer(0).await, ServerFrame::Refused(refused) if refused.code() == code)
        );
        assert_eq!(client.closed().await, u64::from(code.number()));
    }

    assert!(matches!(
        witness.call(Ping { counter: 1 }).await,
        ServerFrame::Pong(_)
    ));
    assert_eq!(fixture.server().counters().gateway.bad_frames, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_no_reason_to_end() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let connection = network.connect().await.unwrap();
    // A stream of a later version first, then the session.
    let (mut later, mut answer) = connection.open_bi().await.unwrap();
    later.write_all(&[77, 1, 2, 3]).await.unwrap();
    let mut client = crate::client::Client::open(connection).await;
    assert!(soon(answer.read_to_end(10)).await.is_err());
    client.hello(&fixture.token("ada")).await.unwrap();
    // Unknown events are skipped, unknown requests refused.
    client
        .send
        .write_all(&encode_frame(63, 0, |body| body.push(0x80)))
        .await
        .unwrap();
    client
        .send
        .write_all(&encode_frame(63, 12, |body| body.push(0x80)))
        .await
        .unwrap();
    assert!(matches!(
        client.answer(12).await,
        ServerFrame::Refused(refused) if refused.code() == Code::UnknownRequest
    ));
    // Datagrams may be anything.
    for datagram in [&[0xff; 40][..], &[], &[0, 0, 0, 7, 0, 21, 0, 0, 0, 0, 0x80]] {
        client
            .connection
            .send_datagram(Bytes::copy_from_slice(datagram))
            .unwrap();
    }
    // A page stream with something else.
    let (mut send, mut receive) = client.connection.open_bi().await.unwrap();
    send.write_all(&[2]).await.unwrap();
    send.write_all(&encode_frame(61, 3, |body| body.push(0x80)))
        .await
        .unwrap();
    send.finish().unwrap();
    let bytes = soon(receive.read_to_end(1000)).await.unwrap();
    assert_eq!(bytes.get(4..10), Some(&[0, 65, 0, 0, 0, 3][..]));
    assert!(matches!(
        client.call(Ping { counter: 1 }).await,
        ServerFrame::Pong(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_users_token_is_refused_a_new_one_taken() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut client = network.log_in(&fixture, "ada").await;
    let code = |frame| match frame {
        ServerFrame::Refused(refused) => Some(refused.code()),
        ServerFrame::Done(_) => None,
        other => panic!("{other:?}"),
    };
    let other = SetToken {
        token: fixture.token("bob"),
    };
    assert_eq!(code(client.call(other).await), Some(Code::TokenOtherUser));
    let bad = SetToken { token: "x".into() };
    assert_eq!(code(client.call(bad).await), Some(Code::TokenInvalid));
    let good = SetToken {
        token: fixture.token("ada"),
    };
    assert_eq!(code(client.call(good).await), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_not_read_either() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut greedy = network.log_in(&fixture, "greedy").await;
    // Answers of 30 bytes for questions of 15; after the client's window and the session's queue are full the server stops reading.
    let question = fireside_protocol::ClientFrame::from(Ping { counter: 1 })
        .encode(7)
        .repeat(1_000);
    let mut written = 0;
    let stuck = loop {
        match tokio::time::timeout(Duration::from_secs(2), greedy.send.write_all(&question)).await {
            Ok(done) => {
                done.unwrap();
                written += question.len();
                if written > 64 << 20 {
                    break false;
                }
            }
            Err(_) => break true,
        }
    };
    assert!(
        stuck,
        "{written} bytes were read of a client that reads nothing"
    );
    let mut other = network.log_in(&fixture, "other").await;
    assert!(matches!(
        other.call(Ping { counter: 1 }).await,
        ServerFrame::Pong(_)
    ));
    // It reads after all: everything is answered.
    let mut pongs = 0;
    while pongs < 10_000 {
        assert!(matches!(
            greedy.next().await,
            Some((7, ServerFrame::Pong(_)))
        ));
        pongs += 1;
    }
    let nowhere = PageRequest {
        conversation: ConversationId([1; 16]),
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    assert!(
        matches!(other.page(nowhere).await, ServerFrame::Refused(refused) if refused.code() == Code::NotFound)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_a_crowd_show_their_address_first() {
    let fixture = Fixture::with(|settings| settings.transport.handshakes_retry_above = 0);
    let network = fixture.network();
    let mut client = network.log_in(&fixture, "ada").await;
    assert!(matches!(
        client.call(Ping { counter: 1 }).await,
        ServerFrame::Pong(_)
    ));
    let counters = fixture.server().counters().gateway;
    assert_eq!((counters.retried, counters.accepted), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_at_once_and_takes_again() {
    let fixture = Fixture::with(|settings| settings.transport.connections_max = 2);
    let network = fixture.network();
    let one = network.log_in(&fixture, "one").await;
    let _two = network.log_in(&fixture, "two").await;
    assert!(matches!(
        network.connect().await,
        Err(quinn::ConnectionError::ConnectionClosed(_))
    ));
    one.connection.close(0_u32.into(), b"");
    soon(async {
        while network.connect().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(fixture.server().counters().gateway.refused >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_can_not_take_the_room_of_all() {
    let fixture = Fixture::with(|settings| {
        settings.transport.connections_per_address_max = 2;
        // All handshakes below may run at once.
        settings.transport.handshakes_retry_above = 100;
    });
    let network = fixture.network();
    // Handshakes under way do not count: their address is not shown yet. So of many at once only two stay, and the rest end with a
    // code that says "later".
    let tries: Vec<_> = (0..6)
        .map(|_| {
            let connecting = network.connecting();
            tokio::spawn(async move { soon(connecting).await })
        })
        .collect();
    let mut connections = Vec::new();
    for connecting in tries {
        // Who comes when two are there is refused by the transport.
        connections.extend(connecting.await.unwrap().ok());
    }
    let overloaded = u64::from(Code::Overloaded.number());
    soon(async {
        loop {
            let reasons = connections.iter().filter_map(|it| it.close_reason());
            let ended: Vec<u64> = reasons.map(|reason| close_code(&reason)).collect();
            assert!(ended.iter().all(|code| *code == overloaded), "{ended:?}");
            if connections.len() - ended.len() == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // And from then on at once.
    assert!(matches!(
        network.connect().await,
        Err(quinn::ConnectionError::ConnectionClosed(close))
            if close.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED
    ));
    // Until one of them goes.
    connections.retain(|it| it.close_reason().is_none());
    connections[0].close(0_u32.into(), b"");
    let again = soon(async {
        loop {
            match network.connect().await {
                Ok(connection) => return connection,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let mut client = crate::client::Client::open(again).await;
    client.hello(&fixture.token("ada")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_the_session_stream_off_is_told_by_a_code() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let bad_frame = u64::from(Code::BadFrame.number());
    let mut resets = network.log_in(&fixture, "ada").await;
    resets.send.reset(7_u32.into()).unwrap();
    assert_eq!(resets.closed().await, bad_frame);
    let mut stops = network.log_in(&fixture, "bob").await;
    stops.receive.stop(7_u32.into()).unwrap();
    // The server notices when it writes.
    stops.frame(Ping { counter: 1 }).await;
    assert_eq!(stops.closed().await, bad_frame);
    // Who finishes it has no more to ask, and stays.
    let mut quiet = network.log_in(&fixture, "carl").await;
    quiet.send.finish().unwrap();
    let page = PageRequest {
        conversation: ConversationId([1; 16]),
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    assert!(matches!(quiet.page(page).await, ServerFrame::Refused(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_on_a_page_stream_is_small() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let client = network.log_in(&fixture, "ada").await;
    let (mut send, _receive) = client.connection.open_bi().await.unwrap();
    let mut large = vec![0; fireside_protocol::limits::PAGE_REQUEST_BYTES_MAX + 1];
    let length = large.len() as u32 - 4;
    large[..4].copy_from_slice(&length.to_be_bytes());
    send.write_all(&[2]).await.unwrap();
    let _ = send.write_all(&large).await;
    assert_eq!(
        client.closed().await,
        u64::from(Code::FrameTooLarge.number())
    );
}
