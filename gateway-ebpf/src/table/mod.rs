//! The prefix table: one flat, swappable run of 64-byte lines per family that answers in one or two of them.
//!
//! ```text
//!  IPv4                                      IPv6
//!  line 0      header                        line 0      header
//!  16 lines    rows: class -> list, action   16 lines    rows
//!  1024        a class per /16 ("wide")      1024        a class per /16 ("wide")
//!  65 536      2 bits per /24 (the gate)     2^14..2^16  a byte per hashed /32 (the gate)
//!  2^17..2^22  buckets of 20 entries         2^10..2^22  buckets of 7, /32 to /64
//!  2^11..2^16  spill, lines of 12            2^10..2^22  buckets of 3, /128
//!                                           2^6..2^18   a bit per hashed /64 that has /128s
//! ```
//!
//! The gate says which of the other parts can know an address; for most addresses that is none, and one line is all that
//! is read. The table is exact for all prefix lengths. The longest prefix wins, and the builder makes sure of that by
//! flattening what is nested. What the builder cannot place (IPv6 alone) goes to a trie behind a bit of the gate.

#[cfg(any(test, feature = "alloc"))]
pub mod build;
pub mod header;
pub mod v4;
pub mod v6;

use core::ops::Deref;

use crate::abi::RuleValue;

/// One cache line; a table is a run of them.
pub type Line = [u64; 8];

/// A table that can be read: on the host a slice or a map behind system calls, in the program a map.
pub trait Lines {
    /// A line, or a copy of it.
    type Line<'a>: Deref<Target = Line>
    where
        Self: 'a;

    /// The line at `index`, if the table has it.
    fn line(&self, index: u32) -> Option<Self::Line<'_>>;
}

impl Lines for [Line] {
    type Line<'a> = &'a Line;

    fn line(&self, index: u32) -> Option<&Line> {
        self.get(index as usize)
    }
}

/// What a lookup looked at, for people who ask why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The gate: two bits for a /24, a byte for a hashed /32.
    Gate {
        /// Its line.
        line: u32,
        /// What it says; 0 is that nothing else knows the address.
        bits: u8,
    },
    /// The class of the whole /16.
    Wide {
        /// Its line.
        line: u32,
        /// The class, or 0.
        class: Class,
    },
    /// The gate for hosts, of IPv6 alone.
    HostGate {
        /// Its line.
        line: u32,
        /// Whether there may be hosts in the /64.
        open: bool,
    },
    /// A bucket, or for what had no place there the spill (IPv4) or another bucket (IPv6).
    Bucket {
        /// Its line.
        line: u32,
        /// The length of the prefix that was looked for.
        length: u8,
        /// The class, or 0.
        class: Class,
        /// Whether it is where what had no place went.
        second: bool,
    },
    /// What the table has no place for, in a trie beside it.
    Leftovers {
        /// The table whose leftovers count.
        generation: u32,
        /// The class, or 0.
        class: Class,
        /// The length of the prefix that has it.
        length: u8,
    },
    /// The row of the class that won.
    Row {
        /// Its line.
        line: u32,
        /// The class.
        class: Class,
        /// What it stands for.
        rule: RuleValue,
    },
}

/// Hears of each step of a lookup.
pub trait Trace {
    /// The next step.
    fn step(&mut self, step: Step);
}

/// Nobody listens; in the program nothing is left of it.
impl Trace for () {
    #[inline(always)]
    fn step(&mut self, _: Step) {}
}

#[cfg(any(test, feature = "alloc"))]
impl Trace for alloc::vec::Vec<Step> {
    fn step(&mut self, step: Step) {
        self.push(step);
    }
}

/// What an entry holds: the row that says what is done. 0 is no entry.
pub type Class = u8;

/// The number of rows, so of combinations of a list and an action; class 0 has none.
pub const MAX_CLASSES: usize = 255;

/// Where the rows begin, 16 to a line.
pub const ROWS: u32 = 1;

/// Where the classes of whole /16s begin, 64 to a line.
pub const WIDE: u32 = ROWS + 16;

/// Where the gate begins.
pub const GATE: u32 = WIDE + 1024;

/// The rule that a class stands for.
#[inline(always)]
fn row(lines: &(impl Lines + ?Sized), class: Class, trace: &mut impl Trace) -> Option<RuleValue> {
    let index = ROWS + (u32::from(class) >> 4);
    let line = lines.line(index)?;
    let pair = line.get(usize::from(class >> 1 & 7))?;
    let row = (pair >> (32 * u32::from(class & 1))) as u32;
    let rule = RuleValue::from_bytes(row.to_ne_bytes());
    trace.step(Step::Row { line: index, class, rule });
    Some(rule)
}

/// The class of the whole /16 that begins with `top`; 0 where there is none.
#[inline(always)]
fn wide(lines: &(impl Lines + ?Sized), top: u16, trace: &mut impl Trace) -> Option<Class> {
    let index = WIDE + (u32::from(top) >> 6);
    let line = lines.line(index)?;
    let word = line.get(usize::from(top >> 3 & 7))?;
    let class = (word >> (8 * (top & 7))) as Class;
    trace.step(Step::Wide { line: index, class });
    Some(class)
}
