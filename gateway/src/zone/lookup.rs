//! What all zones say about one address.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{AnswerFault, Illness, Listing, Zone};

/// What zones say about an address, in the order of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Those that list it.
    pub listings: Vec<Listing>,
    /// Those that do not say.
    pub silent: Vec<(Arc<Zone>, Silence)>,
}

/// Why a zone does not say anything about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It was asked.
    Fault(AnswerFault),
    /// It was not asked, since nothing is known about its health yet.
    Unproven,
    /// It was not asked, since it is ill.
    Ill(Illness),
}

impl Silence {
    /// Whether it is trouble on the way, which passes. A zone that lists the world, is gone or turns us away holds no mail up,
    /// however long it goes on like that (S1.3).
    pub const fn is_passing(self) -> bool {
        match self {
            Self::Fault(fault) => !fault.is_refusal(),
            Self::Unproven | Self::Ill(Illness::Unreachable(_)) => true,
            Self::Ill(_) => false,
        }
    }

    /// The word that records and metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.name(),
            Self::Unproven => "unproven",
            Self::Ill(illness) => illness.name(),
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Unproven => f.write_str("its test entries were not answered yet"),
            Self::Ill(illness) => write!(f, "it is not asked: {illness}"),
        }
    }
}

impl Serialize for Silence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
