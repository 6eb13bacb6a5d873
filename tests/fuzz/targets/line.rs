//! The line that refuses, for any text, address, reference and place: what formatting gives, or nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

use gateway_ebpf::line::{Head, MOST_TEXT, WORDS};
use gateway_ebpf::parse::Addresses;
use gateway_ebpf::reference::{LETTERS, letter};
use harness::packet::checksum;

use crate::input::Input;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (kind, at, room) = (input.octet(), usize::from(input.octet()), input.octet());
    let (address, reference) = (input.wide(), input.long());
    let addresses = if kind & 1 == 0 {
        Addresses::V4 { source: words(address)[3], destination: 0 }
    } else {
        Addresses::V6 { source: words(address), destination: [0; 4] }
    };
    let raw = String::from_utf8_lossy(input.rest());
    let printable = raw.len() <= MOST_TEXT && raw.bytes().all(|octet| (32..127).contains(&octet));
    assert_eq!(Head::new(&raw).is_some(), printable, "{raw:?}");
    let text = text(input.rest());
    let head = Head::new(&text).expect("printable text");
    let expected = shown(&text, &addresses, reference);
    assert_eq!(usize::try_from(head.line_length(&addresses)), Ok(expected.len()));

    // In a frame that has room for it, and in one that may have none.
    for length in [at + 4 * WORDS, usize::from(room)] {
        let mut frame = vec![0xee; at + 4 * WORDS];
        let written =
            head.write(&mut frame[..length.min(at + 4 * WORDS)], at, &addresses, reference);
        assert!(frame[..at].iter().all(|octet| *octet == 0xee), "written before its place");
        let behind = &frame[length.min(frame.len())..];
        assert!(behind.iter().all(|octet| *octet == 0xee), "written behind the frame");
        if let Some(sum) = written {
            let line = &frame[at..at + expected.len()];
            assert_eq!(line, expected.as_bytes());
            assert_eq!(sum.finish(), checksum(&[line]));
        } else {
            assert!(length < at + 4 * WORDS, "there was room");
        }
    }
}

/// `octets` as text that can be said: what is not printable becomes something that is.
pub(crate) fn text(octets: &[u8]) -> String {
    octets.iter().take(MOST_TEXT).map(|octet| char::from(32 + octet % 95)).collect()
}

/// The line as formatting gives it.
pub(crate) fn shown(text: &str, addresses: &Addresses, reference: u64) -> String {
    let address = match *addresses {
        Addresses::V4 { source, .. } => Ipv4Addr::from_bits(source).to_string(),
        Addresses::V6 { source, .. } => {
            let bits = source.into_iter().fold(0, |bits: u128, word| bits << 32 | u128::from(word));
            let groups = Ipv6Addr::from_bits(bits).segments().map(|group| format!("{group:04x}"));
            groups.join(":")
        }
    };
    let letters = (0..LETTERS).map(|place| char::from(letter(reference, place)));
    format!("554 5.7.1 {text} [{address}] ref {}\r\n", letters.collect::<String>())
}

fn words(address: u128) -> [u32; 4] {
    let octets = address.to_be_bytes();
    let mut words = [0; 4];
    for (word, octets) in words.iter_mut().zip(octets.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*octets);
    }
    words
}
