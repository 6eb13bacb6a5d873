//! The client's socket: what it sent, what it is to be told.

use std::fmt::Display;
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::smtp::LineBuffer;

/// Octets of replies that may wait for the end of a pipelined batch.
const MAX_OUTPUT: usize = 16 * 1024;
/// How long a client may take to take in our last words and to close its end.
const GOODBYE: Duration = Duration::from_secs(2);
/// Octets of a leaving client that are read and forgotten.
const MAX_LEFTOVERS: usize = 256 * 1024;

/// The client's socket with its buffers.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: TcpStream,
    /// What it sent and nobody has read yet.
    pub(super) input: LineBuffer,
    output: Vec<u8>,
}

/// The client closed the connection, or it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl ClientStream {
    pub(super) fn new(stream: TcpStream, line_limit: usize) -> Self {
        Self { stream, input: LineBuffer::new(line_limit), output: Vec::new() }
    }

    /// Whether it sent something before it was greeted. Asks the system: the runtime may not have looked yet.
    pub(super) fn spoke_early(&self) -> bool {
        let mut octet = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(&self.stream, &mut octet, flags), Ok((1.., _length)))
    }

    /// Queues a line.
    pub(super) fn say(&mut self, line: impl Display) {
        self.say_lines(&format!("{line}\r\n"));
    }

    /// Queues lines that have their CRLF.
    pub(super) fn say_lines(&mut self, lines: &str) {
        self.output.extend_from_slice(lines.as_bytes());
    }

    /// Whether so much is queued that it must go out before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() > MAX_OUTPUT
    }

    /// Sends what is queued. Nothing is sent twice when this is cancelled.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        while !self.output.is_empty() {
            let sent = self.stream.write(&self.output).await.map_err(|_broken| Gone)?;
            self.output.drain(..sent);
        }
        Ok(())
    }

    /// Reads up to `size` octets more. Nothing is lost when this is cancelled.
    pub(super) async fn fill(&mut self, size: usize) -> Result<(), Gone> {
        match self.stream.read_buf(self.input.space(size)).await {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(Gone),
        }
    }

    /// Sends what is queued and closes so that it arrives: a close with unread input would destroy it on the way.
    pub(super) async fn hang_up(mut self) {
        let goodbye = async {
            self.flush().await?;
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
