//! Pages read from servers of the tests' own, with names of their own.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use fireside_server_core::previews::PageSummary;
use parking_lot::Mutex;

use super::{
    Lookup, PreviewSettings, Resolve,
    address::is_public,
    fetch::{FetchError, Fetcher},
    tls_config,
};

/// The address that stands for the public Internet here; the others of the loopback network are the operator's own.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Names and, for each, what it is looked up to the first time, the second time and so on; then the last again.
#[derive(Default)]
struct Names {
    found: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn set(&self, host: &str, answers: &[&[IpAddr]]) {
        let answers = answers.iter().map(|found| found.to_vec()).collect();
        self.found.lock().insert(host.to_owned(), answers);
    }
}

impl Resolve for Names {
    fn resolve(&self, host: &str) -> Lookup {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut found = self.found.lock();
        let answer = found.get_mut(host).map(|answers| {
            if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0].clone()
            }
        });
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// What a server answers to a path.
type Say = fn(&str) -> Reply;

enum Reply {
    /// This, and the end.
    Whole(String),
    /// This, and then the same again and again.
    Endless(String),
    /// This, and then nothing more.
    Stalled(String),
}

struct Server {
    port: u16,
    /// Connections so far.
    called: Arc<AtomicUsize>,
    /// The requests, whole.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(at: IpAddr, port: u16, say: Say) -> Self {
        Self::over(at, port, say, None)
    }

    /// On a thread of its own, as long as the tests run.
    fn over(at: IpAddr, port: u16, say: Say, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(at, port)).unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            called: Arc::default(),
            heard: Arc::default(),
        };
        let (called, heard) = (server.called.clone(), server.heard.clone());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                called.fetch_add(1, Ordering::Relaxed);
                let (heard, tls) = (heard.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => answer(stream, say, &heard),
                    Some(tls) => {
                        let connection = rustls::ServerConnection::new(tls).unwrap();
                        answer(rustls::StreamOwned::new(connection, stream), say, &heard)
                    }
                });
            }
        });
        server
    }

    fn called(&self) -> usize {
        self.called.load(Ordering::Relaxed)
    }
}

/// Until the end of the answer, or until the other side goes.
fn answer(mut stream: impl Read + Write, say: Say, heard: &Mutex<Vec<String>>) -> Option<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    heard.lock().push(request);
    match say(&path) {
        Reply::Whole(text) => stream.write_all(text.as_bytes()).ok()?,
        Reply::Endless(text) => loop {
            stream.write_all(text.as_bytes()).ok()?;
        },
        Reply::Stalled(text) => {
            stream.write_all(text.as_bytes()).ok()?;
            stream.flush().ok()?;
            stream.read_exact(&mut byte).ok()?;
        }
    }
    stream.flush().ok()
}

fn page(title: &str) -> String {
    let body = format!("<html><head><title>{title}</title></head></html>");
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(to: &str) -> Reply {
    Reply::Whole(format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
    ))
}

fn settings() -> PreviewSettings {
    PreviewSettings {
        enabled: true,
        http: true,
        other_ports: true,
        ..PreviewSettings::default()
    }
}

/// Takes [`PUBLIC`] for public, and nothing else of this machine.
fn fetcher(settings: PreviewSettings, names: &Arc<Names>) -> Fetcher {
    let tls = tls_config(Vec::new()).unwrap();
    let mut fetcher = Fetcher::new(settings, names.clone(), tls);
    fetcher.may_call = |address| address == PUBLIC || is_public(address);
    fetcher
}

fn names() -> Arc<Names> {
    let names = Names::default();
    names.set("page.test", &[&[PUBLIC]]);
    names.set("own.test", &[&[OWN]]);
    Arc::new(names)
}

async fn fetch(fetcher: &Fetcher, url: &str) -> Result<PageSummary, FetchError> {
    // A test that waits is a test that failed.
    let limit = Duration::from_secs(30);
    let read = tokio::time::timeout(limit, fetcher.fetch(url)).await;
    read.unwrap_or(Err(FetchError::Slow))
}

#[tokio::test]
async fn a_page_is_asked_for_and_read() {
    let names = names();
    let server = Server::start(PUBLIC, 0, |_| Reply::Whole(page("A title")));
    let url = format!("http://page.test:{}/a?b=1#part", server.port);
    let read = fetch(&fetcher(settings(), &names), &url).await.unwrap();
    assert_eq!((&*read.title, &*read.site), ("A title", "page.test"));
    let heard = server.heard.lock().join("");
    let lines: Vec<String> = heard.lines().map(str::to_ascii_lowercase).collect();
    assert_eq!(lines[0], "get /a?b=1 http/1.1");
    assert!(lines.contains(&format!("host: page.test:{}", server.port)));
    // Nothing of whoever wrote the link, and nothing that is kept.
    for line in &lines[1..] {
        let name = line.split(':').next().unwrap();
        let known = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "connection",
            "",
        ];
        assert!(known.contains(&name), "{line}");
    }
}

#[tokio::test]
async fn nothing_of_the_own_network_is_called() {
    let names = names();
    names.set("mixed.test", &[&[OWN, "10.0.0.1".parse().unwrap()]]);
    names.set("none.test", &[&[]]);
    let own = Server::start(OWN, 0, |_| Reply::Whole(page("secret")));
    let fetcher = fetcher(settings(), &names);
    let port = own.port;
    for host in [
        "own.test",
        "OWN.test",
        "mixed.test",
        "none.test",
        "127.0.0.2",
        "0x7f.2",
        "2130706434",
        "0177.0.0.2",
        "127.2",
        "１２７.０.０.２",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "[::ffff:7f00:2]",
        "[64:ff9b::7f00:2]",
        "169.254.169.254",
        "0",
        "[::]",
    ] {
        let read = fetch(&fetcher, &format!("http://{host}:{port}/")).await;
        assert!(
            matches!(read, Err(FetchError::NotPublic)),
            "{host}: {read:?}"
        );
    }
    assert_eq!(own.called(), 0);
    // The same server, where that is allowed: it is the address that was refused.
    let open = Fetcher::new(
        PreviewSettings {
            danger_reach_own_network: true,
            ..settings()
        },
        names.clone(),
        tls_config(Vec::new()).unwrap(),
    );
    let read = fetch(&open, &format!("http://own.test:{port}/")).await;
    assert_eq!(read.unwrap().title, "secret");
}

#[tokio::test]
async fn a_redirect_is_checked_as_the_link_was() {
    let names = names();
    let server = Server::start(PUBLIC, 0, |path| match path {
        "/name" => redirect(&format!(
            "http://own.test:{}/",
            PORT.load(Ordering::Relaxed)
        )),
        "/number" => redirect(&format!(
            "http://127.0.0.2:{}/",
            PORT.load(Ordering::Relaxed)
        )),
        "/scheme" => redirect("file:///etc/passwd"),
        "/password" => redirect(&format!(
            "http://a:b@page.test:{}/",
            PORT.load(Ordering::Relaxed)
        )),
        "/loop" => redirect("/loop"),
        "/nowhere" => Reply::Whole("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_owned()),
        "/1" => redirect("/2"),
        "/2" => redirect("3"),
        "/3" => redirect("?4"),
        _ => Reply::Whole(page("the end")),
    });
    let own = Server::start(OWN, server.port, |_| Reply::Whole(page("secret")));
    PORT.store(usize::from(server.port), Ordering::Relaxed);
    let fetcher = fetcher(settings(), &names);
    let get = async |path: &str| {
        fetch(&fetcher, &format!("http://page.test:{}{path}", server.port)).await
    };
    for path in ["/name", "/number"] {
        assert!(
            matches!(get(path).await, Err(FetchError::NotPublic)),
            "{path}"
        );
    }
    assert_eq!(own.called(), 0);
    for path in ["/scheme", "/password"] {
        assert!(
            matches!(get(path).await, Err(FetchError::Address(_))),
            "{path}"
        );
    }
    let before = server.called();
    assert!(matches!(get("/loop").await, Err(FetchError::Redirects)));
    assert_eq!(server.called() - before, 4, "the page, and three redirects");
    assert!(matches!(get("/nowhere").await, Err(FetchError::Redirects)));
    assert_eq!(
        get("/1").await.unwrap().title,
        "the end",
        "three are followed"
    );
}

/// Where the servers of `a_redirect_is_checked_as_the_link_was` listen.
static PORT: AtomicUsize = AtomicUsize::new(0);

#[tokio::test]
async fn a_name_is_looked_up_once_and_its_checked_address_is_called() {
    let names = names();
    // Public when it is looked at, the own network's a moment later.
    names.set("rebound.test", &[&[PUBLIC], &[OWN]]);
    let server = Server::start(PUBLIC, 0, |_| Reply::Whole(page("harmless")));
    let own = Server::start(OWN, server.port, |_| Reply::Whole(page("secret")));
    let fetcher = fetcher(settings(), &names);
    let url = format!("http://rebound.test:{}/", server.port);
    let before = names.asked.load(Ordering::Relaxed);
    assert_eq!(fetch(&fetcher, &url).await.unwrap().title, "harmless");
    assert_eq!(names.asked.load(Ordering::Relaxed) - before, 1);
    // The next time it is looked up and checked anew.
    assert!(matches!(
        fetch(&fetcher, &url).await,
        Err(FetchError::NotPublic)
    ));
    assert_eq!((server.called(), own.called()), (1, 0));
    // Of a name with both only the public one is called.
    names.set("rebound.test", &[&[OWN, PUBLIC]]);
    assert_eq!(fetch(&fetcher, &url).await.unwrap().title, "harmless");
    assert_eq!((server.called(), own.called()), (2, 0));
}

#[tokio::test]
async fn only_pages_are_read_and_only_so_much() {
    let names = names();
    let server = Server::start(PUBLIC, 0, |path| {
        let whole = |head: &str, body: &str| {
            Reply::Whole(format!(
                "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ))
        };
        let title = "<title>t</title>";
        match path {
            "/endless" => Reply::Endless(page("head").replace("Content-Length", "X-Length")),
            "/headers" => Reply::Endless("HTTP/1.1 200 OK\r\nX: y\r\n".to_owned()),
            "/slow" => Reply::Stalled(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>".to_owned(),
            ),
            "/silent" => Reply::Stalled(String::new()),
            "/json" => whole("200 OK\r\nContent-Type: application/json", title),
            "/untyped" => whole("200 OK", title),
            "/packed" => whole(
                "200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip",
                title,
            ),
            "/gone" => whole("404 Not Found\r\nContent-Type: text/html", title),
            "/noise" => Reply::Whole("\u{0}\u{1}\u{2}\r\n\r\n".to_owned()),
            "/xhtml" => whole(
                "200 OK\r\nContent-Type: Application/XHTML+xml; charset=\"utf-8\"",
                title,
            ),
            "/short" => Reply::Whole(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<title>"
                    .to_owned(),
            ),
            _ => Reply::Whole(page("other")),
        }
    });
    let fetcher = fetcher(settings(), &names);
    let get = async |path: &str| {
        fetch(&fetcher, &format!("http://page.test:{}{path}", server.port)).await
    };
    assert_eq!(get("/endless").await.unwrap().title, "head", "cut");
    assert_eq!(get("/xhtml").await.unwrap().title, "t");
    for path in ["/json", "/untyped", "/packed"] {
        assert!(matches!(get(path).await, Err(FetchError::Type)), "{path}");
    }
    assert!(matches!(get("/gone").await, Err(FetchError::Status(_))));
    for path in ["/headers", "/noise", "/short"] {
        let read = get(path).await;
        assert!(matches!(read, Err(FetchError::Http(_))), "{path}: {read:?}");
    }
    for path in ["/slow", "/silent"] {
        let url = format!("http://page.test:{}{path}", server.port);
        let read = tokio::time::timeout(Duration::from_millis(300), fetcher.fetch(&url)).await;
        assert!(read.is_err(), "{path}: it waits, until its time is over");
    }
}

#[tokio::test]
async fn what_the_settings_do_not_allow_is_not_asked() {
    let names = names();
    let server = Server::start(PUBLIC, 0, |_| Reply::Whole(page("t")));
    let port = server.port;
    let shut = |change: fn(&mut PreviewSettings)| {
        let mut settings = settings();
        change(&mut settings);
        fetcher(settings, &names)
    };
    let plain = format!("http://page.test:{port}/");
    for (fetcher, url) in [
        (shut(|it| it.http = false), plain.as_str()),
        (shut(|it| it.other_ports = false), plain.as_str()),
        (shut(|_| ()), "ftp://page.test/"),
        (shut(|_| ()), "http://user@page.test/"),
        (shut(|_| ()), "http://"),
        (shut(|_| ()), "nonsense"),
    ] {
        let read = fetch(&fetcher, url).await;
        assert!(
            matches!(read, Err(FetchError::Address(_))),
            "{url}: {read:?}"
        );
    }
    for fetcher in [
        shut(|it| it.deny = vec!["test".to_owned()]),
        shut(|it| it.allow = vec!["other.test".to_owned()]),
    ] {
        assert!(matches!(
            fetch(&fetcher, &plain).await,
            Err(FetchError::Host)
        ));
    }
    let unknown = fetch(&shut(|_| ()), "http://unknown.test/").await;
    assert!(matches!(unknown, Err(FetchError::Lookup(_))));
    assert_eq!(server.called(), 0);
    let allowed = shut(|it| it.allow = vec!["test".to_owned()]);
    assert_eq!(fetch(&allowed, &plain).await.unwrap().title, "t");
}

#[tokio::test]
async fn over_tls_the_certificate_must_be_of_the_name() {
    let names = names();
    names.set("other.test", &[&[PUBLIC]]);
    let made = rcgen::generate_simple_self_signed(["page.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(crate::transport::crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let say: Say = |path| match path {
        "/down" => redirect("http://page.test/"),
        _ => Reply::Whole(page("safe")),
    };
    let server = Server::over(PUBLIC, 0, say, Some(Arc::new(server)));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let tls = tls_config(roots.roots).unwrap();
    let strict = PreviewSettings {
        http: false,
        ..settings()
    };
    let mut trusting = Fetcher::new(strict, names.clone(), tls);
    trusting.may_call = |address| address == PUBLIC;
    let url = |host: &str, path: &str| format!("https://{host}:{}{path}", server.port);
    let read = fetch(&trusting, &url("page.test", "/")).await;
    assert_eq!(read.unwrap().title, "safe");
    let other = fetch(&trusting, &url("other.test", "/")).await;
    assert!(matches!(other, Err(FetchError::Connect(_))), "{other:?}");
    let strange = fetch(&fetcher(settings(), &names), &url("page.test", "/")).await;
    assert!(
        matches!(strange, Err(FetchError::Connect(_))),
        "{strange:?}"
    );
    let down = fetch(&trusting, &url("page.test", "/down")).await;
    assert!(matches!(down, Err(FetchError::Address(_))), "{down:?}");
}
