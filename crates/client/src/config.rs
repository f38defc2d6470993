//! What a client is started with.

use std::{fmt, net::IpAddr, net::SocketAddr, path::PathBuf, sync::Arc};

use fireside_protocol::{DeviceId, UserId};

/// How the server proves who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// SHA-256 of the certificate (DER), as `fireside serve --dev` prints it. Name and dates are not looked at.
    Pinned([u8; 32]),
    /// A certificate for `server_name` by an authority of the web.
    Roots,
}

/// Finds the local address that packets to the server leave from. `None`: no way there.
///
/// Called on the client's thread every [`ROUTE_CHECK_MS`](crate::limits::ROUTE_CHECK_MS); must not block.
#[derive(Clone)]
pub struct RouteProbe(pub Arc<dyn Fn(SocketAddr) -> Option<IpAddr> + Send + Sync>);

impl fmt::Debug for RouteProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RouteProbe")
    }
}

/// Settings of a client. Start from [`ClientConfig::new`].
#[derive(Clone)]
pub struct ClientConfig {
    /// `host:port`, or `ip:port`.
    pub server: String,
    /// The name in the certificate; from `server` if left empty.
    pub server_name: String,
    /// How the server proves who it is.
    pub trust: Trust,
    /// The login token that the game's backend made; empty: set later.
    pub token: String,
    /// Whose token it is. Needed with `folder`: a cache belongs to one user.
    pub user: Option<UserId>,
    /// Where caches are kept, one folder in it per server and user. `None`: in memory, and the outbox does not survive the process.
    pub folder: Option<PathBuf>,
    /// This device; `None`: what the cache has, else a new one.
    pub device: Option<DeviceId>,
    /// Name and version of the game, for the server's logs.
    pub agent: String,
    /// For example `windows`, `ps5`.
    pub platform: String,
    /// First delay before a reconnect, in ms; doubles with jitter.
    pub reconnect_delay_ms_min: u64,
    /// Largest delay before a reconnect, in ms.
    pub reconnect_delay_ms_max: u64,
    /// Resumed connections may send reads with their first packet.
    pub early_data: bool,
    /// How a change of the network is found; `None`: ask the operating system.
    pub route_probe: Option<RouteProbe>,
}

impl ClientConfig {
    /// The usual settings.
    #[must_use]
    pub fn new(server: impl Into<String>, trust: Trust, token: impl Into<String>) -> Self {
        let core = fireside_client_core::Config::default();
        Self {
            server: server.into(),
            server_name: String::new(),
            trust,
            token: token.into(),
            user: None,
            folder: None,
            device: None,
            agent: core.agent,
            platform: std::env::consts::OS.to_owned(),
            reconnect_delay_ms_min: core.reconnect_delay_ms_min,
            reconnect_delay_ms_max: core.reconnect_delay_ms_max,
            early_data: true,
            route_probe: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    /// Without the token: secrets never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("server", &self.server)
            .field("server_name", &self.server_name)
            .field("trust", &self.trust)
            .field("user", &self.user)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// Why a client could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Not `host:port`.
    #[error("the server {0:?} is not an address; expected host:port, for example 127.0.0.1:7777")]
    BadServer(String),
    /// Not a name a certificate can have.
    #[error("{0:?} is not a server name; expected a host name or an IP address")]
    BadServerName(String),
    /// A cache belongs to one user.
    #[error("a cache folder was given without a user; set `user` to the token's `sub`")]
    UserNeeded,
    /// TLS could not be set up.
    #[error("TLS could not be set up: {0}")]
    Tls(String),
    /// The machine gave no thread or no random numbers.
    #[error("the client's thread could not be started: {0}")]
    Thread(String),
}

/// Splits `host:port`.
pub(crate) fn split_server(server: &str) -> Result<(String, u16), StartError> {
    let bad = || StartError::BadServer(server.to_owned());
    if let Ok(address) = server.parse::<SocketAddr>() {
        return Ok((address.ip().to_string(), address.port()));
    }
    let (host, port) = server.rsplit_once(':').ok_or_else(bad)?;
    let port = port.parse::<u16>().map_err(|_| bad())?;
    let fits = !host.is_empty()
        && host.len() <= 253
        && !host.contains(|c: char| c == ':' || c.is_whitespace());
    if fits {
        Ok((host.to_owned(), port))
    } else {
        Err(bad())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn servers_are_host_and_port() {
        assert_eq!(
            split_server("chat.example:7777").unwrap(),
            ("chat.example".to_owned(), 7777)
        );
        assert_eq!(split_server("[::1]:9").unwrap(), ("::1".to_owned(), 9));
        for bad in [
            "",
            "chat.example",
            ":7",
            "a b:7",
            "host:seven",
            "host:70000",
        ] {
            assert!(
                matches!(split_server(bad), Err(StartError::BadServer(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let config = ClientConfig::new("a:1", Trust::Roots, "very-secret");
        assert!(!format!("{config:?}").contains("very-secret"));
    }
}
