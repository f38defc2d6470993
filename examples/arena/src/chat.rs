//! Chat in the arena: the conversations a player has (`rooms`), what a written line means (`words`) and does (`say`), and the box
//! on screen (`panel` and its parts).

pub(crate) mod hint;
pub(crate) mod input;
pub(crate) mod log;
pub(crate) mod panel;
pub(crate) mod pill;
pub(crate) mod rooms;
pub(crate) mod row;
pub(crate) mod say;
pub(crate) mod scroll;
pub(crate) mod tabs;
pub(crate) mod words;
