//! What the suite drives a store through.

use std::{sync::Arc, time::Duration};

use crossbeam_channel::{Receiver, unbounded};
use fireside_server_core::storage::{Op, Reply, StoreError, Ticket};

use crate::{Sink, Store};

/// A result on its way.
type Answer = (Ticket, Result<Reply, StoreError>);

/// A result takes longer only if the store is stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A store with data of its own, empty at first.
pub trait Harness {
    /// Submits operations one right after the other and gives their results in the same order. The results of writes must come in the
    /// order of submission; of reads in any.
    fn run(&mut self, ops: Vec<Op>) -> Vec<Result<Reply, StoreError>>;

    /// Stops the store and starts it again on the same data.
    fn reopen(&mut self);
}

/// Drives any [`Store`].
pub struct StoreHarness {
    open: Box<dyn FnMut(Sink) -> Box<dyn Store>>,
    store: Option<Box<dyn Store>>,
    answers: Receiver<Answer>,
    next: Ticket,
}

impl std::fmt::Debug for StoreHarness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreHarness").finish_non_exhaustive()
    }
}

impl StoreHarness {
    /// Opens the store with `open`, which is called again for every restart and must find the same data.
    #[must_use]
    pub fn new(mut open: impl FnMut(Sink) -> Box<dyn Store> + 'static) -> Self {
        let (sink, answers) = sink();
        let store = open(sink);
        Self {
            open: Box::new(open),
            store: Some(store),
            answers,
            next: 1,
        }
    }
}

impl Drop for StoreHarness {
    fn drop(&mut self) {
        if let Some(store) = &self.store {
            store.close();
        }
    }
}

impl Harness for StoreHarness {
    fn run(&mut self, ops: Vec<Op>) -> Vec<Result<Reply, StoreError>> {
        let first = self.next;
        let writes: Vec<bool> = ops.iter().map(Op::is_write).collect();
        let store = self.store.as_ref().expect("open between calls");
        for op in ops {
            store.submit(self.next, op);
            self.next += 1;
        }
        let mut results: Vec<Option<Result<Reply, StoreError>>> = vec![None; writes.len()];
        let mut last_write = None;
        for _ in 0..results.len() {
            let (ticket, result) = self
                .answers
                .recv_timeout(ANSWER_TIMEOUT)
                .expect("a result of every operation");
            let index = usize::try_from(ticket - first).expect("a ticket of this run");
            if writes[index] {
                assert!(
                    last_write < Some(index),
                    "a write was answered before an earlier one"
                );
                last_write = Some(index);
            }
            let before = results[index].replace(result);
            assert_eq!(before, None, "an operation was answered twice");
        }
        results.into_iter().flatten().collect()
    }

    fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
        let (sink, answers) = sink();
        self.answers = answers;
        self.store = Some((self.open)(sink));
    }
}

fn sink() -> (Sink, Receiver<Answer>) {
    let (sender, receiver) = unbounded();
    let sink: Sink = Arc::new(move |answers: Vec<_>| {
        for answer in answers {
            // After the harness is gone nobody listens.
            let _ = sender.send(answer);
        }
    });
    (sink, receiver)
}
