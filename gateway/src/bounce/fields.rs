//! Reads the fields of delivery reports (RFC 3464) and of headers, wherever they stand in a text.

use crate::scan::{Field, HeaderBlock, Sighting, sightings};

use super::parts::{Kind, Part, is_message};
use super::server::Host;

/// The most values of one kind that are kept.
pub(super) const MOST: usize = 32;

/// Letters of an address or an identifier that are kept.
const LONGEST: usize = 320;

/// What fields say, as they stand.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) reporter: Option<String>,
    pub(super) servers: Vec<Host>,
    pub(super) recipients: Vec<String>,
    pub(super) original_recipients: Vec<String>,
    pub(super) status: Option<String>,
    /// Replies as a report for programs has them.
    pub(super) diagnostics: Vec<String>,
    /// What this gateway wrote into the header.
    pub(super) verdicts: Vec<String>,
    /// The senders of the message that came back, the best known first.
    pub(super) senders: Senders,
    pub(super) message_id: Option<String>,
    /// The addresses in the header of the message that came back, or of the one in hand.
    pub(super) received: Vec<Sighting>,
    /// Whether a mail server wrote the message in hand, and not a person.
    pub(super) is_bounce: bool,
    /// Whether there is a report for programs.
    pub(super) has_report: bool,
}

/// Who may have sent the message that came back.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// The sender of the envelope.
    pub(super) envelope: Option<String>,
    /// The author.
    author: Option<String>,
    /// To whom the bounce went.
    told: Option<String>,
    /// The sender, or the author, of the message in hand.
    in_hand: Option<String>,
}

impl Fields {
    /// Reads `parts`.
    pub(super) fn read(parts: &[Part]) -> Self {
        let mut fields = Self::default();
        for part in parts {
            fields.has_report |= part.kind == Kind::Report;
            for block in part.text.split("\n\n") {
                fields.take(part.kind, block);
            }
        }
        fields.has_report |= fields.reporter.is_some() && !fields.recipients.is_empty();
        fields
    }

    /// The best that is known of the sender.
    pub(super) fn sender(&self) -> Option<String> {
        let Senders { envelope, author, told, in_hand } = &self.senders;
        let of_bounce = author.as_ref().or(told.as_ref()).filter(|_| self.is_bounce);
        let known = envelope.as_ref().or(of_bounce).or(author.as_ref());
        known.or_else(|| in_hand.as_ref().filter(|_| !self.is_bounce)).cloned()
    }

    fn take(&mut self, kind: Kind, block: &str) {
        let is_header = is_message(block.as_bytes());
        let kind = match kind {
            Kind::Text if is_header && writes_by_itself(block) => Kind::Header,
            Kind::Text if is_header => Kind::Returned,
            Kind::Text => Kind::Report,
            kind => kind,
        };
        for field in HeaderBlock::new(block.as_bytes()).fields() {
            match kind {
                Kind::Header => self.take_of_header(field),
                Kind::Returned => self.take_returned(field),
                Kind::Text | Kind::Report => self.take_of_report(field),
            }
        }
        let counts = kind == Kind::Returned || kind == Kind::Header && !writes_by_itself(block);
        if counts && self.received.is_empty() {
            self.received = sightings(block.as_bytes(), &[]);
            self.received.truncate(MOST);
        }
        self.is_bounce |= kind == Kind::Header && writes_by_itself(block);
    }

    fn take_of_report(&mut self, field: Field<'_>) {
        let value = || unfolded(field.value);
        let typed = || {
            let value = value();
            value
                .split_once(';')
                .map_or_else(|| value.clone(), |(_, value)| value.trim().to_owned())
        };
        match field.name.to_ascii_lowercase().as_str() {
            "reporting-mta" => set(&mut self.reporter, host_name(&typed())),
            "remote-mta" => {
                let host = Host::read(&typed()).map(|(host, _)| host);
                self.servers.extend(host.filter(|_| self.servers.len() < MOST));
            }
            "final-recipient" => add(&mut self.recipients, address(&typed())),
            "original-recipient" => add(&mut self.original_recipients, address(&typed())),
            "x-postfix-sender" => set(&mut self.senders.envelope, address(&typed())),
            "status" => set(&mut self.status, status(&value())),
            "diagnostic-code" if self.diagnostics.len() < MOST => self.diagnostics.push(typed()),
            _ => {}
        }
    }

    fn take_returned(&mut self, field: Field<'_>) {
        let value = || unfolded(field.value);
        match field.name.to_ascii_lowercase().as_str() {
            "return-path" => set(&mut self.senders.envelope, address(&value())),
            "from" => set(&mut self.senders.author, address(&value())),
            "message-id" => {
                self.message_id = identifier(&value()).or_else(|| self.message_id.take());
            }
            "x-portcullis-verdict" => add(&mut self.verdicts, Some(value())),
            _ => {}
        }
    }

    fn take_of_header(&mut self, field: Field<'_>) {
        let value = || unfolded(field.value);
        match field.name.to_ascii_lowercase().as_str() {
            "to" => set(&mut self.senders.told, address(&value())),
            // The envelope's sender is the better one, wherever it stands.
            "return-path" => {
                self.senders.in_hand = address(&value()).or_else(|| self.senders.in_hand.take());
            }
            "from" => set(&mut self.senders.in_hand, address(&value())),
            "x-failed-recipients" => add(&mut self.recipients, address(&value())),
            "message-id" | "in-reply-to" => set(&mut self.message_id, identifier(&value())),
            "x-portcullis-verdict" => add(&mut self.verdicts, Some(value())),
            _ => {}
        }
    }
}

/// Whether the header `block` is of a message that a mail server wrote.
fn writes_by_itself(block: &str) -> bool {
    let mut fields = HeaderBlock::new(block.as_bytes()).fields();
    fields.any(|field| {
        let value = unfolded(field.value).to_ascii_lowercase();
        match field.name.to_ascii_lowercase().as_str() {
            "return-path" => value.trim() == "<>",
            "from" => value.contains("mailer-daemon") || value.contains("postmaster@"),
            "content-type" => value.contains("multipart/report"),
            "x-failed-recipients" => true,
            _ => false,
        }
    })
}

/// Keeps the first that is known.
fn set(place: &mut Option<String>, value: Option<String>) {
    if place.is_none() {
        *place = value;
    }
}

/// Adds what is new, as long as there is room.
pub(super) fn add(all: &mut Vec<String>, value: Option<String>) {
    all.extend(value.filter(|value| all.len() < MOST && !all.contains(value)));
}

fn unfolded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST * 4).collect()
}

/// The mail address in `text`: in angle brackets, or the first word that has an `@`.
pub(super) fn address(text: &str) -> Option<String> {
    let inside = text.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let bracketed = inside.map(|(inside, _)| inside).filter(|inside| is_address(inside));
    let word = || {
        let words = text.split([' ', ',', ';', '"', '(', ')', '[', ']', '<', '>']);
        let mut words = words.map(|word| word.trim_end_matches([':', '.']));
        words.find(|word| is_address(word))
    };
    bracketed.or_else(word).map(ToOwned::to_owned)
}

fn is_address(word: &str) -> bool {
    let is_plain = |letter: char| !letter.is_whitespace() && !"<>,;\"".contains(letter);
    let Some((local, domain)) = word.rsplit_once('@') else { return false };
    word.len() <= LONGEST && !local.is_empty() && !domain.is_empty() && word.chars().all(is_plain)
}

/// A message identifier, with its angle brackets.
pub(super) fn identifier(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('<')?;
    let (inside, _) = rest.split_once('>')?;
    let is_plain = inside.chars().all(|letter| !letter.is_whitespace() && letter != '<');
    (is_plain && !inside.is_empty() && inside.len() <= LONGEST).then(|| format!("<{inside}>"))
}

fn host_name(text: &str) -> Option<String> {
    Host::read(text)
        .and_then(|(host, _)| host.name.or_else(|| host.address.map(|ip| ip.to_string())))
}

fn status(text: &str) -> Option<String> {
    let is_status = |word: &&str| {
        let parts: Vec<_> = word.split('.').collect();
        parts.len() == 3
            && parts.iter().all(|part| {
                (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
            })
    };
    text.split([' ', '(']).next().filter(is_status).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_identifiers() {
        for (text, expected) in [
            ("<a@example.com>", Some("a@example.com")),
            ("A B <a@example.com>", Some("a@example.com")),
            ("a@example.com (A B)", Some("a@example.com")),
            ("\"a@b\" <c@example.com>", Some("c@example.com")),
            ("a@example.com:", Some("a@example.com")),
            ("<>", None),
            ("@", None),
            ("a@", None),
            ("nobody", None),
        ] {
            assert_eq!(address(text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            (" <1@example.com>", Some("<1@example.com>")),
            ("<1>", Some("<1>")),
            ("<a b>", None),
            ("1@example.com", None),
            ("<>", None),
        ] {
            assert_eq!(identifier(text).as_deref(), expected, "{text}");
        }
    }
}
