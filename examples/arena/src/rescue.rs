//! When the renderer fails before there is a picture: say why, and go on without a window.
//!
//! Bevy makes its renderer on another thread, and what the window is drawn on with the first frame. Both panic if the graphics driver
//! or the display refuses; the window would wait for ever, or end in a backtrace. So the process becomes one without a window.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use bevy::prelude::Local;

use crate::out::say;

/// Whose panics mean that there is no window; anybody else's are bugs.
const RENDERER: [&str; 5] = ["bevy_render", "bevy_winit", "winit", "wgpu", "naga"];
/// So many frames have begun: the first was drawn, on another thread, one or two frames ago.
const DRAWN: u32 = 4;

/// There has been no picture yet.
static ARMED: AtomicBool = AtomicBool::new(false);
/// Goes with this process; nobody else would remove it.
static TEMPORARY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// From now until a picture is drawn, a panic of the renderer means: no window.
pub(crate) fn arm() {
    ARMED.store(true, Ordering::SeqCst);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let renderer = panic
            .location()
            .is_some_and(|place| is_renderer(Path::new(place.file())));
        if !renderer || !ARMED.swap(false, Ordering::SeqCst) {
            return usual(panic);
        }
        let reason = panic.payload_as_str().unwrap_or("it does not say why");
        say!(
            "No window: the renderer can not be started here. It says: {}",
            reason.lines().next().unwrap_or_default()
        );
        say!("The same scene goes on without one.\n");
        become_headless();
    }));
}

/// A folder that must not outlive this process.
pub(crate) fn remember(temporary: &Path) {
    if let Ok(mut kept) = TEMPORARY.lock() {
        *kept = Some(temporary.to_owned());
    }
}

/// Each frame: after the first picture panics are bugs again.
pub(crate) fn watch(mut frames: Local<u32>) {
    *frames = frames.saturating_add(1);
    if *frames == DRAWN {
        ARMED.store(false, Ordering::SeqCst);
    }
}

/// A source of the renderer or of the window, by the name of its crate.
fn is_renderer(source: &Path) -> bool {
    source
        .iter()
        .filter_map(|part| part.to_str())
        .any(|part| RENDERER.iter().any(|name| part.starts_with(name)))
}

#[cfg(unix)]
fn become_headless() {
    use std::os::unix::process::CommandExt;
    let Ok(program) = std::env::current_exe() else {
        std::process::exit(1);
    };
    // The server, if it has begun, ends as this process does: in the middle of whatever it does, which it survives.
    if let Ok(mut temporary) = TEMPORARY.try_lock()
        && let Some(folder) = temporary.take()
    {
        let _ = std::fs::remove_dir_all(folder);
    }
    // Returns only if it failed.
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .arg("--headless")
        .exec();
    eprintln!("arena: it could not be started again: {error}");
    std::process::exit(1);
}

/// This process stays, and waits for the other. What it keeps open under `--data` the other is refused, and says so.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_renderer_takes_the_window_away() {
        for source in [
            "/cargo/registry/src/index/bevy_render-0.19.1/src/view/window/mod.rs",
            "/cargo/registry/src/index/wgpu-core-29.0.1/src/device/mod.rs",
            "/cargo/registry/src/index/winit-0.30.13/src/platform_impl/linux/mod.rs",
            "/checkouts/bevy-1234/5678/crates/bevy_winit/src/lib.rs",
        ] {
            assert!(is_renderer(Path::new(source)), "{source}");
        }
        for source in [
            "examples/arena/src/window.rs",
            "/cargo/registry/src/index/bevy_ecs-0.19.1/src/error/handler.rs",
            "/rustc/1234/library/core/src/option.rs",
        ] {
            assert!(!is_renderer(Path::new(source)), "{source}");
        }
    }
}
