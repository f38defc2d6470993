//! The cache of a client without a folder.

use std::collections::{HashMap, VecDeque};

use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, ItemsQuery, Loaded, OutboxRecord, Profile, Rows, StoreError,
    StoreOp, Transaction,
};
use fireside_protocol::{ConversationId, Nonce, RecordKey, Sequence, frames::UserRecord};

use super::{Found, add_newest, found, text};
use crate::limits::MEMORY_ITEMS_MAX;
use crate::search::SearchQuery;

/// Keeps everything until the process ends.
#[derive(Default)]
pub(crate) struct MemoryCache {
    profile: Profile,
    conversations: HashMap<ConversationId, Held>,
    item_count: usize,
    records: HashMap<RecordKey, UserRecord>,
    /// By position.
    outbox: Vec<OutboxRecord>,
}

/// What is held of a conversation.
#[derive(Default)]
struct Held {
    record: Option<ConversationRecord>,
    /// By number: most come at one of the ends.
    items: VecDeque<ItemRecord>,
}

impl MemoryCache {
    pub(crate) fn run(&mut self, op: StoreOp) -> Result<Rows, StoreError> {
        match op {
            StoreOp::Load => Ok(Rows::Loaded(Box::new(self.load()))),
            StoreOp::Apply(transaction) => self.apply(*transaction).map(|()| Rows::Applied),
            StoreOp::Items(query) => Ok(Rows::Items(self.items(&query))),
        }
    }

    fn load(&self) -> Loaded {
        Loaded {
            profile: self.profile.clone(),
            conversations: (self.conversations.values())
                .filter_map(|held| held.record.clone())
                .collect(),
            records: self.records.values().cloned().collect(),
            outbox: self.outbox.clone(),
        }
    }

    fn apply(&mut self, transaction: Transaction) -> Result<(), StoreError> {
        // Before anything is changed: all of it or nothing.
        if self.item_count + transaction.items.len() > MEMORY_ITEMS_MAX {
            let reason =
                format!("{MEMORY_ITEMS_MAX} messages are in memory; give the client a folder");
            return Err(StoreError { reason });
        }
        for conversation in transaction.drop_items.iter().chain(&transaction.forget) {
            if let Some(held) = self.conversations.get_mut(conversation) {
                self.item_count -= held.items.len();
                held.items = VecDeque::new();
            }
        }
        for conversation in &transaction.forget {
            self.conversations.remove(conversation);
        }
        for record in transaction.conversations {
            let held = self.conversations.entry(record.head.conversation);
            held.or_default().record = Some(record);
        }
        for item in transaction.items {
            let held = self.conversations.entry(item.conversation).or_default();
            let items = &mut held.items;
            let place = items.partition_point(|held| held.sequence < item.sequence);
            match items.get_mut(place) {
                Some(held) if held.sequence == item.sequence => {
                    if held.rev <= item.rev {
                        *held = item;
                    }
                }
                _ => {
                    self.item_count += 1;
                    items.insert(place, item);
                }
            }
        }
        if transaction.forget_records {
            self.records.clear();
        }
        for record in transaction.records {
            let key = record.key();
            if record.gone {
                self.records.remove(&key);
            } else {
                self.records.insert(key, record);
            }
        }
        for record in transaction.outbox {
            self.remove(record.nonce);
            let place = (self.outbox).partition_point(|before| before.position <= record.position);
            self.outbox.insert(place, record);
        }
        for nonce in transaction.outbox_remove {
            self.remove(nonce);
        }
        if let Some(profile) = transaction.profile {
            self.profile = profile;
        }
        Ok(())
    }

    /// Of the outbox.
    fn remove(&mut self, nonce: Nonce) {
        self.outbox.retain(|record| record.nonce != nonce);
    }

    fn items(&self, query: &ItemsQuery) -> Vec<ItemRecord> {
        let Some(held) = self.conversations.get(&query.conversation) else {
            return Vec::new();
        };
        let items = &held.items;
        let end = if query.below == Sequence::MAX {
            items.len()
        } else {
            items.partition_point(|held| held.sequence < query.below)
        };
        let start = end.saturating_sub(query.limit as usize);
        items.range(start..end).cloned().collect()
    }

    pub(crate) fn search(&self, query: &SearchQuery) -> Vec<Found> {
        let words = text::folded_words(&query.text);
        if words.is_empty() {
            return Vec::new();
        }
        let scope = self.conversations.iter().filter(|(conversation, _)| {
            query.conversation.is_none_or(|only| only == **conversation)
        });
        let matching = scope
            .flat_map(|(_, held)| &held.items)
            .filter(|item| !item.text.is_empty() && text::matches(&item.text, &words));
        let mut hits = Vec::new();
        for item in matching {
            if let Some(hit) = found(&item.body, &item.text) {
                add_newest(&mut hits, hit, query.limit);
            }
        }
        hits
    }
}
