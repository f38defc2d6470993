#![doc = include_str!("../README.md")]

pub mod command;
pub mod event;
pub mod session;
pub mod storage;
pub mod view;

mod cache;
mod commands;
mod config;
mod conversation;
mod conversations;
mod details;
mod diff;
mod expiry;
mod heads;
mod id_set;
mod lead;
mod lent;
mod life;
mod link;
mod list;
mod outbox;
mod own;
mod pending;
mod presence;
mod random;
mod ranges;
mod receipts;
mod receive;
mod rows;
mod sorted;
mod sync;
mod timeline;
mod timers;
mod token;
mod transient;

pub use bytestring::ByteString;
pub use command::{Command, CommandError, NewMessage, RequestId};
pub use event::{ConnectionState, Event, EventClass, SyncState};
pub use session::{Action, Breaks, Config, LinkEvent, Session, Transmit};
