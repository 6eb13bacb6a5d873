//! The PROXY protocol, version 1, which tells a next hop who the client is before its greeting.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The line, with its CRLF, for a connection from `client` to `local`.
pub fn proxy_header(client: SocketAddr, local: SocketAddr) -> String {
    let (source, destination) = (client.ip(), local.ip());
    if source.is_ipv4() && destination.is_ipv4() {
        return line("TCP4", source, destination, client, local);
    }
    line("TCP6", v6(source).into(), v6(destination).into(), client, local)
}

fn line(
    family: &str,
    source: IpAddr,
    destination: IpAddr,
    client: SocketAddr,
    local: SocketAddr,
) -> String {
    format!("PROXY {family} {source} {destination} {} {}\r\n", client.port(), local.port())
}

/// The protocol has no line for two families at once.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_both_ends() {
        for (client, local, expected) in [
            ("192.0.2.7:4711", "192.0.2.1:25", "PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\n"),
            ("[2001:db8::7]:1", "[2001:db8::1]:25", "PROXY TCP6 2001:db8::7 2001:db8::1 1 25\r\n"),
            ("192.0.2.7:1", "[2001:db8::1]:25", "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 1 25\r\n"),
        ] {
            assert_eq!(proxy_header(client.parse().unwrap(), local.parse().unwrap()), expected);
        }
    }
}
