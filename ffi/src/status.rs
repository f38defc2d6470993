//! One numbering of errors for the wire, the server's log and every language. 100 and above are the codes of
//! `crates/protocol/src/code.rs` (a test compares them); below 100, and 127, are answers of this library alone.

use std::ffi::{CStr, c_char};

use ::fireside_client::StartError;
use fireside_protocol::Code;

use crate::types::fireside_status;

/// Done.
pub const FIRESIDE_STATUS_OK: fireside_status = 0;
/// The handle is not (or no longer) a client of this library; create one and use it until you destroy it.
pub const FIRESIDE_STATUS_INVALID_HANDLE: fireside_status = 1;
/// A pointer is null or not aligned, a length is over its limit, a struct_size is wrong, or a text is not UTF-8.
pub const FIRESIDE_STATUS_INVALID_ARGUMENT: fireside_status = 2;
/// An earlier call on this client panicked inside; destroy it and create another.
pub const FIRESIDE_STATUS_POISONED: fireside_status = 3;
/// Tick or events of this client runs on another thread; call them from one.
pub const FIRESIDE_STATUS_IN_USE: fireside_status = 4;
/// The wake callback called the library; let it set a flag only.
pub const FIRESIDE_STATUS_IN_WAKE: fireside_status = 5;
/// The server is not an address; expected host:port, for example 127.0.0.1:7777.
pub const FIRESIDE_STATUS_SERVER_INVALID: fireside_status = 6;
/// The server name is neither a host name nor an IP address.
pub const FIRESIDE_STATUS_SERVER_NAME_INVALID: fireside_status = 7;
/// A cache folder was given without a user; set user to the token's sub.
pub const FIRESIDE_STATUS_USER_NEEDED: fireside_status = 8;
/// TLS could not be set up.
pub const FIRESIDE_STATUS_TLS_UNAVAILABLE: fireside_status = 9;
/// The machine gives no thread or no random numbers.
pub const FIRESIDE_STATUS_THREAD_UNAVAILABLE: fireside_status = 10;
/// The process has 1,024 clients; destroy some.
pub const FIRESIDE_STATUS_TOO_MANY_CLIENTS: fireside_status = 11;
/// A fault inside the library was caught; the client is poisoned: destroy it, and report this.
pub const FIRESIDE_STATUS_PANIC: fireside_status = 127;

/// The bytes are not a frame of this protocol; the connection ends.
pub const FIRESIDE_STATUS_BAD_FRAME: fireside_status = 100;
/// The frame is over the limit of its stream; send less at once.
pub const FIRESIDE_STATUS_FRAME_TOO_LARGE: fireside_status = 101;
/// The body does not fit its kind; a field is missing, doubled or of the wrong type.
pub const FIRESIDE_STATUS_BAD_BODY: fireside_status = 102;
/// This server does not know the request; update the server or do without.
pub const FIRESIDE_STATUS_UNKNOWN_REQUEST: fireside_status = 103;
/// No common protocol version; update the older side.
pub const FIRESIDE_STATUS_VERSION_UNSUPPORTED: fireside_status = 104;
/// The first frame must be hello or resume.
pub const FIRESIDE_STATUS_NOT_LOGGED_IN: fireside_status = 105;
/// Only resume and reads may be early data; send it again after the handshake. Retryable.
pub const FIRESIDE_STATUS_NOT_IN_EARLY_DATA: fireside_status = 106;
/// Too many requests wait for an answer; wait for some. Retryable.
pub const FIRESIDE_STATUS_TOO_MANY_REQUESTS: fireside_status = 107;
/// The token is malformed or its signature does not fit any key; ask the game's backend for another.
pub const FIRESIDE_STATUS_TOKEN_INVALID: fireside_status = 200;
/// The token has expired; ask the game's backend for another.
pub const FIRESIDE_STATUS_TOKEN_EXPIRED: fireside_status = 201;
/// The token is not valid yet; check the clocks. Retryable.
pub const FIRESIDE_STATUS_TOKEN_NOT_YET_VALID: fireside_status = 202;
/// The token was issued before the user's tokens were revoked; log in again.
pub const FIRESIDE_STATUS_TOKEN_REVOKED: fireside_status = 203;
/// The new token belongs to another user; log out first.
pub const FIRESIDE_STATUS_TOKEN_OTHER_USER: fireside_status = 204;
/// The user is banned from this server until the given time.
pub const FIRESIDE_STATUS_BANNED: fireside_status = 205;
/// Another device of the user took this one's place.
pub const FIRESIDE_STATUS_DEVICE_REPLACED: fireside_status = 206;
/// The server does not know this resume secret; log in with the token. Retryable.
pub const FIRESIDE_STATUS_RESUME_UNKNOWN: fireside_status = 207;
/// This device was signed out.
pub const FIRESIDE_STATUS_SESSION_REVOKED: fireside_status = 208;
/// No such conversation or message, or you may not see it.
pub const FIRESIDE_STATUS_NOT_FOUND: fireside_status = 300;
/// Your role does not allow this.
pub const FIRESIDE_STATUS_FORBIDDEN: fireside_status = 301;
/// The message was changed meanwhile; look at it again.
pub const FIRESIDE_STATUS_CONFLICT: fireside_status = 302;
/// Too late to edit or recall this message.
pub const FIRESIDE_STATUS_WINDOW_CLOSED: fireside_status = 303;
/// The named user is not a member.
pub const FIRESIDE_STATUS_NOT_MEMBER: fireside_status = 304;
/// The user is a member already.
pub const FIRESIDE_STATUS_ALREADY_MEMBER: fireside_status = 305;
/// This conversation is joined by invitation only.
pub const FIRESIDE_STATUS_NOT_INVITED: fireside_status = 306;
/// It exists already.
pub const FIRESIDE_STATUS_ALREADY_EXISTS: fireside_status = 307;
/// The owner must hand over the conversation first.
pub const FIRESIDE_STATUS_OWNER_MUST_TRANSFER: fireside_status = 308;
/// Only admins and the owner write here now.
pub const FIRESIDE_STATUS_FROZEN: fireside_status = 309;
/// The named user does not ask to come in (any more).
pub const FIRESIDE_STATUS_NOT_ASKED: fireside_status = 310;
/// You may not write here until the given time.
pub const FIRESIDE_STATUS_MUTED: fireside_status = 311;
/// The user is banned from this conversation until the given time.
pub const FIRESIDE_STATUS_BARRED: fireside_status = 312;
/// There is no such link (any more).
pub const FIRESIDE_STATUS_LINK_INVALID: fireside_status = 313;
/// The named user does not ask to be your friend (any more).
pub const FIRESIDE_STATUS_NO_FRIEND_REQUEST: fireside_status = 320;
/// Too many reports in a day; those that came are looked at.
pub const FIRESIDE_STATUS_TOO_MANY_REPORTS: fireside_status = 321;
/// The poll is closed; no vote counts any more.
pub const FIRESIDE_STATUS_POLL_CLOSED: fireside_status = 330;
/// The time at which the message was to end had passed when it came; nothing was sent.
pub const FIRESIDE_STATUS_MESSAGE_OVER: fireside_status = 331;
/// A message ends within 366 days; what a conversation's messages live is 5 s to 366 days, or 0.
pub const FIRESIDE_STATUS_LIFETIME_INVALID: fireside_status = 332;
/// This can not be forwarded: it is gone, it ends, or it only means something where it was said.
pub const FIRESIDE_STATUS_NOT_FORWARDABLE: fireside_status = 333;
/// The text is empty.
pub const FIRESIDE_STATUS_TEXT_EMPTY: fireside_status = 400;
/// The text is over 4,000 characters or 16 KiB.
pub const FIRESIDE_STATUS_TEXT_TOO_LONG: fireside_status = 401;
/// The name is empty, over 64 characters, or has control characters.
pub const FIRESIDE_STATUS_NAME_INVALID: fireside_status = 402;
/// The content is over 20 KiB.
pub const FIRESIDE_STATUS_CONTENT_TOO_LARGE: fireside_status = 403;
/// The content does not fit its kind.
pub const FIRESIDE_STATUS_CONTENT_INVALID: fireside_status = 404;
/// This server does not take this kind of message.
pub const FIRESIDE_STATUS_KIND_UNSUPPORTED: fireside_status = 405;
/// A user id is 1 to 64 bytes without control characters.
pub const FIRESIDE_STATUS_USER_INVALID: fireside_status = 406;
/// The conversation is full.
pub const FIRESIDE_STATUS_TOO_MANY_MEMBERS: fireside_status = 407;
/// Too many users are named in one request.
pub const FIRESIDE_STATUS_TOO_MANY_NAMED: fireside_status = 408;
/// Moderation did not let the message pass.
pub const FIRESIDE_STATUS_REJECTED: fireside_status = 409;
/// An argument is outside its range.
pub const FIRESIDE_STATUS_ARGUMENT_INVALID: fireside_status = 410;
/// A limit of this account is reached; remove something first.
pub const FIRESIDE_STATUS_LIMIT_REACHED: fireside_status = 411;
/// Too fast; try again after the given time. Retryable.
pub const FIRESIDE_STATUS_RATE_LIMITED: fireside_status = 500;
/// The server has too much to do; try again after the given time. Retryable.
pub const FIRESIDE_STATUS_OVERLOADED: fireside_status = 501;
/// The server's disk is full; nothing was stored. Retryable.
pub const FIRESIDE_STATUS_STORAGE_FULL: fireside_status = 502;
/// The server's store does not answer; nothing was stored. Retryable.
pub const FIRESIDE_STATUS_STORAGE_UNAVAILABLE: fireside_status = 503;
/// The message before this one has no outcome yet; send both again in order. Retryable.
pub const FIRESIDE_STATUS_RETRY_IN_ORDER: fireside_status = 504;
/// The server is going down; connect again. Retryable.
pub const FIRESIDE_STATUS_DRAINING: fireside_status = 505;
/// The message waits for a moderator. Retryable.
pub const FIRESIDE_STATUS_HELD: fireside_status = 506;
/// Members of this conversation write at intervals; try again after the given time. Retryable.
pub const FIRESIDE_STATUS_SLOW_MODE: fireside_status = 507;
/// There is no connection and this can not wait for one. Retryable.
pub const FIRESIDE_STATUS_OFFLINE: fireside_status = 600;
/// Too many calls are pending; try again when some are done. Retryable.
pub const FIRESIDE_STATUS_BUSY: fireside_status = 601;
/// The outbox is full; wait until some messages are sent. Retryable.
pub const FIRESIDE_STATUS_OUTBOX_FULL: fireside_status = 602;
/// The message could not be sent for 7 days.
pub const FIRESIDE_STATUS_EXPIRED: fireside_status = 603;
/// The client was shut down or the call was taken back.
pub const FIRESIDE_STATUS_CANCELLED: fireside_status = 604;
/// The server did not answer in time. Retryable.
pub const FIRESIDE_STATUS_TIMED_OUT: fireside_status = 605;

/// What only this library answers: number, name, what was wrong and what to do.
const OWN: &[(fireside_status, &CStr, &CStr)] = &[
    (FIRESIDE_STATUS_OK, c"ok", c"done"),
    (FIRESIDE_STATUS_INVALID_HANDLE, c"invalid_handle", c"the handle is not (or no longer) a client of this library; create one and use it until you destroy it"),
    (FIRESIDE_STATUS_INVALID_ARGUMENT, c"invalid_argument", c"a pointer is null or not aligned, a length is over its limit, a struct_size is wrong, or a text is not UTF-8"),
    (FIRESIDE_STATUS_POISONED, c"poisoned", c"an earlier call on this client panicked inside; destroy it and create another"),
    (FIRESIDE_STATUS_IN_USE, c"in_use", c"tick or events of this client runs on another thread; call them from one"),
    (FIRESIDE_STATUS_IN_WAKE, c"in_wake", c"the wake callback called the library; let it set a flag only"),
    (FIRESIDE_STATUS_SERVER_INVALID, c"server_invalid", c"the server is not an address; expected host:port, for example 127.0.0.1:7777"),
    (FIRESIDE_STATUS_SERVER_NAME_INVALID, c"server_name_invalid", c"the server name is neither a host name nor an IP address"),
    (FIRESIDE_STATUS_USER_NEEDED, c"user_needed", c"a cache folder was given without a user; set user to the token's sub"),
    (FIRESIDE_STATUS_TLS_UNAVAILABLE, c"tls_unavailable", c"TLS could not be set up"),
    (FIRESIDE_STATUS_THREAD_UNAVAILABLE, c"thread_unavailable", c"the machine gives no thread or no random numbers"),
    (FIRESIDE_STATUS_TOO_MANY_CLIENTS, c"too_many_clients", c"the process has 1,024 clients; destroy some"),
    (FIRESIDE_STATUS_PANIC, c"panic", c"a fault inside the library was caught; the client is poisoned: destroy it, and report this"),
];

/// The codes of the wire as C reads them. C wants a NUL at the end, which the table of the wire does not have.
const WIRE: &[(Code, &CStr, &CStr)] = &[
    (Code::BadFrame, c"bad_frame", c"the bytes are not a frame of this protocol; the connection ends"),
    (Code::FrameTooLarge, c"frame_too_large", c"the frame is over the limit of its stream; send less at once"),
    (Code::BadBody, c"bad_body", c"the body does not fit its kind; a field is missing, doubled or of the wrong type"),
    (Code::UnknownRequest, c"unknown_request", c"this server does not know the request; update the server or do without"),
    (Code::VersionUnsupported, c"version_unsupported", c"no common protocol version; update the older side"),
    (Code::NotLoggedIn, c"not_logged_in", c"the first frame must be hello or resume"),
    (Code::NotInEarlyData, c"not_in_early_data", c"only resume and reads may be early data; send it again after the handshake"),
    (Code::TooManyRequests, c"too_many_requests", c"too many requests wait for an answer; wait for some"),
    (Code::TokenInvalid, c"token_invalid", c"the token is malformed or its signature does not fit any key; ask the game's backend for another"),
    (Code::TokenExpired, c"token_expired", c"the token has expired; ask the game's backend for another"),
    (Code::TokenNotYetValid, c"token_not_yet_valid", c"the token is not valid yet; check the clocks"),
    (Code::TokenRevoked, c"token_revoked", c"the token was issued before the user's tokens were revoked; log in again"),
    (Code::TokenOtherUser, c"token_other_user", c"the new token belongs to another user; log out first"),
    (Code::Banned, c"banned", c"the user is banned from this server until the given time"),
    (Code::DeviceReplaced, c"device_replaced", c"another device of the user took this one's place"),
    (Code::ResumeUnknown, c"resume_unknown", c"the server does not know this resume secret; log in with the token"),
    (Code::SessionRevoked, c"session_revoked", c"this device was signed out"),
    (Code::NotFound, c"not_found", c"no such conversation or message, or you may not see it"),
    (Code::Forbidden, c"forbidden", c"your role does not allow this"),
    (Code::Conflict, c"conflict", c"the message was changed meanwhile; look at it again"),
    (Code::WindowClosed, c"window_closed", c"too late to edit or recall this message"),
    (Code::NotMember, c"not_member", c"the named user is not a member"),
    (Code::AlreadyMember, c"already_member", c"the user is a member already"),
    (Code::NotInvited, c"not_invited", c"this conversation is joined by invitation only"),
    (Code::AlreadyExists, c"already_exists", c"it exists already"),
    (Code::OwnerMustTransfer, c"owner_must_transfer", c"the owner must hand over the conversation first"),
    (Code::Frozen, c"frozen", c"only admins and the owner write here now"),
    (Code::NotAsked, c"not_asked", c"the named user does not ask to come in (any more)"),
    (Code::Muted, c"muted", c"you may not write here until the given time"),
    (Code::Barred, c"barred", c"the user is banned from this conversation until the given time"),
    (Code::LinkInvalid, c"link_invalid", c"there is no such link (any more)"),
    (Code::NoFriendRequest, c"no_friend_request", c"the named user does not ask to be your friend (any more)"),
    (Code::TooManyReports, c"too_many_reports", c"too many reports in a day; those that came are looked at"),
    (Code::PollClosed, c"poll_closed", c"the poll is closed; no vote counts any more"),
    (Code::MessageOver, c"message_over", c"the time at which the message was to end had passed when it came; nothing was sent"),
    (Code::LifetimeInvalid, c"lifetime_invalid", c"a message ends within 366 days; what a conversation's messages live is 5 s to 366 days, or 0"),
    (Code::NotForwardable, c"not_forwardable", c"this can not be forwarded: it is gone, it ends, or it only means something where it was said"),
    (Code::TextEmpty, c"text_empty", c"the text is empty"),
    (Code::TextTooLong, c"text_too_long", c"the text is over 4,000 characters or 16 KiB"),
    (Code::NameInvalid, c"name_invalid", c"the name is empty, over 64 characters, or has control characters"),
    (Code::ContentTooLarge, c"content_too_large", c"the content is over 20 KiB"),
    (Code::ContentInvalid, c"content_invalid", c"the content does not fit its kind"),
    (Code::KindUnsupported, c"kind_unsupported", c"this server does not take this kind of message"),
    (Code::UserInvalid, c"user_invalid", c"a user id is 1 to 64 bytes without control characters"),
    (Code::TooManyMembers, c"too_many_members", c"the conversation is full"),
    (Code::TooManyNamed, c"too_many_named", c"too many users are named in one request"),
    (Code::Rejected, c"rejected", c"moderation did not let the message pass"),
    (Code::ArgumentInvalid, c"argument_invalid", c"an argument is outside its range"),
    (Code::LimitReached, c"limit_reached", c"a limit of this account is reached; remove something first"),
    (Code::RateLimited, c"rate_limited", c"too fast; try again after the given time"),
    (Code::Overloaded, c"overloaded", c"the server has too much to do; try again after the given time"),
    (Code::StorageFull, c"storage_full", c"the server's disk is full; nothing was stored"),
    (Code::StorageUnavailable, c"storage_unavailable", c"the server's store does not answer; nothing was stored"),
    (Code::RetryInOrder, c"retry_in_order", c"the message before this one has no outcome yet; send both again in order"),
    (Code::Draining, c"draining", c"the server is going down; connect again"),
    (Code::Held, c"held", c"the message waits for a moderator"),
    (Code::SlowMode, c"slow_mode", c"members of this conversation write at intervals; try again after the given time"),
    (Code::Offline, c"offline", c"there is no connection and this can not wait for one"),
    (Code::Busy, c"busy", c"too many calls are pending; try again when some are done"),
    (Code::OutboxFull, c"outbox_full", c"the outbox is full; wait until some messages are sent"),
    (Code::Expired, c"expired", c"the message could not be sent for 7 days"),
    (Code::Cancelled, c"cancelled", c"the client was shut down or the call was taken back"),
    (Code::TimedOut, c"timed_out", c"the server did not answer in time"),
];

/// The stable name of a status, such as "outbox_full"; "unknown" for a number that this library does not know.
///
/// Threads: any. Ownership: static text, NUL-terminated. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_status_name(status: fireside_status) -> *const c_char {
    words(status).0.as_ptr()
}

/// What was wrong and what to do, in one sentence.
///
/// Threads: any. Ownership: static text, NUL-terminated. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_status_text(status: fireside_status) -> *const c_char {
    words(status).1.as_ptr()
}

/// 1: the same call may succeed later without being changed; 0: it will not.
///
/// Threads: any. Errors: none.
#[unsafe(no_mangle)]
pub extern "C" fn fireside_status_retryable(status: fireside_status) -> u32 {
    let own = status == FIRESIDE_STATUS_IN_USE || status == FIRESIDE_STATUS_THREAD_UNAVAILABLE;
    u32::from(own || code(status).is_some_and(Code::retryable))
}

fn words(status: fireside_status) -> (&'static CStr, &'static CStr) {
    if let Some((_, name, text)) = OWN.iter().find(|(number, ..)| *number == status) {
        return (name, text);
    }
    let known = code(status).and_then(|code| WIRE.iter().find(|(other, ..)| *other == code));
    known.map_or(
        (c"unknown", c"unknown code; update the client"),
        |(_, name, text)| (name, text),
    )
}

fn code(status: fireside_status) -> Option<Code> {
    u16::try_from(status).ok().map(Code::from_number)
}

/// The status of a code; a code that this build does not know keeps its number.
pub(crate) fn of(code: Code) -> fireside_status {
    match i32::from(code.number()) {
        // A server must not be able to say that all is well, or that this library panicked.
        number if OWN.iter().any(|(own, ..)| *own == number) => i32::from(Code::BadBody.number()),
        number => number,
    }
}

/// The status of a client that did not start.
pub(crate) const fn of_start(error: &StartError) -> fireside_status {
    match error {
        StartError::BadServer(_) => FIRESIDE_STATUS_SERVER_INVALID,
        StartError::BadServerName(_) => FIRESIDE_STATUS_SERVER_NAME_INVALID,
        StartError::UserNeeded => FIRESIDE_STATUS_USER_NEEDED,
        StartError::Tls(_) => FIRESIDE_STATUS_TLS_UNAVAILABLE,
        StartError::Thread(_) => FIRESIDE_STATUS_THREAD_UNAVAILABLE,
        _ => FIRESIDE_STATUS_INVALID_ARGUMENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_tables_say_the_same() {
        assert_eq!(WIRE.len(), Code::ALL.len());
        for ((code, name, text), of_wire) in WIRE.iter().zip(Code::ALL) {
            assert_eq!(code, of_wire);
            assert_eq!(name.to_str(), Ok(code.key()));
            assert_eq!(text.to_str(), Ok(code.text()));
            assert_eq!(of(*code), i32::from(code.number()));
        }
    }

    #[test]
    fn own_statuses_are_no_codes_of_the_wire() {
        for (number, name, _) in OWN {
            assert!(
                (0..100).contains(number) || *number == FIRESIDE_STATUS_PANIC,
                "{name:?}"
            );
            let code = Code::from_number(*number as u16);
            assert!(
                matches!(code, Code::Unknown(_)),
                "{name:?} is {code:?} on the wire"
            );
            assert_ne!(of(code), *number, "a server can not say {name:?}");
        }
    }
}
