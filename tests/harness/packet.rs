//! Builds packets as they are on the wire, and reads answers, with checksums of its own.

use std::net::{IpAddr, SocketAddr};

/// TCP's flags.
pub mod flags {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Ends a connection at once.
    pub const RST: u8 = 0x04;
    /// Deliver at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number means something.
    pub const ACK: u8 = 0x10;
    /// Explicit congestion notification.
    pub const ECE: u8 = 0x40;
    /// Explicit congestion notification.
    pub const CWR: u8 = 0x80;
}

/// The address that frames come from.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc1];
/// The address that frames go to.
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x05];

const VLAN: u16 = 0x8100;
const PROVIDER_VLAN: u16 = 0x88a8;
const TCP: u8 = 6;

/// A packet in the making: a SYN, unless something else is said.
#[derive(Clone, Debug)]
pub struct Packet {
    tags: Vec<(u16, u16)>,
    ethertype: Option<u16>,
    source: SocketAddr,
    destination: SocketAddr,
    protocol: u8,
    ip_options: Vec<u8>,
    fragment: u16,
    extensions: Vec<(u8, Vec<u8>)>,
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    tcp_options: Vec<u8>,
    data: Vec<u8>,
    padding: usize,
    overwritten: Vec<(usize, u8)>,
}

impl Packet {
    /// A SYN from `source` to `destination`, both of one family.
    pub fn syn(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            tags: Vec::new(),
            ethertype: None,
            source,
            destination,
            protocol: TCP,
            ip_options: Vec::new(),
            fragment: 0,
            extensions: Vec::new(),
            flags: flags::SYN,
            sequence: 0x1234_5678,
            acknowledged: 0,
            tcp_options: Vec::new(),
            data: Vec::new(),
            padding: 0,
            overwritten: Vec::new(),
        }
    }

    /// Adds a VLAN tag inside those there are (802.1Q).
    #[must_use]
    pub fn vlan(mut self, id: u16) -> Self {
        self.tags.push((VLAN, id));
        self
    }

    /// Adds a provider's VLAN tag inside those there are (802.1ad).
    #[must_use]
    pub fn provider_vlan(mut self, id: u16) -> Self {
        self.tags.push((PROVIDER_VLAN, id));
        self
    }

    /// Says that the frame holds something else than its IP packet.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.ethertype = Some(ethertype);
        self
    }

    /// Another protocol than TCP.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// IPv4 options; their length must be a multiple of four.
    #[must_use]
    pub fn ip_options(mut self, options: &[u8]) -> Self {
        self.ip_options = options.to_vec();
        self
    }

    /// An IPv4 fragment at `offset` (in units of eight bytes), with `more` to come.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.fragment = offset | u16::from(more) << 13;
        self
    }

    /// Adds an IPv6 extension header of `kind` behind those there are; its first byte, the next header, is filled in.
    #[must_use]
    pub fn extension(mut self, kind: u8, content: &[u8]) -> Self {
        self.extensions.push((kind, content.to_vec()));
        self
    }

    /// Hop-by-hop options, eight bytes of padding.
    #[must_use]
    pub fn hop_by_hop(self) -> Self {
        self.extension(0, &[0, 0, 1, 4, 0, 0, 0, 0])
    }

    /// Destination options, sixteen bytes of padding.
    #[must_use]
    pub fn destination_options(self) -> Self {
        self.extension(60, &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// A routing header with `segments_left`.
    #[must_use]
    pub fn routing(self, segments_left: u8) -> Self {
        self.extension(43, &[0, 0, 4, segments_left, 0, 0, 0, 0])
    }

    /// An authentication header of twenty-four bytes.
    #[must_use]
    pub fn authentication(self) -> Self {
        let mut header = [0; 24];
        header[1] = 4;
        self.extension(51, &header)
    }

    /// An IPv6 fragment header at `offset` (in units of eight bytes), with `more` to come.
    #[must_use]
    pub fn fragment_header(self, offset: u16, more: bool) -> Self {
        let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
        self.extension(44, &[0, 0, high, low, 0, 0, 0, 9])
    }

    /// TCP's flags.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// TCP's sequence number.
    #[must_use]
    pub fn sequence(mut self, sequence: u32) -> Self {
        self.sequence = sequence;
        self
    }

    /// TCP's acknowledgement number.
    #[must_use]
    pub fn acknowledged(mut self, acknowledged: u32) -> Self {
        self.acknowledged = acknowledged;
        self
    }

    /// TCP's options; their length must be a multiple of four.
    #[must_use]
    pub fn tcp_options(mut self, options: &[u8]) -> Self {
        self.tcp_options = options.to_vec();
        self
    }

    /// Data behind the TCP header.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Self {
        self.data = data.to_vec();
        self
    }

    /// Bytes behind the packet that do not belong to it, as network cards add.
    #[must_use]
    pub fn padding(mut self, bytes: usize) -> Self {
        self.padding = bytes;
        self
    }

    /// Puts `value` at `at` at the very end, whatever it breaks.
    #[must_use]
    pub fn overwrite(mut self, at: usize, value: u8) -> Self {
        self.overwritten.push((at, value));
        self
    }

    /// Where the IP header begins.
    pub fn ip_at(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// Where the data behind the TCP header begins.
    pub fn data_at(&self) -> usize {
        let ip = match self.source {
            SocketAddr::V4(_) => 20 + self.ip_options.len(),
            SocketAddr::V6(_) => {
                40 + self.extensions.iter().map(|(_, content)| content.len()).sum::<usize>()
            }
        };
        self.ip_at() + ip + 20 + self.tcp_options.len()
    }

    /// The frame.
    pub fn bytes(&self) -> Vec<u8> {
        let (ethertype, packet) = match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                (0x0800, self.ipv4(source.octets(), destination.octets()))
            }
            (source, destination) => (0x86dd, self.ipv6(octets(source), octets(destination))),
        };
        let mut frame = [HOST_MAC, CLIENT_MAC].concat();
        for (kind, id) in &self.tags {
            frame.extend(kind.to_be_bytes());
            frame.extend(id.to_be_bytes());
        }
        frame.extend(self.ethertype.unwrap_or(ethertype).to_be_bytes());
        frame.extend(packet);
        frame.resize(frame.len() + self.padding, 0xee);
        for (at, value) in &self.overwritten {
            if let Some(byte) = frame.get_mut(*at) {
                *byte = *value;
            }
        }
        frame
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let pseudo_header = [source, destination].concat();
        let segment = self.tcp(&pseudo_header);
        let header = 20 + self.ip_options.len();
        let mut packet = vec![0x40 | low_byte(header / 4), 0];
        packet.extend(short(header + segment.len()));
        packet.extend([0x4a, 0x4b]);
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([57, self.protocol, 0, 0]);
        packet.extend(pseudo_header);
        packet.extend(&self.ip_options);
        let [high, low] = checksum(&[&packet]).to_be_bytes();
        for (byte, value) in packet.iter_mut().skip(10).zip([high, low]) {
            *byte = value;
        }
        packet.extend(segment);
        packet
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16]) -> Vec<u8> {
        let pseudo_header = [source, destination].concat();
        let mut next = self.protocol;
        let mut payload = self.tcp(&pseudo_header);
        for (kind, content) in self.extensions.iter().rev() {
            let mut header = content.clone();
            if let Some(first) = header.first_mut() {
                *first = next;
            }
            next = *kind;
            payload = [header, payload].concat();
        }
        let mut packet = vec![0x60, 0, 0x12, 0x34];
        packet.extend(short(payload.len()));
        packet.extend([next, 57]);
        packet.extend(pseudo_header);
        packet.extend(payload);
        packet
    }

    fn tcp(&self, pseudo_header: &[u8]) -> Vec<u8> {
        let header = 20 + self.tcp_options.len();
        let build = |checksum: u16| {
            let mut segment = Vec::new();
            segment.extend(self.source.port().to_be_bytes());
            segment.extend(self.destination.port().to_be_bytes());
            segment.extend(self.sequence.to_be_bytes());
            segment.extend(self.acknowledged.to_be_bytes());
            segment.extend([low_byte(header / 4) << 4, self.flags, 0xfa, 0xf0]);
            segment.extend(checksum.to_be_bytes());
            segment.extend([0, 0]);
            segment.extend(&self.tcp_options);
            segment.extend(&self.data);
            segment
        };
        let segment = build(0);
        let tail = [0, TCP, high_byte(segment.len()), low_byte(segment.len())];
        build(checksum(&[pseudo_header, &tail, &segment]))
    }
}

/// What an answer says, once its lengths and checksums were found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where the frame goes.
    pub to_mac: [u8; 6],
    /// Where the frame comes from.
    pub from_mac: [u8; 6],
    /// Its VLAN tags, type and content.
    pub tags: Vec<(u16, u16)>,
    /// Who answers.
    pub source: SocketAddr,
    /// Who is answered.
    pub destination: SocketAddr,
    /// How many routers it may pass.
    pub hops: u8,
    /// TCP's sequence number.
    pub sequence: u32,
    /// TCP's acknowledgement number.
    pub acknowledged: u32,
    /// TCP's flags.
    pub flags: u8,
    /// TCP's window.
    pub window: u16,
    /// What is said.
    pub data: Vec<u8>,
}

impl Answer {
    /// Reads a frame with a TCP segment; `None` unless every length and every checksum in it is right.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (to_mac, rest) = frame.split_first_chunk::<6>()?;
        let (from_mac, mut rest) = rest.split_first_chunk::<6>()?;
        let mut tags = Vec::new();
        let ethertype = loop {
            let (kind, behind) = take_short(rest)?;
            rest = behind;
            if kind != VLAN && kind != PROVIDER_VLAN {
                break kind;
            }
            let (id, behind) = take_short(rest)?;
            rest = behind;
            tags.push((kind, id));
        };
        let (source, destination, hops, segment) = match ethertype {
            0x0800 => read_ipv4(rest)?,
            0x86dd => read_ipv6(rest)?,
            _ => return None,
        };
        let pseudo_header = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                [source.octets(), destination.octets()].concat()
            }
            _ => [octets(source), octets(destination)].concat(),
        };
        let tail = [0, TCP, high_byte(segment.len()), low_byte(segment.len())];
        let header = segment.first_chunk::<20>()?;
        if checksum(&[&pseudo_header, &tail, segment]) != 0 {
            return None;
        }
        let [p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, length, flags, w0, w1, ..] = *header;
        (length == 5 << 4).then_some(Self {
            to_mac: *to_mac,
            from_mac: *from_mac,
            tags,
            source: SocketAddr::new(source, u16::from_be_bytes([p0, p1])),
            destination: SocketAddr::new(destination, u16::from_be_bytes([p2, p3])),
            hops,
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            acknowledged: u32::from_be_bytes([a0, a1, a2, a3]),
            flags,
            window: u16::from_be_bytes([w0, w1]),
            data: segment.get(20..)?.to_vec(),
        })
    }
}

/// Source, destination, hops, segment.
type Inside<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn read_ipv4(packet: &[u8]) -> Option<Inside<'_>> {
    let header = packet.first_chunk::<20>()?;
    let [0x45, _, l0, l1, _, _, _, _, hops, TCP, ..] = *header else {
        return None;
    };
    let whole = usize::from(u16::from_be_bytes([l0, l1])) == packet.len();
    if !whole || checksum(&[header]) != 0 {
        return None;
    }
    let source = *packet.get(12..)?.first_chunk::<4>()?;
    let destination = *packet.get(16..)?.first_chunk::<4>()?;
    Some((source.into(), destination.into(), hops, packet.get(20..)?))
}

fn read_ipv6(packet: &[u8]) -> Option<Inside<'_>> {
    let [0x60, 0, 0, 0, l0, l1, TCP, hops] = *packet.first_chunk::<8>()? else {
        return None;
    };
    let source = *packet.get(8..)?.first_chunk::<16>()?;
    let destination = *packet.get(24..)?.first_chunk::<16>()?;
    let segment = packet.get(40..)?;
    (usize::from(u16::from_be_bytes([l0, l1])) == segment.len()).then_some((
        source.into(),
        destination.into(),
        hops,
        segment,
    ))
}

/// The checksum of RFC 1071, straight from its words: 16 bits at a time, the carry added at once.
///
/// Over what includes a right checksum it is 0.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum: u16 = 0;
    for pair in bytes.chunks(2) {
        let word = match *pair {
            [high, low] => u16::from_be_bytes([high, low]),
            [high] => u16::from_be_bytes([high, 0]),
            _ => 0,
        };
        let (added, carry) = sum.overflowing_add(word);
        sum = added + u16::from(carry);
    }
    !sum
}

fn take_short(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (short, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*short), rest))
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A length as IP writes it; longer ones are cut, and then wrong, which tests want at times.
fn short(length: usize) -> [u8; 2] {
    [high_byte(length), low_byte(length)]
}

const fn high_byte(number: usize) -> u8 {
    low_byte(number >> 8)
}

const fn low_byte(number: usize) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_back_and_a_broken_one_is_not() {
        let packet =
            Packet::syn("192.0.2.1:40000".parse().unwrap(), "192.0.2.2:25".parse().unwrap())
                .sequence(0);
        let frame = packet.bytes();
        assert_eq!(frame.len(), 54);
        assert_eq!(checksum(&[&frame[14..34]]), 0);
        let answer = Answer::read(&frame).unwrap();
        assert_eq!((answer.flags, answer.hops), (flags::SYN, 57));
        assert_eq!(answer.source, "192.0.2.1:40000".parse().unwrap());

        for (at, byte) in frame.iter().enumerate().skip(14) {
            let broken = packet.clone().overwrite(at, byte ^ 0x10).bytes();
            assert_eq!(Answer::read(&broken), None, "byte {at}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0xff], &[0xff, 0x80]]), !0x8000);
    }
}
