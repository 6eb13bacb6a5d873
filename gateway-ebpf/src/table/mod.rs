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
fn row(lines: &(impl Lines + ?Sized), class: Class) -> Option<RuleValue> {
    let line = lines.line(ROWS + (u32::from(class) >> 4))?;
    let pair = line.get(usize::from(class >> 1 & 7))?;
    let row = (pair >> (32 * u32::from(class & 1))) as u32;
    Some(RuleValue::from_bytes(row.to_ne_bytes()))
}

/// The class of the whole /16 that begins with `top`; 0 where there is none.
#[inline(always)]
fn wide(lines: &(impl Lines + ?Sized), top: u16) -> Option<Class> {
    let line = lines.line(WIDE + (u32::from(top) >> 6))?;
    let word = line.get(usize::from(top >> 3 & 7))?;
    Some((word >> (8 * (top & 7))) as Class)
}
