//! One connection to a next hop: made so that it knows the client, spoken to, dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{Hop, NextHopError};
use crate::engine::Client;
use crate::front::smtp::Settings;
use crate::front::smtp::stream::Stream;
use crate::front::{NextHopTlsMode, PassClient};
use crate::smtp::{
    Capabilities, LineBuffer, NextHopReply, ReplyFault, ReplyParser, XclientAttributes,
    proxy_header, proxy_header_v2, xclient_command,
};

/// Octets of a line of the next hop.
const MAX_LINE: usize = 4096;
/// How long a next hop that no longer takes data may take to say why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::front::smtp) struct Hello {
    /// Its name, as it wrote it.
    pub(in crate::front::smtp) name: String,
    /// Whether with EHLO.
    pub(in crate::front::smtp) extended: bool,
}

/// Where a connection goes, and how.
#[derive(Clone)]
pub(super) struct Target<'a> {
    pub(super) hop: &'a Arc<Hop>,
    pub(super) settings: &'a Settings,
    pub(super) connector: Option<TlsConnector>,
}

/// A connection to a next hop, greeted. Dropping it aborts whatever is in hand there.
#[derive(Debug)]
pub(in crate::front::smtp) struct NextHopConnection {
    /// The next hop.
    pub(super) hop: Arc<Hop>,
    stream: Stream,
    input: LineBuffer,
    parser: ReplyParser,
    /// What it offers to this client.
    pub(in crate::front::smtp) capabilities: Capabilities,
    /// What it lets us say about clients; `None` before we have said our own name.
    xclient: Option<XclientAttributes>,
    /// For how many clients it was used.
    pub(super) clients: u32,
}

impl NextHopConnection {
    /// Connects for `client`; the next hop knows who that is, or there is no connection (B0).
    pub(super) async fn for_client(
        target: Target<'_>,
        client: &Client,
        hello: &Hello,
    ) -> Result<Self, NextHopError> {
        let settings = target.settings;
        let mut connection =
            Self::open_secured(target, |_stream| Ok((client.address, client.local))).await?;
        connection.introduce(settings, client, hello).await?;
        Ok(connection)
    }

    /// Says for whom the connection is from now on.
    pub(super) async fn introduce(
        &mut self,
        settings: &Settings,
        client: &Client,
        hello: &Hello,
    ) -> Result<(), NextHopError> {
        let wait = settings.limits.next_hop_timeout;
        self.clients += 1;
        match settings.next_hop.client {
            PassClient::Xclient => {
                // Our own name goes first: a refusal of it is our trouble, not the client's.
                let offered = match self.xclient.take() {
                    Some(offered) => offered,
                    None => self.hello(&settings.hostname, wait).await?,
                };
                let xclient =
                    xclient_command(&offered, client.address, &hello.name, hello.extended)
                        .ok_or(NextHopError::XclientMissing)?;
                self.xclient = Some(offered);
                let reply = self.command(&xclient, wait).await?;
                if reply.code != 220 {
                    return Err(NextHopError::Xclient(reply));
                }
                self.hello(&hello.name, wait).await.map_err(NextHopError::about_client)?;
            }
            PassClient::Proxy | PassClient::ProxyV2 => {
                self.hello(&hello.name, wait).await.map_err(NextHopError::about_client)?;
            }
            // It sees us as the client, so it hears our name, too.
            PassClient::None if self.xclient.is_some() => {}
            PassClient::None => {
                self.xclient = Some(self.hello(&settings.hostname, wait).await?);
            }
        }
        Ok(())
    }

    /// Connects to see what is offered, and leaves.
    pub(super) async fn probe(target: Target<'_>) -> Result<Capabilities, NextHopError> {
        let settings = target.settings;
        let ends = |stream: &TcpStream| Ok((stream.local_addr()?, stream.peer_addr()?));
        let mut connection = Self::open_secured(target, ends).await?;
        connection.hello(&settings.hostname, settings.limits.next_hop_connect_timeout).await?;
        let capabilities = connection.capabilities.clone();
        connection.quit().await;
        if settings.next_hop.client == PassClient::Xclient && !capabilities.xclient.has_address() {
            return Err(NextHopError::XclientMissing);
        }
        Ok(capabilities)
    }

    /// Connects, and speaks TLS as far as it has to.
    async fn open_secured(
        target: Target<'_>,
        ends: impl Fn(&TcpStream) -> io::Result<(SocketAddr, SocketAddr)>,
    ) -> Result<Self, NextHopError> {
        let settings = target.settings;
        let connection = Self::open(&target, &ends).await?;
        let Some(connector) = &target.connector else { return Ok(connection) };
        let is_required = settings.next_hop.tls.mode == NextHopTlsMode::Required;
        match connection.secure(settings, connector).await {
            Ok(connection) if is_required && !connection.stream.is_tls() => {
                Err(NextHopError::NoTls)
            }
            // Where TLS is a favour, mail without it is better than none (RFC 7435).
            Err(NextHopError::Tls(error)) if !is_required => {
                tracing::debug!(target: "next-hop", "{}: goes on without TLS: {error}", target.hop.address);
                Self::open(&target, &ends).await
            }
            other => other,
        }
    }

    /// Connects and waits for the greeting.
    async fn open(
        target: &Target<'_>,
        ends: impl Fn(&TcpStream) -> io::Result<(SocketAddr, SocketAddr)>,
    ) -> Result<Self, NextHopError> {
        let Target { hop, settings, .. } = target;
        let wait = settings.limits.next_hop_connect_timeout;
        let stream =
            timeout(wait, TcpStream::connect(hop.address)).await?.map_err(NextHopError::Connect)?;
        stream.set_nodelay(true).map_err(NextHopError::Connect)?;
        let (client, local) = ends(&stream).map_err(NextHopError::Connect)?;
        let header = match settings.next_hop.client {
            PassClient::Proxy => proxy_header(client, local).into_bytes(),
            PassClient::ProxyV2 => proxy_header_v2(client, local),
            PassClient::None | PassClient::Xclient => Vec::new(),
        };
        let mut connection = Self {
            hop: Arc::clone(hop),
            stream: Stream::Plain(stream),
            input: LineBuffer::new(MAX_LINE),
            parser: ReplyParser::default(),
            capabilities: Capabilities::default(),
            xclient: None,
            clients: 0,
        };
        connection.write(&header).await?;
        let greeting = timeout(wait, connection.reply()).await??;
        if greeting.code != 220 {
            return Err(NextHopError::Greeting(greeting));
        }
        Ok(connection)
    }

    /// Speaks TLS from here on, where that is offered.
    async fn secure(
        mut self,
        settings: &Settings,
        connector: &TlsConnector,
    ) -> Result<Self, NextHopError> {
        let wait = settings.limits.next_hop_connect_timeout;
        let offered = self.hello(&settings.hostname, wait).await?;
        let is_ready =
            self.capabilities.starttls && self.command("STARTTLS", wait).await?.code == 220;
        if !is_ready {
            self.xclient = Some(offered);
            return Ok(self);
        }
        // What came in the clear behind the 220 is nobody's word (CVE-2011-0411).
        if !self.input.unread().is_empty() || !self.parser.is_idle() {
            return Err(NextHopError::Nonsense(ReplyFault::Code));
        }
        let name = match &settings.next_hop.tls.name {
            Some(name) => ServerName::try_from(name.clone())
                .map_err(|error| NextHopError::Tls(io::Error::other(error)))?,
            None => ServerName::IpAddress(self.hop.address.ip().into()),
        };
        let Stream::Plain(socket) = self.stream else { return Err(NextHopError::NoTls) };
        let secured = timeout(wait, connector.connect(name, socket)).await?;
        let secured = secured.map_err(NextHopError::Tls)?;
        let stream = Stream::Tls(Box::new(secured.into()));
        Ok(Self { stream, capabilities: Capabilities::default(), ..self })
    }

    /// Says EHLO; answers with what may be said of clients.
    async fn hello(
        &mut self,
        name: &str,
        wait: Duration,
    ) -> Result<XclientAttributes, NextHopError> {
        let reply = self.command(&format!("EHLO {name}"), wait).await?;
        if !reply.is_positive() {
            return Err(NextHopError::Hello(reply));
        }
        self.capabilities = Capabilities::from_reply(&reply);
        Ok(self.capabilities.xclient.clone())
    }

    /// Sends a command without its CRLF, and waits for the reply.
    pub(in crate::front::smtp) async fn command(
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
    pub(in crate::front::smtp) async fn data(&mut self, octets: &[u8]) -> Result<(), Interrupted> {
        let broken = {
            let (mut reader, mut writer) = split(&mut self.stream);
            let sent = async {
                writer.write_all(octets).await?;
                writer.flush().await
            };
            tokio::select! {
                biased;
                sent = sent => match sent {
                    Ok(()) => return Ok(()),
                    Err(error) => NextHopError::Broken(error),
                },
                reply = next_reply(&mut reader, &mut self.input, &mut self.parser) => {
                    return Err(reply.into());
                }
            }
        };
        // It hung up on us, often after saying why.
        Err(match timeout(LAST_WORDS, self.reply()).await {
            Ok(Ok(reply)) => Interrupted::Reply(reply),
            Ok(Err(_)) | Err(_) => Interrupted::Lost(broken),
        })
    }

    /// What the next hop has said already without being asked, so that it is never taken for the answer to what comes.
    pub(in crate::front::smtp) async fn unasked(
        &mut self,
    ) -> Option<Result<NextHopReply, NextHopError>> {
        tokio::select! {
            biased;
            reply = self.reply() => Some(reply),
            () = std::future::ready(()) => {
                let is_idle = self.input.unread().is_empty() && self.parser.is_idle();
                (!is_idle).then_some(Err(NextHopError::Nonsense(ReplyFault::Code)))
            }
        }
    }

    /// Whether it is still there and has said nothing of its own. Asks the system: the runtime may not have looked yet.
    pub(super) fn is_quiet(&self) -> bool {
        self.input.unread().is_empty() && self.parser.is_idle() && self.stream.is_quiet()
    }

    /// Waits for something that was not asked for. Nothing is lost when this is cancelled.
    pub(in crate::front::smtp) async fn interruption(&mut self) -> Interrupted {
        self.reply().await.into()
    }

    /// Waits for the next reply. Nothing is lost when this is cancelled.
    pub(in crate::front::smtp) async fn reply(&mut self) -> Result<NextHopReply, NextHopError> {
        next_reply(&mut self.stream, &mut self.input, &mut self.parser).await
    }

    /// Leaves politely; only where no transaction is open.
    pub(in crate::front::smtp) async fn quit(mut self) {
        let _reply: Result<_, NextHopError> = self.command("QUIT", LAST_WORDS).await;
    }

    async fn write(&mut self, octets: &[u8]) -> Result<(), NextHopError> {
        let written = async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        };
        written.await.map_err(NextHopError::Broken)
    }
}

async fn next_reply(
    reader: &mut (impl AsyncReadExt + Unpin),
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
pub(in crate::front::smtp) enum Interrupted {
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
