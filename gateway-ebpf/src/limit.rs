//! How many connections a network may open, and how many answers it gets, before it counts as a flood.
//!
//! A network is the first 24 bits of an IPv4 address and the first 64 of an IPv6 one, unless the operator says otherwise.
//! Times are nanoseconds of the kernel's coarse clock.

use crate::parse::Addresses;

/// The number of cells in which answers are counted; networks may share one.
pub const CELLS: usize = 1 << CELL_BITS;
const CELL_BITS: u32 = 12;

/// How long nothing more is told of a network after it was first beyond its limit.
const TELL_AGAIN: u64 = 300_000_000_000;

/// What is done about a SYN of a network that is beyond its limit.
///
/// The numbers are what [`Limits::action`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FloodAction {
    /// Nothing, and nothing is counted.
    Off = 0,
    /// Count it, pass it on.
    Observe = 1,
    /// Drop it.
    Drop = 2,
}

impl FloodAction {
    /// All actions, by number.
    pub const ALL: [Self; 3] = [Self::Off, Self::Observe, Self::Drop];

    /// The word that configuration and `status` use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Drop => "drop",
        }
    }
}

/// What the operator says about it, as the program uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Limits {
    /// A [`FloodAction`] by number; one that is none is `Off`.
    pub action: u32,
    /// How many SYNs of unlisted sources a processor takes in a second before it looks at their networks.
    pub engage_above: u32,
    /// A network may open one connection in this time.
    pub interval: u64,
    /// How far it may be ahead of that: a whole number of intervals.
    pub burst: u64,
    /// How long a network is known after one of its hosts completed a handshake.
    pub known_for: u64,
    /// The bits of an IPv4 address that make its network.
    pub mask_v4: u32,
    /// How many answers a network gets from a processor in a second while they prove nothing; 0 is no limit.
    pub answers_per_network: u32,
    /// The bits of the first half of an IPv6 address that make its network.
    pub mask_v6: u64,
    /// Chooses the cell of a network, so that nobody knows who shares one with whom.
    pub cell_key: u64,
}

impl Limits {
    /// The network of the source, as keys of maps have it.
    ///
    /// An IPv4 network is a number below 2^32. As IPv6 that would be `::/32`, which nobody has (RFC 4291 section 2.4).
    #[inline(always)]
    pub const fn network(&self, addresses: &Addresses) -> u64 {
        match *addresses {
            Addresses::V4 { source, .. } => (source & self.mask_v4) as u64,
            Addresses::V6 { source: [high, low, ..], .. } => {
                ((high as u64) << 32 | low as u64) & self.mask_v6
            }
        }
    }

    /// The cell in which answers to `network` are counted.
    ///
    /// For two networks chosen without knowing the key it is the same once in 2048 (Dietzfelbinger et al. 1997).
    #[inline(always)]
    pub const fn cell(&self, network: u64) -> u32 {
        (network.wrapping_mul(self.cell_key | 1) >> (u64::BITS - CELL_BITS)) as u32
    }

    /// Whether a handshake that was completed at `at` still speaks for its network.
    #[inline(always)]
    pub const fn is_recent(&self, at: u64, now: u64) -> bool {
        // The other side's clock may be a tick ahead.
        now.saturating_sub(at) < self.known_for
    }
}

/// The SYNs of unlisted sources that a processor has seen lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Window {
    /// The number of the second in which it saw the last one.
    second: u64,
    /// How many it saw in that second.
    count: u64,
    /// How many it saw in the second before.
    before: u64,
}

impl Window {
    /// Counts one more; whether it was more than `most` in this second or in the one before.
    ///
    /// A second has 2^30 nanoseconds here, as in [`crate::rate`].
    #[inline(always)]
    pub const fn count(&mut self, now: u64, most: u32) -> bool {
        let second = now >> 30;
        if second != self.second {
            let before = if second == self.second.wrapping_add(1) { self.count } else { 0 };
            *self = Self { second, count: 0, before };
        }
        self.count += 1;
        self.count > most as u64 || self.before > most as u64
    }
}

/// The tokens of a network, as one number: the time at which all of them are there again (the virtual scheduling algorithm of
/// ITU-T I.371). It needs no division and no work while nothing happens.
///
/// Processors do not wait for each other, so in the same instant two may take the same token; it is a limit, no ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    full_at: u64,
    /// When it was last told that the network is beyond its limit; 0 is never.
    told: u64,
}

impl Bucket {
    /// A bucket from which the first token was taken.
    #[inline(always)]
    pub const fn new(now: u64, limits: &Limits) -> Self {
        Self { full_at: now.saturating_add(limits.interval), told: 0 }
    }

    /// Takes a token, if there is one.
    #[inline(always)]
    pub const fn take(&mut self, now: u64, limits: &Limits) -> bool {
        // No bucket is more than empty, not even one from a time with other limits.
        let empty = now.saturating_add(limits.burst);
        if self.full_at > empty {
            self.full_at = empty;
        }
        let from = if self.full_at > now { self.full_at } else { now };
        let full_at = from.saturating_add(limits.interval);
        let enough = full_at - now <= limits.burst;
        if enough {
            self.full_at = full_at;
        }
        enough
    }

    /// Whether it is time to tell that the network is beyond its limit.
    #[inline(always)]
    pub const fn tell(&mut self, now: u64) -> bool {
        let due = self.told == 0 || now.saturating_sub(self.told) >= TELL_AGAIN;
        if due {
            self.told = now;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Ten a second, and five at once.
    const LIMITS: Limits = Limits {
        action: FloodAction::Drop as u32,
        engage_above: 0,
        interval: SECOND / 10,
        burst: SECOND / 2,
        known_for: 60 * SECOND,
        mask_v4: 0xffff_ff00,
        answers_per_network: 0,
        mask_v6: u64::MAX,
        cell_key: 0x0123_4567_89ab_cdef,
    };

    #[test]
    fn a_network_gets_its_burst_then_its_rate() {
        let start = 1_000 * SECOND;
        let mut bucket = Bucket::new(start, &LIMITS);
        for (row, at, asked, expected) in [
            ("the rest of the burst", 0, 100, 4),
            ("no token yet", SECOND / 10 - 1, 100, 0),
            ("one", SECOND / 10, 100, 1),
            ("three", 4 * SECOND / 10, 100, 3),
            ("no more than the burst, however long it was quiet", 3_600 * SECOND, 100, 5),
            ("a clock that went back gives nothing", 10 * SECOND, 100, 0),
            ("but what it would give anyway", 10 * SECOND + SECOND / 10, 100, 1),
        ] {
            let taken = (0..asked).filter(|_| bucket.take(start + at, &LIMITS)).count();
            assert_eq!(taken, expected, "{row}");
        }
    }

    #[test]
    fn other_limits_are_in_force_at_once() {
        let slow = Limits { interval: 1_000 * SECOND, burst: 1_000_000 * SECOND, ..LIMITS };
        let mut bucket = Bucket::new(SECOND, &slow);
        assert_eq!((0..2_000).filter(|_| bucket.take(SECOND, &slow)).count(), 999);
        assert!(!bucket.take(SECOND, &LIMITS));
        assert!(bucket.take(SECOND + LIMITS.interval, &LIMITS));
    }

    #[test]
    fn a_network_is_told_of_once_in_a_while() {
        let mut bucket = Bucket::default();
        for (now, told) in [
            (SECOND, true),
            (SECOND, false),
            (SECOND + TELL_AGAIN - 1, false),
            (SECOND + TELL_AGAIN, true),
            (2 * SECOND + TELL_AGAIN, false),
        ] {
            assert_eq!(bucket.tell(now), told, "{now}");
        }
    }

    #[test]
    fn it_is_engaged_by_the_rate_and_for_a_second_more() {
        const TICK: u64 = 1 << 30;
        let mut window = Window::default();
        for (row, second, count, most, engaged) in [
            ("quiet", 5, 10, 10, 0),
            ("loud", 6, 15, 10, 5),
            ("the second after", 7, 3, 10, 3),
            ("and the one after that", 8, 3, 10, 0),
            ("loud again", 9, 11, 10, 1),
            ("long after", 100, 3, 10, 0),
            ("a limit of nothing", 101, 3, 0, 3),
            ("the last second of all", u64::MAX >> 30, 3, 10, 0),
        ] {
            let found = (0..count).filter(|_| window.count(second * TICK, most)).count();
            assert_eq!(found, engaged, "{row}");
        }
    }

    #[test]
    fn handshakes_are_forgotten_in_time() {
        for (at, now, recent) in [
            (SECOND, SECOND, true),
            (SECOND, 61 * SECOND - 1, true),
            (SECOND, 61 * SECOND, false),
            (SECOND + 1, SECOND, true),
        ] {
            assert_eq!(LIMITS.is_recent(at, now), recent, "{at} {now}");
        }
    }

    #[test]
    fn networks_are_the_bits_that_count() {
        let v4 = |source| Addresses::V4 { source, destination: 1 };
        let v6 = |source| Addresses::V6 { source, destination: [1; 4] };
        let wide = Limits { mask_v4: 0xffff_0000, mask_v6: u64::MAX << 16, ..LIMITS };
        for (limits, addresses, network) in [
            (LIMITS, v4(0xc633_6407), 0xc633_6400),
            (wide, v4(0xc633_6407), 0xc633_0000),
            (LIMITS, v6([0x2001_0db8, 0x0001_0002, 3, 4]), 0x2001_0db8_0001_0002),
            (wide, v6([0x2001_0db8, 0x0001_0002, 3, 4]), 0x2001_0db8_0001_0000),
        ] {
            assert_eq!(limits.network(&addresses), network, "{addresses:?}");
        }
    }

    /// A key that follows from no other by arithmetic (`SplitMix64`): with keys in even steps some networks do share cells.
    const fn scrambled(number: u64) -> u64 {
        let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    proptest! {
        /// Whoever chooses networks without the key finds no two that share a cell more often than by chance.
        #[test]
        fn neighbours_share_no_cell_by_design(first in any::<u64>(), step in 1_u64..1 << 32) {
            let shared = (0..4096_u64).filter(|key| {
                let limits = Limits { cell_key: scrambled(*key), ..LIMITS };
                let cells = [first, first.wrapping_add(step)].map(|network| limits.cell(network));
                assert!(cells.iter().all(|cell| (*cell as usize) < CELLS));
                cells[0] == cells[1]
            });
            prop_assert!(shared.count() < 64);
        }

        /// Over any time a network opens no more than its rate and one burst.
        #[test]
        fn no_pattern_gets_more(steps in prop::collection::vec(0..SECOND / 5, 1..300)) {
            let start = 7 * SECOND;
            let (mut now, mut taken) = (start, 1);
            let mut bucket = Bucket::new(start, &LIMITS);
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(now, &LIMITS));
                prop_assert!(taken <= 5 + (now - start) / LIMITS.interval);
            }
        }
    }
}
