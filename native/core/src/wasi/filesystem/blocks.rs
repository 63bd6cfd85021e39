//! Collections in blocks that copies share until they are written: a copy costs a reference for
//! each block, and a write copies one block.

use std::borrow::Borrow;
use std::sync::Arc;

/// Items in a block.
const BLOCK: usize = 256;

/// A sorted map.
#[derive(Clone, Debug)]
pub(super) struct BlockMap<K, V> {
    /// Sorted, and none of them empty.
    blocks: Vec<Arc<Vec<(K, V)>>>,
    len: usize,
}

impl<K, V> Default for BlockMap<K, V> {
    fn default() -> Self {
        BlockMap {
            blocks: Vec::new(),
            len: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> BlockMap<K, V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The block that has the key or would take it, and its place in there.
    fn locate<Q: Ord + ?Sized>(&self, key: &Q) -> (usize, Result<usize, usize>)
    where
        K: Borrow<Q>,
    {
        let index = self
            .blocks
            .partition_point(|block| block.last().is_some_and(|(last, _)| last.borrow() < key));
        match self.blocks.get(index) {
            Some(block) => (
                index,
                block.binary_search_by(|(other, _)| other.borrow().cmp(key)),
            ),
            // Beyond all others: at the end of the last block.
            None => match self.blocks.last() {
                Some(last) => (index - 1, Err(last.len())),
                None => (0, Err(0)),
            },
        }
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (index, place) = self.locate(key);
        let (_, value) = self.blocks.get(index)?.get(place.ok()?)?;
        Some(value)
    }

    /// Adds an item, or replaces the one of that key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let (index, place) = self.locate(&key);
        let Some(block) = self.blocks.get_mut(index) else {
            self.blocks.push(Arc::new(vec![(key, value)]));
            self.len += 1;
            return;
        };
        let block = Arc::make_mut(block);
        match place {
            Ok(place) => {
                if let Some(slot) = block.get_mut(place) {
                    *slot = (key, value);
                }
            }
            Err(place) => {
                self.len += 1;
                if block.len() < BLOCK {
                    block.insert(place, (key, value));
                } else if place == BLOCK {
                    // Keys often ascend: those before need no room.
                    self.blocks.insert(index + 1, Arc::new(vec![(key, value)]));
                } else {
                    let mut upper = block.split_off(BLOCK / 2);
                    match place.checked_sub(BLOCK / 2) {
                        Some(place) => upper.insert(place, (key, value)),
                        None => block.insert(place, (key, value)),
                    }
                    self.blocks.insert(index + 1, Arc::new(upper));
                }
            }
        }
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (index, place) = self.locate(key);
        let place = place.ok()?;
        let block = Arc::make_mut(self.blocks.get_mut(index)?);
        let (_, value) = block.remove(place);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(index);
        }
        Some(value)
    }

    pub(super) fn first(&self) -> Option<&K> {
        let (key, _) = self.blocks.first()?.first()?;
        Some(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.blocks
            .iter()
            .flat_map(|block| block.iter().map(|(key, value)| (key, value)))
    }

    /// The items with a greater key.
    pub(super) fn after<'a>(
        &'a self,
        key: &K,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        let (index, place) = self.locate(key);
        let skipped = match place {
            Ok(place) => place + 1,
            Err(place) => place,
        };
        let blocks = self.blocks.get(index..).unwrap_or_default();
        blocks
            .iter()
            .flat_map(|block| block.iter().map(|(key, value)| (key, value)))
            .skip(skipped)
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for BlockMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let items = self.blocks.iter().flat_map(|block| block.iter());
        items.eq(other.blocks.iter().flat_map(|block| block.iter()))
    }
}

/// A table of numbered places.
#[derive(Clone, Debug)]
pub(super) struct BlockVec<T> {
    /// All but the last are full.
    blocks: Vec<Arc<Vec<T>>>,
}

impl<T: Clone> BlockVec<T> {
    pub(super) fn new(items: Vec<T>) -> Self {
        let mut blocks = BlockVec { blocks: Vec::new() };
        for item in items {
            blocks.push(item);
        }
        blocks
    }

    pub(super) fn len(&self) -> usize {
        match self.blocks.split_last() {
            Some((last, full)) => full.len() * BLOCK + last.len(),
            None => 0,
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&T> {
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        // Looked for first: what is not there needs no copy.
        self.get(index)?;
        Arc::make_mut(self.blocks.get_mut(index / BLOCK)?).get_mut(index % BLOCK)
    }

    pub(super) fn push(&mut self, item: T) {
        match self.blocks.last_mut() {
            Some(last) if last.len() < BLOCK => Arc::make_mut(last).push(item),
            _ => self.blocks.push(Arc::new(vec![item])),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A generator good enough to choose keys.
    fn next(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        *state >> 33
    }

    #[test]
    fn a_map_does_what_a_sorted_map_does() {
        let (mut map, mut model) = (BlockMap::default(), BTreeMap::new());
        let mut random = 1;
        for round in 0..20_000 {
            let key = next(&mut random) % 2_000;
            if next(&mut random).is_multiple_of(3) {
                assert_eq!(map.remove(&key), model.remove(&key));
            } else {
                map.insert(key, round);
                model.insert(key, round);
            }
            assert_eq!((map.len(), map.first()), (model.len(), model.keys().next()));
            let (key, other) = (next(&mut random) % 2_000, next(&mut random) % 2_000);
            assert_eq!(map.get(&key), model.get(&key));
            if round % 100 == 0 {
                assert!(map.iter().eq(&model));
                assert!(map.after(&other).eq(model.range(other + 1..)));
            }
        }
    }

    #[test]
    fn ascending_keys_fill_their_blocks() {
        let mut map = BlockMap::default();
        for key in 0..10 * BLOCK {
            map.insert(key, ());
        }
        assert_eq!(map.blocks.len(), 10);
    }

    #[test]
    fn a_copy_shares_all_blocks_but_those_written() {
        let mut map = BlockMap::default();
        for key in 0..4 * BLOCK {
            map.insert(key, 0);
        }
        let copy = map.clone();
        map.insert(BLOCK + 1, 1);
        let shared = map.blocks.iter().zip(&copy.blocks);
        assert_eq!(shared.filter(|(a, b)| Arc::ptr_eq(a, b)).count(), 3);
        assert_eq!(
            (copy.get(&(BLOCK + 1)), map.get(&(BLOCK + 1))),
            (Some(&0), Some(&1))
        );
        assert!(map != copy);
    }

    #[test]
    fn a_table_grows_and_is_copied_on_write() {
        let mut table = BlockVec::new((0..1000).collect());
        let copy = table.clone();
        table.push(1000);
        *table.get_mut(3).unwrap() = 7;
        assert_eq!(table.get_mut(1001), None);
        assert_eq!((table.len(), copy.len()), (1001, 1000));
        assert_eq!((table.get(3), copy.get(3)), (Some(&7), Some(&3)));
        assert!(copy.iter().copied().eq(0..1000));
    }
}
