//! What records keep of an envelope and a header: the text, a pseudonym that the same text always has here, or nothing.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE32_DNSSEC;
use ring::hmac;
use serde_json::Value;

use super::terms::{Kind, Word};
use crate::file;
use crate::net::Prefix;
use crate::policy::{Envelope, Record};

/// What a pseudonym begins with; alone it stands for what is not kept.
const MARK: &str = "~";
/// A word that no record has.
const NOBODY: &str = "\0";
/// Octets of the hash that a pseudonym shows: nobody finds another text with the same one.
const SHOWN: usize = 10;
/// Octets of the key.
const KEY: usize = 32;

/// What is kept of one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// The text.
    #[default]
    Text,
    /// A pseudonym; of a mailbox the domain stays.
    Hash,
    /// Nothing.
    Nothing,
}

/// What is kept of each field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Privacy {
    /// The name of HELO.
    pub helo: Keep,
    /// The address of MAIL FROM.
    pub sender: Keep,
    /// The addresses of RCPT TO.
    pub recipients: Keep,
    /// The Message-ID field.
    pub message_id: Keep,
    /// The Subject field.
    pub subject: Keep,
    /// The file of the key that pseudonyms are made with; it is made when it is needed.
    pub key: PathBuf,
}

impl Privacy {
    const fn fields(&self) -> [Keep; 5] {
        [self.helo, self.sender, self.recipients, self.message_id, self.subject]
    }
}

/// Puts pseudonyms in the place of texts.
#[derive(Debug)]
pub struct Veil {
    privacy: Privacy,
    /// `None` where no field needs it.
    key: Option<hmac::Key>,
}

impl Veil {
    /// Whether a text of a record is a pseudonym, or stands for what is not kept.
    pub fn hides(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// Reads the key, or makes one.
    pub fn open(privacy: &Privacy) -> io::Result<Self> {
        let is_needed = privacy.fields().contains(&Keep::Hash);
        let key = is_needed.then(|| key(&privacy.key)).transpose()?;
        let key = key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key));
        Ok(Self { privacy: privacy.clone(), key })
    }

    /// The same for who only looks: where there is no key, nothing was recorded with it.
    pub fn to_search(privacy: &Privacy) -> io::Result<Self> {
        if privacy.key.try_exists()? { Self::open(privacy) } else { Ok(Self::none()) }
    }

    /// One that keeps all texts.
    pub fn none() -> Self {
        Self { privacy: Privacy::default(), key: None }
    }

    /// Whether all texts are kept.
    pub(super) fn is_none(&self) -> bool {
        self.privacy.fields() == [Keep::Text; 5]
    }

    /// What a word looks like in records that are written now.
    pub fn word<'a>(&self, kind: Kind, value: &'a str) -> Cow<'a, str> {
        let privacy = &self.privacy;
        let keep = match kind {
            Kind::Sender => privacy.sender,
            Kind::Recipient => privacy.recipients,
            Kind::MessageId => privacy.message_id,
            _ => Keep::Text,
        };
        let word = Word::new(kind, value);
        let is_veiled = Self::hides(word.value()) || word.value().is_empty();
        match keep {
            _ if is_veiled => Cow::Borrowed(value),
            // Whatever it was, no record has it.
            Keep::Nothing => Cow::Borrowed(NOBODY),
            keep => self.veiled(keep, kind, value),
        }
    }

    /// A record that is no decision, whose fields have the same names.
    pub(super) fn fields(&self, mut record: Value) -> Value {
        let Privacy { sender, recipients, message_id, subject, .. } = self.privacy;
        let mut changed = Vec::new();
        let mut veil = |keep, kind, text: &mut Value| {
            let Some(said) = text.as_str().filter(|said| !said.is_empty()) else { return };
            let veiled = self.veiled(keep, kind, said).into_owned();
            changed.push((said.to_owned(), veiled.clone()));
            *text = Value::String(veiled);
        };
        for (name, keep, kind) in [
            ("sender", sender, Kind::Sender),
            ("message_id", message_id, Kind::MessageId),
            ("subject", subject, Kind::QueueId),
        ] {
            if let Some(text) = record.get_mut(name) {
                veil(keep, kind, text);
            }
        }
        if let Some(Value::Array(all)) = record.get_mut("recipients") {
            for text in all {
                veil(recipients, Kind::Recipient, text);
            }
        }
        for name in ["reply", "next_hop"] {
            if let Some(Value::String(reply)) = record.get_mut(name) {
                replace_all(reply, &changed);
            }
        }
        if let Some(asked) = record.get_mut("asked") {
            self.asked(asked);
        }
        record
    }

    /// What was asked for in the control centre: to whom a message in quarantine shall go, and which senders are to be forgotten.
    fn asked(&self, asked: &mut Value) {
        let Privacy { sender, recipients, .. } = self.privacy;
        if let Some(Value::String(to)) = asked.get_mut("to") {
            let all = to.split(", ").map(|to| self.veiled(recipients, Kind::Recipient, to));
            *to = all.collect::<Vec<_>>().join(", ");
        }
        // That is a network or a domain, or else a part of a sender or recipient: nobody knows of which.
        let either = match [sender, recipients] {
            all if all.contains(&Keep::Nothing) => Keep::Nothing,
            all if all.contains(&Keep::Hash) => Keep::Hash,
            _ => Keep::Text,
        };
        if let Some(Value::String(which)) = asked.get_mut("which")
            && !which.starts_with('@')
            && which.parse::<Prefix>().is_err()
        {
            *which = self.veiled(either, Kind::Sender, which).into_owned();
        }
    }

    /// The envelope as it is recorded; `None` where it stays as it is.
    pub(super) fn envelope(&self, said: Option<&Envelope>) -> Option<Envelope> {
        let Privacy { helo, sender, recipients, .. } = self.privacy;
        let said = said.filter(|_said| [helo, sender, recipients] != [Keep::Text; 3])?;
        let Envelope { helo: name, sender: from, recipients: to } = said;
        Some(Envelope {
            helo: self.veiled(helo, Kind::QueueId, name).into_owned(),
            // A bounce has nobody to be told of.
            sender: if from.is_empty() {
                String::new()
            } else {
                self.veiled(sender, Kind::Sender, from).into_owned()
            },
            recipients: to
                .iter()
                .map(|to| self.veiled(recipients, Kind::Recipient, to).into_owned())
                .collect(),
        })
    }

    /// The record with `veiled` in the place of its envelope, and its other texts as they are kept.
    pub(super) fn record<'a>(
        &self,
        record: Record<'a>,
        veiled: Option<&'a Envelope>,
    ) -> Record<'a> {
        if self.is_none() {
            return record;
        }
        let Privacy { message_id, subject, .. } = self.privacy;
        let mut changed = Vec::new();
        let mut other = |keep, kind, text: Option<String>| {
            let text = text?;
            let veiled = self.veiled(keep, kind, &text).into_owned();
            changed.push((text, veiled.clone()));
            Some(veiled).filter(|_veiled| keep != Keep::Nothing)
        };
        let mut record = Record {
            message_id: other(message_id, Kind::MessageId, record.message_id),
            subject: other(subject, Kind::QueueId, record.subject),
            ..record
        };
        if let (Some(said), Some(veiled)) = (record.envelope, veiled) {
            let recipients = said.recipients.iter().zip(&veiled.recipients);
            let all = recipients.chain([(&said.sender, &veiled.sender)]);
            changed.extend(all.map(|(text, veiled)| (text.clone(), veiled.clone())));
            record.envelope = Some(veiled);
        }
        for reply in [&mut record.reply, &mut record.next_hop].into_iter().flatten() {
            replace_all(reply, &changed);
        }
        record
    }

    fn veiled<'a>(&self, keep: Keep, kind: Kind, text: &'a str) -> Cow<'a, str> {
        match (keep, &self.key) {
            (Keep::Text, _) => Cow::Borrowed(text),
            (Keep::Hash, Some(key)) => Cow::Owned(pseudonym(key, kind, text)),
            (Keep::Hash | Keep::Nothing, _) => Cow::Borrowed(MARK),
        }
    }
}

/// Replies like to repeat what the envelope and the header say: each text in one gives way to its pseudonym, the longest first, since one
/// may be the end of another.
fn replace_all(reply: &mut String, pairs: &[(String, String)]) {
    let mut pairs: Vec<_> = pairs.iter().collect();
    pairs.sort_by_key(|(text, _veiled)| std::cmp::Reverse(text.len()));
    for (text, veiled) in pairs {
        replace(reply, text, veiled);
    }
}

/// Puts a pseudonym in the place of a mailbox in a reply, in whatever case a mail server wrote it. What has no `@` is too short a text
/// to be told from words.
fn replace(reply: &mut String, text: &str, veiled: &str) {
    if text == veiled || !text.contains('@') {
        return;
    }
    let (lower, sought) = (reply.to_ascii_lowercase(), text.to_ascii_lowercase());
    for (start, found) in lower.match_indices(&sought).collect::<Vec<_>>().into_iter().rev() {
        reply.replace_range(start..start + found.len(), veiled);
    }
}

/// The same for all spellings that mail treats alike.
fn pseudonym(key: &hmac::Key, kind: Kind, text: &str) -> String {
    let word = Word::new(kind, text);
    let hash = hmac::sign(key, word.value().as_bytes());
    let shown = hash.as_ref().get(..SHOWN).unwrap_or_default();
    let shown = BASE32_DNSSEC.encode(shown);
    match kind {
        Kind::Sender | Kind::Recipient => match word.value().rsplit_once('@') {
            Some((_local, domain)) => format!("{MARK}{shown}@{domain}"),
            None => format!("{MARK}{shown}"),
        },
        _ => format!("{MARK}{shown}"),
    }
}

/// The key in that file, made where there is none: readable by those who may read the records.
fn key(path: &Path) -> io::Result<[u8; KEY]> {
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("the key of pseudonyms, {}: {error}", path.display()))
    };
    if !path.try_exists().map_err(named)? {
        make_key(path).map_err(named)?;
    }
    let octets = fs::read(path).map_err(named)?;
    let length = octets.len();
    octets.try_into().map_err(|_other| {
        let text = format!(
            "{length} octets, expected {KEY}; take it from a backup, or remove it: then pseudonyms are other ones from now on"
        );
        named(io::Error::new(io::ErrorKind::InvalidData, text))
    })
}

fn make_key(path: &Path) -> io::Result<()> {
    let mut new = [0; KEY];
    getrandom::fill(&mut new).map_err(io::Error::other)?;
    file::make(path, 0o640, &new)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::{MessageFacts, Outcome, Policy, Reference, decide_message};

    fn privacy(folder: &TempDir, keep: Keep) -> Privacy {
        let key = folder.path().join("audit.key");
        Privacy { helo: keep, sender: keep, recipients: keep, message_id: keep, subject: keep, key }
    }

    /// A record of a message as it is written.
    fn written(veil: &Veil) -> Value {
        let decision =
            decide_message(&Policy::default(), MessageFacts::default(), 1, Reference::new(1));
        let envelope = Envelope {
            helo: "laptop.lan".to_owned(),
            sender: "Ann@Example.com".to_owned(),
            recipients: vec!["bob@example.org".to_owned(), "postmaster".to_owned()],
        };
        let outcome = Outcome {
            reply: Some("250 2.6.0 <1@x> queued".to_owned()),
            next_hop: Some("550 5.1.1 <bob@example.org>: unknown".to_owned()),
            message_id: Some("1@x".to_owned()),
            subject: Some("About Ann".to_owned()),
            ..Outcome::default()
        };
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let time = Timestamp::UNIX_EPOCH;
        let record = Record::new(time, client, client, Some(&envelope), &decision, outcome);
        let veiled = veil.envelope(record.envelope);
        serde_json::to_value(veil.record(record, veiled.as_ref())).unwrap()
    }

    #[test]
    fn what_is_kept_of_whom() {
        let folder = TempDir::new().unwrap();
        let whole = written(&Veil::none());
        assert_eq!(whole["envelope"]["sender"], "Ann@Example.com");
        let hashed = Veil::open(&privacy(&folder, Keep::Hash)).unwrap();
        let record = written(&hashed);
        // A pseudonym may have three letters of a name by chance.
        for name in ["Ann", "ann@", "bob@", "laptop", "postmaster", "1@x"] {
            assert!(!record.to_string().contains(name), "{name}: {record}");
        }
        let sender = record["envelope"]["sender"].as_str().unwrap();
        assert!(sender.starts_with('~') && sender.ends_with("@example.com"), "{sender}");
        let recipient = record["envelope"]["recipients"][0].as_str().unwrap();
        assert_eq!(record["next_hop"], format!("550 5.1.1 <{recipient}>: unknown"));
        // Whoever knows the text finds the record, in any spelling, in another process.
        let other = Veil::open(&privacy(&folder, Keep::Hash)).unwrap();
        assert_eq!(other.word(Kind::Sender, "<ann@example.com>"), sender);
        assert_eq!(other.word(Kind::Sender, sender), sender);
        assert_eq!(other.word(Kind::MessageId, "<1@x>"), record["message_id"].as_str().unwrap());
        assert_eq!(other.word(Kind::Sender, ""), "");
        assert_eq!(other.word(Kind::Sender, "<>"), "<>");
        let event = serde_json::json!({"sender": "ann@example.com", "recipients": ["bob@example.org"],
            "message_id": "1@x", "next_hop": "550 <BOB@example.org> unknown, <1@x>", "reference": "ABC", "client": null});
        let event = other.fields(event);
        assert_eq!(event["sender"], sender);
        let id = event["message_id"].as_str().unwrap();
        assert_eq!(event["next_hop"], format!("550 <{recipient}> unknown, <{id}>"));
        assert_eq!(event["reference"], "ABC");
        let asked = serde_json::json!({"asked": {"to": "bob@example.org, bob@example.org", "which": "ann@example.com", "reason": "why"}});
        let asked = &other.fields(asked)["asked"];
        assert_eq!(asked["to"], format!("{recipient}, {recipient}"));
        assert_eq!((&asked["which"], &asked["reason"]), (&sender.into(), &"why".into()));
        for which in ["192.0.2.1", "2001:db8::/32", "@example.com"] {
            let asked = serde_json::json!({"asked": {"which": which}});
            assert_eq!(other.fields(asked.clone()), asked);
        }
        let nothing = Veil::open(&privacy(&folder, Keep::Nothing)).unwrap();
        let asked = nothing.fields(serde_json::json!({"asked": {"to": "a@b, c@d", "which": "a@"}}));
        assert_eq!(asked, serde_json::json!({"asked": {"to": "~, ~", "which": "~"}}));
        assert_eq!(nothing.fields(serde_json::json!({"asked": null}))["asked"], Value::Null);
        assert_eq!(nothing.word(Kind::Sender, "ann@example.com"), NOBODY);
        let none = written(&nothing);
        assert_eq!(none["envelope"]["sender"], "~");
        assert_eq!(none["envelope"]["recipients"], serde_json::json!(["~", "~"]));
        assert_eq!((&none["subject"], &none["message_id"]), (&().into(), &().into()));
    }

    #[test]
    fn a_mailbox_that_ends_as_another_is_no_part_of_it() {
        let names = ["ann@x.org", "joann@x.org"].map(ToOwned::to_owned);
        let pairs = names.map(|name| (name.clone(), format!("~{}", name.len())));
        let mut reply = "550 <JoAnn@x.org> and <ann@x.org>".to_owned();
        replace_all(&mut reply, &pairs);
        assert_eq!(reply, "550 <~11> and <~9>");
    }

    #[test]
    fn a_bounce_stays_one() {
        let folder = TempDir::new().unwrap();
        let veil = Veil::open(&privacy(&folder, Keep::Hash)).unwrap();
        assert_eq!(veil.envelope(Some(&Envelope::default())).unwrap().sender, "");
    }

    #[test]
    fn a_key_that_is_none_is_told() {
        let folder = TempDir::new().unwrap();
        let privacy = privacy(&folder, Keep::Hash);
        fs::write(&privacy.key, "short").unwrap();
        let error = Veil::open(&privacy).unwrap_err().to_string();
        assert!(error.contains("audit.key: 5 octets, expected 32"), "{error}");
        let nowhere = Privacy { key: folder.path().join("none/audit.key"), ..privacy };
        assert!(Veil::open(&nowhere).is_err());
        assert!(Veil::open(&Privacy { key: nowhere.key, ..Privacy::default() }).is_ok());
    }
}
