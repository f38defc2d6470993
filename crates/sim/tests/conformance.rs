//! The simulator's store is held to the same suite as every other.

use fireside_server_core::storage::{Op, Reply, StoreError};
use fireside_sim::server_disk::ServerDisk;
use fireside_store::conformance::{Harness, run_all};

#[derive(Default)]
struct Simulated {
    disk: ServerDisk,
}

impl Harness for Simulated {
    fn run(&mut self, ops: Vec<Op>) -> Vec<Result<Reply, StoreError>> {
        let mut results: Vec<Option<Result<Reply, StoreError>>> =
            ops.iter().map(|_| None).collect();
        let mut reads = Vec::new();
        for (place, op) in ops.into_iter().enumerate() {
            if op.is_write() {
                self.disk.submit(place as u64, op);
            } else {
                reads.push((place, op));
            }
        }
        loop {
            for (ticket, result) in self.disk.sync(0) {
                results[ticket as usize] = Some(result);
            }
            if !self.disk.begin() {
                break;
            }
        }
        for (place, op) in reads {
            results[place] = Some(self.disk.database.carry_out(op));
        }
        results
            .into_iter()
            .map(|result| result.unwrap_or(Err(StoreError::Busy)))
            .collect()
    }

    fn reopen(&mut self) {
        self.disk.crash(0, false);
    }
}

#[test]
fn the_simulated_disk_passes_the_suite() {
    let checks = run_all(&mut || Box::new(Simulated::default()));
    println!("{checks} checks");
    assert!(checks > 20, "only {checks} checks ran");
}
