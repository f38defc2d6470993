//! The real server as a child process: started, watched, killed, started again on the same port.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

const LISTENING: &str = "listening on ";
const CERTIFICATE: &str = "certificate sha256 ";
/// How long a server may take from its start to its first line.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Lines of its log that are shown when it fails.
const LOG_LINES_SHOWN: usize = 20;

/// The program `NAME` beside the running one (or above it, for tests in `deps`).
///
/// # Errors
/// When it was not built.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folders = own.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "the program {name} is not beside {}; build it",
            own.display()
        )
    })
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// Its data folder.
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Settings as `key = value` lines of its settings file; empty: none.
    pub settings: String,
    /// More arguments.
    pub arguments: Vec<OsString>,
    /// More environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard error goes here, appended.
    pub log: PathBuf,
}

impl ServerPlan {
    /// A development server with everything under `folder`, on a free local port.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            data: folder.join("server"),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            settings: String::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: folder.join("server.log"),
        }
    }

    /// Starts it and waits until it listens. From then on the plan has its port, so that a restart gets the same.
    ///
    /// # Errors
    /// When it ends or says nothing in time; with the end of its log.
    pub fn start(&mut self) -> anyhow::Result<Server> {
        let server = Server::listening(self.spawn()?).with_context(|| self.log_tail())?;
        self.listen = server.address;
        Ok(server)
    }

    /// Starts it and kills it that much later, wherever it is then.
    ///
    /// # Errors
    /// When it can not be started, or can not be waited for.
    pub fn start_and_kill(&self, after: Duration) -> anyhow::Result<()> {
        let mut child = self.spawn()?;
        thread::sleep(after);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        fs::create_dir_all(&self.data)?;
        let mut command = Command::new(program("fireside")?);
        command
            .arg("serve")
            .arg("--dev")
            .arg("--data")
            .arg(&self.data);
        command.arg("--listen").arg(self.listen.to_string());
        if !self.settings.is_empty() {
            let path = self.log.with_extension("toml");
            fs::write(&path, &self.settings)?;
            command.arg("--config").arg(path);
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().cloned());
        let log = File::options().create(true).append(true).open(&self.log)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        Ok(command.spawn()?)
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        format!("the server's log ends with:\n{}", lines[from..].join("\n"))
    }

    /// A token for a user, made by the program itself.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let mut command = Command::new(program("fireside")?);
        command
            .arg("token")
            .arg("--data")
            .arg(&self.data)
            .arg("--user")
            .arg(user);
        let output = command.output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    fingerprint: [u8; 32],
}

impl Server {
    fn listening(mut child: Child) -> anyhow::Result<Self> {
        let Some(output) = child.stdout.take() else {
            bail!("no standard output")
        };
        let (lines, lines_in) = mpsc::channel();
        // Reads to the end, so that the server never waits for a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                drop(lines.send(line));
            }
        });
        let mut server = Self {
            child,
            address: SocketAddr::from(([0; 4], 0)),
            fingerprint: [0; 32],
        };
        let deadline = Instant::now() + START_TIMEOUT;
        let (mut listens, mut certified) = (false, false);
        while !(listens && certified) {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = match lines_in.recv_timeout(left) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => bail!("the server does not listen in time"),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    bail!("the server ended: {}", server.child.wait()?)
                }
            };
            if line.starts_with(LISTENING) {
                server.address = address_on(&line)?;
                listens = true;
            } else if line.starts_with(CERTIFICATE) {
                server.fingerprint = fingerprint_on(&line)?;
                certified = true;
            }
        }
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of its certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// `kill -9`, and waits for its end.
    ///
    /// # Errors
    /// When it can not be waited for.
    pub fn kill(mut self) -> anyhow::Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "the server had ended by itself"
        );
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn terminate(mut self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        signal(self.child.id(), "TERM")?;
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "the server does not end within {timeout:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGSTOP: from now on it is silent.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> anyhow::Result<()> {
        signal(self.child.id(), "STOP")
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> anyhow::Result<()> {
        signal(self.child.id(), "CONT")
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    /// With its status.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the server ended by itself: {status}"),
            None => Ok(()),
        }
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn memory_bytes(&self) -> anyhow::Result<u64> {
        memory_bytes(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Resident memory of a process in bytes.
///
/// # Errors
/// When it is gone.
pub fn memory_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .context("VmRSS")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// Sends a signal by name to a process that is ours.
fn signal(pid: u32, name: &str) -> anyhow::Result<()> {
    // The shell's own kill: a bare Debian has no other.
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

/// The address in what a server printed.
///
/// # Errors
/// When it is not there.
pub fn address_on(screen: &str) -> anyhow::Result<SocketAddr> {
    let line = screen.lines().find_map(|line| line.strip_prefix(LISTENING));
    line.and_then(|line| line.trim().parse().ok())
        .context("no line says where the server listens")
}

/// The certificate's fingerprint in what a server printed.
///
/// # Errors
/// When it is not there.
pub fn fingerprint_on(screen: &str) -> anyhow::Result<[u8; 32]> {
    let line = screen
        .lines()
        .find_map(|line| line.strip_prefix(CERTIFICATE));
    let hex = line
        .context("no line has the certificate's fingerprint")?
        .trim()
        .replace(':', "");
    ensure!(
        hex.len() == 64 && hex.is_ascii(),
        "not a fingerprint: {hex}"
    );
    let mut bytes = [0; 32];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16)?;
    }
    Ok(bytes)
}
