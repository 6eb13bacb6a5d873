//! DNS records, and the names that own them (RFC 1035, section 3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What every record here belongs to: the Internet.
pub(crate) const INTERNET: u16 = 1;

/// A type of records (RFC 1035, section 3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

impl Kind {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// The true name of an alias.
    pub const CNAME: Self = Self(5);
    /// Who is in charge of a zone, and how long "there is nothing" holds.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// A mail server.
    pub const MX: Self = Self(15);
    /// A text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address (RFC 3596).
    pub const AAAA: Self = Self(28);
    /// No record: what the sender of a message is able to do (RFC 6891).
    pub const OPT: Self = Self(41);
    /// In a question: every type.
    pub const ANY: Self = Self(255);
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The true name.
    Cname(String),
    /// A name of the address that is asked for.
    Ptr(String),
    /// A mail server, the lowest preference first.
    Mx(u16, String),
    /// A text, whatever its length; what is not UTF-8 is replaced when it is read.
    Txt(String),
    /// Any type, octet by octet; it need not be right.
    Raw(Kind, Vec<u8>),
}

/// A record without its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

impl Record {
    /// How long a record may be kept where nothing else is said, in seconds.
    pub const TTL: u32 = 300;

    /// A record that may be kept for five minutes.
    pub fn new(data: Data) -> Self {
        Self { ttl: Self::TTL, data }
    }

    /// An address of either family.
    pub fn address(address: impl Into<IpAddr>) -> Self {
        Self::new(match address.into() {
            IpAddr::V4(v4) => Data::A(v4),
            IpAddr::V6(v6) => Data::Aaaa(v6),
        })
    }

    /// A text.
    pub fn txt(text: impl Into<String>) -> Self {
        Self::new(Data::Txt(text.into()))
    }

    /// The name of an address.
    pub fn ptr(name: impl Into<String>) -> Self {
        Self::new(Data::Ptr(name.into()))
    }

    /// A mail server.
    pub fn mx(preference: u16, name: impl Into<String>) -> Self {
        Self::new(Data::Mx(preference, name.into()))
    }

    /// The same, to be kept for `seconds`.
    #[must_use]
    pub fn with_ttl(self, seconds: u32) -> Self {
        Self { ttl: seconds, ..self }
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self.data {
            Data::A(_) => Kind::A,
            Data::Aaaa(_) => Kind::AAAA,
            Data::Cname(_) => Kind::CNAME,
            Data::Ptr(_) => Kind::PTR,
            Data::Mx(..) => Kind::MX,
            Data::Txt(_) => Kind::TXT,
            Data::Raw(kind, _) => kind,
        }
    }

    pub(crate) fn write(&self, owner: &str, to: &mut Vec<u8>) {
        let data = match &self.data {
            Data::A(address) => address.octets().to_vec(),
            Data::Aaaa(address) => address.octets().to_vec(),
            Data::Cname(name) | Data::Ptr(name) => name_octets(name),
            Data::Mx(preference, name) => [&preference.to_be_bytes(), &*name_octets(name)].concat(),
            Data::Txt(text) => text_octets(text),
            Data::Raw(_, octets) => octets.clone(),
        };
        to.extend(name_octets(owner));
        push(to, &[self.kind().0, INTERNET]);
        to.extend(self.ttl.to_be_bytes());
        push(to, &[u16::try_from(data.len()).unwrap_or(u16::MAX)]);
        to.extend(data);
    }
}

/// A record that says for how many seconds the absence of something may be kept (RFC 2308, section 4).
pub fn start_of_authority(seconds: u32) -> Record {
    let mut data = [name_octets("ns.invalid"), name_octets("hostmaster.invalid")].concat();
    for number in [1, 3600, 600, 86400, seconds] {
        data.extend(u32::to_be_bytes(number));
    }
    Record { ttl: seconds, data: Data::Raw(Kind::SOA, data) }
}

/// The name of `address` in `zone`: a list (RFC 5782, sections 2.1 and 2.4), `in-addr.arpa` or `ip6.arpa`.
pub fn name_in(zone: &str, address: IpAddr) -> String {
    let mut labels: Vec<String> = match address {
        IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
        IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()).chars().map(String::from).collect(),
    };
    labels.reverse();
    labels.push(zone.to_owned());
    labels.join(".")
}

/// Labels with their lengths; one that is too long is cut off. `\DDD` is the octet of that decimal number.
pub(crate) fn name_octets(name: &str) -> Vec<u8> {
    let mut labels = vec![Vec::new()];
    let mut rest = name.bytes();
    while let Some(octet) = rest.next() {
        let octet = match octet {
            b'.' => {
                labels.push(Vec::new());
                continue;
            }
            b'\\' => {
                let digit = |sum: u16, digit: u8| sum * 10 + u16::from(digit.wrapping_sub(b'0'));
                let code = rest.by_ref().take(3).fold(0, digit);
                u8::try_from(code).unwrap_or(b'?')
            }
            octet => octet,
        };
        if let Some(label) = labels.last_mut() {
            label.push(octet);
        }
    }
    let mut octets = Vec::new();
    for mut label in labels.into_iter().filter(|label| !label.is_empty()) {
        label.truncate(63);
        octets.extend(u8::try_from(label.len()));
        octets.extend(label);
    }
    octets.push(0);
    octets
}

/// A label as it stands in a name; what is not printed, and a dot, as `\DDD` (RFC 1035, section 5.1).
pub(crate) fn label_text(label: &[u8]) -> String {
    let text = |&octet: &u8| match octet {
        b'.' | b'\\' => format!("\\{octet:03}"),
        b'!'..=b'~' => char::from(octet).to_string(),
        _ => format!("\\{octet:03}"),
    };
    label.iter().map(text).collect()
}

/// Strings of at most 255 octets with their lengths; there is always one.
fn text_octets(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for part in text.as_bytes().chunks(255) {
        octets.extend(u8::try_from(part.len()));
        octets.extend(part);
    }
    if octets.is_empty() { vec![0] } else { octets }
}

pub(crate) fn push(to: &mut Vec<u8>, numbers: &[u16]) {
    to.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_asked_for_backwards() {
        for (zone, address, name) in [
            ("bl.example.org", "127.0.0.2", "2.0.0.127.bl.example.org"),
            (
                "v6",
                "::ffff:7f00:2",
                "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.v6",
            ),
        ] {
            assert_eq!(name_in(zone, address.parse().unwrap()), name);
        }
    }

    #[test]
    fn a_name_is_labels_with_their_lengths() {
        let long = "x".repeat(64);
        for (name, octets) in [
            ("", b"\0".as_slice()),
            (".", b"\0"),
            ("a.bc.", b"\x01a\x02bc\0"),
            ("a\\046b\\000.c", b"\x04a.b\0\x01c\0"),
            (&long, format!("?{}\0", "x".repeat(63)).as_bytes()),
        ] {
            assert_eq!(name_octets(name), octets, "{name}");
        }
        assert_eq!(label_text(b"a.\xffb\\"), "a\\046\\255b\\092");
    }
}
