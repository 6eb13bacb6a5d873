//! What the newest records of the trail say of one address, or under one reference.

use std::net::IpAddr;

use memchr::memmem;
use serde::{Deserialize, Serialize};

use super::Recent;
use crate::clock::Timestamp;
use crate::net::{Hop, fold};

/// One decision, as far as it is about one address. Texts are as they stand in the file, whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenDecision {
    /// When its outcome was final.
    pub time: Timestamp,
    /// Its name.
    pub reference: String,
    /// When it was taken, in the word of records.
    pub phase: String,
    /// The outcome for people.
    pub verdict: String,
    /// The outcome for machines.
    pub code: String,
    /// What was decided.
    pub action: String,
    /// False: a dry run.
    pub enforced: bool,
    /// The address that it is about here.
    pub address: IpAddr,
    /// Where that was seen.
    pub hop: Hop,
    /// Whether that decided.
    pub decided: bool,
    /// The peer of the connection.
    pub client: Option<IpAddr>,
    /// The list that decided.
    pub list: Option<String>,
    /// Its entry.
    pub entry: Option<String>,
    /// The zone that decided.
    pub zone: Option<String>,
    /// The score of the logical client.
    pub score: Option<u16>,
    /// What the client said with HELO; `null` where nobody wrote it down.
    pub helo: Option<String>,
    /// What the client was told.
    pub reply: Option<String>,
}

impl Recent {
    /// The newest decisions for which `address` was looked at, at most `most` of them.
    pub fn about(&self, address: IpAddr, most: usize) -> Vec<SeenDecision> {
        let address = fold(address);
        let text = format!("\"{address}\"");
        let found = self.lines_with(&text);
        found.filter_map(|fields| fields.about(address)).take(most).collect()
    }

    /// The decision with that reference, about the address that decided or, where none did, about the client.
    pub fn with_reference(&self, reference: &str) -> Option<SeenDecision> {
        let text = format!("\"{reference}\"");
        let mut found = self.lines_with(&text);
        found.find_map(|fields| {
            let is_it = fields.reference == reference;
            let address = fields.offending.as_ref().map(|offending| offending.ip);
            let address = address.or(fields.logical_client).or(fields.client)?;
            if is_it { fields.about(fold(address)) } else { None }
        })
    }

    /// The records of decisions in whose line `text` stands, the newest first; most lines are not taken apart.
    fn lines_with(&self, text: &str) -> impl Iterator<Item = Fields> {
        let finder = memmem::Finder::new(text).into_owned();
        self.lines()
            .filter(move |line| finder.find(line).is_some())
            .filter_map(|line| serde_json::from_slice(line).ok())
    }
}

/// The fields of a decision that matter here.
#[derive(Deserialize)]
struct Fields {
    time: Timestamp,
    reference: String,
    phase: String,
    verdict: String,
    code: String,
    action: String,
    enforced: bool,
    client: Option<IpAddr>,
    logical_client: Option<IpAddr>,
    offending: Option<Place>,
    list: Option<String>,
    entry: Option<String>,
    zone: Option<String>,
    score: Option<u16>,
    envelope: Option<Said>,
    reply: Option<String>,
    #[serde(default)]
    addresses: Vec<Place>,
}

/// Where an address was seen.
#[derive(Deserialize)]
struct Place {
    ip: IpAddr,
    hop: String,
}

/// What of an envelope matters here: nothing of recipients.
#[derive(Deserialize)]
struct Said {
    helo: String,
}

impl Fields {
    /// What it says of `address`; `None` where it is not about it.
    fn about(self, address: IpAddr) -> Option<SeenDecision> {
        let is_it = |place: &&Place| fold(place.ip) == address;
        let offending = self.offending.as_ref().filter(is_it);
        let place = offending.or_else(|| self.addresses.iter().find(is_it));
        let is_client = || [self.client, self.logical_client].contains(&Some(address));
        let hop = match place {
            Some(place) => place.hop.parse().ok()?,
            None if is_client() => Hop::Connect,
            None => return None,
        };
        Some(SeenDecision {
            decided: offending.is_some(),
            time: self.time,
            reference: self.reference,
            phase: self.phase,
            verdict: self.verdict,
            code: self.code,
            action: self.action,
            enforced: self.enforced,
            address,
            hop,
            client: self.client,
            list: self.list,
            entry: self.entry,
            zone: self.zone,
            score: self.score,
            helo: self.envelope.map(|said| said.helo),
            reply: self.reply,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::policy::{
        AddressFacts, Envelope, MessageFacts, Outcome, Policy, Record, Reference, decide_message,
    };

    /// The record of a message of 192.0.2.1 as the writer writes it.
    fn line(number: u64, hops: &[(&str, Hop)]) -> String {
        let facts = |(ip, hop): &(&str, Hop)| AddressFacts::new(ip.parse().unwrap(), hop.clone());
        let facts =
            MessageFacts { addresses: hops.iter().map(facts).collect(), ..MessageFacts::default() };
        let decision = decide_message(&Policy::default(), facts, 1, Reference::new(number));
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let time = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
        let envelope = Envelope {
            helo: "198.51.100.3".to_owned(),
            recipients: vec!["secret@example.org".to_owned()],
            ..Envelope::default()
        };
        let outcome = Outcome::default();
        let record = Record::new(time, client, client, Some(&envelope), &decision, outcome);
        serde_json::to_string(&record).unwrap() + "\n"
    }

    fn trail() -> Recent {
        let hops = [("192.0.2.1", Hop::Connect), ("2001:db8::7", Hop::Received(1))];
        let event =
            "{\"time\":\"1970-01-01T00:00:09Z\",\"phase\":\"review\",\"prefix\":\"192.0.2.1\"}\n";
        let lines = [line(1, &hops), line(2, &hops[..1]), line(3, &hops), event.to_owned()];
        Recent { octets: lines.concat().into_bytes() }
    }

    #[test]
    fn an_address_is_found_wherever_it_was_seen_the_newest_first() {
        for (address, most, expected) in [
            ("192.0.2.1", 10, vec![(3, Hop::Connect), (2, Hop::Connect), (1, Hop::Connect)]),
            ("::ffff:192.0.2.1", 2, vec![(3, Hop::Connect), (2, Hop::Connect)]),
            ("2001:db8::7", 10, vec![(3, Hop::Received(1)), (1, Hop::Received(1))]),
            ("192.0.2.2", 10, vec![]),
            // A name that somebody gave is no address.
            ("198.51.100.3", 10, vec![]),
        ] {
            let found = trail().about(address.parse().unwrap(), most);
            let found: Vec<_> =
                found.into_iter().map(|seen| (seen.time.as_second(), seen.hop)).collect();
            assert_eq!(found, expected, "{address}");
        }
        let seen = trail().about("192.0.2.1".parse().unwrap(), 1);
        assert!(!serde_json::to_string(&seen).unwrap().contains("secret"));
    }

    #[test]
    fn a_reference_leads_to_its_record() {
        let found = trail().with_reference(&Reference::new(2).to_string()).unwrap();
        assert_eq!(found.address, IpAddr::from([192, 0, 2, 1]));
        assert_eq!((found.helo.as_deref(), found.code.as_str()), (Some("198.51.100.3"), "accept"));
        for reference in [Reference::new(4).to_string(), "accept".to_owned(), String::new()] {
            assert!(trail().with_reference(&reference).is_none(), "{reference}");
        }
    }
}
