//! Reads the newest records of the trail back: which addresses were seen in messages, and where.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Deserializer, de};

use super::file::open;
use crate::clock::Timestamp;
use crate::net::Hop;

/// How much of the end of the file is read, in octets: some ten thousand messages.
const NEWEST: u64 = 16 << 20;

/// References and names of header fields are shorter.
const LONGEST_WORD: usize = 100;

/// The end of the trail.
#[derive(Debug)]
pub struct Recent {
    pub(super) octets: Vec<u8>,
}

/// What the trail says of where a message has been.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SeenMessage {
    /// The name of the decision.
    #[serde(deserialize_with = "word")]
    pub reference: String,
    /// When its outcome was final.
    pub time: Timestamp,
    /// The first hop that was not one of our relays.
    pub logical_client: Option<IpAddr>,
    /// The addresses that were looked at, the client first.
    pub addresses: Vec<SeenAddress>,
}

/// One address of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SeenAddress {
    /// The address.
    pub ip: IpAddr,
    /// Where it was seen.
    #[serde(deserialize_with = "hop")]
    pub hop: Hop,
    /// Whether the field says that its sender had logged in; earlier versions did not write it down.
    #[serde(default)]
    pub authenticated: bool,
}

impl Recent {
    /// Reads the end of the trail at `path`, and where the file was begun anew of late, that of the one before.
    pub fn read(path: &Path) -> io::Result<Self> {
        let newest = end(path, NEWEST)?;
        let left = NEWEST.saturating_sub(newest.len() as u64);
        let mut octets = if left == 0 {
            Vec::new()
        } else {
            // Mostly there is none.
            end(&path.with_added_extension("1"), left).unwrap_or_default()
        };
        octets.extend(newest);
        Ok(Self { octets })
    }

    /// The messages, the newest first; lines that are cut, or no records of messages, are passed over.
    pub fn messages(&self) -> impl Iterator<Item = SeenMessage> {
        self.lines().filter_map(|line| {
            let record: OfMessage = serde_json::from_slice(line).ok()?;
            (record.phase == "message").then_some(record.message)
        })
    }
}

impl Recent {
    /// The lines, the newest first; the first and the last may be cut.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.octets.rsplit(|octet| *octet == b'\n')
    }
}

/// The last octets of a file, at most `most`.
fn end(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (mut file, length) = open(path)?;
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut octets = Vec::new();
    file.take(most).read_to_end(&mut octets)?;
    Ok(octets)
}

/// A record; those of other phases have no other hops.
#[derive(Deserialize)]
struct OfMessage {
    phase: String,
    #[serde(flatten)]
    message: SeenMessage,
}

fn hop<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hop, D::Error> {
    word(deserializer)?.parse().map_err(de::Error::custom)
}

/// A word that can be shown, whatever else may stand in the file.
fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let word = String::deserialize(deserializer)?;
    let is_word = word.len() <= LONGEST_WORD && word.bytes().all(|octet| octet.is_ascii_graphic());
    is_word.then_some(word).ok_or_else(|| de::Error::custom("expected a short word"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;

    use tempfile::TempDir;

    use super::*;
    use crate::net::Prefix;
    use crate::policy::{
        AddressFacts, MessageFacts, Outcome, Policy, Record, Reference, decide_message,
    };

    /// A record as the writer writes it.
    fn line(number: u64, hops: &[(&str, Hop)]) -> String {
        let facts = |(address, hop): &(&str, Hop)| AddressFacts {
            authenticated: matches!(hop, Hop::Received(1)),
            ..AddressFacts::new(address.parse().unwrap(), hop.clone())
        };
        let facts = MessageFacts {
            addresses: hops.iter().map(facts).collect(),
            logical: 0,
            ..MessageFacts::default()
        };
        let decision = decide_message(&Policy::default(), facts, 1, Reference::new(number));
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let time = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
        let record = Record::new(time, client, client, None, &decision, Outcome::default());
        serde_json::to_string(&record).unwrap() + "\n"
    }

    fn messages(octets: &[u8]) -> Vec<SeenMessage> {
        Recent { octets: octets.to_vec() }.messages().collect()
    }

    #[test]
    fn what_is_written_is_read_again_the_newest_first() {
        let hops = [
            ("192.0.2.1", Hop::Connect),
            ("2001:db8::7", Hop::Received(1)),
            ("192.0.2.9", Hop::Header("X-Originating-IP".into())),
        ];
        let text = line(1, &hops) + &line(2, &hops[..1]);
        let found = messages(text.as_bytes());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].reference, Reference::new(2).to_string());
        let all: Vec<_> = found[1]
            .addresses
            .iter()
            .map(|seen| (Prefix::host(seen.ip).to_string(), seen.hop.clone(), seen.authenticated))
            .collect();
        let expected = hops.map(|(ip, hop)| {
            let authenticated = hop == Hop::Received(1);
            (ip.to_owned(), hop, authenticated)
        });
        assert_eq!(all, expected);
        assert_eq!(found[1].logical_client, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(found[1].time.as_second(), 1);
    }

    #[test]
    fn what_is_no_message_is_passed_over() {
        let whole = line(1, &[("192.0.2.1", Hop::Connect)]);
        for (text, expected) in [
            (String::new(), 0),
            ("\n\n\0\u{1b}[2J\n{}\n[]\n".to_owned(), 0),
            (whole.get(10..).unwrap().to_owned(), 0),
            (whole.get(..whole.len() - 9).unwrap().to_owned(), 0),
            (whole.replace("\"message\"", "\"connect\""), 0),
            (whole.replace("192.0.2.1", "192.0.2"), 0),
            (whole.replace("\"connect\"", "\"header[\\u001b[2J]\""), 0),
            (whole.replace("\"connect\"", &format!("\"header[{}]\"", "x".repeat(100))), 0),
            (whole.replace("\"hop\":\"connect\"", "\"hop\":\"moon\""), 0),
            (format!("{}{whole}torn{whole}", whole.get(5..).unwrap()), 1),
            (whole.replace("\"authenticated\":false,", ""), 1),
        ] {
            assert_eq!(messages(text.as_bytes()).len(), expected, "{text:?}");
        }
    }

    #[test]
    fn of_a_long_trail_the_end_is_read() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let old = line(1, &[("192.0.2.1", Hop::Connect)]);
        let filler = "x".repeat(usize::try_from(NEWEST).unwrap());
        let new = line(2, &[("192.0.2.1", Hop::Connect)]);
        fs::write(&path, format!("{old}{filler}\n{new}")).unwrap();
        let recent = Recent::read(&path).unwrap();
        assert_eq!(recent.messages().count(), 1);
        assert!(Recent::read(&folder.path().join("gone")).is_err());
        assert!(Recent::read(folder.path()).is_err());
        assert!(Recent::read(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn what_was_renamed_of_late_is_read_as_well() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        fs::write(&path, "c\n").unwrap();
        let read = || Recent::read(&path).unwrap().octets;
        assert_eq!(read(), b"c\n");
        fs::write(path.with_added_extension("1"), "a\nb\n").unwrap();
        assert_eq!(read(), b"a\nb\nc\n");
    }
}
