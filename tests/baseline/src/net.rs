//! Endpoints with given transport settings. The client checks the server's signature but not who signed its certificate:
//! the same work as with a pinned certificate.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use quinn::{
    AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
    udp::UdpSocketState,
};
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use tokio::sync::Notify;

/// Transport settings. The defaults are the product's.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TransportArgs {
    /// Bidirectional streams the peer may have open.
    #[arg(long, default_value_t = 64, global = true)]
    bidi: u32,
    /// One-way streams the peer may have open.
    #[arg(long, default_value_t = 4, global = true)]
    uni: u32,
    /// Unread bytes of a stream.
    #[arg(long, default_value_t = 128 * 1024, global = true)]
    stream_window: u32,
    /// Unread bytes of a connection.
    #[arg(long, default_value_t = 512 * 1024, global = true)]
    receive_window: u32,
    /// Unacknowledged bytes of a connection.
    #[arg(long, default_value_t = 256 * 1024, global = true)]
    send_window: u64,
    /// Bytes of unread and of unsent datagrams.
    #[arg(long, default_value_t = 16 * 1024, global = true)]
    datagrams: usize,
    /// Bytes of handshake data out of order.
    #[arg(long, default_value_t = 8 * 1024, global = true)]
    crypto_buffer: usize,
    /// Client keep-alive in ms.
    #[arg(long, default_value_t = 15_000, global = true)]
    keep_alive_ms: u64,
    /// Idle timeout in ms.
    #[arg(long, default_value_t = 45_000, global = true)]
    idle_ms: u32,
    /// First packet size to assume.
    #[arg(long, default_value_t = 1_200, global = true)]
    initial_mtu: u16,
    /// Largest packet size to try.
    #[arg(long, default_value_t = 1_452, global = true)]
    mtu: u16,
    /// Size of the sockets' kernel buffers in bytes.
    #[arg(long, default_value_t = 4 * 1024 * 1024, global = true)]
    socket_buffer: usize,
    /// TLS sessions the server keeps for resumption.
    #[arg(long, default_value_t = 20_000, global = true)]
    tls_sessions: usize,
}

impl TransportArgs {
    /// What quinn makes of them.
    pub(crate) fn transport(&self) -> anyhow::Result<TransportConfig> {
        let mut transport = TransportConfig::default();
        let mut discovery = quinn::MtuDiscoveryConfig::default();
        discovery.upper_bound(self.mtu);
        transport
            .max_concurrent_bidi_streams(self.bidi.into())
            .max_concurrent_uni_streams(self.uni.into())
            .stream_receive_window(self.stream_window.into())
            .receive_window(self.receive_window.into())
            .send_window(self.send_window)
            .datagram_receive_buffer_size(Some(self.datagrams))
            .datagram_send_buffer_size(self.datagrams)
            .crypto_buffer_size(self.crypto_buffer)
            .initial_mtu(self.initial_mtu)
            .mtu_discovery_config(Some(discovery))
            .max_idle_timeout(Some(VarInt::from_u32(self.idle_ms).into()));
        Ok(transport)
    }
}

/// Makes endpoints.
#[derive(Debug)]
pub(crate) struct Net {
    /// The settings.
    pub(crate) args: TransportArgs,
    /// The server's.
    pub(crate) transport: Arc<TransportConfig>,
}

impl Net {
    fn socket(&self) -> anyhow::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new((&socket).into())?;
        state.set_recv_buffer_size((&socket).into(), self.args.socket_buffer)?;
        state.set_send_buffer_size((&socket).into(), self.args.socket_buffer)?;
        Ok(TokioRuntime.wrap_udp_socket(socket)?)
    }

    /// A server on a free port of the loopback address, which it prints.
    #[expect(clippy::print_stdout, reason = "whoever started it reads the address")]
    pub(crate) fn server(&self) -> anyhow::Result<quinn::Endpoint> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())?;
        tls.alpn_protocols = vec![b"baseline".to_vec()];
        tls.session_storage = rustls::server::ServerSessionMemoryCache::new(self.args.tls_sessions);
        tls.max_early_data_size = u32::MAX;
        let mut config =
            quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
        config.transport_config(Arc::clone(&self.transport));
        let socket = self.socket()?;
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            Some(config),
            socket,
            Arc::new(TokioRuntime),
        )?;
        println!(
            "{}",
            serde_json::json!({ "listening": endpoint.local_addr()?.to_string() })
        );
        Ok(endpoint)
    }

    /// A client's socket.
    pub(crate) fn client(&self) -> anyhow::Result<quinn::Endpoint> {
        Ok(quinn::Endpoint::new_with_abstract_socket(
            EndpointConfig::default(),
            None,
            self.socket()?,
            Arc::new(TokioRuntime),
        )?)
    }

    /// What a client connects with.
    pub(crate) fn client_config(
        &self,
        tickets: &Arc<Tickets>,
    ) -> anyhow::Result<quinn::ClientConfig> {
        let provider = provider();
        let verifier = Arc::new(SignatureOnly {
            provider: Arc::clone(&provider),
            tickets: Arc::clone(tickets),
        });
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"baseline".to_vec()];
        tls.resumption = rustls::client::Resumption::store(Arc::<Tickets>::clone(tickets));
        let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        let mut transport = self.args.transport()?;
        transport.keep_alive_interval(Some(Duration::from_millis(self.args.keep_alive_ms)));
        config.transport_config(Arc::new(transport));
        Ok(config)
    }

    /// `sockets` client sockets and one configuration.
    pub(crate) fn clients(&self, sockets: usize) -> anyhow::Result<Clients> {
        let endpoints = (0..sockets.max(1))
            .map(|_| self.client())
            .collect::<anyhow::Result<_>>()?;
        Ok(Clients {
            endpoints,
            config: self.client_config(&Arc::default())?,
        })
    }
}

/// Client sockets that share the connections.
#[derive(Debug)]
pub(crate) struct Clients {
    endpoints: Vec<quinn::Endpoint>,
    config: quinn::ClientConfig,
}

impl Clients {
    /// The connection number `index`.
    pub(crate) async fn connect(
        &self,
        index: usize,
        server: SocketAddr,
    ) -> anyhow::Result<quinn::Connection> {
        let endpoint = self
            .endpoints
            .get(index % self.endpoints.len())
            .context("no socket")?;
        Ok(endpoint
            .connect_with(self.config.clone(), server, "localhost")?
            .await?)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    // As the server has it.
    let mut provider = rustls::crypto::ring::default_provider();
    let preferred = rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
    provider
        .cipher_suites
        .sort_by_key(|suite| suite.suite() != preferred);
    Arc::new(provider)
}

/// Tickets of one server; says when one comes and counts handshakes in full.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    kept: Mutex<VecDeque<Tls13ClientSessionValue>>,
    /// A ticket came.
    pub(crate) came: Notify,
    /// How often a certificate was looked at.
    pub(crate) verified: AtomicU64,
}

impl Tickets {
    /// Whether there is one.
    pub(crate) fn any(&self) -> bool {
        !self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Tickets kept per server: rustls sends two a handshake.
const TICKETS_MAX: usize = 8;

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == TICKETS_MAX {
            kept.pop_front();
        }
        kept.push_back(value);
        drop(kept);
        self.came.notify_one();
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_back()
    }
}

/// Checks that the server holds its certificate's key, not whose it is.
#[derive(Debug)]
struct SignatureOnly {
    provider: Arc<rustls::crypto::CryptoProvider>,
    tickets: Arc<Tickets>,
}

impl rustls::client::danger::ServerCertVerifier for SignatureOnly {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        self.tickets.verified.fetch_add(1, Ordering::Relaxed);
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
