//! A bare client: a QUIC connection, a session stream, frames.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fireside_protocol::{
    ALPN, ClientFrame, Code, ConversationId, DeviceId, FrameBuffer, Header, Nonce, ServerFrame,
    TextContent, UserId, VERSION,
    frames::{Hello, PageRequest, Resume, Send, Welcome},
    limits::PAGE_FRAME_BYTES_MAX,
};
use fireside_server::{
    Claims, Fingerprint, RunningServer, Server, Settings, certificate::fingerprint_of,
};
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream,
    crypto::rustls::QuicClientConfig,
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Nothing in these tests takes longer, whatever else the machine does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server in a folder of its own, and what is needed to talk to it.
pub(crate) struct Fixture {
    pub(crate) server: Option<RunningServer>,
    pub(crate) settings: Settings,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::dev(folder.path());
        settings.server.worker_threads = 2;
        change(&mut settings);
        Self {
            server: Some(Server::start(settings.clone()).unwrap()),
            settings,
            _folder: Some(folder),
        }
    }

    pub(crate) fn server(&self) -> &RunningServer {
        self.server.as_ref().unwrap()
    }

    /// Ends the server (gracefully or not) and starts it again on the same port.
    pub(crate) fn restart(&mut self, gracefully: bool) {
        let server = self.server.take().unwrap();
        self.settings.server.listen = server.address();
        if gracefully {
            server.stop();
        } else {
            drop(server);
        }
        self.server = Some(Server::start(self.settings.clone()).unwrap());
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.token_with(user, |_| {})
    }

    pub(crate) fn token_with(&self, user: &str, change: impl FnOnce(&mut Claims)) -> String {
        let now = wall_ms() / 1000;
        let mut claims = Claims {
            sub: user.into(),
            iat: now,
            exp: now + 3600,
            ..Claims::default()
        };
        change(&mut claims);
        self.server().token_keys().sign(None, &claims).unwrap()
    }

    pub(crate) fn network(&self) -> Network {
        Network::new(self.server().address(), self.server().fingerprint())
    }
}

pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_millis() as u64
}

/// A UDP socket and TLS settings with their session tickets.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) endpoint: Endpoint,
    pub(crate) config: ClientConfig,
    pub(crate) address: SocketAddr,
    pub(crate) verified: Arc<AtomicU64>,
}

impl Network {
    pub(crate) fn new(address: SocketAddr, fingerprint: Fingerprint) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verified = Arc::new(AtomicU64::new(0));
        let mut tls = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned {
                fingerprint,
                provider,
                verified: verified.clone(),
            }))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.enable_early_data = true;
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            endpoint,
            config,
            address,
            verified,
        }
    }

    pub(crate) fn connecting(&self) -> quinn::Connecting {
        self.endpoint
            .connect_with(self.config.clone(), self.address, "localhost")
            .unwrap()
    }

    pub(crate) async fn connect(&self) -> Result<Connection, ConnectionError> {
        soon(self.connecting()).await
    }

    /// A connection with its session stream open.
    pub(crate) async fn open(&self) -> Client {
        Client::open(self.connect().await.unwrap()).await
    }

    /// Logged in, without sync.
    pub(crate) async fn log_in(&self, fixture: &Fixture, user: &str) -> Client {
        let mut client = self.open().await;
        client.user = Some(UserId::new(user).unwrap());
        client.hello(&fixture.token(user)).await.unwrap();
        client
    }
}

#[derive(Debug)]
struct Pinned {
    fingerprint: Fingerprint,
    provider: Arc<CryptoProvider>,
    verified: Arc<AtomicU64>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verified.fetch_add(1, Ordering::SeqCst);
        if fingerprint_of(certificate) == self.fingerprint {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate".into()))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A session.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
    pub(crate) buffer: FrameBuffer,
    pub(crate) user: Option<UserId>,
    next_request: u32,
    next_nonce: u8,
}

impl Client {
    pub(crate) async fn open(connection: Connection) -> Self {
        let (mut send, receive) = connection.open_bi().await.unwrap();
        send.write_all(&[1]).await.unwrap();
        Self {
            connection,
            send,
            receive,
            buffer: FrameBuffer::new(PAGE_FRAME_BYTES_MAX),
            user: None,
            next_request: 1,
            next_nonce: 0,
        }
    }

    pub(crate) async fn frame(&mut self, frame: impl Into<ClientFrame>) -> u32 {
        let request = self.next_request;
        self.next_request += 1;
        self.send
            .write_all(&frame.into().encode(request))
            .await
            .unwrap();
        request
    }

    /// The next frame of the session stream; `None` at its end.
    pub(crate) async fn next(&mut self) -> Option<(u32, ServerFrame)> {
        soon(async {
            loop {
                if let Some(raw) = self.buffer.next_frame().unwrap() {
                    return Some((raw.request, raw.server().unwrap()));
                }
                let chunk = self.receive.read_chunk(65_536, true).await.ok()??;
                self.buffer.extend(&chunk.bytes);
            }
        })
        .await
    }

    /// The answer to a request; events on the way are dropped.
    pub(crate) async fn answer(&mut self, request: u32) -> ServerFrame {
        loop {
            let (found, frame) = self.next().await.expect("the answer comes before the end");
            if found == request {
                return frame;
            }
        }
    }

    pub(crate) async fn call(&mut self, frame: impl Into<ClientFrame>) -> ServerFrame {
        let request = self.frame(frame).await;
        self.answer(request).await
    }

    pub(crate) async fn hello(&mut self, token: &str) -> Result<Welcome, Code> {
        welcome(self.call(hello(token)).await)
    }

    pub(crate) async fn resume(&mut self, secret: &Bytes) -> Result<Welcome, Code> {
        welcome(self.call(resume(secret)).await)
    }

    pub(crate) fn direct(&mut self, to: &str, text: &str) -> Send {
        let peer = UserId::new(to).unwrap();
        self.next_nonce += 1;
        Send {
            nonce: Nonce::new(wall_ms(), [self.next_nonce; 10]),
            after: None,
            conversation: ConversationId::direct(self.user.as_ref().unwrap(), &peer),
            peer: Some(peer),
            header: Header::text(),
            content: fireside_protocol::encode(&TextContent::plain(text)).into(),
        }
    }

    /// Sends a text and gives its number.
    pub(crate) async fn say(&mut self, to: &str, text: &str) -> u64 {
        let send = self.direct(to, text);
        match self.call(send).await {
            ServerFrame::Ack(ack) => ack.sequence,
            other => panic!("no ack: {other:?}"),
        }
    }

    /// The text of the next entry.
    pub(crate) async fn hear(&mut self) -> (u64, String) {
        loop {
            if let Some((0, ServerFrame::Entry(entry))) = self.next().await {
                let text: TextContent = fireside_protocol::decode(&entry.content).unwrap();
                return (entry.sequence, text.text);
            }
        }
    }

    /// The application code that the server closes the connection with.
    pub(crate) async fn closed(&self) -> u64 {
        close_code(&soon(self.connection.closed()).await)
    }

    pub(crate) async fn page(&self, request: PageRequest) -> ServerFrame {
        ask_page(&self.connection, request).await
    }
}

pub(crate) async fn ask_page(connection: &Connection, request: PageRequest) -> ServerFrame {
    soon(async {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(&[2]).await.unwrap();
        send.write_all(&ClientFrame::from(request).encode(1))
            .await
            .unwrap();
        send.finish().unwrap();
        let bytes = receive.read_to_end(PAGE_FRAME_BYTES_MAX).await.unwrap();
        let raw = fireside_protocol::RawFrame::from_bytes(&bytes.into(), PAGE_FRAME_BYTES_MAX);
        raw.unwrap().server().unwrap()
    })
    .await
}

pub(crate) fn welcome(frame: ServerFrame) -> Result<Welcome, Code> {
    match frame {
        ServerFrame::Welcome(welcome) => Ok(welcome),
        ServerFrame::Refused(refused) => Err(refused.code()),
        other => panic!("neither welcome nor refusal: {other:?}"),
    }
}

pub(crate) const DEVICE: DeviceId = DeviceId([9; 16]);

pub(crate) fn hello(token: &str) -> Hello {
    Hello {
        version_min: 1,
        version_max: VERSION,
        token: token.into(),
        device: DEVICE,
        agent: "test".into(),
        platform: "linux".into(),
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: true,
    }
}

pub(crate) fn resume(secret: &Bytes) -> Resume {
    Resume {
        version_min: 1,
        version_max: VERSION,
        secret: secret.clone(),
        device: DEVICE,
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: true,
    }
}

pub(crate) fn close_code(error: &ConnectionError) -> u64 {
    match error {
        ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
        other => panic!("not closed by the server: {other}"),
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("in time")
}
