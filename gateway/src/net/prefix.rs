//! One IPv4 or IPv6 prefix, always with its host bits clear.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde::{Serialize, Serializer};

use super::client::fold;

/// An IPv4 or IPv6 prefix with its host bits clear; IPv4-mapped IPv6 prefixes are folded into IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNet);

impl Prefix {
    /// Builds the prefix of `length` bits round `address`; host bits are cleared.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let net = IpNet::new(address, length).map_err(|_out_of_range| PrefixError::Length {
            length: length.to_string(),
            longest: if address.is_ipv4() { 32 } else { 128 },
        })?;
        Ok(Self::from(net))
    }

    /// The prefix that holds `address` alone.
    pub fn host(address: IpAddr) -> Self {
        Self(IpNet::from(fold(address)))
    }

    /// The network around `address`, IPv4-mapped ones folded: so many bits of IPv4, so many of IPv6. A length that is none is that of a host.
    pub fn around(address: IpAddr, bits_v4: u8, bits_v6: u8) -> Self {
        let address = fold(address);
        let length = if address.is_ipv4() { bits_v4 } else { bits_v6 };
        Self::new(address, length).unwrap_or_else(|_too_long| Self::host(address))
    }

    /// The prefix of `length` bits at `address`, whose host bits are clear already and which is no IPv4 in disguise.
    ///
    /// What can be no length is taken as that of a host.
    pub(crate) fn clear(address: IpAddr, length: u8) -> Self {
        Self(IpNet::new(address, length).unwrap_or_else(|_too_long| address.into()))
    }

    /// Its two halves; `None` of a host.
    pub fn halves(self) -> Option<[Self; 2]> {
        let mut halves = self.0.subnets(self.0.prefix_len().checked_add(1)?).ok()?;
        Some([Self(halves.next()?), Self(halves.next()?)])
    }

    /// The first address.
    pub fn address(self) -> IpAddr {
        self.0.addr()
    }

    /// The length in bits.
    pub fn length(self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether `address` lies in the prefix.
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&fold(address))
    }

    /// Whether all of `other` lies in the prefix.
    pub fn covers(self, other: Self) -> bool {
        // Without the arithmetic on first and last addresses that `ipnet` does: this is asked for each of millions of entries.
        let same = match (self.0, other.0) {
            (IpNet::V4(a), IpNet::V4(b)) => {
                (a.addr().to_bits() ^ b.addr().to_bits()).leading_zeros()
            }
            (IpNet::V6(a), IpNet::V6(b)) => {
                (a.addr().to_bits() ^ b.addr().to_bits()).leading_zeros()
            }
            _ => return false,
        };
        same >= u32::from(self.length()) && self.length() <= other.length()
    }

    /// The prefix as `ipnet` has it, for tries and maps.
    pub fn net(self) -> IpNet {
        self.0
    }

    /// The fewest prefixes that cover exactly `first..=last`.
    pub fn cover(range: RangeInclusive<IpAddr>) -> Result<Vec<Self>, PrefixError> {
        let (first, last) = (fold(*range.start()), fold(*range.end()));
        if first > last {
            return Err(PrefixError::Backwards { first, last });
        }
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                Ok(Ipv4Subnets::new(first, last, 0).map(|net| Self(net.into())).collect())
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                Ok(Ipv6Subnets::new(first, last, 0).map(|net| Self(net.into())).collect())
            }
            _ => Err(PrefixError::Families { first, last }),
        }
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        Self(folded(net.trunc()))
    }
}

/// `::ffff:0:0/96` and what is inside it is IPv4 in disguise.
fn folded(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(length)) => IpNet::new(v4.into(), length).map_or(net, |net| net.trunc()),
        _ => net,
    }
}

impl fmt::Display for Prefix {
    /// A host without its length, as operators write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    /// Reads `ADDRESS` or `ADDRESS/LENGTH`.
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address =
            address.parse::<IpAddr>().map_err(|_not_an_address| PrefixError::address(address))?;
        let Some(length) = length else {
            return Ok(Self::host(address));
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        match length.parse::<u8>() {
            Ok(bits) if bits <= longest && length.bytes().all(|byte| byte.is_ascii_digit()) => {
                Self::new(address, bits)
            }
            _ => Err(PrefixError::Length { length: shown(length), longest }),
        }
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no prefix; the value first, then what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// The part before the slash is no address.
    #[error("`{found}` is no IP address, expected one like 192.0.2.7 or 2001:db8::7")]
    Address {
        /// The text found there.
        found: String,
    },
    /// The part after the slash is no length for this family.
    #[error("`{length}` is no prefix length, expected 0 to {longest}")]
    Length {
        /// The text found there.
        length: String,
        /// 32 for IPv4, 128 for IPv6.
        longest: u8,
    },
    /// A range ends before it begins.
    #[error("range {first} to {last} runs backwards, expected the lower address first")]
    Backwards {
        /// The first address as written.
        first: IpAddr,
        /// The last address as written.
        last: IpAddr,
    },
    /// A range begins in one family and ends in the other.
    #[error("range {first} to {last} mixes IPv4 with IPv6, expected one family")]
    Families {
        /// The first address as written.
        first: IpAddr,
        /// The last address as written.
        last: IpAddr,
    },
}

impl PrefixError {
    /// `found` stands where an address should.
    pub fn address(found: &str) -> Self {
        Self::Address { found: shown(found) }
    }
}

/// The head of a text that somebody else wrote, with its control characters escaped.
fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_round_its_address() {
        for (address, expected) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ] {
            let found = Prefix::around(address.parse().unwrap(), 24, 64);
            assert_eq!(found.to_string(), expected, "{address}");
        }
        let address = "192.0.2.77".parse().unwrap();
        assert_eq!(Prefix::around(address, 33, 64), Prefix::host(address));
    }

    #[test]
    fn reads_what_operators_write() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("300.1.1.1", "`300.1.1.1` is no IP address"),
            ("192.0.2.0/33", "`33` is no prefix length, expected 0 to 32"),
            ("192.0.2.0/+8", "`+8` is no prefix length"),
            ("2001:db8::/129", "`129` is no prefix length, expected 0 to 128"),
            ("192.0.2.0/", "`` is no prefix length"),
            ("", "`` is no IP address"),
            ("192.0.2.0/8\u{1b}[2J", "`8\\u{1b}[2J` is no prefix length, expected 0 to 32"),
        ] {
            let error = text.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_short() {
        for text in ["x".repeat(1000), format!("192.0.2.0/{}", "8".repeat(1000))] {
            let error = text.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.len() < 150, "{error}");
        }
    }

    #[test]
    fn a_range_becomes_the_fewest_prefixes() {
        let cover = |first: &str, last: &str| {
            Prefix::cover(first.parse().unwrap()..=last.parse().unwrap())
                .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(cover("192.0.2.0", "192.0.2.255").unwrap(), ["192.0.2.0/24"]);
        assert_eq!(cover("192.0.2.1", "192.0.2.3").unwrap(), ["192.0.2.1", "192.0.2.2/31"]);
        assert_eq!(cover("0.0.0.0", "255.255.255.255").unwrap(), ["0.0.0.0/0"]);
        assert_eq!(cover("2001:db8::", "2001:db8::1").unwrap(), ["2001:db8::/127"]);
        assert!(matches!(cover("192.0.2.9", "192.0.2.1"), Err(PrefixError::Backwards { .. })));
        assert!(matches!(cover("192.0.2.9", "2001:db8::"), Err(PrefixError::Families { .. })));
    }
}
