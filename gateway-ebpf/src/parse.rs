//! Finds out whether there is anything to decide about a packet, before any map is asked.
//!
//! There is when it is an attempt to connect to a filtered port, or a segment small enough to belong to a refusal. Lengths
//! come from the IP headers, never from the end of the frame: network cards pad short frames.

use crate::abi::Outcome;
use crate::dialogue::WINDOW;
use crate::frame::Frame;
use crate::tcp::{self, ACK, FIN, RST, SYN};

/// How many VLAN tags are looked through (802.1Q and 802.1ad).
pub const MAX_VLAN_TAGS: usize = 2;

/// How many IPv6 extension headers are looked through.
pub const MAX_EXTENSIONS: usize = 6;

/// The length of a TCP header without options.
pub const TCP_LENGTH: usize = 20;

pub(crate) const ETHERTYPE_AT: usize = 12;
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_PROVIDER_VLAN: u16 = 0x88a8;

const HOP_BY_HOP: u32 = 0;
const ROUTING: u32 = 43;
const FRAGMENT: u32 = 44;
const AUTHENTICATION: u32 = 51;
const DESTINATION_OPTIONS: u32 = 60;

const ACK_FIN: u32 = ACK | FIN;

/// A segment, with all that a decision and an answer need.
///
/// The program keeps it in a map while it answers, so its layout is fixed and its numbers are no wider than they must be:
/// what comes back from there can be anything to the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Where the IP header begins: after the Ethernet header and the VLAN tags.
    pub ip_at: u8,
    /// Source and destination.
    pub addresses: Addresses,
    /// The port of the client.
    pub client_port: u16,
    /// The filtered port.
    pub port: u16,
    /// The sequence number.
    pub sequence: u32,
    /// What it wants.
    pub intent: Intent,
    /// Where its data begins.
    pub data_at: usize,
    /// How many bytes of data it carries; a SYN does with TCP Fast Open.
    pub data: u32,
}

/// What a segment wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Intent {
    /// To open a connection.
    Connect,
    /// To go on with one, if there is one.
    Continue {
        /// The next octet that the client expects from us.
        acknowledged: u32,
        /// Whether the client ends its side.
        ends: bool,
    },
}

/// Source and destination address, as numbers in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum Addresses {
    /// IPv4.
    V4 {
        /// The client.
        source: u32,
        /// This host, or another behind it.
        destination: u32,
    },
    /// IPv6, most significant part first.
    V6 {
        /// The client.
        source: [u32; 4],
        /// This host, or another behind it.
        destination: [u32; 4],
    },
}

/// Reads a frame; an error is the outcome of a packet that passes because there is nothing to decide, or nothing readable.
#[inline(always)]
pub fn parse(
    frame: &(impl Frame + ?Sized),
    is_filtered: impl FnOnce(u16) -> bool,
) -> Result<Segment, Outcome> {
    let (ethertype, ip_at) = link(frame)?;
    let (addresses, tcp) = match ethertype {
        ETHERTYPE_IPV4 => ipv4(frame, ip_at)?,
        ETHERTYPE_IPV6 => ipv6(frame, ip_at)?,
        ETHERTYPE_VLAN | ETHERTYPE_PROVIDER_VLAN => return Err(Outcome::TooManyVlanTags),
        _ => return Err(Outcome::NotIp),
    };
    let [port_pair, sequence, acknowledged, flags, _] =
        frame.words(tcp.at).ok_or(Outcome::TruncatedTcp)?;
    let port = low(port_pair);
    if !is_filtered(port) {
        return Err(Outcome::OtherPort);
    }
    let header = 4 * (flags >> 28) as usize;
    let Some(data) = tcp.length.checked_sub(header).filter(|_| header >= TCP_LENGTH) else {
        return Err(Outcome::BadTcp);
    };
    // A listening socket opens a connection for a SYN alone. Linux discards SYN with FIN and SYN with RST, so they are
    // no attempts; ECE, CWR, PSH and URG do not matter to it.
    let intent = match (flags >> 16) & (SYN | ACK | RST | FIN) {
        SYN => Intent::Connect,
        // A refused client was given a window, so what carries more is no part of a refusal.
        _ if data as u32 > WINDOW => return Err(Outcome::NotSyn),
        ACK => Intent::Continue { acknowledged, ends: false },
        ACK_FIN => Intent::Continue { acknowledged, ends: true },
        _ => return Err(Outcome::NotSyn),
    };
    if frame.length() < tcp.at + tcp.length {
        return Err(Outcome::TruncatedPayload);
    }
    Ok(Segment {
        ip_at: ip_at as u8,
        addresses,
        client_port: high(port_pair),
        port,
        sequence,
        intent,
        data_at: tcp.at + header,
        data: data as u32,
    })
}

/// Where the TCP header begins, and how many bytes of the packet are left from there on.
struct Rest {
    at: usize,
    length: usize,
}

/// Looks through Ethernet and the VLAN tags: the type of what is inside, and where that begins.
#[inline(always)]
fn link(frame: &(impl Frame + ?Sized)) -> Result<(u16, usize), Outcome> {
    let mut at = ETHERTYPE_AT;
    let mut ethertype = frame.short(at).ok_or(Outcome::TruncatedEthernet)?;
    for _ in 0..MAX_VLAN_TAGS {
        if ethertype != ETHERTYPE_VLAN && ethertype != ETHERTYPE_PROVIDER_VLAN {
            break;
        }
        at += 4;
        ethertype = frame.short(at).ok_or(Outcome::TruncatedVlan)?;
    }
    Ok((ethertype, at + 2))
}

#[inline(always)]
fn ipv4(frame: &(impl Frame + ?Sized), at: usize) -> Result<(Addresses, Rest), Outcome> {
    let [start, fragment, protocol, source, destination] =
        frame.words(at).ok_or(Outcome::TruncatedIpv4)?;
    let header = 4 * (start >> 24 & 0xf) as usize;
    let total = usize::from(low(start));
    if start >> 28 != 4 || header < 20 || total < header {
        return Err(Outcome::BadIpv4);
    }
    if protocol >> 16 & 0xff != tcp::PROTOCOL {
        return Err(Outcome::NotTcp);
    }
    if fragment & 0x1fff != 0 {
        return Err(Outcome::LaterFragment);
    }
    let rest = Rest { at: at + header, length: total - header };
    if rest.length < TCP_LENGTH {
        return Err(Outcome::TruncatedTcp);
    }
    Ok((Addresses::V4 { source, destination }, rest))
}

#[inline(always)]
fn ipv6(frame: &(impl Frame + ?Sized), at: usize) -> Result<(Addresses, Rest), Outcome> {
    let [start, lengths, s0, s1, s2, s3, d0, d1, d2, d3] =
        frame.words(at).ok_or(Outcome::TruncatedIpv6)?;
    let payload = usize::from(high(lengths));
    // A jumbogram (RFC 2675) has payload length 0; nobody sends mail in one.
    if start >> 28 != 6 || payload == 0 {
        return Err(Outcome::BadIpv6);
    }
    let rest = Rest { at: at + 40, length: payload };
    let rest = extensions(frame, lengths >> 8 & 0xff, rest)?;
    if rest.length < TCP_LENGTH {
        return Err(Outcome::TruncatedTcp);
    }
    Ok((Addresses::V6 { source: [s0, s1, s2, s3], destination: [d0, d1, d2, d3] }, rest))
}

/// Looks through the extension headers (RFC 8200 section 4) to the TCP header.
#[inline(always)]
fn extensions(
    frame: &(impl Frame + ?Sized),
    mut next: u32,
    mut rest: Rest,
) -> Result<Rest, Outcome> {
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(next) {
            break;
        }
        let [start] = frame.words(rest.at).ok_or(Outcome::TruncatedExtension)?;
        let units = (start >> 16 & 0xff) as usize;
        let length = match next {
            FRAGMENT if start & 0xfff8 != 0 => return Err(Outcome::LaterFragment),
            // With segments left, this host is a stop on the way, and the destination that counts is inside.
            ROUTING if start & 0xff != 0 => return Err(Outcome::NotOwn),
            FRAGMENT => 8,
            AUTHENTICATION => 4 * (units + 2),
            _ => 8 * (units + 1),
        };
        let Some(left) = rest.length.checked_sub(length) else {
            return Err(Outcome::TruncatedExtension);
        };
        next = start >> 24;
        rest = Rest { at: rest.at + length, length: left };
    }
    match next {
        tcp::PROTOCOL => Ok(rest),
        _ if is_extension(next) => Err(Outcome::TooManyExtensions),
        _ => Err(Outcome::NotTcp),
    }
}

#[inline(always)]
pub(crate) const fn is_extension(header: u32) -> bool {
    matches!(header, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

#[inline(always)]
const fn high(word: u32) -> u16 {
    (word >> 16) as u16
}

#[inline(always)]
const fn low(word: u32) -> u16 {
    word as u16
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::{IpAddr, Ipv6Addr, SocketAddr};

    use harness::packet::Packet;
    use proptest::prelude::*;

    use super::*;

    const PORT: u16 = 25;

    fn is_filtered(port: u16) -> bool {
        port == PORT
    }

    /// A connection attempt in any dress, and what is to be read from it.
    pub(crate) fn attempts() -> impl Strategy<Value = (Packet, Segment)> {
        let hosts = prop_oneof![
            any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
            any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        ];
        let extensions = prop::collection::vec(0_u8..5, 0..=MAX_EXTENSIONS);
        let lengths = (0_usize..=2, 0_usize..=10, 0_usize..=10, 0_usize..=40);
        (hosts, any::<(u16, u32)>(), lengths, extensions, 0_usize..20).prop_map(
            |((source, destination), (client_port, sequence), lengths, extensions, padding)| {
                let (tags, ip_options, tcp_options, data) = lengths;
                let mut packet = Packet::syn(
                    SocketAddr::new(source, client_port),
                    SocketAddr::new(destination, PORT),
                );
                packet = (0..tags).fold(packet, |packet, _| packet.vlan(7));
                packet = match source {
                    IpAddr::V4(_) => packet.ip_options(&[1; 40][..4 * ip_options]),
                    IpAddr::V6(_) => extensions.into_iter().fold(packet, with_extension),
                };
                let packet = packet
                    .sequence(sequence)
                    .tcp_options(&[1; 40][..4 * tcp_options])
                    .data(&[b'x'; 40][..data])
                    .padding(padding);
                let segment = Segment {
                    ip_at: packet.ip_at().try_into().unwrap(),
                    addresses: addresses(source, destination),
                    client_port,
                    port: PORT,
                    sequence,
                    intent: Intent::Connect,
                    data_at: packet.data_at(),
                    data: data as u32,
                };
                (packet, segment)
            },
        )
    }

    fn with_extension(packet: Packet, number: u8) -> Packet {
        match number {
            0 => packet.hop_by_hop(),
            1 => packet.destination_options(),
            2 => packet.authentication(),
            3 => packet.routing(0),
            _ => packet.fragment_header(0, true),
        }
    }

    fn addresses(source: IpAddr, destination: IpAddr) -> Addresses {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Addresses::V4 { source: source.into(), destination: destination.into() }
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                Addresses::V6 { source: words(source), destination: words(destination) }
            }
            _ => unreachable!("one packet, one family"),
        }
    }

    fn words(address: Ipv6Addr) -> [u32; 4] {
        [96, 64, 32, 0].map(|shift| (u128::from(address) >> shift) as u32)
    }

    #[test]
    fn an_ethernet_header_cut_short_is_named() {
        for length in 0..14 {
            let parsed = parse([0; 14][..length].as_ref(), is_filtered);
            assert_eq!(parsed, Err(Outcome::TruncatedEthernet), "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn every_attempt_is_read_as_it_was_written((packet, segment) in attempts()) {
            prop_assert_eq!(parse(packet.bytes().as_slice(), is_filtered), Ok(segment));
        }

        #[test]
        fn every_attempt_cut_short_is_truncated((packet, _) in attempts()) {
            let frame = packet.padding(0).bytes();
            for length in 0..frame.len() {
                let outcome = parse(&frame[..length], is_filtered).unwrap_err();
                prop_assert!(outcome.name().starts_with("truncated-"), "{} bytes: {:?}", length, outcome);
            }
        }

        /// What is read from a frame never lies outside it, and nothing panics.
        #[test]
        fn any_bytes_are_an_outcome(
            (packet, _) in attempts(),
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut frame = packet.bytes();
            for (at, value) in noise {
                let at = at.index(frame.len());
                frame[at] = value;
            }
            frame.truncate(cut.index(frame.len() + 1));
            if let Ok(segment) = parse(frame.as_slice(), is_filtered) {
                prop_assert_eq!(segment.port, PORT);
                prop_assert!(usize::from(segment.ip_at) + 40 + segment.data as usize <= frame.len());
            }
        }

        #[test]
        fn pure_noise_is_an_outcome(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse(frame.as_slice(), |_| true).is_err() || frame.len() >= 54);
        }
    }
}
