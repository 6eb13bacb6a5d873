//! One decision with its reason; log, reply, header, record and command line print what is in it.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Action, AddressFacts, DNS_UNAVAILABLE, Reference, Reply, Score, Unanswered, Verdict};
use crate::clock::Timestamp;
use crate::direction::Route;
use crate::list::Match;
use crate::net::Hop;
use crate::zone::{Listing, Meaning, Zone};

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
    /// What decided, good or bad; `None` for the score and for what is not about addresses.
    pub cause: Option<Cause>,
    /// The score of the logical client; `None` where scores are switched off or mean nothing.
    pub score: Option<Score>,
    /// The first hop that is not one of our relays.
    pub logical_client: Option<IpAddr>,
    /// Which way the mail goes; `None` where nobody asked.
    pub route: Option<Route>,
    /// How long its sender has to wait; `None` where it has not.
    pub greylisted: Option<Greylisted>,
    /// The exempt sender domain for which SPF or DKIM passes.
    pub exempt: Option<Arc<str>>,
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

    /// What zones say about the address that decided: of a score, that it is dynamic only where no zone says worse.
    pub fn meaning(&self) -> Option<Meaning> {
        match &self.cause {
            Some(cause) => cause.meaning(),
            None if self.score.is_some() && self.action.refuses() => {
                let offending = self.offending.as_ref().map(|offending| offending.ip);
                let scored = self.addresses.iter().find(|it| Some(it.address) == offending)?;
                scored.scoring_listings(true).map(Listing::meaning).min()
            }
            None => None,
        }
    }

    /// The same put off, since DNS did not tell what would have spoken for the sender: a fault of DNS is never a 5xx.
    #[must_use]
    pub fn put_off(self) -> Self {
        Self {
            verdict: Verdict::DnsTempfail,
            action: Action::Defer,
            reply: self.reply.as_ref().map(|_reply| Reply::new(451, 4, 3, DNS_UNAVAILABLE)),
            ..self
        }
    }

    /// The same for a sender who has to come again: what was begun by other rules cannot be brought to the end that these want.
    #[must_use]
    pub fn come_again(self) -> Self {
        let reply = Reply::new(451, 7, 1, "rules changed in the meantime, try again");
        Self { action: Action::Defer, enforced: true, reply: Some(reply), ..self }
    }

    /// The same where we have no room for what it takes: that is our trouble, and never a 5xx. `reply` is a 4xx.
    #[must_use]
    pub fn for_want_of_room(self, reply: Reply) -> Self {
        debug_assert!(reply.is_temporary(), "{reply}");
        let verdict = Verdict::Capacity;
        Self { verdict, action: Action::Defer, reply: Some(reply), ..self }
    }

    /// What the log of a mail server has of it.
    pub fn summary(&self) -> String {
        let Self { verdict, reference, .. } = self;
        format!("{verdict}; code={}; reference={reference}", verdict.code())
    }

    /// Whether its client is one of our own, or somebody vouches for it: manners are no matter then.
    pub fn trusts_client(&self) -> bool {
        let is_ours = self.addresses.first().is_some_and(|client| client.skipped.is_some());
        let is_vouched_for = matches!(
            self.verdict,
            Verdict::LocalGood | Verdict::GlobalGood | Verdict::ThirdPartyGood | Verdict::Outbound
        );
        is_ours || is_vouched_for
    }

    /// What is really done: a dry run accepts.
    pub fn effective(&self) -> Action {
        if self.enforced { self.action } else { Action::Accept }
    }

    /// What the sender is told; `None` where the mail goes on, or is accepted to be kept or deleted.
    pub fn refusal(&self) -> Option<Reply> {
        let action = self.effective();
        let otherwise = || match (action, self.phase) {
            (Action::Defer, Phase::Connect) => Reply::new(421, 7, 1, "try again later"),
            (Action::Defer, _) => Reply::new(451, 7, 1, "try again later"),
            _ => Reply::new(554, 7, 1, "refused"),
        };
        action.refuses().then(|| self.reply.clone().unwrap_or_else(otherwise))
    }

    /// The field for a message that is tagged, without its CRLF.
    pub fn header(&self) -> Option<String> {
        let tagged = self.effective() == Action::Tag;
        let offending = self.offending.as_ref().filter(|_tagged| tagged)?;
        let label = self.cause.as_ref().map_or("score", |cause| cause.label());
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

/// What decided about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An entry of a list.
    Entry(Match),
    /// A listing by a zone.
    Listing(Listing),
    /// A zone that gave no answer.
    Unanswered(Unanswered),
}

impl Cause {
    /// The name of the list or zone, for everything inside.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Entry(found) => &found.list.name,
            Self::Listing(found) => &found.zone.name,
            Self::Unanswered(fault) => &fault.zone.name,
        }
    }

    /// Its name for replies to senders.
    pub fn label(&self) -> &Arc<str> {
        match self {
            Self::Entry(found) => &found.list.label,
            Self::Listing(found) => &found.zone.label,
            Self::Unanswered(fault) => &fault.zone.label,
        }
    }

    /// The entry, where it is one.
    pub const fn entry(&self) -> Option<&Match> {
        match self {
            Self::Entry(found) => Some(found),
            Self::Listing(_) | Self::Unanswered(_) => None,
        }
    }

    /// The zone, where it is one.
    pub fn zone(&self) -> Option<&Zone> {
        match self {
            Self::Entry(_) => None,
            Self::Listing(found) => Some(&found.zone),
            Self::Unanswered(fault) => Some(&fault.zone),
        }
    }

    /// What a zone says about the address.
    pub fn meaning(&self) -> Option<Meaning> {
        match self {
            Self::Listing(found) => Some(found.meaning()),
            Self::Entry(_) | Self::Unanswered(_) => None,
        }
    }
}

/// How long a sender has to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Greylisted {
    /// The network, or the domain, that will be known once it has waited.
    pub pool: String,
    /// The seconds from which on a retry passes.
    pub seconds_left: u64,
    /// How often it was tried.
    pub tries: u32,
    /// When it was tried first.
    pub first: Timestamp,
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
    /// When a recipient was named.
    Recipient,
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
            Self::Recipient => "recipient",
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
