//! Says which addresses the delta may know: a bit for each /16 of IPv4, and for each hashed /32 of IPv6.
//!
//! A host without recent changes has no bit set, so its packets read one cache line of 16 KiB and go on to the base.

use crate::table::Line;

/// The bits of one family.
const BITS: u32 = 1 << 16;

/// The lines of one family.
pub const LINES: u32 = BITS / 512;

/// The lines of both: first IPv4, then IPv6.
pub const ALL_LINES: u32 = 2 * LINES;

/// Where a bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The bit in it.
    pub bit: u32,
}

impl Place {
    /// The bit of an IPv4 address.
    #[inline(always)]
    pub const fn v4(address: u32) -> Self {
        Self::new(0, address >> 16)
    }

    /// The bit of the IPv6 addresses that begin with `top`.
    ///
    /// Whoever chooses addresses that share a bit with changed ones makes their packets cost a look into the delta, as
    /// those of the changed ones do: nothing to hide a key for.
    #[inline(always)]
    pub const fn v6(top: u32) -> Self {
        Self::new(LINES, (top ^ top >> 16) & 0xffff)
    }

    #[inline(always)]
    const fn new(first: u32, number: u32) -> Self {
        Self { line: first + (number >> 9), bit: number & 511 }
    }

    /// Whether it is set in its line.
    #[inline(always)]
    pub fn is_set(self, line: &Line) -> bool {
        line.get((self.bit >> 6 & 7) as usize).is_some_and(|word| word >> (self.bit & 63) & 1 != 0)
    }
}

/// The gate as the daemon makes it.
#[cfg(any(test, feature = "alloc"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate(alloc::vec::Vec<Line>);

#[cfg(any(test, feature = "alloc"))]
impl Default for Gate {
    fn default() -> Self {
        Self(alloc::vec![[0; 8]; ALL_LINES as usize])
    }
}

#[cfg(any(test, feature = "alloc"))]
impl Gate {
    /// Opens it for the addresses of an IPv4 prefix.
    pub fn open_v4(&mut self, address: u32, length: u8) {
        let first = address >> 16;
        let places = 1_u32 << (16_u32.saturating_sub(length.into()));
        for number in first..first.saturating_add(places).min(BITS) {
            self.set(Place::v4(number << 16));
        }
    }

    /// Opens it for the addresses of an IPv6 prefix.
    pub fn open_v6(&mut self, address: u128, length: u8) {
        let top = (address >> 96) as u32;
        // Of the tops of a /16 or shorter, each bit has some.
        let places = 1_u32 << 32_u32.saturating_sub(length.into()).min(16);
        for number in 0..places {
            self.set(Place::v6(top | number));
        }
    }

    fn set(&mut self, place: Place) {
        let line = self.0.get_mut(place.line as usize);
        if let Some(word) = line.and_then(|line| line.get_mut((place.bit >> 6) as usize)) {
            *word |= 1 << (place.bit & 63);
        }
    }

    /// Whether it is open where `place` is.
    pub fn is_open(&self, place: Place) -> bool {
        self.0.get(place.line as usize).is_some_and(|line| place.is_set(line))
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_open_where_it_was_opened() {
        let mut gate = Gate::default();
        gate.open_v4(0xc000_0200, 24);
        gate.open_v4(0x0a10_0000, 12);
        for (address, expected) in [
            (0xc000_0201, true),
            (0xc000_ff01, true),
            (0xc001_0001, false),
            (0x0a10_0000, true),
            (0x0a1f_ffff, true),
            (0x0a20_0000, false),
            (0x0a0f_ffff, false),
        ] {
            assert_eq!(gate.is_open(Place::v4(address)), expected, "{address:08x}");
        }
        assert!((0..BITS).all(|top| !gate.is_open(Place::v6(top))));
    }

    proptest! {
        #[test]
        fn no_address_of_a_prefix_is_shut_out(address: u128, other: u128, length in 0_u8..=128) {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let mut gate = Gate::default();
            gate.open_v6(address & mask, length);
            let inside = (address & mask | other & !mask) >> 96;
            prop_assert!(gate.is_open(Place::v6(inside as u32)));
            let (address, other, length) = ((address >> 96) as u32, (other >> 96) as u32, length.min(32));
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            gate.open_v4(address & mask, length);
            prop_assert!(gate.is_open(Place::v4(address & mask | other & !mask)));
        }
    }
}
