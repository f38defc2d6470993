//! What every client of these libraries has, and nothing of a chat: on a thread of its own it finds the server by its name, connects (with
//! early data if it has a ticket), says something on a stream, hears what comes on streams and in datagrams, and keeps it. What is beyond
//! this is what a chat costs.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use quinn::crypto::rustls::QuicClientConfig;
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet};

/// All that is said.
#[derive(Debug, Deserialize, Serialize)]
struct Message {
    conversation: [u8; 16],
    sequence: u64,
    text: String,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tells what comes on a stream.
async fn hear(mut stream: quinn::RecvStream, hears: mpsc::Sender<Message>) {
    while let Ok(Some(chunk)) = stream.read_chunk(65_536, true).await {
        if let Ok(message) = rmp_serde::from_slice(&chunk.bytes) {
            let _ = hears.send(message).await;
        }
    }
}

async fn talk(
    host: &str,
    port: u16,
    mut says: mpsc::Receiver<Message>,
    hears: mpsc::Sender<Message>,
) -> Result<(), Failure> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut crypto = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    crypto.enable_early_data = true;
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto)?));
    let server = tokio::net::lookup_host((host, port))
        .await?
        .next()
        .ok_or("no address")?;
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([0; 4], 0)))?;
    let connecting = endpoint.connect_with(config, server, host)?;
    let connection = match connecting.into_0rtt() {
        Ok((connection, _)) => connection,
        Err(connecting) => tokio::time::timeout(Duration::from_secs(10), connecting).await??,
    };
    let (mut send, receive) = connection.open_bi().await?;
    let mut streams = JoinSet::new();
    streams.spawn(hear(receive, hears.clone()));
    loop {
        tokio::select! {
            Some(said) = says.recv() => {
                send.write_all(&rmp_serde::to_vec_named(&said)?).await?;
            }
            stream = connection.accept_uni() => {
                streams.spawn(hear(stream?, hears.clone()));
            }
            datagram = connection.read_datagram() => {
                let _ = hears.send(rmp_serde::from_slice(&datagram?)?).await;
            }
            Some(_) = streams.join_next() => {}
            else => {
                send.finish()?;
                endpoint.rebind(UdpSocket::bind(SocketAddr::from(([0; 4], 0)))?)?;
                return Ok(());
            }
        }
    }
}

#[cfg(feature = "cache")]
fn keep(message: &Message) -> Result<(), Failure> {
    let database = rusqlite::Connection::open("baseline.sqlite")?;
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS message (sequence INTEGER PRIMARY KEY, text TEXT)",
    )?;
    database.execute(
        "INSERT INTO message VALUES (?1, ?2)",
        rusqlite::params![message.sequence.cast_signed(), message.text],
    )?;
    Ok(())
}

#[cfg(not(feature = "cache"))]
fn keep(_: &Message) -> Result<(), Failure> {
    Ok(())
}

fn once(port: u16) -> Result<(), Failure> {
    let (say, says) = mpsc::channel(16);
    let (hears, mut heard) = mpsc::channel(16);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(talk("localhost", port, says, hears))
    });
    say.blocking_send(Message {
        conversation: [0; 16],
        sequence: 0,
        text: "hello".to_owned(),
    })?;
    if let Some(message) = heard.blocking_recv() {
        keep(&message)?;
    }
    drop(say);
    thread.join().map_err(|_| "the thread failed")?
}

/// 0: it was said, heard and kept.
#[unsafe(no_mangle)]
pub extern "C" fn baseline_talk(port: u16) -> i32 {
    match std::panic::catch_unwind(|| once(port)) {
        Ok(Ok(())) => 0,
        Ok(Err(_)) => 1,
        Err(_) => 127,
    }
}
