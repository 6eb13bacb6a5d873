//! How much of everything a peer may use.

use std::time::Duration;

/// How much of everything a peer may use; each has a default that ordinary mail never meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time, over all clients.
    pub connections: usize,
    /// Connections at the same time from one IPv4 address, or from one /64 of IPv6: a single host has all of that.
    pub connections_per_client: usize,
    /// Connections at the same time from one /24 of IPv4, or one /48 of IPv6.
    pub connections_per_network: usize,
    /// Connections at the same time of clients of which nothing good is known.
    pub unknown_connections: usize,
    /// How long a client that is refused waits for each reply; `None`: not at all.
    pub tarpit: Option<Duration>,
    /// Clients that wait so at the same time.
    pub tarpit_connections: usize,
    /// Octets of a command line with its CRLF (RFC 5321 section 4.5.3.1.4 wants at least 512).
    pub command_line: usize,
    /// Commands in one session.
    pub commands: usize,
    /// Commands of one session that were answered with a 5xx of ours, before it is closed.
    pub errors: usize,
    /// Recipients of one message (RFC 5321 section 4.5.3.1.8 wants at least 100).
    pub recipients: usize,
    /// Octets of a header block; a longer one is refused with 552, never passed unscanned.
    pub header: usize,
    /// Octets of a line of a message (RFC 5321 section 4.5.3.1.6 wants at least 1000).
    pub data_line: usize,
    /// Octets of a message, announced as SIZE (RFC 1870) unless the next hop takes less.
    pub message: u64,
    /// Received fields of a message; more mean a loop (RFC 5321 section 6.3 wants at least 100).
    pub received: usize,
    /// Wait for the next command (RFC 5321 section 4.5.3.2.7 wants at least 5 minutes).
    pub command_timeout: Duration,
    /// Wait for the next piece of a message's data.
    pub data_timeout: Duration,
    /// Length of a session in all.
    pub session_timeout: Duration,
    /// Wait for the QUIT of a client that was refused.
    pub refused_timeout: Duration,
    /// Wait for a connection to the next hop, and for its greeting.
    pub next_hop_connect_timeout: Duration,
    /// Wait for the next hop's answer to a command.
    pub next_hop_timeout: Duration,
    /// Wait for the next hop's answer to the end of the data (RFC 5321 section 4.5.3.2.6 wants 10 minutes).
    pub next_hop_final_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 5000,
            connections_per_client: 50,
            connections_per_network: 200,
            unknown_connections: 4000,
            tarpit: None,
            tarpit_connections: 100,
            command_line: 2048,
            commands: 10_000,
            errors: 20,
            recipients: 1000,
            header: 256 * 1024,
            data_line: 64 * 1024,
            message: 100 * 1024 * 1024,
            received: 100,
            command_timeout: Duration::from_mins(5),
            data_timeout: Duration::from_mins(3),
            session_timeout: Duration::from_hours(1),
            refused_timeout: Duration::from_secs(10),
            next_hop_connect_timeout: Duration::from_secs(10),
            next_hop_timeout: Duration::from_mins(5),
            next_hop_final_timeout: Duration::from_mins(10),
        }
    }
}
