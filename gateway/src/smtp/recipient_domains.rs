//! The domains for which mail is taken, where this is enforced before the next hop.

use std::collections::BTreeSet;

use super::Mailbox;

/// The domains for which mail is taken; everything else is refused as relaying.
///
/// One with a dot before it stands for its subdomains, at any depth, and not for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientDomains(BTreeSet<String>);

impl RecipientDomains {
    /// The set of `domains`, whatever their case.
    pub fn new(domains: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(domains.into_iter().map(|domain| domain.as_ref().to_lowercase()).collect())
    }

    /// Whether mail for `recipient` ends here: its domain is one of ours, and its local part routes nowhere else.
    ///
    /// `user%elsewhere@ours`, `elsewhere!user@ours` and `"user@elsewhere"@ours` are routes for mailers that
    /// strip a local domain and look again (Postfix does, for clients that it trusts), quoted or not.
    pub fn accept(&self, recipient: &Mailbox) -> bool {
        let Some(domain) = recipient.domain() else {
            return recipient.local().eq_ignore_ascii_case("postmaster");
        };
        self.has(&domain.to_lowercase()) && !recipient.local().contains(['@', '%', '!', ':'])
    }

    fn has(&self, domain: &str) -> bool {
        let mut parents = domain.match_indices('.').filter_map(|(at, _dot)| domain.get(at..));
        self.0.contains(domain) || parents.any(|parent| self.0.contains(parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_round() {
        let domains = RecipientDomains::new(["Example.org", "b\u{fc}cher.example", ".Sub.example"]);
        for (path, expected) in [
            ("<a@example.org>", true),
            ("<a@EXAMPLE.ORG>", true),
            ("<a@B\u{dc}CHER.example>", true),
            ("<\"a b\"@example.org>", true),
            ("<postmaster>", true),
            ("<Postmaster>", true),
            ("<root>", false),
            ("<a@sub.example.org>", false),
            ("<a@x.sub.example>", true),
            ("<a@y.x.sub.example>", true),
            ("<a@sub.example>", false),
            ("<a@evilsub.example>", false),
            ("<a@example.org.evil.example>", false),
            ("<a@evil.example>", false),
            ("<a%evil.example@example.org>", false),
            ("<evil.example!a@example.org>", false),
            ("<\"a@evil.example\"@example.org>", false),
            ("<\"@evil.example:a\"@example.org>", false),
            ("<\"a%evil.example\"@example.org>", false),
            ("<a@[192.0.2.1]>", false),
        ] {
            let (mailbox, _) = Mailbox::read(path).unwrap();
            assert_eq!(domains.accept(&mailbox.unwrap()), expected, "{path}");
        }
        let (mailbox, _) = Mailbox::read("<a@example.org>").unwrap();
        assert!(!RecipientDomains::default().accept(&mailbox.unwrap()));
    }
}
