//! Reads the plain list format: an address, a prefix or a range per line, comments, a reason after it.

use std::fmt;
use std::net::IpAddr;

use super::Entry;
use crate::net::{Prefix, PrefixError};

/// Prefixes of this length or shorter are refused in every list, good or bad: such a line is a mistake or an attack.
const WIDEST_REFUSED: u8 = 7;

/// A text longer than this is cut where it is shown or kept.
const TEXT_LIMIT: usize = 120;

/// Rejected lines that are kept; the others are counted.
const REJECTED_KEPT: usize = 100;

/// A comment that says that its list is empty on purpose.
const EMPTY: &str = "empty";

/// What a list file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// The entries, in file order; a range gives several of one line.
    pub entries: Vec<Entry>,
    /// The lines that are no entries.
    pub rejected: Rejected,
    /// Whether a line of its own says `# empty`: without it, a list without entries is an accident.
    pub says_empty: bool,
}

/// The lines of a file that are no entries: the first of them, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// The first hundred.
    pub first: Vec<LineError>,
    /// All.
    pub count: usize,
}

/// Reads a whole list; a line that cannot be read does not stop the others.
pub fn parse(octets: &[u8]) -> Parsed {
    let mut rejected = Rejected::default();
    let parsed = parse_with(octets, |error| {
        rejected.count += 1;
        if rejected.first.len() < REJECTED_KEPT {
            rejected.first.push(error);
        }
    });
    Parsed { rejected, ..parsed }
}

/// Reads a whole list, and hands every line that is no entry to `reject`, so that none needs to be kept.
pub fn parse_with(octets: &[u8], mut reject: impl FnMut(LineError)) -> Parsed {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let mut parsed = Parsed::default();
    for (number, line) in (1..).zip(octets.split(|&octet| octet == b'\n')) {
        let line = String::from_utf8_lossy(line);
        match read_line(line.trim()) {
            Ok(None) => parsed.says_empty |= says_empty(line.trim()),
            Ok(Some(item)) => {
                parsed.entries.extend(item.prefixes.into_iter().map(|prefix| Entry {
                    prefix,
                    line: number,
                    reason: item.reason.map(Into::into),
                }));
            }
            Err(fault) => {
                reject(LineError { line: number, text: shown(line.trim()), fault });
            }
        }
    }
    parsed
}

/// What one line says.
struct Item<'a> {
    prefixes: Vec<Prefix>,
    reason: Option<&'a str>,
}

/// Reads one line; `None` where it is empty or a comment.
fn read_line(line: &str) -> Result<Option<Item<'_>>, LineFault> {
    let (content, comment) = match line.split_once(['#', ';']) {
        Some((content, comment)) => (content.trim(), Some(comment)),
        None => (line, None),
    };
    if content.is_empty() {
        return Ok(None);
    }
    let (item, rest) = split_item(content);
    let prefixes = read_item(item)?;
    let widest = prefixes.iter().min_by_key(|prefix| prefix.length());
    if let Some(&prefix) = widest.filter(|prefix| prefix.length() <= WIDEST_REFUSED) {
        return Err(LineFault::TooWide { prefix });
    }
    let reason =
        [Some(rest), comment].into_iter().flatten().map(str::trim).find(|text| !text.is_empty());
    Ok(Some(Item { prefixes, reason: reason.map(cut) }))
}

fn says_empty(line: &str) -> bool {
    line.trim_start_matches(['#', ';']).trim().eq_ignore_ascii_case(EMPTY)
}

/// Splits `FIRST - LAST text` and `PREFIX text` into the item and the text.
fn split_item(content: &str) -> (&str, &str) {
    let (first, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
    let Some(after_dash) = rest.trim_start().strip_prefix('-') else {
        return (first, rest);
    };
    let last = after_dash.split_whitespace().next().unwrap_or("");
    let looks_like_address = last.contains(['.', ':']);
    match content.find(last).filter(|_found| looks_like_address) {
        Some(start) => content.split_at_checked(start + last.len()).unwrap_or((content, "")),
        None => (first, rest),
    }
}

fn read_item(item: &str) -> Result<Vec<Prefix>, LineFault> {
    match item.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (read_address(first.trim())?, read_address(last.trim())?);
            Ok(Prefix::cover(first..=last)?)
        }
        None => Ok(vec![item.parse()?]),
    }
}

fn read_address(text: &str) -> Result<IpAddr, PrefixError> {
    text.parse().map_err(|_not_an_address| PrefixError::address(text))
}

/// At most [`TEXT_LIMIT`] letters of `text`.
fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(TEXT_LIMIT)
        .map_or(text, |(end, _letter)| text.get(..end).unwrap_or(text))
}

/// `text` as it can be shown: cut, control characters escaped.
fn shown(text: &str) -> String {
    cut(text).escape_debug().collect()
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
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Vec<String> {
        let parsed = parse(text.as_bytes());
        assert_eq!(parsed.rejected, Rejected::default(), "{text:?}");
        let shown = |entry: &Entry| match &entry.reason {
            Some(reason) => format!("{}:{} {reason}", entry.line, entry.prefix),
            None => format!("{}:{}", entry.line, entry.prefix),
        };
        parsed.entries.iter().map(shown).collect()
    }

    #[test]
    fn reads_what_operators_have() {
        for (text, expected) in [
            ("192.0.2.7", &["1:192.0.2.7"][..]),
            ("\u{feff}192.0.2.7\r\n\r\n2001:db8::/32\n", &["1:192.0.2.7", "3:2001:db8::/32"]),
            ("# only\n; comments\n   \n", &[]),
            ("192.0.2.0/24 ; SBL123", &["1:192.0.2.0/24 SBL123"]),
            ("192.0.2.7 # sends spam", &["1:192.0.2.7 sends spam"]),
            ("192.0.2.7 listed by hand # 2026", &["1:192.0.2.7 listed by hand"]),
            ("192.0.2.7 - listed by hand", &["1:192.0.2.7 - listed by hand"]),
            ("192.0.2.0-192.0.2.255", &["1:192.0.2.0/24"]),
            ("192.0.2.254 - 192.0.3.0 both", &["1:192.0.2.254/31 both", "1:192.0.3.0 both"]),
            ("2001:db8::-2001:db8::3", &["1:2001:db8::/126"]),
            ("  10.0.0.0/8", &["1:10.0.0.0/8"]),
        ] {
            assert_eq!(entries(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_stay() {
        let parsed = parse(b"192.0.2.1\n300.1.1.1 x\n192.0.2.2\nhello\n0.0.0.0/0\n::/7\n1.0.0.0-254.0.0.0\n\xff\xfe\n");
        assert_eq!(parsed.entries.len(), 2);
        let messages: Vec<_> = parsed.rejected.first.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "line 2: `300.1.1.1 x`: `300.1.1.1` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
                "line 4: `hello`: `hello` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
                "line 5: `0.0.0.0/0`: 0.0.0.0/0 covers too much, expected a prefix of /8 or longer",
                "line 6: `::/7`: ::/7 covers too much, expected a prefix of /8 or longer",
                "line 7: `1.0.0.0-254.0.0.0`: 64.0.0.0/2 covers too much, expected a prefix of /8 or longer",
                "line 8: `\u{fffd}\u{fffd}`: `\u{fffd}\u{fffd}` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
            ]
        );
    }

    #[test]
    fn long_hostile_lines_are_cut() {
        let parsed = parse("x".repeat(100_000).as_bytes());
        assert_eq!(parsed.rejected.count, 1);
        let shown = parsed.rejected.first[0].to_string();
        assert!(shown.len() < 1000, "{shown}");
    }

    #[test]
    fn of_many_bad_lines_the_first_are_kept() {
        let parsed = parse("x\n".repeat(1000).as_bytes());
        assert_eq!((parsed.rejected.first.len(), parsed.rejected.count), (100, 1000));
    }

    #[test]
    fn only_a_word_of_its_own_says_that_a_list_is_empty() {
        for (text, expected) in [
            ("# empty", true),
            ("## header\n;Empty\n", true),
            ("# empty on tuesdays", false),
            ("empty", false),
            ("", false),
        ] {
            assert_eq!(parse(text.as_bytes()).says_empty, expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
            let lines = octets.split(|&octet| octet == b'\n').count();
            let parsed = parse(&octets);
            prop_assert!(parsed.rejected.count <= lines);
        }
    }
}
