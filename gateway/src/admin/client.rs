//! Asks the daemon over its admin socket.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::time::timeout;

pub use hyper::Method;

use super::Fault;

/// How long the daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where a whole list is read, which may have millions of entries and wait for another one.
const OF_LISTS: Duration = Duration::from_mins(2);

/// The most that an answer may hold, in octets.
const ANSWER_LIMIT: usize = 64 << 20;

/// Gets `path` from the daemon behind `socket`; the answer is JSON.
pub async fn get(socket: &Path, path: &str) -> Result<serde_json::Value, ClientError> {
    ask(PATIENCE, socket, Method::GET, path, Vec::new()).await
}

/// Sends `wanted` as JSON to `path` of the daemon behind `socket`; the answer is JSON, too.
pub async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    wanted: &impl Serialize,
) -> Result<serde_json::Value, ClientError> {
    send_within(PATIENCE, socket, method, path, wanted).await
}

/// The same for what may take the daemon longer than usual.
pub async fn send_within(
    patience: Duration,
    socket: &Path,
    method: Method,
    path: &str,
    wanted: &impl Serialize,
) -> Result<serde_json::Value, ClientError> {
    let body = serde_json::to_vec(wanted);
    let body = body.map_err(|error| unanswered(socket, Trouble::Json(error)))?;
    ask(patience, socket, method, path, body).await
}

/// Writes the octets at `path` of the daemon behind `socket` to `out` as they come, however many they are.
pub async fn copy(socket: &Path, path: &str, out: &mut impl Write) -> Result<(), ClientError> {
    let wanted = request(socket, Method::GET, path, Vec::new())?;
    let fail = |trouble| unanswered(socket, trouble);
    let mut response = begin(socket, wanted).await?;
    loop {
        let frame = timeout(PATIENCE, response.body_mut().frame()).await;
        match frame.map_err(|_elapsed| fail(Trouble::Slow))? {
            None => return Ok(()),
            Some(Err(error)) => return Err(fail(Trouble::Http(error))),
            Some(Ok(frame)) => {
                let Some(octets) = frame.data_ref() else { continue };
                out.write_all(octets).map_err(|error| fail(Trouble::Out(error)))?;
            }
        }
    }
}

/// Sends `wanted` as JSON to `path` of the daemon behind `socket`, and gives each line of the answer to `take` when it comes, for as
/// long as there are any.
pub async fn follow<E: From<ClientError>>(
    socket: &Path,
    path: &str,
    wanted: &impl Serialize,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let fail = |trouble| unanswered(socket, trouble);
    let body = serde_json::to_vec(wanted).map_err(|error| fail(Trouble::Json(error)))?;
    let wanted = request(socket, Method::POST, path, body)?;
    let mut response = begin(socket, wanted).await?;
    let mut line = Vec::new();
    // A daemon that ends breaks off, which tells no more than that there is no last line.
    while let Some(Ok(frame)) = response.body_mut().frame().await {
        let mut rest = frame.data_ref().map_or(&[][..], |octets| octets);
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            line.extend_from_slice(head);
            take(&line)?;
            line.clear();
            rest = tail.get(1..).unwrap_or_default();
        }
        if line.len() + rest.len() > ANSWER_LIMIT {
            return Err(fail(Trouble::Long).into());
        }
        line.extend_from_slice(rest);
    }
    Ok(())
}

/// Gets `path`, for which a whole list is read.
pub async fn get_slowly(socket: &Path, path: &str) -> Result<serde_json::Value, ClientError> {
    ask(OF_LISTS, socket, Method::GET, path, Vec::new()).await
}

/// Sends `octets`, a whole list, to `path` of the daemon behind `socket`; the answer is JSON.
pub async fn send_octets(
    socket: &Path,
    method: Method,
    path: &str,
    octets: Vec<u8>,
) -> Result<serde_json::Value, ClientError> {
    ask(OF_LISTS, socket, method, path, octets).await
}

async fn ask(
    patience: Duration,
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<serde_json::Value, ClientError> {
    let request = request(socket, method, path, body)?;
    let answer = match timeout(patience, exchange(socket, request)).await {
        Ok(answer) => answer.map_err(|trouble| unanswered(socket, trouble)),
        Err(_elapsed) => Err(unanswered(socket, Trouble::Slow)),
    };
    let (status, body) = answer?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|error| unanswered(socket, Trouble::Json(error)));
    }
    Err(refused(socket, status, &body))
}

fn request(
    socket: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "portcullis")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)));
    request.map_err(|error| unanswered(socket, Trouble::Request(error)))
}

/// What an answer that is no success says.
fn refused(socket: &Path, status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Fault>(body) {
        Ok(fault) => ClientError::Refused(fault.with(status)),
        Err(_no_fault) => {
            let text = String::from_utf8_lossy(body).into_owned();
            unanswered(socket, Trouble::Status(status, text))
        }
    }
}

/// The beginning of an answer that is a success.
async fn begin(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, ClientError> {
    let fail = |trouble| unanswered(socket, trouble);
    let response = match timeout(PATIENCE, respond(socket, request)).await {
        Ok(response) => response.map_err(fail)?,
        Err(_elapsed) => return Err(fail(Trouble::Slow)),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    Err(refused(socket, status, &body(response).await.map_err(fail)?))
}

/// The beginning of the answer; the rest comes over a connection that a task of its own serves.
async fn respond(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Trouble> {
    let stream = UnixStream::connect(socket).await.map_err(Trouble::Connect)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // How it ends is told by the body.
    drop(tokio::spawn(connection));
    Ok(sender.send_request(request).await?)
}

/// What is left of an answer.
async fn body(response: Response<Incoming>) -> Result<Bytes, Trouble> {
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() { Trouble::Long } else { Trouble::Body(error) }
    })?;
    Ok(body.to_bytes())
}

async fn exchange(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Trouble> {
    let response = respond(socket, request).await?;
    Ok((response.status(), body(response).await?))
}

/// The daemon did not answer, or not with what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It does not do what it was asked, and says why.
    #[error("{0}")]
    Refused(Fault),
    /// There is no answer to be used.
    #[error("no answer from the daemon at {}: {}", .0.socket.display(), .0.trouble)]
    Unanswered(Unanswered),
}

/// Why there is no answer.
#[derive(Debug)]
pub struct Unanswered {
    socket: PathBuf,
    trouble: Trouble,
}

fn unanswered(socket: &Path, trouble: Trouble) -> ClientError {
    ClientError::Unanswered(Unanswered { socket: socket.to_owned(), trouble })
}

impl ClientError {
    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused(fault) => fault.what_to_do().unwrap_or("look into the daemon's log"),
            Self::Unanswered(Unanswered { trouble: Trouble::Connect(error), .. })
                if error.kind() == io::ErrorKind::PermissionDenied =>
            {
                "run this as root or as a member of the socket's group"
            }
            Self::Unanswered(Unanswered { trouble: Trouble::Connect(_), .. }) => {
                "start it with `portcullis run`, or give its configuration with --config"
            }
            Self::Unanswered(_) => "look into the daemon's log",
        }
    }
}

impl From<hyper::Error> for Trouble {
    fn from(error: hyper::Error) -> Self {
        let hung_up = error.is_incomplete_message() || error.is_canceled();
        if hung_up { Self::Closed } else { Self::Http(error) }
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Http(hyper::Error),
    #[error("{0}")]
    Request(hyper::http::Error),
    #[error("{0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("it hung up before it had answered")]
    Closed,
    #[error("its answer is longer than 64 MiB")]
    Long,
    #[error("it took too long")]
    Slow,
    #[error("it answered {0}: {1}")]
    Status(StatusCode, String),
    #[error("cannot write what it answered: {0}")]
    Out(io::Error),
    #[error("no JSON: {0}")]
    Json(serde_json::Error),
}
