//! Turns a segment into its answer, in place.
//!
//! An answer keeps the Ethernet header (turned round) and the VLAN tags, and drops IP options, extension headers and all
//! TCP options. Both checksums are computed in full: on virtual interfaces those of the segment may not be there yet.

use crate::checksum::Checksum;
use crate::frame::{Frame, FrameMut};
use crate::parse::{Addresses, Segment, TCP_LENGTH};
use crate::tcp::{self, ACK, RST};

const HOPS: u32 = 64;
const DONT_FRAGMENT: u32 = 0x4000;

/// What the TCP header of an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The sequence number.
    pub sequence: u32,
    /// The acknowledgement number.
    pub acknowledged: u32,
    /// The flags.
    pub flags: u32,
    /// The window.
    pub window: u32,
    /// How many octets of data there are.
    pub length: u32,
    /// What the data adds up to.
    pub data: Checksum,
}

impl Reply {
    /// The RST that refuses a SYN (RFC 9293 section 3.10.7.1).
    #[inline(always)]
    pub const fn reset(segment: &Segment) -> Self {
        Self {
            sequence: 0,
            // The SYN itself takes one number, and so does each byte that came with it.
            acknowledged: segment.sequence.wrapping_add(1).wrapping_add(segment.data),
            flags: RST | ACK,
            window: 0,
            length: 0,
            data: Checksum::new(),
        }
    }
}

/// The Ethernet header and the VLAN tags, at their longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link([u32; 6]);

impl Link {
    /// What stands at the beginning of `frame`, with the two Ethernet addresses swapped.
    #[inline(always)]
    pub fn turned(frame: &(impl Frame + ?Sized)) -> Option<Self> {
        let [a, b, c] = frame.words(0)?;
        let [first_tag, second_tag, rest] = frame.words(12)?;
        Some(Self([
            b << 16 | c >> 16,
            c << 16 | a >> 16,
            a << 16 | b >> 16,
            first_tag,
            second_tag,
            rest,
        ]))
    }

    /// Writes it to the beginning of `frame`; `None` when that is too short, which it is not after `parse`.
    #[inline(always)]
    pub fn write(&self, frame: &mut (impl FrameMut + ?Sized)) -> Option<()> {
        frame.put_words(0, &self.0)
    }
}

/// Where the data of an answer begins, and an answer without data ends.
#[inline(always)]
pub const fn data_at(segment: &Segment) -> usize {
    let ip = match segment.addresses {
        Addresses::V4 { .. } => 20,
        Addresses::V6 { .. } => 40,
    };
    segment.ip_at as usize + ip + TCP_LENGTH
}

/// Writes the IP and TCP headers of `reply` to `segment`, whose data is there already, behind the link's.
///
/// `None` when the frame is too short, which it is not after `parse`.
#[inline(always)]
pub fn write_headers(
    frame: &mut (impl FrameMut + ?Sized),
    segment: &Segment,
    reply: &Reply,
) -> Option<()> {
    let tcp_length = TCP_LENGTH as u32 + reply.length;
    let tcp = |pseudo_header: Checksum| {
        let header = [
            u32::from(segment.port) << 16 | u32::from(segment.client_port),
            reply.sequence,
            reply.acknowledged,
            5 << 28 | reply.flags << 16 | reply.window,
            0,
        ];
        let [ports, sequence, acknowledged, flags, _] = header;
        let checksum = pseudo_header.word(tcp::PROTOCOL).word(tcp_length).words(header).finish();
        [ports, sequence, acknowledged, flags, u32::from(checksum) << 16]
    };
    let ip_at = usize::from(segment.ip_at);
    match segment.addresses {
        Addresses::V4 { source, destination } => {
            let [start, id, hops] =
                [0x4500_0000 | (20 + tcp_length), DONT_FRAGMENT, HOPS << 24 | tcp::PROTOCOL << 16];
            let addresses = Checksum::new().word(destination).word(source);
            let checksum = addresses.words([start, id, hops]).finish();
            let ip = [start, id, hops | u32::from(checksum), destination, source];
            frame.put_words(ip_at, &ip)?;
            frame.put_words(ip_at + 20, &tcp(addresses.plus(reply.data)))
        }
        Addresses::V6 { source, destination } => {
            let addresses = Checksum::new().words(destination).words(source);
            let ip = [0x6000_0000, tcp_length << 16 | tcp::PROTOCOL << 8 | HOPS];
            frame.put_words(ip_at, &ip)?;
            frame.put_words(ip_at + 8, &destination)?;
            frame.put_words(ip_at + 24, &source)?;
            frame.put_words(ip_at + 40, &tcp(addresses.plus(reply.data)))
        }
    }
}

#[cfg(test)]
mod tests {
    use harness::packet::{Answer, CLIENT_MAC, HOST_MAC, flags};
    use proptest::prelude::*;

    use super::*;
    use crate::parse::tests::attempts;

    fn reset(frame: &mut [u8], segment: &Segment) -> Option<()> {
        Link::turned(frame)?.write(frame)?;
        write_headers(frame, segment, &Reply::reset(segment))
    }

    proptest! {
        #[test]
        fn every_attempt_can_be_answered((packet, segment) in attempts()) {
            let mut frame = packet.bytes();
            frame.truncate(data_at(&segment));
            prop_assert_eq!(frame.len(), data_at(&segment));
            prop_assert_eq!(reset(frame.as_mut_slice(), &segment), Some(()));
            let answer = Answer::read(&frame);
            prop_assert!(answer.is_some(), "{:02x?}", frame);
            let answer = answer.unwrap();
            prop_assert_eq!((answer.to_mac, answer.from_mac), (CLIENT_MAC, HOST_MAC));
            prop_assert_eq!(answer.tags.len() * 4 + 14, usize::from(segment.ip_at));
            prop_assert_eq!((answer.source.port(), answer.destination.port()), (25, segment.client_port));
            prop_assert_eq!((answer.sequence, answer.flags), (0, flags::RST | flags::ACK));
            prop_assert_eq!(
                answer.acknowledged,
                segment.sequence.wrapping_add(segment.data).wrapping_add(1)
            );
        }

        #[test]
        fn a_frame_too_short_is_not_written_past_its_end((packet, segment) in attempts()) {
            let attempt = packet.bytes();
            for length in 0..data_at(&segment) {
                let mut frame = attempt.clone();
                let written = reset(&mut frame[..length], &segment);
                prop_assert_eq!(written, None);
                prop_assert_eq!(&frame[length..], &attempt[length..]);
            }
        }
    }
}
