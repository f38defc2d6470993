//! Notices that packets to the server leave by another road than before (Wi-Fi to cable, VPN up).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::config::RouteProbe;

/// Remembers the local address towards the server.
#[derive(Debug)]
pub(crate) struct RouteWatch {
    probe: Option<RouteProbe>,
    last: Option<IpAddr>,
}

impl RouteWatch {
    pub(crate) const fn new(probe: Option<RouteProbe>) -> Self {
        Self { probe, last: None }
    }

    /// Looks again. `true` if there is a road and it is another one than the last there was.
    pub(crate) fn changed(&mut self, server: SocketAddr) -> bool {
        let found = match &self.probe {
            Some(probe) => (probe.0)(server),
            None => local_address(server),
        };
        // No road at all: the socket that is bound stays, it may come back as it was.
        let Some(found) = found else { return false };
        self.last.replace(found).is_some_and(|last| last != found)
    }
}

/// Asks the routing table: connecting a UDP socket sends nothing.
fn local_address(server: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any_address(server)).ok()?;
    socket.connect(server).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The wildcard address of the server's family, with a port of the system's choice.
pub(crate) const fn any_address(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::Arc;

    use super::*;
    use crate::lock::Mutex;

    #[test]
    fn a_change_is_told_once_and_a_lost_road_is_none() {
        let road: Arc<Mutex<Option<IpAddr>>> = Arc::default();
        let probe = {
            let road = road.clone();
            RouteProbe(Arc::new(move |_| *road.lock()))
        };
        let server: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut watch = RouteWatch::new(Some(probe));
        let mut look = |address: Option<&str>| {
            *road.lock() = address.map(|text| text.parse().unwrap());
            watch.changed(server)
        };
        let roads = [
            None,
            Some("10.0.0.1"),
            Some("10.0.0.1"),
            None,
            Some("10.0.0.1"),
            Some("10.0.0.2"),
            Some("10.0.0.2"),
        ];
        let told: Vec<bool> = roads.into_iter().map(&mut look).collect();
        assert_eq!(told, [false, false, false, false, false, true, false]);
    }

    #[test]
    fn the_system_is_asked() {
        assert_eq!(
            local_address("127.0.0.1:9".parse().unwrap()),
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
    }
}
