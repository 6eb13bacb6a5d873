//! A mailbox between angle brackets, understood exactly or not at all.

use std::fmt;

/// A mailbox of `MAIL FROM` or `RCPT TO` as the client wrote it, with where its domain begins.
///
/// Nothing is unquoted or folded: what goes to the next hop is what was understood here, octet by octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    local: String,
    domain: Option<String>,
}

impl Mailbox {
    /// Reads `<…>` at the start of `text`; `None` is the null path `<>`. What follows the `>` comes back too.
    pub fn read(text: &str) -> Result<(Option<Self>, &str), PathError> {
        let inner = text.strip_prefix('<').ok_or(PathError::Brackets)?;
        if let Some(rest) = inner.strip_prefix('>') {
            return Ok((None, rest));
        }
        if inner.starts_with('@') {
            return Err(PathError::SourceRoute);
        }
        let (local, rest) = split(inner, local_part_length(inner)?)?;
        let (domain, rest) = match rest.strip_prefix('@') {
            Some(rest) => {
                let (domain, rest) = split(rest, domain_length(rest)?)?;
                (Some(domain.to_owned()), rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix('>').ok_or(PathError::Brackets)?;
        let local = local.to_owned();
        Ok((Some(Self { local, domain }), rest))
    }

    /// The part before the `@`, quotes included.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part behind the `@`.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Whether it needs SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain().is_none_or(str::is_ascii)
    }
}

impl fmt::Display for Mailbox {
    /// What stood between the brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{}@{domain}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

/// Why a path was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not stand between angle brackets.
    #[error("address without angle brackets, expected <local-part@domain>")]
    Brackets,
    /// The part before the `@`.
    #[error("bad local part, expected <local-part@domain>")]
    LocalPart,
    /// The part behind the `@`.
    #[error("bad domain, expected <local-part@domain>")]
    Domain,
    /// `@relay:` before the mailbox (RFC 5321 appendix C, obsolete).
    #[error("source routes are not accepted, expected <local-part@domain>")]
    SourceRoute,
}

fn split(text: &str, length: usize) -> Result<(&str, &str), PathError> {
    text.split_at_checked(length).ok_or(PathError::Brackets)
}

/// Dots may stand anywhere in an unquoted local part: such mailboxes exist, and no domain depends on it.
fn local_part_length(text: &str) -> Result<usize, PathError> {
    let length = match text.strip_prefix('"') {
        Some(quoted) => quoted_length(quoted)? + 1,
        None => text.find(|letter| !is_atom(letter) && letter != '.').unwrap_or(text.len()),
    };
    if length == 0 {
        return Err(PathError::LocalPart);
    }
    Ok(length)
}

/// The length of a quoted string with its closing quote, without its opening one.
fn quoted_length(text: &str) -> Result<usize, PathError> {
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok(at + 1),
            '\\' if !matches!(letters.next(), Some((_, ' '..='~'))) => break,
            letter if letter.is_control() => break,
            _ => {}
        }
    }
    Err(PathError::LocalPart)
}

fn domain_length(text: &str) -> Result<usize, PathError> {
    if text.starts_with('[') {
        let length = text.find(']').ok_or(PathError::Domain)? + 1;
        let literal = text.get(1..length - 1).unwrap_or_default();
        let fits =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | ':' | '-');
        return if !literal.is_empty() && literal.chars().all(fits) {
            Ok(length)
        } else {
            Err(PathError::Domain)
        };
    }
    let length = text.find(|letter| !is_domain(letter) && letter != '.').unwrap_or(text.len());
    let domain = text.get(..length).unwrap_or_default();
    // A dot at the end is no part of a mailbox, and two spellings of one domain are one too many.
    if domain.len() > 255 || domain.split('.').any(str::is_empty) {
        return Err(PathError::Domain);
    }
    Ok(length)
}

fn is_atom(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(letter) || is_wide(letter)
}

fn is_domain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_') || is_wide(letter)
}

fn is_wide(letter: char) -> bool {
    !letter.is_ascii() && !letter.is_control() && !letter.is_whitespace()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_domain_is_what_a_mailer_would_use() {
        for (text, local, domain) in [
            ("<a@example.org>", "a", Some("example.org")),
            ("<postmaster>", "postmaster", None),
            ("<\"a@evil.example\"@example.org>", "\"a@evil.example\"", Some("example.org")),
            (
                "<\"a\\\"@evil.example>\"@example.org>",
                "\"a\\\"@evil.example>\"",
                Some("example.org"),
            ),
            ("<a%evil.example@example.org>", "a%evil.example", Some("example.org")),
            ("<.a..b.@example.org>", ".a..b.", Some("example.org")),
            ("<a@[192.0.2.1]>", "a", Some("[192.0.2.1]")),
            ("<a@[IPv6:2001:db8::1]>", "a", Some("[IPv6:2001:db8::1]")),
            ("<b\u{fc}cher@b\u{fc}cher.example>", "b\u{fc}cher", Some("b\u{fc}cher.example")),
        ] {
            let (mailbox, rest) = Mailbox::read(text).unwrap();
            let mailbox = mailbox.unwrap();
            assert_eq!((mailbox.local(), mailbox.domain(), rest), (local, domain, ""), "{text}");
            assert_eq!(format!("<{mailbox}>"), text);
        }
        assert_eq!(Mailbox::read("<> SIZE=1"), Ok((None, " SIZE=1")));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        use PathError::{Brackets, Domain, LocalPart, SourceRoute};
        for (text, expected) in [
            ("a@example.org", Brackets),
            ("<a@example.org", Brackets),
            ("<a@b@example.org>", Brackets),
            ("<a b@example.org>", Brackets),
            ("<a@example.org>".trim_end_matches('>'), Brackets),
            ("<\"a\"b@example.org>", Brackets),
            ("<@relay.example:a@example.org>", SourceRoute),
            ("<@example.org>", SourceRoute),
            ("<\"a@example.org>", LocalPart),
            ("<\"a\u{1}\"@example.org>", LocalPart),
            ("<\"a\\\u{7f}\"@example.org>", LocalPart),
            ("<(c)a@example.org>", LocalPart),
            ("<a@>", Domain),
            ("<a@example.org.>", Domain),
            ("<a@.example.org>", Domain),
            ("<a@ex..ample.org>", Domain),
            ("<a@[192.0.2.1>", Domain),
            ("<a@[]>", Domain),
            ("<a@[x]y]>", Brackets),
            ("<a@exam ple.org>", Brackets),
            ("<a@example.org(c)>", Brackets),
            ("<a@example.org,b@example.net>", Brackets),
            ("<a@ex\u{a0}ample.org>", Brackets),
        ] {
            assert_eq!(Mailbox::read(text), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_understood_is_what_was_written(text in "<[a-c.@\"\\\\ >%!\\[\\]]{0,12}>") {
            if let Ok((Some(mailbox), rest)) = Mailbox::read(&text) {
                prop_assert_eq!(format!("<{mailbox}>{rest}"), text);
                if let Some(domain) = mailbox.domain() {
                    prop_assert!(!domain.contains(['@', '"', '>', ' ']));
                }
            }
        }
    }
}
