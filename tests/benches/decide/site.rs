//! The site that decides: its policy, its zones, its lists, and the addresses that come to it.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use gateway::list::{Class, Entries, List, ListAction, Loaded, Membership, Origin, Part, Weight};
use gateway::net::{Prefix, reserved};
use gateway::policy::{DelayMode, EvidenceWeights, Policy, Thresholds};
use gateway::zone::{Domain, Zone, ZoneClass};
use gateway_ebpf::bench_keys::entry_v4;

/// How many addresses the list has.
pub(crate) const LISTED: u32 = 100_000;
/// The zones; the first one lists those who are bad.
pub(crate) const ZONES: [&str; 5] =
    ["zen.example", "bl.example", "dul.example", "proxies.example", "reputation.example"];

/// All of the score is on.
pub(crate) fn policy() -> Policy {
    Policy {
        enforce: true,
        thresholds: Some(Thresholds::default()),
        delay_mode: DelayMode::Greylist,
        weights: EvidenceWeights {
            ptr_missing: 100,
            ptr_unconfirmed: 50,
            ptr_generic: 100,
            ..EvidenceWeights::default()
        },
        ..Policy::default()
    }
}

/// The zones, all of which add to the score. They have no test entries: nothing is to ask beside what is measured.
pub(crate) fn zones() -> Result<Vec<Arc<Zone>>> {
    let weight = Weight::new(400).context("a weight")?;
    let zone = |name: &&str| {
        let domain = Domain::new(name, None)?;
        let action = ListAction::Score(weight);
        let zone = Zone::new(name, domain, ZoneClass::ThirdPartyBad, action);
        Ok(Arc::new(Zone { test_points: false, ..zone }))
    };
    ZONES.iter().map(zone).collect()
}

/// The list that refuses.
pub(crate) fn list() -> Arc<List> {
    Arc::new(List::new("blocked", Class::LocalBad, ListAction::Reject))
}

/// The list with its entries: random hosts.
pub(crate) fn membership() -> Membership {
    let entries: Entries = (0..LISTED).map(|number| Prefix::host(entry(number).into())).collect();
    let part = Part { origin: Arc::new(Origin::Put), entries: Arc::new(entries) };
    Membership::new(vec![Loaded { list: list(), parts: vec![part] }], &[])
}

/// Those who come.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Nobody has anything against them; they have a confirmed name.
    pub(crate) clean: Vec<Ipv4Addr>,
    /// A zone lists them, and they have no name.
    pub(crate) scored: Vec<Ipv4Addr>,
    /// The list has them.
    pub(crate) listed: Vec<Ipv4Addr>,
}

impl Clients {
    /// `count` of each kind, but a quarter of those whom a zone lists.
    pub(crate) fn new(count: usize) -> Self {
        let mut others = (LISTED..).map(entry).filter(|it| reserved(IpAddr::V4(*it)).is_none());
        let mut take = |count: usize| others.by_ref().take(count).collect();
        let (clean, scored) = (take(count), take(count / 4));
        let listed = (0..LISTED).map(entry).filter(|it| reserved(IpAddr::V4(*it)).is_none());
        Self { clean, scored, listed: listed.take(count).collect() }
    }

    /// Those whom a zone lists, to be asked.
    pub(crate) fn bad(&self) -> HashSet<Ipv4Addr> {
        self.scored.iter().copied().collect()
    }
}

fn entry(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(entry_v4(number))
}
