//! A hostile segment and everything that may be answered to it: right in every length and checksum, to whom it came from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use gateway_ebpf::checksum::Checksum;
use gateway_ebpf::cookie::cookie;
use gateway_ebpf::dialogue::{GOODBYE, GOODBYE_LENGTH, ONLY_QUIT, ONLY_QUIT_LENGTH, WINDOW};
use gateway_ebpf::frame::FrameMut as _;
use gateway_ebpf::line::{self, Head};
use gateway_ebpf::parse::{Addresses, Intent, Segment, parse};
use gateway_ebpf::reply::{Link, Reply, data_at, write_headers};
use gateway_ebpf::tcp::{ACK, FIN, PSH, SYN};
use harness::packet::Answer;

use super::line::{shown, text};
use crate::input::Input;

pub(crate) fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (key, reference) = ([input.long(), 0], input.long());
    let length = input.octet();
    let text = text(input.take(usize::from(length % 81)));
    let frame = input.rest();
    let Ok(segment) = parse(frame, |_| true) else {
        return;
    };
    match segment.intent {
        Intent::Connect => {
            let sequence = cookie(key, &segment);
            let acknowledged = segment.sequence.wrapping_add(1);
            let begin = Reply {
                sequence,
                acknowledged,
                flags: SYN | ACK,
                window: WINDOW,
                length: 0,
                data: Checksum::new(),
            };
            for reply in [Reply::reset(&segment), begin] {
                let answer = silent(frame, &segment, reply);
                assert!(answer.len() <= frame.len(), "more octets out than came in");
                check(frame, &segment, reply, &answer, b"");
            }
        }
        Intent::Continue { acknowledged, ends } => {
            let reply = Reply {
                sequence: acknowledged,
                acknowledged: segment.sequence.wrapping_add(segment.data),
                flags: ACK | if ends { FIN } else { PSH },
                window: WINDOW,
                length: 0,
                data: Checksum::new(),
            };
            check(frame, &segment, reply, &silent(frame, &segment, reply), b"");
            let head = Head::new(&text).expect("printable text");
            let line = shown(&text, &segment.addresses, reference);
            let length = head.line_length(&segment.addresses);
            let answer = spoken::<{ line::WORDS }>(frame, &segment, reply, length, |frame, at| {
                head.write(frame, at, &segment.addresses, reference)
            });
            check(frame, &segment, reply, &answer, line.as_bytes());
            let answer = spoken::<{ ONLY_QUIT.len() }>(
                frame,
                &segment,
                reply,
                ONLY_QUIT_LENGTH,
                |frame, at| {
                    frame.put_words(at, &ONLY_QUIT)?;
                    Some(Checksum::new().words(ONLY_QUIT))
                },
            );
            check(frame, &segment, reply, &answer, b"503 5.5.1 only QUIT please\r\n");
            let answer =
                spoken::<{ GOODBYE.len() }>(frame, &segment, reply, GOODBYE_LENGTH, |frame, at| {
                    frame.put_words(at, &GOODBYE)?;
                    Some(Checksum::new().words(GOODBYE))
                });
            check(frame, &segment, reply, &answer, b"221 2.0.0 Bye\r\n");
        }
    }
}

/// An answer without data, made as the program does it: cut, then written over.
fn silent(frame: &[u8], segment: &Segment, reply: Reply) -> Vec<u8> {
    let mut answer = frame[..data_at(segment)].to_vec();
    let link = Link::turned(answer.as_slice()).expect("a segment's Ethernet header");
    finish(&mut answer, link, segment, &reply);
    answer
}

/// An answer with data, made as the program does it: room before the frame, then written, then cut.
fn spoken<const WORDS: usize>(
    frame: &[u8],
    segment: &Segment,
    reply: Reply,
    length: u32,
    write: impl FnOnce(&mut [u8], usize) -> Option<Checksum>,
) -> Vec<u8> {
    let link = Link::turned(frame).expect("a segment's Ethernet header");
    let mut answer = vec![0xee; 4 * WORDS];
    answer.extend_from_slice(frame);
    let at = data_at(segment);
    let data = write(&mut answer, at).expect("room for a line");
    finish(&mut answer, link, segment, &Reply { length, data, ..reply });
    answer.truncate(at + usize::try_from(length).expect("a length"));
    answer
}

fn finish(answer: &mut [u8], link: Link, segment: &Segment, reply: &Reply) {
    link.write(answer).expect("room for the Ethernet header");
    write_headers(answer, segment, reply).expect("room for headers");
}

fn check(frame: &[u8], segment: &Segment, reply: Reply, answer: &[u8], data: &[u8]) {
    let read = Answer::read(answer).expect("right lengths and checksums");
    let (client, host) = ends(segment);
    assert_eq!((read.to_mac.as_slice(), read.from_mac.as_slice()), (&frame[6..12], &frame[..6]));
    assert_eq!((read.source, read.destination), (host, client));
    assert_eq!(14 + 4 * read.tags.len(), usize::from(segment.ip_at));
    assert_eq!(answer[12..usize::from(segment.ip_at)], frame[12..usize::from(segment.ip_at)]);
    assert_eq!((read.sequence, read.acknowledged), (reply.sequence, reply.acknowledged));
    assert_eq!((u32::from(read.flags), u32::from(read.window)), (reply.flags, reply.window));
    assert_eq!(read.data, data, "{}", read.data.escape_ascii());
}

/// The client, and whom it talks to.
fn ends(segment: &Segment) -> (SocketAddr, SocketAddr) {
    let v6 = |words: [u32; 4]| {
        let bits = words.into_iter().fold(0_u128, |bits, word| bits << 32 | u128::from(word));
        IpAddr::from(Ipv6Addr::from_bits(bits))
    };
    let (source, destination) = match segment.addresses {
        Addresses::V4 { source, destination } => {
            (Ipv4Addr::from_bits(source).into(), Ipv4Addr::from_bits(destination).into())
        }
        Addresses::V6 { source, destination } => (v6(source), v6(destination)),
    };
    (SocketAddr::new(source, segment.client_port), SocketAddr::new(destination, segment.port))
}
