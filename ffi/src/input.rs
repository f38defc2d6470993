//! What a caller hands over, checked before it is used: pointers, lengths, text, sizes of structs.

use std::{mem::MaybeUninit, str};

use ::fireside_client::core::command::MessageRef;
use fireside_protocol::{
    Code, ConversationId, DeviceId, Nonce, Role, UserId,
    limits::{FRAME_BYTES_MAX, INVITES_PER_REQUEST_MAX},
};

use crate::{
    boundary::Outcome,
    constants::{FIRESIDE_ROLE_ADMIN, FIRESIDE_ROLE_MEMBER, FIRESIDE_ROLE_OWNER},
    status::{self, FIRESIDE_STATUS_INVALID_ARGUMENT},
    types::{
        fireside_budget, fireside_config, fireside_events, fireside_id, fireside_message_ref,
        fireside_stats, fireside_str,
    },
};

/// Bytes of one text: nothing larger fits a frame, so a larger length is a mistake.
const TEXT_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// A `struct_size` above this was never set.
const STRUCT_BYTES_MAX: usize = 4_096;

/// A struct that begins with `struct_size: u32` and for which all bytes zero is a value.
///
/// # Safety
/// It is `repr(C)`, its first field is that `u32`, and it consists of integers and raw pointers only.
pub(crate) unsafe trait Growing: Copy {}

// SAFETY: `repr(C)`, `struct_size` first, integers, `fireside_str`s (a pointer and a length) and byte arrays.
unsafe impl Growing for fireside_config {}
// SAFETY: `repr(C)`, `struct_size` first, integers.
unsafe impl Growing for fireside_budget {}
// SAFETY: `repr(C)`, `struct_size` first, integers and pointers.
unsafe impl Growing for fireside_events {}
// SAFETY: `repr(C)`, `struct_size` first, integers.
unsafe impl Growing for fireside_stats {}

/// Null or not aligned.
fn bad<T>(pointer: *const T) -> bool {
    pointer.is_null() || !pointer.is_aligned()
}

/// An out pointer that may be null.
pub(crate) fn check_out<T>(to: *mut T) -> Outcome<()> {
    if to.is_null() || to.is_aligned() {
        Ok(())
    } else {
        Err(FIRESIDE_STATUS_INVALID_ARGUMENT)
    }
}

/// An out pointer that must be there.
pub(crate) fn need_out<T>(to: *mut T) -> Outcome<()> {
    if bad(to) {
        Err(FIRESIDE_STATUS_INVALID_ARGUMENT)
    } else {
        Ok(())
    }
}

/// Writes a result, if it is wanted.
///
/// # Safety
/// `to` is null, or aligned and can be written to.
pub(crate) unsafe fn write<T>(to: *mut T, value: T) {
    if !to.is_null() {
        // SAFETY: not null; the rest is the caller's word.
        unsafe { to.write(value) };
    }
}

/// All zero, as a caller's `memset` makes it.
pub(crate) fn zeroed<T: Growing>() -> T {
    // SAFETY: `Growing` types consist of integers and raw pointers, for which zero is a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// The bytes of a caller's struct that this build knows too.
///
/// # Safety
/// `from` is null or points to a struct of the size that it says.
unsafe fn known_size<T: Growing>(from: *const T) -> Outcome<usize> {
    if bad(from) {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    // SAFETY: not null, aligned, and a `Growing` struct begins with its size.
    let size = unsafe { from.cast::<u32>().read() } as usize;
    if !(size_of::<u32>()..=STRUCT_BYTES_MAX).contains(&size) {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    Ok(size.min(size_of::<T>()))
}

/// A caller's struct; what an older caller does not have is zero.
///
/// # Safety
/// `from` is null or points to a struct of the size that it says.
pub(crate) unsafe fn read_sized<T: Growing>(from: *const T) -> Outcome<T> {
    // SAFETY: the caller's word.
    let size = unsafe { known_size(from) }?;
    let mut value = zeroed::<T>();
    // SAFETY: `size` bytes are there on both sides (`known_size`), they do not overlap, and any bytes make integers and pointers. A
    // text of which only the pointer was copied has the length 0 and is not looked at.
    unsafe {
        std::ptr::copy_nonoverlapping(
            from.cast::<u8>(),
            std::ptr::from_mut(&mut value).cast::<u8>(),
            size,
        );
    }
    Ok(value)
}

/// Fills as much of a caller's struct as it has; its `struct_size` stays.
///
/// # Safety
/// `to` is null or points to a struct of the size that it says, and can be written to.
pub(crate) unsafe fn write_sized<T: Growing>(to: *mut T, value: &T) -> Outcome<()> {
    // SAFETY: the caller's word.
    let size = unsafe { known_size(to) }?;
    let head = size_of::<u32>();
    // SAFETY: `size` bytes are there on both sides and at least `head` (`known_size`); they do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(value).cast::<u8>().add(head),
            to.cast::<u8>().add(head),
            size - head,
        );
    }
    Ok(())
}

/// A caller's text.
///
/// # Safety
/// `text.data` is null or points to `text.len` bytes that nobody writes to for `'a`.
pub(crate) unsafe fn text<'a>(text: fireside_str) -> Outcome<&'a str> {
    if text.len == 0 {
        return Ok("");
    }
    if text.data.is_null() || text.len > TEXT_BYTES_MAX {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    // SAFETY: not null, and so many bytes by the caller's word; far below `isize::MAX`.
    let bytes = unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.len) };
    str::from_utf8(bytes).map_err(|_| FIRESIDE_STATUS_INVALID_ARGUMENT)
}

/// A caller's user id.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn user(id: fireside_str) -> Outcome<UserId> {
    // SAFETY: the caller's word.
    let id = unsafe { text(id) }?;
    UserId::new(id).map_err(|error| status::of(error.code()))
}

/// A user id that may be empty.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn user_or_none(id: fireside_str) -> Outcome<Option<UserId>> {
    if id.len == 0 {
        return Ok(None);
    }
    // SAFETY: the caller's word.
    unsafe { user(id) }.map(Some)
}

/// A caller's list of user ids.
///
/// # Safety
/// `users` is null or points to `count` texts, each as for [`text`].
pub(crate) unsafe fn users(users: *const fireside_str, count: usize) -> Outcome<Vec<UserId>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if bad(users) {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    if count > INVITES_PER_REQUEST_MAX {
        return Err(status::of(Code::TooManyNamed));
    }
    // SAFETY: not null, aligned, and so many by the caller's word.
    let users = unsafe { std::slice::from_raw_parts(users, count) };
    // SAFETY: the caller's word for each.
    users.iter().map(|id| unsafe { user(*id) }).collect()
}

/// # Safety
/// `id` is null or points to an id.
unsafe fn id(id: *const fireside_id) -> Outcome<[u8; 16]> {
    if bad(id) {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    // SAFETY: not null, and an id by the caller's word.
    Ok(unsafe { id.read() }.bytes)
}

/// A conversation that must be named.
///
/// # Safety
/// `of` is null or points to an id.
pub(crate) unsafe fn conversation(of: *const fireside_id) -> Outcome<ConversationId> {
    // SAFETY: the caller's word.
    unsafe { id(of) }.map(ConversationId)
}

/// A conversation or null.
///
/// # Safety
/// `of` is null or points to an id.
pub(crate) unsafe fn conversation_or_none(
    of: *const fireside_id,
) -> Outcome<Option<ConversationId>> {
    if of.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's word.
    unsafe { conversation(of) }.map(Some)
}

/// A device that must be named.
///
/// # Safety
/// `of` is null or points to an id.
pub(crate) unsafe fn device(of: *const fireside_id) -> Outcome<DeviceId> {
    // SAFETY: the caller's word.
    unsafe { id(of) }.map(DeviceId)
}

/// A nonce that must be named.
///
/// # Safety
/// `of` is null or points to an id.
pub(crate) unsafe fn nonce(of: *const fireside_id) -> Outcome<Nonce> {
    // SAFETY: the caller's word.
    unsafe { id(of) }.map(Nonce)
}

/// A role that this build knows.
pub(crate) fn role(number: u32) -> Outcome<Role> {
    match number {
        FIRESIDE_ROLE_MEMBER => Ok(Role::Member),
        FIRESIDE_ROLE_ADMIN => Ok(Role::Admin),
        FIRESIDE_ROLE_OWNER => Ok(Role::Owner),
        _ => Err(FIRESIDE_STATUS_INVALID_ARGUMENT),
    }
}

/// A message by number or nonce.
///
/// # Safety
/// `of` is null or points to a reference.
pub(crate) unsafe fn message(of: *const fireside_message_ref) -> Outcome<MessageRef> {
    if bad(of) {
        return Err(FIRESIDE_STATUS_INVALID_ARGUMENT);
    }
    // SAFETY: not null, aligned, and a reference by the caller's word.
    let of = unsafe { of.read() };
    match (of.sequence, of.nonce.bytes) {
        (0, nonce) if nonce == [0; 16] => Err(FIRESIDE_STATUS_INVALID_ARGUMENT),
        (0, nonce) => Ok(MessageRef::Nonce(Nonce(nonce))),
        (sequence, _) => Ok(MessageRef::Sequence(sequence)),
    }
}
