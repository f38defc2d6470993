//! Stands where the disk would in a build without the feature `cache`: each operation fails, so that the session goes on in memory and
//! says why.

use std::path::Path;

use fireside_client_core::storage::{StoreError, StoreOp, Ticket};
use tokio::sync::mpsc;

use super::Stored;
use crate::{channel::Receiver, search::SearchQuery};

/// For the thread, as with a disk.
pub(crate) enum Job {
    Op(Ticket, StoreOp),
    Search(SearchQuery),
    Stop,
}

/// Refuses jobs until it is told to stop.
pub(super) fn run(_: &Path, jobs: &Receiver<Job>, results: &mpsc::UnboundedSender<Stored>) {
    let refused = || StoreError {
        reason: "this build has no cache on disk; build it with the feature `cache`".to_owned(),
    };
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Op(ticket, op) => {
                drop(op);
                let result = Err(refused());
                if results.send(Stored { ticket, result }).is_err() {
                    return;
                }
            }
            Job::Search(query) => query.answer(Err(refused())),
            Job::Stop => return,
        }
    }
}
