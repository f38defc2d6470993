//! QUIC as this server uses it: TLS 1.3 over ring, small windows, early data, a UDP socket with room.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{IdleTimeout, ServerConfig, TransportConfig, VarInt, crypto::rustls::QuicServerConfig};
use rustls::server::{NoServerSessionStorage, ServerSessionMemoryCache, StoresServerSessions};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{certificate::CertificateHolder, keys::TransportKeys, settings::TransportSettings};

/// Resumption tickets that a client gets per connection: one to come back with, one if that connection fails too.
const TICKETS_PER_CONNECTION: usize = 2;
/// A server that was restarted answers packets of its old connections; at most one answer in this time.
const RESET_INTERVAL: Duration = Duration::from_micros(100);

/// The ring provider; never the process default. AES-128 with SHA-256 comes first: every log-in hashes some dozen times, and SHA-256
/// has instructions of its own.
#[must_use]
pub fn crypto_provider() -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    let preferred = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != preferred);
    Arc::new(provider)
}

/// The transport part, also for baselines: connections that are compared have the same settings.
#[must_use]
pub fn transport_config(settings: &TransportSettings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::from(VarInt::from_u32(
        u32::try_from(settings.idle_timeout_ms).unwrap_or(u32::MAX),
    ));
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(settings.bidi_streams_max))
        // Clients open none, and what nobody reads would only be held.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(settings.stream_receive_window))
        .receive_window(VarInt::from_u32(settings.receive_window))
        .send_window(u64::from(settings.send_window))
        .datagram_receive_buffer_size(Some(settings.datagram_receive_bytes))
        .datagram_send_buffer_size(settings.datagram_send_bytes)
        .crypto_buffer_size(settings.crypto_buffer_bytes)
        .max_idle_timeout(Some(idle));
    transport
}

/// The server's QUIC configuration.
///
/// # Errors
/// What rustls says; only if the provider lacks TLS 1.3's first cipher suite.
pub fn server_config(
    settings: &TransportSettings,
    certificate: Arc<CertificateHolder>,
    keys: &TransportKeys,
) -> io::Result<ServerConfig> {
    let mut tls = rustls::ServerConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    tls.ignore_client_order = true;
    tls.alpn_protocols = vec![fireside_protocol::ALPN.to_vec()];
    // rustls gives early data only with stateful tickets, so no ticketer: what a ticket stands for is kept here, for every connection.
    let sessions: Arc<dyn StoresServerSessions> = if settings.connections_max == 0 {
        Arc::new(NoServerSessionStorage {})
    } else {
        ServerSessionMemoryCache::new(settings.connections_max * TICKETS_PER_CONNECTION)
    };
    tls.session_storage = sessions;
    tls.send_tls13_tickets = TICKETS_PER_CONNECTION;
    tls.max_early_data_size = if settings.early_data { u32::MAX } else { 0 };
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;

    let mut config = ServerConfig::new(Arc::new(tls), Arc::new(keys.address_token_key()));
    config
        .transport_config(Arc::new(transport_config(settings)))
        .migration(true)
        // Connection attempts that the accept loop has not looked at, and their bytes.
        .max_incoming(settings.handshakes_max)
        .incoming_buffer_size(16 * 1024)
        .incoming_buffer_size_total(16 * 1024 * 1024);
    Ok(config)
}

/// The endpoint's configuration.
#[must_use]
pub fn endpoint_config(keys: &TransportKeys) -> quinn::EndpointConfig {
    let mut config = keys.endpoint_config();
    config.min_reset_interval(RESET_INTERVAL);
    config
}

/// Binds the UDP socket.
///
/// # Errors
/// What the system said.
pub fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // One socket for both where the system has it.
        if let Err(error) = socket.set_only_v6(false) {
            tracing::debug!(%error, "the socket takes IPv6 only");
        }
    }
    // A burst of reconnects must fit; what the system cuts is told by `fireside doctor`.
    for result in [
        socket.set_recv_buffer_size(buffer_bytes),
        socket.set_send_buffer_size(buffer_bytes),
    ] {
        if let Err(error) = result {
            tracing::warn!(%error, buffer_bytes, "the socket's buffer keeps its size");
        }
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
