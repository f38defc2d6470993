//! What comes in: frames to their handlers, live entries and skips into what is held. Nothing from a server is believed.

use bytes::Bytes;
use fireside_protocol::{
    Code, ConversationId, Entry, EntryKind, RawFrame, ServerFrame,
    frames::{Ack, Refused, Skip},
    limits::HOLE_REPAIR_DELAY_MS,
    personal::ReadersPage,
};

use crate::{
    Event, Session,
    conversation::{Applied, Keep},
    link::Request,
    pending::refusal,
    rows::message_text,
    session::LinkId,
    timers::Timer,
};

/// Arrivals that wait for a poll; more become `missed`.
const NOTICES_MAX: usize = 256;
/// Items remembered that are written while the cache is read; above it the cache is read again.
const LATE_MAX: usize = 1_024;

impl Session {
    pub(crate) fn on_frame(&mut self, link: LinkId, frame: &RawFrame) {
        if !self.is_link(link) {
            return;
        }
        let now = self.now;
        let request = frame.request;
        let body = match frame.server() {
            Ok(body) => body,
            Err(_) => {
                self.counters.frames_bad += 1;
                self.break_link(link, now);
                return;
            }
        };
        self.heard(link, now);
        match body {
            ServerFrame::Welcome(welcome) => {
                self.requests.remove(&request);
                self.on_welcome(link, welcome, now);
                for frame in self.take_ahead(link) {
                    self.on_frame(link, &frame);
                }
            }
            ServerFrame::Refused(refused) => self.on_refused(link, request, &refused),
            ServerFrame::Kicked(kicked) => self.on_kicked(link, kicked, now),
            ServerFrame::Draining(draining) => self.on_draining(link, draining, now),
            ServerFrame::Pong(pong) => self.on_pong(&pong, now),
            body if self.is_current(link) => self.on_event(request, body, &frame.body),
            ServerFrame::UserLogPage(_) | ServerFrame::HeadsPage(_) => {
                self.keep_ahead(link, frame);
            }
            _ => {}
        }
    }

    fn on_event(&mut self, request: u32, body: ServerFrame, raw: &Bytes) {
        match body {
            ServerFrame::Entry(entry) => self.on_entry(&entry, raw),
            ServerFrame::Skip(skip) => self.on_skip(&skip),
            ServerFrame::Head(head) => self.on_head(head, true),
            ServerFrame::UserRecord(record) => self.on_user_record(&record, true),
            ServerFrame::Receipt(receipt) => self.on_receipt(&receipt),
            ServerFrame::TypingOf(typing) => self.on_typing_of(&typing),
            ServerFrame::Transient(told) => self.on_transient(told),
            ServerFrame::Ack(ack) => self.on_ack(request, &ack),
            ServerFrame::Done(_) => match self.requests.remove(&request) {
                Some(Request::SetToken(call)) => self.on_token_set(call),
                Some(Request::Call(call)) => self.finish(call, Ok(crate::event::Completion::Done)),
                // A read marker is answered without an entry.
                Some(Request::Outbox(nonce)) => self.outbox_acked(&Ack {
                    nonce,
                    conversation: None,
                    sequence: 0,
                    ordinal: 0,
                    at: 0,
                    entry: None,
                    link: None,
                    expires: 0,
                }),
                _ => {}
            },
            ServerFrame::Page(page) => {
                self.counters.pages += 1;
                self.on_page(request, &page);
            }
            ServerFrame::HeadsPage(page) => {
                self.on_heads_page(request, page);
                self.sync_moved();
            }
            ServerFrame::UserLogPage(page) => {
                self.on_user_log_page(request, page);
                self.sync_moved();
            }
            ServerFrame::MembersPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_members(call, page);
                }
            }
            ServerFrame::RevisionsPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_revisions(call, page);
                }
            }
            ServerFrame::PinsPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_pins(call, &page);
                }
            }
            ServerFrame::BansPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_bans(call, page);
                }
            }
            ServerFrame::LinksPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_links(call, page);
                }
            }
            ServerFrame::ProfilesPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    let profiles = page.profiles;
                    self.finish(call, Ok(crate::event::Completion::Profiles(profiles)));
                }
            }
            ServerFrame::ChildrenPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    let fireside_protocol::frames::ChildrenPage { children, more, .. } = page;
                    self.finish(
                        call,
                        Ok(crate::event::Completion::Children { children, more }),
                    );
                }
            }
            ServerFrame::PresenceOf(presence) => self.on_presence(presence),
            ServerFrame::PresencePage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_presence_page(call, page);
                }
            }
            ServerFrame::ReadersPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    let ReadersPage { users, of, .. } = page;
                    self.finish(call, Ok(crate::event::Completion::Readers { users, of }));
                }
            }
            ServerFrame::DevicesPage(page) => {
                if let Some(Request::Call(call)) = self.requests.remove(&request) {
                    self.on_devices(call, page);
                }
            }
            // A later server's frame.
            _ => {}
        }
    }

    fn on_ack(&mut self, request: u32, ack: &Ack) {
        let asked = self.requests.remove(&request);
        if self.outbox.contains(ack.nonce) {
            self.outbox_acked(ack);
        } else if let Some(Request::Call(call)) = asked {
            self.on_call_ack(call, ack);
        }
    }

    fn on_refused(&mut self, link: LinkId, request: u32, refused: &Refused) {
        let asked = self.requests.remove(&request);
        let retry_ms = refused.retry_after_ms.clamp(1_000, 60_000);
        match asked {
            Some(Request::Login) => self.on_login_refused(link, refused, self.now),
            Some(Request::Outbox(nonce)) => self.outbox_refused(nonce, refused),
            Some(Request::Call(call)) => self.on_call_refused(call, refused),
            Some(Request::SetToken(call)) => self.on_token_refused(call, refused),
            Some(Request::Page(conversation)) => {
                self.on_page_refused(conversation, request, refused);
            }
            Some(Request::HeadsMore | Request::UserLog) => self.retry_sync(retry_ms),
            Some(Request::Delivered(conversation)) => {
                if refused.code().retryable() {
                    self.mark_lost(conversation, retry_ms);
                }
            }
            Some(Request::HeadsOf(conversations)) => {
                let again = refused.code().retryable().then_some(retry_ms);
                self.heads_not_told(&conversations, again);
            }
            None => {
                if let Some(nonce) = refused.nonce {
                    self.outbox_refused(nonce, refused);
                }
            }
        }
    }

    /// The transport gave a request up.
    pub(crate) fn on_request_lost(&mut self, request: u32) {
        let mut refused = Refused::new(Code::Overloaded);
        refused.retry_after_ms = 250;
        match self.requests.remove(&request) {
            Some(Request::Outbox(nonce)) => self.outbox_refused(nonce, &refused),
            Some(Request::Call(call)) => self.call_lost(call),
            Some(Request::SetToken(call)) => self.finish(call, Err(refusal(&refused))),
            Some(Request::Page(conversation)) => {
                self.on_page_refused(conversation, request, &refused);
            }
            Some(Request::HeadsMore | Request::UserLog) => self.retry_sync(250),
            Some(Request::Delivered(conversation)) => self.mark_lost(conversation, 250),
            Some(Request::HeadsOf(conversations)) => {
                self.heads_not_told(&conversations, Some(250));
            }
            Some(Request::Login) | None => {}
        }
    }

    fn on_entry(&mut self, entry: &Entry, raw: &Bytes) {
        let id = entry.conversation;
        if entry.sequence == 0 {
            self.counters.frames_bad += 1;
            return;
        }
        self.counters.entries += 1;
        if !self.conversations.contains_key(&id) {
            // The head tells what it is, and then the page brings the entry.
            self.ask_head(id, 0);
            self.notice(entry);
            return;
        }
        self.apply_live(entry, Some(raw));
        self.settle_by_entry(entry);
    }

    /// An entry that is known to be in the log, from the server or from an ack.
    pub(crate) fn apply_live(&mut self, entry: &Entry, raw: Option<&Bytes>) {
        let id = entry.conversation;
        let row = if entry.kind.is_change() {
            0
        } else {
            self.row_for(entry)
        };
        let breaks = self.config.breaks;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        // A head may have told of it before it came: then it is counted, and still news.
        let unseen = !conversation.covered.contains(entry.sequence);
        let new = unseen && entry.sequence > conversation.counted_to;
        let mut applied = conversation.apply_entry(entry, raw, row, breaks);
        let keep = std::mem::take(&mut applied.keep);
        self.after(id, keep, &applied);
        self.count(entry);
        if new {
            self.on_member_change(entry);
            self.on_settings(entry);
        }
        if unseen {
            self.notice(entry);
        }
        self.mark_delivered(id, std::iter::once(entry));
        // A page is read while its author may write on already.
        if entry.kind != EntryKind::Preview {
            self.typing_ended(id, &entry.sender);
        }
    }

    fn on_skip(&mut self, skip: &Skip) {
        self.counters.skips += 1;
        let id = skip.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            self.ask_head(id, 0);
            return;
        };
        let mut applied = conversation.apply_skip(skip.first, skip.last);
        let keep = std::mem::take(&mut applied.keep);
        self.count_skip(id, skip.first, skip.last);
        self.after(id, keep, &applied);
    }

    /// What follows every change of what is held.
    pub(crate) fn after(&mut self, id: ConversationId, keep: Vec<Keep>, applied: &Applied) {
        self.counters.frames_bad += applied.bad;
        self.sync_moved();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        if let Some(late) = &mut conversation.late {
            late.void |= applied.reset || late.keep.len() > LATE_MAX;
            if !late.void {
                late.keep.extend_from_slice(&keep);
            }
        }
        if !conversation.repair.is_empty() {
            let at = self.now.monotonic_ms.saturating_add(HOLE_REPAIR_DELAY_MS);
            self.timers.set_sooner(Timer::Repair(id), at);
        }
        if applied.reset {
            self.cache.transaction.drop_items.push(id);
        }
        self.cache.keep(id, keep);
        self.cache.touch(id);
        // What is accounted for is no hole any more, whether it shows or not.
        if applied.shown || applied.new || applied.covered {
            self.timeline_dirty(id);
        }
        self.list.touch(id);
        self.bound_memory(id);
    }

    fn notice(&mut self, entry: &Entry) {
        if entry.kind != EntryKind::Message || self.is_own_here(entry) {
            return;
        }
        let text = message_text(&entry.content).and_then(|text| self.lent.text(&text));
        let sender = self.lent.user(&entry.sender);
        self.push_notice(Event::MessageReceived {
            conversation: entry.conversation,
            sequence: entry.sequence,
            sender,
            text,
            at: entry.at,
        });
    }

    pub(crate) fn push_notice(&mut self, notice: Event) {
        let message = matches!(notice, Event::MessageReceived { .. } | Event::Transient(_));
        // Invitations are kept in the profile too, and are few: they get a second helping.
        let max = if message {
            NOTICES_MAX
        } else {
            2 * NOTICES_MAX
        };
        if self.notices.len() < max {
            self.notices.push_back(notice);
        } else {
            self.missed += u64::from(message);
        }
    }

    /// A message that this very device sent.
    fn is_own_here(&self, entry: &Entry) -> bool {
        self.me.as_ref() == Some(&entry.sender)
            && entry
                .nonce
                .is_some_and(|nonce| self.outbox.was_sent_here(nonce))
    }
}
