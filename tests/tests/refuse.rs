//! The refusal without memory, packet by packet: what is answered, in which words, by which keys, and when no more.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

mod program;

use std::net::{IpAddr, SocketAddr};

use gateway::list::{Rule, Rules};
use gateway::xdp::{Config, Filter, Limits, References};
use gateway_ebpf::abi::KernelAction;
use harness::needs;
use harness::packet::flags::{ACK, FIN, PSH, RST, SYN};
use harness::packet::{Answer, CLIENT_MAC, HOST_MAC, Packet};

use crate::program::{DROP, Kernel, PASS, TX};

const HOSTS: [&str; 2] = ["192.0.2.25", "2001:db8:25::25"];
const REFUSED: [&str; 2] = ["198.18.2.200", "2001:db8:2::abc"];
/// The same as the kernel writes them.
const WRITTEN: [&str; 2] = ["198.18.2.200", "2001:0db8:0002:0000:0000:0000:0000:0abc"];

fn kernel(config: Config) -> Kernel {
    let mut kernel = Kernel::with(config);
    kernel.filter.sync(&rules(KernelAction::Refuse), &own()).unwrap();
    kernel
}

fn own() -> [IpAddr; 2] {
    HOSTS.map(|host| host.parse().unwrap())
}

/// The second of two lists has everybody in the networks of [`REFUSED`].
fn rules(action: KernelAction) -> Rules {
    let rule =
        |prefix: &str| Rule { prefix: prefix.parse().unwrap(), list: 1, action, expires: None };
    Rules {
        version: 1,
        lists: vec!["other".into(), "bad".into()],
        good: Vec::new(),
        bad: vec![rule("198.18.0.0/16"), rule("2001:db8:2::/48")],
    }
}

/// How the packets of a client are dressed.
type Dress = fn(Packet) -> Packet;

/// A client that believes what it is told.
struct Client<'a> {
    kernel: &'a Kernel,
    source: SocketAddr,
    dress: Dress,
    sequence: u32,
    acknowledged: u32,
    tags: usize,
}

impl<'a> Client<'a> {
    fn new(kernel: &'a Kernel, source: &str, dress: Dress) -> Self {
        let source = SocketAddr::new(source.parse().unwrap(), 40000);
        let mut client =
            Self { kernel, source, dress, sequence: 0xffff_fff0, acknowledged: 0, tags: 0 };
        client.tags = (client.packet(SYN, b"").ip_at() - 14) / 4;
        client
    }

    fn host(&self) -> SocketAddr {
        SocketAddr::new(own()[usize::from(self.source.is_ipv6())], 25)
    }

    fn packet(&self, flags: u8, data: &[u8]) -> Packet {
        let packet = Packet::syn(self.source, self.host()).flags(flags);
        (self.dress)(packet.sequence(self.sequence).acknowledged(self.acknowledged).data(data))
    }

    /// Sends a segment and takes the answer, if there is one.
    fn send(&mut self, flags: u8, data: &[u8]) -> (&'static str, Option<Answer>) {
        let frame = self.packet(flags, data).bytes();
        let (outcome, verdict, out) = self.kernel.outcome(&frame);
        let length = u32::try_from(data.len()).unwrap();
        let numbers = length + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        self.sequence = self.sequence.wrapping_add(numbers);
        match verdict {
            PASS => {
                assert_eq!(out, frame, "{outcome}: what passes is not touched");
                return (outcome, None);
            }
            DROP => return (outcome, None),
            _ => assert_eq!(verdict, TX, "{outcome}"),
        }
        let answer = Answer::read(&out).unwrap_or_else(|| panic!("{outcome}: {out:02x?}"));
        assert_eq!((answer.source, answer.destination), (self.host(), self.source));
        assert_eq!((answer.to_mac, answer.from_mac), (CLIENT_MAC, HOST_MAC));
        assert_eq!((answer.tags.len(), answer.hops), (self.tags, 64));
        assert_eq!(answer.acknowledged, self.sequence, "{outcome}");
        assert_eq!(answer.window, 1024, "{outcome}");
        if flags & SYN == 0 {
            assert_eq!(answer.sequence, self.acknowledged, "{outcome}");
        } else {
            assert!(out.len() <= frame.len(), "{} for {}", out.len(), frame.len());
        }
        let heard = u32::try_from(answer.data.len()).unwrap()
            + u32::from(answer.flags & SYN != 0)
            + u32::from(answer.flags & FIN != 0);
        self.acknowledged = answer.sequence.wrapping_add(heard);
        (outcome, Some(answer))
    }

    /// Sends a segment, which must be answered like this: outcome, flags, words.
    fn hears(&mut self, flags: u8, data: &[u8], expected: (&str, u8, &str)) -> String {
        let (outcome, answer) = self.send(flags, data);
        let answer = answer.unwrap_or_else(|| panic!("{outcome}, expected {expected:?}"));
        let said = String::from_utf8(answer.data).unwrap();
        let (expected_outcome, expected_flags, words) = expected;
        assert_eq!((outcome, answer.flags), (expected_outcome, expected_flags), "{said}");
        assert!(said.starts_with(words) && said.is_empty() == words.is_empty(), "{said}");
        said
    }

    /// Completes the handshake; the 554.
    fn refused(&mut self) -> String {
        self.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        self.hears(ACK, b"", ("refused-554", ACK | PSH, "554 5.7.1 "))
    }
}

const ONLY_QUIT: (&str, u8, &str) = ("refused-503", ACK | PSH, "503 5.5.1 only QUIT please\r\n");
const GOODBYE: (&str, u8, &str) = ("refused-221", ACK | PSH | FIN, "221 2.0.0 Bye\r\n");
const FINISH: (&str, u8, &str) = ("refused-close", ACK | FIN, "");
const HEARD: (&str, u8, &str) = ("refused-close", ACK, "");

const PLAIN: Dress = |packet| packet;

/// Everything that an answer keeps or drops.
const DRESSES: [(&str, Dress); 7] = [
    ("plain", PLAIN),
    ("padded", |packet| packet.padding(6)),
    ("VLAN", |packet| packet.vlan(7)),
    ("QinQ", |packet| packet.provider_vlan(7).vlan(8)),
    ("TCP options", |packet| packet.tcp_options(&[1; 40])),
    ("IPv4 options", |packet| packet.ip_options(&[1; 40])),
    ("IPv6 extensions", |packet| packet.hop_by_hop().destination_options().authentication()),
];

#[test]
fn a_whole_dialogue_is_held_in_every_dress() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config::default());
    for (dressed, dress) in DRESSES {
        for (source, written) in REFUSED.into_iter().zip(WRITTEN) {
            let mut client = Client::new(&kernel, source, dress);
            let line = client.refused();
            let start = format!("554 5.7.1 you are not allowed to connect [{written}] ref ");
            assert!(line.starts_with(&start), "{dressed}: {line}");
            assert_eq!(line.len(), start.len() + 13 + 2, "{dressed}: {line}");
            assert!(line.ends_with("\r\n"));
            assert_eq!(client.send(ACK, b""), ("refused-ack", None), "{dressed}");
            client.hears(ACK | PSH, b"EHLO client.example.com\r\n", ONLY_QUIT);
            client.hears(ACK | PSH, b"quit\r\n", GOODBYE);
            client.hears(ACK | FIN, b"", HEARD);
            assert_eq!(client.send(ACK, b""), ("refused-ack", None), "{dressed}");
        }
    }
    let counters = kernel.counters();
    assert_eq!(counters.refused.packets, 14);
    assert_eq!(counters.refused_dialogue.packets, 14 * 6);
    assert_eq!(counters.passed.packets + counters.dropped.packets + counters.reset.packets, 0);
    for (name, count) in &counters.lists["bad"] {
        assert_eq!(count.packets, if *name == "refuse" { 14 } else { 0 }, "{name}");
    }
}

#[test]
fn every_way_to_hang_up_is_answered_in_order() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config::default());
    for source in REFUSED {
        let client = || Client::new(&kernel, source, PLAIN);

        // Without a word, after the 554.
        let mut polite = client();
        polite.refused();
        polite.hears(ACK | FIN, b"", FINISH);
        assert_eq!(polite.send(ACK, b""), ("refused-ack", None));

        // With the FIN on the last command, and once more, as it got lost.
        let mut hasty = client();
        hasty.refused();
        hasty.hears(ACK | PSH | FIN, b"RSET\r\n", GOODBYE);
        hasty.hears(ACK | FIN, b"", HEARD);

        // Before anything was said.
        let mut scanner = client();
        scanner.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        scanner.hears(ACK | FIN, b"", ("refused-554", ACK | PSH | FIN, "554 "));
        assert_eq!(scanner.send(ACK, b""), ("refused-ack", None));

        // It talks before it listens.
        let mut early = client();
        early.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        early.hears(ACK | PSH, b"EHLO early\r\n", ("refused-554", ACK | PSH, "554 "));
        early.hears(ACK | PSH, b"QUIT\r\n", GOODBYE);

        // It never stops talking.
        let mut talker = client();
        talker.refused();
        for _ in 0..8 {
            talker.hears(ACK | PSH, b"NOOP\r\n", ONLY_QUIT);
        }
        talker.hears(ACK | PSH, b"NOOP\r\n", GOODBYE);
        talker.hears(ACK | PSH, b"NOOP\r\n", HEARD);

        // A RST needs no answer, from us or from the host.
        let mut rude = client();
        rude.refused();
        assert_eq!(rude.send(RST, b""), ("not-syn", None));
        assert_eq!(rude.send(RST | ACK, b""), ("not-syn", None));
    }
}

#[test]
fn what_was_lost_is_said_again() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config::default());
    let mut client = Client::new(&kernel, REFUSED[0], PLAIN);
    client.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
    let first = client.acknowledged;
    client.sequence = client.sequence.wrapping_sub(1);
    client.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
    assert_eq!(client.acknowledged, first, "the same number for the same connection");
    let line = client.hears(ACK, b"", ("refused-554", ACK | PSH, "554 "));
    client.acknowledged = first;
    assert_eq!(client.hears(ACK, b"", ("refused-554", ACK | PSH, "554 ")), line);
    // Half of it was heard.
    client.acknowledged = first + 10;
    assert_eq!(client.send(ACK, b""), ("refused-ack", None));
}

#[test]
fn real_connections_are_left_alone() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(Config::default());
    let mut client = Client::new(&kernel, REFUSED[0], PLAIN);
    client.refused();
    let (sequence, acknowledged) = (client.sequence, client.acknowledged);
    let with = |kernel: &Kernel, source, acknowledged, data: &[u8]| {
        let mut client = Client::new(kernel, source, PLAIN);
        (client.sequence, client.acknowledged) = (sequence, acknowledged);
        client.send(ACK, data)
    };
    // Another number, the same number from elsewhere, more data than a refused client may send.
    for (source, acknowledged, data) in [
        (REFUSED[0], acknowledged ^ 1 << 31, b"QUIT\r\n".as_slice()),
        (REFUSED[0], acknowledged.wrapping_sub(1000), b""),
        (REFUSED[0], acknowledged.wrapping_add(1000), b""),
        ("198.18.2.201", acknowledged, b""),
        ("198.19.2.200", acknowledged, b"QUIT\r\n"),
        (REFUSED[0], acknowledged, &[b'x'; 1025]),
    ] {
        assert_eq!(with(&kernel, source, acknowledged, data), ("not-syn", None), "{source}");
    }
    assert_eq!(with(&kernel, REFUSED[0], acknowledged, &[b'x'; 1024]).0, "refused-503");
    // Nobody is refused any more.
    for action in [KernelAction::Drop, KernelAction::Reset, KernelAction::Off] {
        kernel.filter.sync(&rules(action), &own()).unwrap();
        assert_eq!(with(&kernel, REFUSED[0], acknowledged, b"QUIT\r\n"), ("not-syn", None));
    }
    kernel.filter.sync(&rules(KernelAction::Refuse), &own()).unwrap();
    assert_eq!(with(&kernel, REFUSED[0], acknowledged, b"QUIT\r\n").0, "refused-221");
}

#[test]
fn a_segment_cut_short_anywhere_passes() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config::default());
    for (dressed, dress) in DRESSES {
        for source in REFUSED {
            let mut client = Client::new(&kernel, source, dress);
            client.refused();
            let packet = client.packet(ACK | PSH, b"QUIT\r\n").padding(0);
            let frame = packet.bytes();
            for length in 14..frame.len() {
                let (outcome, verdict, out) = kernel.outcome(&frame[..length]);
                assert_eq!(verdict, PASS, "{dressed}, {length} bytes: {outcome}");
                assert!(outcome.starts_with("truncated-"), "{dressed}, {length} bytes: {outcome}");
                assert_eq!(out, frame[..length], "{dressed}, {length} bytes");
            }
            assert_eq!(kernel.outcome(&frame).0, "refused-221", "{dressed}");
        }
    }
}

#[test]
fn the_former_key_is_honoured_and_no_older_one() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(Config::default());
    let mut numbers = Vec::new();
    for source in REFUSED {
        let mut client = Client::new(&kernel, source, PLAIN);
        client.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        numbers.push((source, client.sequence, client.acknowledged));
    }
    for outcome in ["refused-554", "refused-554", "not-syn", "not-syn"] {
        for (source, sequence, acknowledged) in numbers.iter().copied() {
            let mut client = Client::new(&kernel, source, PLAIN);
            (client.sequence, client.acknowledged) = (sequence, acknowledged);
            assert_eq!(client.send(ACK, b"").0, outcome);
            let mut next = Client::new(&kernel, source, PLAIN);
            next.refused();
        }
        kernel.filter.renew_keys().unwrap();
    }
}

#[test]
fn what_began_before_a_pause_ends_as_it_began() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(Config::default());
    for source in REFUSED {
        let mut client = Client::new(&kernel, source, PLAIN);
        client.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        let (sequence, acknowledged) = (client.sequence, client.acknowledged);
        kernel.filter.pause_until(u32::MAX).unwrap();
        let mut client = Client::new(&kernel, source, PLAIN);
        assert_eq!(client.send(SYN, b"").0, "counted");
        (client.sequence, client.acknowledged) = (sequence, acknowledged);
        client.hears(ACK, b"", ("refused-554", ACK | PSH, "554 5.7.1 "));
        client.hears(ACK, b"QUIT\r\n", GOODBYE);
        kernel.filter.pause_until(0).unwrap();
    }
}

#[test]
fn a_restart_goes_on_with_the_same_keys_and_new_words_leave_the_old_ones_good() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(Config::default());
    let handshake = |kernel: &Kernel| {
        let mut client = Client::new(kernel, REFUSED[0], PLAIN);
        client.hears(SYN, b"", ("refused-syn", SYN | ACK, ""));
        (client.sequence, client.acknowledged)
    };
    let go_on = |kernel: &Kernel, numbers, words: &str| {
        let mut client = Client::new(kernel, REFUSED[0], PLAIN);
        (client.sequence, client.acknowledged) = numbers;
        client.hears(ACK, b"", ("refused-554", ACK | PSH, &format!("554 5.7.1 {words} [")));
        client.hears(ACK | PSH, b"EHLO x\r\n", ONLY_QUIT);
        client.hears(ACK | PSH, b"QUIT\r\n", GOODBYE);
    };
    let folder = tempfile::tempdir().unwrap();
    kernel.config.references = Some(folder.path().join("keys"));
    let reopen = |kernel: &mut Kernel, words: &str| {
        kernel.config.refuse_text = words.to_owned();
        kernel.filter = Filter::open(&kernel.config).unwrap();
    };
    reopen(&mut kernel, "old words");
    let numbers = handshake(&kernel);
    for _ in 0..3 {
        reopen(&mut kernel, "old words");
        go_on(&kernel, numbers, "old words");
        assert_eq!(handshake(&kernel), numbers, "the key is the same");
    }
    let longest = "x".repeat(80);
    reopen(&mut kernel, &longest);
    go_on(&kernel, numbers, "old words");
    go_on(&kernel, handshake(&kernel), &longest);
    for words in [&"x".repeat(81), "\r\n", "\u{e9}"] {
        kernel.config.refuse_text = words.to_owned();
        let error = Filter::open(&kernel.config).unwrap_err().to_string();
        assert!(error.ends_with("expected at most 80 octets of printable ASCII"), "{error}");
    }
}

#[test]
fn the_longest_words_fit_for_both_families() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config { refuse_text: "~".repeat(80), ..Config::default() });
    for (source, written) in [
        ("198.18.0.1", "198.18.0.1"),
        ("198.18.255.255", "198.18.255.255"),
        (REFUSED[1], WRITTEN[1]),
    ] {
        let mut client = Client::new(&kernel, source, |packet| packet.provider_vlan(7).vlan(8));
        let line = client.refused();
        assert!(line.contains(&format!("~ [{written}] ref ")), "{line}");
        client.hears(ACK | PSH, b"QUIT\r\n", GOODBYE);
    }
}

#[test]
fn a_reference_says_when_and_by_which_list() {
    if !needs::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let kernel = kernel(Config { references: Some(file.clone()), ..Config::default() });
    for source in REFUSED {
        let line = Client::new(&kernel, source, PLAIN).refused();
        let letters = line.trim_end().rsplit(' ').next().unwrap();
        let references = References::load(Some(&file)).unwrap();
        let found = references.read(letters).unwrap_or_else(|| panic!("{line}"));
        let age = gateway::clock::Clock::System.now().duration_since(found.at).as_secs();
        assert!((-2..62).contains(&age), "{age} seconds ago");
        assert_eq!(kernel.filter.list_name(found.slot).map(|name| &**name), Some("bad"));
        assert!(found.is_of(source.parse().unwrap()));
        assert!(!found.is_of("203.0.113.1".parse().unwrap()));
    }
}

#[test]
fn beyond_the_cap_it_drops() {
    if !needs::root() {
        return;
    }
    let limits = Limits { answers_per_network: 0, ..Limits::default() };
    let kernel = kernel(Config { answers_per_second: 50, limits, ..Config::default() });
    let syn = Client::new(&kernel, REFUSED[0], PLAIN).packet(SYN, b"").bytes();
    let (mut answered, mut dropped) = (0, 0);
    for _ in 0..5000 {
        match kernel.run(&syn).0 {
            TX => answered += 1,
            DROP => dropped += 1,
            verdict => panic!("verdict {verdict}"),
        }
    }
    assert!(answered >= 50 && dropped > 1000, "{answered} answered, {dropped} dropped");
    let counters = kernel.counters();
    assert_eq!(counters.refused.packets, answered);
    assert_eq!(counters.dropped.packets, dropped);
    assert_eq!(counters.outcomes["over-cap"].packets, dropped);
    assert_eq!(counters.lists["bad"]["drop"].packets, dropped);
}

/// A jump in this number is a jump in the time to load, and the first sign of a program that older kernels refuse.
#[test]
#[expect(clippy::print_stdout, reason = "the number is wanted even while it is right")]
fn the_verifier_sees_no_more_than_it_did() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Config::default());
    let info = kernel.filter.program().unwrap().info().unwrap();
    let verified = info.verified_instruction_count().unwrap();
    println!("verified instructions: {verified}");
    assert!(verified < 100_000, "{verified}");
}
