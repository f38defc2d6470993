//! What the library says of itself.

use std::ffi::{CStr, c_char};

use crate::{
    boundary::call,
    constants::FIRESIDE_ABI_VERSION,
    input,
    types::{fireside_id, fireside_status, fireside_str},
};
use fireside_protocol::ConversationId;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// The library's FIRESIDE_ABI_VERSION. Compare it with the header's before anything else; within one version, functions, constants and
/// fields are only added.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_abi_version() -> u32 {
    FIRESIDE_ABI_VERSION
}

/// The library's version for people, such as "0.1.0".
///
/// Threads: any. Ownership: static text, NUL-terminated. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_version_string() -> *const c_char {
    VERSION.as_ptr()
}

/// The direct conversation of two users, the same whichever comes first. It needs no server: a client that knows the peer's id can
/// open the conversation before the first message.
///
/// Threads: any. Ownership: the texts are read during the call; conversation is the caller's.
/// Errors: INVALID_ARGUMENT, USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_direct(
    one: fireside_str,
    other: fireside_str,
    conversation: *mut fireside_id,
) -> fireside_status {
    call(|| {
        input::need_out(conversation)?;
        // SAFETY: the caller's texts, valid for the call.
        let (one, other) = unsafe { (input::user(one)?, input::user(other)?) };
        let bytes = ConversationId::direct(&one, &other).0;
        // SAFETY: checked above to be neither null nor misaligned; the caller says that it can be written to.
        unsafe { input::write(conversation, fireside_id { bytes }) };
        Ok(())
    })
}
