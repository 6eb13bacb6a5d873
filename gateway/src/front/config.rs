//! What an operator can say about each front.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::direction::Direction;
use crate::net::Prefix;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Which way the mail goes that comes in here; `None` is told from the client.
    pub direction: Option<Direction>,
    /// What is done about a CR, LF or NUL that stands alone.
    pub bare_newline: BareNewline,
    /// Whether clients may, or must, speak TLS.
    pub tls: ListenerTls,
    /// Whether AUTH goes through to the next hop, under TLS alone (RFC 4954 section 4).
    pub auth: bool,
    /// Peers that begin with a PROXY header, in which the client is named.
    pub proxy_from: Vec<Prefix>,
    /// Peers that may name the client with XCLIENT.
    pub xclient_from: Vec<Prefix>,
    /// How long strangers wait for the end of the greeting; `None`: not at all.
    pub greet_wait: Option<Duration>,
}

impl Listener {
    /// One that is as every key says that is absent.
    pub const fn new(address: SocketAddr) -> Self {
        Self {
            address,
            direction: None,
            bare_newline: BareNewline::Reject,
            tls: ListenerTls::Off,
            auth: false,
            proxy_from: Vec::new(),
            xclient_from: Vec::new(),
            greet_wait: None,
        }
    }
}

/// What is done about a CR, LF or NUL that stands alone (RFC 5321 sections 2.3.8 and 4.5.2 forbid them).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareNewline {
    /// The message is refused with a 5xx.
    Reject,
    /// CR and LF become CRLF, which can never end the message, NULs vanish; signatures over the body break.
    Normalise,
}

/// Whether the clients of a listener may, or must, speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerTls {
    /// It is not offered.
    Off,
    /// STARTTLS (RFC 3207).
    Starttls,
    /// From the first octet on (RFC 8314 section 3).
    Implicit,
}

/// Where accepted mail goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Addresses and ports of hosts that do the same; the first one that answers gets the mail.
    pub addresses: Vec<SocketAddr>,
    /// How the next hop learns who the client is.
    pub client: PassClient,
    /// Whether TLS is spoken with it.
    pub tls: NextHopTls,
    /// Connections to each that may wait for another client.
    pub idle_connections: usize,
}

impl NextHop {
    /// Connections that may wait where nobody says how many.
    pub const IDLE_CONNECTIONS: usize = 32;
}

/// How the next hop learns who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassClient {
    /// Postfix's XCLIENT command.
    Xclient,
    /// The PROXY protocol, version 1, before its greeting.
    Proxy,
    /// The same, version 2.
    ProxyV2,
    /// Not at all; only where recipient domains are enforced here.
    None,
}

/// Whether TLS is spoken with the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHopTls {
    /// When.
    pub mode: NextHopTlsMode,
    /// Whether its certificate must be one for `name`, from an authority that is believed.
    pub verify: bool,
    /// The name in the certificate; `None`: its address.
    pub name: Option<String>,
    /// Authorities, in PEM, that are believed instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl NextHopTls {
    /// None at all.
    pub const OFF: Self =
        Self { mode: NextHopTlsMode::Off, verify: false, name: None, ca_file: None };
}

/// When TLS is spoken with the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextHopTlsMode {
    /// Never.
    Off,
    /// Where it offers STARTTLS and that works.
    Opportunistic,
    /// Always; mail waits where it does not work.
    Required,
}

/// What is written into the header of mail that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderConfig {
    /// Whether a Received field says how it came here (RFC 5321 section 4.4).
    pub received: bool,
    /// Whether a field says what was found out about the sender (RFC 8601).
    pub authentication_results: bool,
    /// What goes before the subject of a message that is tagged.
    pub subject_prefix: Option<String>,
}

impl Default for HeaderConfig {
    fn default() -> Self {
        Self { received: true, authentication_results: false, subject_prefix: None }
    }
}

/// A service that a mail server asks: the milter, or the Postfix policy service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where it is asked.
    pub endpoint: Endpoint,
    /// Which way the mail goes that it is asked about; `None` is told from the client.
    pub direction: Option<Direction>,
    /// Connections of mail servers at the same time.
    pub connections: usize,
}

/// Where a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Who may connect, as the permission bits of a file.
        mode: u32,
    },
}

impl Endpoint {
    /// Whether `other` is asked at the same place; port 0 is a free one, another each time.
    pub fn is_at(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => one == other && one.port() != 0,
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            (Self::Tcp(_), Self::Unix { .. }) | (Self::Unix { .. }, Self::Tcp(_)) => false,
        }
    }
}

impl fmt::Display for Endpoint {
    /// As the configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}
