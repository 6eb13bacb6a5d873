//! Any prefixes: the table that is built from them finds what a naive search finds.

use gateway_ebpf::abi::{KernelAction, RuleValue};
use gateway_ebpf::table::build::{Entry, Made, Rows, build_v4, build_v6};
use gateway_ebpf::table::header::{Header, Shape};
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{v4, v6};

use crate::input::Input;

/// Prefixes of one list; a naive search over more would be too slow.
const MOST: usize = 400;

pub(crate) fn v4(octets: &[u8]) {
    let mut input = Input::new(octets);
    let made = made(&mut input, Shape::SMALLEST_V4);
    // A prefix of /24 or shorter costs a walk over all 2^24 of them. So that these do not take all of the time, and no
    // fuzzer learns to ask for them, one input in 64 has any.
    let sum = octets.iter().fold(0_u8, |sum, octet| sum.wrapping_mul(31).wrapping_add(*octet));
    let shortest = if sum.is_multiple_of(64) { 0 } else { 25 };
    let prefixes = prefixes(&mut input, shortest, 32);
    let narrow = |address: u128| u32::try_from(address >> 96).expect("32 bits");
    let entries: Vec<_> = prefixes
        .iter()
        .map(|one| Entry { address: narrow(one.address), length: one.length, class: one.class })
        .collect();
    let table = build_v4(&entries, &rows(), made).expect("room for a few prefixes");
    assert_eq!(Header::verify(&table.lines), Ok(table.header));
    for address in probes(&prefixes, 32) {
        let found = v4::lookup(table.lines.as_slice(), narrow(address));
        assert_eq!(found, expected(&prefixes, address), "{:#010x}", narrow(address));
    }
}

pub(crate) fn v6(octets: &[u8]) {
    let mut input = Input::new(octets);
    let made = made(&mut input, Shape::SMALLEST_V6);
    let prefixes = prefixes(&mut input, 0, 128);
    let table = build_v6(&prefixes, &rows(), made, 1 << 20).expect("room for a few prefixes");
    assert_eq!(Header::verify(&table.lines), Ok(table.header));
    for address in probes(&prefixes, 128) {
        let words = [96, 64, 32, 0]
            .map(|shift| u32::try_from(address >> shift & 0xffff_ffff).expect("32 bits"));
        let found = v6::lookup(table.lines.as_slice(), words, |generation| {
            assert_eq!(generation, made.generation);
            let longest = longest(&table.leftovers, address)?;
            Some(Leftover { class: longest.class, length: longest.length })
        });
        assert_eq!(found, expected(&prefixes, address), "{address:#034x}");
    }
}

fn made(input: &mut Input<'_>, at_least: Shape) -> Made {
    Made { at_least, generation: input.octet().into(), seed: input.short().into(), digest: 4 }
}

/// Prefixes near each other, nested and in runs, with the address at the upper end of its number.
fn prefixes(input: &mut Input<'_>, shortest: u8, bits: u8) -> Vec<Entry<u128>> {
    let mut prefixes = Vec::new();
    let mut address = 0_u128;
    while !input.is_empty() && prefixes.len() < MOST {
        let (kind, length, class) = (input.octet(), input.octet(), input.octet());
        let length = shortest + length % (bits + 1 - shortest);
        // A few octets somewhere in the address change; the others are those of the last one.
        let place = u32::from(kind & 0xf) * 8;
        let bytes = u128::from(input.short()) << 112 >> place;
        address = address & !(0xffff << 112 >> place) | bytes;
        let step = if length == 0 { 0 } else { 1_u128 << (128 - u32::from(length)) };
        let run = if kind >> 4 == 0xf { 64 } else { u32::from(kind >> 4 & 3) + 1 };
        for part in 0..run {
            let address = address.wrapping_add(step.wrapping_mul(part.into())) & mask(length);
            let class = class.wrapping_add(u8::try_from(part & 1).expect("0 or 1")).max(1);
            prefixes.push(Entry { address, length, class });
        }
    }
    prefixes.truncate(MOST);
    prefixes
}

/// The ends of all prefixes and what lies beside them, within the bits that the family has.
fn probes(prefixes: &[Entry<u128>], bits: u32) -> impl Iterator<Item = u128> {
    let one = 1_u128 << (128 - bits);
    let ends = prefixes.iter().flat_map(move |entry| {
        let last = entry.address | !mask(entry.length);
        [entry.address, last, entry.address.wrapping_sub(one), last.wrapping_add(one)]
    });
    ends.chain([0, u128::MAX])
}

/// Of equal prefixes the last one counts.
fn longest(prefixes: &[Entry<u128>], address: u128) -> Option<Entry<u128>> {
    let covers = |entry: &&Entry<u128>| mask(entry.length) & (address ^ entry.address) == 0;
    prefixes.iter().filter(covers).max_by_key(|entry| entry.length).copied()
}

fn expected(prefixes: &[Entry<u128>], address: u128) -> Option<RuleValue> {
    longest(prefixes, address).map(|entry| rule(entry.class.into()))
}

/// Rows for all classes: class `n` is the rule of list `n`.
fn rows() -> Rows {
    let mut rows = Rows::new();
    for list in 1..=255 {
        assert_eq!(rows.class(rule(list)).map(u16::from), Some(list));
    }
    rows
}

fn rule(list: u16) -> RuleValue {
    RuleValue::new(list, KernelAction::Drop)
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}
