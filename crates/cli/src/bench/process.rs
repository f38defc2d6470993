//! The processes that are measured, and what /proc says about them.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context, ensure};
use fireside_client::Trust;
use serde_json::Value;

use crate::bench::world::Folder;

/// Clock ticks a second in /proc: 100 on every Linux that Rust runs on.
const TICKS_PER_S: f64 = 100.0;

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    fireside: PathBuf,
    baseline: PathBuf,
}

impl Programs {
    /// This program, and the baseline beside it unless named.
    pub(super) fn find(baseline: Option<PathBuf>) -> anyhow::Result<Self> {
        let fireside = std::env::current_exe().context("where is this program?")?;
        let baseline = baseline.unwrap_or_else(|| fireside.with_file_name("fireside-baseline"));
        ensure!(
            baseline.is_file(),
            "{} is not there: build it with `cargo build --release -p fireside-baseline`, or name it with --baseline",
            baseline.display()
        );
        Ok(Self { fireside, baseline })
    }

    /// Another program or library of the build, beside this one.
    pub(super) fn beside(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.fireside.with_file_name(name);
        ensure!(
            path.is_file(),
            "{} is not there: build it with `cargo build --release --workspace`",
            path.display()
        );
        Ok(path)
    }

    /// Starts our server on a data folder and waits until it listens.
    pub(super) fn serve(&self, folder: &Folder) -> anyhow::Result<Server> {
        let log = folder.path().join("serve.log");
        let mut command = Command::new(&self.fireside);
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.data());
        command.arg("--config").arg(folder.settings());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log)?);
        let mut child = command.spawn().context("fireside serve")?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let (mut address, mut trust) = (None, None);
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(text) = line.strip_prefix("listening on ") {
                address = Some(text.trim().parse()?);
            } else if let Some(text) = line.strip_prefix("certificate sha256 ") {
                trust = Some(Trust::Pinned(
                    fingerprint(text.trim()).context("its certificate's fingerprint")?,
                ));
            }
            if address.is_some() && trust.is_some() {
                break;
            }
        }
        let (Some(address), Some(trust)) = (address, trust) else {
            let status = child.wait()?;
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            anyhow::bail!("fireside serve does not listen ({status}): {log}");
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Server {
            child,
            address,
            trust,
        })
    }

    /// Starts a server of the baseline.
    pub(super) fn raw_server(&self, arguments: &[&str]) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.baseline);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("fireside-baseline")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let value: Value =
            serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))?;
        let address = value["listening"].as_str().context("no address")?.parse()?;
        Ok(Server {
            child,
            address,
            trust: Trust::Roots,
        })
    }

    /// Runs a load of the baseline against a server of it, to its end.
    pub(super) fn raw_load(
        &self,
        name: &str,
        server: &Server,
        seconds: f64,
        more: &[&str],
    ) -> anyhow::Result<Value> {
        let (address, pid, seconds) = (
            server.address.to_string(),
            server.child.id().to_string(),
            seconds.to_string(),
        );
        let common = [
            name,
            "--connect",
            &address,
            "--server-pid",
            &pid,
            "--seconds",
            &seconds,
        ];
        self.raw_run(&[&common[..], more].concat())
    }

    /// Runs a part of the baseline that needs no server.
    pub(super) fn raw_run(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = Command::new(&self.baseline)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(
            output.status.success(),
            "fireside-baseline {arguments:?}: {}",
            output.status
        );
        let text = String::from_utf8(output.stdout)?;
        Ok(serde_json::from_str(
            text.lines().last().context("it said nothing")?,
        )?)
    }

    /// Starts a load of the baseline that says in a first line when it is ready.
    pub(super) fn raw_load_started(&self, arguments: &[&str]) -> anyhow::Result<Load> {
        let mut command = Command::new(&self.baseline);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Load { child, lines })
    }
}

/// A load process that runs on.
#[derive(Debug)]
pub(super) struct Load {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Load {
    /// Its next line.
    pub(super) fn line(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server process; killed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// How ours proves who it is.
    pub(super) trust: Trust,
}

impl Server {
    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .context("no number")?
            .parse()?;
        Ok(kib * 1024.0)
    }

    /// Processor time so far, in seconds.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        Ok(process_ticks(&self.child.id().to_string(), false)? / TICKS_PER_S)
    }

    /// An error if it is gone.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the server ended: {status}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// 64 hexadecimal digits, with or without colons.
fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// User and system ticks of a process; with those of its waited-for children if wanted.
fn process_ticks(pid: &str, children: bool) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything.
    let fields = stat.rsplit_once(')').context("no name")?.1;
    let numbers: Vec<f64> = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(numbers.iter().take(if children { 4 } else { 2 }).sum())
}

/// Processor time of this process, without its children, in seconds.
pub(super) fn own_cpu() -> anyhow::Result<f64> {
    Ok(process_ticks("self", false)? / TICKS_PER_S)
}

/// Processor time of others, measured from `new` on.
#[derive(Debug)]
pub(super) struct ForeignLoad {
    busy: f64,
    own: f64,
    began: std::time::Instant,
}

impl ForeignLoad {
    /// Starts measuring.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            busy: busy_ticks()?,
            own: own_ticks()?,
            began: std::time::Instant::now(),
        })
    }

    /// Processors that others kept busy since, on average.
    pub(super) fn processors(&self) -> anyhow::Result<f64> {
        let ticks = (busy_ticks()? - self.busy) - (own_ticks()? - self.own);
        Ok((ticks / TICKS_PER_S / self.began.elapsed().as_secs_f64()).max(0.0))
    }
}

fn busy_ticks() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("no cpu line")?;
    let numbers: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    // user nice system idle iowait irq softirq steal
    Ok(numbers
        .iter()
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at) && *at < 8)
        .map(|(_, ticks)| ticks)
        .sum())
}

/// This process, its children that ended and those that run.
fn own_ticks() -> anyhow::Result<f64> {
    let mut ticks = process_ticks("self", true)?;
    for task in std::fs::read_dir("/proc/self/task")? {
        let children = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            // It may have ended meanwhile.
            ticks += process_ticks(pid, false).unwrap_or(0.0);
        }
    }
    Ok(ticks)
}
