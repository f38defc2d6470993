//! One link: a QUIC connection with its streams. Everything here ends with the link's task.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use fireside_client_core::{LinkEvent, Transmit, session::LinkId};
use fireside_protocol::{
    Code, FrameBuffer, FrameError, Lane, RawFrame,
    frames::StreamKind,
    limits::{
        DATAGRAM_BYTES_MAX, FRAME_BYTES_MAX, IDLE_TIMEOUT_MS, KEEP_ALIVE_MS, PAGE_FRAME_BYTES_MAX,
    },
};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
};

use crate::{
    limits::{
        DROPPABLE_BACKLOG_BYTES_MAX, LINK_QUEUE_BYTES_MAX, PAGE_QUEUE_MAX, PAGE_STREAMS_MAX,
        SERVER_STREAMS_MAX,
    },
    route::any_address,
};

/// Bytes taken from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Frames written at once.
const WRITE_BATCH: usize = 64;

/// What a link tells the driver.
#[derive(Debug)]
pub(crate) enum Input {
    Event(LinkEvent),
    Frame(Result<RawFrame, FrameError>),
    /// Where the server was found; for the route watch.
    Address(SocketAddr),
}

/// By which link.
pub(crate) type Inbound = (LinkId, Input);

/// How to get to the server.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) server_name: String,
    pub(crate) config: ClientConfig,
}

/// The transport's settings; windows sized for chat, not for files.
pub(crate) fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(VarInt::from_u32(IDLE_TIMEOUT_MS as u32).into()))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(SERVER_STREAMS_MAX))
        .stream_receive_window(VarInt::from_u32(512 * 1024))
        .receive_window(VarInt::from_u32(2 * 1024 * 1024))
        .send_window(1024 * 1024)
        .datagram_receive_buffer_size(Some(64 * 1024))
        .datagram_send_buffer_size(64 * 1024)
        .crypto_buffer_size(32 * 1024);
    transport
}

/// What both the driver and the link's task know.
#[derive(Default)]
struct Shared {
    connection: OnceLock<Connection>,
    endpoint: OnceLock<Endpoint>,
    /// Bytes handed over and not yet taken by the transport.
    queued: AtomicUsize,
}

/// A frame and the epoch it was made in: what was early data is not sent again after the server refused it.
struct Outgoing {
    epoch: u32,
    request: u32,
    frame: Bytes,
}

/// The driver's side of a link. Dropping it ends the link.
pub(crate) struct Link {
    shared: Arc<Shared>,
    session: mpsc::UnboundedSender<Outgoing>,
    pages: mpsc::Sender<Outgoing>,
    epoch: u32,
    task: JoinHandle<()>,
}

impl Link {
    /// Starts to connect. `early`: with 0-RTT if there is a ticket. `attempt` picks among several addresses of one name.
    pub(crate) fn connect(
        id: LinkId,
        target: Arc<Target>,
        early: bool,
        attempt: usize,
        driver: mpsc::Sender<Inbound>,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        // Bounded by `queued`, in bytes.
        let (session, session_rx) = mpsc::unbounded_channel();
        let (pages, pages_rx) = mpsc::channel(PAGE_QUEUE_MAX);
        let task = Task {
            shared: shared.clone(),
            output: Output { id, driver },
            session: session_rx,
            pages: pages_rx,
            epoch: 0,
        };
        let task = tokio::spawn(task.run(target, early, attempt));
        Self {
            shared,
            session,
            pages,
            epoch: 0,
            task,
        }
    }

    /// Sends a frame on its lane.
    ///
    /// # Errors
    /// What to tell the core.
    pub(crate) fn send(&self, transmit: Transmit) -> Result<(), LinkEvent> {
        match transmit.lane {
            Lane::Page => {
                let request = transmit.request;
                let job = Outgoing {
                    epoch: self.epoch,
                    request,
                    frame: transmit.frame,
                };
                self.pages
                    .try_send(job)
                    .map_err(|_| LinkEvent::RequestLost { request })
            }
            Lane::Datagram => {
                self.send_droppable(transmit.frame);
                Ok(())
            }
            Lane::Control | Lane::Chat | Lane::Crowd | Lane::Transfer => self.queue(transmit.frame),
        }
    }

    fn queue(&self, frame: Bytes) -> Result<(), LinkEvent> {
        let waiting = self.shared.queued.fetch_add(frame.len(), Ordering::Relaxed);
        if waiting > LINK_QUEUE_BYTES_MAX {
            return Err(LinkEvent::Down {
                code: None,
                reason: format!("{waiting} bytes wait and the server takes none"),
            });
        }
        // The task is gone: its end is on its way to the driver.
        let _ = self.session.send(Outgoing {
            epoch: self.epoch,
            request: 0,
            frame,
        });
        Ok(())
    }

    /// A datagram; where there are none, or not that large, a frame that is dropped if others wait.
    fn send_droppable(&self, frame: Bytes) {
        let Some(connection) = self.shared.connection.get() else {
            return;
        };
        let fits = connection
            .max_datagram_size()
            .is_some_and(|max| frame.len() <= max.min(DATAGRAM_BYTES_MAX));
        if fits {
            let _ = connection.send_datagram(frame);
        } else if self.shared.queued.load(Ordering::Relaxed) < DROPPABLE_BACKLOG_BYTES_MAX {
            let _ = self.queue(frame);
        }
    }

    /// Early frames are lost: what is sent from now on belongs to the connection as it is after the handshake.
    pub(crate) fn early_refused(&mut self) {
        self.epoch += 1;
    }

    /// Moves to a new local socket.
    pub(crate) fn rebind(&self) -> std::io::Result<()> {
        let (Some(endpoint), Some(connection)) =
            (self.shared.endpoint.get(), self.shared.connection.get())
        else {
            return Ok(());
        };
        endpoint.rebind(UdpSocket::bind(any_address(connection.remote_address()))?)
    }

    /// Closes the connection and tells the server so.
    pub(crate) fn close(&self, code: Option<Code>) {
        if let Some(connection) = self.shared.connection.get() {
            let number = code.map_or(0, |code| u32::from(code.number()));
            connection.close(VarInt::from_u32(number), b"");
        }
    }

    /// Smoothed round trip, if there is a connection.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.shared.connection.get().map(Connection::rtt)
    }

    /// UDP bytes sent and received, if there is a connection.
    pub(crate) fn udp_bytes(&self) -> Option<(u64, u64)> {
        let stats = self.shared.connection.get()?.stats();
        Some((stats.udp_tx.bytes, stats.udp_rx.bytes))
    }

    /// The endpoint, to wait until its last packets are out.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.shared.endpoint.get().cloned()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// To the driver; waits while it has enough to do, and the network with it.
#[derive(Clone)]
struct Output {
    id: LinkId,
    driver: mpsc::Sender<Inbound>,
}

impl Output {
    async fn send(&self, input: Input) {
        // The driver is gone: so is this task, soon.
        let _ = self.driver.send((self.id, input)).await;
    }

    async fn event(&self, event: LinkEvent) {
        self.send(Input::Event(event)).await;
    }
}

/// Why a part of the link ended; `None`: the connection itself did.
type End = Option<String>;

struct Task {
    shared: Arc<Shared>,
    output: Output,
    session: mpsc::UnboundedReceiver<Outgoing>,
    pages: mpsc::Receiver<Outgoing>,
    epoch: u32,
}

impl Task {
    async fn run(mut self, target: Arc<Target>, early: bool, attempt: usize) {
        let (code, reason) = match self.live(&target, early, attempt).await {
            Ok(reason) => {
                let closed = self
                    .shared
                    .connection
                    .get()
                    .and_then(Connection::close_reason);
                if let Some(connection) = self.shared.connection.get() {
                    connection.close(VarInt::from_u32(0), b"");
                }
                match closed {
                    Some(error) => (code_of(&error), error.to_string()),
                    None => (None, reason.unwrap_or_default()),
                }
            }
            Err(down) => down,
        };
        self.output.event(LinkEvent::Down { code, reason }).await;
    }

    async fn live(
        &mut self,
        target: &Target,
        early: bool,
        attempt: usize,
    ) -> Result<End, (Option<Code>, String)> {
        let failed = |what: &str, error: &dyn std::fmt::Display| (None, format!("{what}: {error}"));
        let address = resolve(target, attempt)
            .await
            .map_err(|error| failed("the server's name can not be resolved", &error))?;
        self.output.send(Input::Address(address)).await;
        let endpoint = endpoint(address).map_err(|error| failed("no UDP socket", &error))?;
        let _ = self.shared.endpoint.set(endpoint.clone());
        let connecting = endpoint
            .connect_with(target.config.clone(), address, &target.server_name)
            .map_err(|error| failed("can not connect", &error))?;
        let lost = |error: ConnectionError| (code_of(&error), error.to_string());
        let (connection, accepted) = if early {
            match connecting.into_0rtt() {
                Ok((connection, accepted)) => (connection, Some(accepted)),
                Err(connecting) => (connecting.await.map_err(lost)?, None),
            }
        } else {
            (connecting.await.map_err(lost)?, None)
        };
        let _ = self.shared.connection.set(connection.clone());
        self.output
            .event(LinkEvent::Up {
                early: accepted.is_some(),
            })
            .await;
        if let Some(accepted) = accepted {
            let serving = serve(
                &connection,
                &self.shared,
                &self.output,
                &mut self.session,
                &mut self.pages,
                self.epoch,
            );
            let mut serving = std::pin::pin!(serving);
            let mut accepted = std::pin::pin!(accepted);
            let taken = tokio::select! {
                // Streams opened as early data end when it is refused, maybe before that is known here.
                end = serving.as_mut() => {
                    if connection.close_reason().is_some() || accepted.await {
                        return Ok(end);
                    }
                    false
                }
                taken = accepted.as_mut() => taken,
            };
            if taken {
                self.output
                    .event(LinkEvent::Confirmed {
                        early_accepted: true,
                    })
                    .await;
                return Ok(serving.await);
            }
            if connection.close_reason().is_some() {
                return Ok(None);
            }
        } else {
            return Ok(serve(
                &connection,
                &self.shared,
                &self.output,
                &mut self.session,
                &mut self.pages,
                self.epoch,
            )
            .await);
        }
        // Refused: all of it again, without what was early.
        self.epoch += 1;
        self.output
            .event(LinkEvent::Confirmed {
                early_accepted: false,
            })
            .await;
        Ok(serve(
            &connection,
            &self.shared,
            &self.output,
            &mut self.session,
            &mut self.pages,
            self.epoch,
        )
        .await)
    }
}

/// Carries frames both ways until a part of the link ends.
async fn serve(
    connection: &Connection,
    shared: &Shared,
    output: &Output,
    session: &mut mpsc::UnboundedReceiver<Outgoing>,
    pages: &mut mpsc::Receiver<Outgoing>,
    epoch: u32,
) -> End {
    let (opened, incoming) = oneshot::channel();
    tokio::select! {
        end = read_session(connection, incoming, output) => end,
        end = write_session(connection, shared, session, epoch, opened) => end,
        end = run_pages(connection, pages, epoch, output) => end,
        end = accept_streams(connection, output) => end,
        end = read_datagrams(connection, output) => end,
    }
}

/// What the others do when the connection ends: what the server said last is still to be read from the session stream.
async fn leave_end_to_reader(connection: &Connection, reason: String) -> End {
    if connection.close_reason().is_some() {
        std::future::pending::<()>().await;
    }
    Some(reason)
}

async fn write_session(
    connection: &Connection,
    shared: &Shared,
    frames: &mut mpsc::UnboundedReceiver<Outgoing>,
    epoch: u32,
    opened: oneshot::Sender<RecvStream>,
) -> End {
    let mut stream: Option<SendStream> = None;
    let mut opened = Some(opened);
    let mut taken = Vec::with_capacity(WRITE_BATCH);
    loop {
        taken.clear();
        if frames.recv_many(&mut taken, WRITE_BATCH).await == 0 {
            // The driver let go of the link and will abort this task.
            std::future::pending::<()>().await;
        }
        let bytes: usize = taken.iter().map(|outgoing| outgoing.frame.len()).sum();
        let mut chunks: Vec<Bytes> = Vec::with_capacity(taken.len() + 1);
        if stream.is_none() {
            chunks.push(stream_kind(StreamKind::Session));
        }
        chunks.extend(
            taken
                .drain(..)
                .filter(|outgoing| outgoing.epoch == epoch)
                .map(|outgoing| outgoing.frame),
        );
        let open = match stream.take() {
            Some(open) => open,
            None => match connection.open_bi().await {
                Ok((send, receive)) => {
                    let _ = opened.take().map(|opened| opened.send(receive));
                    let _ = send.set_priority(1);
                    send
                }
                Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
            },
        };
        let open = stream.insert(open);
        if let Err(error) = open.write_all_chunks(&mut chunks).await {
            return leave_end_to_reader(connection, error.to_string()).await;
        }
        shared.queued.fetch_sub(bytes, Ordering::Relaxed);
    }
}

async fn read_session(
    connection: &Connection,
    incoming: oneshot::Receiver<RecvStream>,
    output: &Output,
) -> End {
    let stream = tokio::select! {
        stream = incoming => stream,
        _ = connection.closed() => return None,
    };
    let Ok(stream) = stream else {
        connection.closed().await;
        return None;
    };
    read_frames(stream, FRAME_BYTES_MAX, output)
        .await
        .err()
        .or_else(|| Some("the server ended the session stream".to_owned()))
}

/// Reads frames until the stream ends. `Ok` with their number: it ended between two of them.
async fn read_frames(
    mut stream: RecvStream,
    frame_bytes_max: usize,
    output: &Output,
) -> Result<usize, String> {
    let mut buffer = FrameBuffer::new(frame_bytes_max);
    let mut frames = 0;
    loop {
        let chunk = stream
            .read_chunk(READ_BYTES, true)
            .await
            .map_err(|error| error.to_string())?;
        let Some(chunk) = chunk else { break };
        buffer.extend(&chunk.bytes);
        loop {
            match buffer.next_frame() {
                Ok(Some(frame)) => {
                    frames += 1;
                    output.send(Input::Frame(Ok(frame))).await;
                }
                Ok(None) => break,
                Err(error) => {
                    output.send(Input::Frame(Err(error))).await;
                    return Err(error.to_string());
                }
            }
        }
    }
    if let Err(error) = buffer.finish() {
        output.send(Input::Frame(Err(error))).await;
        return Err(error.to_string());
    }
    Ok(frames)
}

async fn run_pages(
    connection: &Connection,
    requests: &mut mpsc::Receiver<Outgoing>,
    epoch: u32,
    output: &Output,
) -> End {
    let mut running = JoinSet::new();
    loop {
        let request = tokio::select! {
            Some(_) = running.join_next() => continue,
            request = requests.recv(), if running.len() < PAGE_STREAMS_MAX => request,
        };
        let Some(request) = request else {
            std::future::pending::<()>().await;
            continue;
        };
        if request.epoch != epoch {
            continue;
        }
        let (connection, output) = (connection.clone(), output.clone());
        running.spawn(async move {
            let name = request.request;
            if let Err(reason) = ask_page(&connection, request.frame, &output).await {
                tracing::debug!(request = name, reason, "page request lost");
                if connection.close_reason().is_none() {
                    output.event(LinkEvent::RequestLost { request: name }).await;
                }
            }
        });
    }
}

async fn ask_page(connection: &Connection, frame: Bytes, output: &Output) -> Result<(), String> {
    let (mut send, receive) = connection
        .open_bi()
        .await
        .map_err(|error| error.to_string())?;
    send.write_all_chunks(&mut [stream_kind(StreamKind::Page), frame])
        .await
        .map_err(|error| error.to_string())?;
    send.finish().map_err(|error| error.to_string())?;
    match read_frames(receive, PAGE_FRAME_BYTES_MAX, output).await? {
        0 => Err("no answer".to_owned()),
        _ => Ok(()),
    }
}

async fn accept_streams(connection: &Connection, output: &Output) -> End {
    let mut running = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = running.join_next() => continue,
            stream = connection.accept_uni() => stream,
        };
        match stream {
            // The transport's own limit bounds how many there are.
            Ok(stream) => running.spawn(read_one_way(stream, output.clone())),
            Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
        };
    }
}

async fn read_one_way(mut stream: RecvStream, output: Output) {
    let mut kind = [0];
    if stream.read_exact(&mut kind).await.is_err() {
        return;
    }
    let limit = match StreamKind::from_number(u16::from(kind[0])) {
        StreamKind::Crowd => FRAME_BYTES_MAX,
        StreamKind::Sync => PAGE_FRAME_BYTES_MAX,
        // A later server's: it is told that nobody listens.
        _ => {
            let _ = stream.stop(VarInt::from_u32(0));
            return;
        }
    };
    if let Err(reason) = read_frames(stream, limit, &output).await {
        tracing::debug!(reason, "one-way stream ended");
    }
}

async fn read_datagrams(connection: &Connection, output: &Output) -> End {
    loop {
        match connection.read_datagram().await {
            Ok(datagram) => {
                output
                    .send(Input::Frame(RawFrame::from_datagram(&datagram)))
                    .await;
            }
            Err(error) => return leave_end_to_reader(connection, error.to_string()).await,
        }
    }
}

fn stream_kind(kind: StreamKind) -> Bytes {
    match kind {
        StreamKind::Session => Bytes::from_static(&[1]),
        StreamKind::Page => Bytes::from_static(&[2]),
        other => Bytes::copy_from_slice(&[other.number() as u8]),
    }
}

/// The code a server closed with.
fn code_of(error: &ConnectionError) -> Option<Code> {
    let ConnectionError::ApplicationClosed(close) = error else {
        return None;
    };
    let number = u16::try_from(close.error_code.into_inner()).ok()?;
    (number != 0).then(|| Code::from_number(number))
}

async fn resolve(target: &Target, attempt: usize) -> std::io::Result<SocketAddr> {
    if let Ok(ip) = target.host.parse() {
        return Ok(SocketAddr::new(ip, target.port));
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await?
        .take(16)
        .collect();
    found
        .get(attempt % found.len().max(1))
        .copied()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"))
}

/// A socket and its endpoint of its own for every link: what is wrong with one (a NAT that forgot it) does not outlive it.
fn endpoint(server: SocketAddr) -> std::io::Result<Endpoint> {
    let socket = UdpSocket::bind(any_address(server))?;
    Endpoint::new(
        quinn::EndpointConfig::default(),
        None,
        socket,
        Arc::new(quinn::TokioRuntime),
    )
}
