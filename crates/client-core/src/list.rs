//! The conversation list: pinned ones first, then newest activity first.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    sync::Arc,
};

use fireside_protocol::{ConversationId, ConversationKind, WallMs};

use crate::{
    Event, Session,
    conversation::Conversation,
    diff::DIFFS_MAX,
    id_set::IdSet,
    outbox::Outbox,
    own::Own,
    rows::preview_of,
    sorted::Map,
    view::{ConversationRow, Diff, LIST_ROWS_MAX},
};

/// What the order of the list goes by: pinned first, then the time descending, then the id.
type Place = (Reverse<bool>, Reverse<WallMs>, ConversationId);

fn place_of(row: &ConversationRow) -> Place {
    (
        Reverse(row.personal.pinned),
        Reverse(row.at),
        row.conversation,
    )
}

/// A row in the order of the list. In a heap, which sorts them with a tenth of a sort's code.
struct Line(ConversationRow);

impl Ord for Line {
    fn cmp(&self, other: &Self) -> Ordering {
        place_of(&self.0).cmp(&place_of(&other.0))
    }
}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Line {}

/// The view of the list.
#[derive(Debug)]
pub(crate) struct List {
    /// As the game has it, once all that was polled is applied: by [`Place`].
    shown: Vec<ConversationRow>,
    /// The place at which a shown row stands.
    placed: Map<ConversationId, Place>,
    dirty: IdSet,
    reset: bool,
    generation: u64,
}

impl List {
    pub(crate) fn new() -> Self {
        Self {
            shown: Vec::new(),
            placed: Map::default(),
            dirty: IdSet::default(),
            reset: false,
            generation: 0,
        }
    }

    /// The conversation's line may be different.
    pub(crate) fn touch(&mut self, id: ConversationId) {
        self.dirty.insert(id);
    }

    /// Everything anew.
    pub(crate) fn reset(&mut self) {
        self.reset = true;
    }

    fn find(&self, place: Place) -> usize {
        self.shown.partition_point(|row| place_of(row) < place)
    }

    /// Brings one line up to date.
    fn place(
        &mut self,
        id: ConversationId,
        row: Option<ConversationRow>,
    ) -> Vec<Diff<ConversationRow>> {
        let old = self.placed.get(&id).map(|place| self.find(*place));
        let mut diffs = Vec::new();
        match (old, row) {
            (None, None) => {}
            (Some(index), None) => {
                self.shown.remove(index);
                self.placed.remove(&id);
                diffs.push(Diff::Remove { index });
            }
            (None, Some(row)) => {
                let index = self.find(place_of(&row));
                self.placed.insert(id, place_of(&row));
                self.shown.insert(index, row.clone());
                diffs.push(Diff::Insert { index, row });
            }
            (Some(from), Some(row)) => {
                let before = self.shown.remove(from);
                let to = self.find(place_of(&row));
                if from != to {
                    diffs.push(Diff::Move { from, to });
                }
                if before != row {
                    diffs.push(Diff::Set {
                        index: to,
                        row: row.clone(),
                    });
                }
                self.placed.insert(id, place_of(&row));
                self.shown.insert(to, row);
            }
        }
        diffs
    }
}

impl Session {
    /// The next change of the list, if there is one.
    pub(crate) fn poll_list(&mut self) -> Option<Event> {
        if self.list.dirty.is_empty() && !self.list.reset {
            return None;
        }
        let mut dirty = std::mem::take(&mut self.list.dirty);
        let many = 2 * dirty.len() > DIFFS_MAX || self.conversations.len() > LIST_ROWS_MAX;
        if many || self.list.reset || self.list.generation == 0 {
            self.list.reset = false;
            let ids: Vec<ConversationId> = self.conversations.keys().copied().collect();
            // By id, so that each place goes behind those before it.
            let mut placed = Map::default();
            let mut lines = BinaryHeap::with_capacity(ids.len());
            for row in ids.into_iter().filter_map(|id| self.line(id)) {
                placed.insert(row.conversation, place_of(&row));
                lines.push(Line(row));
            }
            let lines = lines.into_sorted_vec().into_iter();
            let mut rows: Vec<ConversationRow> = lines.map(|line| line.0).collect();
            for left in rows.drain(LIST_ROWS_MAX.min(rows.len())..) {
                placed.remove(&left.conversation);
            }
            if rows == self.list.shown && self.list.generation > 0 {
                return None;
            }
            self.list.placed = placed;
            self.list.generation += 1;
            let all: Arc<[ConversationRow]> = rows.as_slice().into();
            self.list.shown = rows;
            return Some(Event::Conversations {
                generation: self.list.generation,
                diffs: vec![Diff::Reset { rows: all }],
            });
        }
        let mut diffs = Vec::new();
        while let Some(id) = dirty.pop_first() {
            let row = self.line(id);
            diffs.extend(self.list.place(id, row));
        }
        if diffs.is_empty() {
            return None;
        }
        Some(Event::Conversations {
            generation: self.list.generation,
            diffs,
        })
    }

    /// A conversation's line, as it is now, and what it counts for the badge.
    fn line(&mut self, id: ConversationId) -> Option<ConversationRow> {
        let now = self.links.server_ms(self.now);
        let conversation = self.conversations.get(&id);
        let line = conversation.and_then(|it| line(it, &self.own, &self.outbox, now));
        let Some((row, ends)) = line else {
            self.own.count(id, 0);
            return None;
        };
        if let Some(until) = ends {
            self.mute_ends(until);
        }
        self.own.count(id, badge_of(&row));
        Some(row)
    }
}

/// What a line counts for the badge.
fn badge_of(row: &ConversationRow) -> u64 {
    let personal = &row.personal;
    if row.role.is_none() || personal.muted || personal.archived {
        return 0;
    }
    u64::from(row.unread).max(u64::from(personal.marked_unread))
}

/// A conversation's line; `None` while nothing is known of it. With when a mute ends.
fn line(
    conversation: &Conversation,
    own: &Own,
    outbox: &Outbox,
    now: WallMs,
) -> Option<(ConversationRow, Option<WallMs>)> {
    let head = &conversation.head;
    if matches!(head.kind, ConversationKind::Unknown(_)) {
        return None;
    }
    let name = match &head.peer {
        Some(peer) => peer.as_str(),
        None => head.name.as_str(),
    };
    let preview = head.preview.as_ref();
    let (personal, ends) = own.row(conversation, outbox, now);
    let row = ConversationRow {
        conversation: head.conversation,
        kind: head.kind,
        parent: head.parent,
        root: head.root,
        name: name.into(),
        peer: head.peer.clone(),
        role: head.role,
        unread: head.unread,
        mentions: head.mentions,
        last_sender: preview.map(|entry| entry.sender.clone()),
        preview: preview.map_or_else(|| "".into(), preview_of),
        at: head.at,
        last: head.last,
        // Who is out may nothing, whatever the last head said: there comes no other.
        capabilities: head.role.map_or(0, |_| head.capabilities),
        frozen: head.frozen,
        slow_mode_ms: head.slow_mode_ms,
        picture: head.picture.as_str().into(),
        muted_until: head.muted_until,
        personal,
        draft: own.draft(head.conversation, outbox),
    };
    Some((row, ends))
}
