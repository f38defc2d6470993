#![doc = include_str!("../README.md")]

mod addresses;
pub mod bus;
pub mod certificate;
mod clock;
mod connection;
mod drain;
mod driver;
mod gateway;
pub mod health;
mod in_order;
mod inbox;
pub mod keys;
mod log_in;
mod page_stream;
mod previews;
pub mod resume;
pub mod server;
mod session;
pub mod settings;
mod shared;
mod side_stream;
pub mod token;
mod token_key;
pub mod transport;

pub use certificate::Fingerprint;
pub use previews::PreviewSettings;
pub use server::{RunningServer, Server, ServerCounters, StartError};
pub use settings::{Settings, SettingsError};
pub use token::{Claims, TokenKeys};
