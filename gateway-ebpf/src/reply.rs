//! Turns a connection attempt into its answer, in place.
//!
//! An answer keeps the Ethernet header (turned round) and the VLAN tags, and drops IP options and extension headers. It
//! is never longer than the attempt. Both checksums are computed in full: on virtual interfaces those of the attempt
//! may not be there yet.

use crate::checksum::Checksum;
use crate::frame::FrameMut;
use crate::parse::{Addresses, Segment, TCP_LENGTH};

const HOPS: u32 = 64;
const TCP: u32 = 6;
const DONT_FRAGMENT: u32 = 0x4000;
const RST_ACK: u32 = 0x14;

/// How long the frame of a RST is.
#[inline(always)]
pub const fn reset_length(segment: &Segment) -> usize {
    let ip = match segment.addresses {
        Addresses::V4 { .. } => 20,
        Addresses::V6 { .. } => 40,
    };
    segment.ip_at + ip + TCP_LENGTH
}

/// Writes the RST that refuses `segment` into its frame (RFC 9293 section 3.10.7.1); the rest of the frame is to be cut off.
///
/// `None` when the frame is too short, which it is not after `parse`.
#[inline(always)]
pub fn write_reset(frame: &mut (impl FrameMut + ?Sized), segment: &Segment) -> Option<()> {
    let tcp = |pseudo_header: Checksum| {
        let header = [
            u32::from(segment.port) << 16 | u32::from(segment.client_port),
            0,
            // The SYN itself takes one number, and so does each byte that came with it.
            segment.sequence.wrapping_add(1).wrapping_add(segment.data),
            5 << 28 | RST_ACK << 16,
            0,
        ];
        let [ports, sequence, acknowledged, flags, _] = header;
        let checksum = pseudo_header.word(TCP).word(TCP_LENGTH as u32).words(header).finish();
        [ports, sequence, acknowledged, flags, u32::from(checksum) << 16]
    };
    turn_round(frame)?;
    match segment.addresses {
        Addresses::V4 { source, destination } => {
            let [start, id, hops] =
                [0x4500_0000 | (20 + TCP_LENGTH as u32), DONT_FRAGMENT, HOPS << 24 | TCP << 16];
            let addresses = Checksum::new().word(destination).word(source);
            let checksum = addresses.words([start, id, hops]).finish();
            let ip = [start, id, hops | u32::from(checksum), destination, source];
            frame.put_words(segment.ip_at, ip)?;
            frame.put_words(segment.ip_at + 20, tcp(addresses))
        }
        Addresses::V6 { source, destination } => {
            let addresses = Checksum::new().words(destination).words(source);
            let ip = [0x6000_0000, (TCP_LENGTH as u32) << 16 | TCP << 8 | HOPS];
            frame.put_words(segment.ip_at, ip)?;
            frame.put_words(segment.ip_at + 8, destination)?;
            frame.put_words(segment.ip_at + 24, source)?;
            frame.put_words(segment.ip_at + 40, tcp(addresses))
        }
    }
}

/// Swaps the two Ethernet addresses, six bytes each.
#[inline(always)]
fn turn_round(frame: &mut (impl FrameMut + ?Sized)) -> Option<()> {
    let [a, b, c] = frame.words(0)?;
    frame.put_words(0, [b << 16 | c >> 16, c << 16 | a >> 16, a << 16 | b >> 16])
}

#[cfg(test)]
mod tests {
    use harness::packet::{Answer, CLIENT_MAC, HOST_MAC, flags};
    use proptest::prelude::*;

    use super::*;
    use crate::parse::tests::attempts;

    proptest! {
        #[test]
        fn every_attempt_can_be_answered((packet, segment) in attempts()) {
            let mut frame = packet.bytes();
            frame.truncate(reset_length(&segment));
            prop_assert_eq!(frame.len(), reset_length(&segment));
            prop_assert_eq!(write_reset(frame.as_mut_slice(), &segment), Some(()));
            let answer = Answer::read(&frame);
            prop_assert!(answer.is_some(), "{:02x?}", frame);
            let answer = answer.unwrap();
            prop_assert_eq!((answer.to_mac, answer.from_mac), (CLIENT_MAC, HOST_MAC));
            prop_assert_eq!(answer.tags.len() * 4 + 14, segment.ip_at);
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
            for length in 0..reset_length(&segment) {
                let mut frame = attempt.clone();
                let written = write_reset(&mut frame[..length], &segment);
                prop_assert_eq!(written, None);
                prop_assert_eq!(&frame[length..], &attempt[length..]);
            }
        }
    }
}
