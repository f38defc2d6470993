//! Forwarding: copies of what a user sees, made by the server, and what becomes of them when an admin takes an original back.
//!
//! A copy is its new message's own: the author's recall and expiry of the original leave it. Where it comes from is kept beside it, so that
//! an admin's recall reaches it: the store marks the copies, a node finds the marks as it finds messages that are over
//! (`expiry.rs`), and takes each copy out by an entry of its own conversation.

use bytes::Bytes;
use fireside_protocol::{
    Code, Content, ConversationId, EntryKind, FacetKind, Header, MessageKind, Rev, Sequence,
    Tombstone, UserId,
    content::{Copied, Forwarded, LiveState, MergedContent},
    decode, encode,
    entry::Entry,
    frames::Forward,
    limits::{CONTENT_BYTES_MAX, FORWARD_COPIES_MAX, FORWARD_SOURCES_MAX},
    text::Count,
};

use crate::{
    decide::{Case, Decision, Plan},
    log::open,
    storage::{Item, LogReader, NewEntry, Source, StoreError},
};

/// A message as it is read to be forwarded.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// Its number.
    pub sequence: Sequence,
    /// The last change of its body.
    pub rev: Rev,
    /// What its content is.
    pub kind: MessageKind,
    /// What it says now.
    pub content: Bytes,
    /// Whose it was first.
    pub from: Forwarded,
    /// What it was forwarded from itself.
    pub sources: Vec<(ConversationId, Sequence)>,
}

/// Reads what a user wants to forward: `not_found` for what they do not see, `not_forwardable` for what is gone or ends.
///
/// # Errors
/// What the reader answers.
pub fn originals(
    reader: &mut impl LogReader,
    user: &UserId,
    id: ConversationId,
    numbers: &[Sequence],
) -> Result<Result<Vec<Original>, Code>, StoreError> {
    let Some((_, viewer)) = open(reader, id, user)? else {
        return Ok(Err(Code::NotFound));
    };
    let mut found = Vec::with_capacity(numbers.len().min(FORWARD_COPIES_MAX));
    let mut bytes = 0;
    for number in numbers.iter().take(FORWARD_COPIES_MAX) {
        let stored = reader.entry(id, *number)?;
        let seen = stored.filter(|it| it.meta.kind == EntryKind::Message && viewer.sees(it));
        let Some(entry) = seen.and_then(|it| decode::<Entry>(&it.body).ok()) else {
            return Ok(Err(Code::NotFound));
        };
        let (Some(header), None, 0) = (&entry.header, entry.tombstone, entry.ends()) else {
            return Ok(Err(Code::NotForwardable));
        };
        let live = entry.facet::<LiveState>(FacetKind::Live);
        let content =
            live.map_or_else(|| entry.content.clone(), |live| encode(&*live.state).into());
        bytes += content.len();
        if bytes > CONTENT_BYTES_MAX {
            return Ok(Err(Code::ContentTooLarge));
        }
        let from = match &header.forwarded {
            Some(from) => Forwarded::clone(from),
            None => Forwarded {
                user: entry.sender.clone(),
                name: name_of(reader, id, &entry.sender)?,
                at: entry.at,
            },
        };
        found.push(Original {
            sequence: *number,
            rev: entry.body_rev(),
            kind: header.kind,
            content,
            from,
            sources: reader.sources(id, *number, FORWARD_SOURCES_MAX + 1)?,
        });
    }
    Ok(Ok(found))
}

/// What somebody is called in a conversation.
fn name_of(
    reader: &mut impl LogReader,
    id: ConversationId,
    user: &UserId,
) -> Result<String, StoreError> {
    let row = reader.member(id, user)?;
    Ok(row.map_or_else(String::new, |row| {
        if row.name_here.is_empty() {
            row.name
        } else {
            row.name_here
        }
    }))
}

impl Case<'_> {
    pub(crate) fn forward(&self, frame: &Forward) -> Result<Decision, Code> {
        let numbers = &frame.numbers;
        let ascending = numbers
            .iter()
            .zip(numbers.iter().skip(1))
            .all(|(a, b)| a < b);
        let most = if frame.merged { FORWARD_COPIES_MAX } else { 1 };
        if numbers.is_empty() || numbers.len() > most || !ascending {
            return Err(Code::ArgumentInvalid);
        }
        let Some(originals) = self.originals else {
            return Ok(Decision::Originals);
        };
        let originals = originals.as_ref().map_err(|code| *code)?;
        let (kind, content, forwarded) = match originals.as_slice() {
            [one] if !frame.merged => {
                let bound = matches!(
                    one.kind,
                    MessageKind::Card | MessageKind::Live | MessageKind::Poll | MessageKind::System
                );
                if bound {
                    return Err(Code::NotForwardable);
                }
                (
                    one.kind,
                    one.content.clone(),
                    Some(Box::new(one.from.clone())),
                )
            }
            all => {
                let copies = all.iter().map(|one| Copied {
                    from: one.from.clone(),
                    kind: one.kind,
                    content: one.content.clone(),
                    gone: false,
                });
                let content = Content::Merged(MergedContent {
                    title: frame.title.clone(),
                    copies: copies.collect(),
                });
                let header = Header {
                    kind: MessageKind::Merged,
                    ..Header::text()
                };
                content.check(&header, Count::GRAPHEMES)?;
                (MessageKind::Merged, content.encode(), None)
            }
        };
        if content.len() > CONTENT_BYTES_MAX {
            return Err(Code::ContentTooLarge);
        }
        let sources = sources(frame.from, originals);
        if sources.len() > FORWARD_SOURCES_MAX {
            return Err(Code::LimitReached);
        }
        let header = Header {
            kind,
            expires: self.expires(0)?,
            forwarded,
            ..Header::text()
        };
        let entry = NewEntry {
            header: Some(header),
            content,
            nonce: Some(frame.nonce),
            sources,
            ..self.entry(EntryKind::Message)
        };
        self.post(entry, frame.nonce, frame.peer.as_ref())
    }
}

/// What a message of these is copied from, by its place in it.
fn sources(from: ConversationId, originals: &[Original]) -> Vec<Source> {
    let mut sources = Vec::new();
    for (place, one) in (0..).zip(originals) {
        sources.push(Source {
            place,
            conversation: from,
            sequence: one.sequence,
            rev: Some(one.rev),
        });
        sources.extend(one.sources.iter().map(|(conversation, sequence)| Source {
            place,
            conversation: *conversation,
            sequence: *sequence,
            rev: None,
        }));
    }
    sources
}

/// The entry that takes copies out of a message; `None` if there is nothing to take out.
pub(crate) fn withdraw(case: &Case<'_>, item: &Item, places: &[u32]) -> Option<Decision> {
    let entry = &item.entry;
    if entry.tombstone.is_some() {
        return None;
    }
    let header = entry.header.as_ref()?;
    let content = Content::decode(header.kind, &entry.content).ok();
    // What was forwarded alone, merged before or not, goes whole.
    let left = match content.filter(|_| header.forwarded.is_none()) {
        Some(Content::Merged(mut merged)) => {
            for (copy, place) in merged.copies.iter_mut().zip(0..) {
                if places.contains(&place) {
                    (copy.gone, copy.content) = (true, Bytes::new());
                }
            }
            let any = merged.copies.iter().any(|copy| !copy.gone);
            any.then(|| Content::Merged(merged).encode())
        }
        _ => None,
    };
    let entry = NewEntry {
        private: item.meta.private,
        target: Some((item.meta.sequence, entry.body_rev())),
        keeps_revision: false,
        tombstone: left.is_none().then_some(Tombstone::RecalledByAdmin),
        content: left.unwrap_or_default(),
        withdraws: places.to_vec(),
        ..case.entry(EntryKind::Withdraw)
    };
    Some(Decision::Append(Plan {
        entries: vec![entry],
        ..Plan::default()
    }))
}
