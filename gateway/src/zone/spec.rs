//! One zone as configured: what its answers mean and what is done about them.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::{Domain, Filter};
use crate::list::{HopScope, ListAction, Weight};

/// The most zones: each costs a question for each new client, and all are waited for.
pub const MOST_ZONES: usize = 32;

/// A zone as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The name that everything inside uses; it never holds an access key.
    pub name: Arc<str>,
    /// The name that replies to senders use.
    pub label: Arc<str>,
    /// What is asked; it may begin with an access key.
    pub domain: Domain,
    /// What a listing says about an address.
    pub class: ZoneClass,
    /// Which answers are listings, and what each means.
    pub filters: Vec<Filter>,
    /// What is done about a listing. The weight of `score` is that of filters without their own.
    pub action: ListAction,
    /// Which hops are asked about.
    pub hops: HopScope,
    /// What is done when the zone does not answer.
    pub on_dns_error: OnDnsError,
    /// The kinds of addresses that it is asked about.
    pub families: Families,
    /// Whether it has the entries of RFC 5782 section 5, by which its health is told.
    pub test_points: bool,
    /// False: listings are recorded, nothing is done about them.
    pub enforce: bool,
}

impl Zone {
    /// A zone with what holds where the configuration says nothing else.
    pub fn new(name: &str, domain: Domain, class: ZoneClass, action: ListAction) -> Self {
        Self {
            name: name.into(),
            label: name.into(),
            domain,
            class,
            filters: vec![Filter::default()],
            action,
            hops: action.default_hops(),
            on_dns_error: OnDnsError::Open,
            families: Families::default(),
            test_points: true,
            enforce: true,
        }
    }

    /// Whether it is asked about addresses like `address`.
    pub const fn takes(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.families.ipv4,
            IpAddr::V6(_) => self.families.ipv6,
        }
    }

    /// What one of its filters adds to the score.
    pub fn weight(&self, filter: &Filter) -> Weight {
        match self.action {
            ListAction::Score(weight) => filter.weight.unwrap_or(weight),
            _ => Weight::default(),
        }
    }

    /// Where several zones list an address, the one with the least of these decides: zones in force before dry runs, then by
    /// class, then the most severe action. All of them come after all lists, since the kernel cannot ask DNS.
    pub fn precedence(&self) -> impl Ord + use<> {
        (!self.enforce, self.class, Reverse(self.action))
    }
}

/// What a zone says about its addresses; the order is the order of precedence, the first wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneClass {
    /// Good senders that a third party vouches for.
    ThirdPartyGood,
    /// Open proxies, zombies among them.
    OpenProxy,
    /// Bad senders that a third party lists.
    ThirdPartyBad,
}

impl ZoneClass {
    /// All classes, in their order of precedence.
    pub const ALL: [Self; 3] = [Self::ThirdPartyGood, Self::OpenProxy, Self::ThirdPartyBad];

    /// The word that configuration and records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThirdPartyGood => "third-party-good",
            Self::OpenProxy => "open-proxy",
            Self::ThirdPartyBad => "third-party-bad",
        }
    }

    /// Whether its zones speak for an address instead of against it.
    pub const fn is_good(self) -> bool {
        matches!(self, Self::ThirdPartyGood)
    }
}

/// What is done about a client when a zone does not answer. There is no third choice: trouble of ours is never a 5xx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDnsError {
    /// It is judged by what else is known.
    #[default]
    Open,
    /// It is answered with a 4xx.
    Defer,
}

/// The kinds of addresses that a zone is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

impl Default for Families {
    fn default() -> Self {
        Self { ipv4: true, ipv6: true }
    }
}
