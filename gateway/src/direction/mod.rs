//! Which way mail goes: acceptance lists tell the clients that are our own from all others.

mod accepted;
mod route;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::net::Prefix;

pub use accepted::{Accepted, Match};
pub use route::{Route, RouteReason, Step, decide};

/// Which way mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To our own recipients.
    Inbound,
    /// From our own senders; it may be for anybody.
    Outbound,
}

impl Direction {
    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// Whether it is the way from our own senders.
    pub const fn is_outbound(self) -> bool {
        matches!(self, Self::Outbound)
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A list of clients whose mail goes one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The name in records.
    pub name: Arc<str>,
    /// Which way their mail goes.
    pub direction: Direction,
    /// Clients by address: no DNS is asked.
    pub addresses: Vec<Prefix>,
    /// Clients by the addresses of names, which are resolved in the background.
    pub hosts: Vec<Arc<str>>,
    /// Clients by forward-confirmed reverse DNS, in lower case; one with a dot before it stands for its subdomains alone.
    pub domains: Vec<Arc<str>>,
}
