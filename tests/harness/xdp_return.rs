//! The smallest XDP programs, which return one verdict for every frame, as object files made by hand.
//!
//! A veth device delivers what its peer sends by `XDP_TX` only while it has an XDP program of its own. These are
//! small enough to be written down, so that a host that only sends mail needs no compiler for it.

use std::path::Path;
use std::{fs, io};

/// The section that holds the program, by which `ip link` finds it.
pub const SECTION: &str = "xdp";

/// The verdict that a program returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Returns {
    /// `XDP_PASS`: every frame goes on to the host.
    Pass = 2,
    /// `XDP_TX`: every frame goes back to where it came from.
    Tx = 3,
}

/// Writes the object file of the program that returns `verdict`.
pub fn write(file: &Path, verdict: Returns) -> io::Result<()> {
    fs::write(file, object(&program(verdict)))
}

/// `r0 = verdict; exit`
fn program(verdict: Returns) -> [u8; 16] {
    let verdict = verdict as u8;
    [0xb7, 0, 0, 0, verdict, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0]
}

/// Every name in the file; a name is found by its offset in here.
const NAMES: &[u8] = b"\0xdp\0license\0names\0symbols\0only\0";
/// No symbol at all, which every table begins with, then `only`: a global function at the start of section 1.
const SYMBOLS: [[u8; 24]; 2] =
    [[0; 24], [27, 0, 0, 0, 0x12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0]];
const LICENSE: &[u8] = b"GPL\0";

const FILE_HEADER: u64 = 64;

/// One section of the file; see "Sections" in the System V ABI, chapter 4.
struct Section<'a> {
    name: u32,
    kind: u32,
    flags: u64,
    content: &'a [u8],
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// The parts of the file in order: header, contents, section headers.
fn object(program: &[u8]) -> Vec<u8> {
    let symbols = SYMBOLS.concat();
    let (bits, text, strings) = (1, 2 | 4, 3);
    let section = |name, kind, flags, content, align| Section {
        name,
        kind,
        flags,
        content,
        link: 0,
        info: 0,
        align,
        entry: 0,
    };
    let sections = [
        section(0, 0, 0, &[], 0),
        section(1, bits, text, program, 8),
        section(5, bits, 2, LICENSE, 1),
        section(13, strings, 0, NAMES, 1),
        Section { link: 3, info: 1, entry: 24, ..section(19, 2, 0, &symbols, 8) },
    ];

    let mut contents = Vec::new();
    let mut headers = Vec::new();
    for section in &sections {
        while !contents.len().is_multiple_of(8) {
            contents.push(0);
        }
        let offset = FILE_HEADER + length(&contents);
        contents.extend_from_slice(section.content);
        for word in [section.name, section.kind] {
            headers.extend_from_slice(&word.to_le_bytes());
        }
        for long in [section.flags, 0, offset, length(section.content)] {
            headers.extend_from_slice(&long.to_le_bytes());
        }
        for word in [section.link, section.info] {
            headers.extend_from_slice(&word.to_le_bytes());
        }
        for long in [section.align, section.entry] {
            headers.extend_from_slice(&long.to_le_bytes());
        }
    }
    while !contents.len().is_multiple_of(8) {
        contents.push(0);
    }
    let table = FILE_HEADER + length(&contents);
    [file_header(table), contents, headers].concat()
}

/// ELF, 64 bits, little endian, relocatable, for eBPF (247), five sections of which the fourth holds the names.
fn file_header(section_table: u64) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    for half in [1_u16, 247] {
        header.extend_from_slice(&half.to_le_bytes());
    }
    header.extend_from_slice(&1_u32.to_le_bytes());
    for long in [0, 0, section_table] {
        header.extend_from_slice(&long.to_le_bytes());
    }
    header.extend_from_slice(&0_u32.to_le_bytes());
    for half in [64_u16, 0, 0, 64, 5, 3] {
        header.extend_from_slice(&half.to_le_bytes());
    }
    header
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_the_names_are_right() {
        for (offset, name) in
            [(1, "xdp"), (5, "license"), (13, "names"), (19, "symbols"), (27, "only")]
        {
            assert!(NAMES[offset..].starts_with(name.as_bytes()), "{name}");
            assert_eq!(NAMES[offset + name.len()], 0, "{name}");
        }
    }

    #[test]
    fn the_file_ends_with_its_section_headers() {
        let object = object(&program(Returns::Pass));
        let table = u64::from_le_bytes(object[40..48].try_into().unwrap());
        assert_eq!(length(&object), table + 5 * 64);
        assert_eq!(object.len() % 8, 0);
    }
}
