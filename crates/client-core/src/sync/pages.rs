//! Pages: what a conversation needs most is asked for first, and never twice at once.

use fireside_protocol::{
    ClientFrame, ConversationId, Sequence,
    frames::{Anchor, Page, PageRequest, Refused},
    limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX},
};

use super::{
    PAGE_ITEMS_IN_FLIGHT_MAX, PAGE_TIMEOUT_MS, PAGES_IN_FLIGHT_MAX, PRIORITIES, PULL_PAUSE_MS_MAX,
    SMALL_HOLE,
};
use crate::{
    Session,
    cache::Mode,
    conversation::{Asked, Conversation},
    link::Request,
    ranges::RangeSet,
    timers::Timer,
};

impl Session {
    /// Less than [`PRIORITIES`].
    fn priority(&self, conversation: &Conversation) -> usize {
        if self.open.contains(&conversation.id()) {
            0
        } else if conversation.is_direct() {
            1
        } else if conversation.head.unread > 0 {
            2
        } else {
            3
        }
    }

    /// A page was asked for and has not come.
    pub(crate) fn page_under_way(&self) -> bool {
        !self.sync.pages.is_empty()
    }

    /// Its newest page is loaded before somebody opens it.
    pub(super) fn is_loaded_ahead(&self, conversation: &Conversation) -> bool {
        self.priority(conversation) < 3
    }

    /// The conversation may need a page.
    pub(crate) fn want_page(&mut self, id: ConversationId) {
        self.sync_moved();
        if let Some(conversation) = self.conversations.get(&id) {
            let priority = self.priority(conversation);
            self.want(priority, id);
        }
    }

    fn want(&mut self, priority: usize, id: ConversationId) {
        if let Some(wants) = self.sync.wants.get_mut(priority) {
            wants.insert(id);
        }
    }

    /// What is wanted most; it is no longer wanted.
    fn take_want(&mut self) -> Option<(usize, ConversationId)> {
        (0..PRIORITIES)
            .zip(&mut self.sync.wants)
            .find_map(|(priority, wants)| Some((priority, wants.pop_first()?)))
    }

    pub(crate) fn want_all_pages(&mut self) {
        let all: Vec<ConversationId> = self.conversations.keys().copied().collect();
        for id in all {
            self.want_page(id);
        }
    }

    /// Asks for what is wanted most, as far as there is room.
    pub(crate) fn pull(&mut self) {
        if !self.can_read() || self.sync.heads_running {
            return;
        }
        while self.sync.pages.len() < PAGES_IN_FLIGHT_MAX {
            let Some((priority, id)) = self.take_want() else {
                return;
            };
            let Some((page, wanted)) = self.next_page(id) else {
                continue;
            };
            let items = items_of(&page);
            let under_way: u32 = self.sync.pages.values().sum();
            if under_way > 0 && under_way + items > PAGE_ITEMS_IN_FLIGHT_MAX {
                self.want(priority, id);
                return;
            }
            let asked = Asked {
                since: page.since,
                held: RangeSet::from_ranges(&page.held),
                added: RangeSet::default(),
                wanted,
            };
            let request = self.request(&ClientFrame::PageRequest(page), Request::Page(id));
            self.sync.pages.insert(request, items);
            let at = self.now.monotonic_ms.saturating_add(PAGE_TIMEOUT_MS);
            self.timers.set(Timer::Page(request), at);
            if let Some(conversation) = self.conversations.get_mut(&id) {
                conversation.asked = Some((request, asked));
            }
        }
    }

    /// The page this conversation needs most, if it needs one now.
    fn next_page(&mut self, id: ConversationId) -> Option<(PageRequest, (Sequence, Sequence))> {
        self.conversations.get_mut(&id)?.forget_below_floor();
        let conversation = self.conversations.get(&id)?;
        if conversation.asked.is_some() {
            return None;
        }
        if conversation.pull_not_before > self.now.monotonic_ms {
            if conversation.pull_not_before < u64::MAX {
                let at = conversation.pull_not_before;
                self.timers.set_sooner(Timer::Pull(id), at);
            }
            return None;
        }
        let request = |anchor: Anchor, number: Sequence, to: Sequence, limit: u32| {
            let page = PageRequest {
                conversation: id,
                anchor: anchor.number(),
                number,
                to,
                limit,
                since: conversation.changes_to,
                held: conversation.held(),
            };
            Some((page, (number, to)))
        };
        // A hole, from its newer end if it is large.
        let fill = |(first, last): (Sequence, Sequence), limit: u32| {
            if last - first < u64::from(limit) {
                request(Anchor::Range, first, last, limit)
            } else {
                request(Anchor::Before, last.saturating_add(1), 0, limit)
            }
        };
        let (floor, end) = (conversation.floor(), conversation.last_known);
        if end < floor {
            return None;
        }
        let repairs = !self.config.breaks.repair;
        let open = self.open.contains(&id);
        let filling = self.background_fill && self.cache.mode == Mode::Disk;
        let wanted = filling || self.is_loaded_ahead(conversation);
        let missing_end = !conversation.covered.contains(end);
        if let Some((below, count)) = self.sync.older.get(&id) {
            let limit = (*count).clamp(1, PAGE_ITEMS_MAX);
            return request(Anchor::Before, *below, 0, limit);
        }
        if wanted && missing_end && (repairs || conversation.covered.is_empty()) {
            return request(Anchor::Newest, 0, 0, PAGE_ITEMS_DEFAULT);
        }
        if !repairs {
            return None;
        }
        if !self.timers.is_set(&Timer::Repair(id))
            && let (Some(first), Some(last)) =
                (conversation.repair.first(), conversation.repair.last())
        {
            let first = first.max(last.saturating_sub(u64::from(PAGE_ITEMS_MAX) - 1));
            return request(Anchor::Range, first.max(floor), last, PAGE_ITEMS_MAX);
        }
        if open && let Some((from, to)) = conversation.memory {
            let from = match conversation.items.first() {
                Some((first, _)) => from.max(*first).max(floor),
                None => from.max(floor),
            };
            let holes = conversation.covered.holes(from, to.min(end));
            let small = |hole: &&(Sequence, Sequence)| hole.1 - hole.0 < SMALL_HOLE;
            if let Some(hole) = holes.iter().rev().find(small) {
                return fill(*hole, PAGE_ITEMS_MAX);
            }
        }
        if open && let Some(below) = conversation.lacks_below() {
            return request(Anchor::Before, below, 0, PAGE_ITEMS_DEFAULT);
        }
        if filling && let Some(hole) = conversation.covered.holes(floor, end).last() {
            return fill(*hole, PAGE_ITEMS_MAX);
        }
        let behind = conversation.is_behind() && conversation.repair.is_empty();
        if wanted && behind {
            return request(Anchor::Newest, 0, 0, 1);
        }
        None
    }

    pub(crate) fn on_page(&mut self, request: u32, page: &Page) {
        let Some(Request::Page(id)) = self.requests.remove(&request) else {
            return;
        };
        let Some(asked) = self.page_answered(id, request) else {
            return;
        };
        if page.conversation != id {
            self.counters.frames_bad += 1;
            self.pause_pull(id, 0);
            return;
        }
        let (me, breaks) = (self.me.clone(), self.config.breaks);
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let (outbox, cache) = (&self.outbox, &mut self.cache);
        let before = conversation.changes_to;
        let mut applied = conversation.apply_page(
            page,
            &asked,
            |entry| {
                outbox
                    .row_of(entry, me.as_ref())
                    .unwrap_or_else(|| cache.row())
            },
            breaks,
        );
        let progress = applied.covered || conversation.changes_to > before;
        if progress && !applied.reset {
            conversation.pull_failures = 0;
        } else {
            // The same question would get the same answer, at once and for ever.
            self.pause_pull(id, 0);
        }
        self.counters.resets += u64::from(applied.reset);
        self.counters.page_live_overlaps += u64::from(applied.overlap);
        if applied.covered && asked.wanted.1 != 0 {
            self.counters.holes_repaired += 1;
        }
        let keep = std::mem::take(&mut applied.keep);
        self.settle_by_page(&keep);
        self.mark_delivered(id, keep.iter().map(|kept| &kept.entry));
        self.after(id, keep, &applied);
        self.older_arrived(id);
        self.trim_window(id);
        self.want_page(id);
    }

    /// Takes the answered page out of the books.
    fn page_answered(&mut self, id: ConversationId, request: u32) -> Option<Asked> {
        self.timers.clear(&Timer::Page(request));
        self.sync.pages.remove(&request);
        self.sync_moved();
        let conversation = self.conversations.get_mut(&id)?;
        if conversation
            .asked
            .as_ref()
            .is_some_and(|(asked, _)| *asked == request)
        {
            return conversation.asked.take().map(|(_, asked)| asked);
        }
        // What it was asked for was dropped meanwhile.
        self.want_page(id);
        None
    }

    pub(crate) fn on_page_refused(&mut self, id: ConversationId, request: u32, refused: &Refused) {
        if self.page_answered(id, request).is_none() {
            return;
        }
        if refused.code().retryable() {
            self.pause_pull(id, refused.retry_after_ms);
            return;
        }
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.pull_not_before = u64::MAX;
        }
        self.older_failed(id, refused);
    }

    pub(crate) fn on_page_timeout(&mut self, request: u32) {
        if let Some(Request::Page(id)) = self.requests.remove(&request) {
            self.page_answered(id, request);
            self.pause_pull(id, 0);
        }
    }

    fn pause_pull(&mut self, id: ConversationId, retry_after_ms: u64) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let doubled = 250u64 << conversation.pull_failures.min(8);
        conversation.pull_failures = conversation.pull_failures.saturating_add(1);
        let wait = retry_after_ms.max(doubled / 2 + self.random.up_to(doubled / 2));
        conversation.pull_not_before = self
            .now
            .monotonic_ms
            .saturating_add(wait.min(PULL_PAUSE_MS_MAX));
        let at = conversation.pull_not_before;
        self.timers.set(Timer::Pull(id), at);
    }
}

/// How many items an answer can have at most.
fn items_of(page: &PageRequest) -> u32 {
    if page.anchor == Anchor::Range.number() {
        let numbers = page.to.saturating_sub(page.number).saturating_add(1);
        u32::try_from(numbers).map_or(page.limit, |numbers| numbers.min(page.limit))
    } else {
        page.limit
    }
}
