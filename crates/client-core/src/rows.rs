//! Entries as rows of views.

use std::sync::Arc;

use bytestring::ByteString;
use fireside_protocol::{
    Child, Content, Entry, EntryKind, FacetKind, MemberProfile, MessageKind, Reaction, Reactions,
    Settings, TextContent, Tombstone, UserId,
    codec::{Reader, Wire},
    content::{AnswerContent, LiveState, Span},
    decode, encode,
};

use crate::{
    conversation::{Item, compact},
    view::{Body, MessageState, ReactionRow, ReadBy, TimelineRow},
};

/// Bytes of a preview in the conversation list.
const PREVIEW_BYTES_MAX: usize = 160;

/// What a message says, and the spans of its text.
pub(crate) fn said(kind: MessageKind, content: &bytes::Bytes) -> Option<(Body, Vec<Span>)> {
    if kind == MessageKind::Text {
        let content: TextContent = decode(content).ok()?;
        return Some((Body::Text(content.text.into()), content.spans));
    }
    let content = Content::decode(kind, content).ok()?;
    let spans = content.spans().to_vec();
    Some((Body::Content(Arc::new(content)), spans))
}

/// The text of a message's content, if it is one.
pub(crate) fn message_text(content: &bytes::Bytes) -> Option<String> {
    let mut reader = Reader::new(content);
    let content = TextContent::read(&mut reader).ok()?;
    reader.finish().ok()?;
    Some(content.text)
}

/// What an item says.
pub(crate) fn body_of(entry: &Entry) -> Body {
    read_item(entry).0
}

/// What an item says, and the spans of its text.
pub(crate) fn read_item(entry: &Entry) -> (Body, Vec<Span>) {
    match entry.tombstone {
        None => {}
        Some(Tombstone::Expired) => return (Body::Expired, Vec::new()),
        Some(_) => return (Body::Recalled, Vec::new()),
    }
    let member = || entry.member.as_ref();
    let body = match entry.kind {
        EntryKind::Message => {
            let live = entry.facet::<LiveState>(FacetKind::Live);
            return match (&entry.header, live) {
                (Some(header), Some(live)) if header.kind == MessageKind::Live => {
                    let state = Arc::new(Content::Live(*live.state));
                    (Body::Content(state), Vec::new())
                }
                (Some(header), _) => {
                    said(header.kind, &entry.content).unwrap_or((Body::Unknown, Vec::new()))
                }
                (None, _) => (Body::Unknown, Vec::new()),
            };
        }
        EntryKind::Answer => decode::<AnswerContent>(&entry.content)
            .ok()
            .map(|answer| Body::Answer(Arc::new(answer))),
        EntryKind::Created => Some(Body::Created(
            member().map_or("", |m| m.name.as_str()).into(),
        )),
        EntryKind::ChannelMade => decode::<Child>(&entry.content)
            .ok()
            .map(|child| Body::ChannelMade(Arc::new(child))),
        EntryKind::Joined => member().map(|m| Body::Joined(m.user.clone())),
        EntryKind::Left => member().map(|m| Body::Left(m.user.clone())),
        EntryKind::Removed => member().map(|m| Body::Removed(m.user.clone())),
        EntryKind::Role => member()
            .and_then(|m| m.role.map(|role| (m.user.clone(), role)))
            .map(|(user, role)| Body::Role(user, role)),
        EntryKind::Dissolved => Some(Body::Dissolved),
        EntryKind::Muted => member().map(|m| Body::Muted(m.user.clone(), m.until)),
        EntryKind::Banned => member().map(|m| Body::Banned(m.user.clone(), m.until)),
        EntryKind::MemberSet => member()
            .zip(decode::<MemberProfile>(&entry.content).ok())
            .map(|(m, change)| Body::MemberSet(m.user.clone(), Arc::new(change))),
        EntryKind::Settings => decode::<Settings>(&entry.content)
            .ok()
            .map(|change| Body::Settings(Arc::new(change))),
        _ => None,
    };
    (body.unwrap_or(Body::Unknown), Vec::new())
}

/// The text an item shows; empty if none.
fn text_of(entry: &Entry) -> ByteString {
    match body_of(entry) {
        Body::Text(text) => text,
        Body::Content(content) => {
            let text = content.plain_text();
            // What a list keeps of a long content is its text alone.
            if text.is_empty() {
                message_text(&entry.content).unwrap_or_default().into()
            } else {
                text.into()
            }
        }
        Body::Unknown => message_text(&entry.content).unwrap_or_default().into(),
        _ => ByteString::new(),
    }
}

/// The start of a text, for the conversation list.
pub(crate) fn preview_of(entry: &Entry) -> Arc<str> {
    let text = text_of(entry);
    if text.len() <= PREVIEW_BYTES_MAX {
        return Arc::from(&*text);
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
    let is_live = (entry.facets.iter()).any(|facet| facet.kind == FacetKind::Live);
    copy.facets = Vec::new();
    if copy.content.len() > 2 * PREVIEW_BYTES_MAX || is_live {
        let text = preview_of(entry).to_string();
        copy.content = encode(&TextContent::plain(text)).into();
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
        read_by: ReadBy::default(),
        pinned: entry
            .facets
            .iter()
            .any(|facet| facet.kind == FacetKind::Pin && !facet.content.is_empty()),
        reactions: (item.extra.as_ref()).and_then(|extra| reaction_rows(&extra.reactions, me)),
        details: None,
    }
}

/// The reactions of an item.
pub(crate) fn reactions_of(entry: &Entry) -> Reactions {
    let state = entry.facet(FacetKind::Reactions);
    state.unwrap_or(Reactions { keys: Vec::new() })
}

/// Reactions as a row shows them; `None`: there are none.
pub(crate) fn reaction_rows(state: &Reactions, me: Option<&UserId>) -> Option<Arc<[ReactionRow]>> {
    let rows = state.keys.iter().map(|one| ReactionRow {
        key: one.key.as_str().into(),
        mine: me.is_some_and(|me| one.users.contains(me)),
        users: one.users.as_slice().into(),
    });
    (!state.keys.is_empty()).then(|| rows.collect())
}

/// Puts a user's reaction in or takes it out.
pub(crate) fn set_reaction(state: &mut Reactions, key: &str, user: &UserId, on: bool) {
    if !state.keys.iter().any(|one| one.key == key) && on {
        state.keys.push(Reaction {
            key: key.to_owned(),
            users: Vec::new(),
        });
    }
    for one in state.keys.iter_mut().filter(|one| one.key == key) {
        one.users.retain(|other| other != user || on);
        if on && !one.users.contains(user) {
            one.users.push(user.clone());
        }
    }
}
