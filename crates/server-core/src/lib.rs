#![doc = include_str!("../README.md")]

pub mod breaks;
pub mod log;
pub mod node;
pub mod rights;
pub mod storage;

pub use breaks::Breaks;
pub use node::{Login, Node, NodeConfig, Origin, SessionKey, Transmit};
