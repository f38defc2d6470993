#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "the one crate where pointers come in; each block says why it is sound"
)]
#![expect(
    non_camel_case_types,
    reason = "these are the names that C sees, so that header and source read alike"
)]
#![expect(
    clippy::missing_safety_doc,
    reason = "what a caller owes is said once, in the front page and in the header: pointers are null or valid"
)]

pub mod client;
pub mod constants;
pub mod conversation;
pub mod library;
pub mod message;
pub mod people;
pub mod status;
pub mod types;

mod batch;
mod boundary;
mod handles;
mod host;
mod input;

#[cfg(feature = "test-hooks")]
pub mod hooks;
