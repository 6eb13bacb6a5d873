//! The formats of lists: which one a text has, and what it lists.

mod csv;
mod detect;
mod drop_json;
mod lines;
mod p2p;
mod plain;
mod rbldnsd;
mod sink;
mod template;

use self::lines::{Line, lines, says_empty};
use self::rbldnsd::Dataset;
pub use self::sink::on_one_line;
pub(super) use self::sink::shown;
use self::sink::{Found, Kept, Sink};
pub use self::sink::{LineError, LineFault, Rejected, WIDEST_REFUSED};
pub(super) use self::template::escaped;
use super::Entries;
use crate::clock::Timestamp;

/// A format of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// An address, a prefix or a range per line, comments, a reason after it.
    Plain,
    /// A JSON object per line, as Spamhaus publishes DROP; or one array.
    DropJson,
    /// A dataset of rbldnsd: IPv4 addresses and ranges.
    RbldnsdIp4Set,
    /// A dataset of rbldnsd: IPv4 prefixes, of which the longest answers.
    RbldnsdIp4Trie,
    /// The same for IPv6.
    RbldnsdIp6Trie,
    /// Columns, as CrowdSec exports its decisions.
    Csv,
    /// A name and an IPv4 range per line, as peer-to-peer programs have them.
    P2p,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::DropJson,
        Self::RbldnsdIp4Set,
        Self::RbldnsdIp4Trie,
        Self::RbldnsdIp6Trie,
        Self::Csv,
        Self::P2p,
    ];

    /// The word that configuration and commands use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::DropJson => "drop-json",
            Self::RbldnsdIp4Set => "rbldnsd-ip4set",
            Self::RbldnsdIp4Trie => "rbldnsd-ip4trie",
            Self::RbldnsdIp6Trie => "rbldnsd-ip6trie",
            Self::Csv => "csv",
            Self::P2p => "p2p",
        }
    }

    /// The format of `octets`, by their first lines; what could be two formats is plain.
    pub fn detect(octets: &[u8]) -> Self {
        detect::detect(octets)
    }
}

/// How a list is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its format; `None` to detect it.
    pub format: Option<Format>,
    /// When it was written or fetched: what it says of durations counts from then.
    pub as_of: Timestamp,
    /// Whether it comes from outside, so that addresses that no public sender has are left out.
    pub foreign: bool,
}

/// What a list holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The format that it was read as.
    pub format: Format,
    /// The entries; a range gives several of one line.
    pub entries: Entries,
    /// The lines that are no entries.
    pub rejected: Rejected,
    /// Whether a line of its own says `# empty`: without it, a list without entries is an accident.
    pub says_empty: bool,
    /// The lines or records that name addresses, whether or not these are kept.
    pub records: usize,
    /// The number of records that the list says it has, in formats that say it.
    pub announced: Option<usize>,
    /// False when its end is missing, in formats that have one.
    pub has_end: bool,
    /// False when it names more than a list can have.
    pub has_room: bool,
}

/// Reads a whole list; a line that cannot be read does not stop the others.
pub fn parse(octets: &[u8], reading: Reading) -> Parsed {
    let mut rejected = Rejected::default();
    let parsed = parse_with(octets, reading, |error| rejected.push(error));
    Parsed { rejected, ..parsed }
}

/// Reads a whole list, and hands every line that is no entry to `reject`, so that none needs to be kept.
pub fn parse_with(octets: &[u8], reading: Reading, mut reject: impl FnMut(LineError)) -> Parsed {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let format = reading.format.unwrap_or_else(|| Format::detect(octets));
    let mut sink = Sink::new(reading, &mut reject);
    let told = match format {
        Format::Plain => plain::read(octets, &mut sink),
        Format::DropJson => drop_json::read(octets, &mut sink),
        Format::RbldnsdIp4Set => rbldnsd::read(Dataset::Ip4Set, octets, &mut sink),
        Format::RbldnsdIp4Trie => rbldnsd::read(Dataset::Ip4Trie, octets, &mut sink),
        Format::RbldnsdIp6Trie => rbldnsd::read(Dataset::Ip6Trie, octets, &mut sink),
        Format::Csv => csv::read(octets, &mut sink),
        Format::P2p => p2p::read(octets, &mut sink),
    };
    let Kept { entries, records, has_room } = sink.finish();
    Parsed {
        format,
        entries,
        has_room,
        rejected: Rejected::default(),
        says_empty: told.says_empty,
        records,
        announced: told.announced,
        has_end: told.has_end,
    }
}

/// What a list says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    says_empty: bool,
    announced: Option<usize>,
    has_end: bool,
}

impl Told {
    /// What is told by a format in which nothing can be told.
    const NOTHING: Self = Self { says_empty: false, announced: None, has_end: true };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Entry;
    use super::*;

    pub(super) const AS_OF: Timestamp = Timestamp::UNIX_EPOCH;

    /// `text`, read as `format`.
    pub(super) fn parsed(format: Format, text: impl AsRef<[u8]>) -> Parsed {
        parse(text.as_ref(), Reading { format: Some(format), as_of: AS_OF, foreign: false })
    }

    /// What `text` lists, one line per entry; nothing in it is rejected.
    pub(super) fn entries(format: Format, text: &str) -> Vec<String> {
        let parsed = parsed(format, text);
        assert_eq!(parsed.rejected, Rejected::default(), "{text:?}");
        parsed.entries.iter().map(shown).collect()
    }

    fn shown(entry: Entry) -> String {
        let value = entry.value.map(|value| format!(" ={value}")).unwrap_or_default();
        let reason = entry.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let until = entry.expires.map(|expires| format!(" until {}", expires.as_second()));
        format!("{}:{}{value}{reason}{}", entry.line, entry.prefix, until.unwrap_or_default())
    }

    /// What is wrong with `text`.
    pub(super) fn rejected(format: Format, text: impl AsRef<[u8]>) -> Vec<String> {
        parsed(format, text).rejected.first.iter().map(ToString::to_string).collect()
    }

    /// Octets as they occur in lists, and any others.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let word = prop_oneof![
            4 => prop::sample::select(WORDS.to_vec()).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 0..4),
        ];
        prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
    }

    const WORDS: [&[u8]; 44] = [
        b"192.0.2.",
        b"0",
        b"7",
        b"255",
        b"10.",
        b"127/8",
        b"/",
        b"24",
        b"32",
        b"-",
        b"2001:db8::",
        b":",
        b"::",
        b"/64",
        b"!",
        b"$",
        b"$$",
        b"$1 ",
        b"$= ",
        b"=",
        b"#",
        b";",
        b"\n",
        b"\n",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b",",
        b"\"",
        b"{\"cidr\":\"",
        b"\"}",
        b"[",
        b"]",
        b"4h",
        b"ban",
        b"ip",
        b"\0",
        b"\xe9",
        b"text",
        b":127.0.0.2:",
        b":4:",
        b"$DATASET ip4trie @\n",
        b"AC: 192.0.2.7:+",
    ];

    #[test]
    fn names_are_what_they_name() {
        for (index, format) in Format::ALL.into_iter().enumerate() {
            let same = |other: &Format| other.name() == format.name();
            assert_eq!(Format::ALL.iter().position(same), Some(index));
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_a_reader_panic_or_lose_count(octets in hostile()) {
            let lines = u32::try_from(octets.split(|octet| *octet == b'\n').count()).unwrap();
            for format in Format::ALL {
                for foreign in [false, true] {
                    let mut rejected = Vec::new();
                    let reading = Reading { format: Some(format), as_of: AS_OF, foreign };
                    let parsed = parse_with(&octets, reading, |error| rejected.push(error));
                    for line in rejected.iter().map(|error| error.line) {
                        prop_assert!((1..=lines).contains(&line), "{format:?}: {rejected:?}");
                    }
                    for entry in parsed.entries.iter() {
                        prop_assert!((1..=lines).contains(&entry.line), "{format:?}: {entry:?}");
                    }
                }
            }
        }
    }
}
