//! Why a list could not be fetched, by who is to blame.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hyper::StatusCode;

use crate::list::FeedUrl;

/// A list could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name in the URL is none, or DNS does not answer.
    #[error("{host}: the name does not resolve: {error}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// Nobody answers there.
    #[error("{host}: no connection: {error}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the last address says.
        error: io::Error,
    },
    /// The server has no certificate that is believed, or cannot speak TLS.
    #[error("{host}: no TLS: {error}")]
    Tls {
        /// The server.
        host: String,
        /// What is wrong.
        error: io::Error,
    },
    /// There are no certificates of authorities to believe.
    #[error("{}: {why}, expected certificates of authorities", holder(file.as_ref()))]
    Authorities {
        /// The configured file; `None` for those of the system.
        file: Option<PathBuf>,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy does not let us through.
    #[error("{status} from the proxy {proxy}, expected a connection to {host}")]
    Proxy {
        /// The proxy.
        proxy: FeedUrl,
        /// Its answer.
        status: StatusCode,
        /// Where we wanted to go.
        host: String,
    },
    /// The whole took too long.
    #[error("no whole answer after {}, expected it by then", seconds(limit))]
    Slow {
        /// The time that it may take.
        limit: Duration,
    },
    /// The server refuses.
    #[error("{status}, expected 200 OK{}", again(retry_after.as_ref()))]
    Status {
        /// Its answer.
        status: StatusCode,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// It is a web page: an error, a login, a captcha.
    #[error("a web page of type {0:?}, expected a list")]
    Html(String),
    /// It is compressed in a way that nobody asked for.
    #[error("{0:?} as its coding, expected gzip or none")]
    Coding(String),
    /// It is larger than allowed, before decompression or after it.
    #[error("{}, expected at most {limit}", found.map_or_else(|| "more octets".to_owned(), |found| format!("{found} octets")))]
    TooLarge {
        /// What the server says.
        found: Option<u64>,
        /// The most octets that are taken.
        limit: u64,
    },
    /// The connection ended in the middle.
    #[error("{received} octets, then the connection ended, expected {}", whole(*announced))]
    CutOff {
        /// What came.
        received: u64,
        /// What the server said would come.
        announced: Option<u64>,
    },
    /// What it sent is no HTTP.
    #[error("no answer in HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("no request can be made of the URL: {0}")]
    Request(#[from] hyper::http::Error),
    /// The compressed data are broken or end early.
    #[error("broken gzip: {0}, expected a whole file")]
    Gzip(io::Error),
    /// The server sends us somewhere that we do not go.
    #[error("redirect to {to}: {fault}")]
    Redirect {
        /// Where it sends us, as far as that can be shown.
        to: String,
        /// Why we do not go there.
        fault: RedirectFault,
    },
    /// The content is another than the pinned one.
    #[error("sha256 {found}, expected {expected}")]
    Hash {
        /// What the content hashes to.
        found: String,
        /// The pin.
        expected: String,
    },
    /// The signature is missing or of something else.
    #[error("signature {url}: {fault}")]
    Signature {
        /// Where it is fetched.
        url: FeedUrl,
        /// What is wrong with it.
        fault: SignatureFault,
    },
    /// The daemon stops.
    #[error("the daemon stops: {0}")]
    Stopped(tokio::task::JoinError),
}

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
pub enum RedirectFault {
    /// It names no URL.
    #[error("{0}, expected a URL")]
    NoUrl(String),
    /// It leaves TLS.
    #[error("from https to http, expected https")]
    Downgrade,
    /// It leads from the world to an address that only this site can reach.
    #[error("{0}, expected a public address as that of the feed")]
    Inside(String),
    /// It goes on and on.
    #[error("one more after {most}, expected a list by then")]
    Circles {
        /// The most that are followed.
        most: u32,
    },
}

impl RedirectFault {
    pub(super) fn at(self, url: FeedUrl) -> FetchError {
        FetchError::Redirect { to: url.to_string(), fault: self }
    }
}

/// What is wrong with a signature.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFault {
    /// It cannot be fetched.
    #[error("{0}")]
    Fetch(Box<FetchError>),
    /// It is no signature, of another key, or of other content.
    #[error("{0}, expected one of the list with the configured key")]
    Wrong(minisign_verify::Error),
    /// It is no text.
    #[error("no text, expected a signature of minisign")]
    NoText,
}

impl FetchError {
    /// When the server may be asked again, where it says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Signature { fault: SignatureFault::Fetch(error), .. } => error.retry_after(),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Name { .. } => "look at the name in `url`, and at this host's DNS",
            Self::Connect { .. } => "look whether a firewall is between, or set `proxy`",
            Self::Tls { .. } => {
                "set `ca_file` when the server's certificate is of an authority of your own; look at this host's clock"
            }
            Self::Authorities { file: Some(_), .. } => "write certificates in PEM into `ca_file`",
            Self::Authorities { file: None, .. } => "install ca-certificates, or set `ca_file`",
            Self::Proxy { .. } => "let the proxy connect there, or change `proxy`",
            Self::Slow { .. } => "raise `timeout` when the list is large and the line is slow",
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => "look at the access key in `url`",
                404 | 410 => "look at the feed's site for its new address",
                429 => "raise `interval`",
                _ => return None,
            },
            Self::Html(_) => "open `url` in a browser: it may ask for a login or have moved",
            Self::TooLarge { .. } => "raise `max_size` when the list is meant to be that large",
            Self::Redirect { fault: RedirectFault::Inside(_), .. } => {
                "write that address into `url` when it is meant"
            }
            Self::Redirect { .. } => "look at the feed's site for its new address",
            Self::Hash { .. } => {
                "change `sha256` when the new content is meant; a pin is for a list that does not change"
            }
            Self::Signature { fault: SignatureFault::Fetch(error), .. } => return error.hint(),
            Self::Signature { .. } => "look at the feed's site whether its key has changed",
            _ => return None,
        })
    }
}

fn holder(file: Option<&PathBuf>) -> String {
    file.map_or_else(|| "the system".to_owned(), |file| file.display().to_string())
}

fn again(retry_after: Option<&Duration>) -> String {
    retry_after.map_or_else(String::new, |time| format!(" (again in {})", seconds(time)))
}

fn whole(announced: Option<u64>) -> String {
    announced.map_or_else(|| "the end of the list".to_owned(), |octets| octets.to_string())
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
