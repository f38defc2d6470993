//! A client as the C side holds it: the driver's handle, the batch of the last tick, the searches under way.

use std::{
    cell::Cell,
    ffi::c_void,
    sync::{
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::TryRecvError,
    },
    time::Duration,
};

use ::fireside_client::{Client, Found, Receiver, StoreError, lock::Mutex};
use fireside_protocol::{Code, ConversationId};

use crate::{
    batch::Batch,
    status::{self, FIRESIDE_STATUS_CANCELLED, FIRESIDE_STATUS_IN_WAKE},
    types::fireside_status,
};

/// Searches without a delivered answer: each may hold 200 messages.
const SEARCHES_MAX: usize = 16;
/// Requests of searches are numbered apart from the client's calls.
const SEARCH_BIT: u64 = 1 << 63;

type Answer = Receiver<Result<Vec<Found>, StoreError>>;

/// What stands behind a handle.
pub(crate) struct Host {
    pub(crate) client: Client,
    /// Something panicked while it held this client: nothing but destroy is let through.
    pub(crate) poisoned: AtomicBool,
    /// What the last tick delivered.
    pub(crate) batch: Mutex<Batch>,
    searches: Mutex<Vec<(u64, Answer)>>,
    /// How many there are or may be, so that an idle tick takes no lock.
    searching: AtomicUsize,
    next_search: AtomicU64,
}

impl Host {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            poisoned: AtomicBool::new(false),
            batch: Mutex::new(Batch::default()),
            searches: Mutex::new(Vec::new()),
            searching: AtomicUsize::new(0),
            next_search: AtomicU64::new(1),
        }
    }

    /// Begins a search; its answer comes with a tick.
    pub(crate) fn search(
        &self,
        text: &str,
        conversation: Option<ConversationId>,
        limit: u32,
    ) -> Result<u64, fireside_status> {
        let mut searches = self.searches.lock();
        if searches.len() >= SEARCHES_MAX {
            return Err(status::of(Code::Busy));
        }
        // Before the answer can wake anybody: a tick that it causes must look here, and waits for the lock.
        self.searching.store(searches.len() + 1, Ordering::SeqCst);
        let asked = self.client.search(text, conversation, limit);
        let asked = asked.map_err(|error| status::of(error.code)).map(|answer| {
            let request = SEARCH_BIT | self.next_search.fetch_add(1, Ordering::Relaxed);
            searches.push((request, answer));
            request
        });
        self.searching.store(searches.len(), Ordering::SeqCst);
        asked
    }

    /// Searches whose answer was not ticked yet.
    pub(crate) fn searching(&self) -> usize {
        self.searching.load(Ordering::SeqCst)
    }

    /// Puts the answers that are there into the batch.
    pub(crate) fn take_answers(&self, batch: &mut Batch) {
        if self.searching() == 0 {
            return;
        }
        let mut searches = self.searches.lock();
        searches.retain(|(request, answer)| match answer.try_recv() {
            Ok(Ok(found)) => {
                batch.found(*request, found);
                false
            }
            Ok(Err(error)) => {
                let status = status::of(Code::StorageUnavailable);
                batch.search_failed(*request, status, error.reason);
                false
            }
            Err(TryRecvError::Empty) => true,
            // The client was shut down.
            Err(TryRecvError::Disconnected) => {
                batch.search_failed(
                    *request,
                    FIRESIDE_STATUS_CANCELLED,
                    Code::Cancelled.text().to_owned(),
                );
                false
            }
        });
        self.searching.store(searches.len(), Ordering::SeqCst);
    }

    /// Ends the client; waits for its thread at most that long.
    pub(crate) fn end(&self, wait: Duration) {
        self.client.shutdown(wait);
    }
}

thread_local! {
    static IN_WAKE: Cell<bool> = const { Cell::new(false) };
}

/// A callback of the game with its data.
pub(crate) struct WakeCall {
    pub(crate) call: unsafe extern "C" fn(user_data: *mut c_void),
    pub(crate) user_data: *mut c_void,
}

// SAFETY: the pointer is not looked at here, only handed back; fireside_client_set_wake asks for data that any thread may use.
unsafe impl Send for WakeCall {}

impl WakeCall {
    pub(crate) fn run(&self) {
        IN_WAKE.set(true);
        // SAFETY: the caller of fireside_client_set_wake promised a function that can be called with this data until it is replaced
        // or the client is destroyed; both wait for a call under way.
        unsafe { (self.call)(self.user_data) };
        IN_WAKE.set(false);
    }
}

/// Fails within a wake callback, where the client holds a lock that the call would wait for.
pub(crate) fn not_in_wake() -> Result<(), fireside_status> {
    if IN_WAKE.get() {
        Err(FIRESIDE_STATUS_IN_WAKE)
    } else {
        Ok(())
    }
}
