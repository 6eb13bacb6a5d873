//! Reads the text lists of peer-to-peer programs: a name, a colon, an IPv4 range.

use std::net::{IpAddr, Ipv4Addr};

use super::super::Remark;
use super::{Found, Line, LineFault, Sink, Told, lines, says_empty};
use crate::net::{Prefix, PrefixError};

/// Reads all lines; the name is the reason.
pub(super) fn read(octets: &[u8], sink: &mut Sink<'_>) -> Told {
    let mut told = Told::NOTHING;
    for Line { number: line, text } in lines(octets) {
        if text.is_empty() || text.starts_with('#') {
            told.says_empty |= says_empty(&text);
            continue;
        }
        match read_line(&text) {
            Ok((reason, prefixes)) => {
                let remark = Remark { reason, ..Remark::default() };
                sink.list(&Found { line, text: &text, remark, expires: None }, &prefixes);
            }
            Err(fault) => sink.reject(line, &text, fault),
        }
    }
    told
}

/// A name may have colons of its own, so that the last one counts.
fn read_line(line: &str) -> Result<(&str, Vec<Prefix>), LineFault> {
    let parts = line
        .rsplit_once(':')
        .and_then(|(name, range)| range.split_once('-').map(|range| (name, range)));
    let Some((name, (first, last))) = parts else {
        return Err(LineFault::found(line, "NAME:FIRST-LAST with IPv4 addresses"));
    };
    Ok((name.trim(), Prefix::cover(address(first)?..=address(last)?)?))
}

fn address(text: &str) -> Result<IpAddr, PrefixError> {
    let text = text.trim();
    let address = text.parse::<Ipv4Addr>().map_err(|_not_an_address| PrefixError::address(text))?;
    Ok(address.into())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{entries, rejected};

    #[test]
    fn reads_names_and_ranges() {
        for (text, expected) in [
            ("Bad people:192.0.2.0-192.0.2.255", &["1:192.0.2.0/24 Bad people"][..]),
            ("a:b: c:192.0.2.7 - 192.0.2.7", &["1:192.0.2.7 a:b: c"]),
            (":192.0.2.7-192.0.2.8", &["1:192.0.2.7", "1:192.0.2.8"]),
            ("# x:192.0.2.7-192.0.2.8\n\n", &[]),
        ] {
            assert_eq!(entries(Format::P2p, text), expected, "{text:?}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(
            rejected(
                Format::P2p,
                "192.0.2.7\nx:192.0.2.9-192.0.2.7\nx:2001:db8::-2001:db8::1\nx:1-2\n"
            ),
            [
                "line 1: `192.0.2.7`: `192.0.2.7` cannot be read, expected NAME:FIRST-LAST with IPv4 addresses",
                "line 2: `x:192.0.2.9-192.0.2.7`: range 192.0.2.9 to 192.0.2.7 runs backwards, expected the lower address first",
                "line 3: `x:2001:db8::-2001:db8::1`: `x:2001:db8::-2001:db8::1` cannot be read, expected NAME:FIRST-LAST with IPv4 addresses",
                "line 4: `x:1-2`: `1` is no IP address, expected one like 192.0.2.7 or 2001:db8::7",
            ]
        );
    }
}
