//! Reads JSON: an object per line, as Spamhaus publishes DROP, with a last line that says how many; or one array.

use std::net::Ipv4Addr;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Remark;
use super::{Found, Line, LineFault, Sink, Told, lines};
use crate::clock::{Expiry, Timestamp};
use crate::net::Prefix;

/// One object.
#[derive(Debug, Deserialize)]
struct Record {
    /// `metadata` in the last line, absent in the others.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The number of records, in the last line.
    records: Option<usize>,
    #[serde(alias = "prefix", alias = "ip")]
    cidr: Option<String>,
    /// What Spamhaus calls the reason.
    #[serde(alias = "reason")]
    sblid: Option<String>,
    value: Option<Ipv4Addr>,
    expires: Option<Timestamp>,
}

/// Reads all records.
pub(super) fn read(octets: &[u8], sink: &mut Sink<'_>) -> Told {
    if octets.trim_ascii_start().starts_with(b"[") {
        read_array(&String::from_utf8_lossy(octets), sink)
    } else {
        read_lines(octets, sink)
    }
}

fn read_lines(octets: &[u8], sink: &mut Sink<'_>) -> Told {
    let mut announced = None;
    let mut has_end = false;
    for Line { number, text } in lines(octets).filter(|line| !line.text.is_empty()) {
        let record = match serde_json::from_str::<Record>(&text) {
            Ok(record) => record,
            Err(error) => {
                sink.reject(number, &text, fault(&error));
                continue;
            }
        };
        has_end = record.kind.as_deref() == Some("metadata");
        if has_end {
            // Files that were written one after the other are one list.
            let sum = |records: usize| records.saturating_add(announced.unwrap_or(0));
            announced = record.records.map(sum).or(announced);
        } else {
            take(number, &text, record, sink);
        }
    }
    // A list without records says so by its last line.
    Told { says_empty: announced == Some(0), announced, has_end }
}

fn read_array(text: &str, sink: &mut Sink<'_>) -> Told {
    let all = match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(all) => all,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            let shown = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
            sink.reject(line, shown, fault(&error));
            return Told { has_end: false, ..Told::NOTHING };
        }
    };
    let mut line = 1;
    let mut counted = 0;
    for item in all.iter().map(|item| item.get()) {
        let start = item.as_ptr().addr().saturating_sub(text.as_ptr().addr());
        let between = text.as_bytes().get(counted..start).unwrap_or_default();
        let ends = memchr::memchr_iter(b'\n', between).count();
        line = u32::try_from(ends).map_or(u32::MAX, |ends| ends.saturating_add(line));
        counted = start;
        let record = if item.starts_with('"') {
            serde_json::from_str(item).map(Record::bare)
        } else {
            serde_json::from_str(item)
        };
        match record {
            Ok(record) => take(line, item, record, sink),
            Err(error) => sink.reject(line, item, fault(&error)),
        }
    }
    Told { says_empty: all.is_empty(), ..Told::NOTHING }
}

impl Record {
    /// A prefix of which nothing else is said.
    const fn bare(cidr: String) -> Self {
        let (kind, records, sblid, value, expires) = (None, None, None, None, None);
        Self { kind, records, cidr: Some(cidr), sblid, value, expires }
    }
}

fn take(line: u32, text: &str, record: Record, sink: &mut Sink<'_>) {
    let Some(cidr) = record.cidr else {
        return sink.reject(line, text, LineFault::found(text, "an object with `cidr`"));
    };
    match cidr.trim().parse::<Prefix>() {
        Ok(prefix) => {
            let reason = record.sblid.as_deref().unwrap_or_default();
            let remark = Remark { value: record.value, reason, ..Remark::default() };
            let expires = record.expires.map(Expiry::at);
            sink.list(&Found { line, text, remark, expires }, &[prefix]);
        }
        Err(error) => sink.reject(line, text, error.into()),
    }
}

/// Where in the line it is wrong is not said: the line is in view.
fn fault(error: &serde_json::Error) -> LineFault {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _place)| text);
    LineFault::Json { error: text.chars().take(100).flat_map(char::escape_debug).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{entries, parsed, rejected};

    const DROP: &str = r#"{"cidr":"192.0.2.0/24","sblid":"SBL1","rir":"apnic"}
{"cidr":"2001:db8::/32","sblid":"SBL2","rir":"ripencc"}
{"type":"metadata","timestamp":1790000000,"size":120,"records":2,"copyright":"(c)"}
"#;

    #[test]
    fn reads_what_spamhaus_publishes() {
        let parsed = parsed(Format::DropJson, DROP);
        assert_eq!((parsed.announced, parsed.records, parsed.has_end), (Some(2), 2, true));
        assert_eq!(
            entries(Format::DropJson, DROP),
            ["1:192.0.2.0/24 SBL1", "2:2001:db8::/32 SBL2"]
        );
    }

    #[test]
    fn reads_arrays() {
        for (text, expected) in [
            ("[]", &[][..]),
            ("[\"192.0.2.7\",\n\n\"2001:db8::/32\"]", &["1:192.0.2.7", "3:2001:db8::/32"]),
            ("[\n{\"ip\":\"192.0.2.7\",\"reason\":\"spam\"}\n]\n", &["2:192.0.2.7 spam"]),
        ] {
            assert_eq!(entries(Format::DropJson, text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_missing_part_is_noticed() {
        let cut = |length: usize| parsed(Format::DropJson, &DROP.as_bytes()[..length]);
        let last = DROP.find("{\"type").unwrap();
        assert!(!cut(last).has_end && !cut(last - 10).has_end && !cut(last + 10).has_end);
        assert!(!parsed(Format::DropJson, "[\"192.0.2.7\",").has_end);
        let twice = parsed(Format::DropJson, [DROP, DROP].concat());
        assert_eq!((twice.announced, twice.has_end), (Some(4), true));
    }

    #[test]
    fn says_what_is_wrong() {
        let deep = "[".repeat(100_000);
        assert_eq!(rejected(Format::DropJson, format!("{{\"cidr\":{deep}\n")).len(), 1);
        assert_eq!(rejected(Format::DropJson, &deep).len(), 1);
        for (text, expected) in [
            ("{\"asn\":1}", "`{\\\"asn\\\":1}` cannot be read, expected an object with `cidr`"),
            ("{\"cidr\":\"x\"}", "`x` is no IP address"),
            ("{\"cidr\":7}", "invalid type: integer `7`, expected a string"),
            ("{\"cidr\":\"192.0.2.7\",", "EOF while parsing"),
            ("{\"type\":\"metadata\",\"records\":-1}", "invalid value: integer `-1`"),
        ] {
            let rejected = rejected(Format::DropJson, text);
            assert!(rejected.len() == 1 && rejected[0].contains(expected), "{text}: {rejected:?}");
        }
    }
}
