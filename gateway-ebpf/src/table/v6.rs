//! Finds an IPv6 address: a byte for its /32, then a line for each length that the byte says is there.

use super::header::{self, v6_host_gate, v6_host_gate_bits, v6_hosts, v6_networks};
use super::{Class, GATE, Line, Lines, Step, Trace, row, wide};
use crate::abi::RuleValue;

/// What a byte of the gate says is there for a /32, or for others that share its byte.
pub(super) mod bit {
    /// Something in the trie.
    pub(in super::super) const TRIE: u8 = 1 << 6;
    /// A class for its whole /16.
    pub(in super::super) const WIDE: u8 = 1 << 7;
}

/// The lengths that entries have, each with its bit in the gate; all but the last are in the buckets for networks.
pub(super) const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 128];

const _: () = assert!(LENGTHS[0] == 32 && LENGTHS[4] == 64 && LENGTHS[5] == 128);

/// What a byte of the gate says, for people; nothing when it is 0.
pub fn byte_names(bits: u8) -> impl Iterator<Item = &'static str> {
    const NAMES: [&str; 8] = ["/32", "/40", "/48", "/56", "/64", "/128", "leftovers", "wide"];
    NAMES.into_iter().enumerate().filter(move |(bit, _)| bits >> bit & 1 != 0).map(|(_, name)| name)
}

/// The bit of a place in [`LENGTHS`].
#[inline(always)]
pub(super) const fn length_bit(place: usize) -> u8 {
    1 << (place & 7)
}

/// Set in a bucket's last word with classes when some of its entries are in the other bucket that they may be in.
pub(super) const ELSEWHERE: u64 = 1 << 63;

/// What the trie says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The class.
    pub class: Class,
    /// The length of the prefix that has it.
    pub length: u8,
}

/// The two halves of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) high: u64,
    pub(super) low: u64,
}

impl Halves {
    #[inline(always)]
    pub(super) const fn new([a, b, c, d]: [u32; 4]) -> Self {
        Self { high: (a as u64) << 32 | b as u64, low: (c as u64) << 32 | d as u64 }
    }
}

/// Where an entry belongs: in one bucket, or when that is full in another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) other: u32,
    /// What marks it there; for a host its two halves do.
    pub(super) tag: u64,
}

impl Place {
    /// The place of a network of at most 64 bits, which are `high`, with none set behind its length.
    ///
    /// The hash is one to one, so the bit that chooses the half of the buckets need not be stored: in its place stands
    /// whether it is a /64. The others have an empty last byte, where their length is.
    #[inline(always)]
    pub(super) fn network(high: u64, place: usize, gate: u32, networks: u32, seed: u64) -> Self {
        let is_longest = LENGTHS.get(place) == Some(&64);
        let number = if is_longest { high } else { high | (place as u64 + 1) };
        let hash = mix(number ^ seed);
        Self::new(v6_networks(gate), hash, networks, hash << 1 | u64::from(is_longest))
    }

    /// The place of one address.
    #[inline(always)]
    pub(super) fn host(address: Halves, gate: u32, networks: u32, hosts: u32, seed: u64) -> Self {
        let hash = mix(mix(address.high ^ seed) ^ address.low);
        Self::new(v6_hosts(gate, networks), hash, hosts, 0)
    }

    #[inline(always)]
    fn new(start: u32, hash: u64, bits: u32, tag: u64) -> Self {
        let bucket = (hash >> ((64 - bits) & 63)) as u32;
        // Both are in the same half, as what is not stored says which half that is.
        let half = ((1_u32 << (bits & 31)) - 1) >> 1;
        let other = bucket ^ ((hash as u32 & half) | 1);
        Self { bucket: start.wrapping_add(bucket), other: start.wrapping_add(other), tag }
    }
}

/// Where the byte for the /32 that begins with `top` is: its line, and its place in that.
#[inline(always)]
pub(super) fn gate_place(top: u32, gate: u32, seed: u64) -> (u32, u32) {
    let hash = mix(u64::from(top) ^ seed);
    let byte = (hash >> ((64 - gate) & 63)) as u32;
    (GATE + (byte >> 6), byte & 63)
}

/// Where the bit of a /64 with hosts in it is: its line, and its place in that.
///
/// The buckets for hosts are large and cold; these bits are small enough to stay near, and most of the /64s in a /32 with
/// hosts have none.
#[inline(always)]
pub(super) fn host_gate_place(
    high: u64,
    (gate, networks, hosts): (u32, u32, u32),
    seed: u64,
) -> (u32, u32) {
    let hash = mix(high ^ seed);
    let bit = (hash >> (64_u32.wrapping_sub(v6_host_gate_bits(hosts)) & 63)) as u32;
    (v6_host_gate(gate, networks, hosts).wrapping_add(bit >> 9), bit & 511)
}

#[inline(always)]
fn has_hosts(
    lines: &(impl Lines + ?Sized),
    high: u64,
    sizes: (u32, u32, u32),
    seed: u64,
    trace: &mut impl Trace,
) -> Option<bool> {
    let (index, place) = host_gate_place(high, sizes, seed);
    let line = lines.line(index)?;
    let word = line.get((place >> 6 & 7) as usize)?;
    let open = word >> (place & 63) & 1 != 0;
    trace.step(Step::HostGate { line: index, open });
    Some(open)
}

/// The rule of the longest prefix that covers `address`, if any does.
///
/// `leftover` asks the trie for what has this generation; the longest prefix that it holds is compared with what is here.
#[inline(always)]
pub fn lookup(
    lines: &(impl Lines + ?Sized),
    address: [u32; 4],
    leftover: impl FnOnce(u32) -> Option<Leftover>,
) -> Option<RuleValue> {
    walk(lines, address, leftover, &mut ())
}

/// The same, step by step for whoever listens.
#[inline(always)]
pub fn walk(
    lines: &(impl Lines + ?Sized),
    address: [u32; 4],
    leftover: impl FnOnce(u32) -> Option<Leftover>,
    trace: &mut impl Trace,
) -> Option<RuleValue> {
    let first = lines.line(0)?;
    let (gate, networks, hosts) = header::sizes(&first);
    let seed = header::seed(&first);
    let halves = Halves::new(address);
    let [top, ..] = address;
    let (index, place) = gate_place(top, gate, seed);
    let line = lines.line(index)?;
    let word = line.get((place >> 3 & 7) as usize)?;
    let bits = (word >> (8 * (place & 7))) as u8;
    trace.step(Step::Gate { line: index, bits });
    if bits == 0 {
        return None;
    }
    let generation = header::generation(&first);
    let left = if bits & bit::TRIE == 0 { None } else { leftover(generation) };
    let left = left.unwrap_or(Leftover { class: 0, length: 0 });
    if bits & bit::TRIE != 0 {
        trace.step(Step::Leftovers { generation, class: left.class, length: left.length });
    }
    let may_be_host = bits & length_bit(5) != 0 && left.length < 128;
    if may_be_host && has_hosts(lines, halves.high, (gate, networks, hosts), seed, trace)? {
        let place = Place::host(halves, gate, networks, hosts, seed);
        let class = find_host(lines, place, halves, trace)?;
        if class != 0 {
            return row(lines, class, trace);
        }
    }
    // From the longest to the shortest.
    for (place, length) in [(4, 64), (3, 56), (2, 48), (1, 40), (0, 32)] {
        if left.length >= length {
            break;
        }
        if bits & length_bit(place) != 0 {
            let network = halves.high & (!0 << (64 - length));
            let place = Place::network(network, place, gate, networks, seed);
            let class = find_network(lines, place, length, trace)?;
            if class != 0 {
                return row(lines, class, trace);
            }
        }
    }
    let mut class = left.class;
    if class == 0 && bits & bit::WIDE != 0 {
        class = wide(lines, (top >> 16) as u16, trace)?;
    }
    if class == 0 { None } else { row(lines, class, trace) }
}

/// The class of a network, 0 when it is not there.
#[inline(always)]
fn find_network(
    lines: &(impl Lines + ?Sized),
    place: Place,
    length: u8,
    trace: &mut impl Trace,
) -> Option<Class> {
    let line = lines.line(place.bucket)?;
    let class = network_class(&line, place.tag);
    trace.step(Step::Bucket { line: place.bucket, length, class, second: false });
    if class != 0 || is_all(line.get(7)) {
        return Some(class);
    }
    let class = network_class(&*lines.line(place.other)?, place.tag);
    trace.step(Step::Bucket { line: place.other, length, class, second: true });
    Some(class)
}

/// Whether a bucket has all entries that belong there, by its word with classes.
#[inline(always)]
fn is_all(word: Option<&u64>) -> bool {
    word.is_none_or(|word| word & ELSEWHERE == 0)
}

/// A bucket for networks is seven tags, seven classes of one byte, and its marks in one byte.
#[inline(always)]
fn network_class(line: &Line, tag: u64) -> Class {
    for (slot, word) in (0..).zip(line.iter().take(7)) {
        if *word == tag {
            return (line[7] >> (8 * slot)) as Class;
        }
    }
    0
}

/// The class of an address, 0 when it is not there.
#[inline(always)]
fn find_host(
    lines: &(impl Lines + ?Sized),
    place: Place,
    address: Halves,
    trace: &mut impl Trace,
) -> Option<Class> {
    let line = lines.line(place.bucket)?;
    let class = host_class(&line, address);
    trace.step(Step::Bucket { line: place.bucket, length: 128, class, second: false });
    if class != 0 || is_all(line.get(6)) {
        return Some(class);
    }
    let class = host_class(&*lines.line(place.other)?, address);
    trace.step(Step::Bucket { line: place.other, length: 128, class, second: true });
    Some(class)
}

/// A bucket for hosts is three addresses, three classes of one byte, and its marks in the last byte of the same word.
#[inline(always)]
fn host_class(line: &Line, address: Halves) -> Class {
    for (slot, [high, low]) in (0..).zip(line.as_chunks::<2>().0.iter().take(3)) {
        if *high == address.high && *low == address.low {
            return (line[6] >> (8 * slot)) as Class;
        }
    }
    0
}

/// A one to one hash.
#[inline(always)]
fn mix(number: u64) -> u64 {
    let first = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (first ^ first >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}
