//! Which records are meant: the same words for commands and for the API.

use std::fmt::Display;
use std::str::FromStr;

use clap::Args;
use serde::{Deserialize, Deserializer, de};
use utoipa::IntoParams;

use crate::audit::{Cursor, Kind, Query, Veil};
use crate::clock::{Timestamp, moment};
use crate::net::Prefix;

/// What a record has to be; all of it has to be so.
#[derive(Clone, Debug, Default, Args, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// An address or network: of the client, or of a hop in the header
    #[arg(long, value_name = "IP|PREFIX")]
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = String)]
    pub address: Option<Prefix>,
    /// The reference from a reply
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<String>,
    /// The Message-ID field, with or without its brackets
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
    /// The name in the queue of the mail server that asked
    #[arg(long, value_name = "ID")]
    pub queue_id: Option<String>,
    /// The address of MAIL FROM; `<>` for bounces
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// The domain of MAIL FROM
    #[arg(long, value_name = "DOMAIN")]
    pub sender_domain: Option<String>,
    /// An address of RCPT TO
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<String>,
    /// The domain of an address of RCPT TO
    #[arg(long, value_name = "DOMAIN")]
    pub recipient_domain: Option<String>,
    /// The verdict, such as sys-deny-ip
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,
    /// What was decided, such as reject
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// The list that decided
    #[arg(long, value_name = "LIST")]
    pub list: Option<String>,
    /// The zone that decided
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// When it was decided: connect, recipient, message, kernel, quarantine, zone
    #[arg(long, value_name = "PHASE")]
    pub phase: Option<String>,
    /// Not older than that: a time like 2026-11-20T08:00:00Z, or how long ago, such as 2d
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    #[serde(deserialize_with = "moment::deserialize")]
    #[param(value_type = String)]
    pub since: Option<Timestamp>,
    /// Older than that
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    #[serde(deserialize_with = "moment::deserialize")]
    #[param(value_type = String)]
    pub until: Option<Timestamp>,
    /// The most records in one answer.
    #[arg(skip)]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
    /// The `next` of the answer before.
    #[arg(skip)]
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = String)]
    pub after: Option<Cursor>,
    /// Whether to begin with the oldest record.
    #[arg(skip)]
    pub oldest_first: bool,
}

/// What a text says, where one is given.
fn parsed<'de, D, T>(text: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(text)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

impl Wanted {
    /// The same for the store, the newest first unless somebody says otherwise.
    pub fn query(&self, veil: &Veil) -> Query {
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
            newest_first: !self.oldest_first,
            after: self.after,
            ..Query::default()
        };
        let said = words.into_iter().filter_map(|(kind, word)| Some((kind, word.as_ref()?)));
        said.fold(query, |query, (kind, word)| query.with(kind, &veil.word(kind, word)))
    }
}
