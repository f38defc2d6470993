//! A node over a store of plain data: what it answers, whom it tells, what it never tells.

#![expect(clippy::unwrap_used, reason = "tests")]

// The simulator's own store; a copy of it would be one more thing to keep right.
#[allow(warnings, reason = "the simulator's: linted there")]
#[path = "../../../sim/src/database.rs"]
mod database;

mod ballots;
mod chaos;
mod children;
mod direct;
mod expiry;
mod facets;
mod forward;
mod groups;
mod lead;
mod life;
mod limits;
mod links;
mod meetings;
mod own;
mod pages;
mod presence;
mod previews;
mod public;
mod sessions;
mod settings;
mod transient;
mod world;
