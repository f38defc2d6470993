//! A client that is only the wire: quinn and the protocol's frames, so that it costs what the baseline's client costs.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use fireside_protocol::{
    ALPN, ClientFrame, ConversationId, FrameBuffer, Header, Nonce, RawFrame, ServerFrame,
    TextContent, UserId, VERSION, decode, encode,
    frames::{Anchor, Hello, Page, PageRequest, Resume, Send, StreamKind, Welcome},
    limits::{FRAME_BYTES_MAX, IDLE_TIMEOUT_MS, KEEP_ALIVE_MS, PAGE_FRAME_BYTES_MAX},
};
use quinn::{
    AsyncUdpSocket, Runtime, TokioRuntime, VarInt, crypto::rustls::QuicClientConfig,
    udp::UdpSocketState,
};
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::bench::world::{self, Folder};

/// Bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Kernel buffer of a socket, in bytes: many connections share it.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Client sockets; connections are spread over them.
pub(super) const SOCKETS: usize = 4;
/// TLS tickets kept for a server: it sends two a handshake.
const TICKETS_MAX: usize = 8;
/// Tries of a command that is refused as retryable.
const TRIES_MAX: usize = 100;
/// Bytes of a first sync that are read.
const SYNC_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a message's text.
pub(super) const TEXT_BYTES: usize = 200;

/// Client sockets that share the connections.
#[derive(Debug)]
pub(super) struct Clients {
    endpoints: Vec<quinn::Endpoint>,
    config: quinn::ClientConfig,
    server: SocketAddr,
}

impl Clients {
    /// `sockets` of them. Call it within a runtime.
    pub(super) fn new(
        server: SocketAddr,
        sockets: usize,
        tickets: &Arc<Tickets>,
    ) -> anyhow::Result<Self> {
        let endpoints = (0..sockets)
            .map(|_| endpoint())
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            endpoints,
            config: client_config(tickets)?,
            server,
        })
    }

    /// The same sockets with other tickets.
    pub(super) fn with_tickets(&self, tickets: &Arc<Tickets>) -> anyhow::Result<Self> {
        Ok(Self {
            endpoints: self.endpoints.clone(),
            config: client_config(tickets)?,
            server: self.server,
        })
    }

    /// The connection number `index`.
    pub(super) async fn connect(&self, index: usize) -> anyhow::Result<quinn::Connection> {
        let endpoint = self
            .endpoints
            .get(index % self.endpoints.len())
            .context("no socket")?;
        Ok(endpoint
            .connect_with(self.config.clone(), self.server, "localhost")?
            .await?)
    }

    /// Logs in as user number `index` and reads the first sync in the background.
    pub(super) async fn enter(&self, folder: &Folder, index: usize) -> anyhow::Result<Session> {
        let session = self.enter_quiet(folder, index).await?;
        session.drain_sync();
        Ok(session)
    }

    /// Logs in as user number `index`; the first sync is left to read.
    pub(super) async fn enter_quiet(
        &self,
        folder: &Folder,
        index: usize,
    ) -> anyhow::Result<Session> {
        let connection = self.connect(index).await?;
        Session::log_in(connection, &hello(folder, index)?).await
    }
}

/// The hello of user number `index`.
pub(super) fn hello(folder: &Folder, index: usize) -> anyhow::Result<ClientFrame> {
    Ok(ClientFrame::Hello(Hello {
        version_min: VERSION,
        version_max: VERSION,
        token: folder.token(&world::user(index)?)?,
        device: world::device(index),
        agent: "fireside-bench".to_owned(),
        platform: "linux".to_owned(),
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: false,
    }))
}

/// The resume of user number `index`.
pub(super) fn resume(secret: Bytes, index: usize) -> ClientFrame {
    ClientFrame::Resume(Resume {
        version_min: VERSION,
        version_max: VERSION,
        secret,
        device: world::device(index),
        user_cursor: 0,
        heads_since: 0,
        open: Vec::new(),
        no_sync: false,
    })
}

/// A logged-in connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: quinn::Connection,
    pub(super) out: Out,
    pub(super) frames: Frames,
    pub(super) welcome: Welcome,
}

/// What a client sends.
#[derive(Debug)]
pub(super) struct Out {
    send: quinn::SendStream,
    gathered: BytesMut,
    request: u32,
}

/// What a client gets.
#[derive(Debug)]
pub(super) struct Frames {
    recv: quinn::RecvStream,
    buffer: FrameBuffer,
}

impl Session {
    /// Sends a hello or resume and waits for the welcome.
    pub(super) async fn log_in(
        connection: quinn::Connection,
        first: &ClientFrame,
    ) -> anyhow::Result<Self> {
        let (send, recv) = connection.open_bi().await?;
        let mut out = Out {
            send,
            gathered: BytesMut::new(),
            request: 0,
        };
        out.gathered
            .extend_from_slice(&[StreamKind::Session.number() as u8]);
        out.put(first);
        out.flush().await?;
        let mut frames = Frames {
            recv,
            buffer: FrameBuffer::new(FRAME_BYTES_MAX),
        };
        loop {
            match frames.next().await? {
                ServerFrame::Welcome(welcome) => {
                    return Ok(Self {
                        connection,
                        out,
                        frames,
                        welcome,
                    });
                }
                ServerFrame::Refused(refused) => bail!("the log-in was refused: {}", refused.text),
                _ => {}
            }
        }
    }

    /// Reads streams that the server opens, so that they end.
    fn drain_sync(&self) {
        let connection = self.connection.clone();
        tokio::spawn(async move {
            while let Ok(mut stream) = connection.accept_uni().await {
                while let Ok(Some(_)) = stream.read_chunk(READ_BYTES, true).await {}
            }
        });
    }

    /// The bytes of the first sync, without the byte that says so.
    pub(super) async fn read_sync(&self) -> anyhow::Result<Vec<u8>> {
        let mut stream = self.connection.accept_uni().await?;
        let mut bytes = stream.read_to_end(SYNC_BYTES_MAX).await?;
        ensure!(
            bytes.first() == Some(&(StreamKind::Sync.number() as u8)),
            "not a sync stream"
        );
        bytes.remove(0);
        Ok(bytes)
    }

    /// The newest page of a conversation, as bytes and read.
    pub(super) async fn page(
        &self,
        conversation: ConversationId,
        limit: u32,
    ) -> anyhow::Result<(Bytes, Page)> {
        let (mut send, mut recv) = self.connection.open_bi().await?;
        let request = ClientFrame::PageRequest(PageRequest {
            conversation,
            anchor: Anchor::Newest.number(),
            number: 0,
            to: 0,
            limit,
            since: 0,
            held: Vec::new(),
        });
        send.write_all(&[StreamKind::Page.number() as u8]).await?;
        send.write_all(&request.encode(1)).await?;
        send.finish()?;
        let bytes = Bytes::from(recv.read_to_end(PAGE_FRAME_BYTES_MAX).await?);
        match RawFrame::from_bytes(&bytes, PAGE_FRAME_BYTES_MAX)?.server()? {
            ServerFrame::Page(page) => Ok((bytes, page)),
            other => bail!("an answer of kind {}", other.kind()),
        }
    }

    /// Sends a command and waits for its answer; what else comes is dropped. A retryable refusal is tried again with the same
    /// nonce, as clients do.
    pub(super) async fn call(&mut self, frame: &ClientFrame) -> anyhow::Result<ServerFrame> {
        for _ in 0..TRIES_MAX {
            let request = self.out.put(frame);
            self.out.flush().await?;
            let answer = loop {
                let (id, answer) = self.frames.next_with_request().await?;
                if id == request {
                    break answer;
                }
            };
            match answer {
                ServerFrame::Refused(refused) if refused.code().retryable() => {
                    tokio::time::sleep(Duration::from_millis(refused.retry_after_ms.max(10))).await;
                }
                ServerFrame::Refused(refused) => bail!("{} ({})", refused.text, refused.code),
                answer => return Ok(answer),
            }
        }
        bail!("refused {TRIES_MAX} times")
    }
}

impl Out {
    /// Adds a frame to the next flush; its request id.
    pub(super) fn put(&mut self, frame: &ClientFrame) -> u32 {
        self.request = self.request.wrapping_add(1).max(1);
        self.gathered.extend_from_slice(&frame.encode(self.request));
        self.request
    }

    /// Adds a frame without an answer.
    pub(super) fn put_silent(&mut self, frame: &ClientFrame) {
        self.gathered.extend_from_slice(&frame.encode(0));
    }

    /// Writes what was added in one go.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.gathered.is_empty() {
            self.send
                .write_chunk(self.gathered.split().freeze())
                .await?;
        }
        Ok(())
    }
}

impl Frames {
    /// Waits for bytes, then gives every whole frame to `take`, each decoded.
    pub(super) async fn read(
        &mut self,
        mut take: impl FnMut(u32, ServerFrame) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let chunk = self
            .recv
            .read_chunk(READ_BYTES, true)
            .await?
            .context("the server ended the session")?;
        self.buffer.extend(&chunk.bytes);
        while let Some(raw) = self.buffer.next_frame()? {
            take(raw.request, raw.server()?)?;
        }
        Ok(())
    }

    async fn next_with_request(&mut self) -> anyhow::Result<(u32, ServerFrame)> {
        loop {
            if let Some(raw) = self.buffer.next_frame()? {
                return Ok((raw.request, raw.server()?));
            }
            let chunk = self
                .recv
                .read_chunk(READ_BYTES, true)
                .await?
                .context("the server ended the session")?;
            self.buffer.extend(&chunk.bytes);
        }
    }

    async fn next(&mut self) -> anyhow::Result<ServerFrame> {
        Ok(self.next_with_request().await?.1)
    }
}

/// A text message.
pub(super) fn message(
    nonce: Nonce,
    after: Option<Nonce>,
    conversation: ConversationId,
    peer: Option<UserId>,
    text: String,
) -> ClientFrame {
    ClientFrame::Send(Send {
        nonce,
        after,
        conversation,
        peer,
        header: Header::text(),
        content: encode(&TextContent::plain(text)).into(),
    })
}

/// A text of [`TEXT_BYTES`]: stamp, counter, sender in hexadecimal, then letters that follow from the counter.
pub(super) fn text(stamp: u64, counter: u64, sender: usize) -> String {
    let mut text = String::with_capacity(TEXT_BYTES);
    for number in [stamp, counter, sender as u64] {
        text.extend(
            (0..16).map(|digit| char::from(HEX[(number >> (60 - 4 * digit)) as usize & 15])),
        );
    }
    text.push_str(letters(counter));
    text
}

/// Reads a text back and checks its bytes: (stamp, counter, sender).
pub(super) fn check_text(content: &Bytes) -> anyhow::Result<(u64, u64, usize)> {
    let text = decode::<TextContent>(content)?.text;
    ensure!(text.len() == TEXT_BYTES, "a text of {} bytes", text.len());
    let number = |at: usize| {
        let digits = text
            .get(at..at + 16)
            .context("a text without its numbers")?;
        anyhow::Ok(u64::from_str_radix(digits, 16)?)
    };
    let (stamp, counter, sender) = (number(0)?, number(16)?, number(32)?);
    ensure!(
        text.get(48..) == Some(letters(counter)),
        "a text was changed"
    );
    Ok((stamp, counter, sender as usize))
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// The alphabet, again and again.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\
                       abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";

/// The rest of a text.
fn letters(counter: u64) -> &'static str {
    let from = (counter % 26) as usize;
    LETTERS
        .get(from..from + TEXT_BYTES - 48)
        .unwrap_or_default()
}

fn endpoint() -> anyhow::Result<quinn::Endpoint> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let state = UdpSocketState::new((&socket).into())?;
    state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
    state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)?;
    let socket: Arc<dyn AsyncUdpSocket> = TokioRuntime.wrap_udp_socket(socket)?;
    Ok(quinn::Endpoint::new_with_abstract_socket(
        quinn::EndpointConfig::default(),
        None,
        socket,
        Arc::new(TokioRuntime),
    )?)
}

/// The baseline's client settings: keep both alike.
fn client_config(tickets: &Arc<Tickets>) -> anyhow::Result<quinn::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(SignatureOnly {
        provider: Arc::clone(&provider),
        tickets: Arc::clone(tickets),
    });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.resumption = rustls::client::Resumption::store(Arc::<Tickets>::clone(tickets));
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(32u32.into())
        .max_concurrent_uni_streams(8u32.into())
        .stream_receive_window((128u32 * 1024).into())
        .receive_window((512u32 * 1024).into())
        .send_window(256 * 1024)
        .datagram_receive_buffer_size(Some(16 * 1024))
        .datagram_send_buffer_size(16 * 1024)
        .crypto_buffer_size(8 * 1024)
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS as u32).into()));
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// TLS tickets of one server; counts handshakes in full.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    kept: Mutex<VecDeque<Tls13ClientSessionValue>>,
    /// A ticket came.
    pub(super) came: tokio::sync::Notify,
    /// How often a certificate was looked at.
    pub(super) verified: AtomicU64,
}

impl Tickets {
    /// Whether there is one.
    pub(super) fn any(&self) -> bool {
        !self
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_empty()
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

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

/// Checks that the server holds its certificate's key, not whose it is: this bench started the server.
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
