//! Clients: made, connected, ticked, destroyed.

use std::{ffi::c_void, time::Duration};

use ::fireside_client::{Client, ClientConfig, Trust, core::Command};
use fireside_protocol::DeviceId;

use crate::{
    boundary::{Outcome, call, command, on},
    constants::{FIRESIDE_CONFIG_NO_EARLY_DATA, FIRESIDE_TRUST_PINNED, FIRESIDE_TRUST_ROOTS},
    handles,
    host::{Host, WakeCall, not_in_wake},
    input,
    status::{self, FIRESIDE_STATUS_IN_USE, FIRESIDE_STATUS_INVALID_ARGUMENT},
    types::{
        fireside_budget, fireside_client, fireside_config, fireside_events, fireside_stats,
        fireside_status, fireside_str, fireside_wake,
    },
};

/// The one wait of a game, in ms.
const DESTROY_MS_MAX: u64 = 250;
/// The budget of a caller who gives none.
const EVENTS_DEFAULT: u32 = 1_024;
const TIME_US_DEFAULT: u32 = 500;

/// Starts a client with a thread of its own. It shows what its cache has, and connects on fireside_client_connect.
///
/// Threads: any. Ownership: config and its texts are read during the call; the client is the caller's until fireside_client_destroy.
/// Errors: INVALID_ARGUMENT, SERVER_INVALID, SERVER_NAME_INVALID, USER_INVALID, USER_NEEDED, TLS_UNAVAILABLE, THREAD_UNAVAILABLE,
/// TOO_MANY_CLIENTS.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_create(
    config: *const fireside_config,
    client: *mut fireside_client,
) -> fireside_status {
    call(|| {
        not_in_wake()?;
        input::need_out(client)?;
        // SAFETY: the caller's struct and texts, valid for the call.
        let config = unsafe { settings(&input::read_sized(config)?) }?;
        let started = Client::start(config).map_err(|error| status::of_start(&error))?;
        let handle = handles::insert(Host::new(started))?;
        // SAFETY: checked above to be neither null nor misaligned; the caller says that it can be written to.
        unsafe { input::write(client, handle) };
        Ok(())
    })
}

/// # Safety
/// The texts in `config` are valid for the call.
unsafe fn settings(config: &fireside_config) -> Outcome<ClientConfig> {
    let trust = match config.trust {
        FIRESIDE_TRUST_ROOTS => Trust::Roots,
        FIRESIDE_TRUST_PINNED => Trust::Pinned(config.fingerprint),
        _ => return Err(FIRESIDE_STATUS_INVALID_ARGUMENT),
    };
    // SAFETY: the caller's word.
    let read = |text| unsafe { input::text(text) };
    let mut settings = ClientConfig::new(read(config.server)?, trust, read(config.token)?);
    settings.server_name = read(config.server_name)?.to_owned();
    // SAFETY: the caller's word.
    settings.user = unsafe { input::user_or_none(config.user) }?;
    let folder = read(config.folder)?;
    settings.folder = (!folder.is_empty()).then(|| folder.into());
    let agent = read(config.agent)?;
    if !agent.is_empty() {
        agent.clone_into(&mut settings.agent);
    }
    let platform = read(config.platform)?;
    if !platform.is_empty() {
        platform.clone_into(&mut settings.platform);
    }
    let device = config.device.bytes;
    settings.device = (device != [0; 16]).then_some(DeviceId(device));
    if config.reconnect_delay_ms_min != 0 {
        settings.reconnect_delay_ms_min = config.reconnect_delay_ms_min.into();
    }
    if config.reconnect_delay_ms_max != 0 {
        settings.reconnect_delay_ms_max = config.reconnect_delay_ms_max.into();
    }
    settings.early_data = config.flags & FIRESIDE_CONFIG_NO_EARLY_DATA == 0;
    Ok(settings)
}

/// Ends the client and takes its handle back; the outbox in its folder is kept. The one call that may wait: at most 250 ms, for the
/// client's thread. After it no wake callback runs, and every pointer of its last tick is dead.
///
/// A call whose completion was not ticked counts as CANCELLED. Who wants these events calls fireside_client_close first and ticks
/// until nothing is left.
///
/// Threads: any, but not from the wake callback. Errors: INVALID_HANDLE (the second time too), IN_WAKE.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_client_destroy(client: fireside_client) -> fireside_status {
    call(|| {
        not_in_wake()?;
        let host = handles::remove(client)?;
        host.end(Duration::from_millis(DESTROY_MS_MAX));
        // A thread that is late must not call back any more; this waits for a callback under way, which may not block.
        host.client.set_wake(|| {});
        Ok(())
    })
}

/// Begins the end without waiting: from now on calls are refused with CANCELLED, and every call that is pending completes, most with
/// CANCELLED, in the next ticks. The handle stays until fireside_client_destroy.
///
/// Threads: any. Errors: INVALID_HANDLE, POISONED, IN_WAKE.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_client_close(client: fireside_client) -> fireside_status {
    on(client, |host| {
        host.end(Duration::ZERO);
        Ok(())
    })
}

/// Logs in and stays connected, with retries, until fireside_client_disconnect. Completes with DONE.
///
/// Threads: any. Ownership: request (may be NULL) is the caller's. Errors: INVALID_HANDLE, INVALID_ARGUMENT, BUSY (1,024 calls are
/// pending), CANCELLED (the client was closed), POISONED. All calls that give a request number have these.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_connect(
    client: fireside_client,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::Connect)) }
}

/// Goes offline; the outbox is kept. Completes with DONE.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_disconnect(
    client: fireside_client,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::Disconnect)) }
}

/// Gives a (new) token, without a reconnect. Also ends a refusal for an expired one. Completes with DONE.
///
/// Threads: any. Ownership: token is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_set_token(
    client: fireside_client,
    token: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's text and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::SetToken(input::text(token)?.to_owned()))
        })
    }
}

/// Whether chat is on screen (1) or not (0): decides how soon a dead server is noticed. Completes with DONE.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_set_visible(
    client: fireside_client,
    visible: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::SetVisible(visible != 0))) }
}

/// Loads everything missed into the cache in the background (1), not just what is looked at (0). Completes with DONE.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_set_background_fill(
    client: fireside_client,
    on: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::SetBackgroundFill(on != 0))) }
}

/// Flushes and stops keep-alives: the console or phone suspends. Completes with DONE.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_suspend(
    client: fireside_client,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::Suspend)) }
}

/// Probes the connection at once, after a suspend. Completes with DONE.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_resume(
    client: fireside_client,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's out pointer.
    unsafe { command(client, request, || Ok(Command::Resume)) }
}

/// Takes in what happened, most important first, within a budget (NULL: 1,024 events and 500 microseconds); fireside_client_events
/// then shows it. Call it once a frame. Never blocks; allocates nothing when nothing happened.
///
/// The budget counts events of the client: each row of a reset and each other change of a view counts as one. The event that
/// crosses it is delivered whole, so that a tick always gets on. left (may be NULL) gets how many wait for the next tick.
///
/// Threads: one at a time per client, the same as fireside_client_events. Ownership: ends the life of everything that the previous
/// tick gave. Errors: INVALID_HANDLE, INVALID_ARGUMENT, IN_USE, POISONED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_tick(
    client: fireside_client,
    budget: *const fireside_budget,
    left: *mut usize,
) -> fireside_status {
    on(client, |host| {
        input::check_out(left)?;
        let budget = if budget.is_null() {
            fireside_budget::default()
        } else {
            // SAFETY: the caller's struct.
            unsafe { input::read_sized(budget) }?
        };
        let or = |given, default| if given == 0 { default } else { given };
        let events = or(budget.events_max, EVENTS_DEFAULT) as usize;
        let time = Duration::from_micros(or(budget.time_us_max, TIME_US_DEFAULT).into());
        let mut batch = host.batch.try_lock().ok_or(FIRESIDE_STATUS_IN_USE)?;
        batch.clear();
        let tick = host
            .client
            .read(events, time, &mut |event| batch.push(event));
        host.take_answers(&mut batch);
        // SAFETY: checked above to be null or aligned; the caller says that it can be written to.
        unsafe { input::write(left, tick.left) };
        Ok(())
    })
}

/// Shows what the last tick delivered. events.struct_size must be set; count (may be NULL) gets events.event_count.
///
/// Threads: the one that ticks. Ownership: the struct is the caller's; what it points to is the library's and lives until this
/// client's next tick, or its destroy. Errors: INVALID_HANDLE, INVALID_ARGUMENT, IN_USE, POISONED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_events(
    client: fireside_client,
    events: *mut fireside_events,
    count: *mut usize,
) -> fireside_status {
    on(client, |host| {
        input::check_out(count)?;
        let batch = host.batch.try_lock().ok_or(FIRESIDE_STATUS_IN_USE)?;
        // SAFETY: the caller's struct, of the size that it says.
        unsafe { input::write_sized(events, &batch.view()) }?;
        // SAFETY: checked above to be null or aligned; the caller says that it can be written to.
        unsafe { input::write(count, batch.len()) };
        Ok(())
    })
}

/// Calls wake with user_data when something can be ticked: once, until the next tick. NULL: no more calls. For programs that sleep
/// between frames; a game that ticks each frame needs none.
///
/// The callback comes from a thread of the library, or from within fireside_client_close and fireside_client_destroy. It must not
/// block, and any call of this library from it is refused with IN_WAKE.
///
/// Threads: any. Ownership: user_data is the caller's, must be usable from any thread, and must live until it is replaced or the
/// client is destroyed; both wait for a callback under way. Errors: INVALID_HANDLE, POISONED, IN_WAKE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_set_wake(
    client: fireside_client,
    wake: fireside_wake,
    user_data: *mut c_void,
) -> fireside_status {
    on(client, |host| {
        match wake {
            Some(call) => {
                let call = WakeCall { call, user_data };
                host.client.set_wake(move || call.run());
            }
            None => host.client.set_wake(|| {}),
        }
        Ok(())
    })
}

/// Numbers for an overlay. stats.struct_size must be set.
///
/// Threads: any. Ownership: stats is the caller's. Errors: INVALID_HANDLE, INVALID_ARGUMENT, POISONED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_stats(
    client: fireside_client,
    stats: *mut fireside_stats,
) -> fireside_status {
    on(client, |host| {
        let now = host.client.stats();
        let counters = now.counters;
        let flat = fireside_stats {
            struct_size: size_of::<fireside_stats>() as u32,
            reserved: 0,
            rtt_us: now.rtt_us,
            bytes_sent: now.bytes_sent,
            bytes_received: now.bytes_received,
            pending_calls: (now.pending_calls + host.searching()) as u64,
            waiting_events: now.waiting_events as u64,
            waiting_store: now.waiting_store as u64,
            certificates_checked: now.certificates_checked,
            entries: counters.entries,
            skips: counters.skips,
            heads: counters.heads,
            holes_repaired: counters.holes_repaired,
            resets: counters.resets,
            page_live_overlaps: counters.page_live_overlaps,
            resends: counters.resends,
            reconnects: counters.reconnects,
            tokens_renewed: counters.tokens_renewed,
            retry_in_order: counters.retry_in_order,
            frames_bad: counters.frames_bad,
        };
        // SAFETY: the caller's struct, of the size that it says.
        unsafe { input::write_sized(stats, &flat) }
    })
}
