//! What an operator can say about listeners and the next hop.

use std::net::SocketAddr;

use crate::direction::Direction;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Which way the mail goes that comes in here; `None` is told from the client.
    pub direction: Option<Direction>,
    /// What is done about a CR or LF that stands alone.
    pub bare_newline: BareNewline,
}

/// What is done about a CR or LF that stands alone (RFC 5321 section 2.3.8 forbids both).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareNewline {
    /// The message is refused with a 5xx.
    Reject,
    /// It becomes CRLF, which can never end the message; signatures over the body break.
    Normalise,
}

/// Where accepted mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Address and port.
    pub address: SocketAddr,
    /// How the next hop learns who the client is.
    pub client: PassClient,
}

/// How the next hop learns who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassClient {
    /// Postfix's XCLIENT command.
    Xclient,
    /// The PROXY protocol, version 1, before its greeting.
    Proxy,
    /// Not at all; only where recipient domains are enforced here.
    None,
}
