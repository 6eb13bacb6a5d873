//! Tells the format of a list by its first lines: only where it can be no other one.

use std::net::Ipv4Addr;

use super::rbldnsd::Dataset;
use super::{Format, lines};
use crate::net::Prefix;

/// Lines that are looked at.
const LINES: usize = 200;

/// Lines with entries that must have one look before it counts.
const ENTRIES: usize = 3;

/// What the settings of a mail gateway begin their lines with: senders allowed and blocked, and DNS lists.
const GATEWAY_RULES: [&str; 6] = ["AC", "RC", "AS", "RS", "BL", "WL"];

/// The format of `octets`; what could be two formats is plain.
pub(super) fn detect(octets: &[u8]) -> Format {
    if octets.trim_ascii_start().starts_with(b"{") || octets.trim_ascii_start().starts_with(b"[") {
        return Format::DropJson;
    }
    let lines: Vec<_> = lines(octets).take(LINES).map(|line| line.text).collect();
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    rbldnsd(&lines).unwrap_or_else(|| {
        let entries = lines.iter().filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        let entries: Vec<&str> = entries.copied().take(ENTRIES).collect();
        if entries.first().is_some_and(|line| is_csv(line)) {
            Format::Csv
        } else if !entries.is_empty() && entries.iter().all(|line| is_p2p(line)) {
            Format::P2p
        } else {
            Format::Plain
        }
    })
}

/// Whether `line`, which is no entry, is from the file in which a mail gateway exports its allowed and blocked senders:
/// `AC: 192.0.2.7:+`, or without the mark at its end.
pub(super) fn is_gateway_rule(line: &str) -> bool {
    line.split_once(':').is_some_and(|(rule, _rest)| GATEWAY_RULES.contains(&rule))
}

/// A dataset of rbldnsd has a line that no other list has: `$SOA`, a default answer, an exclusion, an answer of its own.
fn rbldnsd(lines: &[&str]) -> Option<Format> {
    let mut is_sure = false;
    for line in lines {
        let special = line.strip_prefix('$').or_else(|| line.get(1..)?.strip_prefix('$'));
        if let Some(special) = special.filter(|_line| line.starts_with(['$', '#', ';', ':'])) {
            let mut words = special.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            if keyword.eq_ignore_ascii_case("dataset") {
                let dataset = words.next().and_then(Dataset::named);
                is_sure = true;
                if let Some(dataset) = dataset {
                    return Some(dataset.format());
                }
            }
            let known = ["soa", "ns", "nameserver", "ttl", "maxrange4", "timestamp"];
            is_sure |= known.iter().any(|known| keyword.eq_ignore_ascii_case(known));
            continue;
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let is_default = line.strip_prefix(':').is_some_and(starts_with_answer);
        if is_default {
            is_sure = true;
            continue;
        }
        let (entry, excludes) = match line.strip_prefix('!') {
            Some(entry) => (entry.trim_start(), true),
            None => (*line, false),
        };
        let (item, rest) = entry.split_once([' ', '\t']).unwrap_or((entry, ""));
        let has_answer = rest.trim_start().strip_prefix(':').is_some_and(starts_with_answer);
        let is_v6 = item.split('/').next().is_some_and(|address| address.contains(':'));
        if (is_sure || excludes || has_answer) && looks_like_item(item) {
            let dataset = if is_v6 { Dataset::Ip6Trie } else { Dataset::Ip4Set };
            return Some(dataset.format());
        }
    }
    is_sure.then_some(Format::RbldnsdIp4Set)
}

/// Whether `item` has the letters of addresses, prefixes and ranges alone, and one that no word has.
fn looks_like_item(item: &str) -> bool {
    let parts = ['.', ':', '/', '-'];
    item.contains(parts)
        && item.chars().all(|letter| letter.is_ascii_hexdigit() || parts.contains(&letter))
}

/// Whether `text`, which stood behind a colon, is an address or the last number of one, and a second colon or nothing.
fn starts_with_answer(text: &str) -> bool {
    let value = text.split(':').next().unwrap_or_default().trim();
    value.parse::<u8>().is_ok() || value.parse::<Ipv4Addr>().is_ok()
}

/// A first line with the names of columns, or with a prefix and then a comma.
fn is_csv(line: &str) -> bool {
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let first = fields.next().unwrap_or_default();
    let has_more = fields.next().is_some();
    has_more && (super::csv::is_header(line) || first.parse::<Prefix>().is_ok())
}

/// `NAME:FIRST-LAST`.
fn is_p2p(line: &str) -> bool {
    line.rsplit_once(':').and_then(|(_name, range)| range.split_once('-')).is_some_and(
        |(first, last)| {
            first.trim().parse::<Ipv4Addr>().is_ok() && last.trim().parse::<Ipv4Addr>().is_ok()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_told_by_its_first_lines() {
        for (text, expected) in [
            ("", Format::Plain),
            ("192.0.2.7\n", Format::Plain),
            ("# comment\n192.0.2.7 ; SBL1\n", Format::Plain),
            ("192.0.2.7 listed\n192.0.2.9 :colon\n", Format::Plain),
            ("2001:db8::/32\n", Format::Plain),
            ("192.0.2.1 - 192.0.2.9\n", Format::Plain),
            ("{\"cidr\":\"192.0.2.0/24\"}\n", Format::DropJson),
            (" \n[\"192.0.2.7\"]", Format::DropJson),
            (":127.0.0.2:listed $\n192.0.2.7\n", Format::RbldnsdIp4Set),
            (":2:listed\n2001:db8::/32\n", Format::RbldnsdIp6Trie),
            ("$SOA 3600 ns. root. 0 1 1 1 1\n192.0.2.7\n", Format::RbldnsdIp4Set),
            ("#$NS 3600 ns.\n2001:db8::/32\n", Format::RbldnsdIp6Trie),
            ("192.0.2.0/24\n!192.0.2.7\n", Format::RbldnsdIp4Set),
            ("192.0.2.0/24 :4:text\n", Format::RbldnsdIp4Set),
            ("::1 :4\n", Format::RbldnsdIp6Trie),
            ("$DATASET ip4trie @\n192.0.2.0/24\n", Format::RbldnsdIp4Trie),
            ("# $5 for whoever reads this\n192.0.2.7\n", Format::Plain),
            ("value,scope,type,duration,reason\n", Format::Csv),
            ("duration,value\n", Format::Csv),
            ("192.0.2.7,ip,ban,4h,ssh\n", Format::Csv),
            ("value,reason\n192.0.2.7,about :0\n", Format::Csv),
            ("!important :4\n", Format::Plain),
            ("hello, world\n", Format::Plain),
            ("Bad: people:192.0.2.0-192.0.2.255\n", Format::P2p),
            ("# x\na:192.0.2.0-192.0.2.255\nno\n", Format::Plain),
            ("AC: 192.0.2.7:+\n", Format::Plain),
        ] {
            assert_eq!(detect(text.as_bytes()), expected, "{text:?}");
        }
    }
}
