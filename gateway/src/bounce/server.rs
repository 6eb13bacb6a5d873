//! Finds out who said a reply: the mail server that a bounce or a log line names.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use crate::net::fold;

/// Letters of a host name.
const LONGEST: usize = 253;

/// Words behind which a server stands, in small letters, and whether more must show that it is one.
const BEFORE: [(&str, bool); 8] = [
    ("host ", true),
    ("connected to ", true),
    ("h=", false),
    ("relay=", false),
    ("talking to ", false),
    ("remote server at ", false),
    ("receiving server: ", false),
    ("receiving server:", false),
];

/// Words before which a server stands.
const BEHIND: [&str; 5] = [
    " gave this error:",
    " failed after i sent the message",
    " does not like recipient",
    " #5.",
    " #4.",
];

/// A mail server as a text names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Its name, in small letters and without a dot at its end.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
}

impl Host {
    /// The host at the start of `text`: `NAME`, `NAME[ADDRESS]`, `NAME (ADDRESS, more)` or an address; and what follows it.
    pub(super) fn read(text: &str) -> Option<(Self, &str)> {
        let token = text.split([' ', ',', ';', ')', ']']).next().unwrap_or_default();
        if let (Ok(address), Some(rest)) = (token.parse::<IpAddr>(), text.get(token.len()..)) {
            return Some((Self { name: None, address: Some(fold(address)) }, rest));
        }
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        let end = text.find(|letter| !is_part(letter)).unwrap_or(text.len());
        let (word, rest) = text.split_at_checked(end)?;
        let (in_brackets, after) = bracketed(rest.trim_start()).unzip();
        let after = after.unwrap_or(rest);
        let word = word.trim_end_matches('.');
        // Behind a name there may stand other things in brackets.
        let (address, after) = match in_brackets {
            Some(Some(address)) => (Some(address), after),
            _ => (None, rest),
        };
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some((Self { name: None, address: Some(fold(address)) }, after));
        }
        let is_name = word.contains('.') || (address.is_some() && !word.is_empty());
        let name = (is_name && word.len() <= LONGEST).then(|| word.to_ascii_lowercase());
        (name.is_some() || address.is_some()).then_some((Self { name, address }, after))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.address) {
            (Some(name), Some(address)) => write!(f, "{name} [{address}]"),
            (Some(name), None) => f.write_str(name),
            (None, Some(address)) => write!(f, "[{address}]"),
            (None, None) => f.write_str("?"),
        }
    }
}

/// The address in the brackets with which `text` begins, if it is one, and what follows the brackets.
fn bracketed(text: &str) -> Option<(Option<IpAddr>, &str)> {
    let inside = text.strip_prefix(['[', '('])?;
    // An address is no longer than that, with what some write before it.
    let end = inside.bytes().take(60).position(|octet| matches!(octet, b']' | b')' | b','))?;
    let (word, after) = inside.split_at_checked(end)?;
    let word = word.trim_start_matches("IPv6:").trim_start_matches("ipv6:");
    let after = after.get(1..).unwrap_or_default();
    Some((word.trim().parse().ok().map(fold), after))
}

/// The servers in `paragraph`, whose text in small letters is `lower`; at most `most` of them.
pub(super) fn servers(paragraph: &str, lower: &str, most: usize) -> Vec<Host> {
    let mut found = Vec::new();
    for (before, needs_more) in BEFORE {
        for (at, _) in lower.match_indices(before).take(most) {
            if before.ends_with('=') && !is_word_start(lower, at) {
                continue;
            }
            let Some(rest) = paragraph.get(at.saturating_add(before.len())..) else { continue };
            let Some((host, after)) = Host::read(rest) else { continue };
            let is_said = [" said", " refused", " but ", ":"].iter();
            let is_said =
                is_said.clone().any(|word| after.trim_start_matches(')').starts_with(word));
            if !needs_more || host.address.is_some() && host.name.is_some() || is_said {
                found.push(host);
            }
        }
    }
    for behind in BEHIND {
        for (at, _) in lower.match_indices(behind).take(most) {
            let before = paragraph.get(..at).unwrap_or_default();
            let word = before.rsplit([' ', '<', '(']).next().unwrap_or_default();
            let is_code = behind.starts_with(" #") && !before.ends_with(&format!("<{word}"));
            found.extend(Host::read(word).filter(|_| !is_code).map(|(host, _)| host));
        }
    }
    found.truncate(most);
    found
}

fn is_word_start(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.is_empty() || before.ends_with([' ', ',', '(']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_bounces_and_logs_name_them() {
        for (text, expected) in [
            ("<b@x>: host mx1.example.org[192.0.2.1] said: 554", "mx1.example.org [192.0.2.1]"),
            (
                "(host mx1.example.org[2001:db8::1] refused to talk to me: 554",
                "mx1.example.org [2001:db8::1]",
            ),
            ("relay=mx1.example.org[192.0.2.1]:25, delay=1", "mx1.example.org [192.0.2.1]"),
            ("relay=mx1.example.org. [192.0.2.1], dsn=5.7.1", "mx1.example.org [192.0.2.1]"),
            ("relay=none, delay=1", ""),
            (
                "T=remote_smtp H=mx1.example.org [192.0.2.1]: SMTP error",
                "mx1.example.org [192.0.2.1]",
            ),
            ("host MX1.example.org [192.0.2.1]: 554 5.7.1 no", "mx1.example.org [192.0.2.1]"),
            ("... while talking to mx1.example.org.: <<< 554", "mx1.example.org"),
            (
                "Remote Server at mx1.example.org (192.0.2.1) returned '554",
                "mx1.example.org [192.0.2.1]",
            ),
            ("Connected to 192.0.2.1 but greeting failed.", "[192.0.2.1]"),
            ("host 192.0.2.1[192.0.2.1] said: 554", "[192.0.2.1]"),
            ("192.0.2.1 failed after I sent the message.", "[192.0.2.1]"),
            ("mx1.example.org gave this error: no", "mx1.example.org"),
            ("<mx1.example.org #5.7.1 SMTP; 554 5.7.1 no>", "mx1.example.org"),
            ("see ticket #5.7 of the host example.org or of the host that said so", ""),
            ("DKIM-Signature: h=from:to:subject; bh=a.b", ""),
            ("host localhost[127.0.0.1] said: 550", "localhost [127.0.0.1]"),
            ("Client host [198.51.100.7] blocked", ""),
        ] {
            let found = servers(text, &text.to_ascii_lowercase(), 9);
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.join(", "), expected, "{text}");
        }
    }

    #[test]
    fn hosts_of_reports() {
        for (text, expected) in [
            ("mx1.example.org", "mx1.example.org"),
            (
                "mx1.example.org. (192.0.2.1, the server for the domain example.org.)",
                "mx1.example.org [192.0.2.1]",
            ),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("192.0.2.1", "[192.0.2.1]"),
            ("[IPv6:2001:db8::1]", "[2001:db8::1]"),
            ("mx1.example.org (a comment)", "mx1.example.org"),
            ("unknown", ""),
            ("", ""),
        ] {
            let found = Host::read(text).map(|(host, _)| host.to_string()).unwrap_or_default();
            assert_eq!(found, expected, "{text}");
        }
    }
}
