//! Bad and distant networks, through a proxy: rebinding without a reconnect, the laws under loss, delay, reordering and duplication,
//! round trips counted, a crowd that comes back at once, dead and silent servers noticed in time.

mod notice;
mod round_trips;
mod weather;

use anyhow::Context;

use super::Scale;
use crate::{
    process::{Server, ServerPlan},
    wire::Target,
};

/// The load is not to be slowed by the rates of a person.
const RATES: &str = "[limits]\nrate_direct_per_s = 10000\nrate_group_per_s = 10000\n\
                     rate_conversation_per_s = 10000\nrate_requests_per_s = 10000\n";

/// All parts, each with a server of its own.
///
/// # Errors
/// The first part that does not hold.
pub fn run(scale: Scale) -> anyhow::Result<()> {
    let parts: &[(&str, Part)] = &[
        ("rebinding", weather::rebinding),
        ("bad weather", weather::bad_weather),
        ("round trips", round_trips::round_trips),
        ("first sync", round_trips::first_sync),
        ("a crowd resumes", round_trips::crowd),
        ("a restarted server", notice::restarted),
        ("a silent server", notice::silent),
    ];
    let mut broken = Vec::new();
    for (name, part) in parts {
        let mut ground = Ground::open(scale).with_context(|| (*name).to_owned())?;
        // All parts are run, so that one look shows all that is wrong.
        if let Err(error) = part(&mut ground).with_context(|| (*name).to_owned()) {
            println!("network: {error:#}");
            broken.push(*name);
        }
    }
    anyhow::ensure!(broken.is_empty(), "broken: {}", broken.join(", "));
    Ok(())
}

type Part = fn(&mut Ground) -> anyhow::Result<()>;

/// A server and a folder.
struct Ground {
    scale: Scale,
    folder: tempfile::TempDir,
    plan: ServerPlan,
    server: Option<Server>,
    fingerprint: [u8; 32],
}

impl Ground {
    fn open(scale: Scale) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut plan = ServerPlan::new(folder.path());
        plan.settings = RATES.to_owned();
        let server = plan.start()?;
        let fingerprint = server.fingerprint();
        Ok(Self {
            scale,
            folder,
            plan,
            server: Some(server),
            fingerprint,
        })
    }

    /// The server without a proxy.
    fn target(&self) -> Target {
        Target {
            address: self.plan.listen,
            fingerprint: self.fingerprint,
        }
    }

    /// The server behind a proxy.
    fn through(&self, proxy: &crate::proxy::Proxy) -> Target {
        Target {
            address: proxy.address(),
            fingerprint: self.fingerprint,
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?)
}
