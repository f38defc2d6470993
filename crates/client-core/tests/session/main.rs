//! The session against a scripted server and a disk in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

mod converge;
mod facets;
mod hostile;
mod lead;
mod life;
mod links;
mod memory;
mod outbox;
mod own;
mod previews;
mod server;
mod settings;
mod sync;
mod sync_state;
mod transient;
mod views;
mod world;
