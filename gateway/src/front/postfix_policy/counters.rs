//! What happened at the policy service, counted.

use serde::Serialize;

use super::super::smtp::Counter;

/// What happened at the policy service since it began.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) capacity: Counter,
    pub(super) protocol_errors: Counter,
    pub(super) requests: Counter,
    pub(super) unjudged: Counter,
    pub(super) refused: Counter,
    pub(super) deferred: Counter,
    pub(super) tagged: Counter,
    pub(super) quarantined: Counter,
    pub(super) discarded: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, connections_active: usize) -> CountersSnapshot {
        CountersSnapshot {
            connections: self.connections.get(),
            connections_active,
            capacity: self.capacity.get(),
            protocol_errors: self.protocol_errors.get(),
            requests: self.requests.get(),
            unjudged: self.unjudged.get(),
            refused: self.refused.get(),
            deferred: self.deferred.get(),
            tagged: self.tagged.get(),
            quarantined: self.quarantined.get(),
            discarded: self.discarded.get(),
        }
    }
}

/// The counters at one moment, for `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountersSnapshot {
    /// Connections of Postfix.
    pub connections: u64,
    /// Those of now.
    pub connections_active: usize,
    /// Connections that found no room.
    pub capacity: u64,
    /// Connections that were left because of what came over them.
    pub protocol_errors: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Those about a client without an address.
    pub unjudged: u64,
    /// Those that were answered with a 5xx.
    pub refused: u64,
    /// Those that were answered with a 4xx.
    pub deferred: u64,
    /// Messages that were given a field.
    pub tagged: u64,
    /// Messages that went into the hold queue of Postfix.
    pub quarantined: u64,
    /// Messages that were accepted and deleted, as the configuration says.
    pub discarded: u64,
}
