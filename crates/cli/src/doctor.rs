//! `fireside doctor`: can this machine and this network run it? Each finding says what to do about it.

mod certificate;
mod clock;
mod machine;
mod path;

use std::{
    fs,
    io::IsTerminal,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::{problem::Problem, serve::ADDRESS_FILE};

/// Arguments of `fireside doctor`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The server's data folder (or where it will be).
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A server to reach; without it the one that runs on --data, if one does.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<String>,
    /// A login token, to compare clocks; with --data one is made.
    #[arg(
        long,
        env = "FIRESIDE_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) token: Option<String>,
    /// SHA-256 of the server's certificate, to log in with --token; without it, it must be signed by an authority of the web.
    #[arg(long, value_name = "HEX")]
    pub(crate) fingerprint: Option<String>,
    /// PEM file with the server's certificate; without it the one in --data.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Added to this machine's clock before it is compared, in ms: shows what a wrong clock looks like.
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) clock_offset_ms: i64,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What is still good. Beyond it a check fails.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What is expected")]
pub(crate) struct Limits {
    /// Bytes of UDP payload that reach the server and come back.
    #[arg(long, value_name = "BYTES", default_value_t = 1_200)]
    pub(crate) mtu_min: usize,
    /// Time to wait for a server's answer, in ms.
    #[arg(long, value_name = "MS", default_value_t = 3_000)]
    pub(crate) answer_ms_max: u64,
    /// Difference of the clocks, in ms: tokens are accepted that much early or late.
    #[arg(long, value_name = "MS", default_value_t = fireside_protocol::limits::TOKEN_LEEWAY_MS)]
    pub(crate) clock_skew_ms_max: u64,
    /// Median of an fsync, in ms: each message waits for one.
    #[arg(long, value_name = "MS", default_value_t = 50.0)]
    pub(crate) fsync_ms_max: f64,
    /// Files a process may have open.
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    pub(crate) open_files_min: u64,
    /// Bytes the system gives a UDP socket's buffer.
    #[arg(long, value_name = "BYTES", default_value_t = 200_000)]
    pub(crate) socket_buffer_min: u64,
    /// Free space, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1_024)]
    pub(crate) disk_free_mib_min: u64,
    /// Days the certificate still holds.
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 7,
        allow_negative_numbers = true
    )]
    pub(crate) certificate_days_min: i64,
}

/// What a check found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Finding {
    Good(String),
    /// Works, but could be better: what, and what to do.
    Weak(String, String),
    /// What was found and expected, and what to do.
    Bad(String, String),
    /// Not looked at, and why.
    Skipped(String),
}

/// Where the checks look.
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) has_data: bool,
    pub(crate) server: Option<SocketAddr>,
}

/// Runs all checks. Status 1 if one fails.
pub(crate) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let place = place(args)?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut bad = 0;
    let checks: [(&str, &dyn Fn() -> Finding); 8] = [
        ("udp", &|| path::udp(args, &place)),
        ("path mtu", &|| path::mtu(args, &place)),
        ("clock", &|| clock::check(args, &place)),
        ("fsync", &|| machine::fsync(&args.limits, &place.folder)),
        ("open files", &|| machine::open_files(&args.limits)),
        ("socket buffers", &|| machine::socket_buffers(&args.limits)),
        ("disk space", &|| {
            machine::disk_space(&args.limits, &place.folder)
        }),
        ("certificate", &|| certificate::check(args)),
    ];
    for (name, check) in checks {
        let finding = check();
        bad += usize::from(matches!(finding, Finding::Bad(..)));
        print(name, &finding, colour);
    }
    match bad {
        0 => Ok(ExitCode::SUCCESS),
        _ => {
            println!("\n{bad} of {} checks failed", checks.len());
            Ok(ExitCode::FAILURE)
        }
    }
}

fn print(name: &str, finding: &Finding, colour: bool) {
    let (sign, code, text, remedy) = match finding {
        Finding::Good(text) => ("✓", "32", text, None),
        Finding::Weak(text, remedy) => ("!", "33", text, Some(remedy)),
        Finding::Bad(text, remedy) => ("✗", "31", text, Some(remedy)),
        Finding::Skipped(text) => ("–", "2", text, None),
    };
    let sign = if colour {
        format!("\u{1b}[{code}m{sign}\u{1b}[0m")
    } else {
        sign.to_owned()
    };
    println!("{sign} {name:<15} {text}");
    if let Some(remedy) = remedy {
        println!("  {:<15} to do: {remedy}", "");
    }
}

fn place(args: &DoctorArgs) -> anyhow::Result<Place> {
    let server = match &args.server {
        Some(server) => Some(resolve(server)?),
        None => args.data.as_deref().and_then(running_server),
    };
    // Where there is no folder yet, the disk it will be on is looked at.
    let wanted = args.data.clone().unwrap_or_else(|| PathBuf::from("."));
    let mut folder = wanted.as_path();
    while !folder.is_dir() {
        folder = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
    }
    Ok(Place {
        folder: folder.to_owned(),
        has_data: args.data.is_some(),
        server,
    })
}

fn resolve(server: &str) -> anyhow::Result<SocketAddr> {
    let found = server.to_socket_addrs().map(|mut found| found.next());
    found.ok().flatten().ok_or_else(|| {
        Problem::error(
            format!("{server:?} leads to no address"),
            "host:port with a name that can be resolved",
            "check the spelling, the port, and this machine's DNS",
        )
    })
}

/// The address of the server that runs on a data folder: it holds the lock.
fn running_server(data: &Path) -> Option<SocketAddr> {
    let lock = fs::File::open(data.join(fireside_server::server::LOCK_FILE)).ok()?;
    if lock.try_lock().is_ok() {
        return None;
    }
    let text = fs::read_to_string(data.join(ADDRESS_FILE)).ok()?;
    let mut address: SocketAddr = text.trim().parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    Some(address)
}

#[cfg(test)]
mod tests;
