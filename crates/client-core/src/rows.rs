//! Entries as rows of views.

use std::sync::Arc;

use fireside_protocol::{
    Entry, EntryKind, MessageKind, Settings, TextContent, UserId, codec::Reader, codec::Wire,
    decode, encode,
};

use crate::{
    conversation::{Item, compact},
    view::{Body, MessageState, TimelineRow},
};

/// Bytes of a preview in the conversation list.
const PREVIEW_BYTES_MAX: usize = 160;

/// The text of a message's content, if it is one.
pub(crate) fn message_text(content: &bytes::Bytes) -> Option<String> {
    let mut reader = Reader::new(content);
    let content = TextContent::read(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(content.text)
}

/// What an item says.
pub(crate) fn body_of(entry: &Entry) -> Body {
    if entry.tombstone.is_some() {
        return Body::Recalled;
    }
    let member = || entry.member.as_ref();
    let body = match entry.kind {
        EntryKind::Message => match &entry.header {
            Some(header) if header.kind == MessageKind::Text => {
                message_text(&entry.content).map(|text| Body::Text(text.into()))
            }
            _ => None,
        },
        EntryKind::Created => Some(Body::Created(
            member().map_or("", |m| m.name.as_str()).into(),
        )),
        EntryKind::Joined => member().map(|m| Body::Joined(m.user.clone())),
        EntryKind::Left => member().map(|m| Body::Left(m.user.clone())),
        EntryKind::Removed => member().map(|m| Body::Removed(m.user.clone())),
        EntryKind::Role => member()
            .and_then(|m| m.role.map(|role| (m.user.clone(), role)))
            .map(|(user, role)| Body::Role(user, role)),
        EntryKind::Settings => decode::<Settings>(&entry.content)
            .ok()
            .map(|change| Body::Settings(Arc::new(change))),
        _ => None,
    };
    body.unwrap_or(Body::Unknown)
}

/// The text an item shows; empty if none.
fn text_of(entry: &Entry) -> Arc<str> {
    match body_of(entry) {
        Body::Text(text) => text,
        _ => "".into(),
    }
}

/// The start of a text, for the conversation list.
pub(crate) fn preview_of(entry: &Entry) -> Arc<str> {
    let text = text_of(entry);
    if text.len() <= PREVIEW_BYTES_MAX {
        return text;
    }
    let mut end = PREVIEW_BYTES_MAX;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let start = text.get(..end).unwrap_or_default();
    format!("{start}…").into()
}

/// A copy for the list, which keeps one for every conversation: of a long text only the start.
pub(crate) fn short(entry: &Entry) -> Entry {
    let mut copy = compact(entry);
    if copy.content.len() > 2 * PREVIEW_BYTES_MAX {
        let text = preview_of(entry).to_string();
        copy.content = encode(&TextContent { text }).into();
    }
    copy
}

/// A row for an item.
pub(crate) fn row_of(item: &Item, me: Option<&UserId>, delivered: u64, read: u64) -> TimelineRow {
    let entry = &item.entry;
    let own = me == Some(&entry.sender) && entry.kind == EntryKind::Message;
    let state = match entry.sequence {
        _ if !own => MessageState::Received,
        number if number <= read => MessageState::Read,
        number if number <= delivered => MessageState::Delivered,
        _ => MessageState::Sent,
    };
    TimelineRow {
        row: item.row,
        sequence: Some(entry.sequence),
        nonce: entry.nonce.filter(|_| own),
        sender: entry.sender.clone(),
        at: entry.at,
        body: item.body.clone(),
        state,
        edited: entry.edited && entry.tombstone.is_none(),
    }
}
