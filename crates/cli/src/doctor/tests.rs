//! Each check is broken once, by a bad setup where one can be had, and must say so.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use fireside_server::{RunningServer, Server, Settings};

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: DoctorArgs,
}

fn args(words: &[&str]) -> DoctorArgs {
    Line::parse_from(std::iter::once("doctor").chain(words.iter().copied())).args
}

fn server(folder: &Path) -> RunningServer {
    let server = Server::start(Settings::dev(folder)).unwrap();
    fs::write(folder.join(ADDRESS_FILE), server.address().to_string()).unwrap();
    server
}

fn is_bad(finding: &Finding, words: &[&str]) {
    let Finding::Bad(text, remedy) = finding else {
        panic!("not found: {finding:?}")
    };
    assert!(!remedy.is_empty());
    for word in words {
        assert!(text.contains(word), "{word} is not in {text:?}");
    }
}

/// Lets packets of at most `largest` bytes through to the server.
fn narrow_road(server: SocketAddr, largest: usize) -> (SocketAddr, Arc<AtomicBool>) {
    let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
    inside
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let address = inside.local_addr().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        let mut client = None;
        while !stopped.load(Ordering::SeqCst) {
            let Ok((length, from)) = inside.recv_from(&mut buffer) else {
                continue;
            };
            let to = if from == server { client } else { Some(server) };
            if from != server {
                client = Some(from);
            }
            if let Some(to) = to
                && (from == server || length <= largest)
            {
                let _ = inside.send_to(&buffer[..length], to);
            }
        }
    });
    (address, stop)
}

#[test]
fn a_good_machine_and_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let running = server(folder.path());
    let args = args(&["--data", folder.path().to_str().unwrap()]);
    let place = place(&args).unwrap();
    assert_eq!(place.server, Some(running.address()), "found by its lock");
    assert!(matches!(path::udp(&args, &place), Finding::Good(_)));
    let mtu = path::mtu(&args, &place);
    assert!(
        matches!(&mtu, Finding::Good(text) if text.contains("1472")),
        "{mtu:?}"
    );
    let clock = clock::check(&args, &place);
    assert!(matches!(clock, Finding::Good(_)), "{clock:?}");
    let certificate = certificate::check(&args);
    assert!(matches!(certificate, Finding::Good(_)), "{certificate:?}");
    running.stop();
    assert_eq!(
        super::place(&args).unwrap().server,
        None,
        "nobody holds the lock"
    );
}

#[test]
fn udp_and_mtu() {
    let folder = tempfile::tempdir().unwrap();
    let running = server(folder.path());
    let blocked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let blocked = blocked.local_addr().unwrap().to_string();
    let fast = ["--answer-ms-max", "900"];
    let with = |server: &str| args(&[&["--server", server][..], &fast].concat());
    let dead = with(&blocked);
    let nobody = place(&dead).unwrap();
    is_bad(&path::udp(&dead, &nobody), &["does not answer", &blocked]);
    is_bad(&path::mtu(&dead, &nobody), &["1200"]);
    let (road, stop) = narrow_road(running.address(), 1_300);
    let road = road.to_string();
    let narrow = with(&road);
    let there = place(&narrow).unwrap();
    assert!(matches!(path::udp(&narrow, &there), Finding::Good(_)));
    assert_eq!(
        path::mtu(&narrow, &there),
        Finding::Good("packets of 1280 bytes get through".to_owned())
    );
    let wants_more = args(&[
        "--server",
        &road,
        "--answer-ms-max",
        "900",
        "--mtu-min",
        "1400",
    ]);
    is_bad(&path::mtu(&wants_more, &there), &["1280", "1400"]);
    stop.store(true, Ordering::SeqCst);
    assert!(place(&with("no.such.host.invalid:1")).is_err());
    running.stop();
}

#[test]
fn clock() {
    let folder = tempfile::tempdir().unwrap();
    let running = server(folder.path());
    let data = folder.path().to_str().unwrap();
    for (offset, side) in [("120000", "ahead of"), ("-120000", "behind")] {
        let args = args(&["--data", data, "--clock-offset-ms", offset]);
        is_bad(
            &clock::check(&args, &place(&args).unwrap()),
            &["60000", side],
        );
    }
    let weak = args(&["--data", data, "--clock-offset-ms", "5000"]);
    assert!(matches!(
        clock::check(&weak, &place(&weak).unwrap()),
        Finding::Weak(..)
    ));
    let server = running.address().to_string();
    let pin = running.fingerprint().to_string();
    let bad_token = args(&[
        "--server",
        &server,
        "--token",
        "nonsense",
        "--fingerprint",
        &pin,
    ]);
    is_bad(
        &clock::check(&bad_token, &place(&bad_token).unwrap()),
        &["token_invalid"],
    );
    let other = args(&[
        "--server",
        &server,
        "--token",
        "nonsense",
        "--fingerprint",
        &"00".repeat(32),
    ]);
    is_bad(
        &clock::check(&other, &place(&other).unwrap()),
        &["fingerprint", &pin],
    );
    let none = args(&["--server", &server]);
    assert!(matches!(
        clock::check(&none, &place(&none).unwrap()),
        Finding::Skipped(_)
    ));
    running.stop();
}

#[test]
fn disk() {
    let folder = tempfile::tempdir().unwrap();
    let limits = |words: &[&str]| args(words).limits;
    is_bad(
        &machine::fsync(&limits(&["--fsync-ms-max", "0"]), folder.path()),
        &["median", "expected at most 0"],
    );
    is_bad(
        &machine::fsync(&limits(&[]), Path::new("/proc/self")),
        &["can not be written"],
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
    assert!(matches!(
        machine::disk_space(&limits(&["--disk-free-mib-min", "1"]), folder.path()),
        Finding::Good(_)
    ));
    is_bad(
        &machine::disk_space(&limits(&[]), Path::new("/proc")),
        &["0 MiB free"],
    );
}

#[test]
fn limits_of_the_system() {
    let limits = |words: &[&str]| args(words).limits;
    is_bad(
        &machine::open_files(&limits(&["--open-files-min", "99999999999"])),
        &["99999999999"],
    );
    assert!(matches!(
        machine::open_files(&limits(&["--open-files-min", "1"])),
        Finding::Good(_)
    ));
    is_bad(
        &machine::socket_buffers(&limits(&["--socket-buffer-min", "99999999999"])),
        &["99999999999"],
    );
    assert!(!matches!(
        machine::socket_buffers(&limits(&["--socket-buffer-min", "1"])),
        Finding::Bad(..)
    ));
}

#[test]
fn certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificate.pem");
    let write = |days: i64| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = std::time::SystemTime::now();
        let day = Duration::from_secs(86_400);
        let shift = day * u32::try_from(days.abs()).unwrap() + day / 2;
        params.not_before = (now - day * 400).into();
        params.not_after = if days < 0 { now - shift } else { now + shift }.into();
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    };
    let data = folder.path().to_str().unwrap();
    let plain = args(&["--data", data]);
    assert!(matches!(certificate::check(&plain), Finding::Skipped(_)));
    write(-3);
    is_bad(&certificate::check(&plain), &["expired"]);
    write(5);
    is_bad(&certificate::check(&plain), &["5 more days", "at least 7"]);
    write(15);
    assert!(matches!(certificate::check(&plain), Finding::Weak(..)));
    // Beyond 2049 the time is written in another way.
    write(40 * 365);
    assert_eq!(
        certificate::check(&plain),
        Finding::Good(format!("holds for {} more days", 40 * 365))
    );
    fs::write(&path, "nonsense").unwrap();
    is_bad(&certificate::check(&plain), &["no certificate"]);
    is_bad(
        &certificate::check(&args(&["--certificate", "/nowhere.pem"])),
        &["/nowhere.pem"],
    );
}
