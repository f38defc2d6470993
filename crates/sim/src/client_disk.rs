//! A device's disk: the client's cache as plain data. A killed process keeps what was applied.

use std::collections::BTreeMap;

use fireside_client_core::storage::{
    ConversationRecord, ItemRecord, Loaded, OutboxRecord, Profile, Rows, StoreError, StoreOp,
};
use fireside_protocol::{ConversationId, Nonce, RecordKey, Sequence, frames::UserRecord};

/// What a device keeps.
#[derive(Clone, Debug, Default)]
pub struct ClientDisk {
    /// Cursors.
    pub profile: Profile,
    /// By id.
    pub conversations: BTreeMap<ConversationId, ConversationRecord>,
    /// By conversation and number.
    pub items: BTreeMap<(ConversationId, Sequence), ItemRecord>,
    /// Records of the user log by key.
    pub records: BTreeMap<RecordKey, UserRecord>,
    /// By name.
    pub outbox: BTreeMap<Nonce, OutboxRecord>,
    /// Every operation fails.
    pub broken: bool,
    /// The last state wins, whatever its rev (a built-in fault).
    pub rev_ignored: bool,
}

impl ClientDisk {
    /// Carries out an operation.
    ///
    /// # Errors
    /// While the disk is broken.
    pub fn carry_out(&mut self, op: StoreOp) -> Result<Rows, StoreError> {
        if self.broken {
            return Err(StoreError {
                reason: "the simulated disk is broken".to_owned(),
            });
        }
        Ok(match op {
            StoreOp::Load => {
                let mut outbox: Vec<OutboxRecord> = self.outbox.values().cloned().collect();
                outbox.sort_by_key(|record| record.position);
                Rows::Loaded(Box::new(Loaded {
                    profile: self.profile.clone(),
                    conversations: self.conversations.values().cloned().collect(),
                    records: self.records.values().cloned().collect(),
                    outbox,
                }))
            }
            StoreOp::Apply(transaction) => {
                for id in transaction.drop_items.iter().chain(&transaction.forget) {
                    self.items.retain(|(conversation, _), _| conversation != id);
                }
                for id in &transaction.forget {
                    self.conversations.remove(id);
                }
                for record in transaction.conversations {
                    self.conversations.insert(record.head.conversation, record);
                }
                for item in transaction.items {
                    let key = (item.conversation, item.sequence);
                    let newer = self.items.get(&key).is_none_or(|held| held.rev <= item.rev);
                    if newer || self.rev_ignored {
                        self.items.insert(key, item);
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
                Rows::Applied
            }
            StoreOp::Items(query) => {
                let range = (query.conversation, 0)..(query.conversation, query.below);
                let mut items: Vec<ItemRecord> = self
                    .items
                    .range(range)
                    .rev()
                    .take(query.limit as usize)
                    .map(|(_, item)| item.clone())
                    .collect();
                items.reverse();
                Rows::Items(items)
            }
        })
    }
}
