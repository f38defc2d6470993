#![doc = include_str!("../README.md")]

mod cache;
mod channel;
mod client;
mod config;
mod connection;
mod driver;
pub mod limits;
pub mod lock;
mod queue;
mod route;
mod search;
mod trust;

pub use cache::{Found, StoreError};
pub use channel::Receiver;
pub use client::{Client, Stats};
pub use config::{ClientConfig, RouteProbe, StartError, Trust};
pub use fireside_client_core as core;
pub use queue::Tick;
pub use trust::quic_config;
