//! Zones that are known to have ended; some of them list the whole world since.

/// The domain of each, and of all below it, with what became of it.
const ENDED: [(&str, &str); 12] = [
    ("dnsbl.sorbs.net", "it ended in June 2024"),
    ("dnsbl.njabl.org", "it ended in 2013"),
    ("combined.njabl.org", "it ended in 2013"),
    ("dnsbl.ahbl.org", "it ended in 2015 and lists the whole world"),
    ("ircbl.ahbl.org", "it ended in 2015 and lists the whole world"),
    ("rhsbl.ahbl.org", "it ended in 2015 and lists the whole world"),
    ("cbl.abuseat.org", "it is a part of xbl.spamhaus.org now; use its successor"),
    ("list.dsbl.org", "it ended in 2008"),
    ("multihop.dsbl.org", "it ended in 2008"),
    ("unconfirmed.dsbl.org", "it ended in 2008"),
    ("relays.ordb.org", "it ended in 2006 and has listed the whole world since"),
    ("opm.blitzed.org", "it ended in 2006"),
];

/// What became of the zone `domain`, in lower case; `None` where nothing is known against it.
pub fn ended(domain: &str) -> Option<&'static str> {
    let is_below = |parent: &str| {
        domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    ENDED.iter().find(|(parent, _)| is_below(parent)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_zones_are_known_with_what_is_below_them() {
        for (domain, expected) in [
            ("dnsbl.sorbs.net", true),
            ("dul.dnsbl.sorbs.net", true),
            ("xdnsbl.sorbs.net", false),
            ("sorbs.net", false),
            ("zen.example.org", false),
        ] {
            assert_eq!(ended(domain).is_some(), expected, "{domain}");
        }
    }
}
