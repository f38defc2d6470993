//! Commands that wait for their outcome: first in, first out per conversation, each naming the one before it.

mod outcomes;

use std::collections::VecDeque;

use bytes::Bytes;
use fireside_protocol::{
    ClientFrame, Code, ConversationId, Entry, Header, Nonce, Now, Personal, Sequence, UserId,
    codec::{Wire, read_whole},
    content::{CustomContent, Span},
    frames::{Answer, ClosePoll, Edit, Pin, React, Read, Recall, Send, SetLive, Vote},
    limits::{OUTBOX_ENTRIES_MAX, SENDS_IN_FLIGHT_MAX},
    personal::{SetDraft, SetPersonal},
};

use crate::{
    RequestId, Session,
    id_set::IdSet,
    link::Request,
    rows::said,
    sorted::Map,
    storage::OutboxRecord,
    timers::Timer,
    view::{Body, MessageState},
};

/// Without a word about a command for this long it is sent again, in ms.
const UNANSWERED_MS: u64 = 20_000;
/// Own pace after a refusal that may pass, in ms: doubles from the first to the second.
const RETRY_MS: (u64, u64) = (250, 30_000);
/// How often the ages are looked at, in ms.
const EXPIRY_EVERY_MS: u64 = 60_000;
/// Names of own messages remembered, to tell them from those of other devices.
const SENT_HERE_MAX: usize = 256;

/// Where a command is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Not on its way.
    Waiting,
    /// On its way since.
    InFlight(u64),
    /// Refused for good.
    Failed(Code),
}

/// How far a message of this device is.
impl Outgoing {
    /// Of a message: what it goes out with.
    pub(crate) const fn header(&self) -> Option<&Header> {
        match &self.frame {
            ClientFrame::Send(send) => Some(&send.header),
            _ => None,
        }
    }

    /// For its echo.
    pub(crate) fn state(&self) -> MessageState {
        match self.stage {
            Stage::Failed(code) => MessageState::Failed(code),
            _ if self.held => MessageState::Held,
            _ => MessageState::Sending,
        }
    }
}

/// A command that waits.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) record: OutboxRecord,
    frame: ClientFrame,
    calls: Vec<RequestId>,
    stage: Stage,
    not_before: u64,
    attempts: u32,
    /// It was tried before this process.
    resumed: bool,
    /// Its row is on disk.
    stored: bool,
    /// That it is being tried is on disk, or in the first row that the disk gets of it.
    tried_stored: bool,
    /// It waits for a moderator.
    held: bool,
    /// What its echo says.
    pub(crate) said: Option<(Body, Vec<Span>)>,
}

/// A wish for a facet that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PendingFacet<'a> {
    /// Vote in a poll.
    Vote(&'a [u32]),
    /// Close a poll.
    ClosePoll,
    /// Change a live object.
    Live(&'a CustomContent),
    /// React with a key, or take it back.
    React(&'a str, bool),
    /// Pin or unpin.
    Pin(bool),
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: Map<Nonce, Box<Outgoing>>,
    queues: Map<ConversationId, VecDeque<Nonce>>,
    position: u64,
    in_flight: usize,
    /// Reactions and pins among them: mostly none, and then no row of a timeline need look for its own.
    facets: usize,
    dirty: IdSet,
    sent_here: VecDeque<Nonce>,
}

impl Outbox {
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= OUTBOX_ENTRIES_MAX
    }

    pub(crate) fn contains(&self, nonce: Nonce) -> bool {
        self.entries.contains_key(&nonce)
    }

    /// The header of a message that waits here.
    pub(crate) fn header(&self, nonce: Nonce) -> Option<&Header> {
        self.entries.get(&nonce)?.header()
    }

    pub(crate) fn any_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether a message of this name came from this device lately.
    pub(crate) fn was_sent_here(&self, nonce: Nonce) -> bool {
        self.entries.contains_key(&nonce) || self.sent_here.contains(&nonce)
    }

    /// The row of an own message that waits here.
    pub(crate) fn row_of(&self, entry: &Entry, me: Option<&UserId>) -> Option<u64> {
        let outgoing = self.entries.get(&entry.nonce?)?;
        let own = me == Some(&entry.sender)
            && outgoing.record.conversation == entry.conversation
            && outgoing.record.row != 0;
        own.then_some(outgoing.record.row)
    }

    /// Read up to here, as this device has said or will say.
    pub(crate) fn pending_read(&self, id: ConversationId) -> Sequence {
        (self.queue(id))
            .filter_map(|outgoing| match &outgoing.frame {
                ClientFrame::Read(read) => Some(read.upto),
                _ => None,
            })
            .max()
            .unwrap_or(0)
    }

    /// The commands of a conversation, oldest first.
    fn queue(&self, id: ConversationId) -> impl DoubleEndedIterator<Item = &Outgoing> {
        (self.queues.get(&id).into_iter().flatten())
            .filter_map(|nonce| self.entries.get(nonce).map(|outgoing| &**outgoing))
    }

    /// What waits of a conversation, oldest first; not what failed for good.
    pub(crate) fn frames(
        &self,
        id: ConversationId,
    ) -> impl DoubleEndedIterator<Item = &ClientFrame> {
        (self.queue(id))
            .filter(|outgoing| outgoing.record.failed == 0)
            .map(|outgoing| &outgoing.frame)
    }

    /// Messages to show as echoes: those on disk, oldest first.
    pub(crate) fn echoes(&self, id: ConversationId) -> impl Iterator<Item = &Outgoing> {
        (self.queue(id)).filter(|outgoing| outgoing.stored && outgoing.record.row != 0)
    }

    /// What an edit or recall that waits will make of a message: `Some(None)` nothing of it.
    pub(crate) fn pending_change(
        &self,
        id: ConversationId,
        sequence: Sequence,
        nonce: Option<Nonce>,
    ) -> Option<Option<&Bytes>> {
        let same = |target: Sequence, target_nonce: Option<Nonce>| {
            (target != 0 && target == sequence) || (nonce.is_some() && target_nonce == nonce)
        };
        self.queue(id)
            .rev()
            .filter(|outgoing| outgoing.stored)
            .find_map(|outgoing| match &outgoing.frame {
                ClientFrame::Edit(edit) if same(edit.target, edit.target_nonce) => {
                    Some(Some(&edit.content))
                }
                ClientFrame::Recall(recall) if same(recall.target, recall.target_nonce) => {
                    Some(None)
                }
                _ => None,
            })
    }

    /// What those that wait will make of an item's facets, oldest first.
    pub(crate) fn pending_facets(
        &self,
        id: ConversationId,
        entry: &Entry,
    ) -> Vec<PendingFacet<'_>> {
        if self.facets == 0 {
            return Vec::new();
        }
        let own = entry.nonce.is_some();
        let same = |target: Sequence, target_nonce: Option<Nonce>| {
            (target != 0 && target == entry.sequence) || (own && target_nonce == entry.nonce)
        };
        (self.queue(id))
            .filter(|outgoing| outgoing.stored && outgoing.record.failed == 0)
            .filter_map(|outgoing| match &outgoing.frame {
                ClientFrame::React(react) if same(react.target, react.target_nonce) => {
                    Some(PendingFacet::React(&react.key, react.on))
                }
                ClientFrame::Pin(pin) if same(pin.target, pin.target_nonce) => {
                    Some(PendingFacet::Pin(pin.on))
                }
                ClientFrame::Vote(vote) if same(vote.target, vote.target_nonce) => {
                    Some(PendingFacet::Vote(&vote.choices))
                }
                ClientFrame::ClosePoll(close) if same(close.target, close.target_nonce) => {
                    Some(PendingFacet::ClosePoll)
                }
                ClientFrame::SetLive(set) if same(set.target, set.target_nonce) => {
                    Some(PendingFacet::Live(&set.state))
                }
                _ => None,
            })
            .collect()
    }

    fn take(&mut self, nonce: Nonce) -> Option<Box<Outgoing>> {
        let outgoing = self.entries.remove(&nonce)?;
        self.facets -= usize::from(is_facet(&outgoing.frame));
        if matches!(outgoing.stage, Stage::InFlight(_)) {
            self.in_flight -= 1;
        }
        let id = outgoing.record.conversation;
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.retain(|other| *other != nonce);
            if queue.is_empty() {
                self.queues.remove(&id);
            }
        }
        if self.sent_here.len() >= SENT_HERE_MAX {
            self.sent_here.pop_front();
        }
        self.sent_here.push_back(nonce);
        self.dirty.insert(id);
        Some(outgoing)
    }

    fn set_stage(&mut self, nonce: Nonce, stage: Stage) {
        if let Some(outgoing) = self.entries.get_mut(&nonce) {
            let was = matches!(outgoing.stage, Stage::InFlight(_));
            let is = matches!(stage, Stage::InFlight(_));
            outgoing.stage = stage;
            self.in_flight = self.in_flight + usize::from(is) - usize::from(was);
            self.dirty.insert(outgoing.record.conversation);
        }
    }
}

impl Session {
    /// Puts a command into the outbox. With a link it is sent while its row is written, else once it is on disk.
    pub(crate) fn outbox_add(
        &mut self,
        call: RequestId,
        id: ConversationId,
        frame: ClientFrame,
        now: Now,
    ) -> Result<(), Code> {
        self.outbox_put(vec![call], id, frame, now)
    }

    /// The same for as many calls as wait for it.
    pub(crate) fn outbox_put(
        &mut self,
        mut calls: Vec<RequestId>,
        id: ConversationId,
        mut frame: ClientFrame,
        now: Now,
    ) -> Result<(), Code> {
        let Some(nonce) = frame.nonce().filter(|_| is_kept(&frame)) else {
            return Err(Code::ArgumentInvalid);
        };
        let begun = calls.clone();
        if let ClientFrame::Read(read) = &frame {
            // The newest marker stands for those before it.
            let older: Vec<Nonce> = (self.outbox.queue(id))
                .filter(|other| other.stage == Stage::Waiting)
                .filter(
                    |other| matches!(&other.frame, ClientFrame::Read(old) if old.upto <= read.upto),
                )
                .map(|other| other.record.nonce)
                .collect();
            for nonce in older {
                if let Some(old) = self.outbox.take(nonce) {
                    calls.extend(old.calls);
                    self.outbox_forget(nonce);
                }
            }
        }
        self.outbox_merge(&mut calls, id, &mut frame);
        if self.outbox.is_full() {
            return Err(Code::OutboxFull);
        }
        self.outbox.position += 1;
        let row = match &frame {
            ClientFrame::Send(_) => self.cache.row(),
            _ => 0,
        };
        // While there is a link it is tried at once; a note of its own would cost a second write.
        let tried = self.is_ready();
        let record = record_of(&frame, nonce, id, row, self.outbox.position, tried, now);
        for call in begun {
            self.begin(call);
        }
        self.cache.transaction.outbox.push(record.clone());
        self.outbox_insert(record, frame, calls, false);
        Ok(())
    }

    /// Of own settings and drafts the newest stands for those before it that are not on their way.
    fn outbox_merge(
        &mut self,
        calls: &mut Vec<RequestId>,
        id: ConversationId,
        frame: &mut ClientFrame,
    ) {
        let same = frame.kind();
        let apart = matches!(
            frame,
            ClientFrame::SetPersonal(_) | ClientFrame::SetDraft(_)
        );
        let older: Vec<Nonce> = (self.outbox.queue(id))
            .filter(|other| apart && other.stage == Stage::Waiting && other.frame.kind() == same)
            .map(|other| other.record.nonce)
            .collect();
        let mut merged: Option<Personal> = None;
        for nonce in older {
            let Some(old) = self.outbox.take(nonce) else {
                continue;
            };
            calls.extend(old.calls);
            self.outbox_forget(nonce);
            if let ClientFrame::SetPersonal(old) = old.frame {
                merged.get_or_insert(Personal::NOTHING).overlay(&old.change);
            }
        }
        if let (ClientFrame::SetPersonal(set), Some(mut merged)) = (frame, merged) {
            merged.overlay(&set.change);
            set.change = merged;
        }
    }

    /// A message is sent that takes the draft away: none that waits is said any more.
    pub(crate) fn outbox_drop_drafts(&mut self, id: ConversationId) {
        let drafts: Vec<Nonce> = (self.outbox.queue(id))
            .filter(|other| matches!(other.frame, ClientFrame::SetDraft(_)))
            .map(|other| other.record.nonce)
            .collect();
        for nonce in drafts {
            if self.outbox.take(nonce).is_some() {
                self.outbox_forget(nonce);
            }
        }
    }

    fn outbox_insert(
        &mut self,
        record: OutboxRecord,
        frame: ClientFrame,
        calls: Vec<RequestId>,
        stored: bool,
    ) {
        let (id, nonce) = (record.conversation, record.nonce);
        let said = match &frame {
            ClientFrame::Send(send) => said(send.header.kind, &send.content),
            _ => None,
        };
        let stage = match record.failed {
            0 => Stage::Waiting,
            code => Stage::Failed(Code::from_number(code)),
        };
        let tried_stored = record.tried;
        let outgoing = Box::new(Outgoing {
            record,
            frame,
            calls,
            stage,
            not_before: 0,
            attempts: 0,
            resumed: stored && tried_stored,
            stored,
            tried_stored,
            held: false,
            said,
        });
        let is_one = is_facet(&outgoing.frame);
        let before = self.outbox.entries.insert(nonce, outgoing);
        let was_one = before.is_some_and(|before| is_facet(&before.frame));
        self.outbox.facets = self.outbox.facets + usize::from(is_one) - usize::from(was_one);
        self.outbox.queues.or_default(id).push_back(nonce);
        self.outbox.dirty.insert(id);
        if !self.timers.is_set(&Timer::Expiry) {
            let at = self.now.monotonic_ms.saturating_add(EXPIRY_EVERY_MS);
            self.timers.set(Timer::Expiry, at);
        }
    }

    /// What the cache held.
    pub(crate) fn outbox_loaded(&mut self, records: Vec<OutboxRecord>, now: Now) {
        let mut by_position = Map::default();
        for record in records {
            by_position.insert((record.position, record.nonce), record);
        }
        for record in by_position.into_values().take(OUTBOX_ENTRIES_MAX) {
            self.outbox.position = self.outbox.position.max(record.position);
            let fits = |frame: &ClientFrame| frame.nonce() == Some(record.nonce);
            match kept(record.kind, &record.body).filter(fits) {
                Some(frame) => self.outbox_insert(record, frame, Vec::new(), true),
                None => self.cache.transaction.outbox_remove.push(record.nonce),
            }
        }
        self.outbox_expire(now);
    }

    /// Rows are on disk (or there is no disk): they show, and go out if they have not yet.
    pub(crate) fn outbox_stored(&mut self, nonces: &[Nonce], now: Now) {
        for nonce in nonces {
            let Some(outgoing) = self.outbox.entries.get_mut(nonce) else {
                continue;
            };
            outgoing.stored = true;
            outgoing.tried_stored = outgoing.record.tried;
            let id = outgoing.record.conversation;
            self.outbox.dirty.insert(id);
        }
        if !nonces.is_empty() {
            self.outbox_pump(now);
        }
    }

    /// Logged in: all that waits goes out.
    pub(crate) fn outbox_connected(&mut self, now: Now) {
        let all: Vec<ConversationId> = self.outbox.queues.keys().copied().collect();
        for id in all {
            self.outbox.dirty.insert(id);
        }
        self.outbox_pump(now);
    }

    /// The link is gone: what was on its way is sent again, in order.
    pub(crate) fn outbox_lost(&mut self, _now: Now) {
        for outgoing in self.outbox.entries.values_mut() {
            if matches!(outgoing.stage, Stage::InFlight(_)) {
                outgoing.stage = Stage::Waiting;
            }
            outgoing.not_before = 0;
        }
        self.outbox.in_flight = 0;
    }

    /// Sends what may be sent of the conversations where something changed.
    pub(crate) fn outbox_pump(&mut self, now: Now) {
        let mut dirty = std::mem::take(&mut self.outbox.dirty);
        while let Some(id) = dirty.pop_first() {
            self.timeline_dirty(id);
            self.outbox_send(id, now);
        }
    }

    fn outbox_send(&mut self, id: ConversationId, now: Now) {
        if !self.is_ready() {
            return;
        }
        let shuffled = self.config.breaks.outbox_order;
        let mut flying = 0;
        let mut before: Option<Nonce> = None;
        let mut queue: Vec<Nonce> = (self.outbox.queues.get(&id).into_iter().flatten())
            .copied()
            .collect();
        if shuffled {
            queue.reverse();
        }
        let mut blocked = false;
        let mut own_flying: Vec<u16> = Vec::new();
        for nonce in queue {
            let Some(outgoing) = self.outbox.entries.get_mut(&nonce) else {
                continue;
            };
            let read = is_apart(&outgoing.frame);
            let kind = outgoing.frame.kind();
            // Of own settings and of drafts one is on its way at a time: the last one said is the last one taken.
            if own_flying.contains(&kind) && outgoing.stage == Stage::Waiting {
                continue;
            }
            match outgoing.stage {
                Stage::Failed(_) => continue,
                Stage::InFlight(_) => {
                    if !read {
                        flying += 1;
                        before = Some(nonce);
                    } else if !matches!(outgoing.frame, ClientFrame::Read(_)) {
                        own_flying.push(kind);
                    }
                    continue;
                }
                Stage::Waiting => {}
            }
            if !read && (blocked || flying >= SENDS_IN_FLIGHT_MAX) {
                blocked = true;
                continue;
            }
            // On disk, or named there from the first as tried: its row is on its way, and the message may overtake it. A client that
            // is killed between the two has shown no echo. Read markers wait, so that the newest can stand for those before it.
            if !outgoing.stored && (read || !outgoing.tried_stored) {
                blocked |= !read;
                continue;
            }
            if outgoing.not_before > now.monotonic_ms {
                let at = outgoing.not_before;
                self.timers.set_sooner(Timer::Outbox(id), at);
                blocked |= !read;
                continue;
            }
            if !outgoing.record.tried {
                outgoing.record.tried = true;
                self.cache.transaction.outbox.push(outgoing.record.clone());
            }
            if !outgoing.tried_stored {
                // On disk first: a recall must know whether anybody may have it.
                blocked |= !read;
                continue;
            }
            if outgoing.attempts > 0 {
                self.counters.resends += 1;
            }
            outgoing.attempts = outgoing.attempts.saturating_add(1);
            let after = before.filter(|_| !shuffled);
            set_after(&mut outgoing.frame, after);
            let frame = std::mem::replace(&mut outgoing.frame, ClientFrame::Unknown(0));
            if read && !matches!(frame, ClientFrame::Read(_)) {
                own_flying.push(kind);
            }
            self.outbox
                .set_stage(nonce, Stage::InFlight(now.monotonic_ms));
            self.outbox.dirty.remove(id);
            let at = now.monotonic_ms.saturating_add(UNANSWERED_MS);
            self.timers.set_sooner(Timer::Unanswered(id), at);
            self.request(&frame, Request::Outbox(nonce));
            if let Some(outgoing) = self.outbox.entries.get_mut(&nonce) {
                outgoing.frame = frame;
            }
            if !read {
                flying += 1;
                before = Some(nonce);
            }
        }
    }

    /// Nothing was heard of some for long: all of the conversation are sent again, in order.
    pub(crate) fn on_unanswered(&mut self, id: ConversationId, now: Now) {
        let since = (self.outbox.queue(id))
            .filter_map(|outgoing| match outgoing.stage {
                Stage::InFlight(since) => Some(since),
                _ => None,
            })
            .min();
        let Some(since) = since else { return };
        let due = since.saturating_add(UNANSWERED_MS);
        if due > now.monotonic_ms {
            self.timers.set(Timer::Unanswered(id), due);
            return;
        }
        let flying: Vec<Nonce> = (self.outbox.queue(id))
            .filter(|outgoing| matches!(outgoing.stage, Stage::InFlight(_)))
            .map(|outgoing| outgoing.record.nonce)
            .collect();
        for nonce in flying {
            self.outbox.set_stage(nonce, Stage::Waiting);
        }
        self.outbox_pump(now);
    }

    pub(crate) fn on_outbox_due(&mut self, id: ConversationId, now: Now) {
        self.outbox.dirty.insert(id);
        self.outbox_pump(now);
    }

    /// The row number of an entry that came in: its echo's, if it is from here.
    pub(crate) fn row_for(&mut self, entry: &Entry) -> u64 {
        match self.outbox.row_of(entry, self.me.as_ref()) {
            Some(row) => row,
            None => self.cache.row(),
        }
    }
}

fn record_of(
    frame: &ClientFrame,
    nonce: Nonce,
    conversation: ConversationId,
    row: u64,
    position: u64,
    tried: bool,
    now: Now,
) -> OutboxRecord {
    let mut body = Vec::with_capacity(256);
    frame.write_body(&mut body);
    OutboxRecord {
        nonce,
        conversation,
        position,
        row,
        created_at: now.wall_ms,
        tried,
        failed: 0,
        kind: frame.kind(),
        body: body.into(),
    }
}

/// What stands in no order with the messages of its conversation.
const fn is_apart(frame: &ClientFrame) -> bool {
    matches!(
        frame,
        ClientFrame::Read(_) | ClientFrame::SetPersonal(_) | ClientFrame::SetDraft(_)
    )
}

const fn is_facet(frame: &ClientFrame) -> bool {
    matches!(
        frame,
        ClientFrame::React(_)
            | ClientFrame::Pin(_)
            | ClientFrame::Vote(_)
            | ClientFrame::ClosePoll(_)
            | ClientFrame::SetLive(_)
    )
}

const fn set_after(frame: &mut ClientFrame, after: Option<Nonce>) {
    match frame {
        ClientFrame::Send(send) => send.after = after,
        ClientFrame::Edit(edit) => edit.after = after,
        ClientFrame::Recall(recall) => recall.after = after,
        ClientFrame::React(react) => react.after = after,
        ClientFrame::Pin(pin) => pin.after = after,
        ClientFrame::Vote(vote) => vote.after = after,
        ClientFrame::ClosePoll(close) => close.after = after,
        ClientFrame::SetLive(set) => set.after = after,
        ClientFrame::Answer(answer) => answer.after = after,
        _ => {}
    }
}

macro_rules! kept {
    ($($kind:ident),*) => {
        /// Whether a command waits in the outbox.
        const fn is_kept(frame: &ClientFrame) -> bool {
            matches!(frame, $(ClientFrame::$kind(_))|*)
        }

        /// Reads a command as the cache kept it. Only those that ever wait: to read every frame of a client would be most of the code for
        /// frames.
        fn kept(kind: u16, body: &Bytes) -> Option<ClientFrame> {
            // Read where it stays, as the protocol's own frames are.
            let mut frame = match kind {
                $($kind::KIND => ClientFrame::$kind(Wire::blank()),)*
                _ => return None,
            };
            let read = read_whole(body, &mut |reader| match &mut frame {
                $(ClientFrame::$kind(body) => body.read_into(reader),)*
                _ => Ok(()),
            });
            read.ok().map(|()| frame)
        }
    };
}
kept!(
    Send,
    Edit,
    Recall,
    Read,
    React,
    Pin,
    Vote,
    ClosePoll,
    SetLive,
    Answer,
    SetPersonal,
    SetDraft
);
