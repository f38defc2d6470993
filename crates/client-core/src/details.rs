//! What only few rows have: spans, a quote, votes. Read once from an item, and put together for a row.

use std::sync::Arc;

use fireside_protocol::{
    Child, Content, ConversationId, Entry, FacetKind, Header, Reactions, Role, UserId,
    content::{LinkPreview, Span, Votes},
    text::Count,
};

use crate::{
    conversation::Conversation,
    rows::{preview_of, reactions_of},
    view::{Body, Details, PollOptionRow, PollRow, Quote, QuoteState},
};

/// What an item has beside what it says. Most have nothing of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Extra {
    pub(crate) spans: Vec<Span>,
    pub(crate) reactions: Reactions,
    pub(crate) votes: Votes,
    pub(crate) thread: Option<ConversationId>,
    pub(crate) preview: Option<Arc<LinkPreview>>,
}

/// Reads it; `None`: there is nothing.
pub(crate) fn extra_of(entry: &Entry, spans: Vec<Span>) -> Option<Box<Extra>> {
    if entry.facets.is_empty() && spans.is_empty() {
        return None;
    }
    Some(Box::new(Extra {
        spans,
        reactions: reactions_of(entry),
        votes: (entry.facet(FacetKind::Votes)).unwrap_or_else(Votes::none),
        thread: (entry.facet::<Child>(FacetKind::Thread)).map(|child| child.conversation),
        preview: preview_of_link(entry),
    }))
}

/// The preview of an item's link; one that is over its limits is none.
fn preview_of_link(entry: &Entry) -> Option<Arc<LinkPreview>> {
    let preview = entry.facet::<LinkPreview>(FacetKind::Preview)?;
    preview
        .check(Count::NOTHING)
        .is_ok()
        .then(|| preview.into())
}

/// What the details of a row are made from.
pub(crate) struct Shown<'a> {
    pub(crate) header: &'a Header,
    pub(crate) body: &'a Body,
    pub(crate) spans: &'a [Span],
    pub(crate) votes: Option<&'a Votes>,
    /// What this user chose in an anonymous poll, whose votes name nobody.
    pub(crate) ballot: Option<&'a [u32]>,
    pub(crate) quote: Option<Quote>,
    pub(crate) thread: Option<ConversationId>,
    pub(crate) preview: Option<Arc<LinkPreview>>,
    /// This user, and their role here; of an own message that is not sent yet nobody.
    pub(crate) me: Option<(&'a UserId, Option<Role>)>,
}

/// Whether a message names a user who has a role.
pub(crate) fn names(header: &Header, user: &UserId, role: Option<Role>) -> bool {
    header.mention_all
        || header.mentions.contains(user)
        || role.is_some_and(|role| header.mention_roles.contains(&role))
}

/// The details of a row; `None` if it has none.
pub(crate) fn details_of(shown: Shown<'_>) -> Option<Arc<Details>> {
    let Shown {
        header,
        body,
        spans,
        votes,
        ballot,
        quote,
        thread,
        preview,
        me,
    } = shown;
    let mentioned = match me {
        Some((user, role)) => names(header, user, role),
        None => header.mention_all,
    };
    let me = me.map(|(user, _)| user);
    let poll = match body {
        Body::Content(content) => match &**content {
            Content::Poll(poll) => Some(poll),
            _ => None,
        },
        _ => None,
    };
    let plain = header.reply_to == 0 && header.expires == 0 && header.priority == 0;
    if plain
        && !header.silent
        && !mentioned
        && spans.is_empty()
        && poll.is_none()
        && thread.is_none()
        && preview.is_none()
        && header.forwarded.is_none()
    {
        return None;
    }
    Some(Arc::new(Details {
        spans: spans.to_vec(),
        reply: quote,
        mentioned,
        silent: header.silent,
        priority: header.priority,
        expires: header.expires,
        thread,
        forwarded: header.forwarded.clone(),
        preview,
        poll: poll.map(|poll| {
            let none = Votes::none();
            let votes = votes.unwrap_or(&none);
            PollRow {
                options: (0..poll.options.len() as u32)
                    .map(|number| {
                        let one = votes.options.iter().find(|one| one.option == number);
                        let users = one.map_or(&[][..], |one| &one.users);
                        PollOptionRow {
                            mine: match ballot {
                                Some(ballot) => ballot.contains(&number),
                                None => me.is_some_and(|me| users.contains(me)),
                            },
                            count: votes.count(number),
                            users: users.into(),
                        }
                    })
                    .collect(),
                closed: votes.closed,
                anonymous: poll.anonymous,
            }
        }),
    }))
}

impl Conversation {
    /// What a message answers, as it is now: a quote is a reference, so that a recall reaches it.
    pub(crate) fn quote(&self, reply_to: u64) -> Option<Quote> {
        if reply_to == 0 {
            return None;
        }
        let Some(item) = self.items.get(&reply_to) else {
            return Some(Quote {
                sequence: reply_to,
                sender: None,
                text: "".into(),
                state: QuoteState::NotLoaded,
            });
        };
        let recalled = item.entry.tombstone.is_some();
        Some(Quote {
            sequence: reply_to,
            sender: Some(item.entry.sender.clone()),
            text: preview_of(&item.entry),
            state: if recalled {
                QuoteState::Recalled
            } else {
                QuoteState::Held
            },
        })
    }
}
