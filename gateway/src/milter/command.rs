//! What a mail server tells a milter: frames into commands.

use std::net::IpAddr;

use super::{Frame, Macros, Offer};
use crate::net::fold;
use crate::policy::Envelope;

/// What a mail server tells a milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What it offers, before anything else.
    Negotiate(Offer),
    /// Macros for the command that comes next.
    Macros(Macros),
    /// A client connected.
    Connect {
        /// Its address; `None` of a client without one, such as a program of the host itself.
        address: Option<IpAddr>,
        /// Its port, 0 where nobody knows.
        port: u16,
    },
    /// It said its name.
    Helo(String),
    /// It named the sender, empty for a bounce.
    Mail(String),
    /// It named a recipient.
    Rcpt(String),
    /// It is about to send the message.
    Data,
    /// One field of the header.
    Header {
        /// Its name without the colon.
        name: Vec<u8>,
        /// What follows the colon, its lines divided by LF alone.
        value: Vec<u8>,
    },
    /// One field that is too long to be looked at.
    OverlongHeader,
    /// The header is over.
    EndOfHeader,
    /// A piece of the body.
    Body(Vec<u8>),
    /// The message is over, with its last piece.
    EndOfMessage(Vec<u8>),
    /// The message comes to nothing; the connection goes on.
    Abort,
    /// The client's connection is over.
    Quit,
    /// It is over, and another one follows.
    QuitNewConnection,
    /// The client said something that is no command.
    Unknown,
}

/// Why a frame is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    /// Its length is 0.
    #[error("a frame of length 0, expected a command")]
    Empty,
    /// Nobody knows what it is.
    #[error("command 0x{0:02x}, expected one of the milter protocol")]
    Unknown(u8),
    /// It is longer than any that is needed.
    #[error("a frame for command 0x{0:02x} over the limit")]
    TooLong(u8),
    /// Its data is not what it should be.
    #[error("{0} that are not of the protocol's form")]
    Malformed(&'static str),
}

impl Command {
    /// Reads a frame.
    pub fn parse(frame: Frame) -> Result<Self, CommandFault> {
        let Frame { code, data, is_cut } = frame;
        let code = code.ok_or(CommandFault::Empty)?;
        if is_cut {
            let is_header = code == b'L';
            return is_header.then_some(Self::OverlongHeader).ok_or(CommandFault::TooLong(code));
        }
        Ok(match code {
            b'A' => Self::Abort,
            b'B' => Self::Body(data),
            b'C' => connect(&data)?,
            b'D' => Self::Macros(Macros::parse(&data)?),
            b'E' => Self::EndOfMessage(data),
            b'H' => Self::Helo(strings(&data).next().map(Envelope::capped).unwrap_or_default()),
            b'K' => Self::QuitNewConnection,
            b'L' => header(&data)?,
            b'M' => Self::Mail(path(&data)),
            b'N' => Self::EndOfHeader,
            b'O' => Self::Negotiate(offer(&data)?),
            b'Q' => Self::Quit,
            b'R' => Self::Rcpt(path(&data)),
            b'T' => Self::Data,
            b'U' => Self::Unknown,
            code => return Err(CommandFault::Unknown(code)),
        })
    }
}

/// Three numbers; what newer versions may add behind them means nothing to this one.
fn offer(data: &[u8]) -> Result<Offer, CommandFault> {
    let number = |index: usize| {
        let octets = data.get(index * 4..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*octets))
    };
    let offer = || Some(Offer { version: number(0)?, actions: number(1)?, steps: number(2)? });
    offer().ok_or(CommandFault::Malformed("options"))
}

/// The client's name, the family of its address, port and address.
fn connect(data: &[u8]) -> Result<Command, CommandFault> {
    let malformed = CommandFault::Malformed("connection data");
    let name = data.iter().position(|&octet| octet == 0).ok_or(malformed)?;
    let rest = data.get(name + 1..).unwrap_or_default();
    let (family, rest) = rest.split_first().ok_or(malformed)?;
    if !matches!(family, b'4' | b'6') {
        // Unix sockets, and what the mail server does not know itself.
        return Ok(Command::Connect { address: None, port: 0 });
    }
    let (port, rest) = rest.split_first_chunk::<2>().ok_or(malformed)?;
    let text = strings(rest).next().unwrap_or_default();
    let address = address(text).ok_or(malformed)?;
    Ok(Command::Connect { address: Some(address), port: u16::from_be_bytes(*port) })
}

fn header(data: &[u8]) -> Result<Command, CommandFault> {
    let malformed = CommandFault::Malformed("header fields");
    let mut texts = strings(data);
    let name = texts.next().filter(|name| !name.is_empty()).ok_or(malformed)?;
    let value = texts.next().ok_or(malformed)?;
    Ok(Command::Header { name: name.to_vec(), value: value.to_vec() })
}

/// The address of MAIL or RCPT without its angle brackets; the parameters of ESMTP follow it.
fn path(data: &[u8]) -> String {
    let text = strings(data).next().unwrap_or_default().trim_ascii();
    let inside = text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">"));
    Envelope::capped(inside.unwrap_or(text))
}

/// An address as text, IPv6 with or without the prefix that Sendmail gives it; IPv4-mapped ones are folded.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text.strip_prefix("IPv6:").unwrap_or(text);
    bare.parse().ok().map(fold)
}

/// The texts in `data`, each with a NUL behind it but perhaps the last.
pub(super) fn strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let data = data.strip_suffix(b"\0").unwrap_or(data);
    data.split(|&octet| octet == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(code: u8, data: &[u8]) -> Result<Command, CommandFault> {
        Command::parse(Frame { code: Some(code), data: data.to_vec(), is_cut: false })
    }

    #[test]
    fn each_command_is_read() {
        let connect = |address: &str, port| {
            let address = Some(address.parse().unwrap());
            Ok(Command::Connect { address, port })
        };
        let malformed = |what| Err(CommandFault::Malformed(what));
        let header = |name: &[u8], value: &[u8]| {
            Ok(Command::Header { name: name.to_vec(), value: value.to_vec() })
        };
        for (code, data, expected) in [
            (b'A', &b""[..], Ok(Command::Abort)),
            (b'B', b"a\r\n", Ok(Command::Body(b"a\r\n".to_vec()))),
            (b'C', b"host.example\x004\0\x19192.0.2.7\0", connect("192.0.2.7", 25)),
            (b'C', b"[192.0.2.7]\x004\x01\x00192.0.2.7", connect("192.0.2.7", 256)),
            (b'C', b"a\x006\0\0IPv6:2001:db8::1\0", connect("2001:db8::1", 0)),
            (b'C', b"a\x006\0\x002001:db8::1\0", connect("2001:db8::1", 0)),
            (b'C', b"a\x006\0\0::ffff:192.0.2.7\0", connect("192.0.2.7", 0)),
            (b'C', b"localhost\0L\0\0/run/x\0", Ok(Command::Connect { address: None, port: 0 })),
            (b'C', b"unknown\0U", Ok(Command::Connect { address: None, port: 0 })),
            (b'C', b"a\x004\0\x19unknown\0", malformed("connection data")),
            (b'C', b"a\x004\0", malformed("connection data")),
            (b'C', b"a\0", malformed("connection data")),
            (b'C', b"", malformed("connection data")),
            (b'E', b"", Ok(Command::EndOfMessage(Vec::new()))),
            (b'H', b"mail.example\0", Ok(Command::Helo("mail.example".to_owned()))),
            (b'H', b"", Ok(Command::Helo(String::new()))),
            (b'K', b"", Ok(Command::QuitNewConnection)),
            (b'L', b"Subject\0 a\n b\0", header(b"Subject", b" a\n b")),
            (b'L', b"Subject\0\0", header(b"Subject", b"")),
            (b'L', b"Subject\0", malformed("header fields")),
            (b'L', b"\0x\0", malformed("header fields")),
            (b'M', b"<a@example.org>\0SIZE=5\0", Ok(Command::Mail("a@example.org".to_owned()))),
            (b'M', b"<>\0", Ok(Command::Mail(String::new()))),
            (b'M', b"a@example.org\0", Ok(Command::Mail("a@example.org".to_owned()))),
            (b'N', b"", Ok(Command::EndOfHeader)),
            (b'O', b"\0\0\0\x06\0\0\x01\xff\0\0\0", malformed("options")),
            (
                b'O',
                b"\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xffmore",
                Ok(Command::Negotiate(Offer { version: 6, actions: 0x1ff, steps: 0x1f_ffff })),
            ),
            (b'Q', b"", Ok(Command::Quit)),
            (b'R', b"<b@\xff>\0", Ok(Command::Rcpt("b@\u{fffd}".to_owned()))),
            (b'T', b"", Ok(Command::Data)),
            (b'U', b"HELLO\0", Ok(Command::Unknown)),
            (b'Z', b"", Err(CommandFault::Unknown(b'Z'))),
        ] {
            assert_eq!(parse(code, data), expected, "{} {}", char::from(code), data.escape_ascii());
        }
    }

    #[test]
    fn what_is_too_long_is_told() {
        let cut = |code| Command::parse(Frame { code, data: Vec::new(), is_cut: true });
        assert_eq!(cut(Some(b'L')), Ok(Command::OverlongHeader));
        assert_eq!(cut(Some(b'B')), Err(CommandFault::TooLong(b'B')));
        let empty = Frame { code: None, data: Vec::new(), is_cut: false };
        assert_eq!(Command::parse(empty), Err(CommandFault::Empty));
        let Ok(Command::Helo(name)) = parse(b'H', &[b'x'; 5000]) else { panic!() };
        assert_eq!(name.len(), Envelope::KEPT);
    }
}
