//! What was done about a connection or a message.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::list::ListAction;

/// What was done, from the mildest to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Let in.
    Accept,
    /// Let in, recorded.
    Observe,
    /// Let in with a header field that says why.
    Tag,
    /// Accepted, and kept here until somebody releases it.
    Quarantine,
    /// Accepted and deleted, because the configuration says so in words.
    Discard,
    /// Answered with a 4xx.
    Defer,
    /// Refused with a 5xx after the data.
    RejectMessage,
    /// Refused with a 5xx.
    Reject,
}

impl Action {
    /// All actions, for counters that must have a slot for each.
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Observe,
        Self::Tag,
        Self::Quarantine,
        Self::Discard,
        Self::Defer,
        Self::RejectMessage,
        Self::Reject,
    ];

    /// The word that configuration, records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Observe => "observe",
            Self::Tag => "tag",
            Self::Quarantine => "quarantine",
            Self::Discard => "discard",
            Self::Defer => "defer",
            Self::RejectMessage => "reject-message",
            Self::Reject => "reject",
        }
    }

    /// Whether the sender is told no, for now or for good.
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Defer | Self::RejectMessage | Self::Reject)
    }

    /// The same of an action by its word, as records and answers have it, of whichever version.
    pub fn word_refuses(word: &str) -> bool {
        Self::ALL.iter().any(|action| action.refuses() && action.name() == word)
    }
}

impl From<ListAction> for Action {
    fn from(action: ListAction) -> Self {
        match action {
            ListAction::Accept | ListAction::Score(_) => Self::Accept,
            ListAction::Observe => Self::Observe,
            ListAction::Tag => Self::Tag,
            ListAction::Quarantine => Self::Quarantine,
            ListAction::Discard => Self::Discard,
            ListAction::Defer => Self::Defer,
            ListAction::RejectMessage => Self::RejectMessage,
            ListAction::Reject => Self::Reject,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
