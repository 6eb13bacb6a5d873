//! Names the address ranges that cannot be a sender on the public Internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Serialize, Serializer};

use super::Prefix;

/// Why an address cannot be a public sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Link-local: 169.254.0.0/16 (RFC 3927), `fe80::/10` (RFC 4291).
    LinkLocal,
    /// Loopback: 127.0.0.0/8, `::1`.
    Loopback,
    /// Private: RFC 1918, shared carrier space 100.64.0.0/10 (RFC 6598), `fc00::/7` (RFC 4193).
    Private,
    /// No unicast address at all: 0.0.0.0/8, 224.0.0.0/3, `::`, `ff00::/8`.
    Unroutable,
}

impl fmt::Display for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Unroutable => "unroutable",
        })
    }
}

impl Serialize for Reserved {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The ranges, each with its name.
///
/// The documentation and benchmark ranges are not among them: nobody sends from them, so a list entry there is deliberate.
const RANGES: [(IpNet, Reserved); 13] = [
    v4([0, 0, 0, 0], 8, Reserved::Unroutable),
    v4([10, 0, 0, 0], 8, Reserved::Private),
    v4([100, 64, 0, 0], 10, Reserved::Private),
    v4([127, 0, 0, 0], 8, Reserved::Loopback),
    v4([169, 254, 0, 0], 16, Reserved::LinkLocal),
    v4([172, 16, 0, 0], 12, Reserved::Private),
    v4([192, 168, 0, 0], 16, Reserved::Private),
    v4([224, 0, 0, 0], 3, Reserved::Unroutable),
    v6(Ipv6Addr::UNSPECIFIED, 128, Reserved::Unroutable),
    v6(Ipv6Addr::LOCALHOST, 128, Reserved::Loopback),
    v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Reserved::Private),
    v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Reserved::LinkLocal),
    v6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Reserved::Unroutable),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8, range: Reserved) -> (IpNet, Reserved) {
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)), range)
}

const fn v6(address: Ipv6Addr, length: u8, range: Reserved) -> (IpNet, Reserved) {
    (IpNet::V6(Ipv6Net::new_assert(address, length)), range)
}

/// Says whether `address` is in a range that no public sender can have, and in which.
pub fn reserved(address: IpAddr) -> Option<Reserved> {
    reserved_prefix(Prefix::host(address))
}

/// Says whether all of `prefix` is in such a range, and in which.
pub fn reserved_prefix(prefix: Prefix) -> Option<Reserved> {
    let found = RANGES.iter().find(|(net, _range)| net.contains(&prefix.net()));
    found.map(|&(_net, range)| range)
}

/// The ranges of that kind that are a part of `prefix`.
pub fn reserved_within(prefix: Prefix) -> impl Iterator<Item = (Prefix, Reserved)> {
    let ranges = RANGES.iter().filter(move |(net, _range)| prefix.net().contains(net));
    ranges.map(|&(net, range)| (net.into(), range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_has_its_name() {
        for (address, expected) in [
            ("10.1.2.3", Some(Reserved::Private)),
            ("172.31.0.1", Some(Reserved::Private)),
            ("172.32.0.1", None),
            ("100.64.0.1", Some(Reserved::Private)),
            ("100.128.0.1", None),
            ("127.9.9.9", Some(Reserved::Loopback)),
            ("169.254.1.1", Some(Reserved::LinkLocal)),
            ("0.1.2.3", Some(Reserved::Unroutable)),
            ("239.1.1.1", Some(Reserved::Unroutable)),
            ("255.255.255.255", Some(Reserved::Unroutable)),
            ("192.0.2.1", None),
            ("198.18.0.1", None),
            ("::1", Some(Reserved::Loopback)),
            ("::ffff:10.0.0.1", Some(Reserved::Private)),
            ("fd00::1", Some(Reserved::Private)),
            ("fe80::1", Some(Reserved::LinkLocal)),
            ("ff02::1", Some(Reserved::Unroutable)),
            ("2001:db8::1", None),
        ] {
            assert_eq!(reserved(address.parse().unwrap()), expected, "{address}");
        }
    }
}
