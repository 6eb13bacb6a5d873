//! How many connections there are: in all, from each client and network, and of strangers.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::smtp::Limits;

/// The connections of now, counted.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    unknown: usize,
    by_client: HashMap<IpAddr, usize>,
    by_network: HashMap<IpAddr, usize>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many connections in all.
    All,
    /// This client has too many.
    Client,
    /// Its network has too many.
    Network,
    /// Strangers have too many, and it is one.
    Unknown,
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    claim: Option<Claim>,
}

/// For whom a place is.
#[derive(Clone, Copy, Debug)]
struct Claim {
    client: IpAddr,
    network: IpAddr,
    is_unknown: bool,
}

impl Connections {
    /// A place for a connection, whosever it is.
    pub(super) fn admit(self: &Arc<Self>, limits: &Limits) -> Result<Place, Full> {
        let mut counts = self.counts();
        if counts.total >= limits.connections {
            return Err(Full::All);
        }
        counts.total += 1;
        Ok(Place { connections: Arc::clone(self), claim: None })
    }

    /// The number of connections.
    pub(super) fn total(&self) -> usize {
        self.counts().total
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Makes it one of the client at `address`, whoever had it before; `is_known`: something good is known of it.
    pub(super) fn claim(
        &mut self,
        address: IpAddr,
        is_known: bool,
        limits: &Limits,
    ) -> Result<(), Full> {
        let claim =
            Claim { client: host(address), network: network(address), is_unknown: !is_known };
        let mut counts = self.connections.counts();
        if let Some(earlier) = self.claim.take() {
            counts.release(earlier);
        }
        counts.take(claim, limits)?;
        self.claim = Some(claim);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.total = counts.total.saturating_sub(1);
        if let Some(claim) = self.claim {
            counts.release(claim);
        }
    }
}

impl Counts {
    fn take(&mut self, claim: Claim, limits: &Limits) -> Result<(), Full> {
        let count = |counts: &HashMap<IpAddr, usize>, key| counts.get(&key).copied().unwrap_or(0);
        if claim.is_unknown && self.unknown >= limits.unknown_connections {
            return Err(Full::Unknown);
        }
        if count(&self.by_client, claim.client) >= limits.connections_per_client {
            return Err(Full::Client);
        }
        if count(&self.by_network, claim.network) >= limits.connections_per_network {
            return Err(Full::Network);
        }
        self.unknown += usize::from(claim.is_unknown);
        *self.by_client.entry(claim.client).or_default() += 1;
        *self.by_network.entry(claim.network).or_default() += 1;
        Ok(())
    }

    fn release(&mut self, claim: Claim) {
        self.unknown = self.unknown.saturating_sub(usize::from(claim.is_unknown));
        one_less(&mut self.by_client, claim.client);
        one_less(&mut self.by_network, claim.network);
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// An IPv6 host has a whole /64 to itself.
fn host(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// What one customer of a provider has at most: a /24 of IPv4, a /48 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places for `addresses` one after the other; a `+` before an address is one of which something good is known.
    fn places(limits: &Limits, addresses: &[&str]) -> (Arc<Connections>, Vec<Result<Place, Full>>) {
        let connections = Arc::new(Connections::default());
        let place = |text: &&str| {
            let known = text.strip_prefix('+');
            let address = known.unwrap_or(text).parse().unwrap();
            let mut place = connections.admit(limits)?;
            place.claim(address, known.is_some(), limits)?;
            Ok(place)
        };
        let places = addresses.iter().map(place).collect();
        (connections, places)
    }

    #[test]
    fn each_limit_has_its_name() {
        let limits = Limits {
            connections: 5,
            connections_per_client: 2,
            connections_per_network: 3,
            unknown_connections: 4,
            ..Limits::default()
        };
        for (addresses, last) in [
            (&["192.0.2.1", "192.0.2.1", "192.0.2.1"][..], Err(Full::Client)),
            (&["192.0.2.1", "192.0.2.1", "192.0.3.1"], Ok(())),
            (&["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], Err(Full::Network)),
            (&["2001:db8::1", "2001:db8::2", "2001:db8::3"], Err(Full::Client)),
            (
                &["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"],
                Err(Full::Network),
            ),
            (&["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.0.5.1"], Err(Full::Unknown)),
            (&["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1", "+10.0.5.1"], Ok(())),
            (
                &["+10.0.1.1", "+10.0.2.1", "+10.0.3.1", "+10.0.4.1", "+10.0.5.1", "+10.0.6.1"],
                Err(Full::All),
            ),
        ] {
            let (_connections, mut places) = places(&limits, addresses);
            let found = places.pop().unwrap().map(|_place| ());
            assert_eq!(found, last, "{addresses:?}");
            assert!(places.iter().all(Result::is_ok), "{addresses:?}");
        }
    }

    #[test]
    fn places_are_given_back_whole() {
        let limits = Limits::default();
        let (connections, mut places) = places(&limits, &["192.0.2.1", "+192.0.2.2", "10.0.0.1"]);
        assert_eq!(connections.total(), 3);
        // Another client comes over the same connection.
        let place = places[0].as_mut().unwrap();
        place.claim("198.51.100.1".parse().unwrap(), true, &limits).unwrap();
        assert_eq!(connections.counts().unknown, 1);
        places.clear();
        let counts = connections.counts();
        assert_eq!((counts.total, counts.unknown), (0, 0));
        assert!(counts.by_client.is_empty() && counts.by_network.is_empty());
    }
}
