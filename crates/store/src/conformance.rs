//! The suite every store must pass.

mod harness;

pub use harness::{Harness, StoreHarness};
