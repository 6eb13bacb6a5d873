//! Tells at a glance the packets that are plainly none of ours: most of what a host receives.

use crate::abi::Outcome;
use crate::frame::Frame;
use crate::parse::{ETHERTYPE_AT, ETHERTYPE_IPV4, ETHERTYPE_IPV6, TCP_LENGTH, is_extension};
use crate::tcp;

const IP_AT: usize = ETHERTYPE_AT + 2;

/// The first byte of an IPv4 header without options: version 4, five words.
const PLAIN_IPV4: u32 = 0x45;

/// The outcome of a packet without tags, IP options and extension headers that is for another port or protocol; `None` for
/// all others, which [`parse`](crate::parse::parse) then reads. It says nothing that `parse` would not say.
///
/// Few registers are in use here, so nothing has to be kept on the stack: a packet that is none of ours costs some four
/// nanoseconds this way, and three times as much when only `parse` looks at it.
#[inline(always)]
pub fn glance(
    frame: &(impl Frame + ?Sized),
    is_filtered: impl FnOnce(u16) -> bool,
) -> Option<Outcome> {
    let ports = match frame.short(ETHERTYPE_AT)? {
        ETHERTYPE_IPV4 => {
            let [start, fragment, protocol, _, _, ports, _, _, _, _] = frame.words::<10>(IP_AT)?;
            let total = start & 0xffff;
            if start >> 24 != PLAIN_IPV4 || total < 20 {
                return None;
            }
            if protocol >> 16 & 0xff != tcp::PROTOCOL {
                return Some(Outcome::NotTcp);
            }
            if fragment & 0x1fff != 0 || total < 20 + TCP_LENGTH as u32 {
                return None;
            }
            ports
        }
        ETHERTYPE_IPV6 => {
            let [start, lengths, _, _, _, _, _, _, _, _, ports, _, _, _, _] =
                frame.words::<15>(IP_AT)?;
            let (payload, next) = (lengths >> 16, lengths >> 8 & 0xff);
            if start >> 28 != 6 || payload < TCP_LENGTH as u32 || is_extension(next) {
                return None;
            }
            if next != tcp::PROTOCOL {
                return Some(Outcome::NotTcp);
            }
            ports
        }
        _ => return None,
    };
    if is_filtered(ports as u16) { None } else { Some(Outcome::OtherPort) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::parse::{Addresses, parse, tests::attempts};

    fn is_filtered(port: u16) -> bool {
        port == 25
    }

    fn is_other(port: u16) -> bool {
        !is_filtered(port)
    }

    proptest! {
        #[test]
        fn no_attempt_is_overlooked((packet, _) in attempts()) {
            prop_assert_eq!(glance(packet.bytes().as_slice(), is_filtered), None);
        }

        #[test]
        fn plain_packets_are_seen_at_a_glance((packet, segment) in attempts()) {
            let frame = packet.bytes();
            let plain = match segment.addresses {
                Addresses::V4 { .. } => frame[14] == 0x45,
                Addresses::V6 { .. } => frame[20] == 6,
            };
            let plain = segment.ip_at == 14 && plain;
            let seen = glance(frame.as_slice(), is_other);
            prop_assert_eq!(seen, plain.then_some(Outcome::OtherPort));
        }

        #[test]
        fn it_agrees_with_the_parser(
            (packet, _) in attempts(),
            noise in prop::collection::vec((0_usize..60, any::<u8>()), 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut frame = packet.bytes();
            for (at, value) in noise {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(cut.index(frame.len() + 1));
            for ports in [is_filtered, is_other] {
                if let Some(outcome) = glance(frame.as_slice(), ports) {
                    prop_assert_eq!(parse(frame.as_slice(), ports), Err(outcome));
                }
            }
        }
    }
}
