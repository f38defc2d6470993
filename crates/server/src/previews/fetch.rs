//! One page over HTTP: where it may be, how it is reached, and how much of it is read.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use fireside_server_core::previews::PageSummary;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION,
        USER_AGENT,
    },
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{
    PreviewSettings, Resolve,
    address::is_public,
    page::{charset_of, summary},
};

/// Why a page is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("it is no address that is read: {0}")]
    Address(&'static str),
    #[error("its host is not among those that are read")]
    Host,
    #[error("its host has no public address")]
    NotPublic,
    #[error("its host is not found: {0}")]
    Lookup(std::io::Error),
    #[error("its host is not reached: {0}")]
    Connect(std::io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("it redirects too often, or to nowhere")]
    Redirects,
    #[error("its host answers {0}")]
    Status(StatusCode),
    #[error("it is no page: only text/html and application/xhtml+xml are read, as they are")]
    Type,
    #[error("it is not read within its time")]
    Slow,
    #[error("it can not be read")]
    Page,
}

/// Reads pages.
pub(super) struct Fetcher {
    settings: PreviewSettings,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
    /// Whether an address may be called.
    pub(super) may_call: fn(IpAddr) -> bool,
}

impl Fetcher {
    pub(super) fn new(
        settings: PreviewSettings,
        resolver: Arc<dyn Resolve>,
        tls: Arc<rustls::ClientConfig>,
    ) -> Self {
        let may_call = if settings.danger_reach_own_network {
            |_| true
        } else {
            is_public
        };
        Self {
            may_call,
            settings,
            resolver,
            tls: TlsConnector::from(tls),
        }
    }

    /// What the page behind a link says. It has no time limit of its own.
    ///
    /// # Errors
    /// [`FetchError`].
    pub(super) async fn fetch(&self, link: &str) -> Result<PageSummary, FetchError> {
        let mut url = Url::parse(link).map_err(|_| FetchError::Address("it is none"))?;
        for _ in 0..=self.settings.redirects_max {
            match self.get(&url).await? {
                Answer::Page { bytes, charset } => {
                    let read = move || summary(&bytes, charset.as_deref(), &url);
                    // Some ms of work: not on a thread that has connections to serve.
                    let read = tokio::task::spawn_blocking(read).await;
                    return read.map_err(|_| FetchError::Page);
                }
                // All of it is asked anew of where it leads to.
                Answer::Elsewhere(next) => url = next,
            }
        }
        Err(FetchError::Redirects)
    }

    async fn get(&self, url: &Url) -> Result<Answer, FetchError> {
        let port = self.check(url)?;
        let stream = self.connect(url, port).await?;
        if url.scheme() == "https" {
            let name = match url.host() {
                Some(Host::Domain(name)) => ServerName::try_from(name.to_owned()).ok(),
                Some(Host::Ipv4(address)) => Some(ServerName::from(IpAddr::V4(address))),
                Some(Host::Ipv6(address)) => Some(ServerName::from(IpAddr::V6(address))),
                None => None,
            };
            let name = name.ok_or(FetchError::Address("its host is no name"))?;
            let stream = self.tls.connect(name, stream).await;
            self.talk(url, stream.map_err(FetchError::Connect)?).await
        } else {
            self.talk(url, stream).await
        }
    }

    /// Whether an address may be asked at all; its port.
    fn check(&self, url: &Url) -> Result<u16, FetchError> {
        match url.scheme() {
            "https" => {}
            "http" if self.settings.http => {}
            _ => return Err(FetchError::Address("its scheme is not allowed")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Address("it has a name or a password"));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if !matches!(port, 80 | 443) && !self.settings.other_ports {
            return Err(FetchError::Address("its port is not allowed"));
        }
        let host = url
            .host_str()
            .ok_or(FetchError::Address("it has no host"))?;
        if !self.settings.allows(host) {
            return Err(FetchError::Host);
        }
        Ok(port)
    }

    /// Connects to an address that was checked: the name is not looked up again.
    async fn connect(&self, url: &Url, port: u16) -> Result<TcpStream, FetchError> {
        let mut addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(name)) => {
                let found = self.resolver.resolve(name).await;
                found.map_err(FetchError::Lookup)?
            }
            None => Vec::new(),
        };
        addresses.retain(|address| (self.may_call)(*address));
        let mut error = FetchError::NotPublic;
        for address in addresses.into_iter().take(ADDRESSES_TRIED_MAX) {
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = FetchError::Connect(failed),
            }
        }
        Err(error)
    }

    /// One request and its answer, over a connection of its own.
    async fn talk(
        &self,
        url: &Url,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Answer, FetchError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEADERS_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        // It ends with this: whoever is asked keeps nothing open.
        let connection = Ended(tokio::spawn(async move {
            let _ = connection.await;
        }));
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let request = Request::get(target)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "text/html, application/xhtml+xml")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| FetchError::Address("it can not be asked for"))?;
        let response = sender.send_request(request).await?;
        let answer = self.read(url, response).await;
        drop(connection);
        answer
    }

    async fn read(&self, url: &Url, response: Response<Incoming>) -> Result<Answer, FetchError> {
        let text = |name| response.headers().get(name).and_then(|it| it.to_str().ok());
        let status = response.status();
        if status.is_redirection() {
            let next = text(LOCATION).and_then(|to| url.join(to).ok());
            return next.map(Answer::Elsewhere).ok_or(FetchError::Redirects);
        }
        if status != StatusCode::OK {
            return Err(FetchError::Status(status));
        }
        let plain = text(CONTENT_ENCODING).is_none_or(|it| it.eq_ignore_ascii_case("identity"));
        let media_type = text(CONTENT_TYPE).unwrap_or_default();
        let kind = media_type.split(';').next().unwrap_or_default().trim();
        let is_page = ["text/html", "application/xhtml+xml"]
            .iter()
            .any(|page| kind.eq_ignore_ascii_case(page));
        if !plain || !is_page {
            return Err(FetchError::Type);
        }
        let charset = charset_of(media_type).map(str::to_owned);
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let room = self.settings.bytes_max.saturating_sub(bytes.len());
            bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
            if room <= data.len() {
                // The head is in it, or nowhere.
                break;
            }
        }
        Ok(Answer::Page { bytes, charset })
    }
}

/// What was answered.
enum Answer {
    Page {
        bytes: Vec<u8>,
        charset: Option<String>,
    },
    Elsewhere(Url),
}

/// A task that ends with this.
struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Addresses of a host that are tried.
const ADDRESSES_TRIED_MAX: usize = 3;
/// What an answer's headers have at most, in bytes; parts of its body are read in pieces of this size.
const HEADERS_BYTES_MAX: usize = 32 * 1024;
/// Headers of an answer.
const HEADERS_MAX: usize = 128;
/// How the server calls itself.
const AGENT: &str = concat!("Fireside/", env!("CARGO_PKG_VERSION"), " (link preview)");
