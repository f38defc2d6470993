//! Marks that move forward and what is lost without harm: delivered, read, typing, attention.

use fireside_protocol::{
    ClientFrame, ConversationId, Entry, EntryKind, Sequence, UserId,
    frames::{Attention, Delivered, Receipt, Typing, TypingOf},
    limits::{RECEIPT_INTERVAL_MS, RECEIPT_MEMBERS_MAX, TYPING_TIMEOUT_MS},
};

use crate::{Event, Session, link::Request, sorted::Map, timers::Timer};

/// Typing is said again after this while keys are pressed, in ms.
const TYPING_EVERY_MS: u64 = 3_000;
/// Delivered marks of one device a second, over all conversations: the server drops what comes too fast.
const MARKS_PER_S: u32 = 8;
/// Typing users remembered and typing events that wait.
const TYPING_MAX: usize = 256;

/// Marks and typing.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// Delivered marks said and to say.
    delivered: Map<ConversationId, (Sequence, Sequence)>,
    /// When the second began in which marks are counted, in ms, and how many were said in it.
    second: (u64, u32),
    /// What is on screen changed while it could not be said.
    attention_due: bool,
    /// Own typing: when it was said last.
    typing: Map<ConversationId, u64>,
    counter: u64,
    /// Others' typing and its counter.
    typing_of: Map<(ConversationId, UserId), u64>,
    /// Typing events that wait for a poll; the newest of each user.
    events: Map<(ConversationId, UserId), bool>,
}

impl Session {
    /// Says which conversations are on screen.
    pub(crate) fn send_attention(&mut self) {
        self.receipts.attention_due = !self.is_ready();
        if self.is_ready() {
            let open = self.open.clone();
            self.send(&ClientFrame::Attention(Attention { open }), 0);
        }
    }

    /// Messages of the peer came to this device.
    pub(crate) fn mark_delivered<'a>(
        &mut self,
        id: ConversationId,
        entries: impl Iterator<Item = &'a Entry>,
    ) {
        let Some(held) = self.conversations.get_mut(&id) else {
            return;
        };
        if !held.is_direct() {
            return;
        }
        let others = entries.filter(|entry| {
            entry.kind == EntryKind::Message && self.me.as_ref() != Some(&entry.sender)
        });
        let Some(newest) = others.map(|entry| entry.sequence).max() else {
            return;
        };
        if newest > held.got {
            held.got = newest;
            self.cache.touch(id);
        }
        self.deliver_held(id);
    }

    /// Marks what this device has: after a page, and after a head, which comes for all that moved before a link (or the process) was
    /// lost, and with it perhaps the mark.
    pub(crate) fn deliver_held(&mut self, id: ConversationId) {
        let got = self.conversations.get(&id).map_or(0, |held| held.got);
        if got > 0 {
            self.deliver_to(id, got);
        }
    }

    fn deliver_to(&mut self, id: ConversationId, upto: Sequence) {
        let marks = self.receipts.delivered.or_default(id);
        if upto <= marks.1 {
            return;
        }
        marks.1 = upto;
        if !self.timers.is_set(&Timer::Delivered(id)) {
            self.on_delivered_due(id);
        }
    }

    /// At most two marks a second and conversation, and [`MARKS_PER_S`] over all.
    pub(crate) fn on_delivered_due(&mut self, id: ConversationId) {
        if !self.is_ready() {
            return;
        }
        let now = self.now.monotonic_ms;
        let Some(marks) = self.receipts.delivered.get_mut(&id) else {
            return;
        };
        if marks.1 > marks.0 {
            let (since, said) = &mut self.receipts.second;
            if now >= since.saturating_add(1_000) {
                (*since, *said) = (now, 0);
            }
            if *said >= MARKS_PER_S {
                let at = since.saturating_add(1_000);
                return self.timers.set(Timer::Delivered(id), at);
            }
            *said += 1;
            marks.0 = marks.1;
            let upto = marks.1;
            let frame = ClientFrame::Delivered(Delivered {
                conversation: id,
                upto,
            });
            self.request(&frame, Request::Delivered(id));
            let at = now.saturating_add(RECEIPT_INTERVAL_MS);
            self.timers.set(Timer::Delivered(id), at);
        }
    }

    /// The server could not take a mark now: it is said again, after so many ms.
    pub(crate) fn mark_lost(&mut self, id: ConversationId, after_ms: u64) {
        if let Some(marks) = self.receipts.delivered.get_mut(&id) {
            marks.0 = 0;
            let at = self.now.monotonic_ms.saturating_add(after_ms);
            self.timers.set(Timer::Delivered(id), at);
        }
    }

    /// Marks that could not be said without a link.
    pub(crate) fn receipts_connected(&mut self) {
        if self.receipts.attention_due {
            self.send_attention();
        }
        let due: Vec<ConversationId> = (self.receipts.delivered.iter())
            .filter(|(_, (said, wanted))| wanted > said)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.on_delivered_due(id);
        }
    }

    pub(crate) fn on_receipt(&mut self, receipt: &Receipt) {
        let id = receipt.conversation;
        let Some(held) = self.conversations.get_mut(&id) else {
            return;
        };
        if !held.is_direct() && self.me.as_ref() != Some(&receipt.user) {
            let known = held.readers.get(&receipt.user).map_or(0, |known| known.1);
            if receipt.gone {
                held.readers.remove(&receipt.user);
            } else if known > 0 || held.readers.len() < 2 * RECEIPT_MEMBERS_MAX {
                let read = known.max(receipt.read);
                held.readers
                    .insert(receipt.user.clone(), (receipt.joined, read));
            }
            self.timeline_dirty(id);
            return;
        }
        if held.head.peer.as_ref() != Some(&receipt.user) {
            return;
        }
        let head = &mut held.head;
        head.peer_delivered = head.peer_delivered.max(receipt.delivered).max(receipt.read);
        head.peer_read = head.peer_read.max(receipt.read);
        self.cache.touch(id);
        self.timeline_dirty(id);
    }

    /// The user types or stopped. Debounced: said at once, then every few seconds.
    pub(crate) fn typing(&mut self, id: ConversationId, on: bool) {
        if !self.is_ready() {
            return;
        }
        let now = self.now.monotonic_ms;
        let said = self.receipts.typing.get(&id).copied();
        if on {
            if said.is_some_and(|at| now < at.saturating_add(TYPING_EVERY_MS)) {
                return;
            }
            if said.is_none() && self.receipts.typing.len() >= TYPING_MAX {
                self.receipts.typing.clear();
            }
            self.receipts.typing.insert(id, now);
        } else {
            let lately = |at: u64| now < at.saturating_add(TYPING_TIMEOUT_MS);
            if !self.receipts.typing.remove(&id).is_some_and(lately) {
                return;
            }
        }
        self.receipts.counter += 1;
        let frame = ClientFrame::Typing(Typing {
            conversation: id,
            counter: self.receipts.counter,
            on,
        });
        self.send(&frame, 0);
    }

    /// A message ends typing for everybody: there is nothing to say.
    pub(crate) fn receipts_sent(&mut self, id: ConversationId) {
        self.receipts.typing.remove(&id);
    }

    pub(crate) fn on_typing_of(&mut self, typing: &TypingOf) {
        let id = typing.conversation;
        if self.me.as_ref() == Some(&typing.user) || !self.conversations.contains_key(&id) {
            return;
        }
        let key = (id, typing.user.clone());
        let known = self.receipts.typing_of.get(&key).copied();
        if known.is_some_and(|counter| typing.counter <= counter) {
            return;
        }
        let timer = Timer::TypingOf(id, typing.user.clone());
        let was_on = self.timers.is_set(&timer);
        if known.is_none() && self.receipts.typing_of.len() >= TYPING_MAX {
            let timers = &self.timers;
            (self.receipts.typing_of)
                .retain(|(id, user), _| timers.is_set(&Timer::TypingOf(*id, user.clone())));
            if self.receipts.typing_of.len() >= TYPING_MAX {
                return;
            }
        }
        self.receipts.typing_of.insert(key, typing.counter);
        if typing.on {
            let at = self.now.monotonic_ms.saturating_add(TYPING_TIMEOUT_MS);
            self.timers.set(timer, at);
        } else {
            self.timers.clear(&timer);
        }
        if was_on != typing.on {
            self.say_typing(id, &typing.user, typing.on);
        }
    }

    /// It ends by itself, or with a message.
    pub(crate) fn typing_ended(&mut self, id: ConversationId, user: &UserId) {
        let timer = Timer::TypingOf(id, user.clone());
        if self.timers.is_set(&timer) {
            self.timers.clear(&timer);
            self.say_typing(id, user, false);
        }
    }

    pub(crate) fn say_typing(&mut self, id: ConversationId, user: &UserId, on: bool) {
        if self.receipts.events.len() < TYPING_MAX || !on {
            self.receipts.events.insert((id, user.clone()), on);
        }
    }

    /// Counters are of one session with the server. What was said of delivered marks may be lost with the link, and is said again when
    /// a head tells that the conversation moved.
    pub(crate) fn marks_lost(&mut self) {
        self.receipts.delivered.clear();
        for id in self.open.clone() {
            if let Some(held) = self.conversations.get_mut(&id) {
                held.readers.clear();
            }
        }
        self.receipts.typing.clear();
        self.receipts.typing_of.clear();
    }

    pub(crate) fn poll_typing(&mut self) -> Option<Event> {
        let ((conversation, user), on) = self.receipts.events.pop_first()?;
        Some(Event::Typing {
            conversation,
            user,
            on,
        })
    }
}
