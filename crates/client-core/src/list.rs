//! The conversation list: newest activity first.

use std::{cmp::Reverse, sync::Arc};

use fireside_protocol::{ConversationId, ConversationKind, WallMs};

use crate::{
    Event, Session,
    conversation::Conversation,
    diff::DIFFS_MAX,
    id_set::{IdSet, Numbers},
    rows::preview_of,
    view::{ConversationRow, Diff, LIST_ROWS_MAX},
};

/// The view of the list.
#[derive(Debug)]
pub(crate) struct List {
    /// As the game has it, once all that was polled is applied: by time descending, then id.
    shown: Vec<ConversationRow>,
    /// The time under which a shown row stands.
    placed: Numbers,
    dirty: IdSet,
    reset: bool,
    generation: u64,
}

impl List {
    pub(crate) fn new() -> Self {
        Self {
            shown: Vec::new(),
            placed: Numbers::new(),
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

    fn find(&self, at: WallMs, id: ConversationId) -> usize {
        let key = (Reverse(at), id);
        self.shown
            .partition_point(|row| (Reverse(row.at), row.conversation) < key)
    }

    /// Brings one line up to date.
    fn place(
        &mut self,
        id: ConversationId,
        row: Option<ConversationRow>,
    ) -> Vec<Diff<ConversationRow>> {
        let old = self.placed.get(&id).map(|at| self.find(*at, id));
        let mut diffs = Vec::new();
        match (old, row) {
            (None, None) => {}
            (Some(index), None) => {
                self.shown.remove(index);
                self.placed.remove(&id);
                diffs.push(Diff::Remove { index });
            }
            (None, Some(row)) => {
                let index = self.find(row.at, id);
                self.placed.insert(id, row.at);
                self.shown.insert(index, row.clone());
                diffs.push(Diff::Insert { index, row });
            }
            (Some(from), Some(row)) => {
                let before = self.shown.remove(from);
                let to = self.find(row.at, id);
                if from != to {
                    diffs.push(Diff::Move { from, to });
                }
                if before != row {
                    diffs.push(Diff::Set {
                        index: to,
                        row: row.clone(),
                    });
                }
                self.placed.insert(id, row.at);
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
            let mut rows: Vec<ConversationRow> =
                self.conversations.values().filter_map(line).collect();
            rows.sort_unstable_by_key(|row| (Reverse(row.at), row.conversation));
            rows.truncate(LIST_ROWS_MAX);
            if rows == self.list.shown && self.list.generation > 0 {
                return None;
            }
            self.list.placed.clear();
            for row in &rows {
                self.list.placed.insert(row.conversation, row.at);
            }
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
            let row = self.conversations.get(&id).and_then(line);
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
}

/// A conversation's line; `None` while nothing is known of it.
fn line(conversation: &Conversation) -> Option<ConversationRow> {
    let head = &conversation.head;
    if matches!(head.kind, ConversationKind::Unknown(_)) {
        return None;
    }
    let name = match &head.peer {
        Some(peer) => peer.as_str(),
        None => head.name.as_str(),
    };
    let preview = head.preview.as_ref();
    Some(ConversationRow {
        conversation: head.conversation,
        kind: head.kind,
        name: name.into(),
        peer: head.peer.clone(),
        role: head.role,
        unread: head.unread,
        mentions: head.mentions,
        last_sender: preview.map(|entry| entry.sender.clone()),
        preview: preview.map_or_else(|| "".into(), preview_of),
        at: head.at,
        last: head.last,
        capabilities: head.capabilities,
        frozen: head.frozen,
        slow_mode_ms: head.slow_mode_ms,
        picture: head.picture.as_str().into(),
        muted_until: head.muted_until,
    })
}
