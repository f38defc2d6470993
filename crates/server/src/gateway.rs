//! The accept loop: lets in what there is room for, asks strangers in a crowd to show their address, refuses the rest.

use std::sync::{Arc, atomic::Ordering};

use quinn::{Endpoint, Incoming};

use crate::{connection, health::count, shared::Shared};

/// Accepts until the endpoint is closed.
pub(crate) async fn run(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        admit(incoming, &shared);
    }
}

fn admit(incoming: Incoming, shared: &Arc<Shared>) {
    let limits = &shared.settings.transport;
    let now = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as usize;
    let handshakes = now(&shared.counts.handshakes);
    let full = now(&shared.counts.connections) >= limits.connections_max
        || handshakes >= limits.handshakes_max;
    let crowded = shared.addresses.is_full(incoming.remote_address().ip());
    if full || crowded || shared.draining.load(Ordering::Acquire) {
        count(&shared.counts.refused);
        incoming.refuse();
    } else if handshakes >= limits.handshakes_retry_above && !incoming.remote_address_validated() {
        count(&shared.counts.retried);
        // It may always be retried while it is not validated.
        if let Err(error) = incoming.retry() {
            error.into_incoming().refuse();
        }
    } else {
        let handshake = connection::Handshake::new(shared.clone());
        tokio::spawn(connection::run(incoming, handshake));
    }
}
