//! Which messages in quarantine are meant: by sender, recipient, client, time.

use std::net::IpAddr;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::{HeldMessage, Id};
use crate::clock::Timestamp;

/// Which messages are meant; all that is said must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A part of the sender.
    pub from: Option<String>,
    /// A part of a recipient.
    pub to: Option<String>,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// They came then or later.
    pub since: Option<Timestamp>,
    /// They came before that.
    pub before: Option<Timestamp>,
}

impl Selection {
    /// Whether a message that came at `since` can be meant.
    pub(super) fn is_in_time(&self, since: Timestamp) -> bool {
        self.since.is_none_or(|then| since >= then) && self.before.is_none_or(|then| since < then)
    }

    /// Whether a message that came in time is meant. Of one whose record cannot be read, no more than that is known.
    pub(super) fn means(&self, message: Option<&HeldMessage>) -> bool {
        let Self { from, to, client, .. } = self;
        let Some(message) = message else {
            return from.is_none() && to.is_none() && client.is_none();
        };
        let has = |text: &str, part: &String| text.to_lowercase().contains(&part.to_lowercase());
        from.as_ref().is_none_or(|part| has(&message.sender, part))
            && to.as_ref().is_none_or(|part| {
                message.recipients.iter().any(|recipient| has(&recipient.address, part))
            })
            && client.is_none_or(|client| message.client.ip() == client)
    }
}

/// The messages that were found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = QuarantineListing)]
pub struct Listing {
    /// The newest first, each with `id`, `since`, `octets`, `taken`, and its `message` or the `fault` for which that cannot be read.
    #[schema(value_type = Vec<Object>)]
    pub rows: Vec<Row>,
    /// Whether there are others.
    pub has_more: bool,
}

/// One message in a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub id: Id,
    /// When it came.
    pub since: Timestamp,
    /// Octets on the disk.
    pub octets: u64,
    /// Whether somebody releases or deletes it now.
    #[serde(rename = "taken")]
    pub is_taken: bool,
    /// What is known of it, or why nothing is.
    #[serde(flatten, serialize_with = "known_or_not")]
    pub message: Result<HeldMessage, String>,
}

/// What is known as `message`, what is wrong as `fault`; one of them is `null`.
fn known_or_not<S: Serializer>(
    message: &Result<HeldMessage, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct KnownOrNot<'a> {
        message: Option<&'a HeldMessage>,
        fault: Option<&'a str>,
    }
    let known = match message {
        Ok(message) => KnownOrNot { message: Some(message), fault: None },
        Err(fault) => KnownOrNot { message: None, fault: Some(fault) },
    };
    known.serialize(serializer)
}
