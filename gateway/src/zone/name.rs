//! The names that are asked for in a zone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::net::fold;

/// The most letters of a domain: the 64 of a reversed IPv6 address have to fit before it (RFC 1035 section 2.3.4).
const LONGEST: usize = 253 - 64;

/// The domain of a zone, perhaps with an access key before it, which is shown nowhere.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Domain {
    /// Without the key.
    public: Arc<str>,
    /// With the key; what is asked.
    asked: Arc<str>,
}

impl Domain {
    /// The domain `public`, asked with `key` before it where there is one.
    pub fn new(public: &str, key: Option<&str>) -> Result<Self, DomainError> {
        let public = public.trim_end_matches('.').to_ascii_lowercase();
        let key = key.map(str::trim);
        if !is_name(&public) {
            return Err(DomainError::Name(public.chars().take(80).collect()));
        }
        if key.is_some_and(|key| !is_name(key)) {
            return Err(DomainError::Key);
        }
        let asked = key.map_or_else(|| public.clone(), |key| format!("{key}.{public}"));
        if asked.len() > LONGEST {
            return Err(DomainError::Long { letters: asked.len() });
        }
        Ok(Self { public: public.into(), asked: asked.into() })
    }

    /// The domain without its key.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Whether `text` tells the access key.
    pub fn is_revealed_by(&self, text: &str) -> bool {
        let key = self.asked.strip_suffix(&*self.public).unwrap_or_default().trim_end_matches('.');
        !key.is_empty() && text.to_ascii_lowercase().contains(&key.to_ascii_lowercase())
    }

    /// The name to ask for about `address` (RFC 5782 sections 2.1 and 2.4), with the dot at its end. It may hold the key: it is
    /// for resolvers alone.
    pub fn question(&self, address: IpAddr) -> String {
        match fold(address) {
            IpAddr::V4(v4) => reversed_v4(v4, &self.asked),
            IpAddr::V6(v6) => reversed(v6, &self.asked),
        }
    }

    /// The same for the address of a test entry, which for IPv6 is an IPv4 one in disguise.
    pub fn test_question(&self, listed: bool, ipv6: bool) -> String {
        match test_point(listed, ipv6) {
            IpAddr::V6(v6) => reversed(v6, &self.asked),
            IpAddr::V4(v4) => self.question(v4.into()),
        }
    }
}

/// The name to ask for the names of `address` (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub fn reverse_question(address: IpAddr) -> String {
    match fold(address) {
        IpAddr::V4(v4) => reversed_v4(v4, "in-addr.arpa"),
        IpAddr::V6(v6) => reversed(v6, "ip6.arpa"),
    }
}

fn reversed_v4(address: Ipv4Addr, asked: &str) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.{asked}.")
}

fn reversed(address: Ipv6Addr, asked: &str) -> String {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut question = String::with_capacity(64 + asked.len() + 1);
    for octet in address.octets().into_iter().rev() {
        for nibble in [octet & 15, octet >> 4] {
            question.push(DIGITS.get(usize::from(nibble)).copied().unwrap_or('0'));
            question.push('.');
        }
    }
    question.push_str(asked);
    question.push('.');
    question
}

/// The address that every zone must have listed, or must not have listed (RFC 5782 section 5).
pub fn test_point(listed: bool, ipv6: bool) -> IpAddr {
    let v4 = Ipv4Addr::new(127, 0, 0, if listed { 2 } else { 1 });
    if ipv6 { v4.to_ipv6_mapped().into() } else { v4.into() }
}

fn is_name(name: &str) -> bool {
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    name.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(is_letter))
}

/// Without the key.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

/// Without the key, which must not get into logs this way either.
impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.public, f)
    }
}

/// Why a text is no domain of a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It is no name.
    #[error("{0:?}, expected a domain name like \"zen.example.org\"")]
    Name(String),
    /// The key is none; it is not shown.
    #[error("an access key that can be no part of a name, expected letters, digits and hyphens")]
    Key,
    /// It is too long for an address to fit before it.
    #[error("a name of {letters} letters, expected at most 189, so that an address fits before it")]
    Long {
        /// Its letters.
        letters: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_backwards() {
        let zone = Domain::new("Zen.Example.ORG.", None).unwrap();
        for (address, expected) in [
            ("192.0.2.99", "99.2.0.192.zen.example.org."),
            ("::ffff:192.0.2.99", "99.2.0.192.zen.example.org."),
            (
                "2001:db8:1:2:3:4:567:89ab",
                "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.zen.example.org.",
            ),
        ] {
            assert_eq!(zone.question(address.parse().unwrap()), expected);
        }
        assert_eq!(zone.test_question(true, false), "2.0.0.127.zen.example.org.");
        assert!(zone.test_question(false, true).starts_with("1.0.0.0.0.0.f.7.f.f.f.f.0."));
    }

    #[test]
    fn a_key_is_asked_and_never_shown() {
        let zone = Domain::new("zen.example.org", Some("s3cret\n")).unwrap();
        assert_eq!(zone.test_question(true, false), "2.0.0.127.s3cret.zen.example.org.");
        assert_eq!(format!("{zone} {zone:?} {}", zone.public()).matches("s3cret").count(), 0);
        let fault = Domain::new("zen.example.org", Some("not a key")).unwrap_err();
        assert!(!fault.to_string().contains("not a key"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a..b", "a b", ".", &"x".repeat(64), &"abc.".repeat(60)] {
            assert!(Domain::new(name, None).is_err(), "{name}");
        }
    }
}
