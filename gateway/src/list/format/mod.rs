//! The formats of lists: which one a text has, and what it lists.

mod plain;
mod sink;

use self::sink::{Found, Sink};
pub use self::sink::{LineError, LineFault, Rejected, WIDEST_REFUSED};
use super::Entries;
use crate::clock::Timestamp;

/// A format of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// An address, a prefix or a range per line, comments, a reason after it.
    Plain,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 1] = [Self::Plain];

    /// The word that configuration and commands use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
        }
    }

    /// The format of `octets`, by their first lines.
    pub fn detect(_octets: &[u8]) -> Self {
        Self::Plain
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
    /// The lines or records that were read as entries.
    pub records: usize,
    /// The number of records that the list says it has, in formats that say it.
    pub announced: Option<usize>,
    /// False when its end is missing, in formats that have one.
    pub has_end: bool,
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
    };
    let (entries, records) = sink.finish();
    Parsed {
        format,
        entries,
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
