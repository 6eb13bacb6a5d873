//! Postfix's XCLIENT command, which tells a next hop who the client is.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

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
