//! What a device holds of one conversation, and how entries, skips, heads and pages change it. `docs/model.md`, "What a device
//! holds", has the rules; nothing here knows about links, disks or views.

use std::collections::VecDeque;

use bytes::Bytes;
use bytestring::ByteString;
use fireside_protocol::{
    ConversationId, ConversationKind, Entry, EntryKind, Facet, Sequence, UserId, WallMs, decode,
    frames::{Head, Page, Range},
};

use crate::{
    Breaks,
    details::{Extra, extra_of},
    heads::Recent,
    ranges::RangeSet,
    rows::read_item,
    sorted::Map,
    storage::ConversationRecord,
    view::Body,
};

/// Changes kept whose item is not held, per conversation: a page that is on its way may bring the item as it was before.
const ORPHANS_MAX: usize = 64;
/// Ranges of numbers remembered as seen live, per conversation.
const LIVE_RANGES_MAX: usize = 32;

/// An item in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Its stable row number.
    pub(crate) row: u64,
    /// Its state.
    pub(crate) entry: Entry,
    /// What it shows: read once, shown often.
    pub(crate) body: Body,
    /// What it has besides.
    pub(crate) extra: Option<Box<Extra>>,
}

impl Item {
    pub(crate) fn new(row: u64, entry: Entry) -> Self {
        let (body, spans) = read_item(&entry);
        let extra = extra_of(&entry, spans);
        Self {
            row,
            entry,
            body,
            extra,
        }
    }

    /// After a change of its state.
    pub(crate) fn read_again(&mut self) {
        let (body, spans) = read_item(&self.entry);
        self.body = body;
        self.extra = extra_of(&self.entry, spans);
    }

    /// As the cache keeps it.
    fn keep(&self, raw: Option<Bytes>) -> Keep {
        Keep {
            row: self.row,
            entry: self.entry.clone(),
            text: match &self.body {
                Body::Text(text) => text.clone(),
                Body::Content(content) => content.plain_text().into(),
                _ => ByteString::new(),
            },
            raw,
        }
    }
}

/// An item to be written to the cache.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Keep {
    pub(crate) row: u64,
    pub(crate) entry: Entry,
    /// For search.
    pub(crate) text: ByteString,
    /// As the server encoded it, if it is still that.
    pub(crate) raw: Option<Bytes>,
}

/// What is written while items are read from the cache: the answer does not have it.
#[derive(Debug)]
pub(crate) struct Late {
    /// Which reading.
    pub(crate) serial: u64,
    /// What was written.
    pub(crate) keep: Vec<Keep>,
    /// The items were dropped, or too much was written.
    pub(crate) void: bool,
}

/// What was held when a page was asked for, and what came since.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// The request's `since`.
    pub(crate) since: Sequence,
    /// The request's `held`.
    pub(crate) held: RangeSet,
    /// Numbers covered live since then.
    pub(crate) added: RangeSet,
    /// From where the page was wanted, to see whether it brought anything.
    pub(crate) wanted: (Sequence, Sequence),
}

/// What an entry, skip or page did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applied {
    /// Items to write.
    pub(crate) keep: Vec<Keep>,
    /// All items before are void.
    pub(crate) reset: bool,
    /// Something that a view shows is different.
    pub(crate) shown: bool,
    /// The number was not known before.
    pub(crate) new: bool,
    /// Bodies that could not be read.
    pub(crate) bad: u64,
    /// Numbers that were not covered before.
    pub(crate) covered: bool,
    /// A page met live entries.
    pub(crate) overlap: bool,
}

/// One conversation as this device holds it.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// As the server last described it, kept up to date by entries.
    pub(crate) head: Head,
    /// Numbers accounted for.
    pub(crate) covered: RangeSet,
    /// Every change up to here is in what is held.
    pub(crate) changes_to: Sequence,
    /// The largest number known to exist.
    pub(crate) last_known: Sequence,
    /// The rights version all of this was read under.
    pub(crate) rights: u64,
    /// The newest message of the other that ever was on this device.
    pub(crate) got: Sequence,
    /// Numbers handled one by one in this session: changes among them are in the items or in `orphans`.
    pub(crate) live: RangeSet,
    /// Changes seen live whose item was not held.
    orphans: VecDeque<Entry>,
    /// Items in memory.
    pub(crate) items: Map<Sequence, Box<Item>>,
    /// All covered items with numbers in here are in `items`.
    pub(crate) memory: Option<(Sequence, Sequence)>,
    /// Holes that opened live and are to be asked for.
    pub(crate) repair: RangeSet,
    /// The page under way.
    pub(crate) asked: Option<(u32, Asked)>,
    /// Unread is counted to here.
    pub(crate) counted_to: Sequence,
    /// Made by this device, not yet described by the server.
    pub(crate) provisional: bool,
    /// The unread count can not be told from what came: the server is to be asked. Kept as version 0, so that a restart asks too.
    pub(crate) unsure: bool,
    /// Items are being read from the cache.
    pub(crate) late: Option<Late>,
    /// When the user left or was removed, as far as seen in this session: a head from before says otherwise.
    pub(crate) left_at: WallMs,
    /// In a group that is open: who tells how far they have read, from which number on they count, and how far they are.
    pub(crate) readers: Map<UserId, (Sequence, Sequence)>,
    /// Messages counted live.
    pub(crate) recent: Recent,
    /// Pages that brought nothing, in a row.
    pub(crate) pull_failures: u32,
    /// No page is asked for before (monotonic ms).
    pub(crate) pull_not_before: u64,
}

impl Conversation {
    /// One of which nothing is held.
    pub(crate) fn new(head: Head) -> Self {
        Self {
            covered: RangeSet::default(),
            changes_to: 0,
            last_known: head.last,
            rights: head.rights,
            got: 0,
            live: RangeSet::default(),
            orphans: VecDeque::new(),
            items: Map::default(),
            memory: None,
            repair: RangeSet::default(),
            asked: None,
            counted_to: head.last,
            provisional: false,
            unsure: false,
            late: None,
            left_at: 0,
            readers: Map::default(),
            recent: Recent::default(),
            pull_failures: 0,
            pull_not_before: 0,
            head,
        }
    }

    /// From the cache, which is believed no more than a server.
    pub(crate) fn from_record(record: ConversationRecord) -> Self {
        let mut covered = RangeSet::from_ranges(&record.covered);
        covered.limit_held();
        Self {
            covered,
            changes_to: record.changes_to,
            last_known: record.last_known.max(record.head.last),
            rights: record.rights,
            got: record.got,
            provisional: record.head.version == 0 && record.head.last == 0,
            unsure: record.head.version == 0 && record.head.last > 0,
            ..Self::new(record.head)
        }
    }

    pub(crate) fn record(&self) -> ConversationRecord {
        let mut head = self.head.clone();
        if self.unsure {
            head.version = 0;
        }
        ConversationRecord {
            head,
            covered: self.covered.to_ranges(),
            changes_to: self.changes_to,
            last_known: self.last_known,
            rights: self.rights,
            got: self.got,
        }
    }

    pub(crate) fn id(&self) -> ConversationId {
        self.head.conversation
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.head.kind == ConversationKind::Direct
    }

    /// The first number that can be held at all: below it the log is trimmed or was before this user's time.
    pub(crate) fn floor(&self) -> Sequence {
        self.head.first.max(self.head.visible_from).max(1)
    }

    /// What fell below [`Conversation::floor`] before it was repaired is not to be had: asked for, it would be asked for for ever, and
    /// nothing else would.
    pub(crate) fn forget_below_floor(&mut self) {
        let floor = self.floor();
        if self.repair.first().is_some_and(|first| first < floor) {
            self.repair.remove(0, floor - 1);
        }
    }

    /// Whether a covered item with this number must be in `items`.
    pub(crate) fn in_memory(&self, number: Sequence) -> bool {
        (self.memory).is_some_and(|(from, to)| from <= number && number <= to)
    }

    /// Forgets all items.
    pub(crate) fn drop_items(&mut self) {
        self.covered = RangeSet::default();
        self.changes_to = 0;
        self.live = RangeSet::default();
        self.orphans.clear();
        self.items.clear();
        self.memory = self.memory.map(|_| (0, Sequence::MAX));
        self.repair = RangeSet::default();
        self.asked = None;
    }

    /// The server knows of this number.
    pub(crate) fn know(&mut self, number: Sequence) {
        self.last_known = self.last_known.max(number);
        self.head.last = self.last_known;
    }

    /// A live entry. `row` is the row number it gets if it is a new item; `raw` its encoding.
    pub(crate) fn apply_entry(
        &mut self,
        entry: &Entry,
        raw: Option<&Bytes>,
        row: u64,
        breaks: Breaks,
    ) -> Applied {
        let mut applied = self.arrive(entry.sequence, entry.sequence);
        if entry.kind.is_change() {
            self.apply_change(entry, breaks, &mut applied);
            return applied;
        }
        let number = entry.sequence;
        let mut state = compact(entry);
        let changed = self.apply_orphans(&mut state);
        let item = Item::new(row, state);
        // The entry says how the item was at its own number. What changed it later must be known, or a page must tell.
        let exact =
            self.changes_to <= number || self.live.contains_all(number + 1, self.changes_to);
        let raw = raw.filter(|_| !changed).cloned();
        if !self.covered.contains(number) || self.items.contains_key(&number) {
            self.merge(item, raw, breaks, &mut applied);
        }
        if self.covered.contains(number) {
            return applied;
        }
        if exact {
            self.cover_live(number, number);
            applied.covered = true;
        } else {
            self.repair.insert(number, number);
        }
        applied
    }

    fn apply_change(&mut self, change: &Entry, breaks: Breaks, applied: &mut Applied) {
        let number = change.sequence;
        if self.covered.contains(number) {
            return;
        }
        let known = matches!(
            change.kind,
            EntryKind::Edit
                | EntryKind::Recall
                | EntryKind::Expire
                | EntryKind::Withdraw
                | EntryKind::React
                | EntryKind::Pin
                | EntryKind::Vote
                | EntryKind::Live
                | EntryKind::Preview
        );
        let sane = change.target > 0 && change.target < number;
        let elsewhere = self.covered.contains(change.target) && !self.in_memory(change.target);
        if !known || (elsewhere && sane) {
            // What it does can not be carried out here: it stays a hole, and the page that fills it brings the item's state.
            self.repair.insert(number, number);
            return;
        }
        if sane {
            if let Some(item) = self.items.get_mut(&change.target) {
                if breaks.rev_ignored {
                    (item.entry.rev, item.entry.body_rev) = (0, 0);
                }
                if breaks.facets_whole && number < item.entry.rev() {
                    // What is older than the last change of anything is thought to be in it.
                } else if item.entry.apply(&compact(change)) {
                    applied.shown = true;
                    item.read_again();
                    applied.keep.push(item.keep(None));
                }
            }
            if !self.covered.contains(change.target) {
                self.orphans.push_back(compact(change));
                if self.orphans.len() > ORPHANS_MAX
                    && let Some(dropped) = self.orphans.pop_front()
                {
                    self.live.remove(0, dropped.sequence);
                }
            }
        }
        self.cover_live(number, number);
        applied.covered = true;
    }

    /// Numbers withheld from this reader.
    pub(crate) fn apply_skip(&mut self, first: Sequence, last: Sequence) -> Applied {
        let first = first.max(1);
        if first > last {
            return Applied::default();
        }
        let mut applied = self.arrive(first, last);
        applied.covered = !self.covered.contains_all(first, last);
        applied.shown = applied.covered;
        self.cover_live(first, last);
        applied
    }

    /// Numbers came live: what lies between them and what was known is a hole.
    fn arrive(&mut self, first: Sequence, last: Sequence) -> Applied {
        let new = last > self.last_known;
        if new {
            let from = (self.last_known + 1).max(self.floor());
            if from < first {
                self.repair.insert(from, first - 1);
            }
            self.know(last);
        }
        Applied {
            new,
            ..Applied::default()
        }
    }

    fn cover_live(&mut self, first: Sequence, last: Sequence) {
        if self.covered.is_empty() {
            // Nothing was held: every change of it is in it.
            self.changes_to = self.changes_to.max(first);
        }
        self.covered.insert(first, last);
        self.live.insert(first, last);
        self.live.keep_newest(LIVE_RANGES_MAX);
        self.repair.remove(first, last);
        if let Some((_, asked)) = &mut self.asked {
            asked.added.insert(first, last);
        }
        self.follow();
        self.limit();
    }

    /// `changes_to` goes on through numbers already had live.
    fn follow(&mut self) {
        if let Some(next) = self.changes_to.checked_add(1)
            && let Some(end) = self.live.end_of(next)
        {
            self.changes_to = end;
        }
    }

    /// At most so many holes; else the oldest part is dropped.
    fn limit(&mut self) {
        if self.covered.limit_held()
            && let Some(first) = self.covered.first()
        {
            self.items.retain(|number, _| *number >= first);
        }
        self.repair
            .keep_newest(fireside_protocol::limits::HELD_RANGES_MAX);
    }

    /// Changes that came before their item.
    fn apply_orphans(&self, entry: &mut Entry) -> bool {
        let mut changed = false;
        for change in &self.orphans {
            changed |= change.target == entry.sequence && entry.apply(change);
        }
        changed
    }

    /// Merge is: the larger rev wins, of the body and of each facet.
    fn merge(&mut self, item: Item, raw: Option<Bytes>, breaks: Breaks, applied: &mut Applied) {
        let number = item.entry.sequence;
        let in_memory = self.in_memory(number);
        let mut keep = item.keep(raw);
        match self.items.get_mut(&number) {
            Some(held)
                if breaks.rev_ignored
                    || (breaks.facets_whole && held.entry.rev() < item.entry.rev()) =>
            {
                keep.row = held.row;
                held.entry = item.entry;
                held.read_again();
                applied.shown = true;
            }
            Some(held) => {
                if breaks.facets_whole || !held.entry.merge(&item.entry) {
                    return;
                }
                held.read_again();
                let raw = keep.raw.filter(|_| held.entry == item.entry);
                keep = held.keep(raw);
                applied.shown = true;
            }
            None if in_memory => {
                self.items.insert(number, Box::new(item));
                applied.shown = true;
            }
            None => {}
        }
        applied.keep.push(keep);
    }

    /// A page that was asked for. `rows` gives row numbers for new items.
    pub(crate) fn apply_page(
        &mut self,
        page: &Page,
        asked: &Asked,
        mut rows: impl FnMut(&Entry) -> u64,
        breaks: Breaks,
    ) -> Applied {
        let mut applied = Applied::default();
        let first = page.first.max(1);
        let last = page.last.min(page.as_of);
        if page.reset {
            let memory = self.memory;
            self.drop_items();
            self.memory = memory.map(|_| (first.min(last), Sequence::MAX));
            applied.reset = true;
            applied.shown = true;
        }
        self.know(page.as_of);
        if page.oldest > self.head.first {
            self.head.first = page.oldest.min(self.last_known.saturating_add(1));
        }
        applied.overlap = !asked.added.is_empty();

        let new_numbers = first <= last && !self.covered.contains_all(first, last);
        if new_numbers {
            self.widen_memory(first, last);
        }
        for raw in &page.items {
            let Some(entry) = read(raw.0.clone(), self.id(), &mut applied) else {
                continue;
            };
            let inside = first <= entry.sequence && entry.sequence <= last;
            if !inside || entry.kind.is_change() {
                applied.bad += 1;
                continue;
            }
            self.take_state(entry, Some(raw.0.clone()), &mut rows, breaks, &mut applied);
        }
        for raw in &page.changes {
            let Some(entry) = read(raw.0.clone(), self.id(), &mut applied) else {
                continue;
            };
            // What was dropped since the page was asked for is not held any more.
            if !entry.kind.is_change() && self.covered.contains(entry.sequence) {
                self.take_state(entry, Some(raw.0.clone()), &mut rows, breaks, &mut applied);
            }
        }

        let before = self.changes_to;
        if page.reset || self.covered.is_empty() {
            self.changes_to = page.as_of;
        } else {
            // What came live after the question is only known to be right as of its own number, unless the page has it too.
            let floor = asked.added.smallest_outside(first, last);
            let complete = page.as_of.min(floor.unwrap_or(Sequence::MAX));
            if asked.since <= before {
                self.changes_to = before.max(complete);
            }
            // The page's own items are right as of the page only.
            let known_after =
                before <= page.as_of || self.live.contains_all(page.as_of + 1, before);
            if new_numbers && !known_after {
                self.changes_to = self.changes_to.min(page.as_of);
            }
        }
        if first <= last {
            applied.covered = new_numbers;
            applied.shown |= new_numbers;
            self.covered.insert(first, last);
            self.repair.remove(first, last);
        }
        self.follow();
        self.limit();
        applied
    }

    fn take_state(
        &mut self,
        entry: Entry,
        raw: Option<Bytes>,
        rows: &mut impl FnMut(&Entry) -> u64,
        breaks: Breaks,
        applied: &mut Applied,
    ) {
        let row = match self.items.get(&entry.sequence) {
            Some(held) => held.row,
            None => rows(&entry),
        };
        let mut state = compact(&entry);
        let changed = self.apply_orphans(&mut state);
        let item = Item::new(row, state);
        self.merge(item, raw.filter(|_| !changed), breaks, applied);
    }

    /// A page next to what is in memory comes into memory too.
    fn widen_memory(&mut self, first: Sequence, last: Sequence) {
        if let Some((from, to)) = self.memory
            && first < from
            && from <= last.saturating_add(1)
        {
            self.memory = Some((first, to));
        }
    }

    /// The range of numbers below `below` that is covered without a hole, if the number next to it is.
    pub(crate) fn covered_below(&self, below: Sequence) -> Option<(Sequence, Sequence)> {
        let last = below.checked_sub(1)?.min(self.last_known);
        Some((self.covered.start_of(last)?, last))
    }

    /// Whether a page should be asked for because the end is missing or changes are.
    pub(crate) fn is_behind(&self) -> bool {
        let end = self.last_known;
        end >= self.floor() && (!self.covered.contains(end) || self.changes_to < end)
    }

    /// For a request.
    pub(crate) fn held(&self) -> Vec<Range> {
        self.covered.to_ranges()
    }

    /// Keeps at most `max` items in memory; the oldest go. With `forget` they are no longer held at all.
    pub(crate) fn shrink_memory(&mut self, max: usize, forget: bool) {
        let mut dropped = None;
        while self.items.len() > max {
            dropped = self.items.pop_first().map(|(number, _)| number);
        }
        let Some(dropped) = dropped else { return };
        if forget {
            self.covered.remove(0, dropped);
        }
        if let Some((from, to)) = self.memory {
            self.memory = Some((from.max(dropped.saturating_add(1)), to));
        }
    }
}

/// Reads an entry of `conversation` out of a page.
fn read(raw: Bytes, conversation: ConversationId, applied: &mut Applied) -> Option<Entry> {
    match decode::<Entry>(&raw) {
        Ok(entry) if entry.conversation == conversation && entry.sequence > 0 => Some(entry),
        _ => {
            applied.bad += 1;
            None
        }
    }
}

/// A copy that does not keep the frame it came in.
pub(crate) fn compact(entry: &Entry) -> Entry {
    Entry {
        content: Bytes::copy_from_slice(&entry.content),
        facets: (entry.facets.iter())
            .map(|facet| Facet {
                content: Bytes::copy_from_slice(&facet.content),
                ..facet.clone()
            })
            .collect(),
        ..entry.clone()
    }
}
