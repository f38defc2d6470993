#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod sqlite;

use std::sync::Arc;

use fireside_server_core::storage::{Op, Reply, StoreError, Ticket};

pub use sqlite::{SqliteConfig, SqliteStore};

/// Where results go: several at a time, writes in the order of their submission. Called on the store's own threads; must not block.
pub type Sink = Arc<dyn Fn(Vec<(Ticket, Result<Reply, StoreError>)>) + Send + Sync>;

/// What keeps the server's state. `server_core::storage` says what each operation means; `conformance` checks it.
pub trait Store: Send + Sync {
    /// Takes an operation; its result goes to the sink given at the start, exactly once. Never blocks: over its limits the
    /// result is [`StoreError::Busy`], through the sink too.
    fn submit(&self, ticket: Ticket, op: Op);

    /// Carries out what was submitted, makes it durable and stops. Later operations fail as unavailable.
    fn close(&self);
}
