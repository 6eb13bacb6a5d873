//! Any letters and any numbers for a reference: read exactly or not at all, and never a panic.

use gateway_ebpf::parse::Addresses;
use gateway_ebpf::reference::{ALPHABET, Key, LETTERS, fingerprint, from_letters, letter};

use crate::input::Input;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let key = Key::new([input.word(), input.word(), input.word(), input.word()]);
    let number = input.long();

    // Each number is a reference: 64 bits that are opened to 64 bits.
    let content = key.open(number);
    assert!(content.minute < 1 << 24 && content.client < 1 << 24, "{content:?}");
    assert_eq!(key.seal(content), number, "{content:?}");
    let written = letters(number);
    assert_eq!(from_letters(&written), Some(number), "{written}");
    assert_eq!(from_letters(&written.to_ascii_lowercase()), Some(number), "{written}");

    let word = input.word();
    let addresses = Addresses::V6 { source: [word, !word, word, 1], destination: [0; 4] };
    assert!(fingerprint(&addresses) < 1 << 24);
    assert!(fingerprint(&Addresses::V4 { source: word, destination: 0 }) < 1 << 24);

    // What somebody types.
    let typed = String::from_utf8_lossy(input.rest());
    let upper = typed.to_ascii_uppercase();
    let known = upper.len() == LETTERS && upper.bytes().all(|octet| ALPHABET.contains(&octet));
    // Thirteen letters hold 65 bits, the first of which is never set.
    let small = upper.as_bytes().first().is_some_and(|first| ALPHABET[..16].contains(first));
    let read = from_letters(&typed);
    assert_eq!(read.is_some(), known && small, "{typed:?}");
    if let Some(read) = read {
        assert_eq!(letters(read), upper);
    }
}

fn letters(reference: u64) -> String {
    (0..LETTERS).map(|place| char::from(letter(reference, place))).collect()
}
