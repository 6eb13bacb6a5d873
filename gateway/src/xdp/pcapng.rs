//! Writes packets as a pcapng file, which tcpdump and Wireshark read.
//!
//! Each interface has its name, and each packet its rule and list as a comment. The format:
//! <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>; of the crates that write it none is kept up.

use std::io::{self, Write};

use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::event::SNAP;

use super::capture::{CapturedPacket, interface_name};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const ETHERNET: u16 = 1;

const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;

/// Times are in so many decimal places of a second.
const NANOSECONDS: u8 = 9;

/// A file that is being written.
#[derive(Debug)]
pub struct PcapngWriter<W> {
    out: W,
    /// The numbers of the interfaces that have a block, in its order.
    interfaces: Vec<u32>,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a file.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut body = Vec::new();
        body.extend(BYTE_ORDER.to_ne_bytes());
        body.extend(1_u16.to_ne_bytes());
        body.extend(0_u16.to_ne_bytes());
        // The length of the section is not known.
        body.extend((-1_i64).to_ne_bytes());
        option(
            &mut body,
            APPLICATION,
            concat!("portcullis ", env!("CARGO_PKG_VERSION")).as_bytes(),
        );
        end_of_options(&mut body);
        out.write_all(&block(SECTION, &body))?;
        Ok(Self { out, interfaces: Vec::new() })
    }

    /// Writes one packet.
    pub fn write(&mut self, packet: &CapturedPacket) -> io::Result<()> {
        let interface = self.interface(packet.interface)?;
        let time = u64::try_from(packet.time.as_nanosecond()).unwrap_or(0).to_be_bytes();
        let mut body = Vec::with_capacity(SNAP + 128);
        body.extend(interface.to_ne_bytes());
        for half in time.as_chunks::<4>().0 {
            body.extend(u32::from_be_bytes(*half).to_ne_bytes());
        }
        body.extend(length(packet.octets.len()).to_ne_bytes());
        body.extend(packet.length.to_ne_bytes());
        padded(&mut body, &packet.octets);
        option(&mut body, COMMENT, comment(packet).as_bytes());
        end_of_options(&mut body);
        self.out.write_all(&block(PACKET, &body))
    }

    /// Hands over what is not written yet.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The place of an interface in the file; it has a block before its first packet.
    fn interface(&mut self, number: u32) -> io::Result<u32> {
        let known = self.interfaces.iter().position(|known| *known == number);
        let place = length(known.unwrap_or(self.interfaces.len()));
        if known.is_none() {
            self.interfaces.push(number);
            let name = interface_name(number).unwrap_or_else(|| format!("interface {number}"));
            let mut body = Vec::new();
            body.extend(ETHERNET.to_ne_bytes());
            body.extend(0_u16.to_ne_bytes());
            body.extend(length(SNAP).to_ne_bytes());
            option(&mut body, INTERFACE_NAME, name.as_bytes());
            option(&mut body, RESOLUTION, &[NANOSECONDS]);
            end_of_options(&mut body);
            self.out.write_all(&block(INTERFACE, &body))?;
        }
        Ok(place)
    }
}

fn comment(packet: &CapturedPacket) -> String {
    let action = packet.action.map_or("unknown", KernelAction::name);
    match &packet.list {
        Some(list) => format!("{action} by list {list}"),
        None => format!("{action}, no list"),
    }
}

/// A block has its length before and behind what is in it.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let total = length(body.len() + 12).to_ne_bytes();
    [&kind.to_ne_bytes(), &total, body, &total].concat()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_ne_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_ne_bytes());
    padded(body, value);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn padded(body: &mut Vec<u8>, octets: &[u8]) {
    body.extend(octets);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Nothing here is as long as 4 GiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(interface: u32, octets: &[u8]) -> CapturedPacket {
        CapturedPacket {
            time: "2026-11-21T12:00:00.000000001Z".parse().unwrap(),
            interface,
            length: 1514,
            octets: octets.to_vec(),
            list: Some("bad".into()),
            action: Some(KernelAction::Drop),
        }
    }

    /// The blocks of a file: kind and content.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let word = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap());
            let total = usize::try_from(word(4)).unwrap();
            assert!(total.is_multiple_of(4) && total <= file.len(), "{total}");
            assert_eq!(word(total - 4), word(4), "the length stands at both ends");
            blocks.push((word(0), file[8..total - 4].to_vec()));
            file = &file[total..];
        }
        blocks
    }

    #[test]
    fn a_file_has_its_interfaces_before_their_packets() {
        let mut out = Vec::new();
        let mut writer = PcapngWriter::new(&mut out).unwrap();
        // Number 1 is the loopback interface wherever there is one.
        for (interface, octets) in [(1, &b"12345"[..]), (4_000_000, b""), (1, &[7; SNAP])] {
            writer.write(&packet(interface, octets)).unwrap();
        }
        writer.flush().unwrap();
        let blocks = blocks(&out);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, INTERFACE, PACKET, PACKET]);
        let has =
            |at: usize, text: &[u8]| blocks[at].1.windows(text.len()).any(|part| part == text);
        assert!(has(1, b"lo\0\0") && has(3, b"interface 4000000"));
        assert!(has(2, b"12345\0\0\0") && has(2, b"drop by list bad"));
        let word = |at: usize, word: usize| {
            u32::from_ne_bytes(blocks[at].1[4 * word..4 * word + 4].try_into().unwrap())
        };
        assert_eq!([word(2, 0), word(4, 0), word(5, 0)], [0, 1, 0], "interfaces");
        assert_eq!([word(2, 3), word(4, 3), word(5, 3)], [5, 0, 128], "octets kept");
        assert_eq!(word(2, 4), 1514, "octets in all");
        let time = u64::from(word(2, 1)) << 32 | u64::from(word(2, 2));
        assert_eq!(time, 1_795_262_400_000_000_001);
    }
}
