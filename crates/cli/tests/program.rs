//! The program as people and scripts meet it: arguments, output, exit status.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn fireside() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fireside"));
    command.env_remove("FIRESIDE_TOKEN").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    fireside().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A server, killed when the test ends in whatever way.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path) -> (Served, String, String) {
    let mut child = fireside()
        .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let served = Served(child);
    let address = lines
        .next()
        .unwrap()
        .unwrap()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    let fingerprint = lines
        .next()
        .unwrap()
        .unwrap()
        .strip_prefix("certificate sha256 ")
        .unwrap()
        .to_owned();
    (served, address, fingerprint)
}

#[test]
fn the_demo_ends_by_itself_and_well() {
    let output = run(&["--seconds", "6"]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("ada") && text.contains("every player shows the same messages"),
        "{text}"
    );
    let folder = text
        .split("all its state in ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert!(!Path::new(folder).exists(), "{folder} is left behind");
}

#[test]
fn a_server_from_start_to_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let (mut server, address, fingerprint) = serve(&data);
    assert_eq!(
        fs::read_to_string(data.join("address")).unwrap().trim(),
        address
    );
    assert_eq!(fingerprint.len(), 64);
    let data = data.to_str().unwrap();

    let token = run(&["token", "--data", data, "--user", "ada"]);
    assert!(token.status.success());
    assert_eq!(
        String::from_utf8(token.stdout)
            .unwrap()
            .trim()
            .split('.')
            .count(),
        3
    );

    let well = run(&["doctor", "--data", data, "--fsync-ms-max", "60000"]);
    let text = said(&well);
    assert!(well.status.success() && text.contains(&address), "{text}");

    let second = run(&["serve", "--dev", "--data", data, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let text = said(&second);
    assert!(
        text.contains("another server") && text.contains("expected:") && text.contains("to do:"),
        "{text}"
    );

    let killed = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -TERM {}", server.0.id()))
        .status()
        .unwrap();
    assert!(killed.success());
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = server.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "not gone 10 s after SIGTERM");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
}

#[test]
fn the_doctor_ends_with_one_when_something_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "ulimit -n 64; exec {} doctor --data {}",
        env!("CARGO_BIN_EXE_fireside"),
        folder.path().display()
    );
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("✗ open files") && text.contains("64") && text.contains("ulimit -n"),
        "{text}"
    );
}

#[test]
fn errors_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    for (arguments, word) in [
        (
            &["token", "--data", nowhere, "--user", "ada"][..],
            "serve --dev",
        ),
        (
            &["chat", "--dev-data", nowhere, "--user", "ada"],
            "serve --dev",
        ),
        (&["serve", "--data", nowhere], "--dev"),
        (
            &["chat", "--server", "a:1", "--token", "x.y.z"],
            "fireside token",
        ),
    ] {
        let output = run(arguments);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("expected:") && text.contains("to do:") && text.contains(word),
            "{arguments:?}: {text}"
        );
        assert!(!text.contains("x.y.z"), "a token is shown: {text}");
    }
    let both = run(&["--seconds", "1", "serve"]);
    assert_eq!(
        both.status.code(),
        Some(2),
        "arguments of the demo are not taken for a subcommand's"
    );
}

#[test]
fn chat_wants_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let (server, ..) = serve(&data);
    let cache = folder.path().join("cache");
    let output = fireside()
        .args(["chat", "--user", "ada", "--dev-data"])
        .arg(&data)
        .arg("--folder")
        .arg(cache)
        .output()
        .unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not a terminal"), "{text}");
    drop(server);
}
