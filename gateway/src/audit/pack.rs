//! Octets made few: records against a dictionary of typical ones, numbers of records as their distances.

use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

/// Typical records. A segment holds the dictionary that it was written with, so this one may change.
pub(super) const DICTIONARY: &[u8] = include_bytes!("dictionary.jsonl");

/// Blocks of records are packed once, beside everything else.
const LEVEL: i32 = 6;

/// Nothing that is unpacked is longer; what says otherwise is damaged.
const LONGEST: u64 = 256 << 20;

/// Packs texts.
pub(super) struct Packer(Compressor<'static>);

impl Packer {
    /// For many records at once; damage is noticed when they are unpacked.
    pub(super) fn new(dictionary: &[u8]) -> io::Result<Self> {
        let mut compressor = Compressor::with_dictionary(LEVEL, dictionary)?;
        compressor.include_checksum(true)?;
        Ok(Self(compressor))
    }

    pub(super) fn pack(&mut self, text: &str) -> io::Result<Vec<u8>> {
        self.0.compress(text.as_bytes())
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Packer")
    }
}

/// Unpacks them.
pub(super) struct Unpacker(Decompressor<'static>);

impl Unpacker {
    pub(super) fn new(dictionary: &[u8]) -> io::Result<Self> {
        Decompressor::with_dictionary(dictionary).map(Self)
    }

    pub(super) fn unpack(&mut self, packed: &[u8]) -> io::Result<String> {
        let damaged = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
        let length = get_frame_content_size(packed).ok().flatten();
        let length = length.filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| damaged("a record has no length"))?;
        let length = usize::try_from(length).map_err(|_long| damaged("a record is too long"))?;
        let octets = self.0.decompress(packed, length)?;
        String::from_utf8(octets).map_err(|_other| damaged("a record is no text"))
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unpacker")
    }
}

/// Numbers in rising order as the distances between them, seven bits in each octet.
pub(super) fn distances(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let (mut octets, mut before) = (Vec::new(), 0);
    for number in numbers {
        let mut distance = number.wrapping_sub(before);
        before = number;
        while distance >= 0x80 {
            octets.push(distance.to_le_bytes()[0] | 0x80);
            distance >>= 7;
        }
        octets.push(distance.to_le_bytes()[0]);
    }
    octets
}

/// The numbers that the distances lead to.
pub(super) fn numbers(octets: &[u8]) -> Vec<u32> {
    let (mut found, mut number, mut distance, mut shift) = (Vec::new(), 0_u32, 0_u32, 0_u32);
    for octet in octets {
        distance |= u32::from(octet & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if octet & 0x80 == 0 {
            number = number.wrapping_add(distance);
            found.push(number);
            (distance, shift) = (0, 0);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut unpacker = Unpacker::new(DICTIONARY).unwrap();
        for text in ["", "x", "{\"schema\":1}\n{}", "\0\u{1b}\u{10ffff}", &"long".repeat(1 << 20)] {
            let packed = Packer::new(DICTIONARY).unwrap().pack(text).unwrap();
            assert_eq!(unpacker.unpack(&packed).unwrap(), text);
        }
        let line = std::str::from_utf8(DICTIONARY).unwrap().lines().next().unwrap();
        let packed = Packer::new(DICTIONARY).unwrap().pack(line).unwrap();
        assert!(packed.len() < 40, "a typical record is known: {}", packed.len());
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        let packed = Packer::new(DICTIONARY).unwrap().pack("something longer").unwrap();
        let mut unpacker = Unpacker::new(DICTIONARY).unwrap();
        for cut in 0..packed.len() {
            assert!(unpacker.unpack(&packed[..cut]).is_err(), "{cut}");
        }
        let mut other = packed.clone();
        *other.last_mut().unwrap() ^= 1;
        assert!(unpacker.unpack(&other).is_err());
        assert!(unpacker.unpack(&[0; 20]).is_err());
    }

    proptest! {
        #[test]
        fn distances_lead_back(mut sorted: Vec<u32>) {
            sorted.sort_unstable();
            prop_assert_eq!(numbers(&distances(sorted.iter().copied())), sorted);
        }

        #[test]
        fn any_octets_are_some_numbers(octets: Vec<u8>) {
            prop_assert!(numbers(&octets).len() <= octets.len());
        }
    }
}
