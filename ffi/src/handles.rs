//! The clients of the process by handle. A handle is a place and a generation, so that a client that is gone is never mistaken for
//! the one that took its place.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    host::Host,
    status::{FIRESIDE_STATUS_INVALID_HANDLE, FIRESIDE_STATUS_TOO_MANY_CLIENTS},
    types::{fireside_client, fireside_status},
};

/// Clients of a process at once: a hall of bots; each has a thread.
pub(crate) const CLIENTS_MAX: usize = 1_024;

/// A place's lock is held for a few instructions, and written only when the client of that very place is made or destroyed.
struct Place(RwLock<Held>);

struct Held {
    /// Clients that had this place and are gone. At first all is 0, so that the library's file need not have the places in it.
    gone: u32,
    host: Option<Arc<Host>>,
}

impl Held {
    /// From 1, so that small integers are never handles; `None` after the last one: the place is used up.
    const fn generation(&self) -> Option<u32> {
        self.gone.checked_add(1)
    }
}

impl Place {
    /// Nothing is left half done by a panic: what is done with it can not.
    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

static PLACES: [Place; CLIENTS_MAX] = [const {
    Place(RwLock::new(Held {
        gone: 0,
        host: None,
    }))
}; CLIENTS_MAX];

/// Keeps a client.
pub(crate) fn insert(host: Host) -> Result<fireside_client, fireside_status> {
    let host = Arc::new(host);
    for (index, place) in PLACES.iter().enumerate() {
        if place.read().host.is_some() {
            continue;
        }
        let mut held = place.write();
        if held.host.is_none()
            && let Some(generation) = held.generation()
        {
            held.host = Some(host);
            return Ok(u64::from(generation) << 32 | index as u64);
        }
    }
    Err(FIRESIDE_STATUS_TOO_MANY_CLIENTS)
}

/// The client of a handle.
pub(crate) fn get(client: fireside_client) -> Result<Arc<Host>, fireside_status> {
    let (place, generation) = split(client)?;
    let held = place.read();
    match &held.host {
        Some(host) if held.generation() == Some(generation) => Ok(host.clone()),
        _ => Err(FIRESIDE_STATUS_INVALID_HANDLE),
    }
}

/// Takes a client out; its handle is no more.
pub(crate) fn remove(client: fireside_client) -> Result<Arc<Host>, fireside_status> {
    let (place, generation) = split(client)?;
    let mut held = place.write();
    if held.generation() != Some(generation) {
        return Err(FIRESIDE_STATUS_INVALID_HANDLE);
    }
    let host = held.host.take().ok_or(FIRESIDE_STATUS_INVALID_HANDLE)?;
    held.gone = generation;
    Ok(host)
}

fn split(client: fireside_client) -> Result<(&'static Place, u32), fireside_status> {
    let generation = (client >> 32) as u32;
    let place = PLACES.get((client & 0xffff_ffff) as usize);
    match place {
        Some(place) if generation != 0 => Ok((place, generation)),
        _ => Err(FIRESIDE_STATUS_INVALID_HANDLE),
    }
}
