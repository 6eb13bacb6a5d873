//! Sequence numbers that prove a handshake: a keyed hash of who talks to whom, so that nothing has to be remembered.

use crate::parse::{Addresses, Segment};

/// The sequence number with which the SYN of this connection is answered: SipHash-1-3 of addresses and ports.
#[inline(always)]
pub fn cookie(key: [u64; 2], segment: &Segment) -> u32 {
    let ports = u64::from(segment.client_port) << 16 | u64::from(segment.port);
    let hash = match segment.addresses {
        Addresses::V4 { source, destination } => {
            siphash(key, [pair(source, destination)], 12 << 56 | ports)
        }
        Addresses::V6 { source: [s0, s1, s2, s3], destination: [d0, d1, d2, d3] } => {
            siphash(key, [pair(s0, s1), pair(s2, s3), pair(d0, d1), pair(d2, d3)], 36 << 56 | ports)
        }
    };
    hash as u32
}

#[inline(always)]
const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// SipHash-1-3 (Aumasson, Bernstein 2012) of whole `blocks` and a `last` one, which ends with the length in bytes.
///
/// Of the 64 bits a client sees 32, for hours at most, and gains no more by them than an answer to an address that is not
/// his. For that the shorter of the usual variants is enough; the longer one takes 11 ns more, a tenth of an answer.
#[inline(always)]
fn siphash<const N: usize>([k0, k1]: [u64; 2], blocks: [u64; N], last: u64) -> u64 {
    let mut state = State {
        v0: k0 ^ 0x736f_6d65_7073_6575,
        v1: k1 ^ 0x646f_7261_6e64_6f6d,
        v2: k0 ^ 0x6c79_6765_6e65_7261,
        v3: k1 ^ 0x7465_6462_7974_6573,
    };
    for block in blocks {
        state.take(block);
    }
    state.take(last);
    state.v2 ^= 0xff;
    state.round();
    state.round();
    state.round();
    state.v0 ^ state.v1 ^ state.v2 ^ state.v3
}

/// The four words of the paper, by its names.
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl State {
    #[inline(always)]
    const fn take(&mut self, block: u64) {
        self.v3 ^= block;
        self.round();
        self.v0 ^= block;
    }

    #[inline(always)]
    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher as _};
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::parse::tests::attempts;

    /// The standard library's hasher is the same function under the key 0.
    #[test]
    fn the_hash_is_the_known_one() {
        for (blocks, rest) in
            [([0, 0], 0_u64), ([1, 2], 7), ([u64::MAX, 0x0123_4567_89ab_cdef], 99)]
        {
            let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.to_le_bytes()).collect();
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            hasher.write(&rest.to_le_bytes()[..7]);
            let last = 23 << 56 | rest;
            assert_eq!(siphash([0, 0], blocks, last), hasher.finish(), "{blocks:?} {rest}");
        }
        assert_ne!(siphash([0, 1], [0, 0], 0), siphash([1, 0], [0, 0], 0));
    }

    proptest! {
        #[test]
        fn every_part_of_the_connection_counts(
            (_, segment) in attempts(),
            key in any::<[u64; 2]>(),
        ) {
            let other = match segment.addresses {
                Addresses::V4 { source, destination } => {
                    Addresses::V4 { source, destination: destination ^ 1 }
                }
                Addresses::V6 { source: [a, b, c, d], destination } => {
                    Addresses::V6 { source: [a, b, c, d ^ 1], destination }
                }
            };
            let ours = cookie(key, &segment);
            for other in [
                Segment { addresses: other, ..segment },
                Segment { client_port: segment.client_port ^ 1, ..segment },
                Segment { port: segment.port ^ 1, ..segment },
            ] {
                prop_assert_ne!(cookie(key, &other), ours);
            }
            prop_assert_ne!(cookie([key[0] ^ 1, key[1]], &segment), ours);
            prop_assert_eq!(cookie(key, &Segment { sequence: 0, ..segment }), ours);
        }
    }
}
