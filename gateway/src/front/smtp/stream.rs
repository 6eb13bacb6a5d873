//! One connection, in the clear or under TLS: both are read and written alike.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::policy::ClientTls;

/// One connection, in the clear or under TLS.
#[derive(Debug)]
pub(super) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// Under TLS; its buffers are kept apart, since most connections have none.
    Tls(Box<TlsStream<TcpStream>>),
    /// Lost in a handshake.
    Lost,
}

impl Stream {
    /// Whether it is under TLS.
    pub(super) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// How it is encrypted; `None` in the clear.
    pub(super) fn tls(&self) -> Option<ClientTls> {
        let Self::Tls(stream) = self else { return None };
        let (_socket, connection) = stream.get_ref();
        let version = connection.protocol_version()?.as_str()?;
        let cipher = connection.negotiated_cipher_suite()?.suite().as_str()?;
        Some(ClientTls { version, cipher })
    }

    /// What came and nobody has read, up to the length of `buffer`; an error where nothing came, or where the peer is gone.
    ///
    /// Asks the system: the runtime may not have looked yet.
    pub(super) fn peek(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let (_filled, length) = match self {
            Self::Plain(socket) => rustix::net::recv(socket, buffer, flags),
            Self::Tls(stream) => rustix::net::recv(stream.get_ref().0, buffer, flags),
            Self::Lost => Err(Errno::NOTCONN),
        }?;
        if length == 0 { Err(Errno::NOTCONN) } else { Ok(length) }
    }

    /// Whether the peer is there and has said nothing that nobody has read.
    pub(super) fn is_quiet(&self) -> bool {
        self.peek(&mut [0; 1]) == Err(Errno::AGAIN)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Lost => Poll::Ready(Ok(())),
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
            Self::Plain(socket) => Pin::new(socket).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Lost => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Lost => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Lost => Poll::Ready(Ok(())),
        }
    }
}
