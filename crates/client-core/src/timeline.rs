//! Open timelines: which items are in memory, and the rows that a game sees of them.

use std::{borrow::Cow, sync::Arc};

use fireside_protocol::{
    Code, Content, ConversationId, Entry, Reactions, Sequence, content::Votes, decode,
    frames::Refused, limits::PAGE_ITEMS_DEFAULT,
};

use crate::{
    Event, RequestId, Session,
    cache::{ItemsFor, Mode},
    conversation::{Conversation, Item, Keep, Late},
    details::{Shown, details_of},
    diff::diff,
    event::Completion,
    outbox::PendingFacet,
    pending::refusal,
    rows::{reaction_rows, row_of, said, set_reaction},
    storage::ItemRecord,
    sync::SMALL_HOLE,
    view::{Body, Diff, MessageState, ReadBy, TIMELINE_ROWS_MAX, TimelineRow},
};

/// Items read from the cache when a timeline is opened.
const OPEN_ITEMS: u32 = 100;
/// Items of an open timeline in memory: the view and as much again to scroll.
const ITEMS_IN_MEMORY_MAX: usize = 2 * TIMELINE_ROWS_MAX;
/// Row numbers of holes have this bit.
const HOLE_ROW: u64 = 1 << 63;

/// The view of an open conversation.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// As the game has it, once all that was polled is applied.
    shown: Vec<TimelineRow>,
    generation: u64,
    dirty: bool,
    /// The next event is a reset.
    reset: bool,
    /// Scrolled up: the view begins here instead of ending at the newest.
    anchor: Option<Sequence>,
    older: Option<Older>,
}

/// A call for older messages.
#[derive(Debug)]
struct Older {
    request: RequestId,
    count: u32,
    /// Items that were in memory.
    had: usize,
}

/// What is below the oldest item in memory.
enum Edge {
    /// Nothing.
    Start,
    /// Items in the cache, below this number.
    Cache(Sequence),
    /// A hole, below this number.
    Hole(Sequence),
}

impl Conversation {
    fn edge(&self) -> Edge {
        let from = self.memory.map_or(0, |(from, _)| from);
        let top = self.last_known.saturating_add(1);
        let mut low = (self.items.first()).map_or(top, |(number, _)| *number);
        if let Some((start, _)) = self.covered_below(low) {
            if start < from {
                return Edge::Cache(from);
            }
            low = start;
        }
        if low <= self.floor() {
            Edge::Start
        } else {
            Edge::Hole(low)
        }
    }

    /// Below which number an open timeline lacks messages to fill a screen; `None`: it does not, or the cache has them.
    pub(crate) fn lacks_below(&self) -> Option<Sequence> {
        if self.items.len() >= PAGE_ITEMS_DEFAULT as usize || self.late.is_some() {
            return None;
        }
        match self.edge() {
            Edge::Hole(below) => Some(below),
            Edge::Start | Edge::Cache(_) => None,
        }
    }
}

impl Session {
    pub(crate) fn timeline_dirty(&mut self, id: ConversationId) {
        if let Some(timeline) = self.timelines.get_mut(&id) {
            timeline.dirty = true;
        }
    }

    /// Puts a conversation on screen, at its newest.
    pub(crate) fn open(&mut self, id: ConversationId) {
        if !self.open.contains(&id) {
            self.open.push(id);
        }
        let timeline = self.timelines.or_default(id);
        timeline.dirty = true;
        timeline.reset = true;
        timeline.anchor = None;
        self.load_newest(id);
        self.want_page(id);
    }

    fn load_newest(&mut self, id: ConversationId) {
        if self.cache.mode == Mode::Memory {
            return;
        }
        let serial = self.next_serial();
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.items.clear();
        conversation.memory = Some((conversation.last_known.saturating_add(1), u64::MAX));
        conversation.late = Some(Late {
            serial,
            keep: Vec::new(),
            void: false,
        });
        let what = ItemsFor {
            conversation: id,
            serial,
            limit: OPEN_ITEMS,
        };
        self.read_items(what, u64::MAX, self.now);
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(crate) fn close(&mut self, id: ConversationId) {
        self.open.retain(|open| *open != id);
        if let Some(timeline) = self.timelines.remove(&id)
            && let Some(older) = timeline.older
        {
            self.sync.older.remove(&id);
            self.fail(older.request, Code::Cancelled);
        }
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.late = None;
            if self.cache.mode != Mode::Memory {
                conversation.items.clear();
                conversation.memory = None;
            }
        }
        self.bound_memory(id);
        // Looked at, but the server knows nothing of it: not worth a place in memory.
        let nothing = |held: &Conversation| {
            held.provisional && held.last_known == 0 && held.head.peer.is_none()
        };
        if self.conversations.get(&id).is_some_and(nothing) {
            self.conversations.remove(&id);
        }
    }

    /// Items from the cache. What is not covered is out of date: it is not shown.
    pub(crate) fn on_items(&mut self, what: &ItemsFor, records: &[ItemRecord]) {
        let id = what.conversation;
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let current = (conversation.late.as_ref()).is_some_and(|late| late.serial == what.serial);
        if !current {
            return;
        }
        let Some(late) = conversation.late.take() else {
            return;
        };
        if self.cache.mode == Mode::Memory {
            self.older_arrived(id);
            return;
        }
        if late.void {
            self.load_newest(id);
            return;
        }
        let (from, to) = conversation.memory.unwrap_or((u64::MAX, u64::MAX));
        let mut lowest = from;
        for record in records {
            let number = record.sequence;
            lowest = lowest.min(number);
            let entry = decode::<Entry>(&record.body).ok().filter(|entry| {
                entry.sequence == number && entry.conversation == id && !entry.kind.is_change()
            });
            let Some(entry) = entry.filter(|_| number < from) else {
                continue;
            };
            if conversation.covered.contains(number) {
                let row = record.row;
                conversation
                    .items
                    .insert(number, Box::new(Item::new(row, entry)));
            }
        }
        if records.len() < what.limit as usize {
            // There is nothing older in the cache.
            lowest = 0;
        }
        conversation.memory = Some((lowest, to));
        for Keep { row, entry, .. } in late.keep {
            let number = entry.sequence;
            let inside = lowest <= number && number < from;
            match conversation.items.get_mut(&number) {
                Some(held) => {
                    let newer = held.entry.merge(&entry);
                    if newer {
                        held.read_again();
                    }
                }
                None if inside && conversation.covered.contains(number) => {
                    conversation
                        .items
                        .insert(number, Box::new(Item::new(row, entry)));
                }
                None => {}
            }
        }
        self.trim_window(id);
        self.older_arrived(id);
        self.timeline_dirty(id);
        self.want_page(id);
    }

    /// Bounds what is in memory; a large hole ends it.
    pub(crate) fn trim_window(&mut self, id: ConversationId) {
        let anchored = (self.timelines.get(&id)).is_some_and(|timeline| timeline.anchor.is_some());
        if self.cache.mode == Mode::Memory || !self.open.contains(&id) {
            return;
        }
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let Some((from, to)) = conversation.memory else {
            return;
        };
        if let (Some((first, _)), Some((last, _))) =
            (conversation.items.first(), conversation.items.last())
        {
            let holes = conversation.covered.holes(*first, *last);
            let large = |hole: &&(u64, u64)| hole.1 - hole.0 >= SMALL_HOLE;
            if let Some((_, end)) = holes.iter().rev().find(large) {
                conversation.items.retain(|number, _| number >= end);
                conversation.memory = Some((from.max(*end), to));
            }
        }
        if anchored {
            let mut above = None;
            while conversation.items.len() > ITEMS_IN_MEMORY_MAX {
                above = conversation.items.pop_last().map(|(number, _)| number);
            }
            if let (Some(above), Some((from, _))) = (above, conversation.memory) {
                conversation.memory = Some((from, above.saturating_sub(1)));
            }
        } else {
            conversation.shrink_memory(ITEMS_IN_MEMORY_MAX, false);
        }
    }

    /// Back to the newest, if the view was scrolled up.
    pub(crate) fn scroll_to_end(&mut self, id: ConversationId) {
        let anchored =
            (self.timelines.get_mut(&id)).is_some_and(|view| view.anchor.take().is_some());
        if anchored {
            let whole = (self.conversations.get(&id))
                .is_some_and(|held| held.memory.is_some_and(|(_, to)| to == u64::MAX));
            if whole {
                self.timeline_dirty(id);
            } else {
                self.open(id);
            }
        }
    }

    // Older messages.

    pub(crate) fn load_older(
        &mut self,
        request: RequestId,
        id: ConversationId,
        count: u32,
    ) -> Result<(), Code> {
        let (Some(timeline), Some(conversation)) =
            (self.timelines.get_mut(&id), self.conversations.get(&id))
        else {
            return Err(Code::NotFound);
        };
        if timeline.older.is_some() {
            return Err(Code::Busy);
        }
        let count = count.clamp(1, TIMELINE_ROWS_MAX as u32);
        timeline.older = Some(Older {
            request,
            count,
            had: conversation.items.len(),
        });
        self.begin_timed(request, self.now);
        self.older_step(id);
        Ok(())
    }

    /// One step towards older messages: from the cache, then from the server.
    fn older_step(&mut self, id: ConversationId) {
        let Some(older) = self.timelines.get(&id).and_then(|view| view.older.as_ref()) else {
            return;
        };
        let (request, count, had) = (older.request, older.count, older.had);
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        if conversation.late.is_some() {
            // The answer goes on from there.
            return;
        }
        let added = conversation.items.len().saturating_sub(had);
        let edge = conversation.edge();
        let start_reached = matches!(edge, Edge::Start);
        if added > 0 || start_reached {
            self.older_done(id, request, added, start_reached);
            return;
        }
        match edge {
            Edge::Cache(below) => {
                let serial = self.next_serial();
                if let Some(conversation) = self.conversations.get_mut(&id) {
                    conversation.late = Some(Late {
                        serial,
                        keep: Vec::new(),
                        void: false,
                    });
                }
                let what = ItemsFor {
                    conversation: id,
                    serial,
                    limit: count,
                };
                self.read_items(what, below, self.now);
            }
            Edge::Hole(below) if self.can_read() => {
                self.sync.older.insert(id, (below, count));
                self.want_page(id);
            }
            _ => {
                self.older_given_up(request);
                self.fail(request, Code::Offline);
            }
        }
    }

    fn older_done(&mut self, id: ConversationId, request: RequestId, added: usize, start: bool) {
        let rows = self
            .conversations
            .get(&id)
            .map_or(0, |held| held.items.len());
        let first = (self.conversations.get(&id))
            .and_then(|held| held.items.first())
            .map(|(number, _)| *number);
        if let Some(timeline) = self.timelines.get_mut(&id) {
            timeline.older = None;
            timeline.dirty = true;
            if rows > TIMELINE_ROWS_MAX && added > 0 {
                timeline.anchor = first;
            }
        }
        self.trim_window(id);
        let loaded = Completion::Loaded {
            count: u32::try_from(added).unwrap_or(u32::MAX),
            start_reached: start,
        };
        self.finish(request, Ok(loaded));
    }

    /// Something came that a call for older messages may wait for.
    pub(crate) fn older_arrived(&mut self, id: ConversationId) {
        self.sync.older.remove(&id);
        self.older_step(id);
    }

    pub(crate) fn older_failed(&mut self, id: ConversationId, refused: &Refused) {
        self.sync.older.remove(&id);
        let older = self
            .timelines
            .get_mut(&id)
            .and_then(|view| view.older.take());
        if let Some(older) = older {
            self.finish(older.request, Err(refusal(refused)));
        }
    }

    /// The call is over, whatever comes.
    pub(crate) fn older_given_up(&mut self, request: RequestId) {
        let mine = |older: &Older| older.request == request;
        for (id, timeline) in self.timelines.iter_mut() {
            if timeline.older.as_ref().is_some_and(mine) {
                timeline.older = None;
                self.sync.older.remove(id);
            }
        }
    }

    // Rows.

    /// The rows that the view should show now.
    fn timeline_rows(&self, id: ConversationId, anchor: Option<Sequence>) -> Vec<TimelineRow> {
        let Some(conversation) = self.conversations.get(&id) else {
            return Vec::new();
        };
        let mut rows: Vec<TimelineRow> = Vec::with_capacity(TIMELINE_ROWS_MAX);
        // Newest first, until it is full.
        if anchor.is_none() {
            let echoes: Vec<TimelineRow> = self.echo_rows(id);
            rows.extend(echoes.into_iter().rev().take(TIMELINE_ROWS_MAX));
        }
        let last = match anchor {
            Some(from) => (conversation.items.part(&from, &Sequence::MAX).iter())
                .map(|(number, _)| *number)
                .take(TIMELINE_ROWS_MAX)
                .next_back()
                .unwrap_or(from),
            None => conversation.last_known,
        };
        let from = anchor.unwrap_or(0);
        // A later number is known; what lies between is a hole unless it is covered.
        let mut above = last.saturating_add(1);
        for (number, item) in conversation.items.part(&from, &last).iter().rev() {
            self.hole_row(conversation, *number, above, &mut rows);
            if rows.len() >= TIMELINE_ROWS_MAX {
                break;
            }
            rows.push(self.item_row(conversation, item));
            above = *number;
            if rows.len() >= TIMELINE_ROWS_MAX {
                break;
            }
        }
        rows.reverse();
        rows
    }

    fn hole_row(
        &self,
        conversation: &Conversation,
        number: Sequence,
        above: Sequence,
        rows: &mut Vec<TimelineRow>,
    ) {
        let (first, last) = (number.saturating_add(1), above.saturating_sub(1));
        if conversation.covered.contains_all(first, last) || rows.len() >= TIMELINE_ROWS_MAX {
            return;
        }
        rows.push(TimelineRow {
            row: HOLE_ROW | number,
            sequence: None,
            nonce: None,
            sender: conversation
                .head
                .peer
                .clone()
                .or_else(|| self.me.clone())
                .unwrap_or_else(|| self.nobody.clone()),
            at: 0,
            body: Body::Hole,
            state: MessageState::Received,
            edited: false,
            read_by: ReadBy::default(),
            pinned: false,
            reactions: None,
            details: None,
        });
    }

    fn item_row(&self, conversation: &Conversation, item: &Item) -> TimelineRow {
        let head = &conversation.head;
        let me = self.me.as_ref();
        let mut row = row_of(item, me, head.peer_delivered, head.peer_read);
        if row.state != MessageState::Received && !conversation.readers.is_empty() {
            row.read_by = self.read_by(conversation, item.entry.sequence);
        }
        let mut edited_spans = None;
        if me == Some(&item.entry.sender) && !row.body.is_gone() {
            let (number, nonce) = (item.entry.sequence, item.entry.nonce);
            let kind = item.entry.header.as_ref().map(|header| header.kind);
            match self.outbox.pending_change(conversation.id(), number, nonce) {
                Some(Some(content)) => {
                    if let Some((body, spans)) = kind.and_then(|kind| said(kind, content)) {
                        row.body = body;
                        edited_spans = Some(spans);
                    }
                    row.edited = true;
                }
                Some(None) => {
                    row.body = Body::Recalled;
                    row.edited = false;
                }
                None => {}
            }
        }
        if self.hides(&item.entry, &mut row) || row.body.is_gone() {
            return row;
        }
        let pending = self.outbox.pending_facets(conversation.id(), &item.entry);
        self.show_reactions(item, &pending, &mut row);
        if let Some(header) = &item.entry.header {
            let extra = item.extra.as_ref();
            let mut ballot = match &row.body {
                Body::Content(content) => match &**content {
                    Content::Poll(poll) if poll.anonymous => {
                        let (id, number) = (conversation.id(), item.entry.sequence);
                        Some(self.own.ballot(id, number))
                    }
                    _ => None,
                },
                _ => None,
            };
            let votes = extra.map(|extra| &extra.votes);
            let votes = self.pending_votes(votes, &mut ballot, &pending, &mut row);
            let spans = edited_spans.as_deref();
            let spans = spans.or_else(|| extra.map(|extra| extra.spans.as_slice()));
            row.details = details_of(Shown {
                header,
                body: &row.body,
                spans: spans.unwrap_or_default(),
                votes: votes.as_deref(),
                ballot: ballot.as_deref(),
                quote: conversation.quote(header.reply_to),
                thread: extra.and_then(|extra| extra.thread),
                // An edit takes it away.
                preview: extra
                    .and_then(|extra| extra.preview.clone())
                    .filter(|_| edited_spans.is_none()),
                me: me.map(|me| (me, head.role)),
            });
        }
        row
    }

    /// Of those who tell and were there: how many have read an own message.
    fn read_by(&self, conversation: &Conversation, number: Sequence) -> ReadBy {
        let mut count = ReadBy::default();
        if self.tells_receipts() {
            for (joined, read) in conversation.readers.values() {
                count.of += u32::from(*joined <= number);
                count.readers += u32::from(*joined <= number && *read >= number);
            }
        }
        count
    }

    /// How a poll stands with what waits in the outbox; the state of a live object too.
    fn pending_votes<'a>(
        &self,
        votes: Option<&'a Votes>,
        ballot: &mut Option<Vec<u32>>,
        pending: &[PendingFacet<'_>],
        row: &mut TimelineRow,
    ) -> Option<Cow<'a, Votes>> {
        let mut votes = votes.map(Cow::Borrowed);
        for wish in pending {
            match wish {
                PendingFacet::Vote(choices) => {
                    let votes = votes.get_or_insert_with(|| Cow::Owned(Votes::none()));
                    if let Some(ballot) = ballot {
                        votes.to_mut().vote_unnamed(ballot, choices);
                        *ballot = choices.to_vec();
                    } else if let Some(me) = &self.me {
                        votes.to_mut().vote(choices, me);
                    }
                }
                PendingFacet::ClosePoll => {
                    let votes = votes.get_or_insert_with(|| Cow::Owned(Votes::none()));
                    votes.to_mut().closed = true;
                }
                PendingFacet::Live(state) => {
                    row.body = Body::Content(Arc::new(Content::Live((*state).clone())));
                }
                PendingFacet::React(..) | PendingFacet::Pin(_) => {}
            }
        }
        votes
    }

    /// What waits in the outbox shows at once, and whoever is blocked does not show.
    fn show_reactions(&self, item: &Item, pending: &[PendingFacet<'_>], row: &mut TimelineRow) {
        let blocked = &self.cache.profile.blocked;
        if pending.is_empty() && (blocked.is_empty() || row.reactions.is_none()) {
            return;
        }
        let Some(me) = &self.me else { return };
        let mut state = (item.extra.as_ref()).map_or_else(
            || Reactions { keys: Vec::new() },
            |extra| extra.reactions.clone(),
        );
        for one in &mut state.keys {
            one.users.retain(|user| !blocked.contains(user));
        }
        for wish in pending {
            match wish {
                PendingFacet::React(key, on) => set_reaction(&mut state, key, me, *on),
                PendingFacet::Pin(on) => row.pinned = *on,
                _ => {}
            }
        }
        state.keys.retain(|one| !one.users.is_empty());
        row.reactions = reaction_rows(&state, Some(me));
    }

    fn echo_rows(&self, id: ConversationId) -> Vec<TimelineRow> {
        let sender = self.me.clone().unwrap_or_else(|| self.nobody.clone());
        let echo = |outgoing: &crate::outbox::Outgoing| {
            let nonce = outgoing.record.nonce;
            let change = self.outbox.pending_change(id, 0, Some(nonce));
            let header = outgoing.header();
            let edited = match (change, header) {
                (Some(Some(content)), Some(header)) => said(header.kind, content),
                _ => None,
            };
            let (body, spans) = match &change {
                Some(None) => (Body::Recalled, &[][..]),
                _ => {
                    let shown = edited.as_ref().or(outgoing.said.as_ref());
                    shown.map_or((Body::Unknown, &[][..]), |(body, spans)| {
                        (body.clone(), spans.as_slice())
                    })
                }
            };
            let quote = header.and_then(|header| {
                let held = self.conversations.get(&id)?;
                held.quote(header.reply_to)
            });
            let details = header.filter(|_| !body.is_gone()).and_then(|header| {
                details_of(Shown {
                    header,
                    body: &body,
                    spans,
                    votes: None,
                    ballot: None,
                    quote,
                    thread: None,
                    preview: None,
                    me: None,
                })
            });
            TimelineRow {
                row: outgoing.record.row,
                sequence: None,
                nonce: Some(nonce),
                sender: sender.clone(),
                at: outgoing.record.created_at,
                body,
                state: outgoing.state(),
                edited: false,
                read_by: ReadBy::default(),
                pinned: false,
                reactions: None,
                details,
            }
        };
        self.outbox.echoes(id).map(echo).collect()
    }

    /// The next change of an open timeline, if there is one.
    pub(crate) fn poll_timeline(&mut self) -> Option<Event> {
        let ids: Vec<ConversationId> = (self.timelines.iter())
            .filter(|(_, timeline)| timeline.dirty)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let anchor = self.timelines.get(&id).and_then(|timeline| timeline.anchor);
            let loading = (self.conversations.get(&id))
                .is_some_and(|held| held.late.is_some() && held.items.is_empty());
            let rows = self.timeline_rows(id, anchor);
            self.watch_ends(id, &rows);
            let Some(timeline) = self.timelines.get_mut(&id) else {
                continue;
            };
            if loading && timeline.generation == 0 {
                // The cache answers soon; an empty screen first would flicker.
                continue;
            }
            timeline.dirty = false;
            let small = diff(&timeline.shown, &rows, |row| row.row).filter(|_| !timeline.reset);
            let diffs = match small {
                Some(diffs) if diffs.is_empty() => continue,
                Some(diffs) => diffs,
                None => {
                    // Of the session, so that it grows over closing and opening too.
                    self.generation += 1;
                    timeline.generation = self.generation;
                    timeline.reset = false;
                    vec![Diff::Reset {
                        rows: self.lent.rows(&rows),
                    }]
                }
            };
            timeline.shown = rows;
            return Some(Event::Timeline {
                conversation: id,
                generation: timeline.generation,
                diffs,
            });
        }
        None
    }
}
