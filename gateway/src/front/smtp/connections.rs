//! How many connections there are, in all and from each client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::smtp::Limits;

/// The connections of now, counted.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// There are too many connections in all.
    All,
    /// This client has too many.
    Client,
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    client: IpAddr,
}

impl Connections {
    /// A place for a connection of `address`.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Place, Full> {
        let client = network(address);
        let mut counts = self.counts();
        if counts.total >= limits.connections {
            return Err(Full::All);
        }
        let of_client = counts.by_client.entry(client).or_default();
        if *of_client >= limits.connections_per_client {
            return Err(Full::Client);
        }
        *of_client += 1;
        counts.total += 1;
        Ok(Place { connections: Arc::clone(self), client })
    }

    /// The number of connections.
    pub(super) fn total(&self) -> usize {
        self.counts().total
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.total = counts.total.saturating_sub(1);
        if let Some(of_client) = counts.by_client.get_mut(&self.client) {
            *of_client = of_client.saturating_sub(1);
            if *of_client == 0 {
                counts.by_client.remove(&self.client);
            }
        }
    }
}

/// An IPv6 host has a whole /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limits = Limits { connections: 4, connections_per_client: 2, ..Limits::default() };
        let connections = Arc::new(Connections::default());
        let admit = |address: &str| connections.admit(address.parse().unwrap(), &limits);
        let first = admit("192.0.2.1").unwrap();
        let _second = admit("192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").unwrap_err(), Full::Client);
        let _third = admit("2001:db8::1").unwrap();
        let _fourth = admit("2001:db8::2").unwrap();
        assert_eq!(admit("192.0.2.2").unwrap_err(), Full::All);
        drop(first);
        assert_eq!(admit("2001:db8::3").unwrap_err(), Full::Client);
        let _fifth = admit("192.0.2.1").unwrap();
        assert_eq!(connections.total(), 4);
    }

    #[test]
    fn nothing_is_left_behind() {
        let connections = Arc::new(Connections::default());
        let place = connections.admit("192.0.2.1".parse().unwrap(), &Limits::default()).unwrap();
        drop(place);
        assert_eq!(connections.total(), 0);
        assert!(connections.counts().by_client.is_empty());
    }
}
