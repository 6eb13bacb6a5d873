//! Gathers what the paragraphs of a text say, and puts it together with what its fields say.

use std::net::IpAddr;

use super::fields::{self, Fields, MOST};
use super::parts::{Kind, Part};
use super::{Bounce, Form, Host, Named, Place, Said, Seen, Words, reference, reply, server, words};
use crate::net::fold;
use crate::scan::literals;

/// What the paragraphs of a text say.
#[derive(Debug, Default)]
pub(super) struct Gathered {
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
    /// Reads one paragraph.
    pub(super) fn take(&mut self, paragraph: &str) {
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

    /// All of it, with what fields say.
    pub(super) fn bounce(mut self, parts: &[Part], fields: Fields) -> Bounce {
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
        let servers = merged(fields.servers.into_iter().chain(self.servers));
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
            addresses.extend((is_new && addresses.len() < MOST).then_some(Seen {
                ip,
                place,
                peer,
            }));
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

/// The servers, each once: the report for programs names one, the words beside it have its address.
fn merged(servers: impl Iterator<Item = Host>) -> Vec<Host> {
    let mut all: Vec<Host> = Vec::new();
    for host in servers {
        let same = all.iter_mut().find(|known| known.name.is_some() && known.name == host.name);
        match same {
            Some(known) if known.address.is_none() => known.address = host.address,
            Some(known) if known.address == host.address || host.address.is_none() => {}
            _ => keep(&mut all, [host]),
        }
    }
    all
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
