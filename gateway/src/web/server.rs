//! Takes connections of browsers, in the clear or under TLS, and gives their requests to a router.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tower::ServiceExt as _;

use crate::tls::Identity;

/// Connections at the same time: each page needs some, each viewer of a live graph one.
const CONNECTIONS: usize = 1024;
/// How long a handshake may take, and the head of a request.
const SLOW: Duration = Duration::from_secs(15);
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

/// Serves until the task is aborted.
pub async fn serve(listening: Listening, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let Listening { socket, tls } = listening;
    loop {
        // Whoever comes when all places are taken waits in the system's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(_broken) => {
                sleep(AGAIN).await;
                continue;
            }
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            // How it ended is nobody's business but the browser's.
            drop(connection(stream, peer, tls.as_deref(), router).await);
            drop(place);
        });
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
            let response: Result<Response<Body>, Infallible> =
                router.oneshot(request.map(Body::new)).await;
            response
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
