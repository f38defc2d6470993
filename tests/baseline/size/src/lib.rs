//! Connects, says one thing, hears one thing, keeps it. Nothing else: what is beyond this is what a chat costs.

use std::{net::SocketAddr, sync::Arc};

use quinn::crypto::rustls::QuicClientConfig;
use serde::{Deserialize, Serialize};

/// All that is said.
#[derive(Debug, Deserialize, Serialize)]
struct Message {
    conversation: [u8; 16],
    sequence: u64,
    text: String,
}

type Failure = Box<dyn std::error::Error>;

async fn talk(server: SocketAddr) -> Result<Message, Failure> {
    let roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let crypto = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(crypto)?));
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([0; 4], 0)))?;
    let connection = endpoint.connect_with(config, server, "localhost")?.await?;
    let (mut send, mut receive) = connection.open_bi().await?;
    let hello = Message {
        conversation: [0; 16],
        sequence: 0,
        text: "hello".to_owned(),
    };
    send.write_all(&rmp_serde::to_vec_named(&hello)?).await?;
    send.finish()?;
    Ok(rmp_serde::from_slice(&receive.read_to_end(65_536).await?)?)
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let message = runtime.block_on(talk(SocketAddr::from(([127, 0, 0, 1], port))))?;
    keep(&message)
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
