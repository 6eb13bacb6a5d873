//! Takes over the settings in which an old mail gateway allows and blocks connections, senders and DNS lists.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use ipnet::ipv4_mask_to_prefix;

use super::format::shown;
use super::{Class, Doubt, Format, Reading, WIDEST_REFUSED, doubt_text, parse};
use crate::clock::Timestamp;
use crate::net::{Prefix, PrefixError};

/// More lines than the old gateway ever kept; the report must fit into memory.
const MOST_LINES: usize = 2_000_000;

/// The most letters of a zone: an IPv6 address fits before it in a name.
const LONGEST_ZONE: usize = 253 - 64;

/// What the first three lines begin with that are no comments.
const HEADER: [&str; 2] = ["dn", "objectclass"];

/// Verdicts that have another name here.
const OLD_VERDICTS: [(&str, Class); 1] = [("Open Proxy sender violation", Class::OpenProxy)];

/// What the file comes to here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Addresses that are allowed or blocked when they connect.
    pub connections: Vec<Taken<Prefix>>,
    /// DNS lists that speak for senders or against them, by their names.
    pub zones: Vec<Taken<String>>,
    /// The lines that are not taken over.
    pub left_out: Vec<LeftOut>,
    /// What the operator should know beside that.
    pub remarks: Vec<String>,
}

/// One line that is taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// What it names.
    pub what: T,
    /// Its number, from 1.
    pub line: u32,
    /// False: it blocks.
    pub allows: bool,
    /// False: it is switched off there.
    pub enabled: bool,
    /// The comments above it.
    pub comments: Vec<String>,
}

/// One line that is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its number, from 1.
    pub line: u32,
    /// Its text, cut and escaped.
    pub text: String,
    /// Why.
    pub why: WhyLeftOut,
}

/// Why a line is not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyLeftOut {
    /// It is none of the lines that there are.
    #[error(
        "is no line of this file, expected AC, RC, AS, RS, BL or WL, a colon, and what it is about"
    )]
    Unknown,
    /// It names senders.
    #[error(
        "`{found}` is a sender, expected an address that connects: there are no lists of senders here, the mail server behind may have some"
    )]
    Sender {
        /// The sender.
        found: String,
    },
    /// It names a host.
    #[error("`{found}` is a name, expected an address: names are not looked up for lists")]
    HostName {
        /// The name.
        found: String,
    },
    /// It names no address.
    #[error(transparent)]
    Address(#[from] PrefixError),
    /// Its mask is none of a prefix.
    #[error("`{mask}` is no mask of a network, expected ones and then zeros, as in 255.255.255.0")]
    Mask {
        /// The mask.
        mask: Ipv4Addr,
    },
    /// It covers too much to be meant.
    #[error("{prefix} covers too much, expected a prefix of /8 or longer")]
    TooWide {
        /// What it covers.
        prefix: Prefix,
    },
    /// It names no DNS list.
    #[error("`{found}` is no domain name, expected that of a DNS list")]
    Zone {
        /// The text found there.
        found: String,
    },
    /// The DNS list was there before.
    #[error("is the DNS list of line {first} again")]
    Again {
        /// The line that counts.
        first: u32,
    },
}

/// Why nothing of a file is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is no text.
    #[error("{0}")]
    Doubt(Doubt),
    /// It is longer than such a file can be.
    #[error("has more than {MOST_LINES} lines, more than the old gateway keeps")]
    TooLong,
    /// It is a list.
    #[error("is a list in the format {} with {entries} entries, expected the allowedblockedlist.txt of an old gateway", format.name())]
    List {
        /// Its format.
        format: Format,
        /// The number of its entries.
        entries: usize,
    },
    /// It is anything else.
    #[error(
        "has neither the header of an allowedblockedlist.txt nor a line such as `AC: 192.0.2.7/255.255.255.255:+`"
    )]
    Other,
}

/// Reads `allowedblockedlist.txt`: three lines of LDIF, then a line for each address, sender and DNS list.
pub fn import(octets: &[u8]) -> Result<Imported, ImportError> {
    if let Some(doubt) = doubt_text(octets) {
        return Err(ImportError::Doubt(doubt));
    }
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(octets.split(|octet| *octet == b'\n')) {
        if usize::try_from(number).is_ok_and(|number| number > MOST_LINES) {
            return Err(ImportError::TooLong);
        }
        reader.line(number, String::from_utf8_lossy(line).trim());
    }
    if !reader.has_header && !reader.has_rule {
        return Err(other_file(octets));
    }
    Ok(reader.finish())
}

/// What a file is that is none of these.
fn other_file(octets: &[u8]) -> ImportError {
    let reading = Reading { format: None, as_of: Timestamp::UNIX_EPOCH, foreign: false };
    let parsed = parse(octets, reading);
    match parsed.entries.len() {
        0 => ImportError::Other,
        entries => ImportError::List { format: parsed.format, entries },
    }
}

/// How far a file is read.
#[derive(Debug, Default)]
struct Reader {
    imported: Imported,
    has_header: bool,
    has_rule: bool,
    /// The comments since the last line that is none.
    comments: Vec<String>,
    /// The lines of the DNS lists so far, by what they do and name.
    zones: HashMap<(bool, String), u32>,
}

impl Reader {
    fn line(&mut self, number: u32, line: &str) {
        if let Some(comment) = line.strip_prefix('#') {
            self.remark_old_verdicts(number, comment);
            self.comments.push(shown(comment.trim_start_matches('#').trim()));
        } else if !line.is_empty() {
            let comments = std::mem::take(&mut self.comments);
            if let Err(why) = self.rule(number, line, comments) {
                self.remark_old_verdicts(number, line);
                self.imported.left_out.push(LeftOut { line: number, text: shown(line), why });
            }
        }
    }

    fn rule(&mut self, line: u32, text: &str, comments: Vec<String>) -> Result<(), WhyLeftOut> {
        let (key, rest) = text.split_once(':').ok_or(WhyLeftOut::Unknown)?;
        let key = key.trim();
        if !self.has_rule && HEADER.iter().any(|header| header.eq_ignore_ascii_case(key)) {
            self.has_header = true;
            return Ok(());
        }
        let allows = match key {
            "AC" | "AS" | "WL" => true,
            "RC" | "RS" | "BL" => false,
            _ => return Err(WhyLeftOut::Unknown),
        };
        self.has_rule = true;
        // What says neither is in force.
        let (found, enabled) = match rest.strip_suffix(":-") {
            Some(found) => (found.trim(), false),
            None => (rest.strip_suffix(":+").unwrap_or(rest).trim(), true),
        };
        match key {
            "AC" | "RC" => {
                let what = connection(found)?;
                self.imported.connections.push(Taken { what, line, allows, enabled, comments });
            }
            "BL" | "WL" => {
                let what = zone(found)?;
                let first = *self.zones.entry((allows, what.clone())).or_insert(line);
                if first != line {
                    return Err(WhyLeftOut::Again { first });
                }
                self.imported.zones.push(Taken { what, line, allows, enabled, comments });
            }
            _ => return Err(WhyLeftOut::Sender { found: shown(found) }),
        }
        Ok(())
    }

    /// Says what is meant here where somebody wrote down a verdict of the old gateway.
    fn remark_old_verdicts(&mut self, line: u32, text: &str) {
        let text = text.to_ascii_lowercase();
        let found =
            OLD_VERDICTS.iter().filter(|(name, _)| text.contains(&name.to_ascii_lowercase()));
        self.imported.remarks.extend(found.map(|(name, class)| {
            let class = class.name();
            format!("line {line}: what was called `{name}` is the verdict of lists of class \"{class}\" here")
        }));
    }

    fn finish(self) -> Imported {
        let mut imported = self.imported;
        if !self.has_header {
            let text = "its header (`dn:`, `objectclass:`) is missing: see whether all of the file is there";
            imported.remarks.insert(0, text.to_owned());
        }
        if !imported.zones.is_empty() {
            let text = "its DNS lists are as old as the file: see whether each is still there, and whether this site may ask it";
            imported.remarks.push(text.to_owned());
        }
        imported
    }
}

/// Reads `ADDRESS`, `ADDRESS/MASK` or `ADDRESS/LENGTH`.
fn connection(found: &str) -> Result<Prefix, WhyLeftOut> {
    let (address, mask) = found.split_once('/').unwrap_or((found, ""));
    let prefix = match (address.parse::<Ipv4Addr>(), mask.parse::<Ipv4Addr>()) {
        (Ok(address), Ok(mask)) => {
            let length = ipv4_mask_to_prefix(mask).map_err(|_gaps| WhyLeftOut::Mask { mask })?;
            Prefix::new(address.into(), length)?
        }
        _ if is_host_name(address) => {
            return Err(WhyLeftOut::HostName { found: shown(address) });
        }
        _ => found.parse()?,
    };
    if prefix.length() <= WIDEST_REFUSED {
        return Err(WhyLeftOut::TooWide { prefix });
    }
    Ok(prefix)
}

/// Reads the name of a DNS list, which is safe to be written into a configuration afterwards.
fn zone(found: &str) -> Result<String, WhyLeftOut> {
    let name = found.strip_suffix('.').unwrap_or(found);
    let is_edged = |label: &str| label.starts_with('-') || label.ends_with('-');
    if is_host_name(name) && name.len() <= LONGEST_ZONE && !name.split('.').any(is_edged) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(WhyLeftOut::Zone { found: shown(found) })
    }
}

/// Whether `text` is a domain name of two labels or more, and no address.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
        (1..=63).contains(&label.len()) && label.bytes().all(is_letter)
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(is_label)
        && last.bytes().any(|octet| octet.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "## Permit List\ndn: cn=mailwall, ou=bmi\nobjectclass: top\nobjectclass: bmiBlackWhiteList\n";

    fn imported(lines: &str) -> Imported {
        import(format!("{HEADER}{lines}").as_bytes()).unwrap()
    }

    fn shown_taken<T: ToString>(all: &[Taken<T>]) -> Vec<String> {
        let word = |taken: &Taken<T>| {
            let verb = if taken.allows { "allow" } else { "block" };
            let state = if taken.enabled { "" } else { " (off)" };
            format!("{}: {verb} {}{state}", taken.line, taken.what.to_string())
        };
        all.iter().map(word).collect()
    }

    #[test]
    fn every_kind_of_line_is_taken_or_told() {
        for (line, expected) in [
            ("AC: 65.86.37.45/255.255.255.0", "5: allow 65.86.37.0/24"),
            ("RC: 20.45.32.78/255.255.255.255", "5: block 20.45.32.78"),
            ("RC: 20.45.32.78/255.255.255.255:+", "5: block 20.45.32.78"),
            ("RC: 20.45.32.78/255.255.255.255:-", "5: block 20.45.32.78 (off)"),
            ("AC:198.51.100.7:+\r", "5: allow 198.51.100.7"),
            ("AC: 198.51.100.0/25:-", "5: allow 198.51.100.0/25 (off)"),
            ("RC: 2001:db8:::+", "5: block 2001:db8::"),
            ("RC: 2001:db8::/32:-", "5: block 2001:db8::/32 (off)"),
            ("BL: sbl.spamhaus.org", "5: block sbl.spamhaus.org"),
            ("WL: Query.Example.ORG.:-", "5: allow query.example.org (off)"),
            ("", ""),
            ("# RC: 192.0.2.7", ""),
        ] {
            let found = imported(line);
            let taken = [shown_taken(&found.connections), shown_taken(&found.zones)].concat();
            assert_eq!(taken.join(" "), expected, "{line:?}");
            assert_eq!(found.left_out, [], "{line:?}");
        }
    }

    #[test]
    fn what_is_left_out_says_why() {
        for (line, why) in [
            (
                "AS: grandma@example.org",
                "`grandma@example.org` is a sender, expected an address that connects: there are no lists of senders here, the mail server behind may have some",
            ),
            (
                "RS: example.org:-",
                "`example.org` is a sender, expected an address that connects: there are no lists of senders here, the mail server behind may have some",
            ),
            (
                "AC: mail.example.org/255.255.255.255:+",
                "`mail.example.org` is a name, expected an address: names are not looked up for lists",
            ),
            (
                "AC: 192.0.2.0/255.0.255.0:+",
                "`255.0.255.0` is no mask of a network, expected ones and then zeros, as in 255.255.255.0",
            ),
            (
                "RC: 192.0.2.0/0.0.0.255",
                "`0.0.0.255` is no mask of a network, expected ones and then zeros, as in 255.255.255.0",
            ),
            (
                "AC: 0.0.0.0/0.0.0.0:+",
                "0.0.0.0/0 covers too much, expected a prefix of /8 or longer",
            ),
            (
                "AC: 10.0.0.0/254.0.0.0",
                "10.0.0.0/7 covers too much, expected a prefix of /8 or longer",
            ),
            (
                "RC: 300.1.1.1/255.255.255.255",
                "`300.1.1.1` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
            ),
            (
                "RC: 192.0.2.*",
                "`192.0.2.*` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
            ),
            ("RC: 192.0.2.0/33:+", "`33` is no prefix length, expected 0 to 32"),
            (
                "RC: 2001:db8::/255.255.255.0",
                "`255.255.255.0` is no prefix length, expected 0 to 128",
            ),
            ("RC: :+", "`` is no IP address, expected one like 192.0.2.7 or 2001:db8::7"),
            ("BL: spamhaus", "`spamhaus` is no domain name, expected that of a DNS list"),
            ("BL: a-.example", "`a-.example` is no domain name, expected that of a DNS list"),
            ("BL: a\"\n", "`a\\\"` is no domain name, expected that of a DNS list"),
            (
                "XX: 192.0.2.7:+",
                "is no line of this file, expected AC, RC, AS, RS, BL or WL, a colon, and what it is about",
            ),
            (
                "192.0.2.7",
                "is no line of this file, expected AC, RC, AS, RS, BL or WL, a colon, and what it is about",
            ),
        ] {
            let found = imported(line);
            let told: Vec<_> =
                found.left_out.iter().map(|left| (left.line, left.why.to_string())).collect();
            assert_eq!(told, [(5, why.to_owned())], "{line:?}");
            assert_eq!((found.connections, found.zones), (Vec::new(), Vec::new()), "{line:?}");
        }
    }

    #[test]
    fn a_dns_list_is_taken_once() {
        let found = imported("BL: a.example:+\nWL: a.example\nBL: A.example.:-\n");
        assert_eq!(shown_taken(&found.zones), ["5: block a.example", "6: allow a.example"]);
        assert_eq!(found.left_out[0].why, WhyLeftOut::Again { first: 5 });
    }

    #[test]
    fn comments_stay_with_what_they_stand_above() {
        let found = imported(
            "# our branch office\n#\tsince 2009\nAC: 192.0.2.7\nAC: 192.0.2.8\n# of nobody\nAS: x@y\nAC: 192.0.2.9\n",
        );
        let comments: Vec<_> =
            found.connections.iter().map(|taken| taken.comments.join("/")).collect();
        assert_eq!(comments, ["our branch office/since 2009", "", ""]);
    }

    #[test]
    fn remarks_tell_what_no_single_line_does() {
        let old = "what was called `Open Proxy sender violation` is the verdict of lists of class \"open-proxy\" here";
        let zones = "its DNS lists are as old as the file: see whether each is still there, and whether this site may ask it";
        let header =
            "its header (`dn:`, `objectclass:`) is missing: see whether all of the file is there";
        for (text, expected) in [
            (HEADER.to_owned(), vec![]),
            (
                format!("{HEADER}# open proxy Sender Violation, 2009\n"),
                vec![format!("line 5: {old}")],
            ),
            (format!("{HEADER}BL: a.example\n"), vec![zones.to_owned()]),
            (
                "RC: 192.0.2.7\nOpen Proxy sender violation\n".to_owned(),
                vec![header.to_owned(), format!("line 2: {old}")],
            ),
        ] {
            assert_eq!(import(text.as_bytes()).unwrap().remarks, expected, "{text:?}");
        }
    }

    #[test]
    fn another_file_is_told_by_its_format() {
        for (text, expected) in [
            (
                "192.0.2.7\n",
                "is a list in the format plain with 1 entries, expected the allowedblockedlist.txt of an old gateway",
            ),
            (
                "value,scope\n192.0.2.7,ip\n",
                "is a list in the format csv with 1 entries, expected the allowedblockedlist.txt of an old gateway",
            ),
            (
                "",
                "has neither the header of an allowedblockedlist.txt nor a line such as `AC: 192.0.2.7/255.255.255.255:+`",
            ),
            (
                "hello: world\n",
                "has neither the header of an allowedblockedlist.txt nor a line such as `AC: 192.0.2.7/255.255.255.255:+`",
            ),
            ("<html>", "is a web page, no list"),
            ("\u{0}", "is binary or UTF-16, expected text in ASCII or UTF-8"),
        ] {
            assert_eq!(import(text.as_bytes()).unwrap_err().to_string(), expected, "{text:?}");
        }
        assert_eq!(import(&b"\n".repeat(MOST_LINES)), Err(ImportError::TooLong));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic_or_lose_a_line(
            words in prop::collection::vec(prop_oneof![
                4 => prop::sample::select(WORDS.to_vec()).prop_map(<[u8]>::to_vec),
                1 => prop::collection::vec(any::<u8>(), 0..4),
            ], 0..60)
        ) {
            let text = [HEADER.as_bytes(), &words.concat()].concat();
            if let Ok(found) = import(&text) {
                let is_rule = |line: &&[u8]| {
                    let line = line.trim_ascii();
                    let line = String::from_utf8_lossy(line);
                    !line.trim().is_empty() && !line.trim().starts_with('#')
                };
                let rules = text.split(|octet| *octet == b'\n').filter(is_rule).count();
                let told = found.connections.len() + found.zones.len() + found.left_out.len();
                let header = text.split(|octet| *octet == b'\n').filter(|line| {
                    let line = String::from_utf8_lossy(line).trim().to_ascii_lowercase();
                    line.starts_with("dn:") || line.starts_with("objectclass:")
                }).count();
                prop_assert!(told <= rules && rules <= told + header, "{found:?}");
            }
        }
    }

    const WORDS: [&[u8]; 22] = [
        b"AC:",
        b"RC: ",
        b"AS: ",
        b"RS:",
        b"BL: ",
        b"WL:",
        b"192.0.2.",
        b"7",
        b"/",
        b"255.255.",
        b"255.0",
        b":+",
        b":-",
        b"\n",
        b"\n",
        b"\r\n",
        b"#",
        b"2001:db8::",
        b"a.example",
        b"dn: ",
        b"objectclass: ",
        b"\xe9",
    ];
}
