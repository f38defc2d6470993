//! A client in another language, written from the documentation.
//!
//! `tests/stranger` is Python on aioquic and msgpack. Its author read `docs/protocol.md` and not the Rust code; what is wrong or
//! missing in the page shows here.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Scale;
use crate::process::ServerPlan;

/// Runs of all scenarios, one after the other against the same server: the second meets what the first left.
const RUNS: (usize, usize) = (1, 3);
/// Links have previews, also of this machine's own pages.
const PREVIEWS: &str = "\
[server]
dev = true
[previews]
enabled = true
http = true
other_ports = true
danger_reach_own_network = true
";

/// Starts a server and runs the Python scenarios against it.
///
/// # Errors
/// A scenario that fails, or no Python with aioquic and msgpack.
pub fn run(scale: Scale) -> Result<()> {
    let python = python()?;
    let folder = tempfile::tempdir()?;
    let mut plan = ServerPlan::new(folder.path());
    // Pages that a scenario serves itself, on this machine.
    plan.settings = PREVIEWS.to_owned();
    let mut server = plan.start()?;
    let (kid, secret) = signing_key(&plan.data.join("token-keys.toml"))?;
    let fingerprint: String = server
        .fingerprint()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("stranger")
        .join("run.py");
    for _ in 0..scale.pick(RUNS.0, RUNS.1) {
        let status = Command::new(&python)
            .arg("-B")
            .arg(&script)
            .args(["--server", &server.address().to_string()])
            .args(["--fingerprint", &fingerprint])
            .args(["--kid", &kid])
            // Of a development server that lives as long as this proof.
            .args(["--secret", &secret])
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("{}", Path::new(&python).display()))?;
        ensure!(
            status.success(),
            "the stranger's client: {status}; {}",
            plan.log_tail()
        );
        server.check()?;
    }
    Ok(())
}

/// The Python with the packages: `FIRESIDE_PYTHON`, or that of the environment that `./test` makes.
fn python() -> Result<OsString> {
    if let Some(python) = std::env::var_os("FIRESIDE_PYTHON") {
        return Ok(python);
    }
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .map(|folder| folder.join("venv/bin/python"))
        .find(|path| path.is_file());
    let found: PathBuf = found.context(
        "no Python with aioquic and msgpack; run ./test stranger, or set FIRESIDE_PYTHON",
    )?;
    Ok(found.into())
}

/// Name and secret of the key that a development server makes for itself.
fn signing_key(path: &Path) -> Result<(String, String)> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let found = lines
            .map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key);
        found
            .map(|(_, value)| value.trim_matches('"').to_owned())
            .with_context(|| format!("no {key} in {}", path.display()))
    };
    Ok((value("kid")?, value("secret")?))
}
