//! Any octets for a table: a lookup ends after a few lines, reads none that are not there, and invents no rule.

use std::cell::RefCell;

use gateway_ebpf::abi::RuleValue;
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{Line, Lines, ROWS, WIDE, v4, v6};

use crate::input::Input;

/// The most lines for IPv4: gate, header, three entries in two lines each, row.
const MOST_V4: usize = 9;
/// The most lines for IPv6: header, two gates, six entries in two lines each, class of the /16, row.
const MOST_V6: usize = 17;

pub(crate) fn v4(octets: &[u8]) {
    let mut input = Input::new(octets);
    let address = input.word();
    check(input, MOST_V4, |table| v4::lookup(table, address));
}

pub(crate) fn v6(octets: &[u8]) {
    let mut input = Input::new(octets);
    let address = [input.word(), input.word(), input.word(), input.word()];
    let (kind, class, length) = (input.octet(), input.octet(), input.octet());
    let left = (kind & 1 != 0).then_some(Leftover { class, length });
    check(input, MOST_V6, |table| {
        v6::lookup(table, address, |generation| {
            let first = table.lines.first().expect("a generation comes from the header");
            assert_eq!(u64::from(generation), first[2] & 0xffff_ffff);
            left
        })
    });
}

fn check(mut input: Input<'_>, most: usize, lookup: impl Fn(&Hostile<'_>) -> Option<RuleValue>) {
    let length = input.word();
    let lines: Vec<Line> = input.rest().chunks(64).map(line).collect();
    let whole = Hostile::new(&lines, length);
    let found = lookup(&whole);
    let read = whole.read.take();
    assert!(read.len() <= most, "{} lines were read", read.len());
    assert_eq!(lookup(&Hostile::new(&lines, length)), found, "asked twice");
    if read.iter().any(|index| *index >= length) {
        assert_eq!(found, None, "a line was missing");
    }
    if let Some(rule) = found {
        let row = read.last().copied().filter(|index| (ROWS..WIDE).contains(index));
        let row = whole.lines[whole.place(row.expect("the last line has the row"))];
        let halves = row.iter().flat_map(|word| [word & 0xffff_ffff, word >> 32]);
        let rule = u64::from(u32::from_ne_bytes(rule.to_bytes()));
        assert!(halves.into_iter().any(|half| half == rule), "{rule:#x} is in no row");
    }
    // Whichever of its lines is the first to be missing, there is no rule.
    let last = read.into_iter().max().unwrap_or_default();
    if found.is_some() {
        assert_eq!(lookup(&Hostile::new(&lines, last + 1)), found);
        assert_eq!(lookup(&Hostile::new(&lines, last)), None);
    }
}

fn line(octets: &[u8]) -> Line {
    let mut input = Input::new(octets);
    [(); 8].map(|()| input.long())
}

/// A table of any length in which a few lines come again and again; it notes which are read.
struct Hostile<'a> {
    lines: &'a [Line],
    length: u32,
    read: RefCell<Vec<u32>>,
}

impl<'a> Hostile<'a> {
    const fn new(lines: &'a [Line], length: u32) -> Self {
        Self { lines, length, read: RefCell::new(Vec::new()) }
    }

    /// Where the line at `index` comes from; the header and the first rows have a place of their own.
    fn place(&self, index: u32) -> usize {
        let spread = if index <= ROWS { index } else { index ^ index >> 7 ^ index >> 15 };
        usize::try_from(spread).expect("an index") % self.lines.len()
    }
}

impl Lines for Hostile<'_> {
    type Line<'b>
        = &'b Line
    where
        Self: 'b;

    fn line(&self, index: u32) -> Option<&Line> {
        self.read.borrow_mut().push(index);
        (index < self.length && !self.lines.is_empty()).then(|| &self.lines[self.place(index)])
    }
}
