//! What happened at the policy service, counted.

use serde::Serialize;

use super::super::Counter;

/// What happened at the policy service since it began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    /// Connections of Postfix.
    pub connections: Counter,
    /// Connections that found no room.
    pub capacity: Counter,
    /// Connections that were left because of what came over them.
    pub protocol_errors: Counter,
    /// Requests that were answered.
    pub requests: Counter,
    /// Those about a client without an address.
    pub unjudged: Counter,
    /// Those that were answered with a 5xx.
    pub refused: Counter,
    /// Those that were answered with a 4xx.
    pub deferred: Counter,
    /// Messages that were given a field.
    pub tagged: Counter,
    /// Messages that went into the hold queue of Postfix.
    pub quarantined: Counter,
    /// Messages that were accepted and deleted, as the configuration says.
    pub discarded: Counter,
}
