//! Which records a command is about.

use clap::Args;

use super::super::moment;
use crate::audit::{Kind, Query, Veil};
use crate::clock::Timestamp;
use crate::net::Prefix;

/// What a record has to be; all of it has to be so.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Wanted {
    /// An address or network: of the client, or of a hop in the header
    #[arg(long, value_name = "IP|PREFIX")]
    address: Option<Prefix>,
    /// The reference from a reply
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
    /// The Message-ID field, with or without its brackets
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// The name in the queue of the mail server that asked
    #[arg(long, value_name = "ID")]
    queue_id: Option<String>,
    /// The address of MAIL FROM; `<>` for bounces
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// The domain of MAIL FROM
    #[arg(long, value_name = "DOMAIN")]
    sender_domain: Option<String>,
    /// An address of RCPT TO
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// The domain of an address of RCPT TO
    #[arg(long, value_name = "DOMAIN")]
    recipient_domain: Option<String>,
    /// The verdict, such as sys-deny-ip
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// What was decided, such as reject
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// The list that decided
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// The zone that decided
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// When it was decided: connect, recipient, message, kernel, quarantine, zone
    #[arg(long, value_name = "PHASE")]
    phase: Option<String>,
    /// Not older than that: a time like 2026-11-20T08:00:00Z, or how long ago, such as 2d
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(super) since: Option<Timestamp>,
    /// Older than that
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    pub(super) until: Option<Timestamp>,
}

impl Wanted {
    /// The same for the store.
    pub(super) fn query(&self, veil: &Veil) -> Query {
        let words = [
            (Kind::Reference, &self.reference),
            (Kind::MessageId, &self.message_id),
            (Kind::QueueId, &self.queue_id),
            (Kind::Sender, &self.sender),
            (Kind::SenderDomain, &self.sender_domain),
            (Kind::Recipient, &self.recipient),
            (Kind::RecipientDomain, &self.recipient_domain),
            (Kind::Code, &self.code),
            (Kind::Action, &self.action),
            (Kind::List, &self.list),
            (Kind::Zone, &self.zone),
            (Kind::Phase, &self.phase),
        ];
        let query = Query {
            network: self.address,
            since: self.since,
            until: self.until,
            ..Query::default()
        };
        let said = words.into_iter().filter_map(|(kind, word)| Some((kind, word.as_ref()?)));
        said.fold(query, |query, (kind, word)| query.with(kind, &veil.word(kind, word)))
    }
}
