//! Tells names that a provider gave to all of its addresses from names that somebody gave to a mail server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Words that say so, as a whole word of a label. `static` is none of them: providers give it to those who may send mail.
const WORDS: [&str; 34] = [
    "adsl",
    "broadband",
    "cable",
    "client",
    "clients",
    "cpe",
    "cust",
    "customer",
    "customers",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dip",
    "dsl",
    "dyn",
    "dynamic",
    "dynamicip",
    "dynip",
    "fiber",
    "fios",
    "ftth",
    "gpon",
    "home",
    "hsd",
    "modem",
    "pool",
    "pools",
    "ppp",
    "pppoe",
    "res",
    "residential",
    "vdsl",
    "wifi",
];

/// The same for words that only count in a longer name, since some of them are domains (`home.pl`, `pool.example`).
const LABELS_OF_DOMAIN: usize = 2;

/// Whether `name` looks like one that `address` was given by a rule: because it holds the address, or says what it is.
pub fn looks_generic(name: &str, address: IpAddr) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let labels = name.split('.').count();
    let host: Vec<_> = name.split('.').take(labels.saturating_sub(LABELS_OF_DOMAIN)).collect();
    let host = host.join(".");
    let says_so = words(&host).any(|word| {
        let word = word.trim_matches(|letter: char| letter.is_ascii_digit());
        WORDS.contains(&word)
    });
    says_so
        || match address {
            IpAddr::V4(v4) => holds_v4(&host, v4),
            IpAddr::V6(v6) => holds_v6(&host, v6),
        }
}

fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn holds_v4(host: &str, address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let mut backwards = octets;
    backwards.reverse();
    let numbers: Vec<u32> = host
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let forwards = octets.map(u32::from);
    let reversed = backwards.map(u32::from);
    // In any order that is in use: as it is, backwards, and the last three of the four in either direction.
    let last = forwards.get(1..).unwrap_or_default();
    let last_reversed = reversed.get(..3).unwrap_or_default();
    let orders = [&forwards[..], &reversed, last, last_reversed];
    if orders.iter().any(|order| numbers.windows(order.len()).any(|window| window == *order)) {
        return true;
    }
    let hex = |octets: [u8; 4]| octets.map(|octet| format!("{octet:02x}")).concat();
    let padded = |octets: [u8; 4]| octets.map(|octet| format!("{octet:03}")).concat();
    let joined = [padded(octets), padded(backwards)];
    let is_hex = |word: &str| [hex(octets), hex(backwards)].iter().any(|hex| word.contains(&**hex));
    joined.iter().any(|joined| host.contains(&**joined))
        || words(host).any(is_hex)
        || words(host).any(|word| {
            word.trim_start_matches(|it: char| it.is_ascii_alphabetic())
                == address.to_bits().to_string()
        })
}

fn holds_v6(host: &str, address: Ipv6Addr) -> bool {
    let digits = format!("{:032x}", address.to_bits());
    let (network, interface) = digits.split_at_checked(16).unwrap_or_default();
    let backwards: String = digits.chars().rev().collect();
    let plain: String = host.chars().filter(char::is_ascii_hexdigit).collect();
    let is_set = |half: &str| half.bytes().filter(|digit| *digit != b'0').count() > 4;
    let has_half = [network, interface].iter().any(|half| is_set(half) && plain.contains(half));
    let groups: Vec<_> = address.segments().iter().map(|group| format!("{group:x}")).collect();
    let last: Vec<_> = groups.iter().skip(4).map(String::as_str).collect();
    let written: Vec<_> = words(host).collect();
    has_half
        || plain.contains(&backwards)
        || (is_set(interface) && written.windows(4).any(|window| window == last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_rule_made() {
        for (name, address) in [
            ("192-0-2-99.example.net", "192.0.2.99"),
            ("host99.2.0.192.example.net", "192.0.2.99"),
            ("99-2-0-192.some.example.net.", "192.0.2.99"),
            ("ip192-000-002-099.example.net", "192.0.2.99"),
            ("ip192000002099.example.net", "192.0.2.99"),
            ("c0000263.example.net", "192.0.2.99"),
            ("p4fd1a8b2.dip0.t-ipconnect.de", "79.209.168.178"),
            ("pool-96-242-33-1.nwrknj.fios.verizon.net", "96.242.33.1"),
            ("c-73-15-20-1.hsd1.ca.comcast.net", "73.15.20.1"),
            ("cpe-76-90-1-2.socal.res.rr.com", "76.90.1.2"),
            ("dynamic.example.example.net", "192.0.2.99"),
            ("a.adsl2.example.net", "192.0.2.99"),
            ("3221226083.example.net", "192.0.2.99"),
            ("2001-db8-1-2-a1b2-c3d4-e5f6-1234.example.net", "2001:db8:1:2:a1b2:c3d4:e5f6:1234"),
            ("20010db800010002a1b2c3d4e5f61234.example.net", "2001:db8:1:2:a1b2:c3d4:e5f6:1234"),
            ("p200300c1a.dip0.t-ipconnect.de", "2003:c1:a::1"),
        ] {
            assert!(looks_generic(name, address.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn names_that_somebody_chose() {
        for (name, address) in [
            ("mail-ej1-f41.google.com", "209.85.218.41"),
            ("mail-db8eur05on2107.outbound.protection.outlook.com", "40.107.20.107"),
            ("smtp-out-21.example.com", "192.0.2.21"),
            ("a8-32.smtp-out.amazonses.com", "54.240.8.32"),
            ("mail.example.org", "192.0.2.99"),
            ("mx0a-00123456.pphosted.com", "148.163.150.1"),
            ("o1.sendgrid.example.net", "167.89.1.1"),
            ("static.example.example.net", "192.0.2.99"),
            ("cable.example", "192.0.2.99"),
            ("mail.home.pl", "192.0.2.99"),
            ("mx.dynamics.example.com", "192.0.2.99"),
            ("mx1.customerservice.example.com", "192.0.2.99"),
            ("mail2.example.org", "192.0.2.2"),
            ("mail-yw1-x112a.google.com", "2607:f8b0:4864:20::112a"),
            ("mx6.example.org", "2001:db8::25"),
            ("", "192.0.2.99"),
        ] {
            assert!(!looks_generic(name, address.parse().unwrap()), "{name}");
        }
    }
}
