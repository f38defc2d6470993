//! The server over real QUIC, against a bare client.
#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod early;
mod going_down;
mod hostile;
mod previews;
mod talking;
