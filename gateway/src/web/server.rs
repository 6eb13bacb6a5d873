//! Takes connections of browsers, in the clear or under TLS, and gives their requests to a router.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use super::access::network;
use crate::net::Prefix;
use crate::tls::Identity;

/// Connections at the same time: each page needs some, each viewer of a live graph one.
const CONNECTIONS: usize = 1024;
/// How long a handshake may take, and the head of a request.
const SLOW: Duration = Duration::from_secs(15);
/// How long a request may take, its body included: a list may come over a slow line.
const REQUEST: Duration = Duration::from_mins(2);
/// Connections of one network that is not this host.
const OF_NETWORK: usize = 64;
/// How long is waited when the system has no descriptors left.
const AGAIN: Duration = Duration::from_millis(100);

/// Where browsers connect.
#[derive(Debug)]
pub struct Listening {
    /// The socket, non-blocking.
    pub socket: TcpListener,
    /// With what TLS is spoken; `None`: in the clear.
    pub tls: Option<Arc<Identity>>,
}

/// The peer of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) IpAddr);

/// Serves until the task is aborted; the connections end with it.
pub async fn serve(listening: Listening, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let networks = Networks::default();
    let mut connections = JoinSet::new();
    let Listening { socket, tls } = listening;
    loop {
        // Whoever comes when all places are taken waits in the system's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_broken) => {
                    sleep(AGAIN).await;
                    continue;
                }
            },
            Some(_ended) = connections.join_next() => continue,
        };
        let Some(own) = networks.enter(peer.ip()) else { continue };
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            // How it ended is nobody's business but the browser's.
            drop(connection(stream, peer, tls.as_deref(), router).await);
            drop((place, own));
        });
    }
}

/// How many connections each network has.
#[derive(Clone, Debug, Default)]
struct Networks(Arc<Mutex<HashMap<Prefix, usize>>>);

/// One connection of a network.
#[derive(Debug)]
struct OfNetwork(Networks, Prefix);

impl Networks {
    /// Counts one more; `None` where there are too many. Through a tunnel everybody is this host.
    fn enter(&self, peer: IpAddr) -> Option<OfNetwork> {
        let (peer, mut all) =
            (peer.to_canonical(), self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let count = all.entry(network(peer)).or_default();
        if *count >= OF_NETWORK && !peer.is_loopback() {
            return None;
        }
        *count += 1;
        drop(all);
        Some(OfNetwork(self.clone(), network(peer)))
    }
}

impl Drop for OfNetwork {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.1);
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<&Identity>,
    router: Router,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let peer = Peer(peer.ip().to_canonical());
    let Some(tls) = tls else { return requests(stream, peer, router).await };
    let acceptor = tls.acceptor().ok_or(io::ErrorKind::NotConnected)?;
    let stream = timeout(SLOW, acceptor.accept(stream)).await??;
    requests(stream, peer, router).await
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
) -> io::Result<()> {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let router = router.clone();
        async move {
            request.extensions_mut().insert(peer);
            Ok::<_, Infallible>(answer(router, request.map(Body::new)).await)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOW)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

/// The answer, made in a task of its own: what has begun is done and recorded, though the browser hangs up meanwhile.
async fn answer(router: Router, request: Request<Body>) -> Response<Body> {
    let made = tokio::spawn(timeout(REQUEST, router.oneshot(request)));
    match made.await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_elapsed)) => StatusCode::REQUEST_TIMEOUT.into_response(),
        Err(_panicked) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
