//! The small way from one list of rows to another.

use crate::{sorted::Map, view::Diff};

/// Diffs of one view that wait for a poll at most; beyond it one reset is cheaper for everybody.
pub(crate) const DIFFS_MAX: usize = 64;

/// The diffs that make `new` of `old`, or `None` if there would be more than [`DIFFS_MAX`]. `key` must be unique in each list.
pub(crate) fn diff<Row: Clone + PartialEq, Key: Ord + Copy>(
    old: &[Row],
    new: &[Row],
    key: impl Fn(&Row) -> Key,
) -> Option<Vec<Diff<Row>>> {
    // Most changes are at one end or in one row: what is equal on both sides needs no work.
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = (old.iter().rev())
        .zip(new.iter().rev())
        .take(old.len().min(new.len()) - head)
        .take_while(|(a, b)| a == b)
        .count();
    let old = old.get(head..old.len() - tail)?;
    let new = new.get(head..new.len() - tail)?;
    let mut diffs = Vec::new();

    let mut wanted = Map::default();
    for (index, row) in new.iter().enumerate() {
        wanted.insert(key(row), index);
    }
    let mut rows: Vec<&Row> = Vec::with_capacity(new.len());
    let mut removed = Vec::new();
    for (index, row) in old.iter().enumerate() {
        if wanted.contains_key(&key(row)) {
            rows.push(row);
        } else {
            removed.push(head + index);
        }
    }
    diffs.extend(
        removed
            .into_iter()
            .rev()
            .map(|index| Diff::Remove { index }),
    );
    let mut kept = Map::default();
    for row in &rows {
        kept.insert(key(row), 0);
    }

    for (index, row) in new.iter().enumerate() {
        if diffs.len() > DIFFS_MAX {
            return None;
        }
        if !kept.contains_key(&key(row)) {
            rows.insert(index, row);
            diffs.push(Diff::Insert {
                index: head + index,
                row: row.clone(),
            });
            continue;
        }
        let here = rows.get(index).is_some_and(|at| key(at) == key(row));
        if !here {
            let next = rows.get(index + 1).is_some_and(|at| key(at) == key(row));
            let (from, to) = if next {
                // One row went down: move that one instead of all that it passed.
                let target = rows.get(index).and_then(|at| wanted.get(&key(at)));
                (index, *target?.min(&(rows.len() - 1)))
            } else {
                (rows.iter().position(|at| key(at) == key(row))?, index)
            };
            let moved = rows.remove(from);
            rows.insert(to, moved);
            diffs.push(Diff::Move {
                from: head + from,
                to: head + to,
            });
        }
        if let Some(at) = rows.get_mut(index)
            && *at != row
        {
            *at = row;
            diffs.push(Diff::Set {
                index: head + index,
                row: row.clone(),
            });
        }
    }
    (diffs.len() <= DIFFS_MAX).then_some(diffs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row = (u32, u32);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        proptest::collection::btree_map(0u32..30, 0u32..3, 0..20)
            .prop_map(|map| map.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    }

    #[test]
    fn a_row_that_moves_is_one_diff() {
        let old: Vec<Row> = (0..10).map(|n| (n, 0)).collect();
        for (from, to) in [(0, 9), (9, 0), (3, 6), (6, 3)] {
            let mut new = old.clone();
            let row = new.remove(from);
            new.insert(to, row);
            let diffs = diff(&old, &new, |row| row.0);
            assert_eq!(diffs, Some(vec![Diff::Move { from, to }]));
        }
    }

    proptest! {
        #[test]
        fn diffs_lead_from_old_to_new(old in rows(), new in rows()) {
            let diffs = diff(&old, &new, |row| row.0);
            let mut mirror = old;
            for diff in diffs.into_iter().flatten() {
                prop_assert!(diff.apply(&mut mirror));
            }
            prop_assert_eq!(mirror, new);
        }
    }
}
