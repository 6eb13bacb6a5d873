//! Builds tables from prefixes: flattens what is nested, chooses the sizes, fills the lines.

mod v4;
mod v6;

use alloc::vec;
use alloc::vec::Vec;

pub use v4::build_v4;
pub use v6::build_v6;

use super::header::{Header, Shape};
use super::{Class, GATE, Line, MAX_CLASSES, ROWS, WIDE};
use crate::abi::RuleValue;

/// One prefix of a family with the class of its rule; `A` is the address as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry<A> {
    /// The first address.
    pub address: A,
    /// The length in bits.
    pub length: u8,
    /// The class, which is not 0.
    pub class: Class,
}

/// The rows of a table: each combination of a list and an action once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    rules: Vec<RuleValue>,
    /// The class of each list and action, by both as a number.
    classes: Vec<Class>,
}

impl Rows {
    /// No combination yet.
    pub const fn new() -> Self {
        Self { rules: Vec::new(), classes: Vec::new() }
    }

    /// The class of a rule, a new one when it has none; `None` when there are [`MAX_CLASSES`] others already.
    pub fn class(&mut self, rule: RuleValue) -> Option<Class> {
        let [_, _, action, _] = rule.to_bytes();
        let number = usize::from(rule.list()) << 8 | usize::from(action);
        if number >= self.classes.len() {
            self.classes.resize(number + 1, 0);
        }
        let class = self.classes.get_mut(number)?;
        if *class == 0 && self.rules.len() < MAX_CLASSES {
            self.rules.push(rule);
            *class = Class::try_from(self.rules.len()).ok()?;
        }
        (*class != 0).then_some(*class)
    }

    fn write(&self, lines: &mut [Line]) {
        for (class, rule) in (1_usize..).zip(&self.rules) {
            let row = u64::from(u32::from_ne_bytes(rule.to_bytes()));
            if let Some(pair) = word(lines, ROWS as usize + class / 16, class / 2 % 8) {
                *pair |= row << (32 * (class % 2));
            }
        }
    }
}

/// What a table is made with, beside its prefixes.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// The least that the parts may be, so that it fits where another one was.
    pub at_least: Shape,
    /// Which of several tables it is.
    pub generation: u32,
    /// What the hashes begin with. An attacker who could guess it could choose addresses that fill one bucket.
    pub seed: u64,
    /// A digest of all that it is made from.
    pub digest: u64,
}

/// A table that is ready for use.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its header.
    pub header: Header,
    /// All of it.
    pub lines: Vec<Line>,
    /// What is to be put into the trie beside it, under its generation, before it is used.
    pub leftovers: Vec<Entry<u128>>,
}

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// More than the largest table holds.
    TooMany,
}

impl Table {
    fn seal(
        header: Header,
        mut lines: Vec<Line>,
        rows: &Rows,
        leftovers: Vec<Entry<u128>>,
    ) -> Self {
        rows.write(&mut lines);
        if let Some(first) = lines.first_mut() {
            *first = header.to_line();
        }
        Header::seal(&mut lines);
        Self { header, lines, leftovers }
    }
}

/// Prefixes in order, the last one of several equal ones: each is followed by those inside it.
fn in_order<A: Copy + Ord>(entries: &[Entry<A>]) -> Option<Vec<Entry<A>>> {
    let key = |entry: &Entry<A>| (entry.address, entry.length);
    if entries.is_sorted_by(|a, b| key(a) < key(b)) {
        return None;
    }
    let mut sorted = entries.to_vec();
    sorted.reverse();
    sorted.sort_by_key(key);
    sorted.dedup_by_key(|entry| key(entry));
    Some(sorted)
}

fn zeroed(lines: u32) -> Vec<Line> {
    vec![[0; 8]; lines as usize]
}

fn word(lines: &mut [Line], line: usize, word: usize) -> Option<&mut u64> {
    lines.get_mut(line)?.get_mut(word)
}

/// Gives a whole /16 a class.
fn set_wide(lines: &mut [Line], top: usize, class: Class) {
    if let Some(word) = word(lines, WIDE as usize + top / 64, top / 8 % 8) {
        let shift = 8 * (top % 8);
        *word = *word & !(0xff << shift) | u64::from(class) << shift;
    }
}

/// Sets bits in the gate's word at `place`, which counts words.
fn or_gate(lines: &mut [Line], place: usize, bits: u64) {
    if let Some(word) = word(lines, GATE as usize + place / 8, place % 8) {
        *word |= bits;
    }
}

#[cfg(test)]
mod tests;
