//! What is known of a message in quarantine beside its octets: all that it takes to release it, and why it is there.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Id;
use crate::clock::Timestamp;
use crate::policy::{Cause, Decision};

/// The version of the record's fields.
pub const SCHEMA: u8 = 1;

/// The record of a message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldMessage {
    /// The version of these fields.
    pub schema: u8,
    /// Its name, the reference of the decision.
    #[schema(value_type = String)]
    pub id: Id,
    /// When all of it was there.
    pub time: Timestamp,
    /// The peer of the connection.
    #[schema(value_type = String)]
    pub client: SocketAddr,
    /// The address on which it was received.
    #[schema(value_type = String)]
    pub local: SocketAddr,
    /// The name given with HELO or EHLO.
    pub helo: String,
    /// Whether with EHLO.
    pub extended: bool,
    /// The address of MAIL FROM, empty for a bounce.
    pub sender: String,
    /// The whole MAIL command.
    pub mail: String,
    /// The recipients that do not have it yet.
    pub recipients: Vec<HeldRecipient>,
    /// The Subject, decoded and cut.
    pub subject: Option<String>,
    /// The Message-ID, without its brackets.
    #[serde(default)]
    pub message_id: Option<String>,
    /// Octets of the message.
    pub octets: u64,
    /// Why it is here.
    pub why: Why,
    /// Who began to release it, where nothing is known of the end: the next hop may have it.
    #[serde(default)]
    pub release_begun: Option<ReleaseBegun>,
}

/// One recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldRecipient {
    /// The address.
    pub address: String,
    /// The whole RCPT command.
    pub rcpt: String,
    /// What the next hop said when it did not take it; `None` where it was not asked.
    #[serde(default)]
    pub refused: Option<String>,
}

/// A release that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseBegun {
    /// By whom.
    pub author: String,
    /// When.
    pub time: Timestamp,
    /// For whom; for all recipients where nobody is named.
    #[serde(default)]
    pub to: Vec<String>,
}

impl ReleaseBegun {
    /// Whether the next hop may have the message for `recipient` by it.
    pub fn is_for(&self, recipient: &str) -> bool {
        self.to.is_empty() || self.to.iter().any(|to| to == recipient)
    }

    /// The same for all for whom the next hop may have it by this or by `former`.
    #[must_use]
    pub fn and(mut self, former: Option<&Self>) -> Self {
        match former {
            Some(former) if self.to.is_empty() || former.to.is_empty() => self.to.clear(),
            Some(former) => self.to.extend(former.to.iter().cloned()),
            None => {}
        }
        self
    }
}

/// Why a message is in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = WhyHeld)]
pub struct Why {
    /// The verdict for people.
    pub verdict: String,
    /// The verdict for machines.
    pub code: String,
    /// The address that decided.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// Where it was seen.
    pub hop: Option<String>,
    /// The list or zone that decided.
    pub list: Option<String>,
    /// The entry of the list.
    pub entry: Option<String>,
    /// The text beside the entry, or that of the zone.
    pub reason: Option<String>,
    /// The version of the rules that were asked first.
    pub rules: u64,
    /// The version of the rules when the data had ended.
    pub rules_at_end: u64,
}

impl Why {
    /// What `decision` says.
    pub fn new(decision: &Decision, rules_at_end: u64) -> Self {
        let offending = decision.offending.as_ref();
        let cause = decision.cause.as_ref();
        let entry = cause.and_then(Cause::entry);
        let reason = match cause {
            Some(Cause::Entry(found)) => found.entry.reason.as_ref().map(ToString::to_string),
            Some(Cause::Listing(found)) => found.text.as_ref().map(ToString::to_string),
            Some(Cause::Unanswered(_)) | None => None,
        };
        Self {
            verdict: decision.verdict.to_string(),
            code: decision.verdict.code().to_owned(),
            address: offending.map(|offending| offending.ip),
            hop: offending.map(|offending| offending.hop.to_string()),
            list: cause.map(|cause| cause.name().to_string()),
            entry: entry.map(|found| found.entry.prefix.to_string()),
            reason,
            rules: decision.rules,
            rules_at_end,
        }
    }
}
