//! Builds the table for IPv6.

use alloc::vec::Vec;

use super::super::header::{Header, MAX_BUCKETS, MIN_V6_BUCKETS, Shape, V6_GATES};
use super::super::v6::{
    ELSEWHERE, Halves, LENGTHS, Place, bit, gate_place, host_gate_place, length_bit,
};
use super::super::{Class, GATE, Line};
use super::{BuildError, Entry, Made, Rows, Table, in_order, set_wide, zeroed};

/// The slots of a bucket for networks.
const NETWORK_SLOTS: u32 = 7;
/// The slots of a bucket for hosts.
const HOST_SLOTS: u32 = 3;

/// How many bits shorter than one of the lengths a prefix may be to be split into prefixes of that length.
const SPLIT: u8 = 4;
/// Entries per bucket on average, in tenths, up to which few of them find both of their buckets full.
const NETWORK_LOAD: usize = 43;
const HOST_LOAD: usize = 16;
/// From so many different /32s on the gate is large.
const MANY_TOPS: usize = 200_000;
/// From so many /32s under short prefixes on, the gate says of all that they may be.
const MANY_SHORT: u64 = 1 << 22;

/// Builds the table for IPv6. Of equal prefixes the last one counts.
pub fn build_v6(
    entries: &[Entry<u128>],
    rows: &Rows,
    made: Made,
    max_leftovers: usize,
) -> Result<Table, BuildError> {
    let sorted = in_order(entries);
    let entries = sorted.as_deref().unwrap_or(entries);
    let mut shape = fitting(entries).or_larger(made.at_least);
    let allowed = entries.iter().filter(|entry| kind(entry.length) == Kind::Leftover).count()
        + 64
        + entries.len() / 64;
    loop {
        let Shape::V6 { gate, networks, hosts } = shape else { return Err(BuildError::TooMany) };
        let mut building = Building::new(shape, (gate, networks, hosts), made.seed);
        building.cover_short(entries);
        for entry in entries {
            building.add(*entry);
        }
        let leftovers = building.finish_leftovers();
        if leftovers.len() > allowed && networks.min(hosts) < MAX_BUCKETS {
            let larger = |bits: u32| (bits + 1).min(MAX_BUCKETS);
            shape = Shape::V6 { gate, networks: larger(networks), hosts: larger(hosts) };
            continue;
        }
        if leftovers.len() > max_leftovers {
            return Err(BuildError::TooMany);
        }
        let Made { generation, seed, digest, .. } = made;
        let shape = Shape::V6 { gate, networks, hosts };
        let prefixes = entries.len() as u64;
        let header = Header { shape, generation, seed, prefixes, digest };
        return Ok(Table::seal(header, building.lines, rows, leftovers));
    }
}

/// How a prefix is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// As the class of each /16 in it.
    Wide,
    /// As entries of the length at this place in [`LENGTHS`].
    Entries(usize),
    /// In the trie.
    Leftover,
}

fn kind(length: u8) -> Kind {
    let near = LENGTHS.iter().position(|near| (near - SPLIT..=*near).contains(&length));
    match near {
        _ if length <= 16 => Kind::Wide,
        Some(place) => Kind::Entries(place),
        None => Kind::Leftover,
    }
}

/// How many entries a prefix of `length` becomes, when entries have the length at `place`.
fn split(length: u8, place: usize) -> u32 {
    1 << (LENGTHS.get(place).copied().unwrap_or(length) - length)
}

fn fitting(entries: &[Entry<u128>]) -> Shape {
    let (mut networks, mut hosts, mut tops) = (0, 0, 0);
    let mut last = None;
    for entry in entries {
        match kind(entry.length) {
            Kind::Entries(5) => hosts += split(entry.length, 5) as usize,
            Kind::Entries(place) => networks += split(entry.length, place) as usize,
            Kind::Wide | Kind::Leftover => {}
        }
        let top = Some(entry.address >> 96);
        tops += usize::from(top != last);
        last = top;
    }
    let bits =
        |count: usize, load: usize| (count * 10 / load).checked_ilog2().map_or(0, |bits| bits + 1);
    let within = |bits: u32| bits.clamp(MIN_V6_BUCKETS, MAX_BUCKETS);
    Shape::V6 {
        gate: if tops > MANY_TOPS { V6_GATES[1] } else { V6_GATES[0] },
        networks: within(bits(networks, NETWORK_LOAD)),
        hosts: within(bits(hosts, HOST_LOAD)),
    }
}

struct Building {
    lines: Vec<Line>,
    gate: u32,
    networks: u32,
    hosts: u32,
    seed: u64,
    leftovers: Vec<Entry<u128>>,
}

impl Building {
    fn new(shape: Shape, (gate, networks, hosts): (u32, u32, u32), seed: u64) -> Self {
        Self { lines: zeroed(shape.lines()), gate, networks, hosts, seed, leftovers: Vec::new() }
    }

    /// Says in the gate what is under prefixes shorter than its own /32s.
    fn cover_short(&mut self, entries: &[Entry<u128>]) {
        for (mask, wanted) in [(bit::WIDE, Kind::Wide), (bit::TRIE, Kind::Leftover)] {
            let short =
                || entries.iter().filter(|one| one.length < 32 && kind(one.length) == wanted);
            let covered: u64 = short().map(|entry| 1 << (32 - entry.length)).sum();
            if covered > MANY_SHORT {
                let gate = GATE as usize;
                let lines = self.lines.get_mut(gate..gate + (1 << (self.gate - 6)));
                let all = u64::from(mask) * 0x0101_0101_0101_0101;
                lines.into_iter().flatten().flatten().for_each(|word| *word |= all);
                continue;
            }
            for entry in short() {
                let first = (entry.address >> 96) as u32;
                let last = first | u32::MAX >> entry.length;
                (first..=last).for_each(|top| self.open(top, mask));
            }
        }
    }

    /// Sets a bit of the gate for a /32.
    fn open(&mut self, top: u32, mask: u8) {
        let (line, place) = gate_place(top, self.gate, self.seed);
        if let Some(word) = super::word(&mut self.lines, line as usize, (place >> 3) as usize) {
            *word |= u64::from(mask) << (8 * (place & 7));
        }
    }

    /// Sets the bit of a /64 with hosts in it.
    fn open_host(&mut self, high: u64) {
        let sizes = (self.gate, self.networks, self.hosts);
        let (line, place) = host_gate_place(high, sizes, self.seed);
        if let Some(word) = super::word(&mut self.lines, line as usize, (place >> 6) as usize) {
            *word |= 1 << (place & 63);
        }
    }

    fn add(&mut self, entry: Entry<u128>) {
        match kind(entry.length) {
            Kind::Wide => {
                let first = (entry.address >> 112) as usize;
                let tops = 1 << (16 - entry.length);
                (first..first + tops).for_each(|top| set_wide(&mut self.lines, top, entry.class));
            }
            Kind::Entries(place) => {
                let length = LENGTHS.get(place).copied().unwrap_or(128);
                for part in 0..u128::from(split(entry.length, place)) {
                    // The parts of a prefix are in its own bits, so this cannot overflow.
                    let address = entry.address | part << (128 - length);
                    self.add_part(Entry { address, length, class: entry.class }, place);
                }
            }
            Kind::Leftover => self.leave(entry),
        }
    }

    fn add_part(&mut self, entry: Entry<u128>, place: usize) {
        let [high, low] = [(entry.address >> 64) as u64, entry.address as u64];
        let top = (high >> 32) as u32;
        let placed = if entry.length == 128 {
            let halves = Halves { high, low };
            let place = Place::host(halves, self.gate, self.networks, self.hosts, self.seed);
            self.open_host(high);
            self.put(place, &[high, low], HOST_SLOTS, entry.class)
        } else {
            let place = Place::network(high, place, self.gate, self.networks, self.seed);
            self.put(place, &[place.tag], NETWORK_SLOTS, entry.class)
        };
        if placed.is_some() {
            self.open(top, length_bit(place));
        } else {
            self.leave(entry);
        }
    }

    fn leave(&mut self, entry: Entry<u128>) {
        if entry.length >= 32 {
            self.open((entry.address >> 96) as u32, bit::TRIE);
        }
        self.leftovers.push(entry);
    }

    /// Puts an entry into one of its two buckets, over what is there of it; `None` when both are full.
    fn put(&mut self, place: Place, tag: &[u64], slots: u32, class: Class) -> Option<()> {
        let home = self.lines.get_mut(place.bucket as usize)?;
        if let Some(done) = put(home, tag, slots, class) {
            return Some(done);
        }
        *home.get_mut(tag.len() * slots as usize)? |= ELSEWHERE;
        put(self.lines.get_mut(place.other as usize)?, tag, slots, class)
    }

    /// Of equal prefixes the last one.
    fn finish_leftovers(&mut self) -> Vec<Entry<u128>> {
        let mut leftovers = core::mem::take(&mut self.leftovers);
        leftovers.reverse();
        leftovers.sort_by_key(|entry| (entry.address, entry.length));
        leftovers.dedup_by_key(|entry| (entry.address, entry.length));
        leftovers
    }
}

/// Puts an entry into a slot of its own, or over what is there of it; `None` when the bucket is full.
fn put(line: &mut Line, tag: &[u64], slots: u32, class: Class) -> Option<()> {
    let marks = tag.len() * slots as usize;
    let taken = line.get(marks)? >> 56 & 0x7f;
    let slot = (0..taken as usize)
        .find(|slot| line.get(slot * tag.len()..(slot + 1) * tag.len()) == Some(tag))
        .unwrap_or(taken as usize);
    if slot >= slots as usize {
        return None;
    }
    line.get_mut(slot * tag.len()..(slot + 1) * tag.len())?.copy_from_slice(tag);
    let word = line.get_mut(marks)?;
    let shift = 8 * slot;
    *word = *word & !(0xff << shift) | u64::from(class) << shift;
    if slot as u64 == taken {
        *word += 1 << 56;
    }
    Some(())
}
