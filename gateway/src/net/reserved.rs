//! Names the address ranges that cannot be a sender on the public Internet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

use super::client::fold;

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

/// Says whether `address` is in a range that no public sender can have, and in which.
///
/// The documentation and benchmark ranges count as public: nobody sends from them, so a list entry there is deliberate.
pub fn reserved(address: IpAddr) -> Option<Reserved> {
    match fold(address) {
        IpAddr::V4(v4) => reserved_v4(v4),
        IpAddr::V6(v6) => reserved_v6(v6),
    }
}

fn reserved_v4(v4: Ipv4Addr) -> Option<Reserved> {
    let [a, b, ..] = v4.octets();
    match (a, b) {
        (127, _) => Some(Reserved::Loopback),
        (169, 254) => Some(Reserved::LinkLocal),
        (100, 64..=127) => Some(Reserved::Private),
        (0 | 224.., _) => Some(Reserved::Unroutable),
        _ if v4.is_private() => Some(Reserved::Private),
        _ => None,
    }
}

fn reserved_v6(v6: Ipv6Addr) -> Option<Reserved> {
    if v6.is_loopback() {
        Some(Reserved::Loopback)
    } else if v6.is_unicast_link_local() {
        Some(Reserved::LinkLocal)
    } else if v6.is_unique_local() {
        Some(Reserved::Private)
    } else if v6.is_unspecified() || v6.is_multicast() {
        Some(Reserved::Unroutable)
    } else {
        None
    }
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
