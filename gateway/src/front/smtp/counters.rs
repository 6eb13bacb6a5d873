//! What happened at this front, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// One number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened at this front since it began.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) capacity: Counter,
    pub(super) known_lost: Counter,
    pub(super) refused: Counter,
    pub(super) deferred: Counter,
    pub(super) early_talkers: Counter,
    pub(super) protocol_errors: Counter,
    pub(super) messages_relayed: Counter,
    pub(super) messages_refused: Counter,
    pub(super) messages_quarantined: Counter,
    pub(super) next_hop_failures: Counter,
    pub(super) tls_failures: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, connections_active: usize) -> CountersSnapshot {
        CountersSnapshot {
            connections: self.connections.get(),
            connections_active,
            capacity: self.capacity.get(),
            known_lost: self.known_lost.get(),
            refused: self.refused.get(),
            deferred: self.deferred.get(),
            early_talkers: self.early_talkers.get(),
            protocol_errors: self.protocol_errors.get(),
            messages_relayed: self.messages_relayed.get(),
            messages_refused: self.messages_refused.get(),
            messages_quarantined: self.messages_quarantined.get(),
            next_hop_failures: self.next_hop_failures.get(),
            tls_failures: self.tls_failures.get(),
        }
    }
}

/// The counters at one moment, for `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountersSnapshot {
    /// Connections accepted from the system.
    pub connections: u64,
    /// Those of now.
    pub connections_active: usize,
    /// Connections that found no room.
    pub capacity: u64,
    /// Connections of which the kernel filter did not learn, since too many came at once.
    pub known_lost: u64,
    /// Connections refused with a 5xx instead of the greeting.
    pub refused: u64,
    /// Connections deferred with a 4xx instead of the greeting.
    pub deferred: u64,
    /// Clients that spoke before the greeting.
    pub early_talkers: u64,
    /// Commands and messages that broke the protocol or a limit.
    pub protocol_errors: u64,
    /// Messages that the next hop took.
    pub messages_relayed: u64,
    /// Messages that it did not get, or did not take.
    pub messages_refused: u64,
    /// Messages that went into quarantine instead.
    pub messages_quarantined: u64,
    /// Times that the next hop could not be reached, or was lost.
    pub next_hop_failures: u64,
    /// Handshakes of clients that came to nothing.
    pub tls_failures: u64,
}
