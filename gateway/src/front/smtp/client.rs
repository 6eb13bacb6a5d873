//! The client's connection: what it sent, what it is to be told.

use std::fmt::Display;
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake, TlsAcceptor};

use super::stream::Stream;
use crate::policy::{ClientTls, Reply};
use crate::smtp::{LineBuffer, LineFault, is_proxy_header};

/// Octets that are read at once while waiting for lines.
pub(super) const PIECE: usize = 4096;
/// Octets of replies that may wait for the end of a pipelined batch.
const MAX_OUTPUT: usize = 16 * 1024;
/// How long a client may take to take in our last words and to close its end.
const GOODBYE: Duration = Duration::from_secs(2);
/// Octets of a leaving client that are read and forgotten.
const MAX_LEFTOVERS: usize = 256 * 1024;

/// The client's connection with its buffers, which are given back while nothing is in them.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: Stream,
    /// What it sent and nobody has read yet.
    pub(super) input: LineBuffer,
    output: Vec<u8>,
    line_limit: usize,
    /// Whether it has said that it leaves.
    has_quit: bool,
}

/// The client closed the connection, or it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// What a client said before it was spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    /// A PROXY header, which it is not to send: somebody set up a load balancer and not us.
    ProxyHeader,
    /// Anything else.
    Talk,
}

impl ClientStream {
    pub(super) fn new(stream: TcpStream, line_limit: usize) -> Self {
        Self {
            stream: Stream::Plain(stream),
            input: LineBuffer::new(line_limit),
            output: Vec::new(),
            line_limit,
            has_quit: false,
        }
    }

    /// Whether it is under TLS.
    pub(super) const fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// How it is encrypted; `None` in the clear.
    pub(super) fn tls(&self) -> Option<ClientTls> {
        self.stream.tls()
    }

    /// What it said that nobody has read.
    pub(super) fn early(&self) -> Option<Early> {
        let mut octets = [0; 16];
        let unread = self.input.unread();
        let said = if unread.is_empty() {
            let length = self.stream.peek(&mut octets).ok()?;
            octets.get(..length)?
        } else {
            unread
        };
        Some(if is_proxy_header(said) { Early::ProxyHeader } else { Early::Talk })
    }

    /// Forgets what came and was not read.
    pub(super) fn forget_input(&mut self) {
        self.input = LineBuffer::new(self.line_limit);
    }

    /// Speaks TLS from here on. What came and was not read is the start of the client's handshake.
    pub(super) async fn secure(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        let input = mem::replace(&mut self.input, LineBuffer::new(self.line_limit));
        let Stream::Plain(socket) = mem::replace(&mut self.stream, Stream::Lost) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let secured = match input.unread() {
            [] => acceptor.accept(socket).await?,
            said => handshake(acceptor, socket, said).await?,
        };
        self.stream = Stream::Tls(Box::new(secured.into()));
        Ok(())
    }

    /// Answers QUIT: the client says nothing any more.
    pub(super) fn say_goodbye(&mut self) {
        self.say(Reply::new(221, 0, 0, "bye"));
        self.has_quit = true;
    }

    /// Queues a line.
    pub(super) fn say(&mut self, line: impl Display) {
        self.say_lines(&format!("{line}\r\n"));
    }

    /// Queues lines that have their CRLF.
    pub(super) fn say_lines(&mut self, lines: &str) {
        self.output.extend_from_slice(lines.as_bytes());
    }

    /// Waits for the next line, once what is queued is sent. Nothing is lost when this is cancelled.
    pub(super) async fn line(&mut self) -> Result<Result<Vec<u8>, LineFault>, Gone> {
        loop {
            if self.output.len() > MAX_OUTPUT {
                self.flush().await?;
            }
            // What a pipelined batch is answered goes out at its end.
            if let Some(line) = self.input.next_line() {
                return Ok(line);
            }
            self.flush().await?;
            self.fill(PIECE).await?;
        }
    }

    /// Sends what is queued. Nothing is sent twice when this is cancelled.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.output.is_empty() {
            return Ok(());
        }
        while !self.output.is_empty() {
            let sent = self.stream.write(&self.output).await.map_err(|_broken| Gone)?;
            self.output.drain(..sent);
        }
        self.output = Vec::new();
        self.stream.flush().await.map_err(|_broken| Gone)
    }

    /// Reads up to `size` octets more. Nothing is lost when this is cancelled.
    pub(super) async fn fill(&mut self, size: usize) -> Result<(), Gone> {
        self.input.release();
        loop {
            // Who is silent needs no buffer.
            if let Stream::Plain(socket) = &self.stream {
                socket.readable().await.map_err(|_broken| Gone)?;
                match socket.try_read_buf(self.input.space(size)) {
                    Ok(1..) => return Ok(()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.input.release();
                    }
                    Ok(0) | Err(_) => return Err(Gone),
                }
            } else {
                return match self.stream.read_buf(self.input.space(size)).await {
                    Ok(1..) => Ok(()),
                    Ok(0) | Err(_) => Err(Gone),
                };
            }
        }
    }

    /// Sends what is queued and closes so that it arrives: a close with unread input would destroy it on the way. Who has said
    /// QUIT is not waited for: the system sends what it has, and nothing else is to come.
    pub(super) async fn hang_up(mut self) {
        let goodbye = async {
            self.flush().await?;
            if self.has_quit && !self.is_tls() && self.stream.peek(&mut [0; 1]).is_err() {
                return Ok(());
            }
            self.stream.shutdown().await.map_err(|_broken| Gone)?;
            let mut left = MAX_LEFTOVERS;
            let mut trash = [0; 1024];
            while let Ok(size @ 1..) = self.stream.read(&mut trash).await {
                left = left.checked_sub(size).ok_or(Gone)?;
            }
            Ok(())
        };
        let _done: Option<Result<(), Gone>> = timeout(GOODBYE, goodbye).await.ok();
    }
}

/// A handshake whose first octets were read from the socket before.
async fn handshake(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    mut said: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let mut hello = Acceptor::default();
    while !said.is_empty() {
        hello.read_tls(&mut said)?;
    }
    let start = match hello.accept() {
        Ok(Some(accepted)) => StartHandshake::from_parts(accepted, socket),
        Ok(None) => LazyConfigAcceptor::new(hello, socket).await?,
        Err((error, _alert)) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    };
    start.into_stream(Arc::clone(acceptor.config())).await
}
