//! The keys that are looked up: always other ones, random, listed or not; the daemon's side lists the same.

/// Places in the map `RUN`. How many entries are listed.
pub const ENTRIES: usize = 0;
/// Which keys are looked up: one of those below.
pub const KIND: usize = 1;
/// How many lookups a run does.
pub const LOOKUPS: usize = 2;
/// Where the random numbers are.
pub const STATE: usize = 3;
/// How many keys were found.
pub const FOUND: usize = 4;
/// How long the run took.
pub const NANOSECONDS: usize = 5;

/// Listed keys.
pub const HIT: u64 = 0;
/// Keys that are listed nowhere; for IPv6 in /32s with nothing in them, but for one in 800.
pub const MISS: u64 = 1;
/// For IPv6, keys that are listed nowhere, in /32s that have entries.
pub const NEAR_MISS: u64 = 2;

/// All IPv6 keys begin with these eight bits, so that a trie does not know at its first bit what is listed nowhere.
const TOP: u32 = 0x2a00_0000;

/// How many different /32s the IPv6 entries lie in.
const TOPS: u32 = 20_000;

/// Random keys, one after the other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    entries: u64,
    kind: u64,
    /// Where the random numbers are.
    pub state: u64,
    /// How many keys were found.
    pub found: u64,
}

impl Keys {
    /// The keys of a run. All starts from the map, so that the verifier takes nothing for a constant.
    #[inline(always)]
    pub fn new(run: &[u64; 8]) -> Self {
        Self { entries: run[ENTRIES], kind: run[KIND], state: run[STATE], found: run[FOUND] }
    }

    /// The next IPv4 key.
    #[inline(always)]
    pub fn next_v4(&mut self) -> u32 {
        let random = self.random() >> 32;
        entry_v4(if self.kind == HIT {
            ((random * self.entries) >> 32) as u32
        } else {
            (self.entries + ((random * ((1 << 32) - self.entries)) >> 32)) as u32
        })
    }

    /// The next IPv6 key.
    #[inline(always)]
    pub fn next_v6(&mut self) -> [u32; 4] {
        let random = self.random();
        let (low, high) = (random as u32, (random >> 32) as u32);
        if self.kind == HIT {
            let number = (((random >> 32) * self.entries) >> 32) as u32;
            let ([a, b, c, d], length) = entry_v6(number);
            return match length {
                48 => [a, b | low & 0xffff, low, high],
                64 => [a, b, low, high],
                _ => [a, b, c, d],
            };
        }
        let top = if self.kind == MISS { TOP | low >> 8 } else { top(low) };
        // Entries have the highest bit behind the /32 clear.
        [top, high | 1 << 31, low, high]
    }

    #[inline(always)]
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 31
    }
}

/// The IPv4 entry with this number; different numbers have different entries.
#[inline(always)]
pub const fn entry_v4(number: u32) -> u32 {
    let mixed = (number ^ number >> 16).wrapping_mul(0x7feb_352d);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x846c_a68b);
    mixed ^ mixed >> 16
}

/// The IPv6 entry with this number and its length: one in twelve a /48, one a /128, the others /64s.
#[inline(always)]
pub const fn entry_v6(number: u32) -> ([u32; 4], u8) {
    let (mixed, other) = (entry_v4(number), entry_v4(!number));
    let (top, second) = (top(number), mixed & !(1 << 31));
    match number % 12 {
        0 => ([top, second & 0xffff_0000, 0, 0], 48),
        1 => ([top, second, mixed, other], 128),
        _ => ([top, second, 0, 0], 64),
    }
}

#[inline(always)]
const fn top(number: u32) -> u32 {
    TOP | entry_v4(number % TOPS) >> 8
}
