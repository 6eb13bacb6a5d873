//! Which of the remembered senders somebody means.

use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;

use super::Pool;

/// Which senders are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// One domain, or all networks inside one.
    Pool(Pool),
    /// All networks that have this address in them.
    Address(IpAddr),
    /// Those that have this text in their sender or recipient, or as their domain; in lower case.
    Text(Box<str>),
}

impl Selection {
    /// Whether tries from a pool are meant, by the pool or by their names.
    pub fn has_try(&self, pool: Option<&Pool>, sender: &str, recipient: &str) -> bool {
        pool.is_some_and(|pool| self.has_pool(pool)) || self.has_names(sender, recipient)
    }

    /// Whether a pool is meant.
    pub fn has_pool(&self, pool: &Pool) -> bool {
        match (self, pool) {
            (Self::All, _) => true,
            (Self::Pool(Pool::Network(wide)), Pool::Network(network)) => wide.covers(*network),
            (Self::Pool(wanted), pool) => wanted == pool,
            (Self::Address(address), Pool::Network(network)) => network.contains(*address),
            (Self::Text(text), Pool::Domain(domain)) => domain.contains(&**text),
            (Self::Address(_), Pool::Domain(_)) | (Self::Text(_), Pool::Network(_)) => false,
        }
    }

    /// Whether tries of a sender to a recipient are meant, by their names.
    pub fn has_names(&self, sender: &str, recipient: &str) -> bool {
        match self {
            Self::All => true,
            Self::Text(text) => sender.contains(&**text) || recipient.contains(&**text),
            Self::Pool(_) | Self::Address(_) => false,
        }
    }
}

impl FromStr for Selection {
    type Err = Infallible;

    /// An address, a prefix and `@DOMAIN` mean pools, any other text means itself.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        Ok(match text.parse::<Pool>() {
            Ok(pool) => Self::Pool(pool),
            Err(_no_pool) => Self::Text(text.to_lowercase().into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_selects_what_a_person_would_expect() {
        for (text, pools, names) in [
            ("192.0.2.7", &["192.0.2.0/24"][..], false),
            ("::ffff:192.0.2.7", &["192.0.2.0/24"], false),
            ("192.0.0.0/16", &["192.0.2.0/24"], false),
            ("192.0.2.0/25", &[], false),
            ("2001:db8::/32", &["2001:db8::/64"], false),
            ("@Example.org", &["@example.org"], false),
            ("@example.com", &[], false),
            ("Example", &["@example.org"], true),
            ("anna@", &[], true),
            ("bert", &[], true),
            ("carl", &[], false),
        ] {
            let Ok(selection) = text.parse::<Selection>();
            let all = ["192.0.2.0/24", "2001:db8::/64", "@example.org"];
            let found: Vec<_> =
                all.into_iter().filter(|pool| selection.has_pool(&pool.parse().unwrap())).collect();
            assert_eq!(found, pools, "{text}");
            let found = selection.has_names("anna@example.net", "bert@example.com");
            assert_eq!(found, names, "{text}");
        }
    }
}
