//! Too many SYNs, packet by packet: which networks are beyond their limit, which are exempt, and who gets no answer any more.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail the test that uses them"
)]

mod program;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aya::util::online_cpus;
use gateway::list::{Rule, Rules};
use gateway::xdp::{Config, Filter, Flood, Limits};
use gateway_ebpf::abi::KernelAction;
use gateway_ebpf::limit::FloodAction;
use harness::needs;
use harness::packet::Packet;

use crate::program::{DROP, Kernel, PASS, TX};

const HOSTS: [&str; 2] = ["192.0.2.25", "2001:db8:25::25"];

/// Sources on no list, one of each family.
const UNLISTED: [&str; 2] = ["198.51.100.7", "2001:db8:66::7"];
/// Others of their networks.
const NEIGHBOURS: [&str; 2] = ["198.51.100.200", "2001:db8:66::ffff:1"];
/// Others of the networks beside them.
const STRANGERS: [&str; 2] = ["198.51.101.7", "2001:db8:66:1::7"];

/// So few connections that none comes back while a test runs.
const FEW: Flood = Flood {
    action: FloodAction::Drop,
    engage_above: 0,
    per_network: 1,
    burst: 5,
    network_v4: 24,
    network_v6: 64,
    known_for: Duration::from_hours(24),
};

fn kernel(flood: Flood) -> Kernel {
    let limits = Limits { flood, ..Limits::default() };
    let mut kernel = Kernel::with(Config { limits, ..Config::default() });
    kernel.filter.sync(&rules(), &own()).unwrap();
    kernel
}

fn own() -> [IpAddr; 2] {
    HOSTS.map(|host| host.parse().unwrap())
}

fn rules() -> Rules {
    let rule = |prefix: &str, list, action| Rule {
        prefix: prefix.parse().unwrap(),
        list,
        action,
        expires: None,
    };
    Rules {
        version: 1,
        lists: vec!["good".into(), "refused".into(), "reset".into()],
        good: vec![
            rule("203.0.113.0/24", 0, KernelAction::Off),
            rule("2001:db8:77::/48", 0, KernelAction::Off),
        ],
        bad: vec![
            rule("198.18.1.0/24", 1, KernelAction::Refuse),
            rule("198.18.2.0/24", 2, KernelAction::Reset),
            rule("2001:db8:1::/48", 1, KernelAction::Refuse),
            rule("2001:db8:2::/48", 2, KernelAction::Reset),
        ],
    }
}

fn syn(source: &str) -> Vec<u8> {
    let source: IpAddr = source.parse().unwrap();
    let host = own()[usize::from(source.is_ipv6())];
    Packet::syn(SocketAddr::new(source, 40000), SocketAddr::new(host, 25)).bytes()
}

/// How many of `count` SYNs had each verdict: passed, dropped, answered.
fn send(kernel: &Kernel, source: &str, count: u32) -> [u32; 3] {
    let frame = syn(source);
    let mut verdicts = [0; 3];
    for _ in 0..count {
        let (verdict, out) = kernel.run(&frame);
        let place = [PASS, DROP, TX].iter().position(|known| *known == verdict).unwrap();
        assert!(verdict == TX || out == frame, "what is not answered is not touched");
        verdicts[place] += 1;
    }
    verdicts
}

fn packets(kernel: &Kernel, outcome: &str) -> u64 {
    kernel.counters().outcomes[outcome].packets
}

/// Limits of the host are shared by its processors, and a test runs on one at a time.
fn processors() -> u32 {
    online_cpus().unwrap().len().try_into().unwrap()
}

/// The program's clock, and so a second of its counters, may begin anew while a test runs.
fn is_about(found: u32, expected: u32) -> bool {
    (expected..=expected + 2).contains(&found)
}

#[test]
fn beyond_its_burst_a_network_is_dropped_and_the_one_beside_it_is_not() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(FEW);
    for ((source, neighbour), stranger) in UNLISTED.into_iter().zip(NEIGHBOURS).zip(STRANGERS) {
        let [passed, dropped, _] = send(&kernel, source, 50);
        assert!(is_about(passed, 5) && passed + dropped == 50, "{source}: {passed} {dropped}");
        let [passed, _, _] = send(&kernel, neighbour, 50);
        assert!(is_about(passed, 0), "{neighbour}: {passed}");
        assert_eq!(send(&kernel, stranger, 5), [5, 0, 0], "{stranger}");
    }
    let counters = kernel.counters();
    let [unlisted, beyond] =
        ["unlisted", "flood-dropped"].map(|name| counters.outcomes[name].packets);
    assert_eq!(unlisted + beyond, 2 * 105);
    assert_eq!(counters.dropped.packets, beyond);
    assert_eq!(packets(&kernel, "flood-observed"), 0);
}

#[test]
fn observed_it_passes_and_is_counted_and_switched_off_it_is_not_even_that() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(Flood { action: FloodAction::Observe, ..FEW });
    for source in UNLISTED {
        assert_eq!(send(&kernel, source, 50), [50, 0, 0]);
    }
    let observed = u32::try_from(packets(&kernel, "flood-observed")).unwrap();
    assert!((86..=90).contains(&observed), "{observed}");
    assert_eq!(kernel.counters().dropped.packets, 0);

    // Other limits are in force at once.
    let mut limits = Limits { flood: FEW, ..Limits::default() };
    kernel.filter.set_limits(&limits).unwrap();
    let [_, dropped, _] = send(&kernel, UNLISTED[0], 50);
    assert!(dropped >= 48, "{dropped}");
    limits.flood.action = FloodAction::Off;
    kernel.filter.set_limits(&limits).unwrap();
    for source in UNLISTED {
        assert_eq!(send(&kernel, source, 50), [50, 0, 0]);
    }
    assert_eq!(packets(&kernel, "flood-observed"), u64::from(observed));
}

#[test]
fn below_the_rate_of_a_flood_no_network_is_looked_at() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Flood { engage_above: 1_000_000 * processors(), ..FEW });
    for source in UNLISTED {
        assert_eq!(send(&kernel, source, 500), [500, 0, 0], "{source}");
    }
}

#[test]
fn good_networks_are_exempt() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(FEW);
    for source in ["203.0.113.7", "2001:db8:77::7"] {
        for _ in 0..50 {
            assert_eq!(kernel.outcome(&syn(source)).0, "unlisted", "{source}");
        }
    }
}

#[test]
fn networks_with_a_recent_handshake_are_exempt_and_a_restart_does_not_forget_them() {
    if !needs::root() {
        return;
    }
    let mut kernel = kernel(FEW);
    for source in UNLISTED {
        assert!(send(&kernel, source, 50)[1] > 40, "{source}");
    }
    let known = [NEIGHBOURS[0], "::ffff:198.51.100.9", NEIGHBOURS[1]];
    kernel.filter.make_known(&known.map(|address| address.parse().unwrap())).unwrap();
    for source in UNLISTED {
        assert_eq!(send(&kernel, source, 50), [50, 0, 0], "{source}");
    }
    for source in STRANGERS {
        assert!(send(&kernel, source, 50)[1] > 40, "{source}");
    }
    kernel.filter = Filter::open(&kernel.config).unwrap();
    kernel.filter.sync(&rules(), &own()).unwrap();
    for source in UNLISTED {
        assert_eq!(send(&kernel, source, 50), [50, 0, 0], "{source}, after a restart");
    }
    let short = Flood { known_for: Duration::from_nanos(1), ..FEW };
    kernel.filter.set_limits(&Limits { flood: short, ..Limits::default() }).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    for source in UNLISTED {
        assert!(send(&kernel, source, 50)[1] > 40, "{source}, long after");
    }
}

#[test]
fn the_width_of_a_network_is_configured() {
    if !needs::root() {
        return;
    }
    let kernel = kernel(Flood { network_v4: 16, network_v6: 48, ..FEW });
    for (source, stranger) in UNLISTED.into_iter().zip(STRANGERS) {
        assert!(send(&kernel, source, 50)[1] > 40, "{source}");
        assert!(send(&kernel, stranger, 50)[1] > 40, "{stranger}, of the same network now");
    }
}

#[test]
fn a_listed_network_gets_its_share_of_answers_and_others_theirs() {
    if !needs::root() {
        return;
    }
    let limits = Limits {
        answers_per_network: 10 * processors(),
        flood: Flood { action: FloodAction::Off, ..FEW },
    };
    let mut kernel = Kernel::with(Config { limits, ..Config::default() });
    kernel.filter.sync(&rules(), &own()).unwrap();
    for (list, source) in [
        ("refused", "198.18.1.7"),
        ("reset", "198.18.2.7"),
        ("refused", "2001:db8:1::7"),
        ("reset", "2001:db8:2::7"),
    ] {
        let before = kernel.counters().lists[list]["drop"].packets;
        let [passed, dropped, answered] = send(&kernel, source, 500);
        assert_eq!(passed, 0, "{source}");
        // A second may begin while they are sent, and the test move to another processor.
        let most = 2 * 10 * processors();
        assert!((10..=most).contains(&answered), "{source}: {answered} answered");
        assert_eq!(answered + dropped, 500, "{source}");
        let counted = kernel.counters().lists[list]["drop"].packets - before;
        assert_eq!(counted, u64::from(dropped), "{source}: what was done is counted for its list");
    }
    let counters = kernel.counters();
    assert_eq!(counters.outcomes["over-network-cap"].packets, counters.dropped.packets);
    kernel.filter.set_limits(&Limits { answers_per_network: 0, ..Limits::default() }).unwrap();
    assert_eq!(send(&kernel, "198.18.1.7", 500), [0, 0, 500], "0 is no limit");
}
