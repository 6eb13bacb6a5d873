//! Builds the table for IPv4.

use alloc::vec;
use alloc::vec::Vec;

use super::super::header::{Header, MAX_BUCKETS, MIN_V4_BUCKETS, Shape};
use super::super::v4::{Key, Place, SPILLED, cell, marks};
use super::super::{Class, Line};
use super::{BuildError, Entry, Made, Rows, Table, in_order, or_gate, set_wide, zeroed};

/// The slots of a bucket.
const SLOTS: u32 = 20;
/// The slots of a line of spill.
const SPILL_SLOTS: u32 = 12;

/// Entries per bucket on average, in tenths, up to which hardly one is spilled.
const LOAD: usize = 105;

/// Builds the table for IPv4. Of equal prefixes the last one counts.
pub fn build_v4(entries: &[Entry<u32>], rows: &Rows, made: Made) -> Result<Table, BuildError> {
    let sorted = in_order(entries);
    let entries = sorted.as_deref().unwrap_or(entries);
    let flat = Flat::new(entries);
    let least = match made.at_least {
        Shape::V4 { buckets } => buckets,
        Shape::V6 { .. } => 0,
    };
    let fitting = (flat.keys.len() * 10 / LOAD).checked_ilog2().map_or(0, |bits| bits + 1);
    for buckets in least.max(fitting).max(MIN_V4_BUCKETS)..=MAX_BUCKETS {
        let shape = Shape::V4 { buckets };
        let mut lines = zeroed(shape.lines());
        if fill(&mut lines, &flat.keys, buckets, made.seed) {
            flat.write_gate(&mut lines);
            let prefixes = entries.len() as u64;
            let Made { generation, seed, digest, .. } = made;
            let header = Header { shape, generation, seed, prefixes, digest };
            return Ok(Table::seal(header, lines, rows, Vec::new()));
        }
    }
    Err(BuildError::TooMany)
}

/// Prefixes without nesting: each address has at most one class.
struct Flat {
    /// The class of each whole /24; empty when there is none.
    networks: Vec<Class>,
    /// The cells of /24s that are not whole.
    cells: Vec<(u32, u64)>,
    keys: Vec<(Key, Class)>,
}

impl Flat {
    fn new(entries: &[Entry<u32>]) -> Self {
        let mut flat = Self { networks: Vec::new(), cells: Vec::new(), keys: Vec::new() };
        let wide = entries.iter().filter(|entry| entry.length <= 24);
        for entry in wide {
            if flat.networks.is_empty() {
                flat.networks = vec![0; 1 << 24];
            }
            // What is nested comes later, and so paints over what it lies in.
            let first = (entry.address >> 8) as usize;
            let covered = flat.networks.get_mut(first..first + (1 << (24 - entry.length)));
            covered.unwrap_or_default().fill(entry.class);
        }
        flat.keys.reserve(entries.len());
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let same = |entry: &&Entry<u32>| entry.address >> 8 == first.address >> 8;
            let group = rest.iter().take_while(same).count();
            let (group, others) = rest.split_at(group);
            flat.add_parts(first.address >> 8, group);
            rest = others;
        }
        flat.take_wide();
        flat
    }

    /// Adds the prefixes of one /24; those that are not inside it are painted already.
    fn add_parts(&mut self, network: u32, group: &[Entry<u32>]) {
        let parts = || group.iter().filter(|entry| entry.length > 24);
        if parts().next().is_none() {
            return;
        }
        let base = self.networks.get(network as usize).copied().unwrap_or_default();
        if base == 0 && parts().all(|entry| entry.length == 32) {
            self.keys.extend(parts().map(|entry| (Key::Host(entry.address), entry.class)));
            self.cells.push((network, cell::HOSTS));
            return;
        }
        let mut classes = [base; 256];
        for entry in parts() {
            let first = (entry.address & 0xff) as usize;
            let covered = classes.get_mut(first..first + (1 << (32 - entry.length)));
            covered.unwrap_or_default().fill(entry.class);
        }
        self.add_mixed(network, &classes);
    }

    /// Adds a /24 as the fewest entries: one for what most of it is, then for what most of each /28 is, then hosts.
    fn add_mixed(&mut self, network: u32, classes: &[Class; 256]) {
        let [first, ..] = *classes;
        if first != 0 && classes.iter().all(|class| *class == first) {
            if self.networks.is_empty() {
                self.networks = vec![0; 1 << 24];
            }
            self.networks.get_mut(network as usize).into_iter().for_each(|one| *one = first);
            return;
        }
        let base = most_frequent(classes);
        let mut kind = cell::HOSTS;
        if base != 0 {
            kind = cell::MIXED;
            self.keys.push((Key::Network(network << 8), base));
        }
        for (sixteen, classes) in (network << 8..).step_by(16).zip(classes.chunks(16)) {
            let most = match most_frequent(classes) {
                0 => base,
                most => most,
            };
            if most != base {
                kind = cell::MIXED;
                self.keys.push((Key::Sixteen(sixteen), most));
            }
            let others = (sixteen..).zip(classes).filter(|(_, class)| **class != most);
            self.keys.extend(
                others
                    .filter(|(_, class)| **class != 0)
                    .map(|(host, class)| (Key::Host(host), *class)),
            );
        }
        self.cells.push((network, kind));
    }

    /// Leaves only those whole /24s that have the class of most in their /16; the others become entries.
    fn take_wide(&mut self) {
        let mut mixed = vec![0_u64; if self.networks.is_empty() { 0 } else { 1 << 18 }];
        for (network, _) in &self.cells {
            if let Some(word) = mixed.get_mut((network >> 6) as usize) {
                *word |= 1 << (network & 63);
            }
        }
        for (top, classes) in (0_u32..).zip(self.networks.chunks_mut(256)) {
            if classes.iter().all(|class| *class == 0) {
                continue;
            }
            for (network, class) in (top << 8..).zip(classes.iter_mut()) {
                let word = mixed.get((network >> 6) as usize).copied().unwrap_or_default();
                if word >> (network & 63) & 1 != 0 {
                    *class = 0;
                }
            }
            let most = most_frequent_listed(classes);
            for (network, class) in (top << 8..).zip(classes) {
                if *class != 0 && *class != most {
                    self.keys.push((Key::Network(network << 8), *class));
                    self.cells.push((network, cell::MIXED));
                    *class = 0;
                }
            }
        }
    }

    fn write_gate(&self, lines: &mut [Line]) {
        for (network, kind) in &self.cells {
            or_gate(lines, (network >> 5) as usize, kind << (2 * (network & 31)));
        }
        for (top, classes) in self.networks.chunks(256).enumerate() {
            let Some(class) = classes.iter().copied().find(|class| *class != 0) else { continue };
            set_wide(lines, top, class);
            for (word, classes) in (8 * top..).zip(classes.chunks(32)) {
                let bits = |bits: u64, (place, class): (u32, &Class)| {
                    bits | (u64::from(*class != 0) * cell::WIDE) << (2 * place)
                };
                or_gate(lines, word, (0..).zip(classes).fold(0, bits));
            }
        }
    }
}

/// The class that most of `classes` have; 0 when some have none, as "none" cannot be an exception.
fn most_frequent(classes: &[Class]) -> Class {
    if classes.contains(&0) { 0 } else { most_frequent_listed(classes) }
}

/// The class that most of those have that have one; 0 when none has.
fn most_frequent_listed(classes: &[Class]) -> Class {
    let mut listed = classes.iter().filter(|class| **class != 0);
    let Some(first) = listed.next() else { return 0 };
    if listed.all(|class| class == first) {
        return *first;
    }
    let mut counts = [0_u16; 256];
    for class in classes {
        counts.get_mut(usize::from(*class)).into_iter().for_each(|count| *count += 1);
    }
    let counted = (0..=Class::MAX).zip(counts).skip(1);
    counted.max_by_key(|(_, count)| *count).map_or(0, |(class, _)| class)
}

/// Puts the entries into buckets; false when there is no room.
fn fill(lines: &mut [Line], keys: &[(Key, Class)], buckets: u32, seed: u64) -> bool {
    keys.iter().all(|(key, class)| {
        let place = Place::new(*key, buckets, seed);
        let Some(bucket) = lines.get_mut(place.bucket as usize) else { return false };
        let taken = marks(bucket) & !SPILLED;
        if taken < SLOTS {
            put(bucket, 16, taken, u64::from(place.tag), *class, 40);
            return true;
        }
        bucket[7] |= u64::from(SPILLED) << 32;
        let Some(spill) = lines.get_mut(place.spill as usize) else { return false };
        let taken = marks(spill);
        if taken < SPILL_SLOTS {
            put(spill, 32, taken, u64::from(place.spill_tag), *class, 48);
        }
        taken < SPILL_SLOTS
    })
}

/// Takes the next slot: tags of `bits` bits from the start of the line, classes from the byte `classes_at`.
fn put(line: &mut Line, bits: u32, slot: u32, tag: u64, class: Class, classes_at: u32) {
    let mut or = |bit: u32, value: u64| {
        if let Some(word) = line.get_mut((bit / 64) as usize) {
            *word |= value << (bit % 64);
        }
    };
    or(bits * slot, tag);
    or(8 * (classes_at + slot), u64::from(class));
    line[7] += 1 << 32;
}
