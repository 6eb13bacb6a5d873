//! The addresses that one sender may use in turn: a network, or all that SPF allows to a domain.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::Greylist;
use crate::net::{Prefix, PrefixError};

/// Addresses that the greylist takes for one sender.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pool {
    /// A network round the address.
    Network(Prefix),
    /// All addresses for which SPF passed for this domain, in lower case.
    Domain(Box<str>),
}

/// The longest name of a domain, in octets (RFC 1035 section 2.3.4).
const DOMAIN: usize = 255;

impl Pool {
    /// The network of an address.
    pub fn network(address: IpAddr, settings: &Greylist) -> Self {
        Self::Network(Prefix::around(address, settings.network_v4, settings.network_v6))
    }

    /// The pool of a domain for which SPF passed; `None` if the text can be no domain.
    pub fn domain(name: &str) -> Option<Self> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_name = !name.is_empty()
            && name.len() <= DOMAIN
            && !name.contains(|it: char| it.is_whitespace() || it.is_control() || it == '@');
        is_name.then(|| Self::Domain(name.to_lowercase().into()))
    }

    /// The pool that a person means with an address, a prefix inside a network, or `@DOMAIN`.
    pub fn meant(text: &str, settings: &Greylist) -> Result<Self, PoolError> {
        let Self::Network(prefix) = text.parse()? else { return text.parse() };
        match Self::network(prefix.address(), settings) {
            Self::Network(network) if !network.covers(prefix) => {
                Err(PoolError::Wide { prefix, length: network.length() })
            }
            pool => Ok(pool),
        }
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(prefix) => prefix.fmt(f),
            Self::Domain(name) => write!(f, "@{name}"),
        }
    }
}

impl FromStr for Pool {
    type Err = PoolError;

    /// Reads what it is shown as.
    fn from_str(text: &str) -> Result<Self, PoolError> {
        match text.strip_prefix('@') {
            Some(name) => Self::domain(name).ok_or_else(|| PoolError::Domain {
                found: name.chars().take(60).flat_map(char::escape_debug).collect(),
            }),
            None => Ok(Self::Network(text.parse()?)),
        }
    }
}

impl Serialize for Pool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a text is no pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// It is no network.
    #[error("{0}, and a domain is written as @example.org")]
    Network(#[from] PrefixError),
    /// What follows the @ is no domain.
    #[error("`{found}` is no domain, expected one like @example.org")]
    Domain {
        /// The text found there.
        found: String,
    },
    /// The prefix has more than one pool in it.
    #[error(
        "{prefix} is wider than what the greylist takes for one sender, expected /{length} or longer"
    )]
    Wide {
        /// The prefix.
        prefix: Prefix,
        /// The length of a pool of its family.
        length: u8,
    },
}

impl PoolError {
    /// What to do about it, where there is something.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Wide { .. } => Some("put a wider prefix on a list of good senders"),
            Self::Network(_) | Self::Domain { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_its_network() {
        let settings = Greylist::default();
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3::7", "2001:db8:1:2::/64"),
        ] {
            let pool = Pool::network(address.parse().unwrap(), &settings);
            assert_eq!(pool.to_string(), expected, "{address}");
        }
        let odd = Greylist { network_v4: 99, ..settings };
        let pool = Pool::network([192, 0, 2, 7].into(), &odd);
        assert_eq!(pool.to_string(), "192.0.2.7");
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for (text, shown) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7"),
            ("2001:db8::/64", "2001:db8::/64"),
            ("@Example.ORG.", "@example.org"),
        ] {
            let pool = text.parse::<Pool>().unwrap();
            assert_eq!(pool.to_string(), shown);
            assert_eq!(shown.parse(), Ok(pool));
        }
        let long = format!("@{}", "x".repeat(256));
        for (text, expected) in [
            ("@", "`` is no domain, expected one like @example.org"),
            ("@a b", "`a b` is no domain"),
            ("@a\u{1b}", "`a\\u{1b}` is no domain"),
            ("@a@b", "`a@b` is no domain"),
            (&*long, "`xxx"),
            ("example.org", "`example.org` is no IP address"),
        ] {
            let error = text.parse::<Pool>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn what_a_person_means_is_a_pool_that_is_asked_for() {
        let settings = Greylist::default();
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.0/24"),
            ("192.0.2.0/28", "192.0.2.0/24"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("2001:db8::7", "2001:db8::/64"),
            ("@example.org", "@example.org"),
        ] {
            assert_eq!(Pool::meant(text, &settings).unwrap().to_string(), expected, "{text}");
        }
        let error = Pool::meant("192.0.0.0/16", &settings).unwrap_err();
        let said = "192.0.0.0/16 is wider than what the greylist takes for one sender, \
                    expected /24 or longer";
        assert_eq!(error.to_string(), said);
        assert!(error.hint().is_some());
    }
}
