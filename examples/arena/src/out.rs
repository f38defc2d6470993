//! Lines on standard output. Whoever read them may be gone (`arena | head`): then the arena ends, like any program in a pipe.

use std::{
    fmt::Arguments,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use bevy::app::TerminalCtrlCHandlerPlugin;

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Writes a line, at once.
pub(crate) fn line(words: Arguments) {
    if writeln!(std::io::stdout().lock(), "{words}").is_err()
        && !CLOSED.swap(true, Ordering::SeqCst)
    {
        TerminalCtrlCHandlerPlugin::gracefully_exit();
    }
}

/// `println!` for a game that may be read by a pipe.
macro_rules! say {
    ($($words:tt)*) => { $crate::out::line(format_args!($($words)*)) };
}
pub(crate) use say;
