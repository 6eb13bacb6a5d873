//! Writes the entries of a list in formats that other programs read, and most of them this one, too.

use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;

use serde_json::json;

use super::Entry;
use super::format::{escaped, on_one_line};
use crate::net::Prefix;

/// A format that lists are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// A prefix per line, and the reason as a comment.
    Plain,
    /// A JSON object per line and one with their number at the end, as in the format `drop-json`.
    Json,
    /// Columns with names.
    Csv,
    /// A table of nftables with a set for each family.
    Nftables,
    /// A zone file of rbldnsd: the datasets ip4trie and ip6trie, combined where there are both.
    Rbldnsd,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Json, Self::Csv, Self::Nftables, Self::Rbldnsd];

    /// The word that commands use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Nftables => "nftables",
            Self::Rbldnsd => "rbldnsd",
        }
    }

    /// The media type of what is written.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Plain | Self::Nftables | Self::Rbldnsd => "text/plain; charset=utf-8",
        }
    }

    /// How the name of a file with it ends.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Plain => "txt",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Nftables => "nft",
            Self::Rbldnsd => "zone",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes `entries` of the list called `name`.
pub fn export(
    format: ExportFormat,
    name: &str,
    entries: impl Iterator<Item = Entry>,
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        ExportFormat::Plain => plain(name, entries, out),
        ExportFormat::Json => json(name, entries, out),
        ExportFormat::Csv => csv(entries, out),
        ExportFormat::Nftables => nftables(name, entries, out),
        ExportFormat::Rbldnsd => rbldnsd(name, entries, out),
    }
}

fn plain(name: &str, entries: impl Iterator<Item = Entry>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# list {}", on_one_line(name))?;
    let mut is_empty = true;
    for entry in entries {
        is_empty = false;
        match text(&entry) {
            Some(text) => writeln!(out, "{} # {text}", entry.prefix)?,
            None => writeln!(out, "{}", entry.prefix)?,
        }
    }
    if is_empty {
        writeln!(out, "# empty")?;
    }
    Ok(())
}

fn json(name: &str, entries: impl Iterator<Item = Entry>, out: &mut impl Write) -> io::Result<()> {
    let mut records = 0_usize;
    for Entry { prefix, reason, value, expires, .. } in entries {
        let record =
            json!({ "cidr": prefix, "reason": reason, "value": value, "expires": expires });
        writeln!(out, "{record}")?;
        records += 1;
    }
    writeln!(out, "{}", json!({ "type": "metadata", "list": name, "records": records }))
}

fn csv(entries: impl Iterator<Item = Entry>, out: &mut impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["value", "scope", "type", "expires", "reason"])?;
    for entry in entries {
        let is_host = entry.prefix == Prefix::host(entry.prefix.address());
        let scope = if is_host { "ip" } else { "range" };
        let expires = entry.expires.map(|expires| expires.timestamp().to_string());
        writer.write_record([
            &entry.prefix.to_string(),
            scope,
            "ban",
            expires.as_deref().unwrap_or_default(),
            text(&entry).as_deref().unwrap_or_default(),
        ])?;
    }
    writer.flush()
}

/// Reasons and ends are left out: sets have room for neither when they merge what lies in each other.
fn nftables(
    name: &str,
    entries: impl Iterator<Item = Entry>,
    out: &mut impl Write,
) -> io::Result<()> {
    let (v4, v6): (Vec<_>, Vec<_>) =
        entries.map(|entry| entry.prefix).partition(|prefix| prefix.address().is_ipv4());
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    let name: String =
        name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    writeln!(out, "table inet portcullis_{name} {{")?;
    for (family, kind, prefixes) in [("v4", "ipv4_addr", v4), ("v6", "ipv6_addr", v6)] {
        writeln!(out, "\tset {family} {{\n\t\ttype {kind}\n\t\tflags interval\n\t\tauto-merge")?;
        if !prefixes.is_empty() {
            writeln!(out, "\t\telements = {{")?;
            for prefix in prefixes {
                writeln!(out, "\t\t\t{prefix},")?;
            }
            writeln!(out, "\t\t}}")?;
        }
        writeln!(out, "\t}}")?;
    }
    writeln!(out, "}}")
}

fn rbldnsd(
    name: &str,
    entries: impl Iterator<Item = Entry>,
    out: &mut impl Write,
) -> io::Result<()> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    let mut entries = entries.peekable();
    while let Some(entry) = entries.next() {
        // Of those with one prefix one can answer: the last, which is the one that others are shown first, too.
        if entries.peek().is_some_and(|next| next.prefix == entry.prefix) {
            continue;
        }
        let lines = if entry.prefix.address().is_ipv4() { &mut v4 } else { &mut v6 };
        let value = entry.value.unwrap_or(Ipv4Addr::new(127, 0, 0, 2));
        writeln!(lines, "{} :{value}:{}", entry.prefix, template(&entry))?;
    }
    let is_combined = !v4.is_empty() && !v6.is_empty();
    writeln!(out, "# list {}", on_one_line(name))?;
    for (dataset, lines) in [("ip4trie", v4), ("ip6trie", v6)] {
        if is_combined {
            writeln!(out, "$DATASET {dataset} @")?;
        }
        out.write_all(&lines)?;
    }
    Ok(())
}

/// What is said of an entry to whoever reads all of them.
fn text(entry: &Entry) -> Option<String> {
    let address = entry.prefix.address();
    let is_host = entry.prefix == Prefix::host(address);
    let text = match entry.value {
        Some(_) if is_host => entry.text_for(address)?,
        Some(_) => entry.reason.as_deref()?.replace("$$", "$"),
        None => entry.reason.as_deref()?.to_owned(),
    };
    Some(on_one_line(&text).into_owned())
}

/// What rbldnsd makes the text of an answer from.
fn template(entry: &Entry) -> String {
    let text = entry.reason.as_deref().unwrap_or_default();
    let text = if entry.value.is_some() { text.into() } else { escaped(text) };
    // A first equals sign is taken off.
    let mark = if text.starts_with('=') { "=" } else { "" };
    format!("{mark}{}", on_one_line(&text))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::super::{Entries, Format, Listed, Parsed, Reading, Remark, parse};
    use super::*;
    use crate::clock::{Expiry, Timestamp};

    /// What is said of a prefix, and when it ends.
    type Said = (Prefix, String, Option<Ipv4Addr>, Option<Expiry>);

    fn any_prefix() -> impl Strategy<Value = Prefix> {
        let v4 = (any::<u32>(), 8..=32_u8)
            .prop_map(|(bits, length)| (IpAddr::from(Ipv4Addr::from_bits(bits)), length));
        let v6 = (any::<u64>(), 8..=128_u8).prop_map(|(bits, length)| {
            (IpAddr::from(std::net::Ipv6Addr::from_bits(u128::from(bits) << 60)), length)
        });
        prop_oneof![v4, v6].prop_map(|(address, length)| Prefix::new(address, length).unwrap())
    }

    fn any_said() -> impl Strategy<Value = Said> {
        let text = prop_oneof![
            Just(String::new()),
            "[a-zA-Z0-9]([ -~\u{e4}\u{20ac}]{0,20}[a-z0-9;#=!\"])?",
            "[=;#:!$\"-]{1,3}[a-z0-9]",
        ];
        let value = prop::option::of((2..250_u8).prop_map(|last| Ipv4Addr::new(127, 0, 0, last)));
        let expires = prop::option::of(
            (1..4_000_000_000_i64)
                .prop_map(|second| Expiry::at(Timestamp::from_second(second).unwrap())),
        );
        (any_prefix(), text, value, expires).prop_map(|(prefix, text, value, expires)| {
            // What a DNS list would answer with has a place for the address.
            let text = if value.is_some() { escaped(&text).into_owned() } else { text };
            (prefix, text, value, expires)
        })
    }

    fn entries(all: &[Said]) -> Entries {
        let listed = |(prefix, reason, value, expires): &'_ Said| {
            (*prefix, reason.clone(), *value, *expires)
        };
        let all: Vec<_> = all.iter().map(listed).collect();
        all.iter()
            .map(|(prefix, reason, value, expires)| Listed {
                prefix: *prefix,
                line: 1,
                remark: Remark { value: *value, reason, ..Remark::default() },
                expires: *expires,
            })
            .collect()
    }

    fn written(format: ExportFormat, entries: &Entries) -> Vec<u8> {
        let mut out = Vec::new();
        export(format, "office bad", entries.iter(), &mut out).unwrap();
        out
    }

    fn read(octets: &[u8], format: Option<Format>) -> Parsed {
        parse(octets, Reading { format, as_of: Timestamp::UNIX_EPOCH, foreign: false })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(all in prop::collection::vec(any_said(), 1..20)) {
            let entries = entries(&all);
            for (format, named, known) in [
                (ExportFormat::Plain, Some(Format::Plain), "text"),
                (ExportFormat::Json, None, "text value expires"),
                (ExportFormat::Csv, None, "text expires"),
                (ExportFormat::Rbldnsd, None, "text value once"),
            ] {
                let octets = written(format, &entries);
                let is_v6 = entries.v4_len() == 0;
                let trie = if is_v6 { Format::RbldnsdIp6Trie } else { Format::RbldnsdIp4Trie };
                let named = if format == ExportFormat::Rbldnsd { Some(trie) } else { named };
                let parsed = read(&octets, named);
                let shown = String::from_utf8_lossy(&octets);
                prop_assert_eq!(parsed.rejected.count, 0, "{}: {:?}", shown, parsed.rejected);
                prop_assert!(parsed.has_end);
                let say = |entry: Entry| {
                    let asked = entry.prefix.address();
                    let text = if known.contains("value") { entry.text_for(asked) } else { text(&entry) };
                    let value = entry.value.filter(|_| known.contains("value"));
                    let usual = Ipv4Addr::new(127, 0, 0, 2);
                    let value = if known.contains("once") { value.or(Some(usual)) } else { value };
                    let expires = entry.expires.filter(|_| known.contains("expires"));
                    (entry.prefix, text, value, expires)
                };
                let mut expected: Vec<_> = entries.iter().map(say).collect();
                if known.contains("once") {
                    expected.reverse();
                    expected.dedup_by_key(|said| said.0);
                    expected.reverse();
                }
                let found: Vec<_> = parsed.entries.iter().map(say).collect();
                prop_assert_eq!(found, expected, "{}", shown);
            }
        }
    }

    #[test]
    fn nothing_ends_a_line_but_its_end() {
        let hostile = "a\nb\r192.0.2.9\u{2028}\0c".to_owned();
        let all = [("192.0.2.7".parse().unwrap(), hostile, Some(Ipv4Addr::LOCALHOST), None)];
        for format in ExportFormat::ALL {
            let octets = written(format, &entries(&all));
            let text = String::from_utf8(octets).unwrap();
            assert!(!text.contains(['\r', '\0']), "{text:?}");
            assert!(
                text.lines()
                    .all(|line| !line.starts_with(['b', '1']) || line.starts_with("192.0.2.7")),
                "{text}"
            );
        }
    }

    #[test]
    fn an_empty_list_says_that_it_is_meant() {
        for (format, named) in
            [(ExportFormat::Plain, Format::Plain), (ExportFormat::Json, Format::DropJson)]
        {
            assert!(read(&written(format, &Entries::default()), Some(named)).says_empty);
        }
    }

    #[test]
    fn a_table_of_nftables_has_a_set_for_each_family() {
        let prefixes: [Prefix; 2] =
            ["192.0.2.0/24", "2001:db8::7"].map(|text| text.parse().unwrap());
        let entries: Entries = prefixes.into_iter().collect();
        let text = String::from_utf8(written(ExportFormat::Nftables, &entries)).unwrap();
        assert_eq!(
            text,
            "table inet portcullis_office_bad {\n\tset v4 {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n\
             \t\telements = {\n\t\t\t192.0.2.0/24,\n\t\t}\n\t}\n\tset v6 {\n\t\ttype ipv6_addr\n\t\tflags interval\n\
             \t\tauto-merge\n\t\telements = {\n\t\t\t2001:db8::7,\n\t\t}\n\t}\n}\n"
        );
    }
}
