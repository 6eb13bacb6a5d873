//! What reverse DNS says about an address, as far as forward DNS confirms it.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The reverse name of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ptr {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// There is none.
    None,
    /// A name that has the address, too.
    Confirmed(Arc<str>),
    /// Names that do not.
    Unconfirmed(Vec<Arc<str>>),
    /// DNS does not say.
    Fault(PtrFault),
}

/// Why DNS does not say what the name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PtrFault {
    /// The resolver fails (SERVFAIL), or does not answer us (REFUSED).
    ServerFailure,
    /// No answer in time.
    Timeout,
    /// An answer that cannot be read.
    Malformed,
    /// Too many questions were open already.
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

/// As records show it.
impl fmt::Display for Ptr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("not-asked"),
            Self::None => f.write_str("none"),
            Self::Confirmed(name) => write!(f, "{name}(confirmed)"),
            Self::Unconfirmed(names) => write!(f, "{}(unconfirmed)", names.join(",")),
            Self::Fault(fault) => f.write_str(fault.name()),
        }
    }
}

impl Serialize for Ptr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_records_show_it() {
        for (ptr, expected) in [
            (Ptr::NotAsked, "not-asked"),
            (Ptr::None, "none"),
            (Ptr::Confirmed("mail.example.org".into()), "mail.example.org(confirmed)"),
            (
                Ptr::Unconfirmed(vec!["a.example".into(), "b.example".into()]),
                "a.example,b.example(unconfirmed)",
            ),
            (Ptr::Fault(PtrFault::ServerFailure), "servfail"),
        ] {
            assert_eq!(ptr.to_string(), expected);
        }
    }
}
