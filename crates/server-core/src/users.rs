//! Users with a session on this node.

use std::collections::HashMap;

use fireside_protocol::UserId;
use foldhash::fast::RandomState;

use crate::{
    config::NodeConfig,
    conversation::{ConversationKey, UserKey},
    node::SessionKey,
    presence::Social,
    rate::Bucket,
    slab::Slab,
};

/// A user with at least one session here.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) sessions: Vec<SessionKey>,
    /// Where they are a member, ascending by key.
    pub(crate) conversations: Vec<ConversationKey>,
    /// Whom they know, if anybody.
    pub(crate) social: Option<Box<Social>>,
    pub(crate) direct: Bucket,
    pub(crate) group: Bucket,
    pub(crate) requests: Bucket,
    pub(crate) ephemeral: Bucket,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Users {
    slots: Slab<User>,
    by_id: HashMap<UserId, UserKey, RandomState>,
}

impl Users {
    pub(crate) fn key(&self, id: &UserId) -> Option<UserKey> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn get(&self, key: UserKey) -> Option<&User> {
        self.slots.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: UserKey) -> Option<&mut User> {
        self.slots.get_mut(key)
    }

    pub(crate) fn by_id(&self, id: &UserId) -> Option<&User> {
        self.get(self.key(id)?)
    }

    pub(crate) fn by_id_mut(&mut self, id: &UserId) -> Option<&mut User> {
        let key = self.key(id)?;
        self.get_mut(key)
    }

    /// Adds a session to its user, who is made if this is the first.
    pub(crate) fn add_session(
        &mut self,
        id: &UserId,
        session: SessionKey,
        config: &NodeConfig,
        now_ms: u64,
    ) -> UserKey {
        let key = self.key(id).unwrap_or_else(|| {
            let key = self.slots.insert(User {
                id: id.clone(),
                sessions: Vec::with_capacity(1),
                conversations: Vec::new(),
                social: None,
                direct: Bucket::full(config.rate_direct_per_s, now_ms),
                group: Bucket::full(config.rate_group_per_s, now_ms),
                requests: Bucket::full(config.rate_requests_per_s, now_ms),
                ephemeral: Bucket::full(EPHEMERAL_PER_S, now_ms),
            });
            self.by_id.insert(id.clone(), key);
            key
        });
        if let Some(user) = self.get_mut(key) {
            user.sessions.push(session);
        }
        key
    }

    /// Takes a session away. With the last one the user goes and is returned.
    pub(crate) fn remove_session(&mut self, key: UserKey, session: SessionKey) -> Option<User> {
        let user = self.get_mut(key)?;
        user.sessions.retain(|other| *other != session);
        if !user.sessions.is_empty() {
            return None;
        }
        let user = self.slots.remove(key)?;
        self.by_id.remove(&user.id);
        Some(user)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl User {
    /// Whether they are a member, as far as this node knows.
    pub(crate) fn is_in(&self, conversation: ConversationKey) -> bool {
        self.conversations.binary_search(&conversation).is_ok()
    }

    /// `false` if it was there.
    pub(crate) fn add(&mut self, conversation: ConversationKey) -> bool {
        match self.conversations.binary_search(&conversation) {
            Ok(_) => false,
            Err(place) => {
                self.conversations.insert(place, conversation);
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, conversation: ConversationKey) {
        if let Ok(place) = self.conversations.binary_search(&conversation) {
            self.conversations.remove(place);
        }
    }
}

/// Typing marks and delivered markers per second and user; more are dropped in silence.
pub(crate) const EPHEMERAL_PER_S: u32 = 20;
