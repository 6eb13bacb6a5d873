//! What is known about the addresses of a connection or a message before anything is decided.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Evidence, Offending};
use crate::direction::Route;
use crate::list::{HopScope, List, ListAction, Match};
use crate::net::{Hop, Reserved};
use crate::zone::{Listing, Silence, Zone};

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
    /// Every zone that lists it, the deciding one first.
    pub listings: Vec<Listing>,
    /// The zones that were to be asked about it and gave no answer.
    pub unanswered: Vec<Unanswered>,
}

/// A zone that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The zone.
    pub zone: Arc<Zone>,
    /// Why.
    pub reason: Silence,
}

impl AddressFacts {
    /// The good entry in force that clears this hop; it clears no other.
    pub fn cleared_by(&self) -> Option<&Match> {
        self.matches.iter().find(|found| found.list.enforce && found.class().is_good())
    }

    /// The listing by a zone in force that vouches for it. It clears this hop of what other zones and the score say, of no list.
    pub fn vouched_by(&self) -> Option<&Listing> {
        self.listings.iter().find(|found| {
            found.zone.enforce
                && found.zone.class.is_good()
                && found.zone.action == ListAction::Accept
        })
    }

    /// The matches that may decide: none of a skipped address, none against a cleared one.
    pub(super) fn against(&self) -> impl Iterator<Item = &Match> {
        let decides = self.skipped.is_none() && self.cleared_by().is_none();
        self.matches.iter().filter(move |found| decides && !found.class().is_good())
    }

    /// The listings that may decide, those that only score among them.
    pub(super) fn listed_against(&self) -> impl Iterator<Item = &Listing> {
        let decides =
            self.skipped.is_none() && self.cleared_by().is_none() && self.vouched_by().is_none();
        self.listings.iter().filter(move |found| decides && found.zone.action != ListAction::Accept)
    }
}

impl AddressFacts {
    /// An address of which nothing is known.
    pub const fn new(address: IpAddr, hop: Hop) -> Self {
        Self {
            address,
            hop,
            authenticated: false,
            skipped: None,
            matches: Vec::new(),
            listings: Vec::new(),
            unanswered: Vec::new(),
        }
    }

    /// Whether a list or zone that looks at `scope` looks at this hop.
    pub(super) const fn is_in_scope(&self, scope: HopScope, is_client: bool) -> bool {
        match scope {
            HopScope::Connect => is_client,
            HopScope::Unauthenticated => is_client || !self.authenticated,
            HopScope::All => true,
        }
    }

    /// The lists in force that add to the score, with what they add.
    pub(super) fn scoring_lists(&self, is_client: bool) -> impl Iterator<Item = (&List, i32)> {
        self.against().filter_map(move |found| match found.list.action {
            ListAction::Score(weight)
                if found.list.enforce && self.is_in_scope(found.list.hops, is_client) =>
            {
                Some((&*found.list, weight.value()))
            }
            _ => None,
        })
    }

    /// The listings in force that add to the score.
    pub(super) fn scoring_listings(&self, is_client: bool) -> impl Iterator<Item = &Listing> {
        self.listed_against().filter(move |found| {
            matches!(found.zone.action, ListAction::Score(_))
                && found.zone.enforce
                && self.is_in_scope(found.zone.hops, is_client)
        })
    }

    /// The address as the one that decided.
    pub(super) fn as_offending(&self) -> Offending {
        Offending { ip: self.address, hop: self.hop.clone() }
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

/// What is known about a client, beside where its address is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFacts {
    /// Which way its mail goes; `None` where nobody asked.
    pub route: Option<Route>,
    /// What its names, its manners and its past add to the score.
    pub evidence: Vec<Evidence>,
}

/// What is known about a message when its header is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFacts {
    /// All addresses: the client first, then the hops from the topmost field down.
    pub addresses: Vec<AddressFacts>,
    /// Which of them is the logical client: the first that is not one of our relays; the client where there is none.
    pub logical: usize,
    /// What else is known of it.
    pub client: ClientFacts,
    /// Whether the greylist knows the sender, or it has waited long enough.
    pub passed: bool,
    /// The exempt sender domain for which SPF or DKIM passes.
    pub exempt: Option<Arc<str>>,
}

impl MessageFacts {
    /// The logical client; `None` only of facts without any address.
    pub fn logical_client(&self) -> Option<&AddressFacts> {
        self.addresses.get(self.logical)
    }
}
