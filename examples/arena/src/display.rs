//! Whether a window can be opened here, and if not, what is missing.
//!
//! The libraries that a window needs are loaded at run time, so that a build needs none of them. Each is tried here the way the
//! window would, because there it would be a panic.

#[cfg(target_os = "linux")]
pub(crate) use linux::check;

/// Other systems bring what a window needs.
#[cfg(not(target_os = "linux"))]
pub(crate) fn check() -> Result<(), String> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use bevy::tasks::block_on;

    /// What was wrong, and what to do.
    pub(crate) fn check() -> Result<(), String> {
        // The screen first: where there is none, nobody wants to install libraries for it.
        let display = std::env::var("DISPLAY").unwrap_or_default();
        if display.is_empty() {
            return Err("there is no display (DISPLAY is not set).".to_owned());
        }
        if let Err(error) = x11rb::connect(None) {
            return Err(format!(
                "the display {display} does not answer ({error}); is its X server running?"
            ));
        }
        let missing = missing_libraries();
        if !missing.is_empty() {
            return Err(missing);
        }
        graphics()
    }

    /// All of them at once, so that nobody installs one after the other.
    fn missing_libraries() -> String {
        let there = [
            (
                x11_dl::xlib::Xlib::open().is_ok(),
                "libX11.so.6",
                "libx11-6",
            ),
            (
                x11_dl::xlib_xcb::Xlib_xcb::open().is_ok(),
                "libX11-xcb.so.1",
                "libx11-xcb1",
            ),
            (
                x11_dl::xcursor::Xcursor::open().is_ok(),
                "libXcursor.so.1",
                "libxcursor1",
            ),
            (
                x11_dl::xinput2::XInput2::open().is_ok(),
                "libXi.so.6",
                "libxi6",
            ),
            (
                x11rb::xcb_ffi::load_libxcb().is_ok(),
                "libxcb.so.1",
                "libxcb1",
            ),
            (
                xkbcommon_dl::xkbcommon_option().is_some(),
                "libxkbcommon.so.0",
                "libxkbcommon0",
            ),
            (
                xkbcommon_dl::x11::xkbcommon_x11_option().is_some(),
                "libxkbcommon-x11.so.0",
                "libxkbcommon-x11-0",
            ),
        ];
        let (libraries, packages): (Vec<_>, Vec<_>) = there
            .into_iter()
            .filter(|(there, ..)| !there)
            .map(|(_, library, package)| (library, package))
            .unzip();
        if libraries.is_empty() {
            return String::new();
        }
        format!(
            "a window needs {}, which {} not on this machine (Debian: apt install {}).",
            libraries.join(", "),
            if libraries.len() == 1 { "is" } else { "are" },
            packages.join(" ")
        )
    }

    /// Asks every graphics driver whether it is there, as the renderer will.
    fn graphics() -> Result<(), String> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let asked = instance.request_adapter(&wgpu::RequestAdapterOptions::default());
        block_on(asked).map(drop).map_err(|_| {
            "no graphics driver answers: neither Vulkan (libvulkan.so.1 and a driver; Debian: apt install libvulkan1 \
             mesa-vulkan-drivers) nor OpenGL (libEGL.so.1; Debian: apt install libegl1 libgl1-mesa-dri)."
                .to_owned()
        })
    }
}
