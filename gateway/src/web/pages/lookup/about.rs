//! What somebody asks about: an address, a network, the reference of a decision, or something else.

use std::net::IpAddr;

use crate::net::{Prefix, fold};
use crate::review;

/// Letters of what is asked about that are shown.
pub(super) const LETTERS: usize = 200;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Nothing yet.
    Nothing,
    /// An address.
    Address(IpAddr),
    /// A network of more than one address.
    Network(Prefix),
    /// A decision.
    Reference(Box<str>),
    /// Nothing that can be looked up.
    Other,
}

impl About {
    /// What a text means.
    pub(super) fn read(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::Nothing;
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse() {
            return Self::Address(fold(address));
        }
        if let Ok(prefix) = text.parse::<Prefix>() {
            let address = prefix.address();
            let is_host = Prefix::host(address) == prefix;
            return if is_host { Self::Address(address) } else { Self::Network(prefix) };
        }
        review::reference(text).map_or(Self::Other, Self::Reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_references_are_told_apart() {
        let address = |text: &str| About::Address(text.parse().unwrap());
        let network = |text: &str| About::Network(text.parse().unwrap());
        for (text, expected) in [
            ("", About::Nothing),
            ("  ", About::Nothing),
            (" 192.0.2.1 ", address("192.0.2.1")),
            ("[2001:db8::1]", address("2001:db8::1")),
            ("::ffff:192.0.2.1", address("192.0.2.1")),
            ("192.0.2.1/32", address("192.0.2.1")),
            ("192.0.2.0/24", network("192.0.2.0/24")),
            ("2001:db8::/48", network("2001:db8::/48")),
            ("3y15f2jpvhmw4", About::Reference("3Y15F2JPVHMW4".into())),
            ("ann@example.org", About::Other),
            ("<script>", About::Other),
            ("192.0.2.0/33", About::Other),
        ] {
            assert_eq!(About::read(text), expected, "{text}");
        }
    }
}
