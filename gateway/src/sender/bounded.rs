//! A map of bounded size: when it is full, the one that is worth least of a few makes room.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// Of how many rows the one that is worth least goes.
const SAMPLE: usize = 8;

/// A map that never has more than so many rows.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    most: usize,
    places: HashMap<K, usize>,
    rows: Vec<(K, V)>,
    dice: u64,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(most: usize) -> Self {
        let dice = RandomState::new().hash_one(most) | 1;
        Self { most, places: HashMap::new(), rows: Vec::new(), dice }
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.places.get(&key)?;
        self.rows.get_mut(*place).map(|(_, value)| value)
    }

    /// The value at `key`, which is `new` where there was none; `None` if there is room for none at all.
    pub(super) fn entry<W: PartialOrd>(
        &mut self,
        key: K,
        new: V,
        worth: impl Fn(&V) -> W,
    ) -> Option<&mut V> {
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.rows.len() < self.most => {
                self.rows.push((key, new));
                let place = self.rows.len() - 1;
                self.places.insert(key, place);
                place
            }
            None => {
                let place = self.least(worth)?;
                let row = self.rows.get_mut(place)?;
                self.places.remove(&row.0);
                self.places.insert(key, place);
                *row = (key, new);
                place
            }
        };
        self.rows.get_mut(place).map(|(_, value)| value)
    }

    /// The place of the row that is worth least of some that are chosen by chance.
    fn least<W: PartialOrd>(&mut self, worth: impl Fn(&V) -> W) -> Option<usize> {
        let mut least: Option<(usize, W)> = None;
        for _ in 0..SAMPLE {
            let place = self.roll();
            let Some((_, value)) = self.rows.get(place) else { continue };
            let found = worth(value);
            if least.as_ref().is_none_or(|(_, least)| found < *least) {
                least = Some((place, found));
            }
        }
        least.map(|(place, _)| place)
    }

    /// A place by chance (xorshift64).
    fn roll(&mut self) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let rows = u64::try_from(self.rows.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.dice % rows).unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.places.len(), self.rows.len());
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worth_much_stays_when_strangers_come() {
        let mut map = Bounded::new(1000);
        for key in 0..100_u32 {
            *map.entry(key, 0, |worth| *worth).unwrap() = 1_000_000;
        }
        for key in 100..20_000_u32 {
            *map.entry(key, 0, |worth| *worth).unwrap() += key;
        }
        assert_eq!(map.len(), 1000);
        let kept = (0..100).filter(|key| map.get_mut(*key).is_some()).count();
        assert!(kept >= 99, "{kept}");
        assert!(map.get_mut(19_999).is_some(), "the newest is there");
        let old = (100..10_000).filter(|key| map.get_mut(*key).is_some()).count();
        assert!(old < 20, "{old} of the half that is worth least");
    }

    #[test]
    fn a_map_without_room_keeps_nothing() {
        let mut map = Bounded::new(0);
        assert_eq!(map.entry(1, 1, |worth| *worth), None);
        let mut map = Bounded::new(1);
        for key in 0..100 {
            assert_eq!(map.entry(key, key, |worth| *worth), Some(&mut { key }));
            assert_eq!(map.len(), 1);
        }
    }
}
