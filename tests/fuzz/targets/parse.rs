//! Any frame: what is understood of it lies within it and is what stands there.

use gateway_ebpf::abi::Outcome;
use gateway_ebpf::dialogue::WINDOW;
use gateway_ebpf::glance::glance;
use gateway_ebpf::parse::{Addresses, Intent, Segment, parse};
use gateway_ebpf::reply::data_at;

/// The outcomes that a frame alone can have; the others need rules.
const UNREADABLE: [Outcome; 18] = [
    Outcome::TruncatedEthernet,
    Outcome::TruncatedVlan,
    Outcome::TooManyVlanTags,
    Outcome::NotIp,
    Outcome::TruncatedIpv4,
    Outcome::BadIpv4,
    Outcome::TruncatedIpv6,
    Outcome::BadIpv6,
    Outcome::TruncatedExtension,
    Outcome::TooManyExtensions,
    Outcome::LaterFragment,
    Outcome::NotTcp,
    Outcome::TruncatedTcp,
    Outcome::OtherPort,
    Outcome::BadTcp,
    Outcome::NotSyn,
    Outcome::TruncatedPayload,
    Outcome::NotOwn,
];

pub(crate) fn run(frame: &[u8]) {
    let read = parse(frame, |_| true);
    for ports in [|port| port == 25, |port| port != 25] {
        if let Some(outcome) = glance(frame, ports) {
            assert_eq!(parse(frame, ports), Err(outcome), "at a glance");
        }
    }
    // Network cards pad frames: what lies behind a packet is none of its business.
    let padded = parse([frame, &[0xee; 7]].concat().as_slice(), |_| true);
    match read {
        Ok(segment) => {
            check(frame, &segment);
            assert_eq!(padded, Ok(segment), "padding changed it");
            assert_eq!(parse(frame, |port| port != segment.port), Err(Outcome::OtherPort));
        }
        Err(outcome) => {
            assert!(UNREADABLE.contains(&outcome), "{outcome:?} needs rules");
            assert!(is_truncated(outcome) || padded == read, "{outcome:?}, padded {padded:?}");
        }
    }
}

fn check(frame: &[u8], segment: &Segment) {
    let Segment { ip_at, addresses, data_at: begin, data, .. } = *segment;
    let ip_at = usize::from(ip_at);
    assert!([14, 18, 22].contains(&ip_at), "the IP header is at {ip_at}");
    let end = begin + usize::try_from(data).expect("a length");
    assert!(end <= frame.len(), "data ends at {end} of {}", frame.len());
    assert!(begin >= data_at(segment), "the answer's headers need more room than the segment's");
    let (shown, at) = match addresses {
        Addresses::V4 { source, destination } => {
            ([source.to_be_bytes(), destination.to_be_bytes()].concat(), ip_at + 12)
        }
        Addresses::V6 { source, destination } => {
            let words = [source, destination].concat();
            (words.into_iter().flat_map(u32::to_be_bytes).collect(), ip_at + 8)
        }
    };
    assert_eq!(shown, frame[at..at + shown.len()], "other addresses");
    if let Intent::Continue { .. } = segment.intent {
        assert!(data <= WINDOW, "{data} octets were not offered");
    }
    // The header's length is what TCP says, so it begins in one of few places.
    let begins = (5..=15).filter_map(|words| begin.checked_sub(4 * words));
    assert!(begins.into_iter().any(|at| is_header(&frame[at..begin], segment)), "no such header");
    for length in 0..end {
        let cut = parse(&frame[..length], |_| true);
        assert!(matches!(cut, Err(outcome) if is_truncated(outcome)), "cut to {length}: {cut:?}");
    }
}

/// Whether these octets are a TCP header that says what the segment says.
fn is_header(header: &[u8], segment: &Segment) -> bool {
    let ports = [segment.client_port.to_be_bytes(), segment.port.to_be_bytes()].concat();
    let intent = match segment.intent {
        Intent::Connect => header[13] & 0x17 == 0x02,
        Intent::Continue { acknowledged, ends } => {
            let flags = header[13] & 0x17;
            acknowledged.to_be_bytes() == header[8..12] && flags == 0x10 | u8::from(ends)
        }
    };
    let length = usize::from(header[12] >> 4) * 4;
    length == header.len()
        && header[..4] == ports
        && header[4..8] == segment.sequence.to_be_bytes()
        && intent
}

fn is_truncated(outcome: Outcome) -> bool {
    outcome.name().starts_with("truncated")
}
