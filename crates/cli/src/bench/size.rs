//! How much a game grows: the shared library of the client, against one that only has the same libraries in it.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde_json::{Map, json};

use crate::bench::report::{Aim, Case, Line, Report};

/// What Tencent's chat SDK adds to an app, as its download page says, in KiB. An increment measured inside a package that may
/// compress; shown beside, not compared with.
const TENCENT_KIB: f64 = 1_670.0;
/// Ours may be so much larger than what it is made of.
const AIM: f64 = 1.25;

/// Builds the four libraries (minutes when nothing is built yet) and compares them.
///
/// # Errors
/// Not within the source tree; a build that fails; a missed gzip.
pub(super) fn run(report: &mut Report) -> anyhow::Result<()> {
    let root = source_tree()?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    report.note(&format!(
        "size: stripped shared libraries for this machine, opt-level z, fat LTO, panic = unwind; beside them Tencent's SDK adds {TENCENT_KIB} KiB to an app"
    ));
    for (cache, raw, gzip) in [
        (true, "cache", "cache-gzip"),
        (false, "memory", "memory-gzip"),
    ] {
        let ours = built(&root, "fireside-ffi", cache, &target, "libfireside.so")?;
        let baseline = built(
            &root.join("tests/baseline/size"),
            "fireside-size-baseline",
            cache,
            &target.join("size-baseline"),
            "libsize_baseline.so",
        )?;
        report.line(&line(raw, kib(&ours), kib(&baseline)));
        report.line(&line(
            gzip,
            kib(&gzipped(&ours)?),
            kib(&gzipped(&baseline)?),
        ));
    }
    Ok(())
}

fn line(case: &'static str, value: f64, limit: f64) -> Line {
    let mut more = Map::new();
    more.insert("tencent_kib".to_owned(), json!(TENCENT_KIB));
    let ratio = value / limit;
    Line {
        case: Case {
            bench: "size",
            case,
            unit: "KiB",
            aim: Aim::AtMost(AIM),
        },
        value,
        limit,
        ratio,
        spread: 0.0,
        foreign: 0.0,
        runs: 1,
        ratios: vec![ratio],
        more,
    }
}

/// The folder with the sources, at or above the working one.
fn source_tree() -> anyhow::Result<PathBuf> {
    let here = env::current_dir()?;
    let found = here.ancestors().find(|folder| {
        folder.join("ffi/Cargo.toml").is_file()
            && folder.join("tests/baseline/size/Cargo.toml").is_file()
    });
    Ok(found
        .context("bench size builds the libraries: run it inside Fireside's source tree")?
        .to_owned())
}

/// Builds a library and reads it.
fn built(
    workspace: &Path,
    package: &str,
    cache: bool,
    target: &Path,
    file: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        // With an rlib beside it cargo does not optimise across crates.
        .args([
            "rustc",
            "--quiet",
            "--locked",
            "--lib",
            "--crate-type",
            "cdylib",
            "--profile",
            "size",
            "--package",
            package,
        ])
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target);
    if !cache {
        command.arg("--no-default-features");
    }
    let status = command.status().context("cargo can not be run")?;
    ensure!(status.success(), "{command:?}: {status}");
    let path = target.join("size").join(file);
    fs::read(&path).with_context(|| path.display().to_string())
}

fn gzipped(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut gzip = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip can not be run")?;
    let mut input = gzip.stdin.take().context("no input")?;
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output()?;
    writer
        .join()
        .map_err(|_| anyhow::anyhow!("the writer failed"))??;
    ensure!(output.status.success(), "gzip: {}", output.status);
    Ok(output.stdout)
}

fn kib(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1024.0
}
