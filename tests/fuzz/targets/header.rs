//! Foreign, cut, half-written and altered tables: the header's check takes nothing but what the builder wrote.

use std::sync::LazyLock;

use gateway_ebpf::abi::{KernelAction, RuleValue};
use gateway_ebpf::table::build::{Entry, Made, Rows, build_v4, build_v6};
use gateway_ebpf::table::header::{Fault, Header, Shape};
use gateway_ebpf::table::{Line, v4, v6};

use crate::input::Input;

/// What may have happened to one table; it is large.
const MOST_CHANGES: usize = 6;

static TABLES: LazyLock<[(Header, Vec<Line>); 2]> = LazyLock::new(|| {
    let mut rows = Rows::new();
    let class = rows.class(RuleValue::new(7, KernelAction::Drop)).expect("the first class");
    let made = |at_least| Made { at_least, generation: 3, seed: 0x5eed, digest: 4 };
    let v4 = [(0xcb00_7100, 24), (0xc633_6400, 28), (0xc000_0201, 32), (0xc612_0000, 15)]
        .map(|(address, length)| Entry { address, length, class });
    let v6 = [(0x2001_0db8, 32), (0x2001_0db9, 64), (0x2001_0dba, 128), (0x2002_0000, 16)]
        .map(|(top, length)| Entry { address: top << 96, length, class });
    let v4 = build_v4(&v4, &rows, made(Shape::SMALLEST_V4)).expect("a table for IPv4");
    let v6 = build_v6(&v6, &rows, made(Shape::SMALLEST_V6), 0).expect("a table for IPv6");
    [(v4.header, v4.lines), (v6.header, v6.lines)]
});

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let kind = input.octet();
    if kind & 2 != 0 {
        return foreign(input);
    }
    let (header, original) = &TABLES[usize::from(kind & 1)];
    let mut lines = original.clone();
    for _ in 0..MOST_CHANGES {
        if !input.is_empty() {
            alter(&mut lines, &mut input);
        }
    }
    let found = Header::verify(&lines);
    assert_eq!(found == Ok(*header), lines == *original, "{found:?}");
    assert_eq!(found.is_ok(), lines == *original, "{found:?}");
    // What is not taken is looked up all the same for as long as it is in the kernel.
    for top in [0xcb00_7107, 0xc633_6401, 0xc000_0201, 0xc613_0000, 0x2001_0dba, 0] {
        let rule = if kind & 1 == 0 {
            v4::lookup(lines.as_slice(), top)
        } else {
            v6::lookup(lines.as_slice(), [top, 0, 0, 0], |_| None)
        };
        assert!(rule.is_none() || lines.len() > 1, "a rule out of nothing");
    }
}

/// One thing that can have happened to a table.
fn alter(lines: &mut Vec<Line>, input: &mut Input<'_>) {
    let (what, index, word) = (input.octet(), input.word(), usize::from(input.octet() & 7));
    let bits = input.octet();
    let Some(count) = u32::try_from(lines.len()).ok().filter(|count| *count > 0) else {
        return;
    };
    let index = usize::try_from(index % count).expect("an index");
    match what % 6 {
        // The first line alone holds more than the sum.
        0 => lines[0][word] ^= 1 << (bits & 63),
        1 => lines[index][word] ^= 1 << (bits & 63),
        2 => lines[index][word] = input.long(),
        3 => lines.truncate(index),
        4 => lines[index..].fill([0; 8]),
        _ => lines.push([u64::from(bits); 8]),
    }
}

/// Something that no builder made: whatever says of itself that it is a table has the size that it says.
fn foreign(mut input: Input<'_>) {
    let kind = input.octet();
    let lines: Vec<Line> = input
        .rest()
        .chunks(64)
        .map(|octets| {
            let mut input = Input::new(octets);
            [(); 8].map(|()| input.long())
        })
        .collect();
    assert!(Header::verify(&lines).is_err(), "no table is as small as this");
    let (header, table) = &TABLES[usize::from(kind & 1)];
    let Some(first) = lines.first() else {
        return;
    };
    // A first line of the attacker's choice, with the right sum: its sizes must still be those of the lines.
    let mut forged = table.clone();
    forged[0] = *first;
    if kind & 4 != 0 {
        forged[0][0] = table[0][0];
    }
    Header::seal(&mut forged);
    match Header::verify(&forged) {
        Ok(found) => {
            assert_eq!(found.shape, header.shape, "another shape of the same size");
            assert_eq!(forged[0][..2], table[0][..2]);
        }
        Err(fault) => assert_ne!(fault, Fault::Sum, "the sum is right"),
    }
}
