//! What happened at the proxy, counted.

use serde::Serialize;

use super::super::Counter;

/// What happened at the proxy since it began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// Connections accepted from the system.
    pub connections: Counter,
    /// Connections that found no room.
    pub capacity: Counter,
    /// Connections of which the kernel filter did not learn, since too many came at once.
    pub known_lost: Counter,
    /// Connections refused with a 5xx instead of the greeting.
    pub refused: Counter,
    /// Connections deferred with a 4xx instead of the greeting.
    pub deferred: Counter,
    /// Clients that spoke before the greeting.
    pub early_talkers: Counter,
    /// Commands and messages that broke the protocol or a limit.
    pub protocol_errors: Counter,
    /// Messages that the next hop took.
    pub messages_relayed: Counter,
    /// Messages that it did not get, or did not take.
    pub messages_refused: Counter,
    /// Messages that went into quarantine instead.
    pub messages_quarantined: Counter,
    /// Times that the next hop could not be reached, or was lost.
    pub next_hop_failures: Counter,
    /// Handshakes of clients that came to nothing.
    pub tls_failures: Counter,
}
