//! Sets of conversations and what is known by conversation in one number: one kind of tree for all of them, as each costs 5 KiB of code.

use std::collections::BTreeMap;

use fireside_protocol::ConversationId;

/// A number for each of some conversations: mostly a time.
pub(crate) type Numbers = BTreeMap<ConversationId, u64>;

/// A set of conversations, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct IdSet(Numbers);

impl IdSet {
    pub(crate) fn insert(&mut self, id: ConversationId) {
        self.0.insert(id, 0);
    }

    pub(crate) fn remove(&mut self, id: ConversationId) {
        self.0.remove(&id);
    }

    pub(crate) fn contains(&self, id: ConversationId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn pop_first(&mut self) -> Option<ConversationId> {
        self.0.pop_first().map(|(id, _)| id)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ConversationId> {
        self.0.keys().copied()
    }
}
