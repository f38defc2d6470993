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
    Code, FrameError, Lane, RawFrame,
    limits::{DATAGRAM_BYTES_MAX, IDLE_TIMEOUT_MS, KEEP_ALIVE_MS},
};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, VarInt};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    limits::{
        DROPPABLE_BACKLOG_BYTES_MAX, LINK_QUEUE_BYTES_MAX, PAGE_QUEUE_MAX, SERVER_STREAMS_MAX,
    },
    route::any_address,
};

mod streams;

use streams::{Boxed, serve};

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

/// A keep-alive starts the timer anew once: a server that falls silent right after an answer is noticed one interval later. That
/// sum has to be below the 60 s promised for the background.
const CLIENT_IDLE_TIMEOUT_MS: u32 = (IDLE_TIMEOUT_MS - 3_000) as u32;

/// The transport's settings; windows sized for chat, not for files.
pub(crate) fn transport() -> quinn::TransportConfig {
    let mut transport = quinn::TransportConfig::default();
    transport
        .keep_alive_interval(Some(Duration::from_millis(KEEP_ALIVE_MS)))
        .max_idle_timeout(Some(VarInt::from_u32(CLIENT_IDLE_TIMEOUT_MS).into()))
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
        let task: Boxed = Box::pin(task.run(target, early, attempt));
        let task = tokio::spawn(task);
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
