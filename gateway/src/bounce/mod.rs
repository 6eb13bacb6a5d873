//! Reads what people show when mail came back: a bounce, an error that somebody pasted, a log line, a message.

mod fields;
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

use crate::net::{Hop, fold};
use crate::scan::literals;
use fields::{Fields, MOST};
use parts::{Kind, Part};

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

/// What the paragraphs of a text say.
#[derive(Debug, Default)]
struct Gathered {
    references: Vec<Named>,
    client: Option<IpAddr>,
    literals: Vec<IpAddr>,
    replies: Vec<Said>,
    words: Vec<Words>,
    servers: Vec<Host>,
    sender: Option<String>,
    recipients: Vec<String>,
    /// Addresses with which a paragraph begins.
    headings: Vec<String>,
    original_recipients: Vec<String>,
    message_id: Option<String>,
    is_log: bool,
}

impl Gathered {
    fn take(&mut self, paragraph: &str) {
        let lower = paragraph.to_ascii_lowercase();
        keep(&mut self.references, reference::references(paragraph, MOST));
        self.client = self.client.or_else(|| client(paragraph, &lower));
        keep(&mut self.literals, literals(paragraph.as_bytes()));
        for said in reply::replies(paragraph, MOST) {
            // A report says it for programs and for people, whose words may be cut or wrapped.
            let is_same = |kept: &Said| kept.code == said.code && kept.enhanced == said.enhanced;
            if self.replies.len() < MOST && !self.replies.iter().any(is_same) {
                self.replies.push(said);
            }
        }
        keep(&mut self.words, words::words(&lower));
        keep(&mut self.servers, server::servers(paragraph, &lower, MOST));
        self.take_of_log(paragraph, &lower);
        let heading = paragraph.split(' ').next().and_then(fields::address);
        fields::add(&mut self.headings, heading);
    }

    /// What the lines of logs have in their own form.
    fn take_of_log(&mut self, paragraph: &str, lower: &str) {
        let marks = ["status=bounced", "status=deferred", "stat=", " ** ", " == "];
        let after = |mark: &str| {
            let found = lower.match_indices(mark).find(|(at, _)| {
                let before = lower.get(..*at).unwrap_or_default();
                before.is_empty() || before.ends_with([' ', ','])
            });
            found.and_then(|(at, _)| paragraph.get(at.saturating_add(mark.len())..))
        };
        let address = |mark: &str| after(mark).and_then(first_address);
        if !marks.iter().any(|mark| lower.contains(mark)) {
            return;
        }
        self.is_log = true;
        let sender = ["from=", "f=", "ctladdr="].iter().find_map(|mark| address(mark));
        self.sender = self.sender.take().or(sender);
        let recipients = ["to=", "** ", "== "].iter().filter_map(|mark| address(mark));
        recipients.for_each(|found| fields::add(&mut self.recipients, Some(found)));
        fields::add(&mut self.original_recipients, address("orig_to="));
        let identifiers = ["message-id=", "msgid="].iter();
        let identifier = identifiers.filter_map(|mark| after(mark)).find_map(fields::identifier);
        self.message_id = self.message_id.take().or(identifier);
    }

    fn bounce(mut self, parts: &[Part], fields: Fields) -> Bounce {
        self.references.sort_by_key(|found| !found.named);
        let is_message = parts.iter().any(|part| part.kind == Kind::Header);
        let form = match (is_message, &fields) {
            (_, Fields { has_report: true, .. }) => Form::Report,
            (_, Fields { is_bounce: true, .. }) => Form::Bounce,
            (true, _) => Form::Message,
            (false, _) if self.is_log => Form::Log,
            (false, _) if self.replies.is_empty() && self.words.is_empty() => Form::Text,
            (false, _) => Form::Error,
        };
        let sender = fields.sender();
        let mut servers = fields.servers;
        keep(&mut servers, self.servers);
        let mut recipients = fields.recipients;
        let from_text =
            [self.recipients, if form == Form::Message { vec![] } else { self.headings }];
        for more in from_text {
            if recipients.is_empty() {
                recipients = more;
            }
        }
        let mut original_recipients = fields.original_recipients;
        keep(&mut original_recipients, self.original_recipients);
        let mut addresses = Vec::new();
        let mut add = |ip: IpAddr, place: Place, peer: bool| {
            let is_new = !addresses.iter().any(|seen: &Seen| seen.ip == ip);
            addresses.extend((is_new && addresses.len() < MOST).then(|| Seen { ip, place, peer }));
        };
        self.client.into_iter().for_each(|ip| add(ip, Place::Client, false));
        let of_servers = servers.iter().filter_map(|server| server.address);
        of_servers.for_each(|ip| add(ip, Place::Server, false));
        let hops = fields.received.into_iter();
        hops.for_each(|seen| add(seen.address, Place::Hop(seen.hop), seen.peer));
        self.literals.into_iter().for_each(|ip| add(ip, Place::Text, false));
        Bounce {
            form,
            references: self.references,
            client: self.client,
            addresses,
            replies: self.replies,
            words: self.words,
            status: fields.status,
            reporter: fields.reporter,
            servers,
            sender: self.sender.or(sender),
            recipients,
            original_recipients,
            message_id: fields.message_id.or(self.message_id),
        }
    }
}

/// Adds what is new, as long as there is room.
fn keep<T: PartialEq>(all: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for one in more {
        if all.len() >= MOST {
            return;
        }
        if !all.contains(&one) {
            all.push(one);
        }
    }
}

/// The mail address at the start of `text`.
fn first_address(text: &str) -> Option<String> {
    text.split([' ', ',']).next().and_then(fields::address)
}

/// The client that a reply names: `client [IP]` of the daemon, `[IP] ref` of the kernel, `address=IP` of a tag, and
/// `Client host [IP]` of others.
fn client(paragraph: &str, lower: &str) -> Option<IpAddr> {
    let read = |text: &str| {
        let end = text.find([']', ';', ' '])?;
        text.get(..end)?.parse().ok().map(fold)
    };
    let behind = |mark: &str| {
        let mut places = lower.match_indices(mark).take(MOST);
        places.find_map(|(at, _)| read(paragraph.get(at.saturating_add(mark.len())..)?))
    };
    let before_reference = || {
        let mut places = lower.match_indices("] ref ").take(MOST);
        places.find_map(|(at, _)| {
            let (_, inside) = paragraph.get(..=at)?.rsplit_once('[')?;
            read(inside)
        })
    };
    behind("client [")
        .or_else(before_reference)
        .or_else(|| behind("; address="))
        .or_else(|| behind("client host ["))
}
