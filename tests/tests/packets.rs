//! What the XDP program does with each kind of packet, run by the kernel itself (`BPF_PROG_TEST_RUN`).
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

mod program;

use std::fs;
use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use aya::maps::{Array, ArrayOfMaps, Map, MapData};
use gateway::list::{Rule, Rules};
use gateway::net::Prefix;
use gateway::xdp::{Config, Filter, KernelRule, SyncReport, read_pinned};
use gateway_ebpf::abi::{KernelAction, Outcome, SCHEMA};
use harness::needs;
use harness::packet::flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN};
use harness::packet::{Answer, CLIENT_MAC, HOST_MAC, Packet};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::program::{DROP, Kernel, PASS, TX};

fn kernel(ports: &[u16]) -> Kernel {
    Kernel::with(Config { ports: ports.to_vec(), ..Config::default() })
}

const LISTS: [&str; 5] = ["dropped", "reset", "counted", "left", "good"];

/// Rules for the lists above, from pairs of a prefix and a list.
fn rules(rules: &[(&str, &str)]) -> Rules {
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for (prefix, list) in rules {
        let number = LISTS.iter().position(|name| name == list).unwrap();
        let (kind, action) = match *list {
            "dropped" => (&mut bad, KernelAction::Drop),
            "reset" => (&mut bad, KernelAction::Reset),
            "counted" => (&mut bad, KernelAction::Count),
            "left" => (&mut bad, KernelAction::Off),
            _ => (&mut good, KernelAction::Off),
        };
        kind.push(Rule {
            prefix: prefix.parse().unwrap(),
            list: number.try_into().unwrap(),
            action,
            expires: None,
        });
    }
    good.sort();
    bad.sort();
    Rules { version: 1, lists: LISTS.map(Into::into).to_vec(), good, bad }
}

fn standard_rules() -> Rules {
    rules(&[
        ("198.18.1.0/24", "dropped"),
        ("198.18.2.0/24", "reset"),
        ("198.18.3.0/24", "counted"),
        ("198.18.1.64/26", "left"),
        ("198.18.1.7", "good"),
        ("198.18.2.0/25", "good"),
        ("198.18.9.0/24", "good"),
        ("2001:db8:1::/48", "dropped"),
        ("2001:db8:2::/48", "reset"),
        ("2001:db8:3::/48", "counted"),
        ("2001:db8:1:4::/64", "left"),
        ("2001:db8:1::7", "good"),
        ("2001:db8:2:8000::/49", "good"),
    ])
}

const OWN_V4: &str = "192.0.2.25";
const OWN_V6: &str = "2001:db8:25::25";

fn own() -> [IpAddr; 2] {
    [OWN_V4.parse().unwrap(), OWN_V6.parse().unwrap()]
}

/// A SYN from `source` to port 25 of this host.
fn from(source: &str) -> Packet {
    let source: IpAddr = source.parse().unwrap();
    let host = if source.is_ipv4() { OWN_V4 } else { OWN_V6 };
    let host = host.parse().unwrap();
    Packet::syn(SocketAddr::new(source, 40000), SocketAddr::new(host, 25))
}

fn to(destination: &str) -> Packet {
    let destination: SocketAddr = destination.parse().unwrap();
    let source = if destination.is_ipv4() { "198.18.1.1" } else { "2001:db8:1::1" };
    Packet::syn(SocketAddr::new(source.parse().unwrap(), 40000), destination)
}

/// Sources that are dropped, answered and counted, in both families.
const DROPPED: [&str; 2] = ["198.18.1.1", "2001:db8:1::1"];
const RESET: [&str; 2] = ["198.18.2.200", "2001:db8:2::1"];

fn cases() -> Vec<(&'static str, Packet, &'static str)> {
    let d4 = || from(DROPPED[0]);
    let d6 = || from(DROPPED[1]);
    let r4 = || from(RESET[0]);
    let r6 = || from(RESET[1]);
    vec![
        // Who.
        ("listed", d4(), "dropped"),
        ("listed, IPv6", d6(), "dropped"),
        ("not listed", from("198.18.0.255"), "unlisted"),
        ("not listed, IPv6", from("2001:db8::1"), "unlisted"),
        ("good alone", from("198.18.9.1"), "unlisted"),
        ("good host in a bad prefix", from("198.18.1.7"), "good"),
        ("its neighbour", from("198.18.1.8"), "dropped"),
        ("good host in a bad prefix, IPv6", from("2001:db8:1::7"), "good"),
        ("good prefix in a bad one", from("198.18.2.1"), "good"),
        ("good prefix in a bad one, IPv6", from("2001:db8:2:8000::1"), "good"),
        ("counted", from("198.18.3.1"), "counted"),
        ("counted, IPv6", from("2001:db8:3::1"), "counted"),
        ("left to the daemon", from("198.18.1.65"), "off"),
        ("left to the daemon, IPv6", from("2001:db8:1:4::1"), "off"),
        ("answered", r4(), "reset"),
        ("answered, IPv6", r6(), "reset"),
        // Where to.
        ("port 587, filtered too", to("192.0.2.25:587"), "dropped"),
        ("another port", to("192.0.2.25:26"), "other-port"),
        ("another port, IPv6", to("[2001:db8:25::25]:26"), "other-port"),
        ("port 0, which fills unused places", to("192.0.2.25:0"), "other-port"),
        ("transit", to("192.0.2.26:25"), "not-own"),
        ("transit, IPv6", to("[2001:db8:25::26]:25"), "not-own"),
        // Which flags.
        ("with ECN", d4().flags(SYN | ECE | CWR), "dropped"),
        ("with PSH", d4().flags(SYN | PSH), "dropped"),
        ("SYN and ACK", d4().flags(SYN | ACK), "not-syn"),
        ("ACK", d4().flags(ACK), "not-syn"),
        ("ACK, IPv6", d6().flags(ACK), "not-syn"),
        ("RST", d4().flags(RST), "not-syn"),
        ("SYN and RST", d4().flags(SYN | RST), "not-syn"),
        ("SYN and FIN", d4().flags(SYN | FIN), "not-syn"),
        ("no flag", d4().flags(0), "not-syn"),
        // Ethernet and VLANs.
        ("VLAN", d4().vlan(7), "dropped"),
        ("VLAN, IPv6", d6().vlan(7), "dropped"),
        ("provider VLAN", d4().provider_vlan(7), "dropped"),
        ("QinQ", d4().provider_vlan(7).vlan(8), "dropped"),
        ("QinQ, IPv6", d6().provider_vlan(7).vlan(8), "dropped"),
        ("QinQ, answered", r4().provider_vlan(7).vlan(8), "reset"),
        ("QinQ, answered, IPv6", r6().provider_vlan(7).vlan(8), "reset"),
        ("three tags", d4().vlan(7).vlan(8).vlan(9), "too-many-vlan-tags"),
        ("ARP", d4().ethertype(0x0806), "not-ip"),
        ("ARP in a VLAN", d4().vlan(7).ethertype(0x0806), "not-ip"),
        ("padded", d4().padding(6), "dropped"),
        ("padded, answered", r4().padding(6), "reset"),
        // IPv4.
        ("options", d4().ip_options(&[1; 4]), "dropped"),
        ("most options", d4().ip_options(&[1; 40]), "dropped"),
        ("options, answered", r4().ip_options(&[1; 40]), "reset"),
        ("first fragment", d4().fragment(0, true), "dropped"),
        ("later fragment", d4().fragment(1, true), "later-fragment"),
        ("last fragment", d4().fragment(185, false), "later-fragment"),
        ("don't fragment", d4().fragment(0x4000, false), "dropped"),
        ("UDP", d4().protocol(17), "not-tcp"),
        ("UDP fragment", d4().protocol(17).fragment(9, true), "not-tcp"),
        ("IPv4 that says version 6", d4().overwrite(14, 0x65), "bad-ipv4"),
        ("header of 16 bytes", d4().overwrite(14, 0x44), "bad-ipv4"),
        ("packet shorter than its header", d4().overwrite(17, 19), "bad-ipv4"),
        ("header longer than the packet", d4().overwrite(14, 0x4f), "bad-ipv4"),
        ("packet that ends in TCP", d4().overwrite(17, 39), "truncated-tcp"),
        ("packet longer than the frame", d4().overwrite(17, 41), "truncated-payload"),
        ("packet of 64 KiB in 54 bytes", d4().overwrite(16, 0xff), "truncated-payload"),
        // IPv6.
        ("hop-by-hop", d6().hop_by_hop(), "dropped"),
        ("destination options", d6().destination_options(), "dropped"),
        ("routing, done", d6().routing(0), "dropped"),
        ("routing, not there yet", d6().routing(1), "not-own"),
        ("authentication", d6().authentication(), "dropped"),
        ("first fragment, IPv6", d6().fragment_header(0, true), "dropped"),
        ("atomic fragment", d6().fragment_header(0, false), "dropped"),
        ("later fragment, IPv6", d6().fragment_header(1, true), "later-fragment"),
        (
            "six headers",
            d6().hop_by_hop()
                .destination_options()
                .routing(0)
                .fragment_header(0, true)
                .authentication()
                .destination_options(),
            "dropped",
        ),
        (
            "six headers, answered",
            r6().hop_by_hop()
                .destination_options()
                .routing(0)
                .fragment_header(0, true)
                .authentication()
                .destination_options(),
            "reset",
        ),
        (
            "seven headers",
            (0..7).fold(d6(), |packet, _| packet.destination_options()),
            "too-many-extensions",
        ),
        (
            "six headers and UDP",
            (0..6).fold(d6(), |packet, _| packet.destination_options()).protocol(17),
            "not-tcp",
        ),
        ("UDP, IPv6", d6().protocol(17), "not-tcp"),
        ("ESP", d6().protocol(50), "not-tcp"),
        ("no next header", d6().protocol(59), "not-tcp"),
        (
            "extension longer than the packet",
            d6().extension(60, &[0, 255, 1, 4, 0, 0, 0, 0]),
            "truncated-extension",
        ),
        (
            "options of 2 KiB",
            d6().extension(0, &{
                let mut header = vec![0; 2048];
                header[1] = 255;
                header
            }),
            "dropped",
        ),
        ("IPv6 that says version 4", d6().overwrite(14, 0x40), "bad-ipv6"),
        ("jumbogram", d6().overwrite(19, 0), "bad-ipv6"),
        ("packet that ends in TCP, IPv6", d6().overwrite(19, 19), "truncated-tcp"),
        ("packet longer than the frame, IPv6", d6().overwrite(19, 21), "truncated-payload"),
        // TCP.
        ("TCP options", d4().tcp_options(&[1; 40]), "dropped"),
        ("TCP options, answered", r4().tcp_options(&[1; 40]), "reset"),
        ("header of 16 bytes, TCP", d4().overwrite(46, 0x40), "bad-tcp"),
        ("header longer than the packet, TCP", d4().overwrite(46, 0x60), "bad-tcp"),
        ("data", d4().data(b"EHLO early"), "dropped"),
        ("data, answered", r4().data(b"EHLO early"), "reset"),
        ("data, answered, IPv6", r6().tcp_options(&[1; 12]).data(b"EHLO early"), "reset"),
        ("full frame, answered", r4().data(&[b'x'; 1460]), "reset"),
        ("highest number, answered", r4().sequence(u32::MAX).data(b"xy"), "reset"),
    ]
}

#[test]
fn each_kind_of_packet_has_its_outcome() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25, 587]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    let mut sent = 0;
    for (name, packet, expected) in cases() {
        let frame = packet.bytes();
        let (outcome, verdict, out) = kernel.outcome(&frame);
        sent += 1;
        assert_eq!(outcome, expected, "{name}");
        match outcome {
            "dropped" => assert_eq!(verdict, DROP, "{name}"),
            "reset" => assert_eq!(verdict, TX, "{name}"),
            _ => {
                assert_eq!(verdict, PASS, "{name}");
                assert_eq!(out, frame, "{name}: what passes is not touched");
            }
        }
    }
    let counters = kernel.counters();
    let counted: u64 = counters.outcomes.values().map(|count| count.packets).sum();
    assert_eq!(counted, sent, "every packet is counted once");
    let in_totals = counters.dropped.packets + counters.reset.packets + counters.passed.packets;
    assert_eq!(in_totals, sent);
    assert_eq!(counters.refused.packets, 0);
}

#[test]
fn the_answer_is_the_one_of_the_rfc() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25, 587]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    for (name, packet, outcome) in cases() {
        if outcome != "reset" {
            continue;
        }
        let (_, out) = kernel.run(&packet.bytes());
        let answer = Answer::read(&out).unwrap_or_else(|| panic!("{name}: {out:02x?}"));
        let v6 = name.contains("IPv6") || name.contains("six headers");
        let family = usize::from(v6);
        let (sequence, data) = match name {
            "highest number, answered" => (u32::MAX, 2),
            "full frame, answered" => (0x1234_5678, 1460),
            _ if name.starts_with("data") => (0x1234_5678, 10),
            _ => (0x1234_5678_u32, 0),
        };
        let tags = if name.contains("QinQ") { vec![(0x88a8, 7), (0x8100, 8)] } else { Vec::new() };
        let expected = Answer {
            to_mac: CLIENT_MAC,
            from_mac: HOST_MAC,
            tags,
            source: SocketAddr::new(own()[family], 25),
            destination: SocketAddr::new(RESET[family].parse().unwrap(), 40000),
            hops: 64,
            sequence: 0,
            acknowledged: sequence.wrapping_add(1 + data),
            flags: RST | ACK,
            window: 0,
            data: Vec::new(),
        };
        assert_eq!(answer, expected, "{name}");
    }
}

#[test]
fn a_packet_cut_short_anywhere_passes() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25, 587]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    for (name, packet, outcome) in cases() {
        if !matches!(outcome, "dropped" | "reset") || name.starts_with("padded") {
            continue;
        }
        let frame = packet.bytes();
        // The kernel runs nothing shorter than an Ethernet header; that is left to the host's tests.
        for length in (14..frame.len()).filter(|length| *length < 200 || length % 97 == 0) {
            let (outcome, verdict, out) = kernel.outcome(&frame[..length]);
            assert_eq!(verdict, PASS, "{name}, {length} bytes");
            assert!(outcome.starts_with("truncated-"), "{name}, {length} bytes: {outcome}");
            assert_eq!(out, frame[..length], "{name}, {length} bytes");
        }
    }
}

#[test]
fn every_list_counts_what_was_done_for_it() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    for (source, times) in [
        ("198.18.1.1", 1),
        ("2001:db8:1::1", 1),
        ("198.18.2.200", 3),
        ("198.18.3.1", 4),
        ("198.18.1.65", 5),
        ("198.18.1.7", 6),
        ("198.18.9.1", 7),
    ] {
        for _ in 0..times {
            kernel.run(&from(source).bytes());
        }
    }
    let counters = kernel.counters();
    for (list, action, packets, bytes) in [
        ("dropped", "drop", 2, 54 + 74),
        ("reset", "reset", 3, 3 * 54),
        ("counted", "count", 4, 4 * 54),
        // A good list is asked after a bad hit only: the seven from a good network that is nowhere bad are not here.
        ("good", "off", 6, 6 * 54),
    ] {
        for (name, count) in &counters.lists[list] {
            let expected = if *name == action { (packets, bytes) } else { (0, 0) };
            assert_eq!((count.packets, count.bytes), expected, "{list} {name}");
        }
    }
    let uncounted = counters.lists["left"].values().all(|count| count.packets == 0);
    assert!(uncounted, "what is left to the daemon is not counted");
}

#[test]
fn before_the_first_sync_everything_passes() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(&[25]);
    assert_eq!(kernel.outcome(&from("198.18.1.1").bytes()).0, "not-own");
    assert_eq!(kernel.filter.lookup("198.18.1.1".parse().unwrap()).unwrap(), None);
}

#[test]
fn a_sync_writes_differences_alone_and_a_restart_changes_nothing() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    let report = |added, changed, removed, entries| SyncReport { added, changed, removed, entries };
    let first = standard_rules();
    assert_eq!(kernel.filter.sync(&first, &own()).unwrap(), report(13, 0, 0, 13));
    assert_eq!(kernel.filter.sync(&first, &own()).unwrap(), report(0, 0, 0, 13));

    kernel.filter = Filter::open(&kernel.config).unwrap();
    assert_eq!(kernel.outcome(&from("198.18.1.1").bytes()).0, "dropped");
    assert_eq!(kernel.filter.sync(&first, &own()).unwrap(), report(0, 0, 0, 13));

    // The lists in another order: each keeps its slot, so no rule changes.
    kernel.filter = Filter::open(&kernel.config).unwrap();
    let mut reordered = first.clone();
    reordered.lists.reverse();
    for rule in reordered.good.iter_mut().chain(&mut reordered.bad) {
        rule.list = 4 - rule.list;
    }
    assert_eq!(kernel.filter.sync(&reordered, &own()).unwrap(), report(0, 0, 0, 13));

    let second = rules(&[
        ("198.18.1.0/24", "reset"),
        ("198.18.4.0/24", "dropped"),
        ("2001:db8:1::7", "good"),
    ]);
    assert_eq!(kernel.filter.sync(&second, &own()).unwrap(), report(1, 1, 11, 3));
    assert_eq!(kernel.outcome(&from("198.18.1.7").bytes()).0, "reset");
    assert_eq!(kernel.outcome(&from("198.18.4.1").bytes()).0, "dropped");
    assert_eq!(kernel.outcome(&from("2001:db8:1::1").bytes()).0, "unlisted");

    let moved = ["192.0.2.26".parse().unwrap()];
    kernel.filter.sync(&second, &moved).unwrap();
    assert_eq!(kernel.outcome(&from("198.18.4.1").bytes()).0, "not-own");
    assert_eq!(kernel.outcome(&to("192.0.2.26:25").bytes()).0, "reset");
}

#[test]
fn a_lookup_answers_as_the_program_does() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    for (address, expected) in [
        ("198.18.1.1", Some(("dropped", KernelAction::Drop))),
        ("::ffff:198.18.1.1", Some(("dropped", KernelAction::Drop))),
        ("198.18.1.65", Some(("left", KernelAction::Off))),
        ("198.18.1.7", Some(("good", KernelAction::Off))),
        ("198.18.9.1", None),
        ("198.18.0.1", None),
        ("2001:db8:2::1", Some(("reset", KernelAction::Reset))),
        ("2001:db8:2:8000::1", Some(("good", KernelAction::Off))),
    ] {
        let expected = expected.map(|(list, action)| KernelRule { list: list.into(), action });
        let address = address.parse().unwrap();
        assert_eq!(kernel.filter.lookup(address).unwrap(), expected, "{address}");
        let pinned = read_pinned(&kernel.config, address).unwrap();
        assert_eq!(pinned, expected, "{address}, read from the pins");
    }
    let elsewhere =
        Config { pin_dir: "/sys/fs/bpf/portcullis-never-was".into(), ..Config::default() };
    let error = read_pinned(&elsewhere, own()[0]).unwrap_err().to_string();
    assert!(error.contains("nothing is pinned there"), "{error}");
}

#[test]
fn foreign_maps_under_our_names_are_not_trusted() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    let folder = pins(&kernel.config);
    for (what, name) in [
        ("another type", "LEFT_V6"),
        ("a map for other tables", "BAD_V4"),
        ("another size", "OUTCOMES"),
        ("no map at all", "NAMES"),
        ("a map that is gone", "GOOD_V6"),
    ] {
        let pin = folder.join(name);
        fs::remove_file(&pin).unwrap();
        match what {
            "another type" => {
                let foreign = aya::maps::HashMap::<_, [u8; 8], [u8; 4]>::create(8, 0).unwrap();
                foreign.pin(&pin).unwrap();
            }
            "a map for other tables" => {
                let inner = Array::<MapData, [u64; 8]>::create(1, 1 << 10).unwrap();
                inner.pin(&pin).unwrap();
            }
            "another size" => {
                let foreign = aya::maps::PerCpuArray::<_, [u64; 2]>::create(3, 0).unwrap();
                foreign.pin(&pin).unwrap();
            }
            "no map at all" => {
                // A program's pin under the name of a map.
                let mut object = aya::Ebpf::load(&pass_object()).unwrap();
                let program = object.program_mut("only").unwrap();
                let program: &mut aya::programs::Xdp = program.try_into().unwrap();
                program.load().unwrap();
                program.pin(&pin).unwrap();
            }
            _ => {}
        }
        kernel.filter = Filter::open(&kernel.config).unwrap();
        assert_eq!(kernel.counters().passed.packets, 0, "{what}: made anew");
        assert_eq!(kernel.outcome(&from("198.18.1.1").bytes()).0, "not-own", "{what}");
        let report = kernel.filter.sync(&standard_rules(), &own()).unwrap();
        assert_eq!((report.added, report.entries), (13, 13), "{what}");
        assert_eq!(kernel.outcome(&from("198.18.1.1").bytes()).0, "dropped", "{what}");
    }
}

/// The smallest XDP program, as an object file.
fn pass_object() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pass.o");
    harness::xdp_return::write(&file, harness::xdp_return::Returns::Pass).unwrap();
    fs::read(file).unwrap()
}

/// The folder of pins of this schema version.
fn pins(config: &Config) -> PathBuf {
    config.pin_dir.join(format!("v{SCHEMA}"))
}

/// The table that is pinned under a name.
fn table(config: &Config, name: &str) -> Array<MapData, [u64; 8]> {
    let holder = Map::from_map_data(MapData::from_pin(pins(config).join(name)).unwrap()).unwrap();
    let holder: ArrayOfMaps<MapData, MapData> = holder.try_into().unwrap();
    Map::from_map_data(holder.get(&0, 0).unwrap()).unwrap().try_into().unwrap()
}

#[test]
fn a_table_that_is_not_what_it_was_is_made_anew() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    for (what, name, line, word) in [
        ("another make", "BAD_V4", 0, 0),
        ("another size", "BAD_V4", 0, 1),
        ("a rule changed", "BAD_V4", 1, 0),
        ("half of it zero", "BAD_V6", 0, 7),
        ("a bit fallen over", "BAD_V6", 17_000, 3),
    ] {
        kernel.filter.sync(&standard_rules(), &own()).unwrap();
        assert_eq!(kernel.outcome(&from(DROPPED[0]).bytes()).0, "dropped", "{what}");
        let mut lines = table(&kernel.config, name);
        let mut content = lines.get(&line, 0).unwrap();
        content[word] ^= 1 << 17;
        lines.set(line, content, 0).unwrap();
        kernel.filter = Filter::open(&kernel.config).unwrap();
        assert_eq!(kernel.outcome(&from(DROPPED[0]).bytes()).0, "not-own", "{what}: made anew");
        let report = kernel.filter.sync(&standard_rules(), &own()).unwrap();
        assert_eq!((report.added, report.entries), (13, 13), "{what}");
        for dropped in DROPPED {
            assert_eq!(kernel.outcome(&from(dropped).bytes()).0, "dropped", "{what}");
        }
    }
}

#[test]
fn a_row_that_names_no_action_passes() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    let mut lines = table(&kernel.config, "BAD_V4");
    for row in 1..17 {
        lines.set(row, [0xc8c8_c8c8_c8c8_c8c8; 8], 0).unwrap();
    }
    assert_eq!(kernel.outcome(&from(DROPPED[0]).bytes()).0, "bad-rule");
    assert_eq!(kernel.filter.lookup(DROPPED[0].parse().unwrap()).unwrap(), None);
}

/// Many hosts, so that the table outgrows its first size while the filter is in use.
#[test]
fn a_table_grows_and_is_adopted_in_its_new_size() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    let before = kernel.outcome(&from(DROPPED[0]).bytes()).0;
    assert_eq!(before, "dropped");
    let smallest = table(&kernel.config, "BAD_V4").len();
    let mut many = standard_rules();
    let host = |number: u32| IpAddr::from(Ipv4Addr::from(0x0b00_0000 + 5 * number));
    let network = |number: u32| {
        let words = [0x2a00_u16, 0, 0, 0, 0, 0, 0, 0];
        let bits = Ipv6Addr::from(words).to_bits() | u128::from(number) << 64;
        IpAddr::from(Ipv6Addr::from_bits(bits))
    };
    let rule = |prefix: Prefix| Rule { prefix, list: 0, action: KernelAction::Drop, expires: None };
    many.bad.extend((0..1_500_000).map(|number| rule(Prefix::host(host(number)))));
    many.bad.extend((0..50_000).map(|number| rule(Prefix::new(network(number), 64).unwrap())));
    many.bad.sort();
    kernel.filter.sync(&many, &own()).unwrap();
    assert!(table(&kernel.config, "BAD_V4").len() > smallest);
    assert!(!pins(&kernel.config).join("BAD_V4-new").exists());
    for reopened in [false, true] {
        if reopened {
            kernel.filter = Filter::open(&kernel.config).unwrap();
            let report = kernel.filter.sync(&many, &own()).unwrap();
            assert_eq!((report.added, report.changed, report.removed), (0, 0, 0));
        }
        for number in [0, 1, 777, 49_999] {
            for listed in [host(number), network(number)] {
                assert_eq!(kernel.outcome(&from(&listed.to_string()).bytes()).0, "dropped");
            }
        }
        assert_eq!(kernel.outcome(&from("11.0.0.1").bytes()).0, "unlisted");
        assert_eq!(kernel.outcome(&from("2a00:0:1::1").bytes()).0, "unlisted");
        assert_eq!(kernel.outcome(&from("198.18.1.7").bytes()).0, "good");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_changes() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(&[25]);
    kernel.filter.sync(&standard_rules(), &own()).unwrap();
    let mut many_lists = standard_rules();
    many_lists.lists = (0..257).map(|n| format!("list-{n}").into()).collect();
    let many_own: Vec<IpAddr> =
        (0..4097_u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).into()).collect();
    // Each list does two things, so that there is one combination more than a table has rows for.
    let mut many_combinations = standard_rules();
    many_combinations.lists = (0..128).map(|n| format!("list-{n}").into()).collect();
    let twice = [KernelAction::Drop, KernelAction::Reset]
        .map(|action| (0..128).map(move |list| (list, action)));
    many_combinations.bad = (0_u32..)
        .zip(twice.into_iter().flatten())
        .map(|(host, (list, action))| {
            let prefix = Prefix::host(Ipv4Addr::from_bits(0x0b00_0000 + host).into());
            Rule { prefix, list, action, expires: None }
        })
        .collect();
    for (rules, own, expected) in [
        (
            many_combinations,
            own().to_vec(),
            "the lists have more than 255 combinations of a list and a kernel action, expected at most that many",
        ),
        (many_lists, own().to_vec(), "257 lists do not fit, expected at most 256"),
        (standard_rules(), many_own, "4097 own addresses do not fit, expected at most 4096"),
    ] {
        let error = kernel.filter.sync(&rules, &own).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(kernel.outcome(&from("198.18.1.1").bytes()).0, "dropped");
    }
    // Somebody else's folder is not used, whatever is in it.
    let config = Config { pin_dir: pins(&kernel.config), ..kernel.config.clone() };
    fs::set_permissions(&config.pin_dir, Permissions::from_mode(0o777)).unwrap();
    let error = Filter::open(&config).unwrap_err().to_string();
    fs::set_permissions(&config.pin_dir, Permissions::from_mode(0o700)).unwrap();
    assert!(error.contains("belongs to another user or is open to others"), "{error}");
    let config = Config { ports: (1..=9).collect(), ..kernel.config.clone() };
    let error = Filter::open(&config).unwrap_err();
    assert_eq!(error.to_string(), "9 ports do not fit, expected at most 8");
}

/// Which list decides for `address`, by asking every rule.
fn oracle(rules: &Rules, address: IpAddr) -> Outcome {
    let longest = |rules: &[Rule]| {
        rules
            .iter()
            .filter(|rule| rule.prefix.contains(address))
            .max_by_key(|rule| rule.prefix.length())
            .copied()
    };
    match (longest(&rules.bad), longest(&rules.good)) {
        (None, _) => Outcome::Unlisted,
        (Some(_), Some(_)) => Outcome::Good,
        (Some(bad), None) => match bad.action {
            KernelAction::Off => Outcome::Off,
            KernelAction::Count => Outcome::Counted,
            KernelAction::Refuse => Outcome::RefusedSyn,
            KernelAction::Reset => Outcome::Reset,
            KernelAction::Drop => Outcome::Dropped,
        },
    }
}

/// Addresses that lie close together, so that prefixes of random length cover some of them and not others.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..4, any::<[bool; 3]>()).prop_map(|(low, [a, b, c])| {
            Ipv4Addr::new(203, u8::from(a) << 7, u8::from(b) << 4 | u8::from(c), low).into()
        }),
        (0_u16..4, any::<[bool; 3]>()).prop_map(|(low, [a, b, c])| {
            let third = u16::from(a) << 15;
            let (fourth, seventh) = (u16::from(b) << 4, u16::from(c));
            Ipv6Addr::new(0x2001, 0xdb8, third, fourth, 0, 0, seventh, low).into()
        }),
    ]
}

fn random_rules() -> impl Strategy<Value = Rules> {
    let rule = (address(), 0_u8..=128, 0_usize..LISTS.len());
    prop::collection::vec(rule, 0..40).prop_map(|chosen| {
        let mut by_prefix = std::collections::BTreeMap::new();
        for (address, length, list) in chosen {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = Prefix::new(address, length % (longest + 1)).unwrap();
            // A prefix has one bad rule, and may have a good one beside it.
            let good = LISTS[list] == "good";
            by_prefix.insert((good, prefix.to_string()), LISTS[list]);
        }
        let chosen: Vec<(&str, &str)> =
            by_prefix.iter().map(|((_, prefix), list)| (prefix.as_str(), *list)).collect();
        rules(&chosen)
    })
}

#[test]
fn the_kernel_agrees_with_a_naive_search() {
    if !needs::root() {
        return;
    }
    let kernel = std::cell::RefCell::new(kernel(&[25]));
    let cases = (random_rules(), prop::collection::vec(address(), 24));
    TestRunner::new(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
    .run(&cases, |(rules, addresses)| {
        let mut kernel = kernel.borrow_mut();
        // Each case goes on from the rules of the one before, so that all kinds of differences are written.
        let report = kernel.filter.sync(&rules, &own()).unwrap();
        prop_assert_eq!(report.entries, rules.good.len() + rules.bad.len());
        for address in addresses {
            let expected = oracle(&rules, address);
            let (outcome, _, _) = kernel.outcome(&from(&address.to_string()).bytes());
            prop_assert_eq!(outcome, expected.name(), "{}", address);
            let found = kernel.filter.lookup(address).unwrap();
            prop_assert_eq!(found.is_none(), expected == Outcome::Unlisted, "{}", address);
        }
        Ok(())
    })
    .unwrap();
}
