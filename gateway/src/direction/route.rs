//! The decision which way a client's mail goes, for one reason that records print.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Accepted, Direction, Match};
use crate::net::Ptr;

/// Which way a client's mail goes, and why: three fields of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Which way.
    pub direction: Direction,
    /// Why.
    pub reason: RouteReason,
    /// What reverse DNS said, where it was asked.
    pub ptr: Ptr,
}

/// Why a client's mail goes this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteReason {
    /// All mail of the listener goes that way.
    Listener,
    /// An acceptance list knows the client.
    Acceptance {
        /// The name of the list.
        list: Arc<str>,
        /// The entry as it was written.
        entry: Arc<str>,
    },
    /// Its user has logged in: at the next hop, or at the mail server that asks.
    Authenticated,
    /// No acceptance list knows the client, so it is inbound.
    NoMatch,
    /// A list might know the client by its name, which DNS did not tell: inbound, until DNS answers.
    DnsFault,
}

/// How far the decision is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is taken.
    Known(Route),
    /// It depends on the client's name, which has to be asked for.
    NeedsPtr,
}

impl Route {
    /// Whether the client may send to any domain.
    pub fn may_relay(&self) -> bool {
        self.direction.is_outbound()
    }

    /// Whether the client is inbound only since DNS failed, so that what an outbound one may do is put off, not refused.
    pub fn dns_failed(&self) -> bool {
        self.reason == RouteReason::DnsFault
    }
}

/// Decides which way the mail of `address` goes: as `fixed` by the listener, else as the acceptance lists say.
///
/// `ptr` is `None` as long as nobody asked for the client's name. A name that does not lead back to the address proves
/// nothing, and whoever has no name, or none that counts, is inbound and no worse for it.
pub fn decide(
    fixed: Option<Direction>,
    accepted: &Accepted,
    address: IpAddr,
    ptr: Option<&Ptr>,
) -> Step {
    let known = |direction, reason| {
        Step::Known(Route { direction, reason, ptr: ptr.cloned().unwrap_or_default() })
    };
    if let Some(direction) = fixed {
        return known(direction, RouteReason::Listener);
    }
    let by_address = accepted.by_address(address);
    if by_address.is_none() && accepted.needs_ptr() && ptr.is_none() {
        return Step::NeedsPtr;
    }
    let by_name = || match ptr {
        Some(Ptr::Confirmed(name)) => accepted.by_name(name),
        _ => None,
    };
    match by_address.or_else(by_name) {
        Some(Match { list, direction, entry }) => {
            let (list, entry) = (Arc::clone(list), Arc::clone(entry));
            known(*direction, RouteReason::Acceptance { list, entry })
        }
        None if accepted.is_waiting()
            || (accepted.needs_ptr() && matches!(ptr, Some(Ptr::Fault(_)))) =>
        {
            known(Direction::Inbound, RouteReason::DnsFault)
        }
        None => known(Direction::Inbound, RouteReason::NoMatch),
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, reason, ptr } = self;
        write!(f, "direction={direction} reason={reason} ptr={ptr}")
    }
}

impl fmt::Display for RouteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => f.write_str("listener"),
            Self::Acceptance { list, entry } => write!(f, "acceptance:{list}/{entry}"),
            Self::Authenticated => f.write_str("authenticated"),
            Self::NoMatch => f.write_str("no-match"),
            Self::DnsFault => f.write_str("dns-fault"),
        }
    }
}

impl Serialize for RouteReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direction::Acceptance;
    use crate::net::PtrFault;

    fn accepted(domains: &[&str]) -> Accepted {
        Accepted::new(&[Acceptance {
            name: "office".into(),
            direction: Direction::Outbound,
            addresses: vec!["192.0.2.0/28".parse().unwrap()],
            hosts: Vec::new(),
            domains: domains.iter().map(|&domain| domain.into()).collect(),
        }])
    }

    fn told(step: Step) -> String {
        match step {
            Step::Known(route) => route.to_string(),
            Step::NeedsPtr => "needs ptr".into(),
        }
    }

    #[test]
    fn what_dns_cannot_prove_is_inbound() {
        let confirmed = Ptr::Confirmed("mail.example.org".into());
        let unconfirmed = Ptr::Unconfirmed(vec!["mail.example.org".into()]);
        let (servfail, timeout) =
            (Ptr::Fault(PtrFault::ServerFailure), Ptr::Fault(PtrFault::Timeout));
        let stranger = "198.51.100.1";
        for (address, ptr, expected) in [
            (
                "192.0.2.1",
                None,
                "direction=outbound reason=acceptance:office/192.0.2.0/28 ptr=not-asked",
            ),
            (
                "192.0.2.1",
                Some(&servfail),
                "direction=outbound reason=acceptance:office/192.0.2.0/28 ptr=servfail",
            ),
            (stranger, None, "needs ptr"),
            (stranger, Some(&Ptr::NotAsked), "direction=inbound reason=no-match ptr=not-asked"),
            (stranger, Some(&Ptr::None), "direction=inbound reason=no-match ptr=none"),
            (
                stranger,
                Some(&confirmed),
                "direction=outbound reason=acceptance:office/.example.org ptr=mail.example.org(confirmed)",
            ),
            (
                stranger,
                Some(&unconfirmed),
                "direction=inbound reason=no-match ptr=mail.example.org(unconfirmed)",
            ),
            (stranger, Some(&servfail), "direction=inbound reason=dns-fault ptr=servfail"),
            (stranger, Some(&timeout), "direction=inbound reason=dns-fault ptr=timeout"),
        ] {
            let step = decide(None, &accepted(&[".example.org"]), address.parse().unwrap(), ptr);
            assert_eq!(told(step), expected, "{address} {ptr:?}");
        }
    }

    #[test]
    fn dns_is_asked_and_blamed_only_where_a_name_could_decide() {
        let servfail = Ptr::Fault(PtrFault::ServerFailure);
        let stranger = "198.51.100.1".parse().unwrap();
        let none = accepted(&[]);
        for (ptr, expected) in [
            (None, "direction=inbound reason=no-match ptr=not-asked"),
            (Some(&servfail), "direction=inbound reason=no-match ptr=servfail"),
        ] {
            assert_eq!(told(decide(None, &none, stranger, ptr)), expected);
        }
        for direction in [Direction::Inbound, Direction::Outbound] {
            for address in [stranger, "192.0.2.1".parse().unwrap()] {
                let step = decide(Some(direction), &accepted(&[".example.org"]), address, None);
                let expected = format!("direction={direction} reason=listener ptr=not-asked");
                assert_eq!(told(step), expected);
            }
        }
    }

    #[test]
    fn only_outbound_relays_and_only_a_fault_puts_off() {
        for (direction, reason, may_relay, dns_failed) in [
            (Direction::Outbound, RouteReason::Listener, true, false),
            (Direction::Inbound, RouteReason::Listener, false, false),
            (Direction::Inbound, RouteReason::NoMatch, false, false),
            (Direction::Inbound, RouteReason::DnsFault, false, true),
        ] {
            let route = Route { direction, reason, ptr: Ptr::NotAsked };
            assert_eq!((route.may_relay(), route.dns_failed()), (may_relay, dns_failed), "{route}");
        }
    }

    #[test]
    fn records_have_three_fields() {
        let Step::Known(route) = decide(None, &accepted(&[]), "192.0.2.1".parse().unwrap(), None)
        else {
            panic!("no name is needed");
        };
        assert_eq!(
            serde_json::to_string(&route).unwrap(),
            r#"{"direction":"outbound","reason":"acceptance:office/192.0.2.0/28","ptr":"not-asked"}"#
        );
    }
}
