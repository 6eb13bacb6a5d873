//! The socket of a service, TCP or Unix, and the connections that come over it.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::UnixSocket;
use super::unix_socket::{HandedOver, SocketName};

/// The bound socket of a service.
#[derive(Debug)]
pub struct ServiceSocket(Bound);

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketName),
}

impl ServiceSocket {
    /// One at an address and port; must be called within a runtime, as the next one.
    pub fn tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        Ok(Self(Bound::Tcp(TcpListener::from_std(socket)?)))
    }

    /// One at a path.
    pub fn unix(socket: UnixSocket) -> io::Result<Self> {
        let (listener, name) = socket.into_parts()?;
        Ok(Self(Bound::Unix(listener, name)))
    }

    /// The same socket once more, for another process.
    pub fn share(&self) -> io::Result<OwnedFd> {
        match &self.0 {
            Bound::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Bound::Unix(listener, _name) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Where it is told that its name is handed over; `None` where it has none.
    pub fn handed_over(&self) -> Option<HandedOver> {
        match &self.0 {
            Bound::Tcp(_) => None,
            Bound::Unix(_listener, name) => Some(name.handed_over()),
        }
    }

    /// Waits for a connection.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match &self.0 {
            Bound::Tcp(listener) => {
                let (stream, _address) = listener.accept().await?;
                // Answers are small, and waited for.
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Bound::Unix(listener, _name) => {
                let (stream, _address) = listener.accept().await?;
                Ok(Stream::Unix(stream))
            }
        }
    }
}

impl fmt::Display for ServiceSocket {
    /// Where it is reached: with the port that the system gave, where the configuration left it to that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Bound::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => error.fmt(f),
            },
            Bound::Unix(_listener, name) => write!(f, "unix:{}", name.path().display()),
        }
    }
}

/// A connection of a mail server.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
