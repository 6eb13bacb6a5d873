//! What a gateway says about its client to the server behind it: XCLIENT commands and PROXY protocol headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail, ensure};

/// The client that a gateway speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// Its host name (`NAME`).
    pub name: Option<String>,
    /// What it said in HELO or EHLO (`HELO`).
    pub helo: Option<String>,
    /// `SMTP` or `ESMTP` (`PROTO`).
    pub protocol: Option<String>,
    /// The address that it connected to (`DESTADDR`).
    pub destination: Option<IpAddr>,
    /// The port that it connected to (`DESTPORT`).
    pub destination_port: Option<u16>,
}

impl HandedOver {
    /// Takes over the attributes of one `XCLIENT` command; what follows the verb is `arguments`.
    pub fn xclient(&mut self, arguments: &str) -> Result<()> {
        for attribute in arguments.split_ascii_whitespace() {
            let (name, value) = attribute
                .split_once('=')
                .with_context(|| format!("`{attribute}`, expected NAME=VALUE"))?;
            let value = known(&decoded(value)?);
            match name.to_ascii_uppercase().as_str() {
                "ADDR" => self.address = value.map(|value| address(&value)).transpose()?,
                "PORT" => self.port = value.map(|value| value.parse()).transpose()?,
                "NAME" => self.name = value,
                "HELO" => self.helo = value,
                "PROTO" => self.protocol = value,
                "DESTADDR" => self.destination = value.map(|value| address(&value)).transpose()?,
                "DESTPORT" => {
                    self.destination_port = value.map(|value| value.parse()).transpose()?;
                }
                "LOGIN" => {}
                _ => bail!("`{name}` is no attribute of XCLIENT"),
            }
        }
        Ok(())
    }

    /// Reads a PROXY header at the start of `bytes` and says how long it is; `None` while it is not all there.
    pub fn proxy(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
        let seen = bytes.len().min(SIGNATURE.len());
        if bytes.get(..seen) == SIGNATURE.get(..seen) {
            return proxy_v2(bytes.get(SIGNATURE.len()..).unwrap_or_default())
                .map(|found| found.map(|(client, length)| (client, SIGNATURE.len() + length)));
        }
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
            ensure!(bytes.len() < 107, "no end of line in the PROXY header");
            return Ok(None);
        };
        let line = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
        Ok(Some((proxy_v1(&line)?, end + 2)))
    }
}

/// XCLIENT writes `[UNAVAILABLE]` and `[TEMPUNAVAIL]` for what it does not know.
fn known(value: &str) -> Option<String> {
    (!value.starts_with('[')).then(|| value.to_owned())
}

/// An address as XCLIENT writes it, IPv6 with a prefix.
fn address(text: &str) -> Result<IpAddr> {
    let bare = match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPV6:") => text.get(5..).unwrap_or_default(),
        _ => text,
    };
    let address = bare.parse::<IpAddr>();
    let address = address.with_context(|| format!("`{text}` is no address of XCLIENT"))?;
    ensure!(
        address.is_ipv6() == (bare.len() < text.len()),
        "`{text}`, expected IPV6: before an IPv6 address alone"
    );
    Ok(address)
}

/// Undoes the encoding `+XX` of RFC 3461 section 4.
fn decoded(text: &str) -> Result<String> {
    let mut parts = text.split('+');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) =
            part.split_at_checked(2).with_context(|| format!("`{text}` is no xtext"))?;
        bytes.push(u8::from_str_radix(digits, 16).with_context(|| format!("`{text}`"))?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 4711 25`
fn proxy_v1(line: &str) -> Result<HandedOver> {
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["PROXY", "TCP4" | "TCP6", from, to, from_port, to_port] => Ok(HandedOver {
            address: Some(from.parse()?),
            port: Some(from_port.parse()?),
            destination: Some(to.parse()?),
            destination_port: Some(to_port.parse()?),
            ..HandedOver::default()
        }),
        ["PROXY", "UNKNOWN", ..] => Ok(HandedOver::default()),
        _ => bail!("`{line}` is no PROXY header"),
    }
}

/// What follows the signature: version and command, family, length, addresses.
fn proxy_v2(bytes: &[u8]) -> Result<Option<(HandedOver, usize)>> {
    let &[command, family, high, low, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let client = match (command, family) {
        (0x20, _) => HandedOver::default(),
        (0x21, 0x11) => {
            let (from, to, ports) = v2_addresses::<4>(body)?;
            v2_client(Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into(), ports)
        }
        (0x21, 0x21) => {
            let (from, to, ports) = v2_addresses::<16>(body)?;
            v2_client(Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into(), ports)
        }
        _ => bail!("PROXY v2 command {command:#x} for family {family:#x}, expected TCP"),
    };
    Ok(Some((client, 4 + length)))
}

fn v2_client(from: IpAddr, to: IpAddr, ports: [u16; 2]) -> HandedOver {
    let [from_port, to_port] = ports;
    HandedOver {
        address: Some(from),
        port: Some(from_port),
        destination: Some(to),
        destination_port: Some(to_port),
        ..HandedOver::default()
    }
}

/// Two addresses of `N` bytes, then two ports.
fn v2_addresses<const N: usize>(body: &[u8]) -> Result<([u8; N], [u8; N], [u16; 2])> {
    let parts = body
        .split_first_chunk::<N>()
        .and_then(|(from, rest)| Some((from, rest.split_first_chunk::<N>()?)))
        .and_then(|(from, (to, rest))| Some((from, to, rest.first_chunk::<4>()?)));
    let (from, to, &[a, b, c, d]) = parts.context("a PROXY v2 header shorter than its family")?;
    Ok((*from, *to, [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str, port: u16) -> HandedOver {
        HandedOver {
            address: Some(address.parse().unwrap()),
            port: Some(port),
            ..HandedOver::default()
        }
    }

    #[test]
    fn reads_xclient() {
        for (arguments, expected) in [
            ("ADDR=192.0.2.7 PORT=4711", client("192.0.2.7", 4711)),
            ("addr=IPV6:2001:db8::7 port=1", client("2001:db8::7", 1)),
            (
                "ADDR=192.0.2.7 NAME=[UNAVAILABLE] PORT=25 HELO=a+2Bb+3Dc",
                HandedOver { helo: Some("a+b=c".to_owned()), ..client("192.0.2.7", 25) },
            ),
        ] {
            let mut found = HandedOver::default();
            found.xclient(arguments).unwrap();
            assert_eq!(found, expected, "{arguments}");
        }
        for wrong in ["ADDR", "ADDR=2001:db8::7", "ADDR=IPV6:192.0.2.7", "COLOUR=red", "HELO=a+2"] {
            assert!(HandedOver::default().xclient(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_proxy_headers() {
        let v1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nEHLO".as_slice();
        let v2 =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x12\x67\0\x19EHLO"
                .as_slice();
        for header in [v1, v2] {
            let (found, length) = HandedOver::proxy(header).unwrap().unwrap();
            assert_eq!(&header[length..], b"EHLO");
            let expected = HandedOver {
                destination: Some("198.51.100.1".parse().unwrap()),
                destination_port: Some(25),
                ..client("192.0.2.7", 4711)
            };
            assert_eq!(found, expected);
            for end in 0..length {
                assert!(HandedOver::proxy(&header[..end]).unwrap().is_none(), "{end}");
            }
        }
        assert!(HandedOver::proxy(b"EHLO mail.example.org\r\n").is_err());
    }
}
