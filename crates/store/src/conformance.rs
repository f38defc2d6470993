//! The suite every store must pass.
//!
//! ```no_run
//! use fireside_store::{SqliteConfig, SqliteStore, conformance::{StoreHarness, run_all}};
//!
//! let checks = run_all(&mut || {
//!     let path = std::env::temp_dir().join("conformance.db"); // a new one each time
//!     Box::new(StoreHarness::new(move |sink| {
//!         Box::new(SqliteStore::open(SqliteConfig::new(&path), sink).expect("it opens"))
//!     }))
//! });
//! println!("{checks} checks");
//! ```

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite of tests: a failed expectation ends it"
)]

mod blocks;
mod changes;
mod children;
mod devices;
mod expiry;
mod facets;
mod forward;
mod harness;
mod heads;
mod lead;
mod life;
mod markers;
mod members;
mod nonces;
mod numbers;
mod order;
mod own;
mod pages;
mod shape;
mod stale;
mod user_log;
mod world;

pub use harness::{Harness, StoreHarness};

use self::world::World;

/// A check of the suite: its name and what it does with an empty store.
type Check = (&'static str, fn(&mut World));

/// Runs every check, each on an empty store from `make`, and gives their number.
///
/// # Panics
/// When one fails; its name is printed to the standard error before.
pub fn run_all(make: &mut dyn FnMut() -> Box<dyn Harness>) -> usize {
    let groups = [
        numbers::CHECKS,
        nonces::CHECKS,
        stale::CHECKS,
        changes::CHECKS,
        facets::CHECKS,
        life::CHECKS,
        expiry::CHECKS,
        forward::CHECKS,
        members::CHECKS,
        shape::CHECKS,
        lead::CHECKS,
        children::CHECKS,
        blocks::CHECKS,
        markers::CHECKS,
        user_log::CHECKS,
        own::CHECKS,
        pages::CHECKS,
        heads::CHECKS,
        devices::CHECKS,
        order::CHECKS,
    ];
    let mut count = 0;
    for (name, check) in groups.into_iter().flatten() {
        let named = Named(name);
        check(&mut World::new(make()));
        drop(named);
        count += 1;
    }
    count
}

/// Names the check that a panic passes through.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("conformance check failed: {}", self.0);
        }
    }
}
