//! Whether a domain that a message proved is one that was configured.

/// Whether `proved` is the domain `exempt`, or, where that begins with a dot, one of its subdomains at any depth.
pub fn aligned(proved: &str, exempt: &str) -> bool {
    let [proved, exempt] =
        [proved, exempt].map(|domain| domain.strip_suffix('.').unwrap_or(domain).to_lowercase());
    if exempt.starts_with('.') {
        proved.len() > exempt.len() && !proved.starts_with('.') && proved.ends_with(&exempt)
    } else {
        !exempt.is_empty() && proved == exempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_means_subdomains_alone() {
        for (proved, exempt, expected) in [
            ("example.org", "example.org", true),
            ("EXAMPLE.org.", "Example.Org", true),
            ("mail.example.org", "example.org", false),
            ("evilexample.org", "example.org", false),
            ("mail.example.org", ".example.org", true),
            ("a.mail.example.org", ".Example.org", true),
            ("example.org", ".example.org", false),
            (".example.org", ".example.org", false),
            ("..example.org", ".example.org", false),
            ("evilexample.org", ".example.org", false),
            ("example.org.evil.example", ".example.org", false),
            ("", "", false),
            ("org", "", false),
            ("example.org", ".", false),
        ] {
            assert_eq!(aligned(proved, exempt), expected, "{proved} {exempt}");
        }
    }
}
