//! A burst of SYNs from many sources, sent through a raw socket as fast as one thread can.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use anyhow::Result;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use crate::deadline::Deadline;

/// What a burst came to.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// SYNs that the system took.
    pub sent: u64,
    /// How long that took.
    pub elapsed: Duration,
}

/// Sends SYNs to `target` until `count` are sent or `within` is over; the sources are addresses of `network`/16, each in turn.
///
/// To be called inside `NetNs::run`; the answers, if any, go to nobody.
pub fn syn_burst(
    target: SocketAddrV4,
    network: Ipv4Addr,
    count: u32,
    within: Duration,
) -> Result<Burst> {
    let deadline = Deadline::after(within);
    let source = |number: u32| {
        // An odd factor visits every address of the network before any comes twice, in no order that a cache likes.
        let host = number.wrapping_mul(40_503) & 0xffff;
        Ipv4Addr::from_bits(network.to_bits() & 0xffff_0000 | host)
    };
    let in_time = |number: &u32| !number.is_multiple_of(1024) || !deadline.passed();
    let sent = syns_from(target, (0..count).take_while(in_time).map(source))?;
    Ok(Burst { sent, elapsed: deadline.elapsed() })
}

/// Sends a SYN to `target` from each of `sources`; how many of them the system took. To be called inside `NetNs::run`, too.
pub fn syns_from(target: SocketAddrV4, sources: impl IntoIterator<Item = Ipv4Addr>) -> Result<u64> {
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW))?;
    let mut sent = 0;
    for (number, source) in (0..).zip(sources) {
        let packet = syn(source, target, number);
        sent += u64::from(sendto(&raw, &packet, SendFlags::empty(), &target).is_ok());
    }
    Ok(sent)
}

/// An IPv4 packet with a TCP SYN in it; the kernel fills in the IP checksum (raw(7)).
fn syn(source: Ipv4Addr, target: SocketAddrV4, number: u32) -> [u8; 40] {
    let mut packet = [0; 40];
    let (ip, tcp) = packet.split_at_mut(20);
    let port = 1024 + u16::try_from(number % 60_000).unwrap_or(0);
    let ip_words = [0x4500_0028, 0x0000_4000, 0x4006_0000, source.to_bits(), target.ip().to_bits()];
    let mut tcp_words =
        [u32::from(port) << 16 | u32::from(target.port()), number, 0, 0x5002_ffff, 0];
    let pseudo = [source.to_bits(), target.ip().to_bits(), 0x0006_0014];
    let sum =
        tcp_words.iter().chain(&pseudo).map(|word| (word >> 16) + (word & 0xffff)).sum::<u32>();
    let folded = (sum >> 16) + (sum & 0xffff);
    let checksum = !((folded >> 16) + folded) & 0xffff;
    if let Some(last) = tcp_words.last_mut() {
        *last = checksum << 16;
    }
    put(ip, &ip_words);
    put(tcp, &tcp_words);
    packet
}

fn put(octets: &mut [u8], words: &[u32]) {
    for (place, word) in octets.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}
