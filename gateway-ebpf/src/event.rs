//! What is told about single packets: sampled events for the daemon, and copies for `xdp capture`.
//!
//! Nobody is woken for either: whoever wants them looks from time to time. What finds no room is lost and counted.

use crate::abi::{Family, KernelAction, Outcome, RuleValue};
use crate::parse::Addresses;

/// The names of the program's constants that hold a [`Sampling`].
pub const EVENT_MOST: &str = "EVENT_MOST";
/// See [`EVENT_MOST`].
pub const EVENT_SHIFT: &str = "EVENT_SHIFT";

/// The octets of a packet that a capture keeps.
pub const SNAP: usize = 128;

/// The most prefixes that a capture can be limited to.
pub const MAX_CAPTURE_PREFIXES: usize = 8;

/// The slot of an event that no list caused.
pub const NO_LIST: u16 = u16::MAX;

/// One decided packet, as the daemon hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// When, on the kernel's monotonic clock in nanoseconds, exact to a tick.
    pub time: u64,
    /// For how many packets of this processor it stands: itself and those since the last event.
    pub weight: u32,
    /// The length of the frame.
    pub length: u32,
    /// The number of the interface.
    pub interface: u32,
    /// The slot of the list that decided, or [`NO_LIST`].
    pub list: u16,
    /// The number of the [`Outcome`].
    pub outcome: u8,
    /// The number of the [`KernelAction`] of the rule.
    pub action: u8,
    /// The client, in host order; an IPv4 address is in the last word, IPv4-mapped.
    pub source: [u32; 4],
    /// Our address, likewise.
    pub destination: [u32; 4],
    /// The client's port.
    pub client_port: u16,
    /// The filtered port.
    pub port: u16,
    /// Always 0.
    pub reserved: u32,
}

/// The size of an event in bytes.
pub const EVENT_BYTES: usize = 64;
const _: () = assert!(size_of::<Event>() == EVENT_BYTES && align_of::<Event>() == 8);

impl Event {
    /// Whether a packet with this outcome is told that a rule decided: it ended here, or would have in earnest.
    #[inline(always)]
    pub const fn is_told(outcome: Outcome) -> bool {
        matches!(
            outcome,
            Outcome::Counted
                | Outcome::Dropped
                | Outcome::OverCap
                | Outcome::OverNetworkCap
                | Outcome::Mute
                | Outcome::RefusedSyn
                | Outcome::Reset
        )
    }

    /// For how many packets an event stands, in the room that there is for it.
    #[inline(always)]
    pub fn weight(packets: u64) -> u32 {
        packets.min(u64::from(u32::MAX)) as u32
    }

    /// From what lies in the ring; `None` when it is no event.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; EVENT_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let half = |at: usize| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let words = |at| Some([word(at)?, word(at + 4)?, word(at + 8)?, word(at + 12)?]);
        Some(Self {
            time: u64::from_ne_bytes(*bytes.first_chunk()?),
            weight: word(8)?,
            length: word(12)?,
            interface: word(16)?,
            list: half(20)?,
            outcome: bytes[22],
            action: bytes[23],
            source: words(24)?,
            destination: words(40)?,
            client_port: half(56)?,
            port: half(58)?,
            reserved: word(60)?,
        })
    }

    /// What became of the packet; `None` for a number that no outcome has.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::ALL.get(usize::from(self.outcome)).copied()
    }

    /// What the rule says; `None` for a number that no action has, and where there was no rule.
    pub fn action(&self) -> Option<KernelAction> {
        (self.list != NO_LIST).then(|| KernelAction::from_number(self.action)).flatten()
    }

    /// The family of its addresses.
    pub const fn family(&self) -> Family {
        if matches!(self.source, [0, 0, 0xffff, _]) { Family::V4 } else { Family::V6 }
    }
}

/// How often one processor tells an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The most in one slice of time; 0 tells nothing.
    pub most: u32,
    /// The length of a slice: two to this power in nanoseconds.
    pub shift: u32,
}

impl Sampling {
    /// So many in a second, which has 2^30 nanoseconds here.
    ///
    /// A second has 16 slices, unless that is more than there are events: those of a burst at its start would speak for
    /// all of it.
    pub const fn per_second(events: u32) -> Self {
        if events < 16 {
            Self { most: events, shift: 30 }
        } else {
            Self { most: events.div_ceil(16), shift: 26 }
        }
    }
}

/// What one processor has told lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Sampler {
    /// The number of the slice in which it told last.
    pub slice: u64,
    /// How many it told in that slice.
    pub told: u64,
    /// How many packets it could have told of since the last one that it did tell of; an event that found no room is none.
    pub untold: u64,
}

impl Sampler {
    /// Once the slice is used up, the clock is asked only for one packet in so many: it costs more than all the rest.
    const PATIENCE: u64 = 16;

    /// Counts one more packet; whether it is to be told.
    #[inline(always)]
    pub fn choose(&mut self, sampling: Sampling, now: impl FnOnce() -> u64) -> bool {
        self.untold += 1;
        let most = u64::from(sampling.most);
        if self.told >= most && !self.untold.is_multiple_of(Self::PATIENCE) {
            return false;
        }
        let slice = now() >> (sampling.shift & 63);
        if slice != self.slice {
            self.slice = slice;
            self.told = 0;
        }
        if self.told >= most {
            return false;
        }
        self.told += 1;
        true
    }
}

/// A packet as it came in, or its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Copied {
    /// When, on the kernel's monotonic clock in nanoseconds.
    pub time: u64,
    /// The length of the frame.
    pub length: u32,
    /// How many of its octets are here.
    pub kept: u32,
    /// The number of the interface.
    pub interface: u32,
    /// The rule that decided.
    pub rule: RuleValue,
    /// The octets.
    pub octets: [u8; SNAP],
}

/// The size of a copy in bytes.
pub const COPIED_BYTES: usize = 24 + SNAP;
const _: () = assert!(size_of::<Copied>() == COPIED_BYTES && align_of::<Copied>() == 8);

impl Copied {
    /// From what lies in the ring; `None` when it is no copy.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; COPIED_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        Some(Self {
            time: u64::from_ne_bytes(*bytes.first_chunk()?),
            length: word(8)?,
            kept: word(12)?,
            interface: word(16)?,
            rule: RuleValue::from_bytes(*bytes.get(20..)?.first_chunk()?),
            octets: *bytes.last_chunk()?,
        })
    }

    /// The octets that are here.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.kept as usize).unwrap_or(&self.octets)
    }
}

/// What is copied now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Capturing {
    /// Until when, on the kernel's monotonic clock in nanoseconds; 0 is off. Whoever captures moves it on, so that a
    /// capture ends by itself when he dies.
    pub until: u64,
    /// Packets of these clients alone.
    pub prefixes: [CapturePrefix; MAX_CAPTURE_PREFIXES],
}

const _: () = assert!(size_of::<Capturing>() == 8 + 32 * MAX_CAPTURE_PREFIXES);

impl Capturing {
    /// Whether packets from `source` are copied. Without branches: the verifier would go both ways at each of them.
    #[inline(always)]
    pub fn wants(&self, [a, b, c, d]: [u32; 4]) -> bool {
        let half = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        let source = [half(a, b), half(c, d)];
        let mut wanted = 0;
        for prefix in &self.prefixes {
            wanted |= prefix.covers(source);
        }
        wanted != 0
    }
}

/// A prefix, IPv4 as IPv4-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CapturePrefix {
    /// Which bits of an address count, in host order.
    mask: [u64; 2],
    /// How those are.
    bits: [u64; 2],
}

impl CapturePrefix {
    /// No address is in it.
    pub const NOBODY: Self = Self { mask: [0; 2], bits: [1; 2] };

    /// The prefix of `length` bits, of 128.
    pub const fn new(address: u128, length: u32) -> Self {
        let length = if length > 128 { 128 } else { length };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        Self { mask: halves(mask), bits: halves(address & mask) }
    }

    /// 1 or 0.
    #[inline(always)]
    fn covers(&self, [high, low]: [u64; 2]) -> u64 {
        let difference = (high & self.mask[0] ^ self.bits[0]) | (low & self.mask[1] ^ self.bits[1]);
        // Of numbers of 32 bits, 0 is the only one that one less makes negative.
        (difference >> 32 | u64::from(difference as u32)).wrapping_sub(1) >> 63
    }
}

const fn halves(bits: u128) -> [u64; 2] {
    [(bits >> 64) as u64, bits as u64]
}

/// Source and destination as events have them.
#[inline(always)]
pub const fn mapped(addresses: &Addresses) -> ([u32; 4], [u32; 4]) {
    match addresses {
        Addresses::V4 { source, destination } => {
            ([0, 0, 0xffff, *source], [0, 0, 0xffff, *destination])
        }
        Addresses::V6 { source, destination } => (*source, *destination),
    }
}

/// What is counted about the telling itself.
///
/// The numbers are indexes into [`map::TAPS`](crate::abi::map::TAPS).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Tap {
    /// Events that were told.
    Events,
    /// Events for which there was no room.
    EventsLost,
    /// Packets that were copied.
    Copies,
    /// Packets for whose copy there was no room.
    CopiesLost,
}

impl Tap {
    /// All of them, by number.
    pub const ALL: [Self; 4] = [Self::Events, Self::EventsLost, Self::Copies, Self::CopiesLost];
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Two to this power is the length of a slice.
    const SHIFT: u32 = 26;

    #[test]
    fn each_slice_has_its_share_and_no_packet_is_forgotten() {
        for (rate, packets, slices, expected) in [
            // Fewer packets than may be told: each is.
            (100, 5, 16, 80),
            (100, 7, 1, 7),
            (100, 1000, 16, 16 * 7),
            (100, 1000, 1, 7),
            (1600, 1000, 16, 1600),
            // A second is one slice.
            (10, 1000, 16, 10),
            (1, 1000, 32, 2),
            (0, 1000, 16, 0),
        ] {
            let sampling = Sampling::per_second(rate);
            let mut sampler = Sampler::default();
            let (mut told, mut weight) = (0, 0);
            for slice in 1..=slices {
                for _ in 0..packets {
                    // From the second slot of a second on, so that the first slice is not the sampler's own.
                    if sampler.choose(sampling, || (slice + 15) << SHIFT) {
                        told += 1;
                        weight += core::mem::take(&mut sampler.untold);
                    }
                }
            }
            assert_eq!(told, expected, "{rate} a second, {packets} in a slice");
            assert_eq!(weight + sampler.untold, packets * slices, "{rate} {packets}");
        }
    }

    #[test]
    fn a_busy_processor_seldom_asks_for_the_time() {
        let mut sampler = Sampler::default();
        let sampling = Sampling::per_second(160);
        let mut asked = 0;
        for _ in 0..16_000 {
            let _told = sampler.choose(sampling, || {
                asked += 1;
                1 << SHIFT
            });
        }
        assert_eq!(asked, 10 + 16_000 / 16);
    }

    #[test]
    fn no_weight_is_too_much() {
        for (packets, weight) in
            [(0, 0), (7, 7), (u64::from(u32::MAX), u32::MAX), (1 << 40, u32::MAX)]
        {
            assert_eq!(Event::weight(packets), weight);
        }
    }

    #[test]
    fn a_capture_is_of_the_prefixes_that_are_named() {
        let v4 = |address: [u8; 4]| {
            mapped(&Addresses::V4 { source: u32::from_be_bytes(address), destination: 0 }).0
        };
        let v6 = |high: u32, low: u32| [high, 0, 0, low];
        let mapped_v4 = |address: [u8; 4], length: u32| {
            CapturePrefix::new(
                0xffff_0000_0000 | u128::from(u32::from_be_bytes(address)),
                96 + length,
            )
        };
        let net = mapped_v4([192, 0, 2, 0], 24);
        let host = mapped_v4([198, 18, 0, 7], 32);
        let v6_net = CapturePrefix::new(0x2001_0db8 << 96, 32);
        let all = CapturePrefix::new(0, 0);
        for (prefixes, source, wanted) in [
            (&[][..], v4([1, 2, 3, 4]), false),
            (&[], v6(1, 1), false),
            (&[], [0; 4], false),
            (&[], [1; 4], false),
            (&[net], v4([192, 0, 2, 255]), true),
            (&[net], v4([192, 0, 3, 0]), false),
            (&[net], v6(0x2001_0db8, 1), false),
            (&[net, host], v4([198, 18, 0, 7]), true),
            (&[net, host], v4([198, 18, 0, 6]), false),
            (&[host, v6_net], v6(0x2001_0db8, 1), true),
            (&[host, v6_net], v6(0x2001_0db9, 1), false),
            (&[all], v6(0x2001_0db9, 1), true),
            (&[all; MAX_CAPTURE_PREFIXES], v4([9, 9, 9, 9]), true),
        ] {
            let mut capturing =
                Capturing { until: 0, prefixes: [CapturePrefix::NOBODY; MAX_CAPTURE_PREFIXES] };
            capturing.prefixes[..prefixes.len()].copy_from_slice(prefixes);
            assert_eq!(capturing.wants(source), wanted, "{prefixes:x?} {source:x?}");
        }
    }

    #[test]
    fn what_lies_in_a_ring_is_read_as_it_was_written() {
        let bytes: Vec<u8> = (0..=255).collect();
        let event = Event::from_bytes(&bytes[..EVENT_BYTES]).unwrap();
        let [low, high] = [event.time, u64::from(event.weight)];
        assert_eq!(low, u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(high, u64::from(u32::from_ne_bytes([8, 9, 10, 11])));
        assert_eq!((event.outcome, event.action), (22, 23));
        assert_eq!(event.outcome(), Some(Outcome::Dropped));
        assert_eq!(event.source[0], u32::from_ne_bytes([24, 25, 26, 27]));
        assert_eq!(event.destination[3], u32::from_ne_bytes([52, 53, 54, 55]));
        assert_eq!(event.reserved, u32::from_ne_bytes([60, 61, 62, 63]));
        let copied = Copied::from_bytes(&bytes[..COPIED_BYTES]).unwrap();
        assert_eq!(copied.rule.to_bytes(), [20, 21, 22, 23]);
        // It says that it has more than it can.
        assert_eq!(copied.octets(), &bytes[24..COPIED_BYTES]);
        for length in (0..EVENT_BYTES).chain(EVENT_BYTES + 1..200) {
            assert_eq!(Event::from_bytes(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Copied::from_bytes(&bytes[..COPIED_BYTES - 1]), None);
    }
}
