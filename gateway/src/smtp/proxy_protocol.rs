//! The PROXY protocol, versions 1 and 2, which tells who the client is before the greeting.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ppp::v2::{self, Builder, Command, Protocol, Version};
use ppp::{HeaderResult, PartialResult, v1};

/// Octets of a header that are read at most: version 2 may carry a certificate's name and the like.
pub const MAX_PROXY_HEADER: usize = 4096;
/// Octets of the line of version 1 at most.
const MAX_V1: usize = 107;
/// The first octets of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Who a PROXY header says is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// A client, and the address that it connected to.
    Client {
        /// The client.
        client: SocketAddr,
        /// The end that it sees.
        local: SocketAddr,
    },
    /// The proxy itself: it looks whether this host is well.
    Itself,
}

/// Reads a header at the front of `octets`; `None` when more of it has to come, else who is there with the header's length.
pub fn read_proxy_header(octets: &[u8]) -> Result<Option<(Proxied, usize)>, ProxyFault> {
    if !SIGNATURE.starts_with(octets) && !octets.starts_with(SIGNATURE) && !begins_v1(octets) {
        return Err(ProxyFault::Missing);
    }
    if octets.starts_with(b"P") {
        return read_v1(octets);
    }
    if octets.len() < SIGNATURE.len() {
        return Ok(None);
    }
    let found = HeaderResult::parse(octets);
    if found.is_incomplete() {
        return if octets.len() < MAX_PROXY_HEADER { Ok(None) } else { Err(ProxyFault::Malformed) };
    }
    match found {
        HeaderResult::V2(Ok(header)) if header.len() <= MAX_PROXY_HEADER => {
            Ok(Some((of_v2(&header)?, header.len())))
        }
        HeaderResult::V1(_) | HeaderResult::V2(_) => Err(ProxyFault::Malformed),
    }
}

/// A header of version 1 is one line. Where it ends is said here, since the library takes other ends for one, too.
fn read_v1(octets: &[u8]) -> Result<Option<(Proxied, usize)>, ProxyFault> {
    let end = octets.windows(2).take(MAX_V1 - 1).position(|two| two == b"\r\n");
    let Some(end) = end else {
        return if octets.len() < MAX_V1 { Ok(None) } else { Err(ProxyFault::Malformed) };
    };
    let (line, length) = (octets.get(..end).unwrap_or_default(), end + 2);
    if line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return Err(ProxyFault::Malformed);
    }
    let header = octets.get(..length).unwrap_or_default();
    let header = v1::Header::try_from(header).map_err(|_fault| ProxyFault::Malformed)?;
    Ok(Some((of_v1(&header), length)))
}

/// Whether `octets` are the start of a header, from whomever.
pub fn is_proxy_header(octets: &[u8]) -> bool {
    octets.starts_with(b"PROXY ") || octets.starts_with(SIGNATURE)
}

fn begins_v1(octets: &[u8]) -> bool {
    let word = b"PROXY ";
    octets.starts_with(word) || word.starts_with(octets)
}

fn of_v1(header: &v1::Header<'_>) -> Proxied {
    let client = |source: IpAddr, source_port, destination: IpAddr, destination_port| {
        proxied(
            SocketAddr::new(source, source_port),
            SocketAddr::new(destination, destination_port),
        )
    };
    match header.addresses {
        v1::Addresses::Tcp4(it) => client(
            it.source_address.into(),
            it.source_port,
            it.destination_address.into(),
            it.destination_port,
        ),
        v1::Addresses::Tcp6(it) => client(
            it.source_address.into(),
            it.source_port,
            it.destination_address.into(),
            it.destination_port,
        ),
        v1::Addresses::Unknown => Proxied::Itself,
    }
}

fn of_v2(header: &v2::Header<'_>) -> Result<Proxied, ProxyFault> {
    if header.command == Command::Local {
        return Ok(Proxied::Itself);
    }
    match header.addresses {
        v2::Addresses::IPv4(it) if header.protocol == Protocol::Stream => Ok(proxied(
            SocketAddr::new(it.source_address.into(), it.source_port),
            SocketAddr::new(it.destination_address.into(), it.destination_port),
        )),
        v2::Addresses::IPv6(it) if header.protocol == Protocol::Stream => Ok(proxied(
            SocketAddr::new(it.source_address.into(), it.source_port),
            SocketAddr::new(it.destination_address.into(), it.destination_port),
        )),
        _ => Err(ProxyFault::NoAddress),
    }
}

fn proxied(mut client: SocketAddr, mut local: SocketAddr) -> Proxied {
    client.set_ip(client.ip().to_canonical());
    local.set_ip(local.ip().to_canonical());
    Proxied::Client { client, local }
}

/// Why there is no header where one has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// It is something else, or nothing.
    #[error("no PROXY header, expected one before anything else")]
    Missing,
    /// It begins like one.
    #[error("malformed PROXY header")]
    Malformed,
    /// It names no TCP client.
    #[error("PROXY header without the address of a TCP client")]
    NoAddress,
}

/// The line of version 1, with its CRLF, for a connection from `client` to `local`.
pub fn proxy_header(client: SocketAddr, local: SocketAddr) -> String {
    let family = if is_v4(client, local) { "TCP4" } else { "TCP6" };
    let (client, local) = one_family(client, local);
    let (source, destination) = (client.ip(), local.ip());
    format!("PROXY {family} {source} {destination} {} {}\r\n", client.port(), local.port())
}

/// The octets of version 2 for the same.
pub fn proxy_header_v2(client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let ends = one_family(client, local);
    let command = Version::Two | Command::Proxy;
    let built = Builder::with_addresses(command, Protocol::Stream, ends).build();
    debug_assert!(built.is_ok(), "two addresses fit into a header");
    built.unwrap_or_default()
}

fn is_v4(client: SocketAddr, local: SocketAddr) -> bool {
    client.is_ipv4() && local.is_ipv4()
}

/// The protocol has no header for two families at once.
fn one_family(client: SocketAddr, local: SocketAddr) -> (SocketAddr, SocketAddr) {
    if is_v4(client, local) {
        return (client, local);
    }
    let widened = |end: SocketAddr| SocketAddr::new(v6(end.ip()).into(), end.port());
    (widened(client), widened(local))
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENDS: [(&str, &str, &str); 3] = [
        ("192.0.2.7:4711", "192.0.2.1:25", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"),
        ("[2001:db8::7]:1", "[2001:db8::1]:25", "PROXY TCP6 2001:db8::7 2001:db8::1 1 25\r\n"),
        ("192.0.2.7:1", "[2001:db8::1]:25", "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 25\r\n"),
    ];

    #[test]
    fn names_both_ends() {
        for (client, local, expected) in ENDS {
            assert_eq!(proxy_header(client.parse().unwrap(), local.parse().unwrap()), expected);
        }
    }

    #[test]
    fn what_is_written_is_read_however_it_arrives() {
        for (client, local, _line) in ENDS {
            let (client, local) = (client.parse().unwrap(), local.parse().unwrap());
            for header in [proxy_header(client, local).into_bytes(), proxy_header_v2(client, local)]
            {
                for length in 0..header.len() {
                    assert_eq!(read_proxy_header(&header[..length]), Ok(None), "{length}");
                }
                let whole = [header.as_slice(), b"EHLO x\r\n"].concat();
                let expected = (Proxied::Client { client, local }, header.len());
                assert_eq!(read_proxy_header(&whole), Ok(Some(expected)));
                assert!(is_proxy_header(&whole));
            }
        }
    }

    #[test]
    fn each_other_header_has_its_answer() {
        let v2 = |command: u8, family: u8, addresses: &[u8]| {
            let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
            [&SIGNATURE[..], &[0x20 | command, family], &length, addresses].concat()
        };
        let itself = |length| Ok(Some((Proxied::Itself, length)));
        for (name, octets, expected) in [
            ("nothing", Vec::new(), Ok(None)),
            ("unknown", b"PROXY UNKNOWN\r\n".to_vec(), itself(15)),
            ("local", v2(0, 0x11, &[0; 12]), itself(28)),
            ("local without", v2(0, 0, &[]), itself(16)),
            ("hello", b"EHLO x\r\n".to_vec(), Err(ProxyFault::Missing)),
            ("no address", b"PROXY TCP4 x y 1 2\r\n".to_vec(), Err(ProxyFault::Malformed)),
            ("another end", b"PROXY UNKNOWN \n\r\r1\r\n".to_vec(), Err(ProxyFault::Malformed)),
            ("a NUL", b"PROXY UNKNOWN \0\r\n".to_vec(), Err(ProxyFault::Malformed)),
            ("long", [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(), Err(ProxyFault::Malformed)),
            ("datagram", v2(1, 0x12, &[0; 12]), Err(ProxyFault::NoAddress)),
            ("unix", v2(1, 0x31, &[0; 216]), Err(ProxyFault::NoAddress)),
            ("huge", v2(1, 0x11, &vec![0; 60_000]), Err(ProxyFault::Malformed)),
        ] {
            assert_eq!(read_proxy_header(&octets), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_or_read_beyond(octets in prop::collection::vec(any::<u8>(), 0..80)) {
            for start in [&b""[..], b"PROXY ", SIGNATURE] {
                let octets = [start, octets.as_slice()].concat();
                if let Ok(Some((_, length))) = read_proxy_header(&octets) {
                    prop_assert!(length <= octets.len());
                }
            }
        }
    }
}
