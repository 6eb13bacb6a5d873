//! Postfix's XCLIENT command, which tells who the client is: written for a next hop, read from a host before this one.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::{CommandError, HelloName};

/// The attributes that a next hop lets us set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct XclientAttributes(Vec<String>);

impl<'a> FromIterator<&'a str> for XclientAttributes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        Self(words.into_iter().map(str::to_ascii_uppercase).collect())
    }
}

impl XclientAttributes {
    /// Whether the client's address can be passed on; without it the command is worth nothing here.
    pub fn has_address(&self) -> bool {
        self.has("ADDR")
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|offered| offered == name)
    }
}

/// The command for a client, without CRLF, with the attributes that were `offered`.
///
/// `None` when the address is not among them: a next hop that takes us for the client would relay for anybody.
pub fn xclient_command(
    offered: &XclientAttributes,
    client: SocketAddr,
    hello: &str,
    extended: bool,
) -> Option<String> {
    if !offered.has_address() {
        return None;
    }
    let address = match client.ip() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPV6:{v6}"),
    };
    let values = [
        // The client's name is for the next hop to look up or to leave alone; we have not asked.
        ("NAME", "[UNAVAILABLE]".to_owned()),
        ("ADDR", address),
        ("PORT", client.port().to_string()),
        ("PROTO", if extended { "ESMTP" } else { "SMTP" }.to_owned()),
        ("HELO", xtext(hello)),
    ];
    let mut command = "XCLIENT".to_owned();
    for (name, value) in values.iter().filter(|(name, _)| offered.has(name)) {
        let written = write!(command, " {name}={value}");
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    Some(command)
}

/// What a host before this one says of an attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named<T> {
    /// Nothing: it stays as it was.
    #[default]
    Omitted,
    /// That it does not know it.
    Unavailable,
    /// What it is.
    As(T),
}

/// What a host before this one says of the client; what it does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xclient {
    /// Its address, IPv4-mapped ones folded.
    pub address: Named<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// The name that it greeted with.
    pub hello: Option<HelloName>,
}

impl Xclient {
    /// The attributes that a client may set here, as EHLO says them.
    pub const OFFERED: &'static str = "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT";

    /// Reads the arguments of the command.
    pub fn parse(arguments: &str) -> Result<Self, CommandError> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        for argument in arguments.split(' ').filter(|argument| !argument.is_empty()) {
            let (name, value) = argument.split_once('=').ok_or(CommandError::Arguments)?;
            let name = name.to_ascii_uppercase();
            if seen.contains(&name) {
                return Err(CommandError::Arguments);
            }
            found.take(&name, value)?;
            seen.push(name);
        }
        if seen.is_empty() { Err(CommandError::Arguments) } else { Ok(found) }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), CommandError> {
        let value = from_xtext(value).ok_or(CommandError::Arguments)?;
        let is_said =
            !["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|word| value.eq_ignore_ascii_case(word));
        match name {
            "ADDR" if is_said => self.address = Named::As(address(&value)?),
            "ADDR" => self.address = Named::Unavailable,
            "PORT" if is_said => {
                self.port = Some(value.parse().map_err(|_no_port| CommandError::Arguments)?);
            }
            "HELO" if is_said => self.hello = Some(value.parse()?),
            // The name is for us to look up, and the rest changes nothing here.
            "PORT" | "HELO" | "NAME" | "PROTO" | "DESTADDR" | "DESTPORT" => {}
            _ => return Err(CommandError::Arguments),
        }
        Ok(())
    }
}

fn address(text: &str) -> Result<IpAddr, CommandError> {
    let is_v6 = text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("IPV6:"));
    let text = if is_v6 { text.get(5..).unwrap_or_default() } else { text };
    let address: IpAddr = text.parse().map_err(|_no_address| CommandError::Arguments)?;
    Ok(address.to_canonical())
}

/// RFC 3461 section 4, read; `None` for what is none, or hides a control character.
fn from_xtext(coded: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(coded.len());
    let mut rest = coded.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'+' {
            let digits = [rest.next()?, rest.next()?];
            octets.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            octets.push(octet);
        }
    }
    let text = String::from_utf8(octets).ok()?;
    (!text.contains(char::is_control)).then_some(text)
}

/// RFC 3461 section 4.
fn xtext(text: &str) -> String {
    let mut coded = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_graphic() && octet != b'+' && octet != b'=' {
            coded.push(char::from(octet));
        } else {
            let written = write!(coded, "+{octet:02X}");
            debug_assert!(written.is_ok(), "writing to a string cannot fail");
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_before_us_says_is_read() {
        for (said, address, port, hello) in [
            ("ADDR=192.0.2.7", Some("192.0.2.7"), None, None),
            ("addr=IPV6:2001:db8::7 PORT=25", Some("2001:db8::7"), Some(25), None),
            ("PORT=25", None, Some(25), None),
            ("ADDR=ipv6:::ffff:192.0.2.7", Some("192.0.2.7"), None, None),
            (
                "NAME=[UNAVAILABLE] ADDR=192.0.2.7  PORT=[TEMPUNAVAIL] PROTO=ESMTP HELO=a+2Bb",
                Some("192.0.2.7"),
                None,
                Some("a+b"),
            ),
        ] {
            let found = Xclient::parse(said).unwrap();
            let address = address.map(|text| Named::As(text.parse().unwrap()));
            assert_eq!(found.address, address.unwrap_or_default(), "{said}");
            assert_eq!(found.port, port, "{said}");
            assert_eq!(found.hello.as_ref().map(HelloName::as_str), hello, "{said}");
        }
        let unknown = Xclient::parse("ADDR=[unavailable] PORT=[UNAVAILABLE]").unwrap();
        assert_eq!(unknown, Xclient { address: Named::Unavailable, ..Xclient::default() });
        for said in [
            "",
            "ADDR",
            "ADDR=",
            "ADDR=x",
            "ADDR=192.0.2.7 addr=192.0.2.8",
            "PORT=70000",
            "LOGIN=root",
            "HELO=a+0Db",
            "HELO=a+2",
            "HELO=+FF",
            "HELO=a+20b",
            "X=1",
        ] {
            assert_eq!(Xclient::parse(said), Err(CommandError::Arguments), "{said}");
        }
    }

    #[test]
    fn says_what_was_offered_and_no_more() {
        for (offered, client, hello, expected) in [
            (
                "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",
                "192.0.2.7:4711",
                "mx.example",
                Some(
                    "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP HELO=mx.example",
                ),
            ),
            ("addr", "[2001:db8::7]:25", "x", Some("XCLIENT ADDR=IPV6:2001:db8::7")),
            (
                "ADDR HELO",
                "192.0.2.7:1",
                "a+b=c\u{fc}",
                Some("XCLIENT ADDR=192.0.2.7 HELO=a+2Bb+3Dc+C3+BC"),
            ),
            ("NAME HELO", "192.0.2.7:1", "x", None),
            ("", "192.0.2.7:1", "x", None),
        ] {
            let offered = offered.split_whitespace().collect();
            let command = xclient_command(&offered, client.parse().unwrap(), hello, true);
            assert_eq!(command.as_deref(), expected);
        }
    }
}
