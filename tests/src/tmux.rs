//! Real terminals: panes of a tmux server of our own, typed into and read like a person would.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

/// How often a screen is looked at while waiting for something on it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A tmux server of our own; dropping it ends it and everything in it.
#[derive(Debug)]
pub struct Tmux {
    socket: PathBuf,
}

/// One terminal.
#[derive(Debug)]
pub struct Terminal<'a> {
    tmux: &'a Tmux,
    name: String,
}

impl Tmux {
    /// A server with its socket in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            socket: folder.join("tmux"),
        }
    }

    /// Starts a command in a terminal of this size. The terminal stays when the command ends.
    ///
    /// # Errors
    /// When tmux is not there or refuses.
    pub fn open(
        &self,
        name: &str,
        columns: u16,
        rows: u16,
        command: &[String],
    ) -> anyhow::Result<Terminal<'_>> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let quoted: Vec<_> = command.iter().map(|word| quote(word)).collect();
        // The exit status stays on the screen for whoever looks.
        let line = format!("{}; echo \"[ended with $?]\"; exec cat", quoted.join(" "));
        self.run(&[
            "new-session",
            "-d",
            "-s",
            name,
            "-x",
            &columns,
            "-y",
            &rows,
            &line,
        ])?;
        Ok(Terminal {
            tmux: self,
            name: name.to_owned(),
        })
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("tmux");
        command
            .arg("-u")
            .arg("-f")
            .arg("/dev/null")
            .arg("-S")
            .arg(&self.socket);
        command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX");
        let output = command
            .args(arguments)
            .output()
            .context("tmux is not installed")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tmux {arguments:?}: {error}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        drop(self.run(&["kill-server"]));
    }
}

impl Terminal<'_> {
    /// Types text, as it is.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn text(&self, text: &str) -> anyhow::Result<()> {
        self.tmux
            .run(&["send-keys", "-t", &self.name, "-l", text])
            .map(drop)
    }

    /// Presses a key by tmux's name for it, for example `Enter`, `C-c`, `Up`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn key(&self, key: &str) -> anyhow::Result<()> {
        self.tmux
            .run(&["send-keys", "-t", &self.name, key])
            .map(drop)
    }

    /// Types a line and Enter.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn line(&self, line: &str) -> anyhow::Result<()> {
        self.text(line)?;
        self.key("Enter")
    }

    /// Makes the terminal another size.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, columns: u16, rows: u16) -> anyhow::Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux
            .run(&[
                "resize-window",
                "-t",
                &self.name,
                "-x",
                &columns,
                "-y",
                &rows,
            ])
            .map(drop)
    }

    /// What is on the screen.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn screen(&self) -> anyhow::Result<String> {
        self.tmux.run(&["capture-pane", "-p", "-t", &self.name])
    }

    /// Waits until the screen is as wanted.
    ///
    /// # Errors
    /// With the screen, when it does not become so in time.
    pub fn wait(
        &self,
        what: &str,
        within: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<String> {
        let deadline = Instant::now() + within;
        loop {
            let screen = self.screen()?;
            if wanted(&screen) {
                return Ok(screen);
            }
            if Instant::now() >= deadline {
                bail!(
                    "{}: {what}: not within {within:?}; the screen:\n{screen}",
                    self.name
                );
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// A word for the shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
