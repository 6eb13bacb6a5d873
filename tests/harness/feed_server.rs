//! A server of feeds over HTTP/1.1 that answers as it is told to, octet by octet where a fault needs it.

use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

/// A server waits this long for a request, and for a peer that does not read.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the server looks for connections.
const POLL: Duration = Duration::from_millis(5);

/// What a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// What is asked for, as it stands in the first line.
    pub target: String,
    /// The fields, their names in lower case.
    pub fields: Vec<(String, String)>,
}

/// One step of an answer; after the last the connection is closed.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these octets.
    Send(Vec<u8>),
    /// Does nothing for that long.
    Wait(Duration),
    /// Says that there is a tunnel, and is one to there until both ends have closed.
    Tunnel(SocketAddr),
}

/// What HTTP is spoken over: TCP, or TLS upon it.
pub trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

/// The server; when it is dropped, it takes no more connections.
#[derive(Debug)]
pub struct FeedServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Request {
    /// The value of the field `name`, which is in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(known, _value)| known == name);
        field.map(|(_name, value)| value.as_str())
    }
}

/// An answer of `status`, `200 OK` for one, with `fields` (each ends in CR LF) and `body`.
pub fn answer(status: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let length = body.as_ref().len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{fields}\r\n");
    vec![Step::Send([head.as_bytes(), body.as_ref()].concat())]
}

/// The whole of `body`, as text.
pub fn text(body: impl AsRef<[u8]>) -> Vec<Step> {
    answer("200 OK", "Content-Type: text/plain\r\n", body)
}

/// Sends the client on to `location`.
pub fn redirect(location: &str) -> Vec<Step> {
    answer("302 Found", &format!("Location: {location}\r\n"), "")
}

impl FeedServer {
    /// Listens on a port of 127.0.0.1; `answer` says what each request gets.
    pub fn new(answer: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        Self::over(listener, |stream| Ok(Box::new(stream)), answer)
    }

    /// Serves what comes to `listener`, over what `wrap` makes of each connection.
    pub fn over(
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> Result<Box<dyn Wire>> + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Vec<Step> + Send + Sync + 'static,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        // So that the end of the server needs no connection, which another network namespace could not make.
        listener.set_nonblocking(true)?;
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let stopping = Arc::<AtomicBool>::default();
        let (seen, stop) = (Arc::clone(&requests), Arc::clone(&stopping));
        let served = Arc::new(move |stream: TcpStream| serve(stream, &wrap, &answer, &seen));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let Ok((stream, _peer)) = listener.accept() else {
                    thread::sleep(POLL);
                    continue;
                };
                let served = Arc::clone(&served);
                // What a client does to its connection is for the client's test to judge.
                thread::spawn(move || drop(served(stream)));
            }
        });
        Ok(Self { address, requests, stopping, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, over plain TCP.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        locked(&self.requests).clone()
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn serve(
    stream: TcpStream,
    wrap: &impl Fn(TcpStream) -> Result<Box<dyn Wire>>,
    answer: &impl Fn(&Request) -> Vec<Step>,
    seen: &Mutex<Vec<Request>>,
) -> Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let raw = stream.try_clone()?;
    let mut wire = BufReader::new(wrap(stream)?);
    let request = request(&mut wire)?;
    locked(seen).push(request.clone());
    for step in answer(&request) {
        match step {
            Step::Send(octets) => {
                wire.get_mut().write_all(&octets)?;
                wire.get_mut().flush()?;
            }
            Step::Wait(time) => thread::sleep(time),
            Step::Tunnel(to) => {
                wire.get_mut().write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                return tunnel(&raw, to);
            }
        }
    }
    raw.shutdown(Shutdown::Write)?;
    // A connection that is closed with octets unread is reset, and the client may lose the answer.
    copy(&mut wire.take(1 << 20), &mut std::io::sink())?;
    Ok(())
}

fn request(wire: &mut impl BufRead) -> Result<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        wire.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let first = lines.next().context("no request")?;
    let mut words = first.split(' ').map(ToOwned::to_owned);
    let (method, target) = (words.next(), words.next());
    let fields = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    let (method, target) = method.zip(target).context("no target")?;
    Ok(Request { method, target, fields: fields.collect() })
}

fn tunnel(client: &TcpStream, to: SocketAddr) -> Result<()> {
    let server = TcpStream::connect(to)?;
    let (mut from, mut into) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || {
        drop(copy(&mut from, &mut into));
        drop(into.shutdown(Shutdown::Write));
    });
    drop(copy(&mut &server, &mut &*client));
    drop(client.shutdown(Shutdown::Write));
    drop(up.join());
    Ok(())
}

/// A test that failed elsewhere must not be hidden by one that failed because of it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
