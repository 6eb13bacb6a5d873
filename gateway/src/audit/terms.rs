//! What a record can be found by: words of it, each as a key of 64 bits, and its addresses as 16 octets.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;

/// What a word of a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The name of the decision.
    Reference = 1,
    /// The Message-ID field of the message, without its brackets.
    MessageId = 2,
    /// The name of the message in the queue of a mail server.
    QueueId = 3,
    /// The address of MAIL FROM; empty for a bounce.
    Sender = 4,
    /// What stands behind its last @.
    SenderDomain = 5,
    /// One address of RCPT TO.
    Recipient = 6,
    /// What stands behind its last @.
    RecipientDomain = 7,
    /// The verdict for machines.
    Code = 8,
    /// What was decided.
    Action = 9,
    /// The list that decided.
    List = 10,
    /// The zone that decided.
    Zone = 11,
    /// When it was decided.
    Phase = 12,
}

impl Kind {
    /// A value as it is compared: what mail treats alike is alike here.
    fn normal(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Reference => upper(value.trim()),
            Self::MessageId => {
                let value = value.trim();
                Cow::Borrowed(value.strip_prefix('<').unwrap_or(value).trim_end_matches('>'))
            }
            Self::Sender | Self::Recipient => {
                let value = value.trim();
                let inner = value.strip_prefix('<').and_then(|value| value.strip_suffix('>'));
                lower(inner.unwrap_or(value))
            }
            Self::SenderDomain | Self::RecipientDomain => {
                lower(value.trim().trim_start_matches('@').trim_end_matches('.'))
            }
            Self::QueueId | Self::Code | Self::Action | Self::List | Self::Zone | Self::Phase => {
                Cow::Borrowed(value)
            }
        }
    }
}

fn upper(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|octet| octet.is_ascii_lowercase()) {
        Cow::Owned(text.to_ascii_uppercase())
    } else {
        Cow::Borrowed(text)
    }
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|octet| !octet.is_ascii() || octet.is_ascii_uppercase()) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// One word of a record, or one that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    kind: Kind,
    value: Cow<'a, str>,
}

impl<'a> Word<'a> {
    /// What `value` says as a word of that kind.
    pub fn new(kind: Kind, value: &'a str) -> Self {
        Self { kind, value: kind.normal(value) }
    }

    /// The same that lives on its own.
    pub fn into_owned(self) -> Word<'static> {
        Word { kind: self.kind, value: Cow::Owned(self.value.into_owned()) }
    }

    /// What kind of word it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it says.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The key under which records with it are found. Others may have the same: who finds one compares the word.
    ///
    /// Senders choose most words, so that the hash is one in which nobody can look for collisions in reasonable time.
    pub(super) fn key(&self) -> i64 {
        let hash = Sha256::new().chain_update([self.kind as u8]).chain_update(&*self.value);
        let hash = hash.finalize();
        let start = hash.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(start)
    }
}

/// What one record can be found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// When its outcome was final; 1970 where it does not say.
    pub time: Timestamp,
    /// Its words.
    pub words: Vec<Word<'a>>,
    /// The addresses in it, each once: client, logical client, hops.
    pub addresses: Vec<IpAddr>,
}

impl<'a> Terms<'a> {
    /// Reads the line of a record. One that says less than others is found by less.
    pub fn of(line: &'a str) -> Self {
        let Ok(fields) = serde_json::from_str::<Fields<'a>>(line) else { return Self::default() };
        let mut terms = Self { time: fields.time, ..Self::default() };
        let Envelope { sender, recipients } = fields.envelope.unwrap_or_default();
        let sender = sender.or(fields.sender);
        let message_id = fields.message_id;
        for (kind, text) in [
            (Kind::Reference, fields.reference),
            (Kind::MessageId, message_id),
            (Kind::QueueId, fields.queue_id),
            (Kind::Code, fields.code),
            (Kind::Action, fields.action),
            (Kind::List, fields.list),
            (Kind::Zone, fields.zone),
            (Kind::Phase, fields.phase),
        ] {
            if let Some(Text(text)) = text {
                terms.word(kind, text);
            }
        }
        if let Some(Text(sender)) = sender {
            terms.mailbox(Kind::Sender, Kind::SenderDomain, sender);
        }
        for Text(recipient) in recipients.into_iter().chain(fields.recipients) {
            terms.mailbox(Kind::Recipient, Kind::RecipientDomain, recipient);
        }
        let texts = fields.client.into_iter().chain(fields.logical_client);
        for Text(text) in texts.chain(fields.addresses.into_iter().map(|seen| seen.ip)) {
            terms.address(&text);
        }
        terms
    }

    fn word(&mut self, kind: Kind, text: Cow<'a, str>) {
        let value = match text {
            Cow::Borrowed(text) => kind.normal(text),
            Cow::Owned(text) => Cow::Owned(kind.normal(&text).into_owned()),
        };
        let word = Word { kind, value };
        // Many recipients have one domain.
        if !self.words.contains(&word) {
            self.words.push(word);
        }
    }

    fn mailbox(&mut self, kind: Kind, of_domain: Kind, text: Cow<'a, str>) {
        if let Some((_local, domain)) = text.rsplit_once('@') {
            self.word(of_domain, Cow::Owned(domain.to_owned()));
        }
        self.word(kind, text);
    }

    /// A client may come with its port.
    fn address(&mut self, text: &str) {
        let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
        let Ok(address) = text.parse::<IpAddr>().or_else(|_other| with_port()) else { return };
        let address = address.to_canonical();
        if !self.addresses.contains(&address) {
            self.addresses.push(address);
        }
    }
}

/// An address as 16 octets in the order in which networks lie together.
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The fields of a record that matter here; all kinds of records have some of them.
#[derive(Deserialize)]
struct Fields<'a> {
    time: Timestamp,
    #[serde(borrow)]
    reference: Option<Text<'a>>,
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    #[serde(borrow)]
    code: Option<Text<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    list: Option<Text<'a>>,
    #[serde(borrow)]
    zone: Option<Text<'a>>,
    #[serde(borrow)]
    queue_id: Option<Text<'a>>,
    #[serde(borrow)]
    message_id: Option<Text<'a>>,
    #[serde(borrow)]
    client: Option<Text<'a>>,
    #[serde(borrow)]
    logical_client: Option<Text<'a>>,
    #[serde(borrow)]
    envelope: Option<Envelope<'a>>,
    #[serde(borrow)]
    sender: Option<Text<'a>>,
    #[serde(borrow, default)]
    recipients: Vec<Text<'a>>,
    #[serde(borrow, default)]
    addresses: Vec<Address<'a>>,
}

/// A text, which lies in the line itself where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Default, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    sender: Option<Text<'a>>,
    #[serde(borrow, default)]
    recipients: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow)]
    ip: Text<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2026-11-20T08:00:00.5Z","reference":"ABC","phase":"message",
        "code":"accept","action":"accept","list":null,"client":"192.0.2.1",
        "logical_client":"::ffff:198.51.100.7","message_id":"<Id@x>","queue_id":"4Abc",
        "envelope":{"helo":"h","sender":"A@Example.COM","recipients":["b@x.org","C@x.org"]},
        "addresses":[{"ip":"192.0.2.1"},{"ip":"2001:db8::1"}],"odd":{"deep":[1]}}"#;

    #[test]
    fn a_record_is_found_by_its_words() {
        let terms = Terms::of(LINE);
        assert_eq!(terms.time.as_millisecond() % 1000, 500);
        for (kind, value, found) in [
            (Kind::Reference, "abc", true),
            (Kind::Reference, "abd", false),
            (Kind::MessageId, "Id@x", true),
            (Kind::MessageId, "<Id@x>", true),
            (Kind::MessageId, "id@x", false),
            (Kind::QueueId, "4Abc", true),
            (Kind::QueueId, "4abc", false),
            (Kind::Sender, "a@example.com", true),
            (Kind::Sender, "<a@EXAMPLE.com>", true),
            (Kind::Recipient, "a@example.com", false),
            (Kind::SenderDomain, "@example.com.", true),
            (Kind::Recipient, "c@x.org", true),
            (Kind::RecipientDomain, "X.org", true),
            (Kind::List, "null", false),
            (Kind::Phase, "message", true),
        ] {
            let word = Word::new(kind, value);
            assert_eq!(terms.words.contains(&word), found, "{kind:?} {value}");
            let by_key = terms.words.iter().any(|other| other.key() == word.key());
            assert_eq!(by_key, found, "{kind:?} {value}");
        }
        let addresses: Vec<_> = terms.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "198.51.100.7", "2001:db8::1"]);
    }

    #[test]
    fn other_records_say_less() {
        for (line, words, addresses) in [
            ("", 0, 0),
            ("{}", 0, 0),
            ("[1]", 0, 0),
            (r#"{"time":"2026-11-20T08:00:00Z"}"#, 0, 0),
            (r#"{"time":"2026-11-20T08:00:00Z","client":"nobody","sender":null}"#, 0, 0),
            (r#"{"time":"2026-11-20T08:00:00Z","client":"[::1]:25","sender":""}"#, 1, 1),
            (r#"{"time":"2026-11-20T08:00:00Z","recipients":["a@b","\u001b[2J\n@b"]}"#, 3, 0),
        ] {
            let terms = Terms::of(line);
            assert_eq!((terms.words.len(), terms.addresses.len()), (words, addresses), "{line}");
        }
    }
}
