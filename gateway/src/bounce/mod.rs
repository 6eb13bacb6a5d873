//! Reads what people show when mail came back: a bounce, an error that somebody pasted, a log line, a message.

mod fields;
mod gathered;
mod parts;
mod plain;
mod reference;
mod reply;
mod server;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

pub use reference::Named;
pub use reply::Said;
pub use server::Host;
pub use words::Words;

use crate::net::Hop;
use fields::Fields;
use gathered::Gathered;
use parts::Kind;

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// A bounce with fields for programs (RFC 3464).
    Report,
    /// A bounce in words alone.
    Bounce,
    /// Some other message.
    Message,
    /// Lines of a mail server's log.
    Log,
    /// A reply, as somebody pasted it.
    Error,
    /// Something in which none of these was found.
    Text,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Report => "a delivery report",
            Self::Bounce => "a bounce",
            Self::Message => "a message",
            Self::Log => "a log line",
            Self::Error => "an error",
            Self::Text => "a text",
        })
    }
}

/// Where an address stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a reply, as the client that it is about.
    Client,
    /// Beside a reply, as the server that said it.
    Server,
    /// In a field of the message that came back, or that is in hand.
    Hop(Hop),
    /// Somewhere else.
    Text,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Server => f.write_str("server"),
            Self::Hop(hop) => hop.fmt(f),
            Self::Text => f.write_str("text"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address that stands in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The address, IPv4-mapped ones folded.
    pub ip: IpAddr,
    /// Where it stands.
    pub place: Place,
    /// Whether a mail server wrote down that it saw it at its socket.
    pub peer: bool,
}

/// What a text says about mail that came back. Each address, reference and reply is there once, and no list is long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bounce {
    /// What the text is.
    pub form: Form,
    /// The references, those first that are called so.
    pub references: Vec<Named>,
    /// The client that the reply names.
    pub client: Option<IpAddr>,
    /// All addresses, the client first.
    pub addresses: Vec<Seen>,
    /// The replies, those of the report for programs first.
    pub replies: Vec<Said>,
    /// The words of this gateway that stand in it.
    pub words: Vec<Words>,
    /// The status that the report gives.
    pub status: Option<String>,
    /// Who wrote the report.
    pub reporter: Option<String>,
    /// The servers that said the replies, those of the report for programs first.
    pub servers: Vec<Host>,
    /// The sender of the message that came back.
    pub sender: Option<String>,
    /// To whom it could not be delivered.
    pub recipients: Vec<String>,
    /// To whom it was addressed before something changed that.
    pub original_recipients: Vec<String>,
    /// The identifier of the message that came back.
    pub message_id: Option<String>,
}

impl Bounce {
    /// Reads any octets. What they do not say is absent; nothing in it has controls or several lines.
    pub fn read(octets: &[u8]) -> Self {
        let parts = parts::parts(octets);
        let fields = Fields::read(&parts);
        let mut gathered = Gathered::default();
        let exact = fields.diagnostics.iter().chain(&fields.verdicts);
        for paragraph in exact {
            gathered.take(paragraph);
        }
        let texts = parts.iter().filter(|part| part.kind == Kind::Text);
        for part in texts {
            for paragraph in plain::paragraphs(&part.text) {
                gathered.take(&paragraph);
            }
        }
        gathered.bounce(&parts, fields)
    }

    /// Whether the address that the reply names stood in the header of a message, and did not connect.
    pub fn is_about_header(&self) -> bool {
        let of_header = ["because of received[", "because of header["];
        self.form == Form::Message
            || self.replies.iter().any(|said| of_header.iter().any(|it| said.text.contains(it)))
    }
}
