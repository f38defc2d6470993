//! Messages: sent, changed, taken back, found.

use ::fireside_client::core::{Command, command::Recipient};

use crate::{
    boundary::{command, on},
    input,
    types::{fireside_client, fireside_id, fireside_message_ref, fireside_status, fireside_str},
};

/// Sends a text (1 to 4,000 characters) to a conversation. It is shown at once, kept in the outbox and sent when there is a connection.
/// Completes with SENT when it is on the server's disk.
///
/// Threads: any. Ownership: conversation and text are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_send(
    client: fireside_client,
    conversation: *const fireside_id,
    text: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id, text and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::SendText {
                to: Recipient::Conversation(input::conversation(conversation)?),
                text: input::text(text)?.to_owned(),
            })
        })
    }
}

/// Sends a text to a user, in the direct conversation that the first message makes. As fireside_message_send.
///
/// Threads: any. Ownership: user and text are read during the call. Errors: as fireside_client_connect; USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_send_to_user(
    client: fireside_client,
    user: fireside_str,
    text: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::SendText {
                to: Recipient::User(input::user(user)?),
                text: input::text(text)?.to_owned(),
            })
        })
    }
}

/// Gives an own message a new text. Kept in the outbox. Completes with SENT.
///
/// Threads: any. Ownership: conversation, message and text are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_edit(
    client: fireside_client,
    conversation: *const fireside_id,
    message: *const fireside_message_ref,
    text: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id, reference, text and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::EditText {
                conversation: input::conversation(conversation)?,
                message: input::message(message)?,
                text: input::text(text)?.to_owned(),
            })
        })
    }
}

/// Takes an own message (as an admin, any) back for all. Kept in the outbox; a message that was never tried just goes.
///
/// Threads: any. Ownership: conversation and message are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_recall(
    client: fireside_client,
    conversation: *const fireside_id,
    message: *const fireside_message_ref,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id, reference and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Recall {
                conversation: input::conversation(conversation)?,
                message: input::message(message)?,
            })
        })
    }
}

/// Reacts to a message with a key (an emoji, or an id that the game made: 1 to 64 bytes without white space, control and direction
/// characters), or takes the reaction back. It is shown at once and kept in the outbox. Completes with DONE; another key with
/// ARGUMENT_INVALID.
///
/// Threads: any. Ownership: conversation, message and key are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_react(
    client: fireside_client,
    conversation: *const fireside_id,
    message: *const fireside_message_ref,
    key: fireside_str,
    on: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id, reference, key and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::React {
                conversation: input::conversation(conversation)?,
                message: input::message(message)?,
                key: input::text(key)?.to_owned(),
                on: on != 0,
            })
        })
    }
}

/// Pins a message for everybody, or unpins it: both users of a direct conversation may, in a group admins and owners. It is shown at
/// once and kept in the outbox. Completes with DONE.
///
/// Threads: any. Ownership: conversation and message are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_pin(
    client: fireside_client,
    conversation: *const fireside_id,
    message: *const fireside_message_ref,
    on: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id, reference and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Pin {
                conversation: input::conversation(conversation)?,
                message: input::message(message)?,
                on: on != 0,
            })
        })
    }
}

/// Asks for the pinned messages of a conversation, newest first. before: only those with a smaller number; 0: all. Completes with PINS.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_pins(
    client: fireside_client,
    conversation: *const fireside_id,
    before: u64,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Pins {
                conversation: input::conversation(conversation)?,
                before,
            })
        })
    }
}

/// Tries a failed message again, as a new one at the end of the outbox. Completes as fireside_message_send.
///
/// Threads: any. Ownership: nonce (of the failed row) is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_retry(
    client: fireside_client,
    nonce: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Retry {
                nonce: input::nonce(nonce)?,
            })
        })
    }
}

/// Drops a failed message. Completes with DONE.
///
/// Threads: any. Ownership: nonce (of the failed row) is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_discard(
    client: fireside_client,
    nonce: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's id and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Discard {
                nonce: input::nonce(nonce)?,
            })
        })
    }
}

/// Searches the texts that this device holds, newest first: every word (as its beginning) must be in the message. conversation may be
/// NULL: everywhere. limit: at most 200. Completes with FOUND; at most 16 searches at once.
///
/// Threads: any. Ownership: text and conversation are read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_message_search(
    client: fireside_client,
    text: fireside_str,
    conversation: *const fireside_id,
    limit: u32,
    request: *mut u64,
) -> fireside_status {
    on(client, |host| {
        input::check_out(request)?;
        // SAFETY: the caller's text and id, valid for the call.
        let (text, conversation) = unsafe {
            (
                input::text(text)?,
                input::conversation_or_none(conversation)?,
            )
        };
        let number = host.search(text, conversation, limit)?;
        // SAFETY: checked above to be null or aligned; the caller says that it can be written to.
        unsafe { input::write(request, number) };
        Ok(())
    })
}
