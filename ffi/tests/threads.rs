//! Every function from any thread at any time, the destroy included: each answer is a status that its page names, each client is
//! destroyed once, and no destroy waits longer than it may.
#![expect(unsafe_code, reason = "calls the C interface as C does")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    ptr,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fireside::{
    client::{
        fireside_client_close, fireside_client_connect, fireside_client_create,
        fireside_client_destroy, fireside_client_events, fireside_client_stats,
        fireside_client_tick,
    },
    message::fireside_message_send_to_user,
    status::{
        FIRESIDE_STATUS_BUSY, FIRESIDE_STATUS_CANCELLED, FIRESIDE_STATUS_IN_USE,
        FIRESIDE_STATUS_INVALID_HANDLE, FIRESIDE_STATUS_OK,
    },
    types::{fireside_client, fireside_config, fireside_events, fireside_stats, fireside_str},
};

const CLIENTS: usize = 60;
const THREADS: usize = 4;
/// 250 ms by the law, and what a busy machine adds to any wake-up.
const DESTROY_MAX: Duration = Duration::from_millis(250 + 1_000);

fn view(text: &str) -> fireside_str {
    fireside_str {
        data: text.as_ptr().cast(),
        len: text.len(),
    }
}

fn create() -> fireside_client {
    // SAFETY: integers and pointers, for which zero is a value.
    let mut config: fireside_config = unsafe { std::mem::zeroed() };
    config.struct_size = size_of::<fireside_config>() as u32;
    config.server = view("127.0.0.1:9");
    let mut client = 0;
    // SAFETY: both pointers are to locals of their types.
    let status = unsafe { fireside_client_create(&raw const config, &raw mut client) };
    assert_eq!(status, FIRESIDE_STATUS_OK);
    client
}

fn one_of(status: i32, allowed: &[i32]) {
    assert!(allowed.contains(&status), "{status}");
}

fn everything(client: fireside_client) {
    let call = [
        FIRESIDE_STATUS_OK,
        FIRESIDE_STATUS_INVALID_HANDLE,
        FIRESIDE_STATUS_BUSY,
        FIRESIDE_STATUS_CANCELLED,
    ];
    let look = [
        FIRESIDE_STATUS_OK,
        FIRESIDE_STATUS_INVALID_HANDLE,
        FIRESIDE_STATUS_IN_USE,
    ];
    // SAFETY: null or pointers to locals of their types; zero is a value of both structs.
    unsafe {
        let mut events: fireside_events = std::mem::zeroed();
        let mut stats: fireside_stats = std::mem::zeroed();
        events.struct_size = size_of::<fireside_events>() as u32;
        stats.struct_size = size_of::<fireside_stats>() as u32;
        one_of(fireside_client_connect(client, ptr::null_mut()), &call);
        let (bob, text) = (view("bob"), view("hello"));
        one_of(
            fireside_message_send_to_user(client, bob, text, ptr::null_mut()),
            &call,
        );
        one_of(
            fireside_client_tick(client, ptr::null(), ptr::null_mut()),
            &look,
        );
        one_of(
            fireside_client_events(client, &raw mut events, ptr::null_mut()),
            &look,
        );
        one_of(fireside_client_stats(client, &raw mut stats), &look);
    }
}

#[test]
fn any_thread_any_time() {
    let clients: Vec<_> = (0..CLIENTS).map(|_| create()).collect();
    let destroyed: Vec<_> = clients.iter().map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (clients, destroyed, start) = (&clients, &destroyed, &start);
            scope.spawn(move || {
                start.wait();
                for (n, client) in clients.iter().enumerate() {
                    everything(*client);
                    if (n + thread) % 3 == 0 {
                        let look = [FIRESIDE_STATUS_OK, FIRESIDE_STATUS_INVALID_HANDLE];
                        one_of(fireside_client_close(*client), &look);
                    }
                    let begin = Instant::now();
                    let status = fireside_client_destroy(*client);
                    assert!(begin.elapsed() < DESTROY_MAX, "{:?}", begin.elapsed());
                    one_of(
                        status,
                        &[FIRESIDE_STATUS_OK, FIRESIDE_STATUS_INVALID_HANDLE],
                    );
                    if status == FIRESIDE_STATUS_OK {
                        destroyed.get(n).unwrap().fetch_add(1, Ordering::SeqCst);
                    }
                    everything(*client);
                }
            });
        }
    });
    for (n, times) in destroyed.iter().enumerate() {
        assert_eq!(times.load(Ordering::SeqCst), 1, "client {n}");
    }
}
