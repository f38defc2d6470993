//! What breaks Fireside: the real program in real processes, over real sockets, on a real disk, killed and cut off on purpose.
//!
//! Each proof is a module of [`proofs`] and runs as `fireside-proof NAME` (`./test NAME`). The rest of this crate is what they are
//! built from: a server as a child process ([`process`]), clients as child processes ([`agent`]), bad networks ([`proxy`]),
//! power cuts ([`powercut`]), repeatable chance ([`chance`]).

pub mod agent;
pub mod book;
pub mod chance;
pub mod desktop;
pub mod disk;
pub mod flood;
pub mod frame;
pub mod game;
pub mod load;
pub mod pages;
pub mod person;
pub mod powercut;
pub mod process;
pub mod proofs;
pub mod proxy;
pub mod tmux;
pub mod wire;
