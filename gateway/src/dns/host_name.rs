//! Reads a host name that came out of DNS, where anybody can put anything.

use std::sync::Arc;

/// The host name `text`, in lower case and without a dot at its end; `None` where it is none (RFC 1123 section 2.1).
pub(super) fn host_name(text: &str) -> Option<Arc<str>> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_name = name.len() <= 253
        && name.split('.').all(is_label)
        && !last.bytes().all(|octet| octet.is_ascii_digit());
    is_name.then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_hosts_are_read() {
        for (text, expected) in [
            ("Mail.Example.ORG.", Some("mail.example.org")),
            ("a_b.example.org", Some("a_b.example.org")),
            ("localhost", Some("localhost")),
            ("192.0.2.1", None),
            ("a..b", None),
            ("", None),
            (".", None),
            ("-a.example", None),
            ("a\\010b.example.org.", None),
            ("<script>.example.org.", None),
            (&"abc.".repeat(64), None),
        ] {
            assert_eq!(host_name(text).as_deref(), expected, "{text:?}");
        }
    }
}
