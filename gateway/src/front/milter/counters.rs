//! What happened at the milter, counted.

use serde::Serialize;

use super::super::smtp::Counter;

/// What happened at the milter since it began.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) capacity: Counter,
    pub(super) protocol_errors: Counter,
    pub(super) refused: Counter,
    pub(super) deferred: Counter,
    pub(super) messages_passed: Counter,
    pub(super) messages_refused: Counter,
    pub(super) messages_quarantined: Counter,
    pub(super) messages_discarded: Counter,
    pub(super) messages_aborted: Counter,
}

impl Counters {
    pub(super) fn snapshot(&self, connections_active: usize) -> CountersSnapshot {
        CountersSnapshot {
            connections: self.connections.get(),
            connections_active,
            capacity: self.capacity.get(),
            protocol_errors: self.protocol_errors.get(),
            refused: self.refused.get(),
            deferred: self.deferred.get(),
            messages_passed: self.messages_passed.get(),
            messages_refused: self.messages_refused.get(),
            messages_quarantined: self.messages_quarantined.get(),
            messages_discarded: self.messages_discarded.get(),
            messages_aborted: self.messages_aborted.get(),
        }
    }
}

/// The counters at one moment, for `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountersSnapshot {
    /// Connections of mail servers.
    pub connections: u64,
    /// Those of now.
    pub connections_active: usize,
    /// Connections that found no room.
    pub capacity: u64,
    /// Connections that were left because of what the mail server said, and messages that broke a limit.
    pub protocol_errors: u64,
    /// Clients and recipients that were refused.
    pub refused: u64,
    /// Clients and recipients that were deferred.
    pub deferred: u64,
    /// Messages that nothing was against, tagged ones among them; the mail server may have refused them afterwards.
    pub messages_passed: u64,
    /// Messages that were refused or deferred.
    pub messages_refused: u64,
    /// Messages that went into the quarantine of the mail server.
    pub messages_quarantined: u64,
    /// Messages that were accepted and deleted, as the configuration says.
    pub messages_discarded: u64,
    /// Messages that came to nothing before they were whole.
    pub messages_aborted: u64,
}
