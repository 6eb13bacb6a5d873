//! What is known about the addresses of a connection or a message before anything is decided.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::list::Match;
use crate::net::{Hop, Reserved};

/// What is known about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFacts {
    /// The address.
    pub address: IpAddr,
    /// Where it was seen.
    pub hop: Hop,
    /// Whether the hop says that its sender had logged in (RFC 3848).
    pub authenticated: bool,
    /// Why nothing is decided from it; its matches are shown all the same.
    pub skipped: Option<Skipped>,
    /// Every entry that covers it, the deciding one first.
    pub matches: Vec<Match>,
}

impl AddressFacts {
    /// The good entry in force that clears this hop; it clears no other.
    pub fn cleared_by(&self) -> Option<&Match> {
        self.matches.iter().find(|found| found.list.enforce && found.class().is_good())
    }

    /// The matches that may decide: none of a skipped address, none against a cleared one.
    pub(super) fn against(&self) -> impl Iterator<Item = &Match> {
        let decides = self.skipped.is_none() && self.cleared_by().is_none();
        self.matches.iter().filter(move |found| decides && !found.class().is_good())
    }
}

/// Why nothing is decided from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// The client is a good sender, and the configuration lets that clear the other hops too.
    GoodClient,
    /// One of our own relays.
    OwnRelay,
    /// One of our own addresses, our gateway, our resolvers, our next hop.
    Protected,
    /// No public sender can have it.
    Reserved(Reserved),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoodClient => f.write_str("good-client"),
            Self::OwnRelay => f.write_str("own-relay"),
            Self::Protected => f.write_str("protected"),
            Self::Reserved(range) => range.fmt(f),
        }
    }
}

impl Serialize for Skipped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known about a message when its header is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageFacts {
    /// All addresses: the client first, then the hops from the topmost field down.
    pub addresses: Vec<AddressFacts>,
    /// Which of them is the logical client: the first that is not one of our relays; the client where there is none.
    pub logical: usize,
}

impl MessageFacts {
    /// The logical client; `None` only of facts without any address.
    pub fn logical_client(&self) -> Option<&AddressFacts> {
        self.addresses.get(self.logical)
    }
}
