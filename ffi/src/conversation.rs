//! Conversations: on screen, read, made, joined, left.

use ::fireside_client::core::Command;

use crate::{
    boundary::command,
    input,
    types::{fireside_client, fireside_id, fireside_status, fireside_str},
};

/// Puts a conversation on screen, at most 16 at once: its timeline comes as a reset, then as changes. Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_open(
    client: fireside_client,
    conversation: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Open {
                conversation: input::conversation(conversation)?,
            })
        })
    }
}

/// Takes a conversation off the screen. Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_close(
    client: fireside_client,
    conversation: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Close {
                conversation: input::conversation(conversation)?,
            })
        })
    }
}

/// Loads older messages (at most 200) into an open timeline. Completes with LOADED.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_load_older(
    client: fireside_client,
    conversation: *const fireside_id,
    count: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::LoadOlder {
                conversation: input::conversation(conversation)?,
                count,
            })
        })
    }
}

/// Read up to a number; 0: to the end of what is known. Kept in the outbox. Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_mark_read(
    client: fireside_client,
    conversation: *const fireside_id,
    upto: u64,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::MarkRead {
                conversation: input::conversation(conversation)?,
                upto,
            })
        })
    }
}

/// The user types (1; call it at each key, it is debounced) or stopped (0). Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_set_typing(
    client: fireside_client,
    conversation: *const fireside_id,
    on: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Typing {
                conversation: input::conversation(conversation)?,
                on: on != 0,
            })
        })
    }
}

/// Makes a group and invites users (at most 100) to it. history_for_joiners: how many of the messages before them joiners see; 0 none,
/// FIRESIDE_HISTORY_ALL all. Completes with CREATED.
///
/// Threads: any. Ownership: name and users are read during the call. Errors: as fireside_client_connect; USER_INVALID, TOO_MANY_NAMED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_create_group(
    client: fireside_client,
    name: fireside_str,
    users: *const fireside_str,
    user_count: usize,
    history_for_joiners: u64,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::CreateGroup {
                name: input::text(name)?.to_owned(),
                invite: input::users(users, user_count)?,
                history_for_joiners,
            })
        })
    }
}

/// Invites users, at most 100. Completes with DONE.
///
/// Threads: any. Ownership: conversation and users are read during the call. Errors: as fireside_client_connect; USER_INVALID, TOO_MANY_NAMED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_invite(
    client: fireside_client,
    conversation: *const fireside_id,
    users: *const fireside_str,
    user_count: usize,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Invite {
                conversation: input::conversation(conversation)?,
                users: input::users(users, user_count)?,
            })
        })
    }
}

/// Accepts an invitation. Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_join(
    client: fireside_client,
    conversation: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Join {
                conversation: input::conversation(conversation)?,
            })
        })
    }
}

/// Leaves a conversation, or declines an invitation. Completes with DONE.
///
/// Threads: any. Ownership: conversation is read during the call. Errors: as fireside_client_connect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_leave(
    client: fireside_client,
    conversation: *const fireside_id,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Leave {
                conversation: input::conversation(conversation)?,
            })
        })
    }
}

/// Members in pages of at most 200, by user id, after this one (empty: from the first). Completes with MEMBERS.
///
/// Threads: any. Ownership: conversation and after are read during the call. Errors: as fireside_client_connect; USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_members(
    client: fireside_client,
    conversation: *const fireside_id,
    after: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::Members {
                conversation: input::conversation(conversation)?,
                after: input::user_or_none(after)?,
            })
        })
    }
}

/// Removes a member of lower role. Completes with DONE.
///
/// Threads: any. Ownership: conversation and user are read during the call. Errors: as fireside_client_connect; USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_remove_member(
    client: fireside_client,
    conversation: *const fireside_id,
    user: fireside_str,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::RemoveMember {
                conversation: input::conversation(conversation)?,
                user: input::user(user)?,
            })
        })
    }
}

/// Gives a member a role, FIRESIDE_ROLE_*. An owner who makes another the owner becomes admin. Completes with DONE.
///
/// Threads: any. Ownership: conversation and user are read during the call. Errors: as fireside_client_connect; USER_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fireside_conversation_set_role(
    client: fireside_client,
    conversation: *const fireside_id,
    user: fireside_str,
    role: u32,
    request: *mut u64,
) -> fireside_status {
    // SAFETY: the caller's ids, texts and out pointer, valid for the call.
    unsafe {
        command(client, request, || {
            Ok(Command::SetRole {
                conversation: input::conversation(conversation)?,
                user: input::user(user)?,
                role: input::role(role)?,
            })
        })
    }
}
