//! The line that refuses: `554 5.7.1 TEXT [ADDRESS] ref REFERENCE`, written straight into the packet.
//!
//! Everything is written by words at places that need not be even, each part over the surplus of the one before; there
//! is no loop over octets and no branch that depends on the address.

use crate::frame::FrameMut;
use crate::parse::Addresses;
use crate::reference::letter;

/// What stands before the text.
const CODE: &[u8] = b"554 5.7.1 ";

/// What stands between the text and the address.
const BEFORE_ADDRESS: &[u8] = b" [";

/// `] ref `, the reference, CR LF.
const TAIL: u32 = 21;

/// The longest text in octets.
pub const MOST_TEXT: usize = 80;

/// The words in which the line up to the address has room.
const HEAD_WORDS: usize = (CODE.len() + MOST_TEXT + BEFORE_ADDRESS.len()) / 4;

/// The words behind them.
const REST_WORDS: usize = WORDS - HEAD_WORDS;

/// The words of the longest line and of what fills it up.
pub const WORDS: usize = 39;

/// The line up to the client's address, as the daemon writes it for the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// Octets, in words of the host's order; 0 behind the end.
    words: [u32; HEAD_WORDS],
    length: u32,
}

impl Head {
    /// The head with `text`; `None` unless that is printable ASCII of at most [`MOST_TEXT`] octets.
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > MOST_TEXT || !text.bytes().all(|octet| (b' '..=b'~').contains(&octet)) {
            return None;
        }
        let mut head = [0_u8; 4 * HEAD_WORDS];
        let octets = CODE.iter().chain(text.as_bytes()).chain(BEFORE_ADDRESS);
        for (place, octet) in head.iter_mut().zip(octets) {
            *place = *octet;
        }
        let mut words = [0; HEAD_WORDS];
        for (word, octets) in words.iter_mut().zip(head.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*octets);
        }
        let length = CODE.len() + text.len() + BEFORE_ADDRESS.len();
        Some(Self { words, length: length as u32 })
    }

    /// How long the whole line to this client is.
    #[inline(always)]
    pub fn line_length(&self, addresses: &Addresses) -> u32 {
        self.length() + address_length(addresses) + TAIL
    }

    /// Bounded whatever is in the map, so that the verifier sees an end.
    #[inline(always)]
    const fn length(&self) -> u32 {
        self.length & 0x7f
    }

    /// Writes the line at `at`, and zeros behind it, [`WORDS`] in all.
    #[inline(always)]
    pub fn write(
        &self,
        frame: &mut (impl FrameMut + ?Sized),
        at: usize,
        addresses: &Addresses,
        reference: u64,
    ) -> Option<()> {
        frame.put_words(at, &self.words)?;
        frame.put_words(at + 4 * HEAD_WORDS, &[0; REST_WORDS])?;
        let at = at + self.length() as usize;
        let at = match *addresses {
            Addresses::V4 { source, .. } => put_ipv4(frame, at, source)?,
            Addresses::V6 { source, .. } => put_ipv6(frame, at, source)?,
        };
        let letters = |from: usize| {
            let place = |place: usize| u32::from(letter(reference, from + place));
            place(0) << 24 | place(1) << 16 | place(2) << 8 | place(3)
        };
        let two = |from: usize| {
            u32::from(letter(reference, from)) << 8 | u32::from(letter(reference, from + 1))
        };
        frame.put_words(
            at,
            &[
                u32::from_be_bytes(*b"] re"),
                u32::from_be_bytes(*b"f \0\0") | two(0),
                letters(2),
                letters(6),
                two(10) << 16 | u32::from(letter(reference, 12)) << 8 | u32::from(b'\r'),
                u32::from(b'\n') << 24,
            ],
        )
    }
}

/// How many octets an address takes: IPv4 as short as it gets, IPv6 always in full.
#[inline(always)]
fn address_length(addresses: &Addresses) -> u32 {
    match *addresses {
        Addresses::V4 { source, .. } => {
            let [a, b, c, d] = octets(source);
            7 + more_digits(a) + more_digits(b) + more_digits(c) + more_digits(d)
        }
        Addresses::V6 { .. } => 39,
    }
}

#[inline(always)]
const fn octets(address: u32) -> [u32; 4] {
    [address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff]
}

/// How many digits an octet has beyond the first.
#[inline(always)]
const fn more_digits(octet: u32) -> u32 {
    ((octet + 246) >> 8) + ((octet + 156) >> 8)
}

/// Writes the address at `at`; the place behind it.
#[inline(always)]
fn put_ipv4(frame: &mut (impl FrameMut + ?Sized), at: usize, address: u32) -> Option<usize> {
    let mut at = at;
    for octet in octets(address) {
        // Exact for all octets.
        let (hundreds, tens) = ((octet * 41) >> 12, (octet * 205) >> 11);
        let digits =
            hundreds << 24 | (tens - 10 * hundreds) << 16 | (octet - 10 * tens) << 8 | 0x3030_302e;
        let more = more_digits(octet);
        frame.put_words(at, &[digits << ((16 - 8 * more) & 31)])?;
        at += ((2 + more) & 7) as usize;
    }
    // No dot behind the last octet.
    Some(at - 1)
}

/// Writes the address at `at`, all eight groups with all their digits; the place behind it.
#[inline(always)]
fn put_ipv6(frame: &mut (impl FrameMut + ?Sized), at: usize, address: [u32; 4]) -> Option<usize> {
    for (index, word) in address.into_iter().enumerate() {
        let colon = u32::from(b':');
        let (first, second) = (digits(word >> 16), digits(word & 0xffff));
        // `aaaa:bbbb:`, and two octets that the next ones are written over.
        let words = [first, colon << 24 | second >> 8, second << 24 | colon << 16];
        frame.put_words(at + 10 * index, &words)?;
    }
    Some(at + 39)
}

/// Four hexadecimal digits, all at once: the nibbles spread over four octets, and letters moved behind the digits.
#[inline(always)]
const fn digits(group: u32) -> u32 {
    let spread = (group << 8 | group) & 0x00ff_00ff;
    let spread = (spread << 4 | spread) & 0x0f0f_0f0f;
    let letters = (spread + 0x0606_0606) >> 4 & 0x0101_0101;
    spread + 0x3030_3030 + letters * 39
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::reference::LETTERS;

    fn written(text: &str, addresses: &Addresses, reference: u64, at: usize) -> Vec<u8> {
        let mut frame = std::vec![0xee; at + 4 * WORDS];
        let head = Head::new(text).unwrap();
        head.write(frame.as_mut_slice(), at, addresses, reference).unwrap();
        let (line, zeros) = frame[at..].split_at(head.line_length(addresses) as usize);
        assert!(zeros.iter().all(|octet| *octet == 0), "{zeros:?}");
        assert!(frame[..at].iter().all(|octet| *octet == 0xee));
        line.to_vec()
    }

    fn letters(reference: u64) -> String {
        (0..LETTERS).map(|place| char::from(letter(reference, place))).collect()
    }

    #[test]
    fn every_octet_is_written_as_people_write_it() {
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 255 - octet, octet / 2, octet / 25);
            let addresses = Addresses::V4 { source: address.into(), destination: 0 };
            let line = written("no", &addresses, 0, 0);
            let expected = format!("554 5.7.1 no [{address}] ref 0000000000000\r\n");
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_said_is_none() {
        for text in ["a\r\nb", "\u{e9}", "\0", &"x".repeat(MOST_TEXT + 1)] {
            assert_eq!(Head::new(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_line_is_what_formatting_gives(
            text in "[ -~]{0,80}",
            v4 in any::<u32>(),
            v6 in any::<[u32; 4]>(),
            reference in any::<u64>(),
            at in 0_usize..40,
        ) {
            let wide = v6.into_iter().fold(0_u128, |wide, word| wide << 32 | u128::from(word));
            let groups = Ipv6Addr::from(wide).segments().map(|group| format!("{group:04x}"));
            for (addresses, shown) in [
                (Addresses::V4 { source: v4, destination: 0 }, format!("{}", Ipv4Addr::from(v4))),
                (Addresses::V6 { source: v6, destination: [0; 4] }, groups.join(":")),
            ] {
                let line = String::from_utf8(written(&text, &addresses, reference, at)).unwrap();
                let expected = format!("554 5.7.1 {text} [{shown}] ref {}\r\n", letters(reference));
                prop_assert_eq!(line, expected);
            }
        }

        #[test]
        fn a_frame_too_short_is_not_written_past_its_end(
            text in "[ -~]{0,80}",
            source in any::<[u32; 4]>(),
            length in 0..4 * WORDS,
        ) {
            let addresses = Addresses::V6 { source, destination: [0; 4] };
            let mut frame = [0xee; 4 * WORDS];
            let head = Head::new(&text).unwrap();
            let short = frame.get_mut(..length).unwrap();
            prop_assert_eq!(head.write(short, 0, &addresses, 0), None);
            prop_assert!(frame[length..].iter().all(|octet| *octet == 0xee));
        }
    }
}
