//! Fetches a list over HTTP(S), and believes nothing of what the server says that it did not check.

mod connect;
mod content;
mod error;
mod exchange;
mod redirect;
mod tls;

use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::timeout;

use self::connect::{Reach, Route};
use self::content::check;
pub use self::error::{FetchError, RedirectFault, SignatureFault};
use self::exchange::{Ask, Reply, ask};
use self::redirect::target;
use super::{Content, Head};
use crate::clock::Clock;
use crate::list::{Download, FeedUrl};

/// A server that sends somebody on more often than this leads him round in circles.
const MOST_REDIRECTS: u32 = 5;

/// The most octets of a detached signature; minisign's have some 300 and a comment.
const SIGNATURE_LIMIT: u64 = 8 << 10;

/// Fetches lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fetcher {
    clock: Clock,
}

/// What a fetch brought.
#[derive(Debug)]
pub enum Fetched {
    /// The list is as it was.
    NotModified,
    /// This is the list now.
    Content(Content),
}

/// What a server gave in the end.
#[derive(Debug)]
enum Got {
    NotModified,
    Body { reply: Reply, octets: Vec<u8> },
}

impl Fetcher {
    /// A fetcher that takes the time of day from `clock`.
    pub const fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// Fetches what has changed since `earlier`.
    ///
    /// That must be what a fetch with the same `download` gave: nothing is checked again when the server says that it has
    /// not changed. All of it, redirects and signature included, takes no longer than the time of `download`.
    pub async fn fetch(
        &self,
        download: &Download,
        earlier: Option<&Head>,
    ) -> Result<Fetched, FetchError> {
        let limit = download.timeout;
        let fetched = timeout(limit, self.fetch_at_leisure(download, earlier)).await;
        fetched.unwrap_or(Err(FetchError::Slow { limit }))
    }

    async fn fetch_at_leisure(
        &self,
        download: &Download,
        earlier: Option<&Head>,
    ) -> Result<Fetched, FetchError> {
        let route = Route::new(download.proxy.clone(), download.ca_file.clone());
        // What is signed is the file as it lies there, so nobody is asked to compress it on the way.
        let takes_gzip = download.signature.is_none();
        let wanted = Ask { earlier, takes_gzip, limit: download.max_size };
        let (reply, octets) = match self.get(&route, &download.url, &wanted).await? {
            Got::NotModified => return Ok(Fetched::NotModified),
            Got::Body { reply, octets } => (reply, octets),
        };
        let signature = match &download.signature {
            None => None,
            Some(signature) => {
                Some((signature.clone(), self.signature(&route, &signature.url).await?))
            }
        };
        let (is_coded, pin, limit) = (reply.is_gzip()?, download.sha256, download.max_size);
        // A megabyte takes milliseconds, in which nothing else would be done on this thread.
        let check = move || check(octets, is_coded, pin, signature.as_ref(), limit);
        let octets = tokio::task::spawn_blocking(check).await.map_err(FetchError::Stopped)??;
        Ok(Fetched::Content(Content {
            octets,
            as_of: self.clock.now(),
            etag: reply.header("etag").map(ToOwned::to_owned),
            last_modified: reply.header("last-modified").map(ToOwned::to_owned),
        }))
    }

    async fn signature(&self, route: &Route, url: &FeedUrl) -> Result<Vec<u8>, FetchError> {
        let wanted = Ask { earlier: None, takes_gzip: false, limit: SIGNATURE_LIMIT };
        let got = self.get(route, url, &wanted).await;
        let failed = |error| FetchError::Signature {
            url: url.clone(),
            fault: SignatureFault::Fetch(Box::new(error)),
        };
        match got.map_err(failed)? {
            Got::Body { octets, .. } => Ok(octets),
            Got::NotModified => Ok(Vec::new()),
        }
    }

    /// Gets `first`, or what its server sends us on to.
    async fn get(
        &self,
        route: &Route,
        first: &FeedUrl,
        wanted: &Ask<'_>,
    ) -> Result<Got, FetchError> {
        let mut url = first.clone();
        let mut reach = Reach::Anywhere;
        for _ in 0..=MOST_REDIRECTS {
            let mut reply = ask(route, &url, reach, wanted).await?;
            match reply.status().as_u16() {
                200 => {
                    let octets = reply.body(wanted.limit).await?;
                    return Ok(Got::Body { reply, octets });
                }
                304 if wanted.earlier.is_some() => return Ok(Got::NotModified),
                301 | 302 | 303 | 307 | 308 => {
                    // A feed in the world has no business inside; one that is inside itself may send us about there.
                    if !reply.is_inside {
                        reach = Reach::Outside;
                    }
                    url = target(&url, reply.header("location"))?;
                }
                _ => return Err(self.refused(&reply)),
            }
        }
        Err(RedirectFault::Circles { most: MOST_REDIRECTS }.at(url))
    }

    fn refused(&self, reply: &Reply) -> FetchError {
        let status = reply.status();
        let asked =
            matches!(status.as_u16(), 429 | 503).then(|| reply.header("retry-after")).flatten();
        let retry_after = asked.and_then(|asked| match asked.trim().parse() {
            Ok(seconds) => Some(std::time::Duration::from_secs(seconds)),
            Err(_no_number) => {
                let at = DateTimeParser::new().parse_timestamp(asked.trim()).ok()?;
                at.duration_since(self.clock.now()).try_into().ok()
            }
        });
        FetchError::Status { status, retry_after }
    }
}
