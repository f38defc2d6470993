#![doc = include_str!("../README.md")]

pub mod client_disk;
mod client_side;
pub mod database;
pub mod device;
pub mod network;
pub mod oracle;
pub mod proof;
pub mod record;
pub mod report;
mod rest;
pub mod rng;
pub mod server_disk;
pub mod server_side;
pub mod violation;
mod workload;
mod workload_own;
pub mod world;
