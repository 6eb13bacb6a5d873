//! What happened at the milter, counted.

use serde::Serialize;

use super::super::Counter;

/// What happened at the milter since it began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// Connections of mail servers.
    pub connections: Counter,
    /// Connections that found no room.
    pub capacity: Counter,
    /// Connections that were left because of what the mail server said, and messages that broke a limit.
    pub protocol_errors: Counter,
    /// Clients and recipients that were refused.
    pub refused: Counter,
    /// Clients and recipients that were deferred.
    pub deferred: Counter,
    /// Messages that nothing was against, tagged ones among them; the mail server may have refused them afterwards.
    pub messages_passed: Counter,
    /// Messages that were refused or deferred.
    pub messages_refused: Counter,
    /// Messages that went into the quarantine of the mail server.
    pub messages_quarantined: Counter,
    /// Messages that were accepted and deleted, as the configuration says.
    pub messages_discarded: Counter,
    /// Messages that came to nothing before they were whole.
    pub messages_aborted: Counter,
}
