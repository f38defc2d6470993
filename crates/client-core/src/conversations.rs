//! The conversations of a user: some thousands, each in a place of its own that the tree of ids knows.

use fireside_protocol::ConversationId;

use crate::{conversation::Conversation, id_set::Numbers};

/// Conversations by id.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    /// The place of each.
    places: Numbers,
    /// Free places are the last of those below.
    held: Vec<Option<Box<Conversation>>>,
    free: Vec<usize>,
}

impl Conversations {
    fn place(&self, id: &ConversationId) -> Option<usize> {
        self.places.get(id).map(|place| *place as usize)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn contains_key(&self, id: &ConversationId) -> bool {
        self.places.contains_key(id)
    }

    pub(crate) fn get(&self, id: &ConversationId) -> Option<&Conversation> {
        self.held.get(self.place(id)?)?.as_deref()
    }

    pub(crate) fn get_mut(&mut self, id: &ConversationId) -> Option<&mut Conversation> {
        let place = self.place(id)?;
        self.held.get_mut(place)?.as_deref_mut()
    }

    /// The one that was there before.
    pub(crate) fn insert(
        &mut self,
        id: ConversationId,
        conversation: Conversation,
    ) -> Option<Box<Conversation>> {
        let place = self.place(&id).or_else(|| self.free.pop());
        let place = place.unwrap_or(self.held.len());
        if place == self.held.len() {
            self.held.push(None);
        }
        self.places.insert(id, place as u64);
        self.held.get_mut(place)?.replace(Box::new(conversation))
    }

    pub(crate) fn remove(&mut self, id: &ConversationId) -> Option<Box<Conversation>> {
        let place = self.places.remove(id)? as usize;
        self.free.push(place);
        self.held.get_mut(place)?.take()
    }

    /// In the order of their ids.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ConversationId> {
        self.places.keys()
    }

    /// In the order of their ids.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Conversation> {
        (self.places.values()).filter_map(|place| self.held.get(*place as usize)?.as_deref())
    }

    /// In the order of their places: by when they came, mostly.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Conversation> {
        self.held.iter_mut().filter_map(|held| held.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use fireside_protocol::decode;

    use super::*;

    fn id(number: u8) -> ConversationId {
        ConversationId([number; 16])
    }

    /// As a server that says only what it must.
    fn conversation(number: u8) -> Conversation {
        let mut head = b"\x83\xa1c\xc4\x10".to_vec();
        head.extend_from_slice(&id(number).0);
        head.extend_from_slice(b"\xa1k\x02\xa1n\x00");
        Conversation::new(decode(&head.into()).unwrap())
    }

    #[test]
    fn a_place_is_used_again_and_ids_stay_in_order() {
        let mut all = Conversations::default();
        for number in [3, 1, 2] {
            assert!(all.insert(id(number), conversation(number)).is_none());
        }
        assert_eq!(all.remove(&id(1)).map(|held| held.id()), Some(id(1)));
        assert!(all.remove(&id(1)).is_none());
        assert!(all.get(&id(1)).is_none());
        assert!(all.insert(id(4), conversation(4)).is_none());
        assert_eq!(all.held.len(), 3, "the place of the first is taken");
        assert!(all.insert(id(4), conversation(4)).is_some());
        let ids: Vec<_> = all.values().map(Conversation::id).collect();
        assert_eq!(ids, [id(2), id(3), id(4)]);
        assert!(all.keys().eq(&ids));
        assert_eq!((all.values_mut().count(), all.len()), (3, 3));
        assert_eq!(all.get_mut(&id(4)).map(|held| held.id()), Some(id(4)));
    }
}
