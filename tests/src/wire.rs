//! A bare client: frames over QUIC and nothing else. No cache, no outbox, no retries: what the proofs compare the product with,
//! and what they load the server with.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use fireside_protocol::{
    ALPN, ClientFrame, Code, ConversationId, DeviceId, Entry, FrameBuffer, Header, Nonce,
    ServerFrame, TextContent, UserId, VERSION, decode, encode,
    frames::{Ack, Anchor, Hello, Page, PageRequest, Range, Refused, Send, Welcome},
    limits::{FRAME_BYTES_MAX, PAGE_FRAME_BYTES_MAX},
};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use crate::chance::Chance;

/// Events kept for whoever looks at them; more are dropped.
const EVENTS_MAX: usize = 4_096;
/// How long an answer may take before a proof gives up.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Accepts the one certificate whose fingerprint is known, and counts how often it was asked.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    asked: Arc<AtomicU64>,
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
        self.asked.fetch_add(1, Ordering::Relaxed);
        if sha256(certificate) == self.fingerprint {
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
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Where a server is and how it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Target {
    /// Its address, or a proxy's.
    pub address: SocketAddr,
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
}

/// Makes connections to one server from one local socket, with one TLS session cache.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    target: Target,
    asked: Arc<AtomicU64>,
}

impl Dialer {
    /// A dialer with a socket of its own. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When no socket can be had.
    pub fn new(target: Target) -> anyhow::Result<Self> {
        Self::with_transport(target, quinn::TransportConfig::default())
    }

    /// A dialer whose connections let the server send this many bytes on a stream before they are read.
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub fn with_window(target: Target, bytes: u32) -> anyhow::Result<Self> {
        let mut transport = quinn::TransportConfig::default();
        transport.stream_receive_window(bytes.into());
        Self::with_transport(target, transport)
    }

    fn with_transport(target: Target, transport: quinn::TransportConfig) -> anyhow::Result<Self> {
        let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Self::over(target, transport, endpoint)
    }

    /// A dialer over this endpoint, with these settings but for keep-alive and idle timeout.
    ///
    /// # Errors
    /// As [`Dialer::new`].
    pub fn over(
        target: Target,
        mut transport: quinn::TransportConfig,
        mut endpoint: Endpoint,
    ) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let asked = Arc::new(AtomicU64::new(0));
        let pinned = Pinned {
            fingerprint: target.fingerprint,
            provider: Arc::clone(&provider),
            asked: Arc::clone(&asked),
        };
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.enable_early_data = true;
        let quic = quinn::crypto::rustls::QuicClientConfig::try_from(tls)?;
        let mut config = quinn::ClientConfig::new(Arc::new(quic));
        transport.keep_alive_interval(Some(Duration::from_secs(15)));
        transport.max_idle_timeout(Some(Duration::from_secs(45).try_into()?));
        config.transport_config(Arc::new(transport));
        endpoint.set_default_client_config(config);
        Ok(Self {
            endpoint,
            target,
            asked,
        })
    }

    /// A QUIC connection, not logged in.
    ///
    /// # Errors
    /// When the handshake fails or takes longer than [`ANSWER_TIMEOUT`].
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        let connecting = self.endpoint.connect(self.target.address, "localhost")?;
        Ok(timeout(ANSWER_TIMEOUT, connecting)
            .await
            .context("the handshake")??)
    }

    /// A handshake that may never end.
    ///
    /// # Errors
    /// When it can not begin.
    pub fn begin(&self) -> anyhow::Result<quinn::Connecting> {
        Ok(self.endpoint.connect(self.target.address, "localhost")?)
    }

    /// How often a certificate was checked: not at all in a resumed handshake.
    #[must_use]
    pub fn certificates_checked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Done and durable.
    Acked(Ack),
    /// Refused.
    Refused(Refused),
}

impl Outcome {
    /// The ack.
    ///
    /// # Errors
    /// When it was refused.
    pub fn ack(self) -> anyhow::Result<Ack> {
        match self {
            Self::Acked(ack) => Ok(ack),
            Self::Refused(refused) => bail!("refused: {}", refused.code()),
        }
    }
}

/// The server said no to a log-in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginRefused {
    /// Why.
    pub code: Code,
    /// When to try again, in ms; 0 not said.
    pub retry_after_ms: u64,
}

impl std::fmt::Display for LoginRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "log-in refused: {}, again in {} ms",
            self.code, self.retry_after_ms
        )
    }
}

impl std::error::Error for LoginRefused {}

type Waiting = Arc<Mutex<HashMap<u32, oneshot::Sender<ServerFrame>>>>;

/// A logged-in session.
#[derive(Debug)]
pub struct Wire {
    connection: Connection,
    out: tokio::sync::Mutex<SendStream>,
    waiting: Waiting,
    requests: AtomicU32,
    events: tokio::sync::Mutex<mpsc::Receiver<ServerFrame>>,
    user: UserId,
}

impl Wire {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When there is no connection, or the log-in is refused.
    pub async fn log_in(
        dialer: &Dialer,
        token: &str,
        device: DeviceId,
    ) -> anyhow::Result<(Self, Welcome)> {
        Self::hello(dialer, hello(token, device)).await
    }

    /// Connects and logs in with this hello.
    ///
    /// # Errors
    /// As [`Wire::log_in`].
    pub async fn hello(dialer: &Dialer, hello: Hello) -> anyhow::Result<(Self, Welcome)> {
        let connection = dialer.connect().await?;
        let (mut out, input) = connection.open_bi().await?;
        let mut first = vec![1_u8];
        first.extend_from_slice(&ClientFrame::from(hello).encode(1));
        let (welcomed, welcome) = oneshot::channel();
        let waiting = Waiting::default();
        lock(&waiting).insert(1, welcomed);
        let (event, events) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(read_session(input, Arc::clone(&waiting), event.clone()));
        tokio::spawn(read_streams(connection.clone(), event));
        out.write_all(&first).await?;
        let answer = timeout(ANSWER_TIMEOUT, welcome)
            .await
            .context("no welcome in time")?;
        let welcome = match answer.map_err(|_| closed(&connection))? {
            ServerFrame::Welcome(welcome) => welcome,
            ServerFrame::Refused(refused) => {
                let (code, retry_after_ms) = (refused.code(), refused.retry_after_ms);
                return Err(LoginRefused {
                    code,
                    retry_after_ms,
                }
                .into());
            }
            other => bail!("log-in answered with {other:?}"),
        };
        let wire = Self {
            connection,
            out: tokio::sync::Mutex::new(out),
            waiting,
            requests: AtomicU32::new(2),
            events: tokio::sync::Mutex::new(events),
            user: welcome.user.clone(),
        };
        Ok((wire, welcome))
    }

    /// Who it is.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The connection under it.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends a request on the session stream and waits for its answer.
    ///
    /// # Errors
    /// When the connection ends before, or nothing comes in [`ANSWER_TIMEOUT`].
    pub async fn ask(&self, frame: impl Into<ClientFrame>) -> anyhow::Result<ServerFrame> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        lock(&self.waiting).insert(request, answered);
        self.out
            .lock()
            .await
            .write_all(&frame.into().encode(request))
            .await?;
        let answer = timeout(ANSWER_TIMEOUT, answer)
            .await
            .context("no answer in time")?;
        answer.map_err(|_| closed(&self.connection))
    }

    /// Sends a command and waits for its outcome.
    ///
    /// # Errors
    /// As [`Wire::ask`].
    pub async fn command(&self, frame: impl Into<ClientFrame>) -> anyhow::Result<Outcome> {
        match self.ask(frame).await? {
            ServerFrame::Ack(ack) => Ok(Outcome::Acked(ack)),
            ServerFrame::Refused(refused) => Ok(Outcome::Refused(refused)),
            other => bail!("a command answered with {other:?}"),
        }
    }

    /// Asks on a stream of the page lane.
    ///
    /// # Errors
    /// As [`Wire::ask`].
    pub async fn ask_page(&self, frame: impl Into<ClientFrame>) -> anyhow::Result<ServerFrame> {
        let (mut out, mut input) = self.connection.open_bi().await?;
        let mut bytes = vec![2_u8];
        bytes.extend_from_slice(&frame.into().encode(1));
        out.write_all(&bytes).await?;
        out.finish()?;
        let mut frames = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
        let answer = timeout(ANSWER_TIMEOUT, next_frame(&mut input, &mut frames));
        answer
            .await
            .context("no page in time")??
            .context("the page stream ended without an answer")
    }

    /// The whole log of a conversation as this user sees it: items by number, skipped ranges, and the last number.
    ///
    /// # Errors
    /// When a page is refused, or does not cover what it should.
    pub async fn whole_log(&self, conversation: ConversationId) -> anyhow::Result<WholeLog> {
        let mut log = WholeLog::default();
        loop {
            let request = PageRequest {
                conversation,
                anchor: Anchor::After.number(),
                number: log.last,
                to: 0,
                limit: 500,
                since: 0,
                held: Vec::new(),
            };
            let page = match self.ask_page(request).await? {
                ServerFrame::Page(page) => page,
                ServerFrame::Refused(refused) if refused.code() == Code::NotFound => {
                    return Ok(log);
                }
                other => bail!("a page answered with {other:?}"),
            };
            if !log.add(&page)? {
                return Ok(log);
            }
        }
    }

    /// The next event (a frame that answers nothing), live or from the sync stream. `None` when the connection has ended.
    pub async fn next_event(&self) -> Option<ServerFrame> {
        self.events.lock().await.recv().await
    }

    /// Ends the session.
    pub fn close(&self) {
        self.connection.close(0_u32.into(), b"");
    }
}

/// A log as pages gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WholeLog {
    /// Items, ascending.
    pub items: Vec<Entry>,
    /// Withheld ranges.
    pub skips: Vec<Range>,
    /// The last number covered.
    pub last: u64,
}

impl WholeLog {
    /// Takes a page in; `false` if there is no more.
    fn add(&mut self, page: &Page) -> anyhow::Result<bool> {
        if page.first > page.last {
            return Ok(false);
        }
        ensure!(
            page.first <= self.last + 1,
            "a page after {} starts at {}",
            self.last,
            page.first
        );
        for raw in &page.items {
            let entry: Entry = decode(&raw.0)?;
            ensure!(
                entry.sequence > self.last,
                "number {} comes twice",
                entry.sequence
            );
            self.items.push(entry);
        }
        self.skips.extend(page.skips.iter().cloned());
        self.last = page.last;
        Ok(page.last < page.as_of)
    }
}

/// A first hello that wants everything but the sync.
#[must_use]
pub fn hello(token: &str, device: DeviceId) -> Hello {
    Hello {
        version_min: VERSION,
        version_max: VERSION,
        token: token.to_owned(),
        device,
        agent: "fireside-tests".to_owned(),
        platform: String::new(),
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: true,
    }
}

/// A text to another user.
#[must_use]
pub fn text_to(from: &UserId, to: &UserId, text: &str, nonce: Nonce) -> Send {
    let conversation = ConversationId::direct(from, to);
    Send {
        peer: Some(to.clone()),
        ..text_in(conversation, text, nonce)
    }
}

/// A text in a conversation.
#[must_use]
pub fn text_in(conversation: ConversationId, text: &str, nonce: Nonce) -> Send {
    let content = encode(&TextContent::plain(text)).into();
    Send {
        nonce,
        after: None,
        conversation,
        peer: None,
        header: Header::text(),
        content,
    }
}

/// The text of an entry, if it is one.
#[must_use]
pub fn text_of(entry: &Entry) -> Option<String> {
    decode::<TextContent>(&entry.content)
        .ok()
        .map(|content| content.text)
}

/// A new nonce.
pub fn nonce(chance: &mut Chance) -> Nonce {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&chance.next().to_be_bytes());
    random[8..].copy_from_slice(&chance.next().to_be_bytes()[..2]);
    Nonce::new(now.map_or(0, |now| now.as_millis() as u64), random)
}

/// A device id.
pub fn device(chance: &mut Chance) -> DeviceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&chance.next().to_be_bytes());
    id[8..].copy_from_slice(&chance.next().to_be_bytes());
    DeviceId(id)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed(connection: &Connection) -> anyhow::Error {
    match connection.close_reason() {
        Some(reason) => anyhow::Error::new(reason).context("the connection ended"),
        None => anyhow::anyhow!("the session stream ended"),
    }
}

/// The next frame of a stream; `None` at its end.
///
/// # Errors
/// When the stream breaks or holds no frames.
pub async fn next_frame(
    input: &mut RecvStream,
    frames: &mut FrameBuffer,
) -> anyhow::Result<Option<ServerFrame>> {
    loop {
        if let Some(raw) = frames.next_frame()? {
            return Ok(Some(raw.server()?));
        }
        match input.read_chunk(64 * 1024, true).await? {
            Some(chunk) => frames.extend(&chunk.bytes),
            None => return frames.finish().map(|()| None).map_err(Into::into),
        }
    }
}

/// Gives answers to who waits for them and events to the queue, until the stream ends. Then whoever waits learns it.
async fn read_session(mut input: RecvStream, waiting: Waiting, events: mpsc::Sender<ServerFrame>) {
    let mut frames = FrameBuffer::new(FRAME_BYTES_MAX);
    loop {
        let raw = match frames.next_frame() {
            Ok(Some(raw)) => raw,
            Ok(None) => match input.read_chunk(64 * 1024, true).await {
                Ok(Some(chunk)) => {
                    frames.extend(&chunk.bytes);
                    continue;
                }
                Ok(None) | Err(_) => break,
            },
            Err(_) => break,
        };
        let Ok(frame) = raw.server() else { break };
        if raw.request == 0 {
            // Nobody looks: dropped, as the queue's limit says.
            drop(events.try_send(frame));
        } else if let Some(waiter) = lock(&waiting).remove(&raw.request) {
            drop(waiter.send(frame));
        }
    }
    lock(&waiting).clear();
}

async fn read_streams(connection: Connection, events: mpsc::Sender<ServerFrame>) {
    while let Ok(mut input) = connection.accept_uni().await {
        let events = events.clone();
        tokio::spawn(async move {
            let mut kind = [0];
            if input.read_exact(&mut kind).await.is_err() {
                return;
            }
            let mut frames = FrameBuffer::new(PAGE_FRAME_BYTES_MAX);
            while let Ok(Some(frame)) = next_frame(&mut input, &mut frames).await {
                drop(events.try_send(frame));
            }
        });
    }
}
