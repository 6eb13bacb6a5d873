//! Folds the two spellings of an IPv4 address into one.

use std::net::IpAddr;

/// An IPv4 address that arrived on an IPv6 socket (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) as what it is.
pub fn fold(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
