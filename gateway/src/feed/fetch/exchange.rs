//! One request for a list and its answer, of which no more is held than its limit.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use url::Url;

use super::connect::{Connection, Reach, Route};
use super::error::FetchError;
use crate::feed::Head;
use crate::list::FeedUrl;

/// Who is asking.
const USER_AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// The longest field of an answer that is kept, in octets.
const LONGEST_FIELD: usize = 1024;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// What is there already.
    pub(super) earlier: Option<&'a Head>,
    /// Whether the server may compress on the way.
    pub(super) takes_gzip: bool,
    /// The most octets that are taken.
    pub(super) limit: u64,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Reply {
    response: Response<Incoming>,
    /// Whether the server has an address that only this site can reach.
    pub(super) is_inside: bool,
    /// Reads the connection; dropped with the answer, whether that was read or not.
    _tasks: JoinSet<()>,
}

/// Asks for `url`; the answer's body is still to be read.
pub(super) async fn ask(
    route: &Route,
    url: &FeedUrl,
    reach: Reach,
    ask: &Ask<'_>,
) -> Result<Reply, FetchError> {
    let Connection { stream, is_inside, proxy, tunnel: mut tasks } =
        route.connect(url, reach).await?;
    let request = request(url.as_url(), proxy.as_ref(), ask)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // How it ends, the one who waits for an answer learns.
    tasks.spawn(async { drop(connection.await) });
    let response = sender.send_request(request).await?;
    Ok(Reply { response, is_inside, _tasks: tasks })
}

fn request(
    url: &Url,
    proxy: Option<&FeedUrl>,
    ask: &Ask<'_>,
) -> Result<Request<Empty<Bytes>>, FetchError> {
    let path = url
        .query()
        .map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let target = match proxy {
        None => path,
        Some(_) => format!("http://{}{path}", authority(url)),
    };
    let mut request = Request::get(target)
        .header("host", authority(url))
        .header("user-agent", USER_AGENT)
        .header("accept", "*/*")
        .header("accept-encoding", if ask.takes_gzip { "gzip" } else { "identity" })
        .header("connection", "close");
    let earlier = ask.earlier;
    for (name, value) in [
        ("if-none-match", earlier.and_then(|head| head.etag.clone())),
        ("if-modified-since", earlier.and_then(|head| head.last_modified.clone())),
        ("authorization", basic(url)),
        ("proxy-authorization", proxy.and_then(|proxy| basic(proxy.as_url()))),
    ] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    Ok(request.body(Empty::new())?)
}

/// Host and port, the port only where it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The name and password of `url` (RFC 7617), where it has one.
pub(super) fn basic(url: &Url) -> Option<String> {
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let (name, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    if name.is_empty() && password.is_empty() {
        return None;
    }
    let pair = [name.as_slice(), b":", password.as_slice()].concat();
    Some(format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

impl Reply {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A field of the answer, if it is a text of sane length.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let value = self.response.headers().get(name)?.to_str().ok()?;
        (value.len() <= LONGEST_FIELD).then_some(value)
    }

    /// Whether the server compressed it on the way.
    pub(super) fn is_gzip(&self) -> Result<bool, FetchError> {
        match self.header("content-encoding").unwrap_or_default().trim() {
            "" => Ok(false),
            coding if coding.eq_ignore_ascii_case("identity") => Ok(false),
            coding if coding.eq_ignore_ascii_case("gzip") => Ok(true),
            coding if coding.eq_ignore_ascii_case("x-gzip") => Ok(true),
            coding => Err(FetchError::Coding(coding.to_owned())),
        }
    }

    /// The octets of the list, at most `limit`; what cannot be one is not read.
    pub(super) async fn body(&mut self, limit: u64) -> Result<Vec<u8>, FetchError> {
        let kind = self.header("content-type").unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if matches!(media.as_str(), "text/html" | "application/xhtml+xml") {
            return Err(FetchError::Html(kind.to_owned()));
        }
        self.is_gzip()?;
        let announced = self.header("content-length").and_then(|length| length.parse().ok());
        if announced.is_some_and(|announced: u64| announced > limit) {
            return Err(FetchError::TooLarge { found: announced, limit });
        }
        let mut octets = Vec::new();
        while let Some(frame) = self.response.body_mut().frame().await {
            let length = |octets: &[u8]| u64::try_from(octets.len()).unwrap_or(u64::MAX);
            let Ok(frame) = frame else {
                return Err(FetchError::CutOff { received: length(&octets), announced });
            };
            let piece = frame.into_data().unwrap_or_default();
            if length(&octets).saturating_add(length(&piece)) > limit {
                return Err(FetchError::TooLarge { found: None, limit });
            }
            octets.extend_from_slice(&piece);
        }
        Ok(octets)
    }
}
