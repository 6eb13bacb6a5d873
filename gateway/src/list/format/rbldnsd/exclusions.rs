//! What exclusions leave of entries, within the room that there is.

use super::super::super::Entries;
use super::Dataset;
use crate::net::Prefix;

/// What exclusions may still cost, so that no file can be made to fill the memory or to take hours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Parts of entries that they may leave.
    parts: usize,
    /// Prefixes that may be looked at on the way.
    steps: usize,
}

impl Room {
    /// Room for a file of so many lines: enough for exclusions of single hosts all over IPv4.
    pub(super) fn of(lines: usize) -> Self {
        Self {
            parts: lines.saturating_mul(16).max(1_000_000),
            steps: lines.saturating_mul(48).max(3_000_000),
        }
    }
}

/// The prefixes that a dataset excludes.
#[derive(Debug)]
pub(super) struct Exclusions<'a> {
    dataset: Dataset,
    holes: Entries,
    room: &'a mut Room,
}

impl<'a> Exclusions<'a> {
    pub(super) fn new(
        dataset: Dataset,
        excluded: impl Iterator<Item = Prefix>,
        room: &'a mut Room,
    ) -> Self {
        Self { dataset, holes: excluded.collect(), room }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    /// Appends what is left of `prefix`, the fewest prefixes that it takes; `None` when there is no room for them.
    pub(super) fn leave(&mut self, prefix: Prefix, parts: &mut Vec<Prefix>) -> Option<()> {
        let is_reached = self.holes.covering(prefix).next().is_some()
            || self.holes.inside(prefix).next().is_some();
        if is_reached {
            return self.cut(prefix, self.dataset.narrowness(prefix), parts);
        }
        parts.push(prefix);
        Some(())
    }

    /// Appends what is left of `prefix`, a part of an entry.
    ///
    /// An exclusion that is wider than the entry does not reach it: rbldnsd answers with what is narrower.
    fn cut(&mut self, prefix: Prefix, narrowness: u8, parts: &mut Vec<Prefix>) -> Option<()> {
        self.room.steps = self.room.steps.checked_sub(1)?;
        let narrowest = self.holes.covering(prefix).next();
        if narrowest.is_some_and(|hole| self.dataset.narrowness(hole.prefix) >= narrowness) {
            return Some(());
        }
        let halves = prefix.halves().filter(|_halves| self.holes.inside(prefix).next().is_some());
        let Some([lower, upper]) = halves else {
            self.room.parts = self.room.parts.checked_sub(1)?;
            parts.push(prefix);
            return Some(());
        };
        self.cut(lower, narrowness, parts)?;
        self.cut(upper, narrowness, parts)
    }
}
