//! The cache of a client without a folder.

use std::collections::{BTreeMap, HashMap};

use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, ItemsQuery, Loaded, OutboxRecord, Profile, Rows, StoreError,
    StoreOp, Transaction,
};
use fireside_protocol::{ConversationId, Nonce, RecordKey, Sequence, frames::UserRecord};

use super::{Found, found, text};
use crate::limits::MEMORY_ITEMS_MAX;
use crate::search::SearchQuery;

/// Keeps everything until the process ends.
#[derive(Default)]
pub(crate) struct MemoryCache {
    profile: Profile,
    conversations: HashMap<ConversationId, ConversationRecord>,
    items: HashMap<ConversationId, BTreeMap<Sequence, ItemRecord>>,
    item_count: usize,
    records: HashMap<RecordKey, UserRecord>,
    outbox: HashMap<Nonce, OutboxRecord>,
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
        let mut outbox: Vec<OutboxRecord> = self.outbox.values().cloned().collect();
        outbox.sort_by_key(|record| record.position);
        Loaded {
            profile: self.profile.clone(),
            conversations: self.conversations.values().cloned().collect(),
            records: self.records.values().cloned().collect(),
            outbox,
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
            self.item_count -= self
                .items
                .remove(conversation)
                .map_or(0, |items| items.len());
        }
        for conversation in &transaction.forget {
            self.conversations.remove(conversation);
        }
        for record in transaction.conversations {
            self.conversations.insert(record.head.conversation, record);
        }
        for item in transaction.items {
            let items = self.items.entry(item.conversation).or_default();
            match items.get(&item.sequence) {
                Some(held) if held.rev > item.rev => {}
                Some(_) => drop(items.insert(item.sequence, item)),
                None => {
                    self.item_count += 1;
                    items.insert(item.sequence, item);
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
            self.outbox.insert(record.nonce, record);
        }
        for nonce in transaction.outbox_remove {
            self.outbox.remove(&nonce);
        }
        if let Some(profile) = transaction.profile {
            self.profile = profile;
        }
        Ok(())
    }

    fn items(&self, query: &ItemsQuery) -> Vec<ItemRecord> {
        let Some(items) = self.items.get(&query.conversation) else {
            return Vec::new();
        };
        let below = if query.below == Sequence::MAX {
            items.range(..)
        } else {
            items.range(..query.below)
        };
        let mut found: Vec<ItemRecord> = below
            .rev()
            .take(query.limit as usize)
            .map(|(_, item)| item.clone())
            .collect();
        found.reverse();
        found
    }

    pub(crate) fn search(&self, query: &SearchQuery) -> Vec<Found> {
        let words = text::folded_words(&query.text);
        if words.is_empty() {
            return Vec::new();
        }
        let scope = self.items.iter().filter(|(conversation, _)| {
            query.conversation.is_none_or(|only| only == **conversation)
        });
        let mut hits: Vec<Found> = scope
            .flat_map(|(_, items)| items.values())
            .filter(|item| !item.text.is_empty() && text::matches(&item.text, &words))
            .filter_map(|item| found(&item.body, &item.text))
            .collect();
        hits.sort_by_key(|hit| std::cmp::Reverse((hit.at, hit.sequence)));
        hits.truncate(query.limit as usize);
        hits
    }
}
