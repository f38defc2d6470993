//! A link's page, end to end: read over HTTP from a server of the test's own, told behind the message.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use fireside_protocol::{Entry, EntryKind, FacetKind, ServerFrame, content::LinkPreview};

use crate::client::{Client, Fixture};

/// Answers one request after the other with a page that has the path for a title; its port.
fn pages() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                asked.push(byte[0]);
            }
            let asked = String::from_utf8_lossy(&asked).into_owned();
            let path = asked.split(' ').nth(1).unwrap_or_default();
            let page = format!("<title>{path}</title>");
            let length = page.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{page}"
            );
        }
    });
    port
}

async fn next_entry(client: &mut Client) -> Entry {
    loop {
        if let Some((0, ServerFrame::Entry(entry))) = client.next().await {
            return entry;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_behind_its_message() {
    let fixture = Fixture::with(|settings| {
        settings.previews.enabled = true;
        settings.previews.http = true;
        settings.previews.other_ports = true;
        settings.previews.danger_reach_own_network = true;
    });
    let network = fixture.network();
    let mut ada = network.log_in(&fixture, "ada").await;
    let mut bob = network.log_in(&fixture, "bob").await;
    let link = format!("http://127.0.0.1:{}/hall", pages());
    assert_eq!(ada.say("bob", &format!("see {link}!")).await, 1);
    let said = next_entry(&mut bob).await;
    assert_eq!((said.kind, said.facets.len()), (EntryKind::Message, 0));
    let told = next_entry(&mut bob).await;
    assert_eq!(
        (told.kind, told.sequence, told.target),
        (EntryKind::Preview, 2, 1)
    );
    let preview: LinkPreview = told.facet(FacetKind::Preview).unwrap();
    assert_eq!(
        (&*preview.url, &*preview.title, &*preview.site),
        (&*link, "/hall", "127.0.0.1")
    );
    let counted = fixture.server().counters();
    assert_eq!(
        (counted.gateway.previews_read, counted.node.previews_added),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_not_told_to_calls_nobody() {
    for enabled in [false, true] {
        let fixture = Fixture::with(|settings| {
            settings.previews.enabled = enabled;
            settings.previews.http = true;
            settings.previews.other_ports = true;
        });
        let network = fixture.network();
        let mut ada = network.log_in(&fixture, "ada").await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        ada.say("bob", &format!("http://127.0.0.1:{port}/")).await;
        // Off it is not asked for; on it is refused, for its address.
        while enabled && fixture.server().counters().gateway.previews_failed == 0 {
            tokio::task::yield_now().await;
        }
        let counted = fixture.server().counters();
        assert_eq!(counted.node.previews_wanted, u64::from(enabled));
        assert_eq!(counted.node.previews_added, 0);
        assert!(listener.accept().is_err(), "nobody called");
    }
}
