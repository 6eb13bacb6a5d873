//! One decision with its reason; log, reply, header, record and command line print what is in it.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::{Action, AddressFacts, Reference, Reply, Score, Verdict};
use crate::list::Match;
use crate::net::Hop;

/// One decision with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// When it was taken.
    pub phase: Phase,
    /// The outcome.
    pub verdict: Verdict,
    /// What is done about it, if it is enforced.
    pub action: Action,
    /// False in a dry run: recorded, nothing done.
    pub enforced: bool,
    /// The address that decided; `None` where nothing was against the client.
    pub offending: Option<Offending>,
    /// The entry that decided, good or bad.
    pub cause: Option<Match>,
    /// The score of the logical client; `None` where scores are switched off or mean nothing.
    pub score: Option<Score>,
    /// The first hop that is not one of our relays.
    pub logical_client: Option<IpAddr>,
    /// All addresses that were looked at, with all their matches.
    pub addresses: Vec<AddressFacts>,
    /// The version of the rules that were asked.
    pub rules: u64,
    /// What the client is told; `None` where it is let in.
    pub reply: Option<Reply>,
    /// The name of the decision.
    pub reference: Reference,
}

impl Decision {
    /// The name of the header field that says why a message was tagged.
    pub const HEADER: &'static str = "X-Portcullis-Verdict";

    /// What is really done: a dry run accepts.
    pub fn effective(&self) -> Action {
        if self.enforced { self.action } else { Action::Accept }
    }

    /// The field for a message that is tagged, without its CRLF.
    pub fn header(&self) -> Option<String> {
        let tagged = self.effective() == Action::Tag;
        let offending = self.offending.as_ref().filter(|_tagged| tagged)?;
        let label = self.cause.as_ref().map_or("score", |cause| &cause.list.label);
        Some(format!(
            "{}: {}; code={}; address={}; hop={}; list=\"{label}\"; reference={}",
            Self::HEADER,
            self.verdict,
            self.verdict.code(),
            offending.ip,
            offending.hop,
            self.reference
        ))
    }
}

/// The address that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offending {
    /// The address.
    pub ip: IpAddr,
    /// Where it was seen.
    pub hop: Hop,
}

/// When a decision was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the greeting.
    Connect,
    /// Once the header of a message was there.
    Message,
    /// In the kernel, before there was a connection.
    Kernel,
}

impl Phase {
    /// The word that records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Message => "message",
            Self::Kernel => "kernel",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Phase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
