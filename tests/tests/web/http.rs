//! Requests from one of the hosts of a test to itself.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use harness::netns::NetNs;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Builder;

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a host.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    host: PathBuf,
    server: SocketAddr,
}

impl Http {
    pub(crate) fn new(host: &NetNs, server: SocketAddr) -> Self {
        Self { host: host.path(), server }
    }

    pub(crate) fn connect(&self) -> Result<TcpStream> {
        let host = File::open(&self.host)?;
        // The namespace is that of a thread, and this one goes with it.
        let inside = || {
            move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(TcpStream::connect_timeout(&self.server, PATIENCE)?)
        };
        let connected = std::thread::scope(|scope| scope.spawn(inside).join());
        connected.map_err(|_panicked| anyhow!("the thread that connects died"))?
    }

    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
        let stream = self.connect()?;
        stream.set_nonblocking(true)?;
        let stream = tokio::net::TcpStream::from_std(stream)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    /// The code, the head and the text that `method` of `path` is answered with.
    pub(crate) fn say(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Said> {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned())))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (head, body) = runtime.block_on(self.ask(request))?.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()))
        });
        Ok(Said {
            code: head.status.as_u16(),
            head: headers.collect(),
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Said {
    /// The value of a header, where there is one.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}
