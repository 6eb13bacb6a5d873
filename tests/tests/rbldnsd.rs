//! Zone files of rbldnsd: what it answers from one is what the entries say that are read from the same one.
//!
//! The files are random: defaults, answers, exclusions, ranges, variables, mistakes. The addresses are near the edges of what
//! the files name, since that is where two readers would differ.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice;

use gateway::clock::Timestamp;
use gateway::list::{Entries, Entry, ExportFormat, Format, Parsed, Reading, export, parse};
use gateway::net::Prefix;
use harness::needs;
use harness::rbldnsd::{Listing, RBLDNSD, Rbldnsd, Zone};

/// Zone files of each type, and questions about each.
const FILES: u64 = 4;
const QUESTIONS: usize = 10_000;

/// Lines with entries in a file.
const LINES: usize = 500;

#[test]
fn an_ip4set_lists_what_rbldnsd_lists() {
    compare(Format::RbldnsdIp4Set, "ip4set");
}

#[test]
fn an_ip4trie_lists_what_rbldnsd_lists() {
    compare(Format::RbldnsdIp4Trie, "ip4trie");
}

#[test]
fn an_ip6trie_lists_what_rbldnsd_lists() {
    compare(Format::RbldnsdIp6Trie, "ip6trie");
}

/// What is written for rbldnsd is served by it: both families in one file for the dataset `combined`.
#[test]
fn rbldnsd_serves_what_is_written_for_it() {
    let Some(packages) = needs::mail_server(&RBLDNSD) else { return };
    let formats = [Format::RbldnsdIp4Trie, Format::RbldnsdIp6Trie];
    let files = formats.map(|format| File::random(format, 9));
    let parsed = [0, 1].map(|family| files[family].parsed(formats[family]));
    let all = parsed.iter().flat_map(|parsed| parsed.entries.iter());
    let mut text = Vec::new();
    export(ExportFormat::Rbldnsd, "office-bad", all, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let zone = Zone { name: "ours".to_owned(), dataset: "combined", text };
    let server = Rbldnsd::start(&packages, slice::from_ref(&zone)).unwrap();
    let mut random = Random(7);
    for question in 0..QUESTIONS {
        let family = question % 2;
        let address = files[family].near(&mut random);
        let ours = files[family].listing(formats[family], &parsed[family].entries, address);
        let theirs = server.ask(&zone.name, address).unwrap();
        assert_eq!(ours, theirs, "{address} in\n{}", files[family].about(address));
    }
    assert!(
        !server.log().contains("duplicated") && !server.log().contains("invalid"),
        "{}",
        server.log()
    );
}

fn compare(format: Format, dataset: &'static str) {
    let Some(packages) = needs::mail_server(&RBLDNSD) else { return };
    let files: Vec<_> = (0..FILES).map(|seed| File::random(format, seed)).collect();
    let zone = |(number, file): (usize, &File)| Zone {
        name: format!("z{number}"),
        dataset,
        text: file.text.clone(),
    };
    let zones: Vec<_> = files.iter().enumerate().map(zone).collect();
    let server = Rbldnsd::start(&packages, &zones).unwrap();
    for (file, zone) in files.iter().zip(&zones) {
        let parsed = file.parsed(format);
        let mut listed = 0;
        let mut random = Random(7);
        for _ in 0..QUESTIONS {
            let address = file.near(&mut random);
            let ours = file.listing(format, &parsed.entries, address);
            let theirs = server.ask(&zone.name, address).unwrap();
            assert_eq!(ours, theirs, "{address} in\n{}", file.about(address));
            listed += usize::from(!ours.values.is_empty());
        }
        // Questions that all have the same answer would prove nothing.
        assert!((QUESTIONS / 10..QUESTIONS * 9 / 10).contains(&listed), "{listed} are listed");
        assert!(parsed.rejected.count > 0 && server.log().contains("invalid range"));
    }
}

/// A zone file, and what its lines name.
struct File {
    text: String,
    /// By number of the line, from 1: the first and the last address, as numbers of 128 bits.
    ranges: Vec<Option<(u128, u128)>>,
    is_v4: bool,
}

impl File {
    fn random(format: Format, seed: u64) -> Self {
        let mut random = Random(seed + 1);
        let is_v4 = format != Format::RbldnsdIp6Trie;
        let mut file = Self { text: String::new(), ranges: vec![None], is_v4 };
        for line in [
            "$SOA 3600 ns.example. root.example. 0 1h 1h 1w 1h",
            "$1 see http://bl.example/$",
            "# comment",
            "",
        ] {
            file.push(line, None);
        }
        for _ in 0..LINES {
            let (item, range) = match format {
                Format::RbldnsdIp4Set => random.v4_item(true),
                Format::RbldnsdIp4Trie => random.v4_item(false),
                _ => random.v6_item(),
            };
            match random.below(20) {
                0..4 => file.push(&format!("!{item}"), Some(range)),
                4 => file.push(&format!("! {item} ; comment"), Some(range)),
                5 => file.push(&random.default(), None),
                6 => file.push(if is_v4 { "10.1.2.3/20" } else { "2001:db8::1/64" }, None),
                _ => {
                    let answer = random.answer();
                    file.push(&format!("{item}{answer}"), Some(range));
                }
            }
        }
        file.push("$2 set late", None);
        file.push("$1 too late", None);
        if seed % 2 == 1 {
            file.push("$= $= at $", None);
        }
        file
    }

    fn push(&mut self, line: &str, range: Option<(u128, u128)>) {
        writeln!(self.text, "{line}").unwrap();
        self.ranges.push(range);
    }

    fn parsed(&self, format: Format) -> Parsed {
        let as_of = Timestamp::UNIX_EPOCH;
        parse(self.text.as_bytes(), Reading { format: Some(format), as_of, foreign: false })
    }

    /// An address at an edge of a line, beside it, or anywhere inside.
    fn near(&self, random: &mut Random) -> IpAddr {
        let ranges: Vec<_> = self.ranges.iter().flatten().collect();
        let (first, last) = *ranges[random.below(ranges.len())];
        let number = match random.below(5) {
            0 => first,
            1 => last,
            2 => first.wrapping_sub(1),
            3 => last.wrapping_add(1),
            _ => first + random.wide() % (last - first + 1),
        };
        self.address(number)
    }

    fn address(&self, number: u128) -> IpAddr {
        if self.is_v4 {
            Ipv4Addr::from_bits(u32::try_from(number & 0xffff_ffff).unwrap()).into()
        } else {
            Ipv6Addr::from_bits(number).into()
        }
    }

    /// What the entries say about `address` by the rule of rbldnsd: of a set all that are equally narrow, of a trie the longest.
    fn listing(&self, format: Format, entries: &Entries, address: IpAddr) -> Listing {
        let mut found: Vec<Entry> = entries.covering(Prefix::host(address)).collect();
        if format == Format::RbldnsdIp4Set {
            let narrowness = |entry: &Entry| self.narrowness(entry.line, address);
            let most = found.iter().map(narrowness).max();
            found.retain(|entry| Some(narrowness(entry)) == most);
        } else {
            found.truncate(1);
        }
        Listing {
            values: found.iter().filter_map(|entry| entry.value).collect(),
            texts: found.iter().filter_map(|entry| entry.text_for(address)).collect(),
        }
    }

    /// The length of the widest network of whole numbers that holds `address` and is in the range of the line.
    fn narrowness(&self, line: u32, address: IpAddr) -> u32 {
        let IpAddr::V4(address) = address else { return 0 };
        let (first, last) = self.ranges[usize::try_from(line).unwrap()].unwrap();
        let fits = |length: &u32| {
            let hosts = u32::MAX.checked_shr(*length).unwrap_or(0);
            let bits = address.to_bits();
            u128::from(bits & !hosts) >= first && u128::from(bits | hosts) <= last
        };
        [8, 16, 24, 32].into_iter().find(fits).unwrap()
    }

    /// The lines about `address`, for whoever reads why the test failed.
    fn about(&self, address: IpAddr) -> String {
        let number = match address {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let lines = (1..).zip(self.text.lines());
        let about = lines.filter(|(line, text)| {
            let range: Option<(u128, u128)> = self.ranges[*line];
            text.starts_with([':', '$'])
                || range.is_some_and(|(first, last)| (first..=last).contains(&number))
        });
        about.map(|(line, text)| format!("{line}: {text}")).collect::<Vec<_>>().join("\n")
    }
}

/// Numbers that look random, always the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// An address in some networks, so that lines are about the same ones now and then.
    fn v4(&mut self) -> u32 {
        let octets = [
            self.of(&[10, 10, 10, 192, 203, 8]),
            self.of(&[0, 1, 2, 3, 255, 77]),
            self.of(&[0, 1, 2, 254, 255, 99]),
            u8::try_from(self.next() % 256).unwrap(),
        ];
        u32::from_be_bytes(octets)
    }

    /// An item for IPv4, and the addresses that it names.
    fn v4_item(&mut self, is_set: bool) -> (String, (u128, u128)) {
        let (first, other) = (self.v4(), self.v4());
        let [a, b, c, d] = first.to_be_bytes();
        let spread = |length: u32| {
            let hosts = u32::MAX.checked_shr(length).unwrap_or(0);
            ((first & !hosts).into(), (first | hosts).into())
        };
        let kinds = if is_set { 9 } else { 5 };
        match self.below(kinds) {
            0 => (Ipv4Addr::from_bits(first).to_string(), spread(32)),
            1 => (format!("{a}.{b}.{c}"), spread(24)),
            2 if self.below(3) == 0 => (format!("{a}.{b}"), spread(16)),
            2 => (format!("{a}.{b}.{c}.0{d}"), spread(32)),
            3 | 4 => {
                let lengths =
                    [8, 11, 14, 15, 16, 17, 20, 22, 23, 24, 24, 25, 27, 28, 29, 30, 31, 32];
                let length = self.of(&lengths);
                let (start, end): (u128, u128) = spread(length);
                let network = Ipv4Addr::from_bits(u32::try_from(start).unwrap());
                (format!("{network}/{length}"), (start, end))
            }
            5 => {
                let (low, high) = (first.min(other), first.max(other));
                // Networks of many numbers would leave nothing that is not listed.
                let high = high.min(low + 300_000);
                let text = format!("{}-{}", Ipv4Addr::from_bits(low), Ipv4Addr::from_bits(high));
                (text, (low.into(), high.into()))
            }
            6 => {
                let last = d.max(200);
                (
                    format!("{a}.{b}.{c}.{d}-{last}"),
                    (first.into(), (first - u32::from(d) + u32::from(last)).into()),
                )
            }
            7 => {
                let last = c.saturating_add(2);
                let end = u32::from_be_bytes([a, b, last, 255]);
                (format!("{a}.{b}.{c}-{a}.{b}.{last}"), (spread(24).0, end.into()))
            }
            _ => {
                let last = c.saturating_add(3);
                let end = u32::from_be_bytes([a, b, last, 255]);
                (format!("{a}.{b}.{c}-{last}"), (spread(24).0, end.into()))
            }
        }
    }

    fn v6_item(&mut self) -> (String, (u128, u128)) {
        let network = self.of(&[0x2001_0db8, 0x2001_0db8, 0x2a00_1450, 0xfe80_0000_u128]);
        let middle = u128::from(self.of(&[0_u16, 1, 0x8000, 0xffff]));
        let host = u128::from(self.of(&[0_u64, 1, 2, 0xff, 0x1_0000, u64::MAX]));
        let address = network << 96 | middle << 64 | host;
        let length = self.of(&[32, 36, 47, 48, 49, 63, 64, 65, 80, 112, 113, 120, 126, 127, 128]);
        let hosts = u128::MAX.checked_shr(length).unwrap_or(0);
        let (first, last) = (address & !hosts, address | hosts);
        let [a, b, c, d, ..] = Ipv6Addr::from_bits(first).segments();
        let text = match (length, self.below(2)) {
            (64, 0) => format!("{a:x}:{b:x}:{c:x}:{d:X}"),
            (48, 0) => format!("{a:04x}:{b:04x}:{c:04x}"),
            (32 | 36, 0) => format!("{a:x}:{b:x}:{c:x}/{length}"),
            (128, _) => Ipv6Addr::from_bits(first).to_string(),
            _ => format!("{}/{length}", Ipv6Addr::from_bits(first)),
        };
        (text, (first, last))
    }

    fn default(&mut self) -> String {
        let value = self.below(250) + 2;
        let text = self.text();
        match self.below(5) {
            0 => format!(":{value}"),
            1 => format!(":127.0.1.{value}:{text}"),
            2 => format!(":127.{value} : {text}"),
            3 => ":not a default".to_owned(),
            _ => format!(":{value}:{text}"),
        }
    }

    fn answer(&mut self) -> String {
        let value = self.below(4) + 2;
        let text = self.text();
        match self.below(9) {
            0..3 => String::new(),
            3 => format!(" :{value}"),
            4 => format!(" :{value}:"),
            5 => format!(":{value}:{text}"),
            6 => format!("\t:127.0.{value}.9: {text}"),
            7 => format!(" # {text}"),
            _ => format!(" {text}"),
        }
    }

    fn text(&mut self) -> String {
        let number = self.below(9);
        let template = self.of(&[
            "plain N",
            "for $ N",
            "$1 N",
            "$2 N",
            "$3 $N",
            "N $$",
            "$$$ N",
            "=N $ $1",
            "N # ; : !",
            "$=N",
            "N ends in $",
        ]);
        template.replace('N', &number.to_string())
    }
}
