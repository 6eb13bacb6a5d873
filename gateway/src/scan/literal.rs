//! Finds the IP addresses in free text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::fold;

/// Every IP address that stands in `text` as a word of its own, IPv4-mapped ones folded, in order.
///
/// Brackets, parentheses, quotes, `@`, `=`, `/` and all octets beyond ASCII end a word. Letters, digits, dots, hyphens and
/// colons do not, so no part of a version, a time or a host name such as `192.0.2.1.example.org` is taken for an address.
pub(crate) fn literals(text: &[u8]) -> impl Iterator<Item = IpAddr> {
    text.split(|&octet| !is_word(octet))
        .filter_map(|word| str::from_utf8(word).ok())
        .filter_map(literal)
}

/// `%` belongs to the zone of a link-local address (RFC 4007 section 11).
fn is_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':' | b'-' | b'_' | b'%')
}

/// The address that a word is, or that it tags (`IPv6:2001:db8::1`) or gives a port (`192.0.2.1:4711`).
fn literal(word: &str) -> Option<IpAddr> {
    let word = word.split('%').next().unwrap_or(word);
    if let Some(address) = address(word) {
        return Some(address);
    }
    let (head, tail) = word.split_once(':')?;
    let (_, last) = word.rsplit_once(':')?;
    let tagged = || {
        let is_tag = !head.bytes().all(|octet| octet.is_ascii_hexdigit());
        is_tag.then(|| address(tail)).flatten()
    };
    v4(head).or_else(|| v4(last)).or_else(tagged)
}

/// Two colons alone are punctuation.
fn address(word: &str) -> Option<IpAddr> {
    let v6 = |word: &str| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    v4(word)
        .or_else(|| v6(word))
        .or_else(|| v6(word.trim_end_matches(['.', ':'])))
        .filter(|address| *address != IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        .map(fold)
}

/// A full stop may follow: a sentence ends, or somebody wrote the address like an absolute name.
fn v4(word: &str) -> Option<IpAddr> {
    let word = word.strip_suffix('.').unwrap_or(word);
    word.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_what_only_looks_like_one() {
        for (text, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("([192.0.2.1])", "192.0.2.1"),
            ("[192.0.2.1]:4711", "192.0.2.1"),
            ("[192.0.2.1:4711]", "192.0.2.1"),
            ("[192.0.2.1", "192.0.2.1"),
            ("unknown[192.0.2.1])", "192.0.2.1"),
            ("user@192.0.2.1", "192.0.2.1"),
            ("helo=192.0.2.1,", "192.0.2.1"),
            ("192.0.2.1.", "192.0.2.1"),
            ("\"192.0.2.1\"", "192.0.2.1"),
            ("ip:192.0.2.1", "192.0.2.1"),
            ("cafe:192.0.2.1", "192.0.2.1"),
            ("IPv6:2001:db8::1", "2001:db8::1"),
            ("[ipv6:2001:DB8::1]", "2001:db8::1"),
            ("[IPv6:::1]", "::1"),
            ("[2001:db8::1]:25", "2001:db8::1"),
            ("2001:db8::", "2001:db8::"),
            ("2001:db8::1:", "2001:db8::1"),
            ("(2603:10a6:20b:3e1::16)", "2603:10a6:20b:3e1::16"),
            ("fe80::1%eth0", "fe80::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("IPv6:::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1 and (192.0.2.2)", "192.0.2.1 192.0.2.2"),
            ("4.96", ""),
            ("Exim 4.92.3", ""),
            ("SMTPSVC(5.0.2195.6713)", ""),
            ("8.14.4/8.14.4", ""),
            ("15.20.7452.49", ""),
            ("12:34:56", ""),
            ("::", ""),
            ("192.0.2.1.example.com", ""),
            ("example.192.0.2.1", ""),
            ("ip-192-0-2-1", ""),
            ("192.0.2.1-static", ""),
            ("192.0.2.300", ""),
            ("1.2.0.192.in-addr.arpa", ""),
            ("00:11:22:33:44:55", ""),
            ("Mail::SpamAssassin", ""),
        ] {
            let found: Vec<_> = literals(text.as_bytes()).map(|ip| ip.to_string()).collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn octets_beyond_ascii_end_a_word() {
        assert_eq!(literals(b"\xff192.0.2.1\xc3\x00192.0.2.2").count(), 2);
    }
}
