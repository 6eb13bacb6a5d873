//! Asks DNS: zones, reverse names, forward names.

use std::net::SocketAddr;
use std::time::Duration;

/// What an operator can say about DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The resolvers that are asked; none for those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// What one connection, or one message, waits for DNS in all.
    pub budget: Duration,
    /// False: reverse names are never asked for.
    pub ptr: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { resolvers: Vec::new(), budget: Duration::from_secs(2), ptr: true }
    }
}

/// STUB.
#[derive(Clone, Debug, Default)]
pub struct Zones;
/// STUB.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    pub listings: Vec<crate::zone::Listing>,
    pub faults: Vec<(std::sync::Arc<crate::zone::Zone>, std::sync::Arc<str>)>,
}
impl Zones {
    /// STUB.
    pub async fn look_up(
        &self,
        _address: std::net::IpAddr,
        _which: impl Fn(&crate::zone::Zone) -> bool,
        _deadline: tokio::time::Instant,
    ) -> Lookup {
        Lookup::default()
    }
    /// STUB.
    pub async fn reverse(
        &self,
        _address: std::net::IpAddr,
        _deadline: tokio::time::Instant,
    ) -> crate::net::Ptr {
        crate::net::Ptr::NotAsked
    }
}
