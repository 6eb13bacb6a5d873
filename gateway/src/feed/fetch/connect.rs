//! Connections to the server of a feed, directly or through a proxy, and only where one may go.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::{Host, Url};

use super::error::{FetchError, RedirectFault};
use super::exchange::{authority, basic};
use super::tls::handshake;
use crate::list::FeedUrl;
use crate::net::reserved;

/// How long one address may take to answer a SYN.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What HTTP is spoken over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Stream for T {}

/// Which way is taken to servers.
#[derive(Debug)]
pub(super) struct Route {
    proxy: Option<FeedUrl>,
    ca_file: Option<PathBuf>,
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All: the operator wrote the URL.
    Anywhere,
    /// Those that are reachable from everywhere: a feed in the world gave the URL.
    Outside,
}

/// A connection, with what has to be known of it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Box<dyn Stream>,
    /// Whether the server has an address that only this site can reach.
    pub(super) is_inside: bool,
    /// The proxy that has to be told the whole URL.
    pub(super) proxy: Option<FeedUrl>,
    /// Ends, when it is dropped, what keeps the way through a proxy open.
    pub(super) tunnel: JoinSet<()>,
}

impl Route {
    pub(super) const fn new(proxy: Option<FeedUrl>, ca_file: Option<PathBuf>) -> Self {
        Self { proxy, ca_file }
    }

    /// Connects to the server of `url`.
    pub(super) async fn connect(
        &self,
        url: &FeedUrl,
        reach: Reach,
    ) -> Result<Connection, FetchError> {
        let mut connection = match &self.proxy {
            None => direct(url, reach).await?,
            Some(proxy) => through(proxy, url, reach).await?,
        };
        if url.as_url().scheme() == "https" {
            let host = url.as_url().host_str().unwrap_or_default();
            let tls = handshake(connection.stream, host, self.ca_file.clone()).await?;
            connection.stream = Box::new(tls);
        }
        Ok(connection)
    }
}

async fn direct(url: &FeedUrl, reach: Reach) -> Result<Connection, FetchError> {
    let (stream, address) = open(url.as_url(), |addresses| match reach {
        Reach::Anywhere => Ok(addresses),
        Reach::Outside => outside(url, addresses),
    })
    .await?;
    Ok(Connection {
        stream: Box::new(stream),
        is_inside: reserved(address).is_some(),
        proxy: None,
        tunnel: JoinSet::new(),
    })
}

/// A proxy asks DNS itself, so of a name nobody here knows where it leads.
async fn through(proxy: &FeedUrl, url: &FeedUrl, reach: Reach) -> Result<Connection, FetchError> {
    let is_inside = match url.as_url().host() {
        Some(Host::Ipv4(address)) => reserved(address.into()).is_some(),
        Some(Host::Ipv6(address)) => reserved(address.into()).is_some(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    if is_inside && reach == Reach::Outside {
        let host = url.as_url().host_str().unwrap_or_default();
        return Err(RedirectFault::Inside(host.to_owned()).at(url.clone()));
    }
    let (stream, _address) = open(proxy.as_url(), Ok).await?;
    let mut tunnel = JoinSet::new();
    if url.as_url().scheme() == "http" {
        let proxy = Some(proxy.clone());
        return Ok(Connection { stream: Box::new(stream), is_inside, proxy, tunnel });
    }
    let stream = dig(stream, proxy, url, &mut tunnel).await?;
    Ok(Connection { stream, is_inside, proxy: None, tunnel })
}

/// Has `proxy` connect us to the server of `url` (RFC 9110, section 9.3.6).
async fn dig(
    stream: TcpStream,
    proxy: &FeedUrl,
    url: &FeedUrl,
    tunnel: &mut JoinSet<()>,
) -> Result<Box<dyn Stream>, FetchError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // How it ends, the one who waits for an answer learns.
    tunnel.spawn(async { drop(connection.with_upgrades().await) });
    let port = url.as_url().port_or_known_default().unwrap_or_default();
    let host = format!("{}:{port}", url.as_url().host_str().unwrap_or_default());
    let mut request = Request::builder().method(Method::CONNECT).uri(&host).header("host", &host);
    if let Some(credentials) = basic(proxy.as_url()) {
        request = request.header("proxy-authorization", credentials);
    }
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(FetchError::Proxy { proxy: proxy.clone(), status, host });
    }
    Ok(Box::new(TokioIo::new(hyper::upgrade::on(response).await?)))
}

/// Connects to the first of the addresses of `url` that answers, of those that `permitted` leaves.
async fn open(
    url: &Url,
    permitted: impl FnOnce(Vec<SocketAddr>) -> Result<Vec<SocketAddr>, FetchError>,
) -> Result<(TcpStream, IpAddr), FetchError> {
    let port = url.port_or_known_default().unwrap_or_default();
    let addresses = match url.host() {
        Some(Host::Ipv4(address)) => vec![SocketAddr::new(address.into(), port)],
        Some(Host::Ipv6(address)) => vec![SocketAddr::new(address.into(), port)],
        Some(Host::Domain(name)) => {
            let addresses = lookup_host((name, port)).await;
            addresses.map_err(|error| FetchError::Name { host: name.to_owned(), error })?.collect()
        }
        None => Vec::new(),
    };
    let mut last = io::Error::other("the name has no address");
    for address in permitted(addresses)? {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, address.ip())),
            Ok(Err(error)) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            Err(_elapsed) => {
                let text = format!("{address} does not answer");
                last = io::Error::new(io::ErrorKind::TimedOut, text);
            }
        }
    }
    Err(FetchError::Connect { host: authority(url), error: last })
}

/// Those of `addresses` that are outside; an error where there is none. What is connected to is what was looked at: a name
/// is not asked again.
fn outside(url: &FeedUrl, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, FetchError> {
    let (inside, outside): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| reserved(address.ip()).is_some());
    let refused = inside.first().and_then(|address| Some((address.ip(), reserved(address.ip())?)));
    match refused {
        Some((address, range)) if outside.is_empty() => {
            Err(RedirectFault::Inside(format!("{address} is {range}")).at(url.clone()))
        }
        _ => Ok(outside),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_an_outside_feed_may_send_us_to() {
        for (addresses, expected) in [
            (&["192.0.2.1:80"][..], "192.0.2.1:80"),
            (
                &["192.0.2.1:80", "127.0.0.1:80", "[2001:db8::1]:80"],
                "192.0.2.1:80 [2001:db8::1]:80",
            ),
            (&["127.0.0.1:80"], "redirect to http://a.example/: 127.0.0.1 is loopback, expected"),
            (
                &["10.1.2.3:80", "[fe80::1]:80"],
                "redirect to http://a.example/: 10.1.2.3 is private",
            ),
            (
                &["[::ffff:169.254.169.254]:80"],
                "redirect to http://a.example/: ::ffff:169.254.169.254 is link-local",
            ),
            (&["0.0.0.0:80"], "redirect to http://a.example/: 0.0.0.0 is unroutable"),
            (&["[fd00::1]:80"], "redirect to http://a.example/: fd00::1 is private"),
            (&[], ""),
        ] {
            let url = FeedUrl::parse("http://a.example/").unwrap();
            let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let found = match outside(&url, addresses) {
                Ok(left) => left.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                Err(error) => error.to_string(),
            };
            assert!(found.starts_with(expected), "{found}, expected {expected}");
        }
    }
}
