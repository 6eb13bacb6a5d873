//! Any list in any format: faults have the numbers of lines, entries are what may be listed, and all that is written is read again.

use gateway::clock::Timestamp;
use gateway::list::{Entries, ExportFormat, Format, Parsed, Reading, export, parse, parse_with};

/// The first octet chooses how the others are read.
pub(crate) fn run(octets: &[u8]) {
    let Some((&choice, octets)) = octets.split_first() else { return };
    let format = Format::ALL.get(usize::from(choice / 2) % (Format::ALL.len() + 1)).copied();
    let reading = Reading { format, as_of: Timestamp::UNIX_EPOCH, foreign: choice % 2 == 1 };
    let mut lines = Vec::new();
    let parsed = parse_with(octets, reading, |error| {
        assert!(!error.to_string().contains(char::is_control), "{error:?}");
        lines.push(error.line);
    });
    let last = u32::try_from(octets.split(|octet| *octet == b'\n').count()).expect("a number");
    for entry in parsed.entries.iter() {
        assert!((1..=last).contains(&entry.line), "{entry:?} of {last} lines");
        assert!(entry.prefix.length() >= 8, "{entry:?}");
        assert!(entry.reason.as_deref().is_none_or(|reason| reason.chars().count() <= 120));
        assert!(!entry.reason.as_deref().is_some_and(|reason| reason.contains(char::is_control)));
        let text = entry.text_for(entry.prefix.address());
        assert!(text.is_none_or(|text| text.len() < 120 * 40));
    }
    assert!(lines.iter().all(|line| (1..=last).contains(line)), "{lines:?} of {last}");
    write_and_read(&parsed.entries);
}

fn write_and_read(entries: &Entries) {
    // What differs only in what a format has no place for is one entry of it.
    let once = |entries: &Entries| {
        let mut prefixes: Vec<_> = entries.prefixes().collect();
        prefixes.dedup();
        prefixes
    };
    let v6_alone = entries.v4_len() == 0;
    let trie = if v6_alone { Format::RbldnsdIp6Trie } else { Format::RbldnsdIp4Trie };
    for (written, read) in [
        (ExportFormat::Plain, Format::Plain),
        (ExportFormat::Json, Format::DropJson),
        (ExportFormat::Csv, Format::Csv),
        (ExportFormat::Rbldnsd, trie),
    ] {
        let again = again(entries, written, read);
        assert_eq!(again.rejected.first, [], "{written}");
        assert_eq!(once(&again.entries), once(entries), "{written}");
    }
}

fn again(entries: &Entries, written: ExportFormat, read: Format) -> Parsed {
    let mut out = Vec::new();
    export(written, "fuzzed", entries.iter(), &mut out).expect("memory takes all");
    let as_of = Timestamp::UNIX_EPOCH;
    parse(&out, Reading { format: Some(read), as_of, foreign: false })
}
