//! SQLite: one writer with group commit, readers beside it.

use std::path::PathBuf;

use fireside_server_core::storage::{Op, StoreError, Ticket};

use crate::{Sink, Store};

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The file.
    pub path: PathBuf,
    /// Reader threads.
    pub readers: usize,
    /// Writes queued; above it they fail as busy.
    pub writes_queued_max: usize,
    /// Reads queued; above it they fail as busy.
    pub reads_queued_max: usize,
    /// `PRAGMA synchronous`: FULL; OFF only to show that the power-cut proof notices.
    pub synchronous_off: bool,
    /// Forget known nonces at the start: a built-in fault for the simulator's kin.
    pub forget_nonces: bool,
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {}

impl SqliteStore {
    /// Opens or makes the file, brings its schema forward and starts the threads.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what was wrong and what to do.
    pub fn open(config: SqliteConfig, sink: Sink) -> Result<Self, StoreError> {
        let _ = (config, sink);
        unimplemented!()
    }
}

impl Store for SqliteStore {
    fn submit(&self, ticket: Ticket, op: Op) {
        let _ = (ticket, op);
        unimplemented!()
    }

    fn close(&self) {
        unimplemented!()
    }
}
