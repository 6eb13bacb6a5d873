//! One connection to the next hop: made so that it knows the client, spoken to, dropped.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{error::Elapsed, timeout};

use super::{PassClient, Settings};
use crate::engine::Client;
use crate::policy::Reply;
use crate::smtp::{
    Capabilities, LineBuffer, NextHopReply, ReplyFault, ReplyParser, proxy_header, xclient_command,
};

/// Octets of a line of the next hop.
const MAX_LINE: usize = 4096;
/// How long a next hop that no longer takes data may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    /// Its name, as it wrote it.
    pub(super) name: String,
    /// Whether with EHLO.
    pub(super) extended: bool,
}

/// A connection to the next hop, greeted. Dropping it aborts whatever is in hand there.
#[derive(Debug)]
pub(super) struct NextHopConnection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    input: LineBuffer,
    parser: ReplyParser,
    /// What it offers to this client.
    pub(super) capabilities: Capabilities,
}

impl NextHopConnection {
    /// Connects for `client`; the next hop knows who that is, or there is no connection (B0).
    pub(super) async fn for_client(
        settings: &Settings,
        client: &Client,
        hello: &Hello,
    ) -> Result<Self, NextHopError> {
        let wait = settings.limits.next_hop_timeout;
        let introduction = proxy_header(client.address, client.local);
        let mut connection = Self::open(settings, |_stream| Ok(introduction)).await?;
        if settings.next_hop.client == PassClient::Xclient {
            // Our own name goes first: a refusal of it is our trouble, not the client's.
            connection.hello(&settings.hostname, wait).await?;
            let offered = &connection.capabilities.xclient;
            let xclient = xclient_command(offered, client.address, &hello.name, hello.extended)
                .ok_or(NextHopError::XclientMissing)?;
            let reply = connection.command(&xclient, wait).await?;
            if reply.code != 220 {
                return Err(NextHopError::Xclient(reply));
            }
        }
        connection.hello(&hello.name, wait).await.map_err(NextHopError::about_client)?;
        Ok(connection)
    }

    /// Connects to see what is offered, and leaves.
    pub(super) async fn probe(settings: &Settings) -> Result<Capabilities, NextHopError> {
        let introduction = |stream: &TcpStream| {
            let (client, local) = (stream.local_addr()?, stream.peer_addr()?);
            Ok(proxy_header(client, local))
        };
        let mut connection = Self::open(settings, introduction).await?;
        connection.hello(&settings.hostname, settings.limits.next_hop_connect_timeout).await?;
        let capabilities = connection.capabilities.clone();
        connection.quit().await;
        if settings.next_hop.client == PassClient::Xclient && !capabilities.xclient.has_address() {
            return Err(NextHopError::XclientMissing);
        }
        Ok(capabilities)
    }

    /// Connects and waits for the greeting.
    async fn open(
        settings: &Settings,
        introduction: impl FnOnce(&TcpStream) -> io::Result<String>,
    ) -> Result<Self, NextHopError> {
        let wait = settings.limits.next_hop_connect_timeout;
        let stream = timeout(wait, TcpStream::connect(settings.next_hop.address))
            .await?
            .map_err(NextHopError::Connect)?;
        stream.set_nodelay(true).map_err(NextHopError::Connect)?;
        let header = match settings.next_hop.client {
            PassClient::Proxy => introduction(&stream).map_err(NextHopError::Connect)?,
            PassClient::None | PassClient::Xclient => String::new(),
        };
        let (reader, writer) = stream.into_split();
        let mut connection = Self {
            reader,
            writer,
            input: LineBuffer::new(MAX_LINE),
            parser: ReplyParser::default(),
            capabilities: Capabilities::default(),
        };
        connection.write(header.as_bytes()).await?;
        let greeting = timeout(wait, connection.reply()).await??;
        if greeting.code != 220 {
            return Err(NextHopError::Greeting(greeting));
        }
        Ok(connection)
    }

    async fn hello(&mut self, name: &str, wait: Duration) -> Result<(), NextHopError> {
        let reply = self.command(&format!("EHLO {name}"), wait).await?;
        if !reply.is_positive() {
            return Err(NextHopError::Hello(reply));
        }
        self.capabilities = Capabilities::from_reply(&reply);
        Ok(())
    }

    /// Sends a command without its CRLF, and waits for the reply.
    pub(super) async fn command(
        &mut self,
        command: &str,
        wait: Duration,
    ) -> Result<NextHopReply, NextHopError> {
        let line = format!("{command}\r\n");
        if let Some(unasked) = self.unasked().await {
            return Err(unasked.map_or_else(|error| error, NextHopError::Unexpected));
        }
        let talk = async {
            self.write(line.as_bytes()).await?;
            self.reply().await
        };
        timeout(wait, talk).await?
    }

    /// Sends a piece of the data. An answer in the middle of it, or an end, is an error of its kind.
    pub(super) async fn data(&mut self, octets: &[u8]) -> Result<(), Interrupted> {
        let broken = tokio::select! {
            biased;
            sent = self.writer.write_all(octets) => match sent {
                Ok(()) => return Ok(()),
                Err(error) => NextHopError::Broken(error),
            },
            reply = next_reply(&mut self.reader, &mut self.input, &mut self.parser) => {
                return Err(reply.into());
            }
        };
        // It hung up on us, often after saying why.
        Err(match timeout(LAST_WORDS, self.reply()).await {
            Ok(Ok(reply)) => Interrupted::Reply(reply),
            Ok(Err(_)) | Err(_) => Interrupted::Lost(broken),
        })
    }

    /// What the next hop has said already without being asked, so that it is never taken for the answer to what comes.
    pub(super) async fn unasked(&mut self) -> Option<Result<NextHopReply, NextHopError>> {
        tokio::select! {
            biased;
            reply = self.reply() => Some(reply),
            () = std::future::ready(()) => {
                let is_idle = self.input.unread().is_empty() && self.parser.is_idle();
                (!is_idle).then_some(Err(NextHopError::Nonsense(ReplyFault::Code)))
            }
        }
    }

    /// Waits for something that was not asked for. Nothing is lost when this is cancelled.
    pub(super) async fn interruption(&mut self) -> Interrupted {
        self.reply().await.into()
    }

    /// Waits for the next reply. Nothing is lost when this is cancelled.
    pub(super) async fn reply(&mut self) -> Result<NextHopReply, NextHopError> {
        next_reply(&mut self.reader, &mut self.input, &mut self.parser).await
    }

    /// Leaves politely; only where no transaction is open.
    pub(super) async fn quit(mut self) {
        let _reply: Result<_, NextHopError> = self.command("QUIT", LAST_WORDS).await;
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), NextHopError> {
        self.writer.write_all(octets).await.map_err(NextHopError::Broken)
    }
}

async fn next_reply(
    reader: &mut OwnedReadHalf,
    input: &mut LineBuffer,
    parser: &mut ReplyParser,
) -> Result<NextHopReply, NextHopError> {
    loop {
        while let Some(line) = input.next_line() {
            let line = line.map_err(|_fault| NextHopError::Nonsense(ReplyFault::TooLong))?;
            if let Some(reply) = parser.line(&line)? {
                return Ok(reply);
            }
        }
        let size = reader.read_buf(input.space(1024)).await.map_err(NextHopError::Broken)?;
        if size == 0 {
            return Err(NextHopError::Closed);
        }
    }
}

/// What came from the next hop in the middle of the data.
#[derive(Debug)]
pub(super) enum Interrupted {
    /// It is gone.
    Lost(NextHopError),
    /// It answered early.
    Reply(NextHopReply),
}

impl From<Result<NextHopReply, NextHopError>> for Interrupted {
    fn from(reply: Result<NextHopReply, NextHopError>) -> Self {
        match reply {
            Ok(reply) => Self::Reply(reply),
            Err(error) => Self::Lost(error),
        }
    }
}

/// Why the next hop is of no use now.
#[derive(Debug, thiserror::Error)]
pub(super) enum NextHopError {
    /// The connection broke.
    #[error("connection broken: {0}")]
    Broken(#[source] io::Error),
    /// It does not take the name that the client gave itself.
    #[error("EHLO answered with `{}` because of the client's name", .0.summary())]
    ClientName(NextHopReply),
    /// It closed the connection.
    #[error("connection closed")]
    Closed,
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// It does not greet with 220.
    #[error("greeting `{}`, expected 220", .0.summary())]
    Greeting(NextHopReply),
    /// It does not take EHLO.
    #[error("EHLO answered with `{}`, expected 250", .0.summary())]
    Hello(NextHopReply),
    /// It talks, but no SMTP.
    #[error(transparent)]
    Nonsense(#[from] ReplyFault),
    /// It takes too long.
    #[error("timed out")]
    Timeout,
    /// It says what nobody asked for, or goodbye.
    #[error("unexpected reply `{}`", .0.summary())]
    Unexpected(NextHopReply),
    /// It no longer offers what the client was offered.
    #[error("extension for {0} was offered before and is gone")]
    Withdrawn(String),
    /// It does not let us use XCLIENT.
    #[error("XCLIENT answered with `{}`, expected 220", .0.summary())]
    Xclient(NextHopReply),
    /// It does not offer XCLIENT with ADDR.
    #[error(
        "XCLIENT with ADDR not offered, expected it for this host: mail waits, since the next hop would take us for the client"
    )]
    XclientMissing,
}

impl From<Elapsed> for NextHopError {
    fn from(_elapsed: Elapsed) -> Self {
        Self::Timeout
    }
}

impl NextHopError {
    /// What the client is told: never a 5xx for trouble that is not its own.
    pub(super) fn reply(&self) -> Reply {
        match self {
            Self::Xclient(_) | Self::XclientMissing => {
                Reply::new(451, 3, 5, "mail system not configured, try again later")
            }
            Self::ClientName(_) | Self::Connect(_) | Self::Greeting(_) | Self::Hello(_) => {
                Reply::new(451, 4, 1, "next hop does not answer, try again later")
            }
            Self::Broken(_)
            | Self::Closed
            | Self::Nonsense(_)
            | Self::Timeout
            | Self::Unexpected(_)
            | Self::Withdrawn(_) => Reply::new(451, 4, 2, "lost the next hop, try again later"),
        }
    }

    /// The next hop's own refusal of the name that the client gave itself, which is the client's to hear.
    pub(super) fn client_refusal(&self) -> Option<&NextHopReply> {
        match self {
            Self::ClientName(reply) => Some(reply),
            _ => None,
        }
    }

    /// What went wrong when the client's own name was passed on.
    fn about_client(self) -> Self {
        match self {
            Self::Hello(reply) if !matches!(reply.code, 421 | 500 | 502) => Self::ClientName(reply),
            other => other,
        }
    }
}
