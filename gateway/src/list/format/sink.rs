//! Takes what a reader finds in a list: good entries are kept, the others are rejected with their line.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::super::{Entries, EntriesBuilder, Listed, Remark};
use super::Reading;
use crate::clock::{Expiry, Timestamp};
use crate::net::{Prefix, PrefixError, Reserved, reserved_prefix, reserved_within};

/// Prefixes of this length or shorter are refused in every list, good or bad: such a line is a mistake or an attack.
pub const WIDEST_REFUSED: u8 = 7;

/// A text longer than this is cut where it is shown or kept, in letters.
const TEXT_LIMIT: usize = 120;

/// Where a reader puts what it finds.
pub(super) struct Sink<'a> {
    reading: Reading,
    entries: EntriesBuilder,
    records: usize,
    has_room: bool,
    /// What must be cut out of entries that cover it.
    holes: Vec<Prefix>,
    reject: &'a mut dyn FnMut(LineError),
}

/// The most entries that a list can have; beyond, it is no list but an attack, or a mistake.
const MOST_ENTRIES: usize = 10_000_000;

/// What a sink has kept.
pub(super) struct Kept {
    pub(super) entries: Entries,
    /// The number of items that they came from.
    pub(super) records: usize,
    /// False when there were more entries than a list can have.
    pub(super) has_room: bool,
}

/// One item as a reader found it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// The number of its line, from 1.
    pub(super) line: u32,
    /// The whole line, for whoever reads why it was rejected.
    pub(super) text: &'a str,
    /// What the list says beside the prefix.
    pub(super) remark: Remark<'a>,
    /// When it ends by itself.
    pub(super) expires: Option<Expiry>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(reading: Reading, reject: &'a mut dyn FnMut(LineError)) -> Self {
        Self {
            reading,
            entries: Entries::builder(),
            records: 0,
            has_room: true,
            holes: Vec::new(),
            reject,
        }
    }

    /// When the list was written or fetched, which durations in it count from.
    pub(super) fn as_of(&self) -> Timestamp {
        self.reading.as_of
    }

    /// Keeps the prefixes of one item, or rejects it as a whole.
    pub(super) fn list(&mut self, found: &Found<'_>, prefixes: &[Prefix]) {
        self.records += 1;
        if let Err(fault) = Self::refuse_wide(prefixes) {
            return self.reject(found.line, found.text, fault);
        }
        if self.entries.len() + prefixes.len() > MOST_ENTRIES {
            self.has_room = false;
            return self.reject(found.line, found.text, LineFault::TooMany);
        }
        let reason = on_one_line(cut(found.remark.reason.trim()));
        for &prefix in prefixes {
            if self.reading.foreign && may_be_reserved(prefix) {
                if let Some(range) = reserved_prefix(prefix) {
                    self.reject(found.line, found.text, LineFault::Reserved { prefix, range });
                    continue;
                }
                for (hole, range) in reserved_within(prefix) {
                    self.reject(found.line, found.text, LineFault::Holds { prefix, hole, range });
                    self.holes.push(hole);
                }
            }
            self.entries.push(Listed {
                prefix,
                line: found.line,
                remark: Remark { reason: &reason, ..found.remark },
                expires: found.expires,
            });
        }
    }

    /// Says which of `prefixes` covers too much, if one does.
    pub(super) fn refuse_wide(prefixes: &[Prefix]) -> Result<(), LineFault> {
        let widest = prefixes.iter().min_by_key(|prefix| prefix.length());
        let refused = widest.filter(|prefix| prefix.length() <= WIDEST_REFUSED);
        refused.map_or(Ok(()), |&prefix| Err(LineFault::TooWide { prefix }))
    }

    /// Rejects a line.
    pub(super) fn reject(&mut self, line: u32, text: &str, fault: LineFault) {
        (self.reject)(LineError { line, text: shown(text.trim()), fault });
    }

    /// All that was kept.
    pub(super) fn finish(self) -> Kept {
        let mut entries = self.entries.finish();
        if !self.holes.is_empty() {
            entries = entries.without(&self.holes.into_iter().collect());
        }
        Kept { entries, records: self.records, has_room: self.has_room }
    }
}

/// False for most prefixes of which no part is reserved; a quick look before the thorough one.
///
/// Wider ones than /8 are refused, so that the first octet is the same in the prefix and in what is reserved of it.
fn may_be_reserved(prefix: Prefix) -> bool {
    match prefix.address() {
        IpAddr::V4(v4) => {
            let [first, ..] = v4.octets();
            matches!(first, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 224..)
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.octets();
            matches!(first, 0 | 0xfc..)
        }
    }
}

/// At most [`TEXT_LIMIT`] letters of `text`.
fn cut(text: &str) -> &str {
    if text.len() <= TEXT_LIMIT {
        return text;
    }
    text.char_indices()
        .nth(TEXT_LIMIT)
        .map_or(text, |(end, _letter)| text.get(..end).unwrap_or(text))
}

/// `text` with blanks in place of control characters: what a stranger wrote begins no line of its own, wherever it is shown.
pub fn on_one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ").into()
    } else {
        text.into()
    }
}

/// `text` as it can be shown: cut, control characters escaped.
pub(in super::super) fn shown(text: &str) -> String {
    cut(text).escape_debug().collect()
}

/// The lines of a list that are no entries: the first of them, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The first hundred.
    pub first: Vec<LineError>,
    /// All.
    pub count: usize,
}

impl Rejected {
    /// Rejected lines that are kept; the others are counted.
    const KEPT: usize = 100;

    /// Counts one more.
    pub fn push(&mut self, error: LineError) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(error);
        }
    }
}

/// One line that is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Its number, from 1.
    pub line: u32,
    /// Its text, cut and escaped.
    pub text: String,
    /// What is wrong with it.
    pub fault: LineFault,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: `{}`: {}", self.line, self.text, self.fault)
    }
}

/// Why a line is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It names no prefix and no range.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// It covers too much to be meant.
    #[error("{prefix} covers too much, expected a prefix of /8 or longer")]
    TooWide {
        /// The widest prefix on the line.
        prefix: Prefix,
    },
    /// The list is full.
    #[error("the list has 10,000,000 entries already, expected no more")]
    TooMany,
    /// A list from outside names addresses that no public sender has.
    #[error("{prefix} is {range}, expected public addresses in a list from outside")]
    Reserved {
        /// The prefix on the line.
        prefix: Prefix,
        /// What it is.
        range: Reserved,
    },
    /// A list from outside covers addresses that no public sender has; these are cut out, the rest is kept.
    #[error("{prefix} covers {hole}, which is {range}: that part is left out")]
    Holds {
        /// The prefix on the line.
        prefix: Prefix,
        /// The part that is left out.
        hole: Prefix,
        /// What it is.
        range: Reserved,
    },
    /// It is from the settings of a mail gateway.
    #[error(
        "belongs to the settings of a mail gateway, expected a list: `portcullis import FILE` takes them over"
    )]
    Gateway,
    /// It is no JSON, or other JSON than expected.
    #[error("{error}")]
    Json {
        /// What the reader of JSON says.
        error: String,
    },
    /// A part of it is nothing that the format has.
    #[error("`{found}` cannot be read, expected {expected}")]
    Other {
        /// The part, cut and escaped.
        found: String,
        /// What there can be.
        expected: &'static str,
    },
    /// Bits beyond the length are set, where the format forbids it.
    #[error("`{found}` has bits beyond its length, expected {prefix}")]
    HostBits {
        /// What is written.
        found: String,
        /// The prefix without them.
        prefix: Prefix,
    },
    /// The prefix was there before, in a format in which the first counts.
    #[error("{prefix} is in line {first} already, and the first counts")]
    Again {
        /// The prefix.
        prefix: Prefix,
        /// The line that counts.
        first: u32,
    },
    /// Its exclusions leave more parts of it than there is room for.
    #[error("{prefix} is left in too many parts by the exclusions")]
    Parts {
        /// The first prefix of the line.
        prefix: Prefix,
    },
}

impl LineFault {
    /// `found` stands where one of `expected` should.
    pub(super) fn found(found: &str, expected: &'static str) -> Self {
        Self::Other { found: shown(found), expected }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn the_quick_look_misses_nothing_reserved() {
        for first in 0..=255 {
            let v4 = Ipv4Addr::new(first, 0, 0, 0).into();
            let v6 = Ipv6Addr::new(u16::from(first) << 8, 0, 0, 0, 0, 0, 0, 0).into();
            for prefix in [v4, v6].map(|address| Prefix::new(address, 8).unwrap()) {
                let all = reserved_prefix(prefix).is_some();
                let part = reserved_within(prefix).next().is_some();
                assert_eq!(may_be_reserved(prefix), all || part, "{prefix}");
            }
        }
    }
}
