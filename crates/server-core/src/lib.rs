#![doc = include_str!("../README.md")]

mod answers;
mod appended;
mod attention;
mod behind;
mod blocks;
pub mod breaks;
mod commands;
pub mod config;
mod conversation;
mod decide;
mod enter;
pub mod facets;
mod fanout;
mod groups;
mod heads;
mod job;
mod loaded;
mod loads;
pub mod log;
pub mod node;
pub mod outbound;
mod output;
pub mod permissions;
mod rate;
mod receipts;
mod requests;
pub mod rights;
mod session;
mod settings;
mod slab;
pub mod storage;
mod sync;
mod timers;
mod users;

pub use breaks::Breaks;
pub use node::{Login, Node, NodeConfig, Origin, SessionKey, Transmit};
