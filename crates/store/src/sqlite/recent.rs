//! A bounded map that forgets what was not used lately.

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;

/// Two generations: when the young one is full it becomes the old one, and what nobody asked for since is forgotten. Holds at most
/// `max` values; a lookup is one or two hash lookups.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    half: usize,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self {
            young: HashMap::default(),
            old: HashMap::default(),
            half: (max / 2).max(1),
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        // A key is in one of them at most, and the old one is empty most of the time.
        if !self.old.is_empty()
            && let Some(value) = self.old.remove(key)
        {
            self.insert(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        if !self.old.is_empty() {
            self.old.remove(&key);
        }
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_stays_bounded() {
        let mut recent = Recent::new(8);
        for key in 0..100 {
            recent.insert(key, key);
            assert_eq!(recent.get(&0).copied(), Some(0), "used every time");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.get(&50), None);
        recent.remove(&0);
        assert_eq!(recent.get(&0), None);
    }
}
