//! References in the kernel's refusals: when, by which list and whom, in 64 bits that only the daemon can read.
//!
//! The program keeps nothing about a connection, so the reference itself carries what a record would say. It is one
//! block under a cipher, with a key of its own for each epoch; the daemon keeps the keys as long as its records.

use crate::parse::Addresses;

/// The number of round keys.
pub const ROUNDS: usize = 27;

/// The number of letters of a reference.
pub const LETTERS: usize = 13;

/// Crockford's alphabet: no letter can be misread for another over the telephone.
pub const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The second, counted from 1970, in which minute 0 begins: 2020-01-01.
pub const FIRST_SECOND: u64 = 1_577_836_800;

/// What a reference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The epoch of the key, modulo 256.
    pub epoch: u8,
    /// The slot of the list that decided.
    pub list: u8,
    /// The minute, counted from [`FIRST_SECOND`]; 24 bits last until 2051.
    pub minute: u32,
    /// Of the client's address, 24 bits, see [`fingerprint`].
    pub client: u32,
}

/// The key of one epoch, as its round keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Key([u32; ROUNDS]);

impl Key {
    /// Prepares a key of 128 bits; the first number is the one that the paper writes last.
    pub const fn new([first, a, b, c]: [u32; 4]) -> Self {
        let mut rounds = [first; ROUNDS];
        let mut rest = [a, b, c];
        let mut at = 0;
        while at + 1 < ROUNDS {
            let [l0, l1, l2] = rest;
            #[expect(clippy::indexing_slicing, reason = "the loop ends before the last round key")]
            let key = rounds[at];
            let next = l0.rotate_right(8).wrapping_add(key) ^ at as u32;
            rest = [l1, l2, next];
            at += 1;
            #[expect(clippy::indexing_slicing, reason = "the loop ends before the last round key")]
            {
                rounds[at] = key.rotate_left(3) ^ next;
            }
        }
        Self(rounds)
    }

    /// The reference with this content.
    #[inline(always)]
    pub fn seal(&self, content: Content) -> u64 {
        let left = u32::from(content.epoch) << 24 | content.client & 0xff_ffff;
        let right = u32::from(content.list) << 24 | content.minute & 0xff_ffff;
        let [left, right] = self.encrypt([left, right]);
        u64::from(left) << 32 | u64::from(right)
    }

    /// What a reference says, if it was made with this key; anything else gives nonsense.
    pub fn open(&self, reference: u64) -> Content {
        let [left, right] = self.decrypt([(reference >> 32) as u32, reference as u32]);
        Content {
            epoch: (left >> 24) as u8,
            list: (right >> 24) as u8,
            minute: right & 0xff_ffff,
            client: left & 0xff_ffff,
        }
    }

    /// Speck64/128 (Beaulieu et al. 2013): a block of 64 bits in few instructions of 32 bits.
    #[inline(always)]
    fn encrypt(&self, [mut x, mut y]: [u32; 2]) -> [u32; 2] {
        for key in &self.0 {
            x = x.rotate_right(8).wrapping_add(y) ^ key;
            y = y.rotate_left(3) ^ x;
        }
        [x, y]
    }

    fn decrypt(&self, [mut x, mut y]: [u32; 2]) -> [u32; 2] {
        for key in self.0.iter().rev() {
            y = (y ^ x).rotate_right(3);
            x = (x ^ key).wrapping_sub(y).rotate_left(8);
        }
        [x, y]
    }
}

/// 24 bits of the client's address, with which a reference found beside an address can be checked.
#[inline(always)]
pub fn fingerprint(addresses: &Addresses) -> u32 {
    /// 2^32 divided by the golden ratio: spreads neighbours far apart.
    const SPREAD: u32 = 0x9e37_79b1;
    let mixed = match *addresses {
        Addresses::V4 { source, .. } => source.wrapping_mul(SPREAD),
        Addresses::V6 { source, .. } => {
            source.into_iter().fold(0, |mixed: u32, word| (mixed ^ word).wrapping_mul(SPREAD))
        }
    };
    mixed >> 8
}

/// The letter at `place`, the first of [`LETTERS`] at 0.
#[inline(always)]
pub fn letter(reference: u64, place: usize) -> u8 {
    let five_bits = reference >> (5 * (LETTERS - 1 - place)) & 31;
    #[expect(clippy::indexing_slicing, reason = "five bits name one of 32 letters")]
    ALPHABET[five_bits as usize]
}

/// The reference that is written with these letters, in either case.
pub fn from_letters(letters: &str) -> Option<u64> {
    if letters.len() != LETTERS {
        return None;
    }
    letters.bytes().try_fold(0_u64, |number, letter| {
        let letter = letter.to_ascii_uppercase();
        let five_bits = ALPHABET.iter().position(|known| *known == letter)? as u64;
        (number >> 59 == 0).then_some(number << 5 | five_bits)
    })
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_cipher_is_that_of_the_paper() {
        let key = Key::new([0x0302_0100, 0x0b0a_0908, 0x1312_1110, 0x1b1a_1918]);
        let (plain, cipher) = ([0x3b72_6574, 0x7475_432d], [0x8c6f_a548, 0x454e_028b]);
        assert_eq!(key.encrypt(plain), cipher);
        assert_eq!(key.decrypt(cipher), plain);
    }

    #[test]
    fn what_is_no_reference_is_none() {
        for text in ["", "000000000000", "00000000000000", "G000000000000", "000000000000U"] {
            assert_eq!(from_letters(text), None, "{text}");
        }
        assert_eq!(from_letters("fzzzzzzzzzzzz"), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_was_sealed_can_be_opened(
            key in any::<[u32; 4]>(),
            (epoch, list) in any::<(u8, u8)>(),
            (minute, client) in (0_u32..1 << 24, 0_u32..1 << 24),
        ) {
            let content = Content { epoch, list, minute, client };
            let reference = Key::new(key).seal(content);
            let letters: String = (0..LETTERS).map(|place| char::from(letter(reference, place))).collect();
            prop_assert_eq!(from_letters(&letters), Some(reference));
            prop_assert_eq!(Key::new(key).open(reference), content);
        }
    }
}
