//! A map for what there are tens or hundreds of: rows in the order of their keys. A tenth of the code that a tree of the standard library
//! takes for each pair of types, and quicker while it is small. What may have thousands of rows stays a tree.

/// Rows by key, ascending. To insert or remove moves the rows behind it: values are small or boxed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Map<K, V> {
    rows: Vec<(K, V)>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<K: Ord, V> Map<K, V> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.rows.binary_search_by(|(other, _)| other.cmp(key))
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key).ok()?;
        self.rows.get(at).map(|(_, value)| value)
    }

    /// The key that is held for an equal one.
    pub(crate) fn key(&self, key: &K) -> Option<&K> {
        let at = self.find(key).ok()?;
        self.rows.get(at).map(|(key, _)| key)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.rows.get_mut(at).map(|(_, value)| value)
    }

    /// The value that was there before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => {
                let place = self.rows.get_mut(at)?;
                Some(std::mem::replace(&mut place.1, value))
            }
            Err(at) => {
                self.rows.insert(at, (key, value));
                None
            }
        }
    }

    /// The value of a key, put there if there is none.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = match self.find(&key) {
            Ok(at) => at,
            Err(at) => {
                self.rows.insert(at, (key, V::default()));
                at
            }
        };
        // It was found or put there.
        &mut self.rows[at].1
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        Some(self.rows.remove(at).1)
    }

    pub(crate) fn first(&self) -> Option<&(K, V)> {
        self.rows.first()
    }

    pub(crate) fn last(&self) -> Option<&(K, V)> {
        self.rows.last()
    }

    pub(crate) fn pop_last(&mut self) -> Option<(K, V)> {
        self.rows.pop()
    }

    /// The rows of the keys `from` to `to`, both included.
    pub(crate) fn part(&self, from: &K, to: &K) -> &[(K, V)] {
        let first = self.rows.partition_point(|(key, _)| key < from);
        let end = self.rows.partition_point(|(key, _)| key <= to);
        self.rows.get(first..end).unwrap_or_default()
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.rows.is_empty()).then(|| self.rows.remove(0))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.rows.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.rows.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.rows.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.rows.retain_mut(|(key, value)| keep(key, value));
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = V> {
        self.rows.into_iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn is_a_map_by_key() {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        let mut state = 7_u64;
        for _ in 0..2_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (key, value) = (state >> 59, state);
            match state >> 32 & 3 {
                0 => assert_eq!(map.remove(&key), model.remove(&key)),
                1 => *map.or_default(key) ^= value,
                _ => assert_eq!(map.insert(key, value), model.insert(key, value)),
            }
            if state >> 32 & 3 == 1 {
                *model.entry(key).or_default() ^= value;
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert!(map.iter().eq(model.iter()));
            assert_eq!(map.len(), model.len());
        }
        map.retain(|key, _| key % 2 == 0);
        model.retain(|key, _| key % 2 == 0);
        while let Some(first) = map.pop_first() {
            assert_eq!(Some(first), model.pop_first());
        }
        assert!(model.is_empty());
    }
}
