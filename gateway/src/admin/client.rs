//! Asks the daemon over its admin socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most that an answer may hold, in octets.
const ANSWER_LIMIT: usize = 64 << 20;

/// Gets `path` from the daemon behind `socket`; the answer is JSON.
pub async fn get(socket: &Path, path: &str) -> Result<serde_json::Value, ClientError> {
    let fail = |fault| ClientError { socket: socket.to_owned(), fault };
    match timeout(PATIENCE, exchange(socket, path)).await {
        Ok(answer) => answer.map_err(fail),
        Err(_elapsed) => Err(fail(Fault::Slow)),
    }
}

async fn exchange(socket: &Path, path: &str) -> Result<serde_json::Value, Fault> {
    let stream = UnixStream::connect(socket).await.map_err(Fault::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path).header("host", "portcullis").body(Empty::<Bytes>::new());
    let exchange = async {
        let response = sender.send_request(request.map_err(Fault::Request)?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() { Fault::Long } else { Fault::Body(error) }
        })?;
        Ok::<_, Fault>((status, body.to_bytes()))
    };
    let (status, body) = tokio::select! {
        answer = exchange => answer?,
        // Ends only when the daemon hangs up, so before an answer it is an error.
        ended = connection => return Err(ended.map_or_else(Fault::Http, |()| Fault::Closed)),
    };
    if status != StatusCode::OK {
        return Err(Fault::Status(status, String::from_utf8_lossy(&body).into_owned()));
    }
    serde_json::from_slice(&body).map_err(Fault::Json)
}

/// The daemon did not answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the daemon at {}: {fault}", socket.display())]
pub struct ClientError {
    socket: PathBuf,
    #[source]
    fault: Fault,
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match &self.fault {
            Fault::Connect(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run this as root or as a member of the socket's group"
            }
            Fault::Connect(_) => {
                "start it with `portcullis run`, or give its configuration with --config"
            }
            _ => "look into the daemon's log",
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("{0}")]
    Request(hyper::http::Error),
    #[error("{0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("it hung up before it had answered")]
    Closed,
    #[error("its answer is longer than 64 MiB")]
    Long,
    #[error("it took longer than 10 s")]
    Slow,
    #[error("it answered {0}: {1}")]
    Status(StatusCode, String),
    #[error("its answer is no JSON: {0}")]
    Json(serde_json::Error),
}
