//! Finds an IPv4 address: two bits for its /24, then at most a few lines.

use super::header::{self, V4_BUCKETS, v4_spill, v4_spill_size};
use super::{Class, GATE, Line, Lines, Step, Trace, row, wide};
use crate::abi::RuleValue;

/// What the gate says about a /24; nothing is 0.
pub(super) mod cell {
    /// All of it has the class of its /16.
    pub(in super::super) const WIDE: u64 = 1;
    /// Some of its addresses have entries.
    #[cfg(any(test, feature = "alloc"))]
    pub(in super::super) const HOSTS: u64 = 2;
    /// Some of its addresses have entries, some /28s of it, or all of it.
    pub(in super::super) const MIXED: u64 = 3;
}

/// What a cell of the gate says, for people.
pub const fn cell_name(bits: u8) -> &'static str {
    match bits as u64 {
        0 => "nothing",
        cell::WIDE => "the class of the /16",
        cell::MIXED => "entries for hosts and networks",
        _ => "entries for hosts",
    }
}

/// What an entry stands for. A network is told from a host by a bit, a /28 from a /24 by its lowest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// One address.
    Host(u32),
    /// Sixteen.
    Sixteen(u32),
    /// A /24.
    Network(u32),
}

impl Key {
    #[inline(always)]
    const fn length(self) -> u8 {
        match self {
            Self::Host(_) => 32,
            Self::Sixteen(_) => 28,
            Self::Network(_) => 24,
        }
    }
}

/// Set in the last half word of a bucket some of whose entries are in the spill.
pub(super) const SPILLED: u32 = 1 << 31;

/// Where an entry belongs.
///
/// The hash is one to one, so the bits that choose the line need not be stored in it: 16 bits tell the entries of a
/// bucket apart without error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Its bucket.
    pub(super) bucket: u32,
    /// What marks it there.
    pub(super) tag: u16,
    /// Its line in the spill.
    pub(super) spill: u32,
    /// What marks it there.
    pub(super) spill_tag: u32,
}

impl Place {
    #[inline(always)]
    pub(super) fn new(key: Key, buckets: u32, seed: u64) -> Self {
        let (number, kind) = match key {
            Key::Host(address) => (address, 0),
            Key::Sixteen(address) => ((address & !0xf) | 1, 1),
            Key::Network(address) => (address & !0xff, 1),
        };
        let hash = mix(number ^ seed as u32);
        let marked = hash << 1 | kind;
        Self {
            bucket: V4_BUCKETS.wrapping_add(top(hash, buckets)),
            tag: marked as u16,
            spill: v4_spill(buckets).wrapping_add(top(hash, v4_spill_size(buckets))),
            spill_tag: marked,
        }
    }
}

/// The rule of the longest prefix that covers `address`, if any does.
#[inline(always)]
pub fn lookup(lines: &(impl Lines + ?Sized), address: u32) -> Option<RuleValue> {
    walk(lines, address, &mut ())
}

/// The same, step by step for whoever listens.
#[inline(always)]
pub fn walk(
    lines: &(impl Lines + ?Sized),
    address: u32,
    trace: &mut impl Trace,
) -> Option<RuleValue> {
    let line = GATE + (address >> 16);
    let gate = lines.line(line)?;
    let word = gate.get((address >> 13 & 7) as usize)?;
    let cell = word >> (2 * (address >> 8 & 31)) & 3;
    trace.step(Step::Gate { line, bits: cell as u8 });
    let class = match cell {
        0 => return None,
        cell::WIDE => wide(lines, (address >> 16) as u16, trace)?,
        cell => {
            let first = lines.line(0)?;
            let (_, size, _) = header::sizes(&first);
            let table = Buckets { lines, size, seed: header::seed(&first) };
            let class = table.find(Key::Host(address), trace)?;
            if class != 0 || cell != cell::MIXED {
                class
            } else {
                table.find_network(address, trace)?
            }
        }
    };
    if class == 0 { None } else { row(lines, class, trace) }
}

struct Buckets<'a, L: ?Sized> {
    lines: &'a L,
    size: u32,
    seed: u64,
}

impl<L: Lines + ?Sized> Buckets<'_, L> {
    #[inline(always)]
    fn find_network(&self, address: u32, trace: &mut impl Trace) -> Option<Class> {
        match self.find(Key::Sixteen(address), trace)? {
            0 => self.find(Key::Network(address), trace),
            class => Some(class),
        }
    }

    /// The class of an entry, 0 when it is not there.
    #[inline(always)]
    fn find(&self, key: Key, trace: &mut impl Trace) -> Option<Class> {
        let place = Place::new(key, self.size, self.seed);
        let line = self.lines.line(place.bucket)?;
        let class = find(&line, place.tag);
        let length = key.length();
        trace.step(Step::Bucket { line: place.bucket, length, class, second: false });
        if class != 0 || marks(&line) & SPILLED == 0 {
            return Some(class);
        }
        let class = find_spilled(&*self.lines.line(place.spill)?, place.spill_tag);
        trace.step(Step::Bucket { line: place.spill, length, class, second: true });
        Some(class)
    }
}

/// What a line says about itself: how many slots are taken, and whether there are entries elsewhere.
#[inline(always)]
pub(super) fn marks(line: &Line) -> u32 {
    (line[7] >> 32) as u32
}

/// A bucket is 20 tags of two bytes, 20 classes of one, and its marks. Four tags are compared at once: a half word that is
/// 0 after the exclusive or sets the top bit of its place, and the lowest place that is set is never wrong.
#[inline(always)]
fn find(line: &Line, tag: u16) -> Class {
    const ONES: u64 = 0x0001_0001_0001_0001;
    let pattern = u64::from(tag) * ONES;
    for (slot, word) in (0..).step_by(4).zip(line.iter().take(5)) {
        let odd = word ^ pattern;
        let found = odd.wrapping_sub(ONES) & !odd & (ONES << 15);
        if found != 0 {
            let place = if found & 1 << 15 != 0 {
                0
            } else if found & 1 << 31 != 0 {
                1
            } else if found & 1 << 47 != 0 {
                2
            } else {
                3
            };
            return class(line, slot + place);
        }
    }
    0
}

#[inline(always)]
fn class(line: &Line, slot: u32) -> Class {
    let word = line.get(((5 + (slot >> 3)) & 7) as usize).copied().unwrap_or_default();
    (word >> (8 * (slot & 7))) as Class
}

/// A line of spill is 12 tags of four bytes, 12 classes of one, and its marks.
#[inline(always)]
fn find_spilled(line: &Line, tag: u32) -> Class {
    for (slot, word) in (0..).step_by(2).zip(line.iter().take(6)) {
        if *word as u32 == tag {
            return spilled_class(line, slot);
        }
        if (word >> 32) as u32 == tag {
            return spilled_class(line, slot + 1);
        }
    }
    0
}

#[inline(always)]
fn spilled_class(line: &Line, slot: u32) -> Class {
    let word = line.get(((6 + (slot >> 3)) & 7) as usize).copied().unwrap_or_default();
    (word >> (8 * (slot & 7))) as Class
}

/// A one to one hash.
#[inline(always)]
fn mix(number: u32) -> u32 {
    let first = number.wrapping_mul(0x9e37_79b1);
    (first ^ first >> 15).wrapping_mul(0x85eb_ca77)
}

/// The `bits` highest bits.
#[inline(always)]
fn top(hash: u32, bits: u32) -> u32 {
    (u64::from(hash) << (bits & 31) >> 32) as u32
}
