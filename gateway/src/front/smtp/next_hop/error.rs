//! Why a next hop is of no use now, and what the client is told of it.

use std::io;
use std::net::SocketAddr;

use tokio::time::error::Elapsed;

use crate::policy::Reply;
use crate::smtp::{NextHopReply, ReplyFault};

/// Why a next hop is of no use now.
#[derive(Debug, thiserror::Error)]
pub(in crate::front::smtp) enum NextHopError {
    /// The connection broke.
    #[error("connection broken: {0}")]
    Broken(#[source] io::Error),
    /// It does not take the name that the client gave itself.
    #[error("EHLO answered with `{}` because of the client's name", .0.summary())]
    ClientName(NextHopReply),
    /// It closed the connection.
    #[error("connection closed")]
    Closed,
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// It does not greet with 220.
    #[error("greeting `{}`, expected 220", .0.summary())]
    Greeting(NextHopReply),
    /// It does not take EHLO.
    #[error("EHLO answered with `{}`, expected 250", .0.summary())]
    Hello(NextHopReply),
    /// It talks, but no SMTP.
    #[error(transparent)]
    Nonsense(#[from] ReplyFault),
    /// It offers no TLS where there has to be some.
    #[error("STARTTLS not offered or refused, expected it: `tls` in [next_hop] is \"required\"")]
    NoTls,
    /// It takes too long.
    #[error("timed out")]
    Timeout,
    /// The handshake fails.
    #[error("TLS fails: {0}")]
    Tls(#[source] io::Error),
    /// It says what nobody asked for, or goodbye.
    #[error("unexpected reply `{}`", .0.summary())]
    Unexpected(NextHopReply),
    /// It no longer offers what the client was offered.
    #[error("extension for {0} was offered before and is gone")]
    Withdrawn(String),
    /// It does not let us use XCLIENT.
    #[error("XCLIENT answered with `{}`, expected 220", .0.summary())]
    Xclient(NextHopReply),
    /// It does not offer XCLIENT with ADDR.
    #[error(
        "XCLIENT with ADDR not offered, expected it for this host: mail waits, since the next hop would take us for the client"
    )]
    XclientMissing,
}

impl From<Elapsed> for NextHopError {
    fn from(_elapsed: Elapsed) -> Self {
        Self::Timeout
    }
}

impl NextHopError {
    /// What the client is told: never a 5xx for trouble that is not its own.
    pub(in crate::front::smtp) fn reply(&self) -> Reply {
        match self {
            Self::NoTls | Self::Tls(_) | Self::Xclient(_) | Self::XclientMissing => {
                Reply::new(451, 3, 5, "mail system not configured, try again later")
            }
            Self::ClientName(_) | Self::Connect(_) | Self::Greeting(_) | Self::Hello(_) => {
                Reply::new(451, 4, 1, "next hop does not answer, try again later")
            }
            Self::Broken(_)
            | Self::Closed
            | Self::Nonsense(_)
            | Self::Timeout
            | Self::Unexpected(_)
            | Self::Withdrawn(_) => Reply::new(451, 4, 2, "lost the next hop, try again later"),
        }
    }

    /// What an operator does about it.
    pub(super) fn remedy(&self, address: SocketAddr) -> String {
        match self {
            Self::NoTls => "let the next hop offer STARTTLS, or set `tls` in [next_hop] to \"opportunistic\"".to_owned(),
            Self::Tls(_) => format!(
                "`openssl s_client -starttls smtp -connect {address}` shows its certificate; correct it, or `tls` in [next_hop]"
            ),
            Self::Xclient(_) | Self::XclientMissing => {
                "with Postfix there: `postconf -e smtpd_authorized_xclient_hosts=OUR-ADDRESS` and `postfix reload`; or set `client` in [next_hop] to what it takes".to_owned()
            }
            Self::Connect(_) | Self::Timeout | Self::Closed | Self::Broken(_) => format!(
                "start the mail server that listens on {address} (there: `ss -ltnp`), or correct `address` in [next_hop]"
            ),
            Self::ClientName(_)
            | Self::Greeting(_)
            | Self::Hello(_)
            | Self::Nonsense(_)
            | Self::Unexpected(_)
            | Self::Withdrawn(_) => format!(
                "look into the log of the mail server on {address}: it does not take mail from this host as SMTP says"
            ),
        }
    }

    /// The next hop's own refusal of the name that the client gave itself, which is the client's to hear.
    pub(in crate::front::smtp) fn client_refusal(&self) -> Option<&NextHopReply> {
        match self {
            Self::ClientName(reply) => Some(reply),
            _ => None,
        }
    }

    /// What went wrong when the client's own name was passed on.
    pub(super) fn about_client(self) -> Self {
        match self {
            Self::Hello(reply) if !matches!(reply.code, 421 | 500 | 502) => Self::ClientName(reply),
            other => other,
        }
    }
}
