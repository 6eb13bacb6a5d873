//! A browser's connection to the control centre, kept for one page after the other.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::figures::now;

/// Where the control centre is, for whoever is on its host.
pub(crate) const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8025);

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Empty<Bytes>>,
    token: String,
}

/// What was answered, and how long that took to its last octet.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) async fn connect(token: &str) -> Result<Self> {
        let stream = TcpStream::connect(SERVER).await.with_context(|| SERVER.to_string())?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        Ok(Self { sender, token: token.to_owned() })
    }

    /// Asks for `path`; what comes must be a good answer.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = Request::builder()
            .uri(path)
            .header("host", SERVER.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .body(Empty::new())
            .with_context(|| path.to_owned())?;
        self.sender.ready().await?;
        let started = now();
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let took = started.elapsed();
        let text = String::from_utf8(body.into())?;
        ensure!(head.status.is_success(), "{path}: {}: {text}", head.status);
        Ok(Answer { text, took })
    }
}
