//! Link previews: reads the pages that the node asks for, behind a bounded queue.
//!
//! The server calls the outside only where `[previews] enabled` says so. Whose link it is may be anybody: so it looks up names itself, connects to
//! the very address that it has checked, on every redirect anew, and never to an address that is not public; it takes little, not for long, and
//! believes nothing. A page that can not be read leaves no trace but a count.

mod address;
mod fetch;
mod known;
mod page;
mod settings;

use std::{io, net::IpAddr, pin::Pin, sync::Arc};

use fireside_server_core::previews::{PageSummary, PreviewRequest};
use parking_lot::Mutex;
use rustls::pki_types::TrustAnchor;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout},
};

pub use self::settings::PreviewSettings;
use self::{
    fetch::{FetchError, Fetcher},
    known::Known,
};
use crate::{health::count, inbox::Input, shared::Shared};

/// A look-up under way.
type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up. A seam for tests: all else takes the system's.
trait Resolve: Send + Sync {
    /// All addresses of a name. The caller waits for it no longer than its own limit.
    fn resolve(&self, host: &str) -> Lookup;
}

/// The system's resolver, on a thread of its own as long as it takes.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Lookup {
        // The port only completes the address.
        let host = (host.to_owned(), 0);
        Box::pin(async move {
            let found = tokio::net::lookup_host(host).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The queue of pages to be read. Dropping it ends the reading.
pub(crate) struct Previews {
    queue: mpsc::Sender<PreviewRequest>,
    shared: Arc<Shared>,
}

impl Previews {
    /// Starts reading, on the runtime that this is called in. What was read goes into the node's inbox.
    ///
    /// # Errors
    /// If TLS can not be set up.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let tls = tls_config(webpki_roots::TLS_SERVER_ROOTS.to_vec())?;
        let settings = &shared.settings.previews;
        let fetcher = Fetcher::new(settings.clone(), Arc::new(SystemResolver), tls);
        if settings.danger_reach_own_network {
            tracing::warn!("previews reach this machine and its own network: a setting for tests");
        }
        Ok(Self::with(shared.clone(), fetcher))
    }

    fn with(shared: Arc<Shared>, fetcher: Fetcher) -> Self {
        let settings = &shared.settings.previews;
        let (queue, waiting) = mpsc::channel(settings.queue_max.clamp(1, Semaphore::MAX_PERMITS));
        let reader = Reader {
            fetcher,
            known: Mutex::new(Known::new(settings)),
            shared: shared.clone(),
        };
        tokio::spawn(read_all(Arc::new(reader), waiting));
        Self { queue, shared }
    }

    /// Asks for a page. Without room it is left unread.
    pub(crate) fn ask(&self, request: PreviewRequest) {
        if self.queue.try_send(request).is_err() {
            count(&self.shared.counts.previews_dropped);
        }
    }
}

struct Reader {
    fetcher: Fetcher,
    known: Mutex<Known>,
    shared: Arc<Shared>,
}

impl Reader {
    /// What the page behind a link says; `None` if it can not be read.
    async fn read(&self, url: &str) -> Option<PageSummary> {
        let known = self.known.lock().get(url, Instant::now());
        if let Some(known) = known {
            count(&self.shared.counts.previews_known);
            return known;
        }
        let limit = self.shared.settings.previews.time();
        let read = timeout(limit, self.fetcher.fetch(url)).await;
        let read = read.unwrap_or(Err(FetchError::Slow));
        match &read {
            Ok(_) => count(&self.shared.counts.previews_read),
            Err(error) => {
                count(&self.shared.counts.previews_failed);
                // Not the link: it is what somebody wrote.
                tracing::debug!(%error, "a page was not read");
            }
        }
        let read = read.ok();
        let now = Instant::now();
        self.known.lock().put(url, read.clone(), now);
        read
    }
}

/// Reads page after page, some at once.
async fn read_all(reader: Arc<Reader>, mut waiting: mpsc::Receiver<PreviewRequest>) {
    let most = reader
        .shared
        .settings
        .previews
        .fetches_max
        .clamp(1, Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(most));
    // The semaphore is never closed.
    while let Ok(permit) = room.clone().acquire_owned().await {
        let Some(request) = waiting.recv().await else {
            return;
        };
        let reader = reader.clone();
        tokio::spawn(async move {
            if let Some(page) = reader.read(&request.url).await {
                let read = Box::new((request, page));
                reader.shared.inbox.push(Input::Preview(read));
            }
            drop(permit);
        });
    }
}

/// How pages are read over TLS.
fn tls_config(roots: Vec<TrustAnchor<'static>>) -> io::Result<Arc<rustls::ClientConfig>> {
    let provider = crate::transport::crypto_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(rustls::RootCertStore { roots })
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
