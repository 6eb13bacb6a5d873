//! What facts beside lists and zones add to the score: the client's names.

use std::net::IpAddr;

use super::Evidence;
use crate::net::{Ptr, looks_generic};

/// What each kind of evidence adds to the score, -1000 to 1000; 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceWeights {
    /// The client has no reverse name.
    pub ptr_missing: i32,
    /// It has one that does not lead back to it.
    pub ptr_unconfirmed: i32,
    /// It has one that providers give to customers by the thousand.
    pub ptr_generic: i32,
    /// It greets with something that is no name and no address.
    pub helo_invalid: i32,
    /// It greets with our name, or with an address that is not its own.
    pub helo_forged: i32,
    /// It spoke before the greeting, lately.
    pub early_talking: i32,
}

impl Default for EvidenceWeights {
    /// What needs DNS is off.
    fn default() -> Self {
        Self {
            ptr_missing: 0,
            ptr_unconfirmed: 0,
            ptr_generic: 0,
            helo_invalid: 50,
            helo_forged: 150,
            early_talking: 200,
        }
    }
}

impl EvidenceWeights {
    /// Whether a reverse name makes a difference.
    pub const fn needs_ptr(&self) -> bool {
        self.ptr_missing != 0 || self.ptr_unconfirmed != 0 || self.ptr_generic != 0
    }

    /// What the reverse name of `address` adds. A fault of DNS adds nothing: it is not the client's.
    pub fn of_ptr(&self, address: IpAddr, ptr: &Ptr) -> Option<Evidence> {
        match ptr {
            Ptr::NotAsked | Ptr::Fault(_) => None,
            Ptr::None => Evidence::new("ptr:missing", self.ptr_missing),
            Ptr::Unconfirmed(_) => Evidence::new("ptr:unconfirmed", self.ptr_unconfirmed),
            Ptr::Confirmed(name) if looks_generic(name, address) => {
                Evidence::new("ptr:generic", self.ptr_generic)
            }
            Ptr::Confirmed(_) => None,
        }
    }

    /// What the name adds that the client `address` greets `hostname` with (RFC 5321 section 4.1.1.1: a domain or an address).
    pub fn of_helo(&self, address: IpAddr, helo: &str, hostname: &str) -> Option<Evidence> {
        let literal = helo.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(literal) = literal {
            let digits = literal
                .get(..5)
                .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"))
                .and_then(|_tag| literal.get(5..))
                .unwrap_or(literal);
            return match digits.parse::<IpAddr>() {
                Ok(said) if said.to_canonical() == address.to_canonical() => None,
                Ok(_other) => Evidence::new("helo:forged", self.helo_forged),
                Err(_no_address) => Evidence::new("helo:invalid", self.helo_invalid),
            };
        }
        let name = helo.trim_end_matches('.');
        if name.eq_ignore_ascii_case(hostname) {
            return Evidence::new("helo:forged", self.helo_forged);
        }
        let is_letter = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
        let labels = || name.split('.');
        let is_name = labels().count() > 1
            && labels().all(|label| !label.is_empty() && label.chars().all(is_letter))
            // A bare address is no name.
            && labels().next_back().is_some_and(|last| !last.chars().all(|it| it.is_ascii_digit()));
        if is_name { None } else { Evidence::new("helo:invalid", self.helo_invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: EvidenceWeights = EvidenceWeights {
        ptr_missing: 1,
        ptr_unconfirmed: 2,
        ptr_generic: 3,
        helo_invalid: 4,
        helo_forged: 5,
        early_talking: 6,
    };

    fn shown(evidence: Option<Evidence>) -> String {
        evidence.map_or_else(|| "-".to_owned(), |item| format!("{} {}", item.name, item.weight))
    }

    #[test]
    fn names_that_a_client_greets_with() {
        for (helo, expected) in [
            ("mail.example.com", "-"),
            ("mail.example.com.", "-"),
            ("bücher.example.com", "-"),
            ("[192.0.2.7]", "-"),
            ("[IPv6:::ffff:192.0.2.7]", "-"),
            ("[192.0.2.8]", "helo:forged 5"),
            ("MX.example.org", "helo:forged 5"),
            ("192.0.2.7", "helo:invalid 4"),
            ("localhost", "helo:invalid 4"),
            ("WIN-7Q", "helo:invalid 4"),
            ("[no address]", "helo:invalid 4"),
            ("a..example.com", "helo:invalid 4"),
        ] {
            let address = "192.0.2.7".parse().unwrap();
            assert_eq!(shown(ON.of_helo(address, helo, "mx.example.org")), expected, "{helo}");
        }
    }

    #[test]
    fn reverse_names() {
        let address = "192.0.2.7".parse().unwrap();
        for (ptr, expected) in [
            (Ptr::NotAsked, "-"),
            (Ptr::None, "ptr:missing 1"),
            (Ptr::Unconfirmed(vec!["mail.example.com".into()]), "ptr:unconfirmed 2"),
            (Ptr::Confirmed("192-0-2-7.dsl.example.net".into()), "ptr:generic 3"),
            (Ptr::Confirmed("mail.example.com".into()), "-"),
        ] {
            assert_eq!(shown(ON.of_ptr(address, &ptr)), expected, "{ptr:?}");
        }
        assert!(ON.needs_ptr() && !EvidenceWeights::default().needs_ptr());
    }
}
