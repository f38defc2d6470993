//! How many connections each address has, so that one of them can not take the room of all.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// Bits of an IPv6 address that stand for one subscriber: a client moves freely in its /64.
const IPV6_SUBSCRIBER_BITS: u32 = 64;

/// Connections by address. Only addresses that were shown to be the client's count: others can be forged, and would fill up
/// somebody else's room.
pub(crate) struct Addresses {
    counts: Mutex<HashMap<IpAddr, usize>>,
    max: usize,
}

/// One connection of an address, until dropped.
pub(crate) struct Taken {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    /// `max`: connections that one address may have; 0: any number.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            counts: Mutex::default(),
            max,
        })
    }

    /// Whether the address has as many connections as it may have.
    pub(crate) fn is_full(&self, address: IpAddr) -> bool {
        self.max > 0
            && self
                .counts
                .lock()
                .get(&subscriber(address))
                .is_some_and(|count| *count >= self.max)
    }

    /// Counts a connection; `None` if the address has as many as it may have.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Taken> {
        let address = subscriber(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_default();
        if self.max > 0 && *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Taken {
            addresses: self.clone(),
            address,
        })
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.addresses.counts.lock().entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The address as it is counted: an IPv4 one whole, however it is written, of an IPv6 one its network.
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & (u128::MAX << (128 - IPV6_SUBSCRIBER_BITS));
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let addresses = Addresses::new(2);
        let first = addresses.take(ip("192.0.2.1")).unwrap();
        let second = addresses.take(ip("::ffff:192.0.2.1")).unwrap();
        assert!(addresses.is_full(ip("192.0.2.1")));
        assert!(addresses.take(ip("192.0.2.1")).is_none());
        assert!(addresses.take(ip("192.0.2.2")).is_some());
        drop(first);
        assert!(!addresses.is_full(ip("192.0.2.1")));
        drop(second);
        assert!(
            addresses.counts.lock().is_empty(),
            "nothing is kept of the gone"
        );
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let addresses = Addresses::new(1);
        let _first = addresses.take(ip("2001:db8:0:1::1")).unwrap();
        assert!(addresses.take(ip("2001:db8:0:1:ffff::9")).is_none());
        assert!(addresses.take(ip("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn zero_is_no_limit() {
        let addresses = Addresses::new(0);
        let taken: Vec<_> = (0..100).filter_map(|_| addresses.take(ip("::1"))).collect();
        assert_eq!(taken.len(), 100);
        assert!(!addresses.is_full(ip("::1")));
    }
}
