//! What the kernel tells of single packets: sampled events and copies for a capture, run by `BPF_PROG_TEST_RUN`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

mod program;

use std::net::{IpAddr, SocketAddr};
use std::thread::sleep;
use std::time::Duration;

use aya::programs::{TestRun as _, TestRunOptions};
use gateway::clock::Clock;
use gateway::list::{Rule, Rules};
use gateway::net::Prefix;
use gateway::xdp::{
    Capture, CapturedPacket, Config, Events, Flood, KernelEvent, Limits, XdpError, explain,
};
use gateway_ebpf::abi::{Family, KernelAction, Outcome};
use gateway_ebpf::event::SNAP;
use gateway_ebpf::limit::FloodAction;
use harness::needs;
use harness::packet::flags::{ACK, SYN};
use harness::packet::{Answer, Packet};

use crate::program::{DROP, Kernel, PASS, TX};

const HOSTS: [&str; 2] = ["192.0.2.25", "2001:db8:25::25"];

/// A little longer than a slice of the sampler.
const SLICE: Duration = Duration::from_millis(80);

fn kernel(events_per_second: u32) -> Kernel {
    with(Config { events_per_second, ..Config::default() })
}

fn with(config: Config) -> Kernel {
    let mut kernel = Kernel::with(config);
    let own = HOSTS.map(|host| host.parse().unwrap());
    kernel.filter.sync(&rules(), &own).unwrap();
    kernel
}

/// A list for each action, each with a network of both families.
fn rules() -> Rules {
    let lists = ["counted", "refused", "reset", "dropped", "good"];
    let mut bad = Vec::new();
    for (list, action) in (0..).zip(&KernelAction::ALL[1..]) {
        let v4 = format!("198.18.{}.0/24", list + 1);
        for prefix in [v4, format!("2001:db8:{}::/48", list + 1)] {
            bad.push(Rule {
                prefix: prefix.parse().unwrap(),
                list,
                action: *action,
                expires: None,
            });
        }
    }
    bad.sort();
    let good = ["198.18.4.7", "2001:db8:4::7"].map(|prefix| Rule {
        prefix: prefix.parse().unwrap(),
        list: 4,
        action: KernelAction::Off,
        expires: None,
    });
    Rules { version: 1, lists: lists.map(Into::into).to_vec(), good: good.to_vec(), bad }
}

fn syn(source: &str) -> Packet {
    let source: IpAddr = source.parse().unwrap();
    let host = HOSTS[usize::from(source.is_ipv6())].parse().unwrap();
    Packet::syn(SocketAddr::new(source, 40000), SocketAddr::new(host, 25))
}

/// Runs the program many times on one frame, in one call.
fn repeat(kernel: &Kernel, frame: &[u8], times: u32) {
    let options =
        TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::default() };
    kernel.filter.program().unwrap().test_run(options).unwrap();
}

fn read(events: &mut Events) -> Vec<KernelEvent> {
    events.read(usize::MAX, Clock::System.now())
}

#[test]
fn each_packet_that_a_rule_decides_is_an_event_with_all_that_is_known_of_it() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(100_000);
    let mut events = Events::open(&kernel.config).unwrap();
    for (source, list, outcome, action, verdict) in [
        ("198.18.1.1", "counted", Outcome::Counted, KernelAction::Count, PASS),
        ("2001:db8:1::1", "counted", Outcome::Counted, KernelAction::Count, PASS),
        ("198.18.2.1", "refused", Outcome::RefusedSyn, KernelAction::Refuse, TX),
        ("2001:db8:2::1", "refused", Outcome::RefusedSyn, KernelAction::Refuse, TX),
        ("198.18.3.1", "reset", Outcome::Reset, KernelAction::Reset, TX),
        ("2001:db8:3::1", "reset", Outcome::Reset, KernelAction::Reset, TX),
        ("198.18.4.1", "dropped", Outcome::Dropped, KernelAction::Drop, DROP),
        ("2001:db8:4::1", "dropped", Outcome::Dropped, KernelAction::Drop, DROP),
    ] {
        let frame = syn(source).bytes();
        let before = Clock::System.now();
        assert_eq!(kernel.outcome(&frame), (outcome.name(), verdict, kernel.run(&frame).1));
        let [event, _] = read(&mut events).try_into().unwrap();
        let age = event.time.duration_since(before).as_millis();
        assert!((-100..1000).contains(&age), "{age} ms");
        let client: IpAddr = source.parse().unwrap();
        let family = if client.is_ipv4() { Family::V4 } else { Family::V6 };
        let host = HOSTS[usize::from(client.is_ipv6())].parse().unwrap();
        let expected = KernelEvent {
            time: event.time,
            weight: 1,
            length: frame.len().try_into().unwrap(),
            // The kernel says that it came in by the loopback interface.
            interface: 1,
            list: Some(list.into()),
            outcome,
            action: Some(action),
            client: SocketAddr::new(client, 40000),
            local: SocketAddr::new(host, 25),
            family,
        };
        assert_eq!(event, expected, "{source}");
        let counted = &kernel.counters().families[list][family.name()];
        assert_eq!(counted[action.name()].packets, 2, "{source}");
        assert_eq!(counted.values().map(|count| count.packets).sum::<u64>(), 2, "{source}");
    }
    // What passes because no rule is against it, or one for it, is no event; nor is what no rule is asked about.
    let mut others = vec![syn("203.0.113.1"), syn("198.18.4.7"), syn("2001:db8:4::7")];
    others.push(syn("198.18.4.1").flags(ACK));
    for other in others {
        assert_eq!(kernel.run(&other.bytes()).0, PASS);
    }
    assert_eq!(read(&mut events), []);
    let taps = kernel.counters().taps;
    assert_eq!((taps.events, taps.events_lost, taps.copies), (16, 0, 0));
}

#[test]
fn the_first_of_a_flood_is_an_event_and_what_is_dropped_of_it_is_in_a_capture() {
    if !needs::root() {
        return;
    }
    for (action, outcome, verdict) in [
        (FloodAction::Observe, Outcome::FloodObserved, PASS),
        (FloodAction::Drop, Outcome::FloodDropped, DROP),
    ] {
        let flood = Flood { action, engage_above: 0, per_network: 1, burst: 5, ..Flood::default() };
        let limits = Limits { flood, ..Limits::default() };
        let kernel = with(Config { limits, ..Config::default() });
        let mut events = Events::open(&kernel.config).unwrap();
        let mut capture = Capture::start(&kernel.config, &[]).unwrap();
        for source in ["203.0.113.1", "2001:db8:66::1"] {
            let frame = syn(source).bytes();
            let beyond = (0..20).filter(|_| kernel.outcome(&frame).0 == outcome.name()).count();
            assert!(beyond >= 14, "{beyond}");
            assert_eq!(kernel.run(&frame).0, verdict);
            let [event] = read(&mut events).try_into().unwrap();
            assert_eq!((event.outcome, event.weight, event.list), (outcome, 1, None));
            assert_eq!((event.client.ip().to_string(), event.action), (source.to_owned(), None));
            let taken = taken(&mut capture);
            assert_eq!(taken.len(), if verdict == DROP { beyond + 1 } else { 0 }, "{source}");
            assert!(taken.iter().all(|packet| packet.list.is_none() && packet.octets == frame));
        }
    }
}

/// How many packets a processor is asked to tell of.
const PACKETS: u32 = 20_000;

#[test]
fn a_processor_tells_no_more_than_its_share_and_every_packet_is_in_a_weight() {
    if !needs::root() {
        return;
    }
    for (rate, in_a_slice) in [(160, 10), (1, 1), (0, 0)] {
        let kernel = kernel(rate);
        let mut events = Events::open(&kernel.config).unwrap();
        let frame = syn("198.18.4.1").bytes();
        // One call is shorter than a slice, so it has the share of two at most.
        repeat(&kernel, &frame, PACKETS);
        let told = read(&mut events);
        assert!(told.len() <= 2 * in_a_slice, "{rate}: {}", told.len());
        assert!(told.len() >= in_a_slice, "{rate}: {}", told.len());
        assert_eq!(kernel.counters().outcomes["dropped"].packets, u64::from(PACKETS));
        if rate < 16 {
            continue;
        }
        // Until every processor has told of one more, some packets wait for the event that speaks for them.
        let told: u64 = told.iter().map(|event| u64::from(event.weight)).sum();
        assert!(told >= 10 && told <= u64::from(PACKETS), "{told}");
        let (mut weight, mut packets) = (told, u64::from(PACKETS));
        while weight < u64::from(PACKETS) {
            sleep(SLICE);
            repeat(&kernel, &frame, 16);
            packets += 16;
            weight += read(&mut events).iter().map(|event| u64::from(event.weight)).sum::<u64>();
            assert!(packets < 2 * u64::from(PACKETS), "{weight} of {packets}");
        }
        assert!(weight <= packets, "{weight} of {packets}");
    }
}

#[test]
fn events_that_find_no_room_are_counted_and_in_the_weight_of_a_later_one() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(100_000);
    let mut events = Events::open(&kernel.config).unwrap();
    let frame = syn("2001:db8:4::1").bytes();
    let mut packets = 0;
    while kernel.counters().taps.events_lost == 0 {
        repeat(&kernel, &frame, 8000);
        packets += 8000;
        sleep(SLICE);
    }
    let taps = kernel.counters().taps;
    let told = read(&mut events);
    assert_eq!(told.len() as u64, taps.events);
    // The ring holds a MiB, and eight octets beside each event.
    assert_eq!(told.len(), (1 << 20) / 72);
    let mut weight: u64 = told.iter().map(|event| u64::from(event.weight)).sum();
    while weight + 64 < packets {
        sleep(SLICE);
        repeat(&kernel, &frame, 16);
        packets += 16;
        let more = read(&mut events);
        assert!(!more.is_empty(), "there is room again");
        weight += more.iter().map(|event| u64::from(event.weight)).sum::<u64>();
    }
    assert!(weight <= packets, "{weight} of {packets}");
}

#[test]
fn what_is_explained_is_what_is_decided() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(0);
    let mut many = rules();
    let rule = |prefix: String, list, action| Rule {
        prefix: prefix.parse().unwrap(),
        list,
        action,
        expires: None,
    };
    // So many that a few changes are left to the delta.
    for number in 0..=255 {
        many.bad.push(rule(format!("198.19.{number}.{number}"), 3, KernelAction::Drop));
        many.bad.push(rule(format!("2001:db8:5:{number:x}::/64"), 2, KernelAction::Reset));
        many.bad.push(rule(format!("2001:db8:6::{number:x}"), 3, KernelAction::Drop));
    }
    many.bad.push(rule("2001:db8:7::/45".to_owned(), 3, KernelAction::Drop));
    many.bad.sort();
    let own = HOSTS.map(|host| host.parse().unwrap());
    kernel.filter.sync(&many, &own).unwrap();
    let explained = |kernel: &Kernel, address: &str| {
        let answer = explain(&kernel.config, address.parse().unwrap()).unwrap();
        let rule = kernel.filter.lookup(address.parse().unwrap()).unwrap();
        let found = answer.good.clone().or_else(|| answer.bad.clone());
        assert_eq!(found, rule, "{answer:#?}");
        assert_eq!(answer.list, rule.map(|rule| rule.list), "{answer:#?}");
        let verdict = kernel.run(&syn(address).bytes()).0;
        let passes = ["pass", "count"].contains(&answer.decision);
        assert_eq!(verdict == PASS, passes, "{answer:#?}");
        answer.steps.iter().map(|step| step.map).collect::<Vec<_>>()
    };
    let addresses = [
        "198.19.7.7",
        "198.19.7.8",
        "198.18.4.7",
        "198.18.4.8",
        "198.18.1.1",
        "203.0.113.1",
        "2001:db8:5:7::1",
        "2001:db8:6::7",
        "2001:db8:6::777",
        "2001:db8:7:1::",
        "2001:db8:4::7",
        "2001:db8:3::7",
        "2001:db9::1",
    ];
    for address in addresses {
        let maps = explained(&kernel, address);
        assert!(!maps.iter().any(|map| map.starts_with("DELTA")), "{address}: {maps:?}");
    }
    // One is taken out, one is another list's, one is new.
    many.bad.retain(|rule| rule.prefix.to_string() != "198.19.7.7");
    let changed = many.bad.iter_mut().find(|rule| rule.prefix.to_string() == "2001:db8:5:7::/64");
    changed.unwrap().list = 1;
    many.bad.push(rule("203.0.113.0/30".to_owned(), 3, KernelAction::Drop));
    many.bad.sort();
    kernel.filter.sync(&many, &own).unwrap();
    assert!(kernel.filter.delta() > 0);
    for address in addresses {
        explained(&kernel, address);
    }
    assert_eq!(explained(&kernel, "203.0.113.1"), ["GATE", "DELTA_V4", "GOOD_V4"]);
    assert_eq!(explained(&kernel, "198.19.7.7"), ["GATE", "DELTA_V4"]);
    assert_eq!(explained(&kernel, "2001:db8:5:7::1"), ["GATE", "DELTA_V6", "GOOD_V6"]);
}

/// The packets that a capture has now.
fn taken(capture: &mut Capture) -> Vec<CapturedPacket> {
    std::iter::from_fn(|| capture.next(Clock::System.now())).collect()
}

#[test]
fn a_capture_has_the_packets_that_end_here_as_they_came_in() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(0);
    let mut capture = Capture::start(&kernel.config, &[]).unwrap();
    let mut sent = Vec::new();
    for source in [
        "198.18.2.1",
        "2001:db8:2::1",
        "198.18.3.1",
        "2001:db8:3::1",
        "198.18.4.1",
        "2001:db8:4::1",
    ] {
        // Every way to end between two steps of eight, and beyond what is kept.
        for data in 0..=120 {
            sent.push((source, syn(source).data(&vec![data; usize::from(data)]).bytes()));
        }
        sent.push((source, syn(source).provider_vlan(7).vlan(8).tcp_options(&[1; 40]).bytes()));
    }
    for (source, frame) in &sent {
        assert_ne!(kernel.run(frame).0, PASS, "{source}");
    }
    for source in ["198.18.1.1", "2001:db8:1::1", "198.18.4.7", "203.0.113.1"] {
        assert_eq!(kernel.run(&syn(source).bytes()).0, PASS, "{source}");
    }
    let taken = taken(&mut capture);
    assert_eq!(taken.len(), sent.len());
    for (packet, (source, frame)) in taken.iter().zip(&sent) {
        assert_eq!(packet.octets, frame[..frame.len().min(SNAP)], "{source}");
        assert_eq!(packet.length as usize, frame.len());
        assert_eq!(packet.interface, 1);
        let list = packet.list.as_deref().unwrap();
        assert_eq!(
            packet.action.unwrap().name(),
            match list {
                "refused" => "refuse",
                "dropped" => "drop",
                list => list,
            }
        );
        let age = Clock::System.now().duration_since(packet.time).as_millis();
        assert!((-100..10_000).contains(&age), "{age} ms");
    }
    assert_eq!(capture.lost().unwrap(), 0);
}

#[test]
fn a_capture_has_the_whole_dialogue_of_a_refusal() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(0);
    let mut capture = Capture::start(&kernel.config, &[]).unwrap();
    for source in ["198.18.2.1", "2001:db8:2::1"] {
        let begin = syn(source).flags(SYN).sequence(7).bytes();
        let answer = Answer::read(&kernel.run(&begin).1).unwrap();
        let acknowledged = answer.sequence.wrapping_add(1);
        let quit =
            syn(source).flags(ACK).sequence(8).acknowledged(acknowledged).data(b"QUIT\r\n").bytes();
        assert_eq!(kernel.run(&quit).0, TX);
        let taken = taken(&mut capture);
        let octets: Vec<_> = taken.iter().map(|packet| packet.octets.clone()).collect();
        assert_eq!(octets, [begin, quit], "{source}");
    }
}

#[test]
fn a_capture_can_be_of_some_prefixes_alone() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(0);
    let prefixes = |texts: &[&str]| -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let too_many = prefixes(&["192.0.2.1"; 9]);
    assert!(matches!(
        Capture::start(&kernel.config, &too_many),
        Err(XdpError::DoesNotFit { found: 9, most: 8, .. })
    ));
    let mut capture =
        Capture::start(&kernel.config, &prefixes(&["198.18.4.0/25", "2001:db8:4:8000::/49"]))
            .unwrap();
    for (source, wanted) in [
        ("198.18.4.1", 1),
        ("198.18.4.127", 1),
        ("198.18.4.128", 0),
        ("198.18.3.1", 0),
        ("2001:db8:4:8000::1", 1),
        ("2001:db8:4:7fff::1", 0),
    ] {
        kernel.run(&syn(source).bytes());
        assert_eq!(taken(&mut capture).len(), wanted, "{source}");
    }
}

#[test]
fn there_is_one_capture_at_a_time_and_it_ends_by_itself() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(0);
    let frame = syn("198.18.4.1").bytes();
    let copies = || {
        let before = kernel.counters().taps.copies;
        kernel.run(&frame);
        kernel.counters().taps.copies - before
    };
    assert_eq!(copies(), 0);
    let mut first = Capture::start(&kernel.config, &[]).unwrap();
    assert_eq!(copies(), 1);
    assert!(matches!(Capture::start(&kernel.config, &[]), Err(XdpError::CaptureTaken)));
    // As when whoever captured was killed: nobody moves the end on.
    sleep(Duration::from_millis(2100));
    assert_eq!(copies(), 0);
    first.go_on().unwrap();
    assert_eq!(copies(), 1);
    drop(first);
    assert_eq!(copies(), 0);
    // What the first one left behind is not the second one's.
    let mut second = Capture::start(&kernel.config, &[]).unwrap();
    assert_eq!(taken(&mut second), []);
    assert_eq!(copies(), 1);
    assert_eq!(taken(&mut second).len(), 1);
    // More than the ring of 4 MiB holds, with eight octets beside each copy.
    repeat(&kernel, &frame, 30_000);
    let lost = second.lost().unwrap();
    let found = taken(&mut second).len();
    assert_eq!((found, found as u64 + lost), ((4 << 20) / 160, 30_000));
}
