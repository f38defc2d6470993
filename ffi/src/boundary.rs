//! The line that every call crosses: handles are looked up, panics are caught, the result becomes a status.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
};

use ::fireside_client::core::Command;

use crate::{
    handles,
    host::{Host, not_in_wake},
    input,
    status::{self, FIRESIDE_STATUS_OK, FIRESIDE_STATUS_PANIC, FIRESIDE_STATUS_POISONED},
    types::{fireside_client, fireside_status},
};

/// A status other than OK says why a call did nothing.
pub(crate) type Outcome<T> = Result<T, fireside_status>;

/// A call without a client.
pub(crate) fn call(run: impl FnOnce() -> Outcome<()>) -> fireside_status {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(outcome) => outcome.err().unwrap_or(FIRESIDE_STATUS_OK),
        Err(_) => FIRESIDE_STATUS_PANIC,
    }
}

/// A call on a client. A panic inside poisons it: what it left half done is not touched again.
pub(crate) fn on(
    client: fireside_client,
    mut run: impl FnMut(&Arc<Host>) -> Outcome<()>,
) -> fireside_status {
    on_client(client, &mut run)
}

/// Not generic, as this is most of each of the functions' code; `run` is called once at most.
fn on_client(
    client: fireside_client,
    run: &mut dyn FnMut(&Arc<Host>) -> Outcome<()>,
) -> fireside_status {
    call(|| {
        let host = handles::get(client)?;
        if host.poisoned.load(Ordering::SeqCst) {
            return Err(FIRESIDE_STATUS_POISONED);
        }
        not_in_wake()?;
        catch_unwind(AssertUnwindSafe(|| run(&host))).unwrap_or_else(|_| {
            host.poisoned.store(true, Ordering::SeqCst);
            Err(FIRESIDE_STATUS_PANIC)
        })
    })
}

/// A call that gives the client a command; `request` (may be null) gets its number.
///
/// # Safety
/// `request` is null or can be written to.
pub(crate) unsafe fn command(
    client: fireside_client,
    request: *mut u64,
    mut make: impl FnMut() -> Outcome<Command>,
) -> fireside_status {
    // SAFETY: the same as the caller's.
    unsafe { give_command(client, request, &mut make) }
}

/// As [`command`], not generic.
///
/// # Safety
/// `request` is null or can be written to.
unsafe fn give_command(
    client: fireside_client,
    request: *mut u64,
    make: &mut dyn FnMut() -> Outcome<Command>,
) -> fireside_status {
    on_client(client, &mut |host| {
        // Before anything happens: a call that can not tell its number must not be made.
        input::check_out(request)?;
        let number = host
            .client
            .command(make()?)
            .map_err(|error| status::of(error.code))?;
        // SAFETY: checked above to be null or aligned; the caller says that it can be written to.
        unsafe { input::write(request, number) };
        Ok(())
    })
}
