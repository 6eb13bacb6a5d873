//! Reads the plain list format: an address, a prefix or a range per line, comments, a reason after it.

use std::net::{IpAddr, Ipv4Addr};

use super::super::Remark;
use super::detect::is_gateway_rule;
use super::{Found, Line, LineFault, Sink, Told, lines, says_empty};
use crate::net::{Prefix, PrefixError};

/// Reads all lines.
pub(super) fn read(octets: &[u8], sink: &mut Sink<'_>) -> Told {
    let mut told = Told::NOTHING;
    for Line { number: line, text } in lines(octets) {
        // Most lists have little else, and it is read twice as fast as what could be anything.
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            let found = Found { line, text: &text, remark: Remark::default(), expires: None };
            sink.list(&found, &[Prefix::host(address.into())]);
            continue;
        }
        match read_line(&text) {
            Ok(None) => {
                told.says_empty |= says_empty(&text);
                told.announced = told.announced.or_else(|| announced(&text));
            }
            Ok(Some(Item { prefixes, reason })) => {
                let remark = Remark { reason, ..Remark::default() };
                let found = Found { line, text: &text, remark, expires: None };
                sink.list(&found, prefixes.as_slice());
            }
            Err(_) if is_gateway_rule(&text) => sink.reject(line, &text, LineFault::Gateway),
            Err(fault) => sink.reject(line, &text, fault.into()),
        }
    }
    told
}

/// The number of entries that a comment of FireHOL says: `# Entries         : 1642 subnets, 623382272 unique IPs`.
///
/// In a list of hosts there are no subnets, and each address is an entry.
fn announced(comment: &str) -> Option<usize> {
    let entries = comment.strip_prefix('#')?.trim_start().strip_prefix("Entries")?;
    let (count, what) = entries.trim_start().strip_prefix(':')?.trim_start().split_once(' ')?;
    let is_sure = what == "unique IPs" || what.starts_with("subnets, ");
    count.parse().ok().filter(|_count| is_sure)
}

/// What one line says.
struct Item<'a> {
    prefixes: Prefixes,
    reason: &'a str,
}

/// Of the million lines of a list nearly all have one, so that one needs no memory.
enum Prefixes {
    One([Prefix; 1]),
    Several(Vec<Prefix>),
}

impl Prefixes {
    fn as_slice(&self) -> &[Prefix] {
        match self {
            Self::One(one) => one,
            Self::Several(all) => all,
        }
    }
}

/// Reads one line; `None` where it is empty or a comment.
fn read_line(line: &str) -> Result<Option<Item<'_>>, PrefixError> {
    let (content, comment) = match line.split_once(['#', ';']) {
        Some((content, comment)) => (content.trim(), comment),
        None => (line, ""),
    };
    if content.is_empty() {
        return Ok(None);
    }
    let (item, rest) = split_item(content);
    let texts = [rest.trim(), comment.trim()];
    let reason = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    Ok(Some(Item { prefixes: read_item(item)?, reason }))
}

/// Splits `FIRST - LAST text` and `PREFIX text` into the item and the text.
fn split_item(content: &str) -> (&str, &str) {
    let (first, rest) = content.split_once(char::is_whitespace).unwrap_or((content, ""));
    let Some(after_dash) = rest.trim_start().strip_prefix('-').map(str::trim_start) else {
        return (first, rest);
    };
    let (last, text) = after_dash.split_once(char::is_whitespace).unwrap_or((after_dash, ""));
    let looks_like_address = last.contains(['.', ':']);
    let end = content.len() - after_dash.len() + last.len();
    match content.get(..end).filter(|_range| looks_like_address) {
        Some(range) => (range, text),
        None => (first, rest),
    }
}

fn read_item(item: &str) -> Result<Prefixes, PrefixError> {
    match item.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (read_address(first.trim())?, read_address(last.trim())?);
            Prefix::cover(first..=last).map(Prefixes::Several)
        }
        None => Ok(Prefixes::One([item.parse()?])),
    }
}

fn read_address(text: &str) -> Result<IpAddr, PrefixError> {
    text.parse().map_err(|_not_an_address| PrefixError::address(text))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{entries, parsed, rejected};

    const PLAIN: Format = Format::Plain;

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
            ("192.0.2.7 - 192.0.2.7", &["1:192.0.2.7"]),
            ("  10.0.0.0/8", &["1:10.0.0.0/8"]),
        ] {
            assert_eq!(entries(PLAIN, text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_stay() {
        let parsed = parsed(PLAIN, b"192.0.2.1\n300.1.1.1 x\n192.0.2.2\nhello\n0.0.0.0/0\n::/7\n1.0.0.0-254.0.0.0\n\xff\xfe\n");
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
        let parsed = parsed(PLAIN, "x".repeat(100_000));
        assert_eq!(parsed.rejected.count, 1);
        let shown = parsed.rejected.first[0].to_string();
        assert!(shown.len() < 1000, "{shown}");
    }

    #[test]
    fn of_many_bad_lines_the_first_are_kept() {
        let parsed = parsed(PLAIN, "x\n".repeat(1000));
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
            assert_eq!(parsed(PLAIN, text).says_empty, expected, "{text:?}");
        }
    }

    #[test]
    fn a_comment_of_firehol_says_how_many_there_are() {
        for (text, expected) in [
            ("# Entries         : 2 subnets, 512 unique IPs\n", Some(2)),
            ("# Entries         : 35 unique IPs\r\n# Entries : 3 unique IPs", Some(35)),
            ("# Entries         : many\n", None),
            ("# Entries of 7 unique IPs\n", None),
            ("192.0.2.7 # Entries : 7 unique IPs\n", None),
        ] {
            assert_eq!(parsed(PLAIN, text).announced, expected, "{text:?}");
        }
        // What is refused was there all the same.
        let parsed =
            parsed(PLAIN, "# Entries : 2 subnets, 9 unique IPs\n224.0.0.0/3\n192.0.2.0/24\n");
        assert_eq!((parsed.records, parsed.rejected.count, parsed.entries.len()), (2, 1, 1));
    }

    #[test]
    fn the_settings_of_a_mail_gateway_are_recognised() {
        let rejected =
            rejected(PLAIN, "AC: 192.0.2.7/255.255.255.255:+\nRC: 192.0.2.0\nXC: 192.0.2.0\n");
        for rejected in &rejected[..2] {
            assert!(rejected.ends_with("`portcullis import FILE` takes them over"), "{rejected}");
        }
        assert!(rejected[2].contains("`XC:` is no IP address"), "{rejected:?}");
    }
}
