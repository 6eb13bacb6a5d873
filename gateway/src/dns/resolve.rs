//! What is asked of DNS, what comes back, and who answers: a resolver, or a test.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::net::PtrFault;
use crate::zone::AnswerFault;

/// Somebody who answers questions.
pub trait Resolve: Send + Sync {
    /// Asks `question`; who asks decides how long to wait.
    fn resolve(&self, question: Question) -> BoxFuture<'static, Result<Answer, Fault>>;
}

/// A question: a name, and what is to be known about it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// What is to be known.
    pub kind: Kind,
    /// The name, with the dot at its end.
    pub name: String,
}

impl Question {
    /// Asks for `kind` of `name`.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

/// Without the name, which may hold an access key.
impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A type of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Texts.
    Txt,
    /// The names of an address.
    Ptr,
    /// The mail exchangers of a domain.
    Mx,
}

/// What is so, and how long it can be taken to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The records.
    pub records: Records,
    /// How long they are good.
    pub ttl: Duration,
}

/// The records of a name, of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// None: there is no such name, or it has no such records.
    None,
    /// IPv4 addresses.
    A(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Aaaa(Vec<Ipv6Addr>),
    /// Texts, as they came.
    Txt(Vec<String>),
    /// Names, as they came.
    Ptr(Vec<String>),
    /// Preferences and names, as they came.
    Mx(Vec<(u16, String)>),
}

impl Records {
    /// None where there are none.
    pub(super) fn or_none(self) -> Self {
        let is_empty = match &self {
            Self::None => true,
            Self::A(records) => records.is_empty(),
            Self::Aaaa(records) => records.is_empty(),
            Self::Txt(records) | Self::Ptr(records) => records.is_empty(),
            Self::Mx(records) => records.is_empty(),
        };
        if is_empty { Self::None } else { self }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The resolver fails (SERVFAIL), or does not answer us (REFUSED).
    ServerFailure,
    /// Nothing came in time.
    Timeout,
    /// It cannot be read.
    Malformed,
    /// Too many questions were open.
    Overload,
}

impl From<Fault> for AnswerFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::ServerFailure => Self::ServerFailure,
            Fault::Timeout => Self::Timeout,
            Fault::Malformed => Self::Malformed,
            Fault::Overload => Self::Overload,
        }
    }
}

impl From<Fault> for PtrFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::ServerFailure => Self::ServerFailure,
            Fault::Timeout => Self::Timeout,
            Fault::Malformed => Self::Malformed,
            Fault::Overload => Self::Overload,
        }
    }
}
