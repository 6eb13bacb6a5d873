//! What people and time do with messages in quarantine, as the audit trail keeps it.

use std::net::SocketAddr;

use serde::Serialize;

use super::{HeldMessage, Id};
use crate::clock::Timestamp;

/// What happened to a message in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The next hop took it for all of its recipients.
    Released,
    /// The next hop took it for some of them; the others are still there.
    PartlyReleased,
    /// Somebody tried to release it, and the next hop took nothing.
    NotReleased,
    /// Somebody deleted it.
    Deleted,
    /// It was there for as long as `keep_for` says.
    Expired,
}

/// One record of phase `quarantine`.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// The version of these fields, which is that of all records.
    pub schema: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Always `quarantine`.
    pub phase: &'static str,
    /// What happened.
    pub event: EventKind,
    /// The message, by the reference of its decision.
    pub reference: &'a Id,
    /// Who did it; `null` for the daemon itself.
    pub author: Option<&'a str>,
    /// The client that had sent it; `null` where its record cannot be read, like all that follows.
    pub client: Option<SocketAddr>,
    /// The address of MAIL FROM.
    pub sender: Option<&'a str>,
    /// The recipients that it is about.
    pub recipients: Vec<&'a str>,
    /// The Message-ID of the message.
    pub message_id: Option<&'a str>,
    /// Octets of the message.
    pub octets: Option<u64>,
    /// What the next hop said in the end.
    pub next_hop: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// That `event` happened to the message `id`, of which `message` is known.
    pub fn new(
        time: Timestamp,
        event: EventKind,
        id: &'a Id,
        message: Option<&'a HeldMessage>,
    ) -> Self {
        let recipients = message.map(|message| {
            message.recipients.iter().map(|recipient| recipient.address.as_str()).collect()
        });
        Self {
            schema: crate::policy::SCHEMA,
            time,
            phase: "quarantine",
            event,
            reference: id,
            author: None,
            client: message.map(|message| message.client),
            sender: message.map(|message| message.sender.as_str()),
            recipients: recipients.unwrap_or_default(),
            message_id: message.and_then(|message| message.message_id.as_deref()),
            octets: message.map(|message| message.octets),
            next_hop: None,
        }
    }
}
