//! The first line of a table: what it is, how large its parts are, what it was made from, and a sum over all of it.

use super::{GATE, Line, Lines};

/// The version of the layout. It changes whenever a reader of another version would misread a table.
pub const LAYOUT: u64 = 1;

const MAGIC: u64 = 0x5043_5441_4245 << 16 | LAYOUT;

const FAMILY_V4: u64 = 4;
const FAMILY_V6: u64 = 6;

/// The fewest buckets for IPv4, as a power of two: with fewer, 16 bits could not tell the entries of one bucket apart.
pub const MIN_V4_BUCKETS: u32 = 17;
/// The most buckets of one kind, as a power of two.
pub const MAX_BUCKETS: u32 = 22;
/// The fewest buckets of one kind for IPv6, as a power of two.
pub const MIN_V6_BUCKETS: u32 = 10;
/// The least and the greatest size of the gate for IPv6 in bytes, as powers of two.
pub const V6_GATES: [u32; 2] = [20, 22];
/// IPv4 has a line of spill for so many buckets, as a power of two.
const BUCKETS_PER_SPILL: u32 = 6;
/// IPv6 has a line of gate for so many buckets for /128, as a power of two: some 20 bits for each entry.
const BUCKETS_PER_HOST_GATE: u32 = 4;

/// The sizes of the parts of a table, as powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// IPv4.
    V4 {
        /// The buckets.
        buckets: u32,
    },
    /// IPv6.
    V6 {
        /// The bytes of the gate.
        gate: u32,
        /// The buckets for /32 to /64.
        networks: u32,
        /// The buckets for /128.
        hosts: u32,
    },
}

impl Shape {
    /// The smallest table for IPv4.
    pub const SMALLEST_V4: Self = Self::V4 { buckets: MIN_V4_BUCKETS };
    /// The smallest table for IPv6.
    pub const SMALLEST_V6: Self =
        Self::V6 { gate: V6_GATES[0], networks: MIN_V6_BUCKETS, hosts: MIN_V6_BUCKETS };

    /// The lines of the largest table of all.
    pub const MOST_LINES: u32 =
        Self::V6 { gate: V6_GATES[1], networks: MAX_BUCKETS, hosts: MAX_BUCKETS }.lines();

    /// How many lines a table of this shape has.
    pub const fn lines(self) -> u32 {
        match self {
            Self::V4 { buckets } => v4_spill(buckets) + (1 << (buckets - BUCKETS_PER_SPILL)),
            Self::V6 { gate, networks, hosts } => {
                v6_host_gate(gate, networks, hosts) + (1 << (hosts - BUCKETS_PER_HOST_GATE))
            }
        }
    }

    /// The smallest shape that is at least this one and `other` in every part.
    #[must_use]
    pub fn or_larger(self, other: Self) -> Self {
        match (self, other) {
            (Self::V4 { buckets }, Self::V4 { buckets: others }) => {
                Self::V4 { buckets: buckets.max(others) }
            }
            (
                Self::V6 { gate, networks, hosts },
                Self::V6 {
                    gate: gate_of_other,
                    networks: networks_of_other,
                    hosts: hosts_of_other,
                },
            ) => Self::V6 {
                gate: gate.max(gate_of_other),
                networks: networks.max(networks_of_other),
                hosts: hosts.max(hosts_of_other),
            },
            _ => self,
        }
    }

    const fn to_word(self) -> u64 {
        match self {
            Self::V4 { buckets } => FAMILY_V4 | (buckets as u64) << 16,
            Self::V6 { gate, networks, hosts } => {
                FAMILY_V6 | (gate as u64) << 8 | (networks as u64) << 16 | (hosts as u64) << 24
            }
        }
    }

    const fn from_word(word: u64) -> Option<Self> {
        let [family, gate, networks, hosts, 0, 0, 0, 0] = word.to_le_bytes() else {
            return None;
        };
        let (gate, networks, hosts) = (gate as u32, networks as u32, hosts as u32);
        let shape = match family as u64 {
            FAMILY_V4 if gate == 0 && hosts == 0 => Self::V4 { buckets: networks },
            FAMILY_V6 => Self::V6 { gate, networks, hosts },
            _ => return None,
        };
        let fits = match shape {
            Self::V4 { buckets } => buckets >= MIN_V4_BUCKETS && buckets <= MAX_BUCKETS,
            Self::V6 { gate, networks, hosts } => {
                gate >= V6_GATES[0]
                    && gate <= V6_GATES[1]
                    && networks >= MIN_V6_BUCKETS
                    && networks <= MAX_BUCKETS
                    && hosts >= MIN_V6_BUCKETS
                    && hosts <= MAX_BUCKETS
            }
        };
        if fits { Some(shape) } else { None }
    }
}

// What follows is asked with sizes from a header that nobody has checked: it may be wrong, but it cannot fail.

/// Where the buckets for IPv4 begin.
pub(super) const V4_BUCKETS: u32 = GATE + (1 << 16);

/// Where the spill for IPv4 begins.
#[inline(always)]
pub(super) const fn v4_spill(buckets: u32) -> u32 {
    V4_BUCKETS.wrapping_add(1 << (buckets & 31))
}

/// The power of two of the lines of spill for IPv4.
#[inline(always)]
pub(super) const fn v4_spill_size(buckets: u32) -> u32 {
    buckets.wrapping_sub(BUCKETS_PER_SPILL)
}

/// Where the buckets for /32 to /64 begin.
#[inline(always)]
pub(super) const fn v6_networks(gate: u32) -> u32 {
    GATE.wrapping_add(1 << (gate.wrapping_sub(6) & 31))
}

/// Where the buckets for /128 begin.
#[inline(always)]
pub(super) const fn v6_hosts(gate: u32, networks: u32) -> u32 {
    v6_networks(gate).wrapping_add(1 << (networks & 31))
}

/// Where the gate for /128 begins.
#[inline(always)]
pub(super) const fn v6_host_gate(gate: u32, networks: u32, hosts: u32) -> u32 {
    v6_hosts(gate, networks).wrapping_add(1 << (hosts & 31))
}

/// The power of two of the bits of the gate for /128.
#[inline(always)]
pub(super) const fn v6_host_gate_bits(hosts: u32) -> u32 {
    hosts.wrapping_sub(BUCKETS_PER_HOST_GATE).wrapping_add(9)
}

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sizes of its parts.
    pub shape: Shape,
    /// Which of several tables it is; what lies in the trie beside it carries the same number.
    pub generation: u32,
    /// What the hashes begin with.
    pub seed: u64,
    /// The number of prefixes that it was made from.
    pub prefixes: u64,
    /// A digest of all that it was made from, as its maker defines it.
    pub digest: u64,
}

/// Why a run of lines is not a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It begins with something else.
    Magic,
    /// It has sizes that no table has, or other ones than it says.
    Shape,
    /// What it holds is not what was written.
    Sum,
}

impl Fault {
    /// What is wrong, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Magic => "it is no table of this layout",
            Self::Shape => "its size is not what its header says",
            Self::Sum => "its check sum is wrong",
        }
    }
}

/// Where the words of the header are.
const MAGIC_AT: usize = 0;
const SHAPE_AT: usize = 1;
const GENERATION_AT: usize = 2;
const SEED_AT: usize = 3;
const PREFIXES_AT: usize = 4;
const DIGEST_AT: usize = 5;
const SUM_AT: usize = 7;

impl Header {
    /// As it lies in the first line, with the sum still open.
    pub const fn to_line(self) -> Line {
        let mut line = [0; 8];
        line[MAGIC_AT] = MAGIC;
        line[SHAPE_AT] = self.shape.to_word();
        line[GENERATION_AT] = self.generation as u64;
        line[SEED_AT] = self.seed;
        line[PREFIXES_AT] = self.prefixes;
        line[DIGEST_AT] = self.digest;
        line
    }

    /// Reads a header and checks everything that it says about `lines`.
    pub fn verify(lines: &[Line]) -> Result<Self, Fault> {
        let line = lines.line(0).ok_or(Fault::Shape)?;
        if line[MAGIC_AT] != MAGIC {
            return Err(Fault::Magic);
        }
        let shape = Shape::from_word(line[SHAPE_AT]).ok_or(Fault::Shape)?;
        if shape.lines() as usize != lines.len() {
            return Err(Fault::Shape);
        }
        if line[SUM_AT] != sum(lines) {
            return Err(Fault::Sum);
        }
        Ok(Self {
            shape,
            generation: line[GENERATION_AT] as u32,
            seed: line[SEED_AT],
            prefixes: line[PREFIXES_AT],
            digest: line[DIGEST_AT],
        })
    }

    /// Writes the sum over all of a table into its first line.
    pub fn seal(lines: &mut [Line]) {
        let sum = sum(lines);
        if let Some(first) = lines.first_mut() {
            first[SUM_AT] = sum;
        }
    }
}

/// The parts of a header that a lookup needs.
#[inline(always)]
pub(super) fn sizes(line: &Line) -> (u32, u32, u32) {
    let word = line[SHAPE_AT];
    ((word >> 8) as u32 & 31, (word >> 16) as u32 & 31, (word >> 24) as u32 & 31)
}

/// The generation that a header names.
#[inline(always)]
pub(super) fn generation(line: &Line) -> u32 {
    line[GENERATION_AT] as u32
}

/// The seed that a header names.
#[inline(always)]
pub(super) fn seed(line: &Line) -> u64 {
    line[SEED_AT]
}

/// A sum over all lines but the word that holds it; each line changes it, and so does their order.
fn sum(lines: &[Line]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [ODD; 8];
    for (index, line) in lines.iter().enumerate() {
        let mut line = *line;
        if index == 0 {
            line[SUM_AT] = 0;
        }
        for (lane, word) in lanes.iter_mut().zip(line) {
            *lane = (*lane ^ word).wrapping_mul(ODD).rotate_left(29);
        }
    }
    lanes.into_iter().fold(0, |sum: u64, lane| (sum ^ lane).wrapping_mul(ODD).rotate_left(31))
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    #[test]
    fn what_is_no_table_is_found_out() {
        for shape in [
            Shape::SMALLEST_V4,
            Shape::SMALLEST_V6,
            Shape::V4 { buckets: 18 },
            Shape::V6 { gate: 22, networks: 11, hosts: 12 },
        ] {
            let header = Header { shape, generation: 7, seed: 8, prefixes: 9, digest: 10 };
            let mut lines = vec![[0; 8]; shape.lines() as usize];
            lines[0] = header.to_line();
            assert_eq!(Header::verify(&lines), Err(Fault::Sum), "not sealed yet");
            Header::seal(&mut lines);
            assert_eq!(Header::verify(&lines), Ok(header));
            let last = lines.len() - 1;
            for (line, word, bit, fault) in [
                (0, MAGIC_AT, 0, Fault::Magic),
                (0, SHAPE_AT, 0, Fault::Shape),
                (0, SHAPE_AT, 16, Fault::Shape),
                (0, SHAPE_AT, 63, Fault::Shape),
                (0, SEED_AT, 5, Fault::Sum),
                (0, SUM_AT, 63, Fault::Sum),
                (1, 0, 0, Fault::Sum),
                (last, 7, 63, Fault::Sum),
            ] {
                lines[line][word] ^= 1 << bit;
                assert_eq!(Header::verify(&lines), Err(fault), "{line} {word} {bit}");
                lines[line][word] ^= 1 << bit;
            }
            lines.swap(1, last);
            lines[1][3] = 77;
            assert_eq!(Header::verify(&lines), Err(Fault::Sum));
            assert_eq!(Header::verify(&lines[..last]), Err(Fault::Shape));
        }
        assert_eq!(Header::verify(&[]), Err(Fault::Shape));
    }
}
