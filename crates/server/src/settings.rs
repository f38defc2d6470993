//! Settings: a TOML file whose every key has a default. Unknown keys are errors that name the key.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use fireside_protocol::limits;
use fireside_server_core::{Breaks, NodeConfig, node::DevicePolicy};
use fireside_store::SqliteConfig;
use serde::Deserialize;

use crate::previews::PreviewSettings;

/// The port unless settings say otherwise.
pub const DEFAULT_PORT: u16 = 7777;

/// What a connection takes without its buffers, in bytes: QUIC's and TLS's state, its task. Measured idle: about 33 KiB.
const CONNECTION_BYTES: usize = 40 * 1024;
/// Bytes that the transport's windows and buffers of one session have together.
const SESSION_TRANSPORT_BYTES_MAX: usize =
    limits::SESSION_BYTES_MAX - limits::SESSION_QUEUE_BYTES_MAX - CONNECTION_BYTES;
/// Streams whose unfinished requests fit a session's queue, with some room for frames.
const BIDI_STREAMS_MAX: u32 =
    (limits::SESSION_QUEUE_BYTES_MAX / limits::PAGE_REQUEST_BYTES_MAX) as u32 - 4;
/// The longest time for one page, in ms.
const PREVIEW_TIME_MS_MAX: u64 = 60_000;
/// Bytes of pages that are read at once.
const PREVIEW_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Some packets.
const STREAM_WINDOW_BYTES_MIN: u32 = 4_096;

/// Why settings can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file can not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key is unknown or its value is not of the right type.
    #[error("{0}")]
    Shape(String),
    /// A value does not make sense.
    #[error("{key}: {text}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong, and what is right.
        text: &'static str,
    },
}

/// All settings of a server. One server is one app.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address, folder, threads.
    pub server: ServerSettings,
    /// Certificate.
    pub tls: TlsSettings,
    /// Log-in tokens.
    pub tokens: TokenSettings,
    /// Rates and sizes of the chat itself.
    pub limits: LimitSettings,
    /// Previews of links.
    pub previews: PreviewSettings,
    /// QUIC.
    pub transport: TransportSettings,
    /// SQLite.
    pub store: StoreSettings,
    /// Going down.
    pub drain: DrainSettings,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// UDP address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// All state.
    pub data: PathBuf,
    /// Makes certificate and token keys if there are none.
    pub dev: bool,
    /// Threads of the runtime; 0 is one per core.
    pub worker_threads: usize,
}

/// `[tls]`: both or, with `dev`, none.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the chain, leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
}

/// `[tokens]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// The key file; `token-keys.toml` in the data folder unless named.
    pub keys: Option<PathBuf>,
    /// Tokens must be for one of these; none: not looked at.
    pub audiences: Vec<String>,
}

/// `[limits]`: see [`NodeConfig`].
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "named after the fields of NodeConfig")]
pub struct LimitSettings {
    pub rate_direct_per_s: u32,
    pub rate_group_per_s: u32,
    pub rate_conversation_per_s: u32,
    pub rate_requests_per_s: u32,
    pub group_members_max: usize,
    pub public_members_max: usize,
    pub meeting_members_max: usize,
    /// `all`, `one_per_platform` or `one`.
    pub device_policy: DevicePolicySetting,
    pub edit_window_ms: u64,
    pub recall_window_ms: u64,
    /// Moderators may see what a message said before it was edited or recalled. Without it that is gone from the disk at once.
    pub keep_revisions: bool,
    /// Faults built in on purpose, for proofs: in no file.
    #[serde(skip)]
    pub breaks: Breaks,
    pub conversations_max: usize,
    pub store_pending_max: usize,
    pub sessions_max: usize,
    /// Requests of all sessions that wait for the node; above it readers wait.
    pub inbox_max: usize,
    /// Log-ins worked on at once; above it log-ins wait, and then are refused as overloaded.
    pub logins_max: usize,
    /// Time from the connection to the log-in, in ms.
    pub login_ms: u64,
}

/// `limits.device_policy`
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum DevicePolicySetting {
    /// All devices of a user at once.
    #[default]
    All,
    /// One per platform.
    OnePerPlatform,
    /// One.
    One,
}

/// `[transport]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportSettings {
    /// Connections at once, handshakes included; above it new ones are refused.
    pub connections_max: usize,
    /// Connections of one address (of IPv6: one /64 network) whose handshake is done; above it new ones of it are refused. 0: any
    /// number. Thousands of players may share an address behind a carrier's NAT.
    pub connections_per_address_max: usize,
    /// Handshakes at once; above it new ones are refused.
    pub handshakes_max: usize,
    /// Handshakes at once above which a client must show that its address is its own (one more round trip).
    pub handshakes_retry_above: usize,
    /// Idle timeout in ms.
    pub idle_timeout_ms: u64,
    /// Bytes a client may have under way on one stream.
    pub stream_receive_window: u32,
    /// Bytes a client may have under way on all streams.
    pub receive_window: u32,
    /// Bytes sent to a client and not acknowledged.
    pub send_window: u32,
    /// Streams a client may have open: the session and pages.
    pub bidi_streams_max: u32,
    /// Datagrams received and not read, in bytes.
    pub datagram_receive_bytes: usize,
    /// Datagrams not sent yet, in bytes; the oldest are dropped.
    pub datagram_send_bytes: usize,
    /// Handshake bytes out of order.
    pub crypto_buffer_bytes: usize,
    /// The UDP socket's buffers, in bytes; the system may give less.
    pub socket_buffer_bytes: usize,
    /// Whether resumed connections may send early data (0-RTT).
    pub early_data: bool,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Reader threads.
    pub readers: usize,
    /// Writes queued.
    pub writes_queued_max: usize,
    /// Reads queued.
    pub reads_queued_max: usize,
    /// Page cache of the writer, in bytes.
    pub writer_cache_bytes: usize,
    /// Page cache of each reader, in bytes.
    pub reader_cache_bytes: usize,
    /// Size of the file at which writes fail as full, in bytes; 0 the disk's.
    pub file_bytes_max: u64,
    /// Does not wait for the disk: a power cut loses acknowledged messages. Only to show that the power-cut proof notices.
    pub synchronous_off: bool,
    /// Forgets known nonces at the start. Only to show that the crash proof notices.
    pub forget_nonces: bool,
}

/// `[drain]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainSettings {
    /// Going down takes at most this, in ms.
    pub deadline_ms: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
            data: PathBuf::from("fireside-data"),
            dev: false,
            worker_threads: 0,
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        let node = NodeConfig::default();
        Self {
            rate_direct_per_s: node.rate_direct_per_s,
            rate_group_per_s: node.rate_group_per_s,
            rate_conversation_per_s: node.rate_conversation_per_s,
            rate_requests_per_s: node.rate_requests_per_s,
            group_members_max: node.group_members_max,
            public_members_max: node.public_members_max,
            meeting_members_max: node.meeting_members_max,
            device_policy: DevicePolicySetting::All,
            edit_window_ms: node.edit_window_ms,
            recall_window_ms: node.recall_window_ms,
            keep_revisions: node.keep_revisions,
            breaks: Breaks::default(),
            conversations_max: node.conversations_max,
            store_pending_max: node.store_pending_max,
            sessions_max: node.sessions_max,
            inbox_max: 8_192,
            logins_max: 512,
            login_ms: 10_000,
        }
    }
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            connections_max: 50_000,
            connections_per_address_max: 2_048,
            handshakes_max: 4_096,
            handshakes_retry_above: 1_024,
            idle_timeout_ms: limits::IDLE_TIMEOUT_MS,
            // A client writes chat and requests: 150 KiB/s where a round trip takes 200 ms.
            stream_receive_window: 32 * 1024,
            receive_window: 32 * 1024,
            // 300 KiB/s where a round trip takes 200 ms.
            send_window: 64 * 1024,
            // The session, and as many pages as a client asks for at once, some times over.
            bidi_streams_max: 16,
            // Three of the largest: newest wins.
            datagram_receive_bytes: 4 * 1024,
            datagram_send_bytes: 4 * 1024,
            crypto_buffer_bytes: 8 * 1024,
            socket_buffer_bytes: 4 * 1024 * 1024,
            early_data: true,
        }
    }
}

impl TransportSettings {
    /// Bytes that one connection's windows and buffers hold at most. Handshake bytes are gone when the others come.
    const fn session_bytes(&self) -> usize {
        self.receive_window as usize
            + self.send_window as usize
            + self.datagram_receive_bytes
            + self.datagram_send_bytes
    }
}

impl Default for StoreSettings {
    fn default() -> Self {
        let store = SqliteConfig::new("");
        Self {
            readers: store.readers,
            writes_queued_max: store.writes_queued_max,
            reads_queued_max: store.reads_queued_max,
            writer_cache_bytes: store.writer_cache_bytes,
            reader_cache_bytes: store.reader_cache_bytes,
            file_bytes_max: store.file_bytes_max,
            synchronous_off: false,
            forget_nonces: false,
        }
    }
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { deadline_ms: 8_000 }
    }
}

impl Settings {
    /// For development: everything in `data`, certificate and keys made there, a free port on this machine only.
    #[must_use]
    pub fn dev(data: impl Into<PathBuf>) -> Self {
        Self {
            server: ServerSettings {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                data: data.into(),
                dev: true,
                ..ServerSettings::default()
            },
            ..Self::default()
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`SettingsError`], with file, line and key.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text).map_err(|error| match error {
            SettingsError::Shape(text) => {
                SettingsError::Shape(format!("{}: {text}", path.display()))
            }
            other => other,
        })
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self =
            toml::from_str(text).map_err(|error| SettingsError::Shape(error.to_string()))?;
        settings.check()?;
        Ok(settings)
    }

    /// Whether the values make sense together.
    ///
    /// # Errors
    /// [`SettingsError::Value`].
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |key, text| Err(SettingsError::Value { key, text });
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            return wrong(
                "tls",
                "certificate and key are given together or not at all",
            );
        }
        if self.tls.certificate.is_none() && !self.server.dev {
            return wrong(
                "tls.certificate",
                "PEM files in tls.certificate and tls.key, or server.dev = true for a self-made certificate that clients pin",
            );
        }
        if self.transport.bidi_streams_max < 2 {
            return wrong(
                "transport.bidi_streams_max",
                "at least 2: the session and a page",
            );
        }
        if self.transport.stream_receive_window < STREAM_WINDOW_BYTES_MIN {
            return wrong(
                "transport.stream_receive_window",
                "at least 4096: some packets under way",
            );
        }
        if self.transport.session_bytes() > SESSION_TRANSPORT_BYTES_MAX {
            return wrong(
                "transport",
                "receive_window, send_window, datagram_receive_bytes and datagram_send_bytes are at most 106496 together: \
                 with its queue a session takes at most 256 KiB",
            );
        }
        if self.transport.bidi_streams_max > BIDI_STREAMS_MAX {
            return wrong(
                "transport.bidi_streams_max",
                "at most 24: the unfinished requests of all of them have room in a session's queue",
            );
        }
        if self.transport.datagram_send_bytes < 2 * limits::DATAGRAM_BYTES_MAX {
            return wrong("transport.datagram_send_bytes", "at least 2000: a datagram");
        }
        if self.transport.crypto_buffer_bytes < 4096 {
            return wrong(
                "transport.crypto_buffer_bytes",
                "at least 4096: a client's hello",
            );
        }
        if self.limits.inbox_max == 0 || self.limits.logins_max == 0 {
            return wrong("limits", "inbox_max and logins_max are at least 1");
        }
        let previews = &self.previews;
        if previews.queue_max == 0 || previews.fetches_max == 0 || previews.bytes_max == 0 {
            return wrong(
                "previews",
                "queue_max, fetches_max and bytes_max are at least 1; without previews: enabled = false",
            );
        }
        if !(1..=PREVIEW_TIME_MS_MAX).contains(&previews.time_ms) {
            return wrong(
                "previews.time_ms",
                "1 to 60000: a page that takes longer is none",
            );
        }
        if previews.bytes_max.saturating_mul(previews.fetches_max) > PREVIEW_BYTES_MAX {
            return wrong(
                "previews",
                "bytes_max times fetches_max is at most 67108864: all that is read at once is in memory",
            );
        }
        if self.drain.deadline_ms > 9_000 {
            return wrong(
                "drain.deadline_ms",
                "at most 9000: the server promises to be gone within 10 s",
            );
        }
        Ok(())
    }

    /// The key file.
    #[must_use]
    pub fn token_keys_path(&self) -> PathBuf {
        self.tokens
            .keys
            .clone()
            .unwrap_or_else(|| self.server.data.join("token-keys.toml"))
    }

    /// The part that the node takes.
    #[must_use]
    pub fn node_config(&self) -> NodeConfig {
        let limits = &self.limits;
        NodeConfig {
            rate_direct_per_s: limits.rate_direct_per_s,
            rate_group_per_s: limits.rate_group_per_s,
            rate_conversation_per_s: limits.rate_conversation_per_s,
            rate_requests_per_s: limits.rate_requests_per_s,
            group_members_max: limits.group_members_max,
            public_members_max: limits.public_members_max,
            meeting_members_max: limits.meeting_members_max,
            device_policy: match limits.device_policy {
                DevicePolicySetting::All => DevicePolicy::All,
                DevicePolicySetting::OnePerPlatform => DevicePolicy::OnePerPlatform,
                DevicePolicySetting::One => DevicePolicy::One,
            },
            edit_window_ms: limits.edit_window_ms,
            recall_window_ms: limits.recall_window_ms,
            keep_revisions: limits.keep_revisions,
            breaks: limits.breaks,
            conversations_max: limits.conversations_max,
            store_pending_max: limits.store_pending_max,
            sessions_max: limits.sessions_max,
            previews: self.previews.enabled,
            ..NodeConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_file_changes_what_it_names() {
        let settings = Settings::parse(
            "[server]\ndev = true\nlisten = \"127.0.0.1:0\"\n[limits]\nrate_direct_per_s = 99\ndevice_policy = \"one\"\n",
        )
        .unwrap();
        assert_eq!(settings.node_config().rate_direct_per_s, 99);
        assert_eq!(settings.node_config().device_policy, DevicePolicy::One);
        assert_eq!(
            settings.node_config().rate_group_per_s,
            limits::RATE_GROUP_PER_S
        );
    }

    #[test]
    fn the_page_shows_the_defaults() {
        let page = include_str!("../../../docs/settings.md");
        let block = page.split("```toml\n").nth(1).unwrap();
        let block = block.split("```").next().unwrap();
        let shown: Settings = toml::from_str(block).unwrap();
        assert_eq!(format!("{shown:?}"), format!("{:?}", Settings::default()));
        // Each section of the file is a table of the page, each line a key: nothing was left out.
        let table: toml::Table = toml::from_str(block).unwrap();
        for (section, keys) in [
            ("limits", 17),
            ("previews", 14),
            ("transport", 14),
            ("store", 8),
            ("drain", 1),
        ] {
            assert_eq!(table[section].as_table().unwrap().len(), keys, "{section}");
        }
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_named() {
        for (text, expected) in [
            ("[limits]\nrate_dirct_per_s = 1", "rate_dirct_per_s"),
            ("[limts]\n", "limts"),
            ("[server]\nlisten = 5", "listen"),
            ("", "tls.certificate"),
            ("[tls]\nkey = \"a\"", "together"),
            (
                "[server]\ndev = true\n[drain]\ndeadline_ms = 60000",
                "drain.deadline_ms",
            ),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
