//! DNS messages as they go over the wire (RFC 1035, section 4), written and read by hand.

use anyhow::{Context, Result, bail, ensure};

use crate::dns_record::{Data, INTERNET, Kind, Record, label_text, name_octets, push};

/// Set in an answer.
pub const RESPONSE: u16 = 0x8000;
/// Set by who owns the zone.
pub const AUTHORITATIVE: u16 = 0x0400;
/// Set where not all records had room.
pub const TRUNCATED: u16 = 0x0200;
/// Set by a client that wants others to be asked for it; it comes back.
pub const RECURSION_DESIRED: u16 = 0x0100;
/// Set by a resolver that asks others.
pub const RECURSION_AVAILABLE: u16 = 0x0080;

/// All is well.
pub const NO_ERROR: u16 = 0;
/// The server failed.
pub const SERVER_FAILURE: u16 = 2;
/// There is no such name.
pub const NO_SUCH_NAME: u16 = 3;
/// The server does not answer such questions, or not to this client.
pub const REFUSED: u16 = 5;

/// How many pointers a name may follow.
const POINTERS: usize = 16;

/// A question or an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// By which an answer is told to belong to its question.
    pub id: u16,
    /// The flags, and the code in the lowest four bits.
    pub flags: u16,
    /// The name that is asked for, in the letters of who asked; without a dot at the end.
    pub name: String,
    /// The type that is asked for.
    pub kind: Kind,
    /// What answers it, each with its owner.
    pub answers: Vec<(String, Record)>,
    /// Who is in charge.
    pub authority: Vec<(String, Record)>,
    /// How many octets may come back over UDP, where that is said (RFC 6891).
    pub payload: Option<u16>,
}

impl Message {
    /// Asks a resolver for the records of `name`, in old DNS without extensions.
    pub fn question(id: u16, name: &str, kind: Kind) -> Self {
        Self {
            id,
            flags: RECURSION_DESIRED,
            name: name.to_owned(),
            kind,
            answers: Vec::new(),
            authority: Vec::new(),
            payload: None,
        }
    }

    /// The response code.
    pub fn code(&self) -> u16 {
        self.flags & 15
    }

    /// What the answers say, whoever owns them.
    pub fn data(&self) -> Vec<&Data> {
        self.answers.iter().map(|(_owner, record)| &record.data).collect()
    }

    /// As it is sent over UDP.
    pub fn write(&self) -> Vec<u8> {
        let count = |records: &[_]| u16::try_from(records.len()).unwrap_or(u16::MAX);
        let mut octets = Vec::new();
        let (answers, authority) = (count(&self.answers), count(&self.authority));
        let additional = u16::from(self.payload.is_some());
        push(&mut octets, &[self.id, self.flags, 1, answers, authority, additional]);
        octets.extend(name_octets(&self.name));
        push(&mut octets, &[self.kind.0, INTERNET]);
        for (owner, record) in self.answers.iter().chain(&self.authority) {
            record.write(owner, &mut octets);
        }
        if let Some(payload) = self.payload {
            octets.push(0);
            push(&mut octets, &[Kind::OPT.0, payload, 0, 0, 0]);
        }
        octets
    }

    /// A message as it came over UDP; it must have one question.
    pub fn read(octets: &[u8]) -> Result<Self> {
        let mut reader = Reader { octets, at: 0 };
        let [id, flags] = [reader.number()?, reader.number()?];
        let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
        let [questions, answers, authority, additional] = counts;
        ensure!(questions == 1, "{questions} questions");
        let mut message = Self::question(id, &reader.name()?, Kind(reader.number()?));
        message.flags = flags;
        let class = reader.number()?;
        ensure!(class == INTERNET, "class {class}");
        for _ in 0..answers {
            message.answers.extend(reader.record(&mut message.payload)?);
        }
        for _ in 0..authority {
            message.authority.extend(reader.record(&mut message.payload)?);
        }
        for _ in 0..additional {
            drop(reader.record(&mut message.payload)?);
        }
        Ok(message)
    }
}

/// A place in a message.
struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.saturating_add(count);
        let taken = self.octets.get(self.at..end).context("a message that is cut off")?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn number(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A name, which may go on elsewhere in the message.
    fn name(&mut self) -> Result<String> {
        let mut labels = Vec::new();
        let mut after = None;
        let mut pointers = 0;
        loop {
            let [length] = self.array()?;
            match length {
                0 => break,
                192.. => {
                    let [low] = self.array()?;
                    after.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([length & 63, low]));
                    pointers += 1;
                    ensure!(pointers <= POINTERS, "a name in a circle");
                }
                64.. => bail!("a label that begins with {length:#x}"),
                _ => labels.push(label_text(self.take(length.into())?)),
            }
        }
        self.at = after.unwrap_or(self.at);
        Ok(labels.join("."))
    }

    /// A record with its owner; nothing where it is what the sender is able to do.
    fn record(&mut self, payload: &mut Option<u16>) -> Result<Option<(String, Record)>> {
        let owner = self.name()?;
        let (kind, class) = (Kind(self.number()?), self.number()?);
        let ttl = u32::from_be_bytes(self.array()?);
        let length = usize::from(self.number()?);
        let start = self.at;
        let octets = self.take(length)?;
        if kind == Kind::OPT {
            *payload = Some(class);
            return Ok(None);
        }
        let mut inside = Reader { octets: self.octets, at: start };
        let data = match kind {
            Kind::A => Data::A(<[u8; 4]>::try_from(octets)?.into()),
            Kind::AAAA => Data::Aaaa(<[u8; 16]>::try_from(octets)?.into()),
            Kind::CNAME => Data::Cname(inside.name()?),
            Kind::PTR => Data::Ptr(inside.name()?),
            Kind::MX => Data::Mx(inside.number()?, inside.name()?),
            Kind::TXT => Data::Txt(text(octets)?),
            kind => Data::Raw(kind, octets.to_vec()),
        };
        Ok(Some((owner, Record { ttl, data })))
    }
}

fn text(octets: &[u8]) -> Result<String> {
    let mut reader = Reader { octets, at: 0 };
    let mut text = Vec::new();
    while reader.at < octets.len() {
        let [length] = reader.array()?;
        text.extend(reader.take(length.into())?);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::dns_record::start_of_authority;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let long = "x".repeat(700);
        let owned = |record| ("Mail.example.ORG".to_owned(), record);
        let message = Message {
            flags: RESPONSE | RECURSION_DESIRED | NO_ERROR,
            answers: [
                Record::address(Ipv4Addr::new(192, 0, 2, 7)).with_ttl(5),
                Record::address(Ipv6Addr::LOCALHOST),
                Record::new(Data::Cname("other.example.org".to_owned())),
                Record::ptr("mail.example.org"),
                Record::mx(10, "mx.example.org"),
                Record::txt(long),
                Record::txt(""),
                Record::new(Data::Raw(Kind(99), vec![1, 2, 3])),
            ]
            .map(owned)
            .to_vec(),
            authority: vec![(String::new(), start_of_authority(60))],
            payload: Some(1232),
            ..Message::question(7, "Mail.example.ORG", Kind::ANY)
        };
        let octets = message.write();
        assert_eq!(Message::read(&octets).unwrap(), message);
        for end in 0..octets.len() {
            assert!(Message::read(&octets[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_name_may_go_on_elsewhere_but_not_for_ever() {
        let mut octets = Message::question(7, "a.example", Kind::PTR).write();
        octets[7] = 1;
        octets.extend(b"\xc0\x0c\0\x0c\0\x01\0\0\0\x05\0\x04\x01b\xc0\x0e");
        let message = Message::read(&octets).unwrap();
        let record = Record::ptr("b.example").with_ttl(5);
        assert_eq!(message.answers, [("a.example".to_owned(), record)]);
        let end = octets.len() - 1;
        octets[end] = u8::try_from(end - 1).unwrap();
        assert_eq!(Message::read(&octets).unwrap_err().to_string(), "a name in a circle");
    }
}
