//! Only in test builds: what no shipped library has.

use crate::{
    boundary::on,
    types::{fireside_client, fireside_status},
};

/// Panics inside a call on this client.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_test_panic(client: fireside_client) -> fireside_status {
    on(client, |_| panic!("a test asked for this panic"))
}

/// Panics inside a call while the batch is held: not even a lock is left behind.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_test_panic_in_tick(client: fireside_client) -> fireside_status {
    on(client, |host| {
        let _batch = host.batch.lock();
        panic!("a test asked for this panic, too")
    })
}
