//! The Internet checksum (RFC 1071) over headers held as 32-bit numbers.

/// A running sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Checksum(u64);

impl Checksum {
    /// A number that no sum has.
    pub const NONE: u64 = u64::MAX;

    /// Nothing summed yet.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds a 32-bit number.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds a run of 32-bit numbers.
    #[inline(always)]
    #[must_use]
    pub fn words<const N: usize>(self, words: [u32; N]) -> Self {
        words.into_iter().fold(self, Self::word)
    }

    /// Adds what another sum has.
    #[inline(always)]
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// As a number.
    #[inline(always)]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// From what [`Checksum::number`] says; nothing from [`Checksum::NONE`].
    #[inline(always)]
    pub const fn of(number: u64) -> Option<Self> {
        if number == Self::NONE { None } else { Some(Self(number)) }
    }

    /// What goes into the checksum field.
    #[inline(always)]
    pub const fn finish(self) -> u16 {
        !fold(self.0)
    }
}

/// A one's complement sum in 16 bits. It may be folded at the end: in four steps, whatever was added above.
#[inline(always)]
const fn fold(sum: u64) -> u16 {
    let mut sum = (sum & 0xffff_ffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_headers() {
        for (name, words, expected) in [
            ("RFC 1071 section 3", [0x0001_f203, 0xf4f5_f6f7, 0, 0, 0], 0x220d),
            (
                "an IPv4 header",
                [0x4500_0073, 0x0000_4000, 0x4011_0000, 0xc0a8_0001, 0xc0a8_00c7],
                0xb861,
            ),
            ("all ones", [u32::MAX; 5], 0),
            ("nothing", [0; 5], 0xffff),
        ] {
            assert_eq!(Checksum::new().words(words).finish(), expected, "{name}");
        }
    }
}
