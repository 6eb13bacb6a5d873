//! A record as it is read back: of whichever version, so that nothing in it is taken for granted.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::net::Prefix;
use crate::policy::Action;

/// A record, as far as its story needs it. What is missing or of another kind is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// When its outcome was final.
    pub time: Option<Timestamp>,
    /// Its name.
    pub reference: String,
    /// By which front the connection came.
    pub front: Option<String>,
    /// When it was decided: `connect`, `recipient`, `message`, `kernel`, or `quarantine` for what was done with a message there.
    pub phase: String,
    /// The outcome for people.
    pub verdict: String,
    /// The outcome for machines.
    pub code: String,
    /// What was done.
    pub action: String,
    /// False in a dry run.
    pub enforced: bool,
    /// The client.
    pub client: Option<IpAddr>,
    /// Its port.
    pub client_port: Option<u16>,
    /// The host of our own that named it.
    pub peer: Option<IpAddr>,
    /// Our end.
    pub local: Option<SocketAddr>,
    /// The first hop that is none of our relays.
    pub logical_client: Option<IpAddr>,
    /// The address that decided.
    pub offending: Option<ToldOffending>,
    /// The list that decided.
    pub list: Option<String>,
    /// Its entry.
    pub entry: Option<Prefix>,
    /// Where that was written.
    pub entry_origin: Option<String>,
    /// Since when it was there.
    pub entry_added: Option<Timestamp>,
    /// What was written beside it.
    pub entry_reason: Option<String>,
    /// The zone that decided.
    pub zone: Option<String>,
    /// What it answered.
    pub zone_codes: Option<String>,
    /// What that means.
    pub zone_meaning: Option<String>,
    /// Its text.
    pub zone_text: Option<String>,
    /// The version of the rules.
    pub rules: Option<u64>,
    /// Their version at the end of the data.
    pub rules_at_end: Option<u64>,
    /// The score.
    pub score: Option<i64>,
    /// Its band.
    pub band: Option<String>,
    /// Where the delay band begins.
    pub delay_from: Option<i64>,
    /// Where it ends.
    pub reject_above: Option<i64>,
    /// What made the score.
    pub evidence: Vec<ToldEvidence>,
    /// Which way the mail goes, in the words of the log.
    pub route: Option<String>,
    /// From when on a retry passes: seconds after `time`.
    pub greylist_seconds: Option<u64>,
    /// The network or domain that waits.
    pub greylist_pool: Option<String>,
    /// The tries so far.
    pub greylist_tries: Option<u64>,
    /// The exempt domain.
    pub exempt: Option<String>,
    /// How many addresses were looked at.
    pub addresses_total: u64,
    /// The name with which the client greeted.
    pub helo: Option<String>,
    /// The address of MAIL FROM, empty for a bounce.
    pub sender: Option<String>,
    /// The recipients.
    pub recipients: Vec<String>,
    /// The Message-ID.
    pub message_id: Option<String>,
    /// The size of the message.
    pub octets: Option<u64>,
    /// The name of the message in the queue of the mail server that asked.
    pub queue_id: Option<String>,
    /// What the client was told.
    pub reply: Option<String>,
    /// The name of the message in quarantine.
    pub quarantine: Option<String>,
    /// What the next hop said.
    pub next_hop: Option<String>,
    /// What the kernel did with a packet.
    pub kernel_outcome: Option<String>,
    /// For how many packets this record stands.
    pub packets: Option<u64>,
    /// What was done with a message in quarantine.
    pub event: Option<String>,
    /// Who did it.
    pub author: Option<String>,
}

/// The address that decided.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ToldOffending {
    /// The address.
    pub ip: IpAddr,
    /// Where it was seen.
    pub hop: String,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ToldEvidence {
    /// What it is.
    pub name: String,
    /// What it adds.
    pub weight: i64,
}

impl Told {
    /// Reads a record of the trail.
    pub fn read(record: &Value) -> Self {
        let text =
            |pointer: &str| record.pointer(pointer).and_then(Value::as_str).map(ToOwned::to_owned);
        let number = |pointer: &str| record.pointer(pointer).and_then(Value::as_u64);
        let score = |pointer: &str| record.pointer(pointer).and_then(Value::as_i64);
        let recipients =
            record.pointer("/envelope/recipients").or_else(|| record.get("recipients"));
        let recipients = recipients.and_then(Value::as_array).into_iter().flatten();
        Self {
            time: read(record, "time"),
            reference: text("/reference").unwrap_or_default(),
            front: text("/front"),
            phase: text("/phase").unwrap_or_default(),
            verdict: text("/verdict").unwrap_or_default(),
            code: text("/code").unwrap_or_default(),
            action: text("/action").unwrap_or_default(),
            enforced: record.get("enforced").and_then(Value::as_bool).unwrap_or(true),
            client: read(record, "client"),
            client_port: read(record, "client_port"),
            peer: read(record, "peer"),
            local: read(record, "local"),
            logical_client: read(record, "logical_client"),
            offending: read(record, "offending"),
            list: text("/list"),
            entry: text("/entry").and_then(|entry| entry.parse().ok()),
            entry_origin: text("/entry_origin"),
            entry_added: read(record, "entry_added"),
            entry_reason: text("/entry_reason"),
            zone: text("/zone"),
            zone_codes: text("/zone_codes"),
            zone_meaning: text("/zone_meaning"),
            zone_text: text("/zone_text"),
            rules: number("/rules"),
            rules_at_end: number("/rules_at_end"),
            score: score("/score"),
            band: text("/band"),
            delay_from: score("/delay_from"),
            reject_above: score("/reject_above"),
            evidence: read(record, "evidence").unwrap_or_default(),
            route: record.get("route").filter(|route| !route.is_null()).map(route),
            greylist_seconds: number("/greylisted/seconds_left"),
            greylist_pool: text("/greylisted/pool"),
            greylist_tries: number("/greylisted/tries"),
            exempt: text("/exempt"),
            addresses_total: number("/addresses_total").unwrap_or_default(),
            helo: text("/envelope/helo").filter(|helo| !helo.is_empty()),
            sender: text("/envelope/sender").or_else(|| text("/sender")),
            recipients: recipients.filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            message_id: text("/message_id").or_else(|| text("/envelope/message_id")),
            octets: number("/octets"),
            queue_id: text("/queue_id"),
            reply: text("/reply"),
            quarantine: text("/quarantine"),
            next_hop: text("/next_hop"),
            kernel_outcome: text("/kernel/outcome"),
            packets: number("/kernel/packets").or_else(|| number("/packets")),
            event: text("/event"),
            author: text("/author"),
        }
    }

    /// Whether its sender was told no, for now or for good.
    pub fn is_refused(&self) -> bool {
        self.is_refused_here() || self.is_refused_by_next_hop()
    }

    /// Whether this host told it no.
    pub fn is_refused_here(&self) -> bool {
        self.enforced && Action::word_refuses(&self.action)
    }

    /// Whether this host let it in, and the host behind it told it no.
    pub fn is_refused_by_next_hop(&self) -> bool {
        let is_no = |text: &String| text.starts_with(['4', '5']);
        self.event.is_none()
            && !Action::word_refuses(&self.action)
            && self.next_hop.as_ref().is_some_and(is_no)
            && self.reply.as_ref().is_some_and(is_no)
    }

    /// The address that all is about: the one that decided, or the client.
    pub fn address(&self) -> Option<IpAddr> {
        let offending = self.offending.as_ref().map(|offending| offending.ip);
        offending.or(self.logical_client).or(self.client)
    }
}

/// A field, where it is what it should be.
fn read<T: serde::de::DeserializeOwned>(record: &Value, name: &str) -> Option<T> {
    serde_json::from_value(record.get(name)?.clone()).ok()
}

/// A direction in the words of the log (S4.5).
fn route(route: &Value) -> String {
    let word = |name: &str| route[name].as_str().unwrap_or("-").to_owned();
    format!("direction={} reason={} ptr={}", word("direction"), word("reason"), word("ptr"))
}
