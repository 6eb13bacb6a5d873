//! The tables against a naive search, on the host.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::header::{Header, Shape};
use super::super::v6::Leftover;
use super::super::{v4, v6};
use super::*;
use crate::abi::KernelAction;

fn made(at_least: Shape, seed: u64) -> Made {
    Made { at_least, generation: 3, seed, digest: 4 }
}

/// Rows for all classes: class `n` is the rule of list `n`.
fn rows() -> Rows {
    let mut rows = Rows::new();
    for list in 1..=255 {
        assert_eq!(rows.class(RuleValue::new(list, KernelAction::Drop)), Some(list as Class));
    }
    rows
}

/// The number that stands for the rule that a lookup found, 0 for none.
fn found(rule: Option<RuleValue>) -> u16 {
    rule.map_or(0, RuleValue::list)
}

fn find_v4(table: &Table, address: u32) -> u16 {
    found(v4::lookup(table.lines.as_slice(), address))
}

fn find_v6(table: &Table, address: u128) -> u16 {
    let words = [96, 64, 32, 0].map(|shift| (address >> shift) as u32);
    found(v6::lookup(table.lines.as_slice(), words, |generation| {
        assert_eq!(generation, 3);
        let covers = |entry: &&Entry<u128>| mask(entry.length) & (address ^ entry.address) == 0;
        let longest = table.leftovers.iter().filter(covers).max_by_key(|entry| entry.length)?;
        Some(Leftover { class: longest.class, length: longest.length })
    }))
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

fn mask_v4(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

/// The class of the longest prefix, found by asking each length for itself.
struct Oracle<A>(BTreeMap<(u8, A), Class>);

impl<A: Copy + Ord> Oracle<A> {
    fn new(entries: &[Entry<A>]) -> Self {
        Self(entries.iter().map(|entry| ((entry.length, entry.address), entry.class)).collect())
    }

    fn find(&self, longest: u8, masked: impl Fn(u8) -> A) -> u16 {
        let class = (0..=longest).rev().find_map(|length| self.0.get(&(length, masked(length))));
        class.copied().unwrap_or_default().into()
    }
}

fn check_v4(entries: &[Entry<u32>], probes: &[u32], seed: u64) {
    let table = build_v4(entries, &rows(), made(Shape::SMALLEST_V4, seed)).unwrap();
    assert_eq!(Header::verify(&table.lines), Ok(table.header));
    let oracle = Oracle::new(entries);
    let ends = entries.iter().flat_map(|entry| {
        let last = entry.address | !mask_v4(entry.length);
        [entry.address, last, entry.address.wrapping_sub(1), last.wrapping_add(1)]
    });
    for address in ends.chain(probes.iter().copied()) {
        let expected = oracle.find(32, |length| address & mask_v4(length));
        assert_eq!(find_v4(&table, address), expected, "{}", core::net::Ipv4Addr::from(address));
    }
}

fn check_v6(entries: &[Entry<u128>], probes: &[u128], seed: u64) {
    let table = build_v6(entries, &rows(), made(Shape::SMALLEST_V6, seed), 1 << 20).unwrap();
    assert_eq!(Header::verify(&table.lines), Ok(table.header));
    let oracle = Oracle::new(entries);
    let ends = entries.iter().flat_map(|entry| {
        let last = entry.address | !mask(entry.length);
        [entry.address, last, entry.address.wrapping_sub(1), last.wrapping_add(1)]
    });
    for address in ends.chain(probes.iter().copied()) {
        let expected = oracle.find(128, |length| address & mask(length));
        assert_eq!(find_v6(&table, address), expected, "{}", core::net::Ipv6Addr::from(address));
    }
}

/// Addresses that are close to each other in one of several ways.
fn address_v4() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        any::<u8>().prop_map(|low| 0xcb00_7100 | u32::from(low)),
        any::<u16>().prop_map(|low| 0xc612_0000 | u32::from(low)),
        any::<[bool; 4]>().prop_map(|[a, b, c, d]| {
            u32::from(a) << 31 | u32::from(b) << 17 | u32::from(c) << 8 | u32::from(d)
        }),
    ]
}

fn entries_v4() -> impl Strategy<Value = Vec<Entry<u32>>> {
    // Short prefixes are rare, or nothing would show beneath them.
    let length = prop_oneof![1 => 0_u8..=16, 4 => 17_u8..=24, 8 => 25_u8..=31, 8 => Just(32)];
    let class = prop_oneof![4 => 1_u8..=3, 1 => 1_u8..=255];
    prop::collection::vec((address_v4(), length, class), 0..160).prop_map(|entries| {
        let entries = entries
            .into_iter()
            .map(|(address, length, class)| ((address & mask_v4(length), length), class));
        let entries: BTreeMap<_, _> = entries.collect();
        entries
            .into_iter()
            .map(|((address, length), class)| Entry { address, length, class })
            .collect()
    })
}

fn address_v6() -> impl Strategy<Value = u128> {
    let base = 0x2001_0db8_0000_0000_u128 << 64;
    prop_oneof![
        any::<u128>(),
        (0_u128..4, 0_u128..4, 0_u128..4).prop_map(move |(a, b, c)| base | a << 80 | b << 62 | c),
        (0_u128..16, 0_u128..300).prop_map(move |(a, b)| base | a << 76 | b << 64),
        any::<[bool; 8]>().prop_map(|bits| {
            let ends = [127, 111, 95, 87, 79, 71, 63, 0];
            bits.iter().zip(ends).fold(0, |sum, (bit, end)| sum | u128::from(*bit) << end)
        }),
    ]
}

fn entries_v6() -> impl Strategy<Value = Vec<Entry<u128>>> {
    let length = prop_oneof![1 => 0_u8..=27, 8 => 28_u8..=128, 8 => prop::sample::select(vec![32, 48, 56, 64, 128])];
    let class = prop_oneof![4 => 1_u8..=3, 1 => 1_u8..=255];
    prop::collection::vec((address_v6(), length, class), 0..120).prop_map(|entries| {
        let entries = entries
            .into_iter()
            .map(|(address, length, class)| ((address & mask(length), length), class));
        let entries: BTreeMap<_, _> = entries.collect();
        entries
            .into_iter()
            .map(|((address, length), class)| Entry { address, length, class })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ipv4_agrees_with_a_naive_search(
        entries in entries_v4(),
        probes in prop::collection::vec(address_v4(), 200),
        seed in any::<u64>(),
    ) {
        check_v4(&entries, &probes, seed);
    }

    #[test]
    fn ipv6_agrees_with_a_naive_search(
        entries in entries_v6(),
        probes in prop::collection::vec(address_v6(), 200),
        seed in any::<u64>(),
    ) {
        check_v6(&entries, &probes, seed);
    }

    /// Whatever lies in a table, a lookup ends, and says something or nothing.
    #[test]
    fn garbage_is_survived(
        first in any::<[u64; 8]>(),
        fill in any::<u64>(),
        v4_address in any::<u32>(),
        v6_address in any::<[u32; 4]>(),
    ) {
        for shape in [Shape::SMALLEST_V4, Shape::SMALLEST_V6] {
            let mut lines = zeroed(shape.lines());
            lines.iter_mut().flatten().for_each(|word| *word = fill);
            for first in [first, [fill; 8], Header { shape, generation: 0, seed: 0, prefixes: 0, digest: 0 }.to_line()] {
                lines[0] = first;
                let lines = lines.as_slice();
                v4::lookup(lines, v4_address);
                v6::lookup(lines, v6_address, |_| Some(Leftover { class: 1, length: 200 }));
                prop_assert!(Header::verify(lines).is_err());
            }
        }
    }
}

/// Numbers that look random, always the same.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    core::iter::successors(Some(seed), |last| {
        Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|number| (number ^ number >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7)
}

#[test]
fn many_hosts_are_found_and_their_neighbours_are_not() {
    let mut addresses: Vec<u32> = numbers(1).map(|number| number as u32).take(300_000).collect();
    // A whole /16 of every other address, too.
    addresses.extend((0..1 << 15).map(|low| 0x0a63_0000 | low << 1));
    addresses.sort_unstable();
    addresses.dedup();
    let entries: Vec<_> = addresses
        .iter()
        .map(|address| Entry { address: *address, length: 32, class: (address % 200 + 1) as Class })
        .collect();
    let table = build_v4(&entries, &rows(), made(Shape::SMALLEST_V4, 5)).unwrap();
    for address in &addresses {
        assert_eq!(u32::from(find_v4(&table, *address)), address % 200 + 1);
        let next = address.wrapping_add(1);
        if addresses.binary_search(&next).is_err() {
            assert_eq!(find_v4(&table, next), 0);
        }
    }
}

#[test]
fn a_crowded_bucket_is_spilled_and_found() {
    // More than fit on average: the smallest table, forced by a load above what is chosen, is filled to the brim.
    let entries: Vec<_> = (0..1_300_000_u32)
        .map(|number| Entry { address: number.rotate_left(11), length: 32, class: 9 })
        .collect();
    let table = build_v4(&entries, &rows(), made(Shape::SMALLEST_V4, 6)).unwrap();
    assert_eq!(table.header.shape, Shape::SMALLEST_V4);
    let spilled = table.lines.iter().filter(|line| v4::marks(line) & v4::SPILLED != 0).count();
    assert!(spilled > 0, "the test is about spilled entries");
    for entry in &entries {
        assert_eq!(find_v4(&table, entry.address), 9);
    }
    assert!(table.lines.len() * 64 <= 14 * entries.len());
}

#[test]
fn crowded_ipv6_buckets_leave_to_the_trie_what_does_not_fit() {
    let mut networks: Vec<u128> =
        numbers(7).map(|number| u128::from(number << 7) << 64).take(70_000).collect();
    networks.sort_unstable();
    let mut entries: Vec<_> =
        networks.iter().map(|&address| Entry { address, length: 64, class: 1 }).collect();
    entries.extend(networks.iter().map(|&address| Entry {
        address: address | 0x4d,
        length: 128,
        class: 2,
    }));
    entries.sort_unstable();
    entries.dedup();
    let table = build_v6(&entries, &rows(), made(Shape::SMALLEST_V6, 8), 1 << 20).unwrap();
    assert!(table.leftovers.len() < entries.len() / 64 + 64, "{}", table.leftovers.len());
    let naive: BTreeMap<u128, Class> =
        table.leftovers.iter().map(|entry| (entry.address, entry.class)).collect();
    for entry in &entries {
        let expected = u16::from(entry.class);
        let words = [96, 64, 32, 0].map(|shift| (entry.address >> shift) as u32);
        let rule = v6::lookup(table.lines.as_slice(), words, |_| {
            let of = |length: u8| {
                let class = *naive.get(&(entry.address & mask(length)))?;
                Some(Leftover { class, length })
            };
            of(128).or_else(|| of(64))
        });
        assert_eq!(found(rule), expected);
    }
}

#[test]
fn the_last_of_equal_prefixes_counts_and_order_does_not() {
    let entry = |address, length, class| Entry { address, length, class };
    let entries = [
        entry(0x0a00_0001_u32, 32, 1),
        entry(0x0a00_0000, 8, 2),
        entry(0x0a00_0001, 32, 3),
        entry(0x0a00_0000, 8, 4),
    ];
    let table = build_v4(&entries, &rows(), made(Shape::SMALLEST_V4, 0)).unwrap();
    assert_eq!((find_v4(&table, 0x0a00_0001), find_v4(&table, 0x0a00_0002)), (3, 4));
    assert_eq!(table.header.prefixes, 2);
}

#[test]
fn everything_can_be_listed() {
    let whole = [
        Entry { address: 0_u32, length: 0, class: 255 },
        Entry { address: 7, length: 32, class: 1 },
    ];
    check_v4(&whole, &[1, 6, 8, 255, 256, u32::MAX], 1);
    let whole = [
        Entry { address: 0_u128, length: 0, class: 255 },
        Entry { address: 7, length: 128, class: 1 },
    ];
    check_v6(&whole, &[1, 6, 8, u128::MAX, 1 << 64], 1);
}

#[test]
fn there_are_255_combinations() {
    let mut rows = rows();
    assert_eq!(rows.class(RuleValue::new(7, KernelAction::Drop)), Some(7));
    assert_eq!(rows.class(RuleValue::new(0, KernelAction::Drop)), None);
}
