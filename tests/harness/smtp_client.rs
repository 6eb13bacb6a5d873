//! A scripted SMTP client that sends exactly the bytes it is told to, from the address it is told to.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_reuseaddr, set_socket_timeout};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::deadline::Deadline;

/// How long a client waits for an answer when nothing else was said.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What became of an attempt to connect.
#[derive(Debug)]
pub enum Attempt {
    /// The handshake was completed; nothing has been read yet.
    Connected(SmtpClient),
    /// The SYN was answered with a RST.
    Refused,
    /// Nothing answered.
    TimedOut,
    /// The own host or a router said that there is no way.
    Unreachable(Errno),
}

/// How the peer's side of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// In order, by a FIN.
    Closed,
    /// By a RST.
    Reset,
}

/// One reply, of one line or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// What follows the code and its separator, line by line.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines in one.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Whether one of the lines is `keyword` or begins with it and a blank, as EHLO announces a capability.
    pub fn announces(&self, keyword: &str) -> bool {
        self.lines.iter().any(|line| line.split(' ').next() == Some(keyword))
    }

    /// 2xx or 3xx.
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

/// A connection to a mail server, with a record of everything said.
#[derive(Debug)]
pub struct SmtpClient {
    stream: TcpStream,
    buffer: Vec<u8>,
    patience: Duration,
    transcript: Vec<String>,
}

impl SmtpClient {
    /// Tries to connect to `server`, from the address `from` where one is given.
    pub fn attempt(from: Option<IpAddr>, server: SocketAddr, within: Duration) -> Result<Attempt> {
        let family = match server {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket(family, SocketType::STREAM, None)?;
        if let Some(from) = from {
            set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddr::new(from, 0)).with_context(|| format!("bind to {from}"))?;
        }
        // On Linux the send timeout bounds the handshake too, see socket(7).
        set_socket_timeout(&socket, Timeout::Send, Some(within))?;
        Ok(match connect(&socket, &server) {
            Ok(()) => Attempt::Connected(Self {
                stream: TcpStream::from(socket),
                buffer: Vec::new(),
                patience: PATIENCE,
                transcript: Vec::new(),
            }),
            Err(Errno::CONNREFUSED | Errno::CONNRESET) => Attempt::Refused,
            Err(Errno::TIMEDOUT | Errno::INPROGRESS | Errno::AGAIN) => Attempt::TimedOut,
            Err(errno @ (Errno::NETUNREACH | Errno::HOSTUNREACH)) => Attempt::Unreachable(errno),
            Err(errno) => bail!("connect to {server}: {errno}"),
        })
    }

    /// Connects to `server`; anything but a connection is an error.
    pub fn connect(from: Option<IpAddr>, server: SocketAddr) -> Result<Self> {
        match Self::attempt(from, server, PATIENCE)? {
            Attempt::Connected(client) => Ok(client),
            other => bail!("connect to {server}: {other:?}"),
        }
    }

    /// Changes how long every answer is waited for.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The own end of the connection.
    pub fn local(&self) -> Result<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// Sends one line; CR LF is added.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        self.send_raw(format!("{line}\r\n").as_bytes())
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        let text = String::from_utf8_lossy(bytes);
        let shown = text.strip_suffix("\r\n").unwrap_or(&text);
        self.transcript.push(format!("C: {}", shown.escape_debug()));
        self.stream.set_write_timeout(Some(self.patience))?;
        self.stream.write_all(bytes).context("send")
    }

    /// Waits for one whole reply.
    pub fn reply(&mut self) -> Result<Reply> {
        let deadline = Deadline::after(self.patience);
        let mut lines = Vec::new();
        loop {
            let line = self.line(deadline)?;
            self.transcript.push(format!("S: {line}"));
            let (code, rest) = line
                .split_at_checked(3)
                .and_then(|(code, rest)| Some((code.parse::<u16>().ok()?, rest)))
                .with_context(|| format!("`{line}` is no SMTP reply"))?;
            let last = !rest.starts_with('-');
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if last {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// Waits for a reply, which must have the code `code`.
    pub fn expect(&mut self, code: u16) -> Result<Reply> {
        let reply = self.reply()?;
        ensure!(
            reply.code == code,
            "`{reply}`, expected {code}, after\n{}",
            self.transcript.join("\n")
        );
        Ok(reply)
    }

    /// Sends `line` and waits for a reply, whatever it is.
    pub fn command(&mut self, line: &str) -> Result<Reply> {
        self.send_line(line)?;
        self.reply()
    }

    /// Waits for the greeting and says EHLO; the answer to EHLO.
    pub fn greet(&mut self, name: &str) -> Result<Reply> {
        self.expect(220)?;
        self.send_line(&format!("EHLO {name}"))?;
        self.expect(250)
    }

    /// Sends one message after [`Self::greet`]; the first reply that refuses it, otherwise the one to its dot.
    pub fn deliver(&mut self, sender: &str, recipients: &[&str], message: &str) -> Result<Reply> {
        let mut commands = vec![format!("MAIL FROM:<{sender}>")];
        commands.extend(recipients.iter().map(|to| format!("RCPT TO:<{to}>")));
        commands.push("DATA".to_owned());
        for command in commands {
            let reply = self.command(&command)?;
            if !reply.is_positive() {
                return Ok(reply);
            }
        }
        self.send_raw(&stuffed(message))?;
        self.reply()
    }

    /// Sends nothing more and waits until the peer has closed too; whatever it still says is thrown away.
    pub fn finish(mut self) -> Result<End> {
        self.stream.shutdown(Shutdown::Write).unwrap_or_default();
        self.ended()
    }

    /// Waits until the peer ends the connection; whatever it still says goes into the record.
    pub fn ended(&mut self) -> Result<End> {
        let deadline = Deadline::after(self.patience);
        loop {
            match self.fill(deadline) {
                Ok(0) => return Ok(End::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(End::Reset);
                }
                Err(error) => return Err(error).context("the peer keeps the connection open"),
            }
        }
    }

    /// Everything said so far, `C:` and `S:` lines.
    pub fn transcript(&self) -> &[String] {
        &self.transcript
    }

    fn line(&mut self, deadline: Deadline) -> Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end + 2).take(end).collect::<Vec<_>>();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            let read = self
                .fill(deadline)
                .with_context(|| format!("no reply after\n{}", self.transcript.join("\n")))?;
            ensure!(
                read > 0,
                "the peer closed the connection after\n{}",
                self.transcript.join("\n")
            );
        }
    }

    fn fill(&mut self, deadline: Deadline) -> io::Result<usize> {
        let mut chunk = [0; 4096];
        if deadline.passed() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(deadline.left()))?;
        let read = self.stream.read(&mut chunk)?;
        self.buffer.extend(chunk.iter().take(read));
        Ok(read)
    }
}

/// The message as it goes over the wire: CR LF line ends, dots doubled, the final dot.
fn stuffed(message: &str) -> Vec<u8> {
    let mut wire = String::new();
    for line in message.lines() {
        if line.starts_with('.') {
            wire.push('.');
        }
        wire.push_str(line);
        wire.push_str("\r\n");
    }
    wire.push_str(".\r\n");
    wire.into_bytes()
}
