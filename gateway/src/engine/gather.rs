//! Gathers what is known about an address: where it is listed, what zones and reverse DNS say, what it did of late.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Engine, Lists, Settings};
use crate::direction::{Accepted, Direction, Route, RouteReason, Step, decide};
use crate::dns;
use crate::list::ListAction;
use crate::net::{Hop, Ptr, reserved};
use crate::policy::{AddressFacts, ClientFacts, Evidence, Policy, Skipped, Unanswered};
use crate::zone::Zone;

impl Engine {
    /// What the lists in force say about an address.
    pub(super) fn listed(
        &self,
        settings: &Settings,
        lists: &Lists,
        address: IpAddr,
        hop: Hop,
        authenticated: bool,
    ) -> AddressFacts {
        let membership = &lists.membership;
        let skipped = if settings.trusted_relays.iter().any(|relay| relay.contains(address)) {
            Some(Skipped::OwnRelay)
        } else if let Some(range) = reserved(address).filter(|_range| !hop.is_client()) {
            Some(Skipped::Reserved(range))
        } else {
            membership.is_protected(address).then_some(Skipped::Protected)
        };
        let matches = membership.matches(address, self.clock.now());
        AddressFacts { authenticated, skipped, matches, ..AddressFacts::new(address, hop) }
    }

    /// Which way the mail of a client goes, and what zones, reverse DNS and its past say about it, where that can make a
    /// difference. All are asked at once: a reverse name that is long in coming takes no time from the zones.
    pub(super) async fn ask_about_client(
        &self,
        policy: &Policy,
        facts: AddressFacts,
        fixed: Option<Direction>,
        deadline: Instant,
    ) -> (AddressFacts, ClientFacts) {
        let (accepted, address) = (self.accepted.load_full(), facts.address);
        let first = decide(fixed, &accepted, address, None);
        let is_settled = is_settled(&facts);
        let is_ours = matches!(&first, Step::Known(route) if route.may_relay());
        let scores = policy.thresholds.is_some() && !is_settled && !is_ours;
        // What is asked at connect is there for the message, too.
        let needs_ptr = first == Step::NeedsPtr || (scores && policy.weights.needs_ptr());
        let acts = |zone: &Zone| !is_settled && !is_ours && acts_at_connect(zone.action);
        let (facts, ptr) = futures_util::join!(self.ask_zones(facts, acts, deadline), async {
            if needs_ptr { self.reverse(address, deadline).await } else { Ptr::NotAsked }
        });
        let route = route(fixed, &accepted, address, first, &ptr);
        if route.may_relay() {
            // What zones say of our own clients is nobody's business.
            let facts = AddressFacts { listings: Vec::new(), unanswered: Vec::new(), ..facts };
            return (facts, ClientFacts { route: Some(route), evidence: Vec::new() });
        }
        let evidence = if scores && policy.score_at_connect {
            self.evidence(policy, address, &ptr)
        } else {
            Vec::new()
        };
        (facts, ClientFacts { route: Some(Route { ptr, ..route }), evidence })
    }

    /// What the reverse name of an address is; `NotAsked` where there is nobody to ask.
    async fn reverse(&self, address: IpAddr, deadline: Instant) -> Ptr {
        match &self.asks.names {
            Some(names) => dns::reverse(names, address, deadline).await,
            None => Ptr::NotAsked,
        }
    }

    /// What the reverse name and the past of a client add to the score.
    pub(super) fn evidence(&self, policy: &Policy, address: IpAddr, ptr: &Ptr) -> Vec<Evidence> {
        let past = self.history.evidence(address, self.clock.now());
        let past = past.into_iter().filter_map(|(name, weight)| Evidence::new(name, weight));
        policy.weights.of_ptr(address, ptr).into_iter().chain(past).collect()
    }

    /// What the zones say for which `which` holds. Nobody in the world lists an address that is not of the world.
    pub(super) async fn ask_zones(
        &self,
        facts: AddressFacts,
        which: impl Fn(&Zone) -> bool,
        deadline: Instant,
    ) -> AddressFacts {
        let Some(zones) = &self.asks.zones else { return facts };
        if reserved(facts.address).is_some() {
            return facts;
        }
        let found = zones.look_up(facts.address, which, deadline).await;
        let mut listings = found.listings;
        listings.sort_by_key(|listing| listing.zone.precedence());
        let unanswered = found.silent.into_iter().map(|(zone, reason)| Unanswered { zone, reason });
        AddressFacts { listings, unanswered: unanswered.collect(), ..facts }
    }
}

/// Which way mail goes, once the reverse name is known where it matters (S4.2).
fn route(
    fixed: Option<Direction>,
    accepted: &Accepted,
    address: IpAddr,
    first: Step,
    ptr: &Ptr,
) -> Route {
    let step = match first {
        Step::NeedsPtr => decide(fixed, accepted, address, Some(ptr)),
        known @ Step::Known(_) => known,
    };
    let Step::Known(route) = step else {
        let (direction, reason) = (Direction::Inbound, RouteReason::NoMatch);
        return Route { direction, reason, ptr: ptr.clone() };
    };
    // Who is in a list may relay whatever the next hop can see; who only came to the right listener, may not.
    let by_address = accepted.by_address(address);
    match by_address.filter(|found| route.may_relay() && found.direction.is_outbound()) {
        Some(found) => {
            let (list, entry) = (Arc::clone(&found.list), Arc::clone(&found.entry));
            Route { reason: RouteReason::Acceptance { list, entry }, ..route }
        }
        None => route,
    }
}

/// Whether no zone can change what the lists say: they outrank all zones, since the kernel cannot ask DNS.
fn is_settled(facts: &AddressFacts) -> bool {
    let refuses =
        |found: &crate::list::Match| found.list.enforce && found.list.action.acts_at_connect();
    facts.skipped.is_some() || facts.cleared_by().is_some() || facts.matches.iter().any(refuses)
}

/// Whether a zone with this action has a say when a client connects.
fn acts_at_connect(action: ListAction) -> bool {
    action.acts_at_connect() || matches!(action, ListAction::Accept | ListAction::Score(_))
}
