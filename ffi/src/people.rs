//! People and their devices.

use ::fireside_client::core::Command;

use crate::{
    boundary::command,
    input,
    types::{fireside_client, fireside_id, fireside_status, fireside_str},
};

/// Blocks (1) or unblocks (0) a user. Completes with DONE.
///
/// Threads: any. Ownership: user is read during the call. Errors: as fireside_client_connect; USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_user_set_blocked(
    client: fireside_client,
    user: fireside_str,
    blocked: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Block {
                user: input::user(user)?,
                on: blocked != 0,
            })
        })
    }
}

/// Lists the user's devices. Completes with DEVICES.
///
/// Threads: any. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_client_devices(
    client: fireside_client,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe { command(client, request, || Ok(Command::Devices)) }
}

/// Signs a device of the user out. Completes with DONE.
///
/// Threads: any. Ownership: device is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_device_revoke(
    client: fireside_client,
    device: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::RevokeDevice {
                device: input::device(device)?,
            })
        })
    }
}
