//! What reverse DNS says about a client.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// What reverse DNS says about a client; a name counts when it leads back to the address (forward-confirmed).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ptr {
    /// Nobody needed to know, so nobody asked.
    #[default]
    NotAsked,
    /// The address has no name.
    None,
    /// The address has this name, and the name this address.
    Confirmed(Arc<str>),
    /// The address has these names, none of which has this address.
    Unconfirmed(Vec<Arc<str>>),
    /// DNS gave no answer.
    Fault(PtrFault),
}

/// Why there is no answer about a client's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PtrFault {
    /// SERVFAIL, REFUSED or the like.
    ServerFailure,
    /// No answer in time.
    Timeout,
    /// An answer that cannot be read.
    Malformed,
    /// There were too many questions at once already.
    Overload,
}

impl PtrFault {
    /// The word that records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerFailure => "servfail",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Overload => "overload",
        }
    }
}

impl fmt::Display for Ptr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not-asked"),
            Self::None => f.write_str("none"),
            Self::Confirmed(name) => write!(f, "{name}(confirmed)"),
            Self::Unconfirmed(names) => {
                write!(f, "{}(unconfirmed)", names.first().map_or("", AsRef::as_ref))
            }
            Self::Fault(fault) => f.write_str(fault.name()),
        }
    }
}

impl Serialize for Ptr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
