//! This machine: disk, files, sockets.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use fireside_server::Settings;

use super::{Finding, Limits};

/// Writes that are timed; the first are not counted.
const FSYNCS: usize = 24;
const FSYNCS_NOT_COUNTED: usize = 4;
/// As much as a commit of a message writes.
const FSYNC_BYTES: usize = 4_096;
/// An fsync faster than this did not wait for any disk.
const FSYNC_TOO_FAST: Duration = Duration::from_micros(15);

pub(super) fn fsync(limits: &Limits, folder: &Path) -> Finding {
    let times = match time_fsyncs(folder) {
        Ok(times) => times,
        Err(error) => {
            return Finding::Bad(
                format!("a file in {} can not be written and synced: {error}", folder.display()),
                "give the server a folder that its user may write, on a disk with free space (--data)".to_owned(),
            );
        }
    };
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let (median_ms, worst_ms) = (
        median.as_secs_f64() * 1_000.0,
        worst.as_secs_f64() * 1_000.0,
    );
    let text = format!(
        "{median_ms:.2} ms (median of {}, worst {worst_ms:.2} ms) in {}",
        times.len(),
        folder.display()
    );
    if median_ms > limits.fsync_ms_max {
        return Finding::Bad(
            format!("{text}; expected at most {} ms", limits.fsync_ms_max),
            "put the data folder on an SSD or NVMe disk of this machine; network disks are slow here".to_owned(),
        );
    }
    if median < FSYNC_TOO_FAST {
        return Finding::Weak(
            format!("{text}: no disk is that fast"),
            "this is memory (tmpfs) or a disk that promises too early: a power cut would lose sent messages; choose another --data".to_owned(),
        );
    }
    Finding::Good(text)
}

fn time_fsyncs(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let path = folder.join(format!(".fireside-doctor-{}", std::process::id()));
    let run = || {
        let mut file = File::create(&path)?;
        let block = [0x46; FSYNC_BYTES];
        let mut times = Vec::with_capacity(FSYNCS);
        for _ in 0..FSYNCS {
            let start = Instant::now();
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&block)?;
            file.sync_all()?;
            times.push(start.elapsed());
        }
        Ok(times.split_off(FSYNCS_NOT_COUNTED))
    };
    let outcome: std::io::Result<Vec<Duration>> = run();
    let _ = fs::remove_file(&path);
    outcome.map(|mut times| {
        times.sort_unstable();
        times
    })
}

pub(super) fn open_files(limits: &Limits) -> Finding {
    let text = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let Some(soft) = line.and_then(|line| line.split_whitespace().next()) else {
        return Finding::Skipped("this system does not say".to_owned());
    };
    // "unlimited" is no number.
    let count = soft.parse().unwrap_or(u64::MAX);
    let wanted = limits.open_files_min.max(65_536);
    if count < limits.open_files_min {
        return Finding::Bad(
            format!(
                "a process may open {count}; expected at least {}",
                limits.open_files_min
            ),
            format!(
                "raise it: `ulimit -n {wanted}` in the shell, or LimitNOFILE={wanted} in the service's unit"
            ),
        );
    }
    Finding::Good(format!("a process may open {soft}"))
}

pub(super) fn socket_buffers(limits: &Limits) -> Finding {
    let read = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/net/core/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let Some((receive, send)) = read("rmem_max").zip(read("wmem_max")) else {
        return Finding::Skipped("this system does not say".to_owned());
    };
    let (least, wanted) = (
        receive.min(send),
        (Settings::default().transport.socket_buffer_bytes as u64).max(limits.socket_buffer_min),
    );
    let text = format!("the system gives at most {receive} bytes to receive and {send} to send");
    let remedy = format!(
        "sysctl -w net.core.rmem_max={wanted} net.core.wmem_max={wanted} (and in /etc/sysctl.d to keep it)"
    );
    if least < limits.socket_buffer_min {
        return Finding::Bad(
            format!("{text}; expected at least {}", limits.socket_buffer_min),
            remedy,
        );
    }
    if least < wanted {
        return Finding::Weak(
            format!(
                "{text}; the server asks for {wanted}: bursts of thousands of players may lose packets"
            ),
            remedy,
        );
    }
    Finding::Good(text)
}

pub(super) fn disk_space(limits: &Limits, folder: &Path) -> Finding {
    let output = Command::new("df").arg("-Pk").arg(folder).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let free_kib = text
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let Some(free_kib) = free_kib else {
        return Finding::Skipped("`df` does not say".to_owned());
    };
    let free = free_kib / 1_024;
    if free < limits.disk_free_mib_min {
        return Finding::Bad(
            format!("{free} MiB free in {}; expected at least {} MiB", folder.display(), limits.disk_free_mib_min),
            "free some space, or move the data folder to a larger disk; a full disk refuses every message".to_owned(),
        );
    }
    Finding::Good(format!("{free} MiB free in {}", folder.display()))
}
