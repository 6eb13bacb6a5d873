//! That somebody follows an address, as the audit trail keeps it.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::net::Prefix;
use crate::policy::SCHEMA;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Somebody began to follow an address.
    Begun,
    /// The time was over, or he hung up.
    Ended,
}

/// One record of phase `tap`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TapEvent<'a> {
    /// The version of these fields, which is that of all records.
    pub schema: u8,
    /// When it happened.
    pub time: Timestamp,
    /// Always `tap`.
    pub phase: &'static str,
    /// What happened.
    pub event: EventKind,
    /// Whom he follows.
    pub prefix: Prefix,
    /// Who follows.
    pub author: &'a str,
    /// For how long he wanted to, in seconds.
    pub for_s: u64,
    /// How long he did, in seconds; `null` at the beginning, like all that follows.
    pub lasted_s: Option<u64>,
    /// The lines that he was told.
    pub lines: Option<u64>,
    /// The lines that he lost.
    pub lost: Option<u64>,
}

impl<'a> TapEvent<'a> {
    /// That `author` begins to follow `prefix`.
    pub const fn begun(time: Timestamp, prefix: Prefix, author: &'a str, for_s: u64) -> Self {
        Self {
            schema: SCHEMA,
            time,
            phase: "tap",
            event: EventKind::Begun,
            prefix,
            author,
            for_s,
            lasted_s: None,
            lines: None,
            lost: None,
        }
    }
}
