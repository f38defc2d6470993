//! When the renderer fails before there is a picture: say why, and go on without a window.
//!
//! Bevy makes its renderer on another thread and panics there if the graphics driver refuses; the window would wait for ever. So
//! the process becomes one without a window. Nothing has been opened by then: the server starts with the first frame.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::out::say;

/// There has been no frame yet.
static ARMED: AtomicBool = AtomicBool::new(false);

/// From now until [`disarm`] a panic means: no window.
pub(crate) fn arm() {
    ARMED.store(true, Ordering::SeqCst);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !ARMED.swap(false, Ordering::SeqCst) {
            return usual(panic);
        }
        let reason = panic
            .payload_as_str()
            .unwrap_or("the renderer could not be started");
        say!("No window: {}", reason.lines().next().unwrap_or_default());
        say!("The same scene goes on without one.\n");
        become_headless();
    }));
}

/// There is a picture: panics are bugs again.
pub(crate) fn disarm() {
    ARMED.store(false, Ordering::SeqCst);
}

#[cfg(unix)]
fn become_headless() {
    use std::os::unix::process::CommandExt;
    let Ok(program) = std::env::current_exe() else {
        std::process::exit(1);
    };
    // Returns only if it failed.
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--headless")
        .exec();
    eprintln!("arena: it could not be started again: {error}");
    std::process::exit(1);
}

#[cfg(not(unix))]
fn become_headless() {
    let status = std::env::current_exe().and_then(|program| {
        std::process::Command::new(program)
            .args(std::env::args_os().skip(1))
            .arg("--headless")
            .status()
    });
    let code = status.ok().and_then(|status| status.code()).unwrap_or(1);
    std::process::exit(code);
}
