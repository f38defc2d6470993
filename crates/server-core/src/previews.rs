//! Link previews: which messages want one, and what becomes of a page that was read.
//!
//! The core reads no page. When a text with a link is durable it says so ([`Node::poll_preview`]), once, and forgets it: whoever wired the
//! node reads the page, or does not, and hands in what it says ([`Node::handle_preview`]). Only then it is decided whether the message still
//! says what the page was read for; what it says is added as an entry of its own, in the name of the message's author, by a command whose
//! name comes from the message and the change of it: two nodes and a retry do it once. Sending waits for none of it, and a page that can not
//! be read writes nothing. What was not read when a node ends stays unread.

use fireside_protocol::{
    ClientFrame, ConversationId, Entry, EntryKind, FacetKind, Nonce, Now, Rev, Sequence, UserId,
    content::{LinkPreview, link_of},
    decode,
    limits::{
        NAME_BYTES_MAX, NAME_GRAPHEMES_MAX, PREVIEW_DESCRIPTION_BYTES_MAX,
        PREVIEW_DESCRIPTION_GRAPHEMES_MAX, PREVIEW_TITLE_BYTES_MAX, PREVIEW_TITLE_GRAPHEMES_MAX,
    },
    text::{Count, one_line},
};

use crate::{
    breaks::Loss,
    decide::{Case, Decision, Plan},
    facets::FacetOp,
    job::{Job, Task},
    node::{Node, Origin},
    storage::{Done, Item, NewEntry, Target},
};

/// A link whose page is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PreviewRequest {
    /// Where it was said.
    pub conversation: ConversationId,
    /// The message's number.
    pub message: Sequence,
    /// The number of the last change of its body: another one when the page was read, and nothing is added.
    pub rev: Rev,
    /// The link, as it is written: http or https, and nothing more is known of it.
    pub url: String,
}

/// What a page says of itself, as it was read: nothing of it is believed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PageSummary {
    /// Its title.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// The site's name.
    pub site: String,
    /// The whole address of a picture; empty: none.
    pub image: String,
}

impl PageSummary {
    /// What a message shows of it, within all limits; `None` if there is nothing to show.
    #[must_use]
    pub fn preview(&self, url: &str) -> Option<LinkPreview> {
        let mut preview = LinkPreview {
            url: url.to_owned(),
            title: one_line(
                &self.title,
                PREVIEW_TITLE_BYTES_MAX,
                PREVIEW_TITLE_GRAPHEMES_MAX,
            ),
            description: one_line(
                &self.description,
                PREVIEW_DESCRIPTION_BYTES_MAX,
                PREVIEW_DESCRIPTION_GRAPHEMES_MAX,
            ),
            site: one_line(&self.site, NAME_BYTES_MAX, NAME_GRAPHEMES_MAX),
            image: self.image.clone(),
        };
        if preview.check(Count::GRAPHEMES).is_err() {
            // A picture's address can not be cut, only left out.
            preview.image = String::new();
        }
        preview.check(Count::GRAPHEMES).is_ok().then_some(preview)
    }
}

/// A page was read for a message. Decided anew each time it is tried.
#[derive(Clone, Debug)]
pub(crate) struct PageRead {
    conversation: ConversationId,
    message: Sequence,
    rev: Rev,
    preview: Box<LinkPreview>,
}

impl PageRead {
    /// Its name: the same at every try, and on every node.
    pub(crate) fn nonce(&self) -> Nonce {
        Nonce::preview_of(self.conversation, self.message, self.rev)
    }

    /// In whose name it is added, once the message was read.
    pub(crate) fn by(item: Option<&Option<Item>>) -> Option<UserId> {
        let item = item?.as_ref()?;
        Some(item.meta.sender.clone())
    }

    /// The entry that adds it; `None` if the message is gone, says something else by now, or shows it already.
    pub(crate) fn decide(&self, case: &Case<'_>) -> Option<Decision> {
        let Some(item) = case.item else {
            return Some(Decision::Item(Target::Number(self.message)));
        };
        let item = item.as_ref()?;
        let entry = &item.entry;
        let is_message = entry.kind == EntryKind::Message && entry.tombstone.is_none();
        let is_over = case.state.row.as_ref().is_none_or(|row| row.dissolved);
        // Behind a block nothing is to reach the peer of a direct conversation.
        let closed = !case.state.is_group() && case.state.is_blocked() && !item.meta.private;
        if !is_message || is_over || closed {
            return None;
        }
        let is_old = entry.body_rev() != self.rev && !case.config.breaks.preview_of_old;
        let link = link_of(entry.header.as_ref()?.kind, &entry.content);
        let is_other =
            link.as_ref() != Some(&self.preview.url) && !case.config.breaks.preview_of_old;
        let held = entry.facet::<LinkPreview>(FacetKind::Preview);
        if is_old || is_other || held.as_ref() == Some(&*self.preview) {
            return None;
        }
        let entry = NewEntry {
            private: item.meta.private,
            target: Some((item.meta.sequence, entry.body_rev())),
            facet: Some(FacetOp::Preview {
                preview: self.preview.clone(),
            }),
            keeps_revision: false,
            ..case.entry(EntryKind::Preview)
        };
        Some(Decision::Append(Plan {
            entries: vec![entry],
            ..Plan::default()
        }))
    }
}

impl Node {
    /// Asks for the pages of what a command has said, once that is durable.
    pub(crate) fn want_previews(&mut self, job: &Job, done: &Done) {
        let says = matches!(
            job.task,
            Task::Frame(ClientFrame::Send(_) | ClientFrame::Edit(_) | ClientFrame::Forward(_))
        );
        if !self.config.previews || !says || self.draining {
            return;
        }
        for stored in &done.entries {
            let meta = &stored.meta;
            let said = match meta.kind {
                EntryKind::Message | EntryKind::Edit => decode::<Entry>(&stored.body),
                _ => continue,
            };
            let Ok(said) = said else { continue };
            let before = job.item.as_ref().and_then(Option::as_ref);
            let header = match meta.kind {
                EntryKind::Message => said.header.as_ref(),
                _ => before.and_then(|item| item.entry.header.as_ref()),
            };
            let Some(url) = header.and_then(|header| link_of(header.kind, &said.content)) else {
                continue;
            };
            self.counters.previews_wanted += 1;
            self.out.previews.push_back(PreviewRequest {
                conversation: said.conversation,
                message: if meta.target == 0 {
                    meta.sequence
                } else {
                    meta.target
                },
                rev: meta.sequence,
                url,
            });
        }
    }

    /// What a page says that was read for a message.
    pub(crate) fn page_read(&mut self, request: PreviewRequest, page: &PageSummary, now: Now) {
        let lost = self.config.breaks.loss == Loss::Field("preview");
        if !self.config.previews || self.draining || self.is_overloaded(now) || lost {
            return;
        }
        let Some(preview) = page.preview(&request.url) else {
            return;
        };
        // Whose name it has is only known once the message is read.
        let Ok(nobody) = UserId::new("-") else {
            return;
        };
        let read = PageRead {
            conversation: request.conversation,
            message: request.message,
            rev: request.rev,
            preview: Box::new(preview),
        };
        let conversation = self.conversations.open(request.conversation);
        let job = Job::new(0, Origin::default(), nobody, Task::Preview(read));
        self.run(conversation, job, now);
        self.conversations.release(conversation);
    }
}
