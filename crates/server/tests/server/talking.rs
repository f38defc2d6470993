//! Two users talk; log-ins are resumed; settings are reloaded.

use fireside_protocol::{
    ClientFrame, Code, ConversationId, DeviceId, ServerFrame, UserId,
    frames::{Attention, Hello, PageRequest, Typing},
};

use crate::client::{Fixture, hello, soon, welcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_other_and_is_in_the_page() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let mut bob = network.log_in(&fixture, "bob").await;
    assert_eq!(ada.say("bob", "gg").await, 1);
    assert_eq!(bob.hear().await, (1, "gg".to_owned()));
    assert_eq!(bob.say("ada", "wp").await, 2);
    // The own message comes too; then the answer's.
    assert_eq!(ada.hear().await.1, "gg");
    assert_eq!(ada.hear().await, (2, "wp".to_owned()));

    // A repeat of the nonce has the same answer and no other effect.
    let again = bob.direct("ada", "once");
    let first = bob.call(again.clone()).await;
    let second = bob.call(again).await;
    assert!(
        matches!((&first, &second), (ServerFrame::Ack(a), ServerFrame::Ack(b)) if a.sequence == 3 && b.sequence == 3)
    );

    let conversation =
        ConversationId::direct(&UserId::new("ada").unwrap(), &UserId::new("bob").unwrap());
    let request = PageRequest {
        conversation,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 0,
        since: 0,
        held: Vec::new(),
    };
    let ServerFrame::Page(page) = ada.page(request).await else {
        panic!("no page")
    };
    assert_eq!((page.first, page.last, page.items.len()), (1, 3, 3));
}

/// Of the largest pages, one fills most of a session's queue: what finds no room beside another comes after it, and is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn large_pages_asked_for_at_once_all_come() {
    let fixture = Fixture::with(|settings| {
        settings.limits.rate_direct_per_s = 100_000;
        settings.limits.rate_conversation_per_s = 100_000;
    });
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let text = "x".repeat(2_000);
    for number in 1..=32 {
        assert_eq!(ada.say("bob", &text).await, number);
    }
    let conversation =
        ConversationId::direct(&UserId::new("ada").unwrap(), &UserId::new("bob").unwrap());
    let request = PageRequest {
        conversation,
        anchor: 0,
        number: 0,
        to: 0,
        limit: 500,
        since: 0,
        held: Vec::new(),
    };
    for _ in 0..10 {
        let pages = std::array::from_fn::<_, 6, _>(|_| ada.page(request.clone()));
        let [a, b, c, d, e, f] = pages;
        let pages = tokio::join!(a, b, c, d, e, f);
        let pages: [ServerFrame; 6] = pages.into();
        for page in pages {
            let ServerFrame::Page(page) = page else {
                panic!("no page: {page:?}")
            };
            let bytes: usize = page.items.iter().map(|item| item.0.len()).sum();
            assert!(bytes > 60_000, "{bytes} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_sends_keeps_its_order() {
    let fixture = Fixture::with(|settings| {
        settings.limits.rate_direct_per_s = 100_000;
        settings.limits.rate_conversation_per_s = 100_000;
    });
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let mut waiting = std::collections::VecDeque::new();
    let (mut before, mut last) = (None, 0);
    for index in 0..200 {
        let mut send = ada.direct("bob", &format!("{index}"));
        send.nonce = fireside_protocol::Nonce::new(u64::from(index), [index; 10]);
        send.after = before.replace(send.nonce);
        waiting.push_back(ada.frame(send).await);
        while waiting.len() == 8 {
            let (request, frame) = ada.next().await.unwrap();
            if request == 0 {
                continue;
            }
            let ServerFrame::Ack(ack) = frame else {
                panic!("request {request} was refused: {frame:?}");
            };
            assert_eq!(Some(request), waiting.pop_front());
            assert_eq!(ack.sequence, last + 1);
            last = ack.sequence;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_goes_by_datagram() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let mut bob = network.log_in(&fixture, "bob").await;
    ada.say("bob", "hi").await;
    let conversation = ada.direct("bob", "").conversation;
    let open = vec![conversation];
    assert!(matches!(
        bob.call(Attention { open }).await,
        ServerFrame::Done(_)
    ));
    // A datagram may be lost: it is repeated until it comes.
    let mut counter = 0;
    let datagram = soon(async {
        loop {
            counter += 1;
            let typing = Typing {
                conversation,
                counter,
                on: true,
            };
            let frame = ClientFrame::from(typing).encode(0);
            ada.connection.send_datagram(frame).unwrap();
            let wait = tokio::time::timeout(
                std::time::Duration::from_millis(200),
                bob.connection.read_datagram(),
            );
            if let Ok(datagram) = wait.await {
                return datagram.unwrap();
            }
        }
    })
    .await;
    let raw = fireside_protocol::RawFrame::from_datagram(&datagram).unwrap();
    let ServerFrame::TypingOf(typing) = raw.server().unwrap() else {
        panic!("something else");
    };
    assert_eq!((typing.user.as_str(), typing.on), ("ada", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_comes_unasked_on_a_stream_of_its_own() {
    let fixture = Fixture::start();
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    ada.say("bob", "are you there?").await;
    let mut bob = network.open().await;
    let with_sync = Hello {
        no_sync: false,
        device: DeviceId([3; 16]),
        ..hello(&fixture.token("bob"))
    };
    welcome(bob.call(with_sync).await).unwrap();
    let mut stream = soon(bob.connection.accept_uni()).await.unwrap();
    let bytes = soon(stream.read_to_end(1 << 20)).await.unwrap();
    assert_eq!(bytes[0], 4);
    let mut buffer = fireside_protocol::FrameBuffer::new(1 << 20);
    buffer.extend(&bytes[1..]);
    let mut heads = Vec::new();
    while let Some(raw) = buffer.next_frame().unwrap() {
        if let ServerFrame::HeadsPage(page) = raw.server().unwrap() {
            heads.extend(page.heads);
        }
    }
    buffer.finish().unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!((heads[0].last, heads[0].unread), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_without_a_token() {
    let mut fixture = Fixture::start();
    let network = fixture.network();
    let mut first = network.open().await;
    let secret = first
        .hello(&fixture.token("ada"))
        .await
        .unwrap()
        .resume_secret;
    first.connection.close(0_u32.into(), b"");
    let verified = network.verified.load(std::sync::atomic::Ordering::SeqCst);

    let mut second = network.open().await;
    let again = second.resume(&secret).await.unwrap();
    assert_eq!(again.user.as_str(), "ada");
    assert_ne!(again.resume_secret, secret);
    // The TLS session was resumed too: no certificate was looked at.
    assert_eq!(
        network.verified.load(std::sync::atomic::Ordering::SeqCst),
        verified
    );

    // An unknown secret leaves the connection open for a token.
    let mut third = network.open().await;
    assert_eq!(
        third.resume(&vec![1; 32].into()).await.err(),
        Some(Code::ResumeUnknown)
    );
    third.hello(&fixture.token("ada")).await.unwrap();

    // Another life of the server knows none.
    fixture.restart(true);
    let mut fourth = network.open().await;
    assert_eq!(
        fourth.resume(&again.resume_secret).await.err(),
        Some(Code::ResumeUnknown)
    );
    fourth.hello(&fixture.token("ada")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_limits_are_reloaded() {
    let fixture = Fixture::with(|settings| settings.limits.rate_direct_per_s = 1_000);
    let network = fixture.network();
    let old = fixture.token("ada");
    let mut ada = network.open().await;
    ada.user = UserId::new("ada").ok();
    ada.hello(&old).await.unwrap();
    ada.say("bob", "one").await;

    std::fs::remove_file(fixture.settings.token_keys_path()).unwrap();
    let mut settings = fixture.settings.clone();
    settings.limits.rate_direct_per_s = 1;
    fixture.server().reload(&settings).unwrap();
    let mut client = network.open().await;
    assert_eq!(client.hello(&old).await.err(), Some(Code::TokenInvalid));
    let mut client = network.open().await;
    client.hello(&fixture.token("bob")).await.unwrap();

    // Who is in stays in, under the new rate.
    let mut limited = false;
    for _ in 0..50 {
        let send = ada.direct("bob", "more");
        if let ServerFrame::Refused(refused) = ada.call(send).await {
            assert_eq!(refused.code(), Code::RateLimited);
            assert!(refused.retry_after_ms > 0);
            limited = true;
        }
    }
    assert!(limited);
}

#[test]
fn a_data_folder_has_one_server_at_a_time() {
    let fixture = Fixture::start();
    let second = fireside_server::Server::start(fixture.settings);
    assert!(matches!(second, Err(fireside_server::StartError::InUse(_))));
    drop(fixture.server);
}

#[cfg(unix)]
#[test]
fn messages_and_keys_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::start();
    for entry in std::fs::read_dir(&fixture.settings.server.data).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o077;
        assert!(
            mode == 0 || metadata.len() == 0,
            "{entry:?} has mode {mode:o}"
        );
    }
}
