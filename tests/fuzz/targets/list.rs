//! Any list file: every line is entries, a comment or a fault with its number, and what is shown of it is safe and short.

use gateway::clock::Timestamp;
use gateway::list::{Format, LineFault, Reading, parse, parse_with};
use gateway::net::Prefix;

const READING: Reading =
    Reading { format: Some(Format::Plain), as_of: Timestamp::UNIX_EPOCH, foreign: false };

pub(crate) fn run(octets: &[u8]) {
    let parsed = parse(octets, READING);
    let lines = u32::try_from(octets.split(|octet| *octet == b'\n').count()).expect("a number");
    let mut rejected = Vec::new();
    let others = parse_with(octets, READING, |error| rejected.push(error));
    assert_eq!(others.entries, parsed.entries);
    assert_eq!(rejected.len(), parsed.rejected.count);
    assert_eq!(rejected.len().min(100), parsed.rejected.first.len());

    for entry in parsed.entries.iter() {
        assert!((1..=lines).contains(&entry.line), "{entry:?}");
        let prefix = entry.prefix;
        assert!(prefix.length() > 7 || prefix.address().is_ipv4(), "{prefix} is too wide");
        assert_eq!(prefix.to_string().parse::<Prefix>().as_ref(), Ok(&prefix));
        assert!(prefix.contains(prefix.address()));
        let reason = entry.reason.as_deref().unwrap_or("x");
        assert!((1..=120).contains(&reason.chars().count()), "{entry:?}");
        assert!(
            !rejected.iter().any(|error| error.line == entry.line),
            "{entry:?} is rejected, too"
        );
    }
    for error in rejected {
        assert!((1..=lines).contains(&error.line), "{error:?}");
        let shown = error.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        // Escapes take up to ten octets for a letter.
        assert!(shown.len() <= 4000, "{} octets are shown", shown.len());
        if let LineFault::TooWide { prefix } = error.fault {
            assert!(prefix.length() <= 7, "{prefix}");
        }
    }
    // A broken line changes nothing about the others.
    let with_junk = [b"junk\n".as_slice(), octets].concat();
    let moved = parse(&with_junk, READING);
    let has_mark = octets.starts_with(b"\xef\xbb\xbf");
    if !has_mark {
        assert!(moved.entries.prefixes().eq(parsed.entries.prefixes()));
        assert_eq!(moved.rejected.count, parsed.rejected.count + 1);
    }
}
