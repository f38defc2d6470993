//! A socket between a client's QUIC and the network that loses what it is told to lose, so that a server meets what no good client
//! sends: streams that are all holes, and handshakes that do not end.

use std::{
    io::{self, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use anyhow::Result;
use quinn::{
    AsyncUdpSocket, Endpoint, EndpointConfig, Runtime as _, TokioRuntime, TransportConfig,
    UdpPoller,
    congestion::{Controller, ControllerFactory},
    udp::{RecvMeta, Transmit},
};

use crate::wire::{Dialer, Target};

/// What a socket does with packets.
#[derive(Debug)]
pub(super) struct Holes {
    inner: Arc<dyn AsyncUdpSocket>,
    /// Receives nothing.
    deaf: AtomicBool,
    /// Sends one of two packets only.
    half: AtomicBool,
    sent: AtomicU64,
}

impl Holes {
    /// Packets given to the socket, whether they went out or not.
    pub(super) fn packets(&self) -> u64 {
        self.sent.load(Ordering::Acquire)
    }

    /// Nothing is received from now on.
    pub(super) fn go_deaf(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    /// From now on one of two packets is lost.
    pub(super) fn lose_half(&self) {
        self.half.store(true, Ordering::Release);
    }
}

impl AsyncUdpSocket for Holes {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit) -> io::Result<()> {
        // In no order that could go with how many streams there are.
        let mixed = self
            .sent
            .load(Ordering::Acquire)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let lost = self.half.load(Ordering::Acquire) && mixed >> 63 == 1;
        if !lost {
            self.inner.try_send(transmit)?;
        }
        self.sent.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let received = ready!(self.inner.poll_recv(cx, bufs, meta));
            if received.is_err() || !self.deaf.load(Ordering::Acquire) {
                return Poll::Ready(received);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    // One packet each time, so that each can be lost.
    fn max_transmit_segments(&self) -> usize {
        1
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

/// A dialer over such a socket, without manners: it sends however much is unacknowledged, and lets `window` bytes be sent to it.
pub(super) fn dialer(target: Target, window: u32) -> Result<(Dialer, Arc<Holes>)> {
    let socket = UdpSocket::bind(("127.0.0.1", 0))?;
    let holes = Arc::new(Holes {
        inner: TokioRuntime.wrap_udp_socket(socket)?,
        deaf: AtomicBool::new(false),
        half: AtomicBool::new(false),
        sent: AtomicU64::new(0),
    });
    let endpoint = Endpoint::new_with_abstract_socket(
        EndpointConfig::default(),
        None,
        holes.clone(),
        Arc::new(TokioRuntime),
    )?;
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(window.into())
        .congestion_controller_factory(Arc::new(Reckless));
    Ok((Dialer::over(target, transport, endpoint)?, holes))
}

/// No congestion control.
#[derive(Clone, Debug)]
struct Reckless;

impl ControllerFactory for Reckless {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(Self)
    }
}

impl Controller for Reckless {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        u64::MAX / 2
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}
