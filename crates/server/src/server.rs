//! Starting, watching and ending a server inside a process.

use std::{
    fs::{self, File, TryLockError},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use fireside_protocol::Code;
use fireside_server_core::{
    node::{Counters, Published},
    storage::StoreError,
};
use fireside_store::{Sink, SqliteConfig, SqliteStore, Store};
use quinn::{Endpoint, TokioRuntime, VarInt};
use tokio::runtime::Runtime;

use crate::{
    bus::{Bus, LocalBus},
    certificate::{CertificateError, CertificateHolder, CertificateSource, Fingerprint},
    drain,
    driver::Driver,
    gateway,
    health::GatewayCounters,
    inbox::{Inbox, Input},
    keys::{TransportKeys, warn_if_open},
    previews::Previews,
    settings::{Settings, SettingsError},
    shared::Shared,
    token::{KeyFileError, TokenKeys},
    transport,
};

/// The file that keeps two servers out of one data folder.
pub const LOCK_FILE: &str = "lock";
/// The database in the data folder.
pub const STORE_FILE: &str = "fireside.sqlite";

/// The node counts within this time, or is gone.
const COUNT_WAIT: Duration = Duration::from_secs(2);
/// The runtime's threads get this long to end.
const RUNTIME_END_WAIT: Duration = Duration::from_secs(1);

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings that do not make sense.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// The data folder can not be used.
    #[error("data folder {}: {source}", path.display())]
    Data {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another server runs on this data folder.
    #[error("another server uses {}; stop it or name another folder", .0.display())]
    InUse(PathBuf),
    /// Token keys.
    #[error("token keys: {0}")]
    Tokens(#[from] KeyFileError),
    /// Certificate.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The address can not be listened on.
    #[error("can not listen on UDP {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// TLS or QUIC could not be set up, or a thread not be started.
    #[error("transport: {0}")]
    Transport(io::Error),
    /// The store does not open.
    #[error("store: {0}")]
    Store(StoreError),
}

/// What a server counted since it started.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerCounters {
    /// The gateway's.
    pub gateway: GatewayCounters,
    /// The node's.
    pub node: Counters,
}

/// A server to be. It owns its threads; several may run in a process.
#[derive(Debug)]
pub struct Server {}

/// A server that runs, on threads of its own. Dropping it without [`RunningServer::stop`] is a crash: clients are not told.
pub struct RunningServer {
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    certificate: Arc<CertificateHolder>,
    address: SocketAddr,
    endpoint: Endpoint,
    store: Arc<dyn Store>,
    driver: Option<tokio::task::JoinHandle<()>>,
    _lock: File,
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server: when this returns, clients can log in.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn start(settings: Settings) -> Result<RunningServer, StartError> {
        settings.check()?;
        let data = settings.server.data.clone();
        let lock = lock_data(&data)?;
        let data_error = |source| StartError::Data {
            path: data.clone(),
            source,
        };
        let tokens = load_tokens(&settings)?;
        let certificate = Arc::new(CertificateHolder::load(
            certificate_source(&settings),
            transport::crypto_provider(),
        )?);
        let keys = TransportKeys::load_or_make(&data).map_err(data_error)?;

        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.enable_all().thread_name("fireside-server");
        if settings.server.worker_threads > 0 {
            builder.worker_threads(settings.server.worker_threads);
        }
        let runtime = builder.build().map_err(StartError::Transport)?;
        let inbox = Arc::new(Inbox::new(settings.limits.inbox_max));
        let store = open_store(&settings, &inbox)?;
        let shared = Shared::new(settings, tokens, inbox);
        let (endpoint, driver) = match listen(&runtime, &shared, &certificate, &keys, &store) {
            Ok(listening) => listening,
            Err(error) => {
                store.close();
                return Err(error);
            }
        };
        let address = endpoint.local_addr().map_err(StartError::Transport)?;
        tracing::info!(%address, fingerprint = %certificate.fingerprint(), "listening");
        Ok(RunningServer {
            runtime: Some(runtime),
            shared,
            certificate,
            address,
            endpoint,
            store,
            driver: Some(driver),
            _lock: lock,
        })
    }
}

impl RunningServer {
    /// The UDP address, with the port that was taken.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// SHA-256 of the certificate, for clients that pin it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }

    /// The keys that tokens are checked against; the development key can sign.
    #[must_use]
    pub fn token_keys(&self) -> Arc<TokenKeys> {
        self.shared.tokens.load_full()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> ServerCounters {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.shared.inbox.push(Input::Count(sender));
        ServerCounters {
            gateway: self.shared.counts.read(),
            // The node is gone while the server goes down.
            node: receiver.recv_timeout(COUNT_WAIT).unwrap_or_default(),
        }
    }

    /// Reads token keys and certificate again and takes the limits of `settings`. Address, folder, transport and store stay as
    /// they are until a restart.
    ///
    /// # Errors
    /// [`StartError`]; what could not be read stays as it was.
    pub fn reload(&self, settings: &Settings) -> Result<(), StartError> {
        settings.check()?;
        let tokens = load_tokens(settings)?;
        self.certificate.reload()?;
        self.shared.tokens.store(Arc::new(tokens));
        let config = Box::new(settings.node_config());
        self.shared.inbox.push(Input::Config(config));
        tracing::info!("settings reloaded");
        Ok(())
    }

    /// Goes down gracefully: no new connections, clients are told, appends in flight finish, the store is closed.
    /// Returns when all is done, at most ten seconds later.
    pub fn stop(mut self) {
        if let Some(runtime) = &self.runtime {
            let (sender, receiver) = mpsc::sync_channel(1);
            let (shared, endpoint) = (self.shared.clone(), self.endpoint.clone());
            let driver = self.driver.take();
            runtime.spawn(async move {
                drain::run(&shared, &endpoint, driver).await;
                let _ = sender.send(());
            });
            let _ = receiver.recv();
        }
        self.end();
        tracing::info!("stopped");
    }

    /// Ends the threads. What was submitted to the store is made durable.
    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be waited for inside another one, but a thread may; the socket is closed when this is done.
            let ending = std::thread::spawn(move || runtime.shutdown_timeout(RUNTIME_END_WAIT));
            let _ = ending.join();
            self.store.close();
        }
    }

    /// Runs until SIGTERM or SIGINT, then [`RunningServer::stop`]s. SIGHUP reads `settings` anew and reloads; what is wrong with
    /// them is logged and changes nothing.
    ///
    /// # Errors
    /// If signals can not be waited for, or the node failed: whoever started the process should start it again.
    #[cfg(unix)]
    pub fn run_until_signal(
        self,
        settings: impl Fn() -> Result<Settings, SettingsError>,
    ) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let Some(runtime) = self.runtime.as_ref() else {
            return Ok(());
        };
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut hang_up = signal(SignalKind::hangup())?;
            loop {
                tokio::select! {
                    _ = terminate.recv() => return Ok::<(), io::Error>(()),
                    _ = interrupt.recv() => return Ok(()),
                    () = self.shared.failed.notified() => {
                        return Err(io::Error::other("the node failed; the log says why"));
                    }
                    _ = hang_up.recv() => {
                        let reloaded = settings()
                            .map_err(StartError::from)
                            .and_then(|settings| self.reload(&settings));
                        if let Err(error) = reloaded {
                            tracing::error!(%error, "not reloaded");
                        }
                    }
                }
            }
        })?;
        self.stop();
        Ok(())
    }
}

#[cfg(not(unix))]
impl RunningServer {
    /// Runs until Ctrl-C, then [`RunningServer::stop`]s. There is no signal to reload by.
    ///
    /// # Errors
    /// If signals can not be waited for, or the node failed: whoever started the process should start it again.
    pub fn run_until_signal(
        self,
        settings: impl Fn() -> Result<Settings, SettingsError>,
    ) -> io::Result<()> {
        let _ = settings;
        let Some(runtime) = self.runtime.as_ref() else {
            return Ok(());
        };
        runtime.block_on(async {
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted,
                () = self.shared.failed.notified() => {
                    Err(io::Error::other("the node failed; the log says why"))
                }
            }
        })?;
        self.stop();
        Ok(())
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs the node. If it fails (a defect), nobody is let in any more and everybody sent away: half a server is worse than none.
async fn watch(driver: Driver, shared: Arc<Shared>, endpoint: Endpoint) {
    if let Err(error) = tokio::spawn(driver.run()).await {
        tracing::error!(%error, "the node failed; the server ends");
        shared.draining.store(true, Ordering::Release);
        let code = Code::Overloaded;
        endpoint.close(
            VarInt::from_u32(u32::from(code.number())),
            code.key().as_bytes(),
        );
        shared.failed.notify_one();
    }
}

fn lock_data(data: &Path) -> Result<File, StartError> {
    let data_error = |source| StartError::Data {
        path: data.to_owned(),
        source,
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        // Keys and messages: nobody else's business. A folder that is there keeps its mode.
        builder.mode(0o700);
    }
    builder.create(data).map_err(data_error)?;
    let file = File::create(data.join(LOCK_FILE)).map_err(data_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(data.to_owned())),
        Err(TryLockError::Error(source)) => Err(data_error(source)),
    }
}

fn load_tokens(settings: &Settings) -> Result<TokenKeys, KeyFileError> {
    let path = settings.token_keys_path();
    let keys = if settings.server.dev {
        TokenKeys::load_or_make(&path)
    } else {
        TokenKeys::load(&path)
    };
    warn_if_open(&path);
    keys.map(|keys| keys.with_audiences(settings.tokens.audiences.clone()))
}

fn certificate_source(settings: &Settings) -> CertificateSource {
    match (&settings.tls.certificate, &settings.tls.key) {
        (Some(certificate), Some(key)) => {
            warn_if_open(key);
            CertificateSource::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            }
        }
        _ => CertificateSource::SelfMade(settings.server.data.clone()),
    }
}

fn open_store(settings: &Settings, inbox: &Arc<Inbox>) -> Result<Arc<dyn Store>, StartError> {
    let config = SqliteConfig {
        readers: settings.store.readers.max(1),
        writes_queued_max: settings.store.writes_queued_max,
        reads_queued_max: settings.store.reads_queued_max,
        synchronous_off: settings.store.synchronous_off,
        writer_cache_bytes: settings.store.writer_cache_bytes,
        reader_cache_bytes: settings.store.reader_cache_bytes,
        file_bytes_max: settings.store.file_bytes_max,
        forget_nonces: settings.store.forget_nonces,
        ..SqliteConfig::new(settings.server.data.join(STORE_FILE))
    };
    // Messages are nobody else's business, whatever mode the folder has; SQLite's files beside it take the mode of this one.
    let path = settings.server.data.join(STORE_FILE);
    make_private(&path).map_err(|source| StartError::Data { path, source })?;
    let inbox = inbox.clone();
    let sink: Sink = Arc::new(move |results| inbox.push(Input::Stored(results)));
    let store = SqliteStore::open(config, sink).map_err(StartError::Store)?;
    Ok(Arc::new(store))
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map(drop)
}

fn listen(
    runtime: &Runtime,
    shared: &Arc<Shared>,
    certificate: &Arc<CertificateHolder>,
    keys: &TransportKeys,
    store: &Arc<dyn Store>,
) -> Result<(Endpoint, tokio::task::JoinHandle<()>), StartError> {
    let settings = &shared.settings;
    let server_config = transport::server_config(&settings.transport, certificate.clone(), keys)
        .map_err(StartError::Transport)?;
    let address = settings.server.listen;
    let socket = transport::bind(address, settings.transport.socket_buffer_bytes)
        .map_err(|source| StartError::Listen { address, source })?;
    let _context = runtime.enter();
    let endpoint = Endpoint::new(
        transport::endpoint_config(keys),
        Some(server_config),
        socket,
        Arc::new(TokioRuntime),
    )
    .map_err(StartError::Transport)?;
    let loopback = shared.inbox.clone();
    let bus: Arc<dyn Bus> = Arc::new(LocalBus::new(Arc::new(move |published: Published| {
        loopback.push(Input::Published(published));
    })));
    let previews = settings.previews.enabled.then(|| Previews::start(shared));
    let previews = previews.transpose().map_err(StartError::Transport)?;
    let driver = Driver::new(
        settings.node_config(),
        store.clone(),
        bus,
        shared.clone(),
        keys.link_secret(),
        previews,
    );
    let driver = runtime.spawn(watch(driver, shared.clone(), endpoint.clone()));
    runtime.spawn(gateway::run(endpoint.clone(), shared.clone()));
    Ok((endpoint, driver))
}
