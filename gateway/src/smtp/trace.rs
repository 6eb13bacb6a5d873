//! What is written into the header of a message on its way: how it came here, what was found out about its sender.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::fmt::rfc2822;

use crate::clock::Timestamp;
use crate::net::Ptr;
use crate::policy::{Action, Decision, Reference};

/// Letters of what a peer wrote that are repeated.
const REPEATED: usize = 255;

/// How a message came here.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// The name that the client gave itself.
    pub hello: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// What reverse DNS says of it.
    pub ptr: Option<&'a Ptr>,
    /// Our own name.
    pub hostname: &'a str,
    /// What was spoken.
    pub protocol: Protocol,
    /// The name of the decision about the connection or the message.
    pub reference: &'a Reference,
    /// The recipient, where it is the only one: others must not learn of each other.
    pub recipient: Option<&'a str>,
    /// When.
    pub time: Timestamp,
}

/// What a client spoke, for the `with` clause (RFC 3848, RFC 6531 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// EHLO.
    pub extended: bool,
    /// TLS.
    pub tls: bool,
    /// A login that the next hop took.
    pub authenticated: bool,
    /// SMTPUTF8.
    pub utf8: bool,
}

impl Protocol {
    /// The word of the registry.
    pub const fn name(self) -> &'static str {
        match (self.utf8, self.extended, self.tls, self.authenticated) {
            (false, false, ..) => "SMTP",
            (false, true, false, false) => "ESMTP",
            (false, true, false, true) => "ESMTPA",
            (false, true, true, false) => "ESMTPS",
            (false, true, true, true) => "ESMTPSA",
            (true, _, false, false) => "UTF8SMTP",
            (true, _, false, true) => "UTF8SMTPA",
            (true, _, true, false) => "UTF8SMTPS",
            (true, _, true, true) => "UTF8SMTPSA",
        }
    }
}

/// The Received field, with its CRLF (RFC 5321 section 4.4).
pub fn received_field(trace: Trace<'_>) -> String {
    let Trace { hello, address, ptr, hostname, protocol, reference, recipient, time } = trace;
    let name = match ptr {
        Some(Ptr::Confirmed(name)) => safe(name),
        _ => "unknown".to_owned(),
    };
    let literal = match address {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    };
    let mut field = format!(
        "Received: from {} ({name} {literal})\r\n\tby {hostname} (Portcullis) with {} id {reference}",
        greeting(hello),
        protocol.name()
    );
    if let Some(recipient) = recipient.filter(|recipient| is_plain(recipient)) {
        push(&mut field, format_args!("\r\n\tfor <{recipient}>"));
    }
    push(&mut field, format_args!("; {}\r\n", date(time)));
    field
}

/// The Authentication-Results field, with its CRLF (RFC 8601): the verdict, and what reverse DNS says.
pub fn results_field(
    hostname: &str,
    address: IpAddr,
    ptr: Option<&Ptr>,
    decision: &Decision,
) -> String {
    let result = match decision.effective() {
        Action::Accept if decision.offending.is_none() => "pass",
        Action::Accept | Action::Observe => "neutral",
        _ => "fail",
    };
    let mut field = format!("Authentication-Results: {hostname};\r\n\tx-portcullis={result}");
    push(
        &mut field,
        format_args!(
            " policy.code={} policy.ip={} policy.reference={}",
            decision.verdict.code(),
            pvalue(decision.offending.as_ref().map_or(address, |offending| offending.ip)),
            decision.reference
        ),
    );
    if let Some(score) = &decision.score {
        push(&mut field, format_args!(" policy.score={}", score.value));
    }
    let iprev = match ptr {
        Some(Ptr::Confirmed(_)) => Some("pass"),
        Some(Ptr::None) => Some("permerror"),
        Some(Ptr::Unconfirmed(_)) => Some("fail"),
        Some(Ptr::Fault(_)) => Some("temperror"),
        Some(Ptr::NotAsked) | None => None,
    };
    if let Some(iprev) = iprev {
        push(&mut field, format_args!(";\r\n\tiprev={iprev} policy.iprev={}", pvalue(address)));
    }
    field.push_str("\r\n");
    field
}

/// Whether `field` is an Authentication-Results field in the name of `hostname`: what a sender wrote under our name is no
/// word of ours (RFC 8601 section 5).
pub fn is_results_of(field: &[u8], hostname: &str) -> bool {
    if !super::is_named(field, "Authentication-Results") {
        return false;
    }
    let text = String::from_utf8_lossy(field);
    let value = text.split_once(':').map_or("", |(_name, value)| value);
    // A comment may stand before it, and a version behind it; a forger is not given the benefit of a strict reader.
    let mut words = value.split([';', ' ', '\t', '\r', '\n', '(', ')', '"']);
    words.any(|word| word.eq_ignore_ascii_case(hostname))
}

/// The Subject field with `prefix` before its text; anything else as it is.
pub fn with_prefix(field: &[u8], prefix: &str) -> Option<Vec<u8>> {
    let colon = field.iter().position(|&octet| octet == b':')?;
    let (name, rest) = field.split_at(colon + 1);
    let text = rest.strip_prefix(b" ").unwrap_or(rest);
    Some([name, b" ", prefix.as_bytes(), text].concat())
}

/// An IPv6 address has colons, which only stand in quotes.
fn pvalue(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("\"{v6}\""),
    }
}

/// The name that a client gave itself: brackets only around the whole of it, or they would name an address that was not seen.
fn greeting(hello: &str) -> String {
    let is_literal =
        hello.starts_with('[') && hello.ends_with(']') && hello.matches(['[', ']']).count() == 2;
    let greeting = safe(hello);
    if is_literal { greeting } else { greeting.replace(['[', ']'], "?") }
}

/// What a peer wrote, with `?` for all that could end a clause, a comment or the field.
fn safe(text: &str) -> String {
    let safe = |letter: char| {
        let is_plain = letter.is_ascii_graphic() && !"()<>;\\\",".contains(letter);
        if is_plain { letter } else { '?' }
    };
    text.chars().take(REPEATED).map(safe).collect()
}

/// A recipient that can stand in the field as it is.
fn is_plain(recipient: &str) -> bool {
    recipient.len() <= REPEATED
        && recipient.bytes().all(|octet| octet.is_ascii_graphic() && !b"()<>;\\".contains(&octet))
}

fn date(time: Timestamp) -> String {
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC);
    rfc2822::to_string(&zoned)
        .unwrap_or_else(|_out_of_range| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

fn push(field: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = field.write_fmt(arguments);
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace<'a>(hello: &'a str, address: &str, reference: &'a Reference) -> Trace<'a> {
        Trace {
            hello,
            address: address.parse().unwrap(),
            ptr: None,
            hostname: "mx1.example.org",
            protocol: Protocol { extended: true, ..Protocol::default() },
            reference,
            recipient: None,
            time: "2026-11-29T10:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn says_who_when_and_how() {
        let reference = Reference::new(1);
        let confirmed = Ptr::Confirmed("mail.example.com".into());
        for (trace, expected) in [
            (
                trace("client.example", "192.0.2.7", &reference),
                "Received: from client.example (unknown [192.0.2.7])\r\n\tby mx1.example.org (Portcullis) with ESMTP id 0000000000001; Sun, 29 Nov 2026 10:00:00 +0000\r\n",
            ),
            (
                Trace {
                    ptr: Some(&confirmed),
                    recipient: Some("b@example.org"),
                    protocol: Protocol { extended: true, tls: true, ..Protocol::default() },
                    ..trace("[IPv6:2001:db8::7]", "2001:db8::7", &reference)
                },
                "Received: from [IPv6:2001:db8::7] (mail.example.com [IPv6:2001:db8::7])\r\n\tby mx1.example.org (Portcullis) with ESMTPS id 0000000000001\r\n\tfor <b@example.org>; Sun, 29 Nov 2026 10:00:00 +0000\r\n",
            ),
        ] {
            assert_eq!(received_field(trace), expected);
        }
    }

    #[test]
    fn nothing_of_a_sender_ends_a_clause() {
        let reference = Reference::new(1);
        for hello in ["a\r\nBcc: x", "x (y [192.0.2.9]) by z", "a;b", "b\u{fc}cher.example"] {
            let trace = Trace {
                recipient: Some("\"a b\"@example.org"),
                ..trace(hello, "192.0.2.7", &reference)
            };
            let field = received_field(trace);
            assert_eq!(field.matches("\r\n").count(), 2, "{field}");
            assert!(!field.contains("192.0.2.9]") && !field.contains("for <"), "{field}");
        }
    }

    #[test]
    fn the_word_is_that_of_the_registry() {
        for (extended, tls, authenticated, utf8, expected) in [
            (false, false, false, false, "SMTP"),
            (true, false, false, false, "ESMTP"),
            (true, true, false, false, "ESMTPS"),
            (true, true, true, false, "ESMTPSA"),
            (true, true, false, true, "UTF8SMTPS"),
        ] {
            assert_eq!(Protocol { extended, tls, authenticated, utf8 }.name(), expected);
        }
    }

    #[test]
    fn forged_results_are_known() {
        for (field, expected) in [
            ("Authentication-Results: mx1.example.org; spf=pass\r\n", true),
            ("authentication-results :\r\n\tMX1.example.org 1; none\r\n", true),
            ("Authentication-Results: (c) mx1.example.org; x\r\n", true),
            ("Authentication-Results: mx2.example.org; spf=pass\r\n", false),
            ("X-Authentication-Results: mx1.example.org; spf=pass\r\n", false),
        ] {
            assert_eq!(is_results_of(field.as_bytes(), "mx1.example.org"), expected, "{field}");
        }
    }

    #[test]
    fn a_subject_gets_its_prefix_once_and_stays_folded() {
        let found = with_prefix(b"Subject: a\r\n b\r\n", "[S] ").unwrap();
        assert_eq!(found, b"Subject: [S] a\r\n b\r\n");
        assert_eq!(with_prefix(b"Subject:\r\n", "[S] ").unwrap(), b"Subject: [S] \r\n");
    }
}
