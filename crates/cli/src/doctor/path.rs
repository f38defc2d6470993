//! The road to a server: do packets come and go, and how large may they be?
//!
//! A QUIC server answers a packet of a version nobody speaks with the versions it speaks (RFC 9000 section 6): that needs no
//! certificate and no log-in, and the size of the probe is ours to choose.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use quinn::udp::{UdpSockRef, UdpSocketState};

use super::{DoctorArgs, Finding, Place};

/// A version of the pattern that is reserved to be unknown (RFC 9000 section 15).
const UNKNOWN_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];
/// Probes of one size; one may get lost.
const TRIES: u64 = 3;
/// UDP payloads that are tried, in bytes: QUIC's least, IPv6's least, usual tunnels, Ethernet.
const SIZES: [usize; 7] = [1_200, 1_232, 1_280, 1_350, 1_392, 1_452, 1_472];

pub(super) fn udp(args: &DoctorArgs, place: &Place) -> Finding {
    let Some(server) = place.server else {
        return match loopback() {
            Ok(time) => Finding::Good(format!(
                "works on this machine ({}); --server tries a real road",
                show(time)
            )),
            Err(error) => Finding::Bad(
                format!("no UDP on this machine: {error}"),
                "allow UDP on the loopback device".to_owned(),
            ),
        };
    };
    match probe(server, SIZES[0], args.limits.answer_ms_max) {
        Ok(Some(time)) => Finding::Good(format!("{server} answers after {}", show(time))),
        Ok(None) => Finding::Bad(
            format!(
                "{server} does not answer within {} ms; expected an answer to a QUIC packet",
                args.limits.answer_ms_max
            ),
            format!(
                "check that the server runs there and that every firewall between lets UDP port {} through, both ways",
                server.port()
            ),
        ),
        Err(error) => Finding::Bad(
            format!("no packet gets out to {server}: {error}"),
            "check this machine's network, routes and firewall".to_owned(),
        ),
    }
}

pub(super) fn mtu(args: &DoctorArgs, place: &Place) -> Finding {
    let Some(server) = place.server else {
        return Finding::Skipped("needs a server to reach: --server".to_owned());
    };
    let mut best = 0;
    for size in SIZES {
        match probe(server, size, args.limits.answer_ms_max / TRIES) {
            Ok(Some(_)) => best = size,
            // Larger than this machine's own link.
            Ok(None) | Err(_) => break,
        }
    }
    let wanted = args.limits.mtu_min;
    if best == 0 {
        return Finding::Bad(
            format!("no packet of {} bytes gets to {server} and is answered; expected at least {wanted}", SIZES[0]),
            "first see to `udp`; then look for a tunnel or VPN with an MTU under 1,280 and raise it".to_owned(),
        );
    }
    if best < wanted {
        return Finding::Bad(
            format!("packets of {best} bytes get through, larger ones do not; expected {wanted}"),
            "raise the MTU of the tunnel or VPN on the way, and let ICMP \"packet too big\" through".to_owned(),
        );
    }
    Finding::Good(format!("packets of {best} bytes get through"))
}

/// Sends a packet of `size` bytes that must not be cut up on the way, and waits for the answer.
fn probe(server: SocketAddr, size: usize, wait_ms: u64) -> io::Result<Option<Duration>> {
    let socket = UdpSocket::bind(match server {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    })?;
    socket.connect(server)?;
    // Sets "do not fragment".
    let _state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    socket.set_nonblocking(false)?;
    let packet = packet(size);
    let mut answer = [0; 2_048];
    for _ in 0..TRIES {
        let start = Instant::now();
        socket.send(&packet)?;
        socket.set_read_timeout(Some(Duration::from_millis((wait_ms / TRIES).max(10))))?;
        match socket.recv(&mut answer) {
            // Long header, version 0: version negotiation.
            Ok(length) if length >= 7 && answer[0] & 0x80 != 0 && answer[1..5] == [0; 4] => {
                return Ok(Some(start.elapsed()));
            }
            // Refused by the system there (no such port), timed out, or something else: once more.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// An Initial packet of an unknown version with 8-byte connection ids, filled up to `size`.
fn packet(size: usize) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend_from_slice(&UNKNOWN_VERSION);
    packet.push(8);
    packet.extend_from_slice(b"fireside");
    packet.push(8);
    packet.extend_from_slice(b"doctor!!");
    packet.resize(size, 0);
    packet
}

fn loopback() -> io::Result<Duration> {
    let (one, other) = (
        UdpSocket::bind("127.0.0.1:0")?,
        UdpSocket::bind("127.0.0.1:0")?,
    );
    for socket in [&one, &other] {
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    }
    let start = Instant::now();
    let mut buffer = [0; 16];
    one.send_to(b"ping", other.local_addr()?)?;
    let (length, from) = other.recv_from(&mut buffer)?;
    other.send_to(&buffer[..length], from)?;
    one.recv(&mut buffer)?;
    Ok(start.elapsed())
}

fn show(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
