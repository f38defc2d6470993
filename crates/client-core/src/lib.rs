#![doc = include_str!("../README.md")]

pub mod command;
pub mod event;
pub mod session;
pub mod storage;
pub mod view;

pub use command::{Command, CommandError, RequestId};
pub use event::{ConnectionState, Event, EventClass};
pub use session::{Action, Breaks, Config, LinkEvent, Session, Transmit};
