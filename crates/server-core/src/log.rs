//! Pages and heads from any [`LogReader`]: what a reader sees of a log, in one place for every store.

use fireside_protocol::{
    UserId,
    frames::{HeadsPage, HeadsRequest, MembersPage, MembersRequest, Page, PageRequest},
};

use crate::storage::{LogReader, StoreError};

/// Builds a page; `None` if the user may not see the conversation.
///
/// # Errors
/// What the reader answers.
pub fn page(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &PageRequest,
) -> Result<Option<Page>, StoreError> {
    let _ = (reader, user, request);
    unimplemented!()
}

/// Builds heads, newest first.
///
/// # Errors
/// What the reader answers.
pub fn heads(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &HeadsRequest,
) -> Result<HeadsPage, StoreError> {
    let _ = (reader, user, request);
    unimplemented!()
}

/// Builds a page of members; `None` for who is not one.
///
/// # Errors
/// What the reader answers.
pub fn members(
    reader: &mut impl LogReader,
    user: &UserId,
    request: &MembersRequest,
) -> Result<Option<MembersPage>, StoreError> {
    let _ = (reader, user, request);
    unimplemented!()
}
