//! Any octets that somebody gives for a bounce: the same every time, lists that are bounded, one line each, nothing invented.

use gateway::bounce::{Bounce, Place};
use gateway::net::fold;
use gateway_ebpf::reference::from_letters;

/// The most items of a list.
const MOST: usize = 64;

/// The most letters of a text.
const LONGEST: usize = 2000;

pub(crate) fn run(octets: &[u8]) {
    let found = Bounce::read(octets);
    assert_eq!(found, Bounce::read(octets));

    let lengths = [
        found.references.len(),
        found.addresses.len(),
        found.replies.len(),
        found.words.len(),
        found.servers.len(),
        found.recipients.len(),
        found.original_recipients.len(),
    ];
    assert!(lengths.iter().all(|length| *length <= MOST), "{lengths:?}");

    for named in &found.references {
        assert!(from_letters(&named.reference).is_some(), "{named:?}");
    }
    for said in &found.replies {
        assert!((400..600).contains(&said.code), "{said:?}");
        let class = (said.code / 100).to_string();
        assert!(said.enhanced.as_ref().is_none_or(|it| it.starts_with(&class)), "{said:?}");
    }
    for (at, seen) in found.addresses.iter().enumerate() {
        assert_eq!(seen.ip, fold(seen.ip), "IPv4 in disguise");
        assert!(found.addresses[..at].iter().all(|other| other.ip != seen.ip), "{seen:?} twice");
        assert_eq!(seen.place == Place::Client, found.client == Some(seen.ip), "{seen:?}");
    }

    let texts = found.replies.iter().map(|said| &said.text);
    let texts = texts.chain(found.servers.iter().filter_map(|server| server.name.as_ref()));
    let texts = texts.chain(&found.recipients).chain(&found.original_recipients);
    let alone = [&found.sender, &found.message_id, &found.reporter, &found.status];
    for text in texts.chain(alone.into_iter().flatten()) {
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.chars().count() <= LONGEST, "{} letters", text.len());
    }
}
