//! Going down so that no client sees a failed send.
//!
//! 1. New connections are refused at once, so that clients look elsewhere or wait.
//! 2. The node tells all sessions (`draining`), refuses new commands retryably and waits for its appends.
//! 3. When all have their answers, or time is up, connections are closed with code `draining`.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use fireside_protocol::Code;
use quinn::{Endpoint, VarInt};
use tokio::{task::JoinHandle, time::Instant};

use crate::{inbox::Input, shared::Shared};

/// The last packets get this long to leave.
const LEAVE_TIME: Duration = Duration::from_millis(500);

pub(crate) async fn run(shared: &Arc<Shared>, endpoint: &Endpoint, driver: Option<JoinHandle<()>>) {
    let deadline = Instant::now() + Duration::from_millis(shared.settings.drain.deadline_ms);
    tracing::info!(
        connections = shared.counts.connections.load(Ordering::Relaxed),
        "draining"
    );
    shared.draining.store(true, Ordering::Release);
    // The node gives up a little before the whole is over.
    let node_deadline = deadline
        .checked_sub(Duration::from_secs(2))
        .unwrap_or(deadline);
    shared.inbox.push(Input::Drain {
        deadline: node_deadline,
    });
    if let Some(driver) = driver
        && tokio::time::timeout_at(deadline, driver).await.is_err()
    {
        tracing::warn!("the node did not finish in time");
    }
    let code = VarInt::from_u32(u32::from(Code::Draining.number()));
    endpoint.close(code, Code::Draining.key().as_bytes());
    // Closed connections are done quickly; those of clients that are gone are not waited for.
    let _ = tokio::time::timeout(LEAVE_TIME, endpoint.wait_idle()).await;
}
