//! Says who turned the mail away: this host, perhaps this host, or somebody else; and what that belief rests on.

use std::net::IpAddr;

use serde::Serialize;

use super::behind::{Behind, FoundBy};
use crate::bounce::{Bounce, Form, Host};

/// Who turned the mail away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// This host.
    Us,
    /// The words are ours; that it was this host is not proved.
    PerhapsUs,
    /// Another host.
    SomebodyElse,
    /// Nothing tells.
    Unknown,
}

/// Who turned the mail away, and why that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Belief {
    pub(super) whose: Whose,
    pub(super) because: String,
}

/// This host, as others name it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Us<'a> {
    pub(super) hostname: &'a str,
    /// Its own addresses.
    pub(super) addresses: &'a [IpAddr],
}

impl Us<'_> {
    /// Loopback is everybody's.
    fn is(self, host: &Host) -> bool {
        let is_named =
            host.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(self.hostname));
        let is_own = |ip: &IpAddr| !ip.is_loopback() && self.addresses.contains(ip);
        is_named || host.address.as_ref().is_some_and(is_own)
    }
}

/// The strongest reason first: a reference that is known, the host that said it, the words.
pub(super) fn belief(bounce: &Bounce, behind: Option<&Behind>, us: Us<'_>) -> Belief {
    let believe = |whose, because: String| Belief { whose, because };
    if let Some(Behind { reference, decided_by, .. }) =
        behind.filter(|behind| behind.found_by == FoundBy::Reference)
    {
        let whose = if *decided_by == "kernel" { "kernel filter gave" } else { "daemon recorded" };
        return believe(Whose::Us, format!("this host's {whose} the reference {reference}"));
    }
    let has_our_words = !bounce.words.is_empty();
    let reference = bounce.references.iter().find(|found| found.named);
    if let Some(host) = bounce.servers.iter().find(|host| us.is(host)) {
        let words = match (has_our_words, reference) {
            (true, Some(found)) => format!(
                "; its reference {} is not in the audit trail, which may be of a later day",
                found.reference
            ),
            (true, None) => String::new(),
            // The proxy passes on what its next hop says.
            (false, _) => {
                "; the words are not this gateway's own, they come from the server behind it"
                    .to_owned()
            }
        };
        return believe(Whose::Us, format!("{host} said it, and that is this host{words}"));
    }
    let server = bounce.servers.first();
    match (server, reference, has_our_words) {
        (Some(host), Some(found), true) => believe(
            Whose::SomebodyElse,
            format!(
                "{host} said it, which is not this host; the words are those of Portcullis, and \
                 the reference {} is not known here: ask there",
                found.reference
            ),
        ),
        (Some(host), ..) => {
            believe(Whose::SomebodyElse, format!("{host} said it, which is not this host"))
        }
        (None, Some(found), true) => believe(
            Whose::PerhapsUs,
            format!(
                "the words are this gateway's, but the reference {} is not known here: it may be \
                 of another host, or older than the audit trail",
                found.reference
            ),
        ),
        (None, _, true) if behind.is_some() => believe(
            Whose::PerhapsUs,
            "the words are this gateway's, and it turned that address away".to_owned(),
        ),
        (None, _, true) => believe(
            Whose::PerhapsUs,
            "the words are this gateway's, as they are those of the one before it; nothing names the host".to_owned(),
        ),
        (None, ..) if bounce.replies.is_empty() => believe(Whose::Unknown, nothing_said(bounce)),
        (None, ..) => believe(
            Whose::Unknown,
            "the words are not this gateway's, and nothing names the host that said them".to_owned(),
        ),
    }
}

fn nothing_said(bounce: &Bounce) -> String {
    match bounce.form {
        Form::Message => "it is a message, and nothing in it says that it was turned away",
        _ => "nothing in it says that mail was turned away",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_it_was_and_why_that_is_believed() {
        let own: IpAddr = "192.0.2.1".parse().unwrap();
        let addresses = [own, IpAddr::from([127, 0, 0, 1])];
        let us = Us { hostname: "MX1.example.org", addresses: &addresses };
        for (text, expected, because) in [
            (
                "host mx1.example.org[203.0.113.1] said: 554 5.7.1 you are not allowed to connect",
                Whose::Us,
                "mx1.example.org",
            ),
            (
                "host edge.example[192.0.2.1] said: 554 5.7.1 you are not allowed to connect",
                Whose::Us,
                "edge.example",
            ),
            (
                "host mx1.example.org[192.0.2.1] said: 554 5.7.1 you are not allowed to connect; reference 3Y15F2JPVHMW4",
                Whose::Us,
                "later day",
            ),
            (
                "host mx1.example.org[192.0.2.1] said: 550 5.1.1 user unknown",
                Whose::Us,
                "behind it",
            ),
            ("host a.example[127.0.0.1] said: 554 5.7.1 no", Whose::SomebodyElse, "not this host"),
            (
                "host a.example[203.0.113.1] said: 554 5.7.1 you are not allowed to connect; reference 3Y15F2JPVHMW4",
                Whose::SomebodyElse,
                "ask there",
            ),
            (
                "554 5.7.1 you are not allowed to connect; reference 3Y15F2JPVHMW4",
                Whose::PerhapsUs,
                "not known here",
            ),
            ("554 5.7.1 you are not allowed to connect", Whose::PerhapsUs, "before it"),
            ("550 5.1.1 user unknown", Whose::Unknown, "not this gateway's"),
            ("good morning", Whose::Unknown, "nothing in it"),
        ] {
            let found = belief(&Bounce::read(text.as_bytes()), None, us);
            assert_eq!(found.whose, expected, "{text}: {found:?}");
            assert!(found.because.contains(because), "{text}: {found:?}");
        }
    }
}
