//! What is looked for in the trail, and whether a record is it: one predicate for what is stored and for what is written now.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::terms::{Kind, Terms, Word, octets};
use crate::clock::Timestamp;
use crate::net::Prefix;

/// What is looked for; all of it has to be so. Without anything every record is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Words that the record has.
    pub words: Vec<Word<'static>>,
    /// An address of the record lies in it.
    pub network: Option<Prefix>,
    /// Not older than that.
    pub since: Option<Timestamp>,
    /// Older than that.
    pub until: Option<Timestamp>,
    /// The last written comes first.
    pub newest_first: bool,
    /// Goes on behind that record.
    pub after: Option<Cursor>,
}

impl Query {
    /// The same with one word more.
    #[must_use]
    pub fn with(mut self, kind: Kind, value: &str) -> Self {
        self.words.push(Word::new(kind, value).into_owned());
        self
    }

    /// Whether a record with these terms is looked for.
    pub fn matches(&self, terms: &Terms<'_>) -> bool {
        let is_inside =
            |network: Prefix| terms.addresses.iter().any(|address| network.contains(*address));
        self.since.is_none_or(|since| terms.time >= since)
            && self.until.is_none_or(|until| terms.time < until)
            && self.network.is_none_or(is_inside)
            && self.words.iter().all(|word| terms.words.contains(word))
    }

    /// The keys of its words.
    pub(super) fn keys(&self) -> Vec<i64> {
        self.words.iter().map(Word::key).collect()
    }

    /// The addresses that are looked for, as they are stored.
    pub(super) fn addresses(&self) -> Option<RangeInclusive<[u8; 16]>> {
        self.network.map(range)
    }

    /// The moments that are looked for, both ends among them, in microseconds.
    pub(super) fn times(&self) -> RangeInclusive<i64> {
        let since = self.since.map_or(i64::MIN, Timestamp::as_microsecond);
        let until = self.until.map_or(i64::MAX, |until| until.as_microsecond().saturating_add(1));
        since..=until
    }
}

/// The first and the last address of a network.
fn range(network: Prefix) -> RangeInclusive<[u8; 16]> {
    let first = octets(network.address());
    let fixed = match network.address() {
        IpAddr::V4(_) => 96 + u32::from(network.length()),
        IpAddr::V6(_) => u32::from(network.length()),
    };
    let free = u128::MAX.checked_shr(fixed).unwrap_or(0);
    first..=(u128::from_be_bytes(first) | free).to_be_bytes()
}

/// The place of a record in the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The number of its segment.
    pub segment: u64,
    /// Its number there.
    pub record: u32,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.segment, self.record)
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let wrong = || CursorError { found: text.to_owned() };
        let (segment, record) = text.split_once('-').ok_or_else(wrong)?;
        let segment = segment.parse().map_err(|_other| wrong())?;
        let record = record.parse().map_err(|_other| wrong())?;
        Ok(Self { segment, record })
    }
}

/// A text that is no place in the trail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?}, expected the `next` of an earlier answer, such as 42-1017")]
pub struct CursorError {
    found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_range() {
        for (network, first, last) in [
            ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::1"),
        ] {
            let ends = [first, last].map(|end| octets(end.parse().unwrap()));
            let network: Prefix = network.parse().unwrap();
            assert_eq!(range(network), ends[0]..=ends[1], "{network}");
        }
        let all: Prefix = "::/0".parse().unwrap();
        assert_eq!(range(all), [0; 16]..=[255; 16]);
    }

    #[test]
    fn everything_that_is_said_has_to_be_so() {
        let line = r#"{"time":"2026-11-20T08:00:00Z","client":"192.0.2.1","code":"accept"}"#;
        let terms = Terms::of(line);
        let time: Timestamp = "2026-11-20T08:00:00Z".parse().unwrap();
        let query = || Query::default().with(Kind::Code, "accept");
        for (query, expected) in [
            (Query::default(), true),
            (query(), true),
            (query().with(Kind::Action, "accept"), false),
            (Query { network: "192.0.2.0/28".parse().ok(), ..query() }, true),
            (Query { network: "192.0.2.2".parse().ok(), ..query() }, false),
            (Query { since: Some(time), ..query() }, true),
            (Query { until: Some(time), ..query() }, false),
        ] {
            assert_eq!(query.matches(&terms), expected, "{query:?}");
        }
    }

    #[test]
    fn a_cursor_reads_what_it_writes() {
        let cursor = Cursor { segment: 42, record: 1017 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "42", "42-", "-1-2", "42-1-3", "a-1", "1-99999999999"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
