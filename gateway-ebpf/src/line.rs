//! The line that refuses: `554 5.7.1 TEXT [ADDRESS] ref REFERENCE`, written straight into the packet.
//!
//! Everything is written by words at places that need not be even, each part over the surplus of the one before; there
//! is no loop over octets and no branch that depends on the address. The checksum is taken on the way: to read again what
//! was just written in pieces would cost more than all the rest.

use crate::checksum::Checksum;
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

/// The words of the longest line and of what fills it up.
pub const WORDS: usize = 39;

/// The line up to the client's address, as the daemon writes it for the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// Octets, in words of the host's order; 0 behind the end.
    words: [u32; HEAD_WORDS],
    length: u32,
    /// What the words add up to, in 16 bits.
    sum: u32,
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
        let sum = !Checksum::new().words(words).finish();
        Some(Self { words, length: length as u32, sum: u32::from(sum) })
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

    /// Writes the line at `at`, where there is room for [`WORDS`]; what its octets add up to.
    #[inline(always)]
    pub fn write(
        &self,
        frame: &mut (impl FrameMut + ?Sized),
        at: usize,
        addresses: &Addresses,
        reference: u64,
    ) -> Option<Checksum> {
        frame.put_words(at, &self.words)?;
        let end = at + self.length() as usize;
        let mut pen = Pen { frame, start: at, at: end, sum: Checksum::new().word(self.sum) };
        match *addresses {
            Addresses::V4 { source, .. } => pen.put_ipv4(source)?,
            Addresses::V6 { source, .. } => pen.put_ipv6(source)?,
        }
        pen.put_tail(reference)?;
        Some(pen.sum)
    }
}

/// Writes parts one behind the other, and adds them up.
struct Pen<'a, F: FrameMut + ?Sized> {
    frame: &'a mut F,
    /// Where the sum begins.
    start: usize,
    at: usize,
    sum: Checksum,
}

impl<F: FrameMut + ?Sized> Pen<'_, F> {
    /// Writes words of which `length` octets count; behind them there are zeros.
    #[inline(always)]
    fn put<const N: usize>(&mut self, words: [u32; N], length: u32) -> Option<()> {
        self.frame.put_words(self.at, &words)?;
        // Behind an odd number of octets, all of them change places in their 16 bits.
        let shift = 8 * ((self.at - self.start) as u32 & 1);
        self.sum = words.into_iter().fold(self.sum, |sum, word| sum.word(word.rotate_right(shift)));
        self.at += length as usize;
        Some(())
    }

    #[inline(always)]
    fn put_ipv4(&mut self, address: u32) -> Option<()> {
        let [a, b, c, d] = octets(address);
        self.put_octet(a, b'.')?;
        self.put_octet(b, b'.')?;
        self.put_octet(c, b'.')?;
        // The tail begins with its bracket.
        self.put_octet(d, 0)?;
        self.at -= 1;
        Some(())
    }

    /// Writes an octet in decimal digits, and `end` behind it.
    #[inline(always)]
    fn put_octet(&mut self, octet: u32, end: u8) -> Option<()> {
        // Exact for all octets.
        let (hundreds, tens) = ((octet * 41) >> 12, (octet * 205) >> 11);
        let digits = hundreds << 24 | (tens - 10 * hundreds) << 16 | (octet - 10 * tens) << 8;
        let digits = digits | 0x3030_3000 | u32::from(end);
        let more = more_digits(octet);
        self.put([digits << ((16 - 8 * more) & 31)], (2 + more) & 7)
    }

    /// Writes all eight groups with all their digits.
    #[inline(always)]
    fn put_ipv6(&mut self, [a, b, c, d]: [u32; 4]) -> Option<()> {
        self.put_groups(a, b':')?;
        self.put_groups(b, b':')?;
        self.put_groups(c, b':')?;
        self.put_groups(d, 0)?;
        self.at -= 1;
        Some(())
    }

    /// Writes two groups, `aaaa:bbbb`, and `end` behind them.
    #[inline(always)]
    fn put_groups(&mut self, groups: u32, end: u8) -> Option<()> {
        let (first, second) = (digits(groups >> 16), digits(groups & 0xffff));
        let middle = u32::from(b':') << 24 | second >> 8;
        self.put([first, middle, second << 24 | u32::from(end) << 16], 10)
    }

    #[inline(always)]
    fn put_tail(&mut self, reference: u64) -> Option<()> {
        let letter = |place| u32::from(letter(reference, place));
        let two = |from: usize| letter(from) << 8 | letter(from + 1);
        let words = [
            u32::from_be_bytes(*b"] re"),
            u32::from_be_bytes(*b"f \0\0") | two(0),
            two(2) << 16 | two(4),
            two(6) << 16 | two(8),
            two(10) << 16 | letter(12) << 8 | u32::from(b'\r'),
            u32::from(b'\n') << 24,
        ];
        self.put(words, TAIL)
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
        let sum = head.write(frame.as_mut_slice(), at, addresses, reference).unwrap();
        let line = &frame[at..][..head.line_length(addresses) as usize];
        assert!(frame[..at].iter().all(|octet| *octet == 0xee));
        assert_eq!(sum.finish(), harness::packet::checksum(&[line]));
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
            let written = head.write(short, 0, &addresses, 0).is_some();
            prop_assert!(!written || length >= head.line_length(&addresses) as usize);
            prop_assert!(frame[length..].iter().all(|octet| *octet == 0xee));
        }
    }
}
