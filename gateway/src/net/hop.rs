//! Where an address was seen.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Where an address was seen: at the socket, or in which field of the message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// The peer of the TCP connection.
    Connect,
    /// A PROXY header before the greeting.
    Proxy,
    /// An XCLIENT command.
    Xclient,
    /// The n-th Received field, counted from the top, the first is 0.
    Received(u16),
    /// Another header field, by its configured name.
    Header(Arc<str>),
}

impl Hop {
    /// Whether it is where a client itself is seen, and not a place in a message.
    pub const fn is_client(&self) -> bool {
        matches!(self, Self::Connect | Self::Proxy | Self::Xclient)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Proxy => f.write_str("proxy"),
            Self::Xclient => f.write_str("xclient"),
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

/// A text is no place where an address can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `connect`, `proxy`, `xclient`, `received[NUMBER]` or `header[NAME]`")]
pub struct HopError;

impl FromStr for Hop {
    type Err = HopError;

    /// Reads what it is shown as.
    fn from_str(text: &str) -> Result<Self, HopError> {
        let (field, index) = text.strip_suffix(']').and_then(|text| text.split_once('[')).unzip();
        match (field, index) {
            (None, None) if text == "connect" => Ok(Self::Connect),
            (None, None) if text == "proxy" => Ok(Self::Proxy),
            (None, None) if text == "xclient" => Ok(Self::Xclient),
            (Some("received"), Some(index)) => {
                index.parse().map(Self::Received).map_err(|_no_number| HopError)
            }
            (Some("header"), Some(name)) => Ok(Self::Header(name.into())),
            _ => Err(HopError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_again() {
        for hop in [
            Hop::Connect,
            Hop::Proxy,
            Hop::Xclient,
            Hop::Received(7),
            Hop::Header("X-Originating-IP".into()),
        ] {
            assert_eq!(hop.to_string().parse(), Ok(hop));
        }
        for text in ["", "received", "received[x]", "received[1", "connect[0]", "from[1]"] {
            assert_eq!(text.parse::<Hop>(), Err(HopError), "{text:?}");
        }
    }
}
