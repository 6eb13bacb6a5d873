//! What a zone can suffer from, in words that an operator can act on.

use std::fmt;

use serde::{Serialize, Serializer};

use super::AnswerFault;

/// Why a zone is not asked for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Illness {
    /// It lists the entry that nobody lists (127.0.0.1), so all others with it.
    ListsEverything,
    /// It does not list the entry that every zone lists (127.0.0.2).
    ListsNothing,
    /// It answers with errors.
    Refuses(AnswerFault),
    /// It does not answer, or nobody answers for it.
    Unreachable(AnswerFault),
    /// It lists far more of those who come than it did before.
    HitRate {
        /// The share of the last answers that were listings, in percent.
        now: u8,
        /// The same before that.
        before: u8,
    },
}

impl Illness {
    /// The word that records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ListsEverything => "lists-everything",
            Self::ListsNothing => "lists-nothing",
            Self::Refuses(fault) => fault.name(),
            Self::Unreachable(_) => "unreachable",
            Self::HitRate { .. } => "hit-rate",
        }
    }

    /// What an operator does about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ListsEverything => {
                "it may be closed for good: see what its operator says, and take it out of the configuration"
            }
            Self::ListsNothing => {
                "correct `domain` of the zone, or take it out where it is closed; a private zone without test entries has `test_points = false`"
            }
            Self::Refuses(fault) | Self::Unreachable(fault) => fault.remedy(),
            Self::HitRate { .. } => {
                "nothing where its test entries are right, since it then comes back by itself; else see what its operator says"
            }
        }
    }
}

impl fmt::Display for Illness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListsEverything => f.write_str("it lists everything (127.0.0.1 is listed)"),
            Self::ListsNothing => f.write_str("it lists nothing (127.0.0.2 is not listed)"),
            Self::Refuses(fault) | Self::Unreachable(fault) => fault.fmt(f),
            Self::HitRate { now, before } => {
                write!(f, "it lists {now} % of those who come, {before} % before")
            }
        }
    }
}

impl Serialize for Illness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
