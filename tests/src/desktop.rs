//! A desktop for a test: an X server without a screen, a program on it that tells facts, real keys, pictures of what is there.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

/// Lines that are shown when what was waited for does not come.
const LINES_SHOWN: usize = 40;

/// An X server of our own; dropping it ends it.
#[derive(Debug)]
pub struct Desktop {
    server: Child,
    display: String,
}

impl Desktop {
    /// Starts one on a free display.
    ///
    /// # Errors
    /// When Xvfb is not there or does not start.
    pub fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        Self::with_depth(width, height, 24)
    }

    /// Starts one whose pixels have so many bits.
    ///
    /// # Errors
    /// When Xvfb is not there or does not start.
    pub fn with_depth(width: u32, height: u32, bits: u32) -> anyhow::Result<Self> {
        let screen = format!("{width}x{height}x{bits}");
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-nolisten",
                "tcp",
                "-screen",
                "0",
                &screen,
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb is not installed (Debian: xvfb)")?;
        let mut line = String::new();
        let out = server.stdout.take().context("no output")?;
        // It says its number once it takes clients.
        BufReader::new(out).read_line(&mut line)?;
        let number = line.trim();
        if number.is_empty() {
            let _ = server.kill();
            let _ = server.wait();
            bail!("Xvfb did not start");
        }
        Ok(Self {
            display: format!(":{number}"),
            server,
        })
    }

    /// For `DISPLAY`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Gives a window the keyboard, as a window manager would.
    ///
    /// # Errors
    /// When there is no such window.
    pub fn focus(&self, title: &str) -> anyhow::Result<()> {
        self.xdotool(&["search", "--sync", "--name", title, "windowfocus", "--sync"])
    }

    /// Presses and releases keys, by their X names.
    ///
    /// # Errors
    /// When the X server is gone.
    pub fn key(&self, key: &str) -> anyhow::Result<()> {
        self.xdotool(&["key", key])
    }

    /// Presses a key, or lets it go.
    ///
    /// # Errors
    /// When the X server is gone.
    pub fn hold(&self, key: &str, down: bool) -> anyhow::Result<()> {
        self.xdotool(&[if down { "keydown" } else { "keyup" }, key])
    }

    /// Types text.
    ///
    /// # Errors
    /// When the X server is gone.
    pub fn text(&self, text: &str) -> anyhow::Result<()> {
        self.xdotool(&["type", "--delay", "12", text])
    }

    /// Moves the pointer.
    ///
    /// # Errors
    /// When the X server is gone.
    pub fn point(&self, x: u32, y: u32) -> anyhow::Result<()> {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string()])
    }

    /// Presses a button of the pointer: 1 is the first, 4 and 5 are the wheel.
    ///
    /// # Errors
    /// When the X server is gone.
    pub fn click(&self, button: u32) -> anyhow::Result<()> {
        self.xdotool(&["click", &button.to_string()])
    }

    fn xdotool(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.display)
            .output()
            .context("xdotool is not installed")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "xdotool {arguments:?}: {}",
            error.trim()
        );
        Ok(())
    }

    /// What is on the screen, as a file (PNG by its name).
    ///
    /// # Errors
    /// When the X server is gone or the file can not be written.
    pub fn picture(&self, file: &Path) -> anyhow::Result<()> {
        let output = Command::new("import")
            .args(["-window", "root"])
            .arg(file)
            .env("DISPLAY", &self.display)
            .output()
            .context("import is not installed (Debian: imagemagick)")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "import: {}", error.trim());
        Ok(())
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A program whose output is read line by line; dropping it kills it.
#[derive(Debug)]
pub struct Told {
    child: Child,
    lines: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Debug, Default)]
struct Lines {
    all: Vec<String>,
    ended: bool,
}

impl Told {
    /// Starts it.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let out = child.stdout.take().context("no output")?;
        let lines = Arc::new((Mutex::new(Lines::default()), Condvar::new()));
        let seen = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let mut lines = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
                lines.all.push(line);
                seen.1.notify_all();
            }
            seen.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
            seen.1.notify_all();
        });
        Ok(Self { child, lines })
    }

    /// How many lines there are: what comes now is after this.
    #[must_use]
    pub fn now(&self) -> usize {
        let lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.all.len()
    }

    /// All lines from one on.
    #[must_use]
    pub fn since(&self, from: usize) -> Vec<String> {
        let lines = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.all.get(from..).unwrap_or_default().to_vec()
    }

    /// Waits for a line at or after `from`; gives its place and what it says.
    ///
    /// # Errors
    /// With the last lines, when it does not come in time.
    pub fn wait(
        &self,
        what: &str,
        from: usize,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<(usize, String)> {
        let deadline = Instant::now() + within;
        let (lock, news) = &*self.lines;
        let mut lines = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = from;
        loop {
            while let Some(line) = lines.all.get(at) {
                if wanted(line) {
                    return Ok((at, line.clone()));
                }
                at += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended {
                let from = lines.all.len().saturating_sub(LINES_SHOWN);
                let end = if lines.ended { "; it ended" } else { "" };
                bail!(
                    "{what}: not within {within:?}{end}; its last lines:\n{}",
                    lines.all[from..].join("\n")
                );
            }
            lines = news
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for its end; gives its status and all its lines.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end(mut self, within: Duration) -> anyhow::Result<(ExitStatus, Vec<String>)> {
        let deadline = Instant::now() + within;
        let (lock, news) = &*self.lines;
        let mut lines = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !lines.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "it did not end within {within:?}");
            lines = news
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let all = lines.all.clone();
        drop(lines);
        Ok((self.child.wait()?, all))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
