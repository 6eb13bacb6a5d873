//! Where an address was seen.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Where an address was seen: at the socket, or in which field of the message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// The peer of the TCP connection.
    Connect,
    /// The n-th Received field, counted from the top, the first is 0.
    Received(u16),
    /// Another header field, by its configured name.
    Header(Arc<str>),
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Received(index) => write!(f, "received[{index}]"),
            Self::Header(name) => write!(f, "header[{name}]"),
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
