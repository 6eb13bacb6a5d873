//! What an operator can say about DNS.

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
