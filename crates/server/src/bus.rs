//! The bus carries published entries between nodes.

use std::sync::Arc;

use fireside_server_core::node::Published;

/// Where what a bus brings goes to. Must not block.
pub type BusSink = Arc<dyn Fn(Published) + Send + Sync>;

/// Carries published entries to all nodes, the publishing one included. May bring them late and out of order, not twice.
pub trait Bus: Send + Sync {
    /// Takes something to tell. Never blocks.
    fn publish(&self, published: Published);
}

/// The bus of a server that is alone: what is published comes back at once.
pub struct LocalBus {
    sink: BusSink,
}

impl std::fmt::Debug for LocalBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalBus")
    }
}

impl LocalBus {
    /// Brings everything to `sink`.
    #[must_use]
    pub fn new(sink: BusSink) -> Self {
        Self { sink }
    }
}

impl Bus for LocalBus {
    fn publish(&self, published: Published) {
        (self.sink)(published);
    }
}
