//! The life of the filter on interfaces: native and generic, adopted by the next daemon, in the way of others, removed.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, io, process, thread};

use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{Array, Map, MapData};
use gateway::list::{Rule, Rules};
use gateway::net::Prefix;
use gateway::xdp::{Attachment, Config, Filter, Mode, RunsIn, detach, is_pinned};
use gateway_ebpf::abi::{KernelAction, SCHEMA};
use harness::deadline::Deadline;
use harness::needs;
use harness::netns::{NetNs, veth};

const EDGE: &str = "198.18.7.1";
const SENDER: &str = "198.18.7.2";

/// Two hosts on a cable, and a filter on the first of them, with pins of its own.
struct Hosts {
    edge: NetNs,
    sender: NetNs,
    config: Config,
}

impl Hosts {
    fn new(interfaces: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (edge, sender) = (NetNs::new("edge").unwrap(), NetNs::new("sender").unwrap());
        let hosts = Self {
            edge,
            sender,
            config: Config {
                interfaces: interfaces.iter().map(ToString::to_string).collect(),
                mode: Mode::Auto,
                ports: vec![25],
                pin_dir: PathBuf::from(format!(
                    "/sys/fs/bpf/portcullis-attach-{}-{number}",
                    process::id()
                )),
                ..Config::default()
            },
        };
        hosts.join("eth0");
        hosts
    }

    /// Lays the cable, with `device` at the edge's end.
    fn join(&self, device: &str) {
        veth(&self.edge, device, &self.sender, "eth0").unwrap();
        self.edge.addresses(device, &[format!("{EDGE}/24")]).unwrap();
        self.sender.addresses("eth0", &[format!("{SENDER}/24")]).unwrap();
        self.sender.attach_pass_program("eth0").unwrap();
    }

    /// What a starting daemon does: open, sync, attach.
    fn start(&self, action: KernelAction) -> (Filter, Vec<Attachment>) {
        self.edge
            .run(|| {
                let mut filter = Filter::open(&self.config).unwrap();
                filter.sync(&rules(action), &[EDGE.parse().unwrap()]).unwrap();
                let attachments = filter.attach().unwrap();
                (filter, attachments)
            })
            .unwrap()
    }

    /// What the sender sees when it connects to port 25 of the edge, where nobody listens.
    fn connect(&self) -> io::ErrorKind {
        let edge = SocketAddr::new(EDGE.parse().unwrap(), 25);
        let connect = || TcpStream::connect_timeout(&edge, Duration::from_millis(250));
        self.sender.run(connect).unwrap().unwrap_err().kind()
    }

    fn pins(&self) -> Vec<String> {
        let folder = self.config.pin_dir.join(format!("v{SCHEMA}"));
        let mut pins: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|pin| pin.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("link-"))
            .collect();
        pins.sort();
        pins
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        detach(&self.config).unwrap();
        assert!(!self.config.pin_dir.exists());
    }
}

/// The sender is bad.
fn rules(action: KernelAction) -> Rules {
    Rules {
        version: 1,
        lists: vec!["bad".into()],
        good: Vec::new(),
        bad: vec![Rule { prefix: SENDER.parse().unwrap(), list: 0, action, expires: None }],
    }
}

fn attachment(interface: &str, mode: RunsIn, adopted: bool) -> Attachment {
    Attachment { interface: interface.to_owned(), mode, adopted, replies: true, reason: None }
}

fn dropped(filter: &Filter) -> u64 {
    filter.counters().unwrap().dropped.packets
}

#[test]
fn protection_outlives_the_daemon_and_the_next_one_adopts_it() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, false)]);
    assert_eq!(hosts.pins(), ["link-eth0-native"]);
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);
    let before = dropped(&filter);
    assert!(before >= 1);

    drop(filter);
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);

    let (filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, true)]);
    let meanwhile = dropped(&filter);
    assert!(meanwhile > before, "counted on while no daemon ran");
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);
    assert!(dropped(&filter) > meanwhile);
    let list = &filter.counters().unwrap().lists["bad"]["drop"];
    assert_eq!(list.packets, dropped(&filter));

    hosts.edge.run(|| filter.detach().unwrap()).unwrap();
    // Nobody listens, so the edge itself refuses at once: the filter is gone.
    assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_daemon_of_another_schema_version_hands_over() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    drop(hosts.start(KernelAction::Drop));
    let folder = hosts.config.pin_dir.join(format!("v{SCHEMA}"));
    let older = hosts.config.pin_dir.join("v0");
    fs::rename(&folder, &older).unwrap();
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut, "the older program goes on");
    assert!(is_pinned(&hosts.config), "whoever wants no filter must hear of it");
    let (filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, true)]);
    assert!(!older.exists());
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);
    assert!(dropped(&filter) >= 1, "our program decides");
    hosts.edge.run(|| filter.detach().unwrap()).unwrap();
}

#[test]
fn adoption_lets_nothing_through() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (first, _) = hosts.start(KernelAction::Drop);
    let last = under_flood(&hosts, || {
        (0..5).fold(first, |filter, _| {
            thread::sleep(Duration::from_millis(50));
            drop(filter);
            let (next, attachments) = hosts.start(KernelAction::Drop);
            assert!(attachments[0].adopted);
            next
        })
    });
    assert!(dropped(&last) >= 50, "only {} attempts", dropped(&last));
}

/// Ten tables, one after the other, of which two have outgrown the one before and come with a program of their own.
#[test]
fn new_tables_let_nothing_through() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (mut filter, _) = hosts.start(KernelAction::Drop);
    under_flood(&hosts, || {
        for (number, count) in (0_u32..).zip([1, 2, 3, 1_400_000, 1, 2, 3, 2_800_000, 1, 2]) {
            let mut rules = rules(KernelAction::Drop);
            let host = |host: u32| Prefix::host(Ipv4Addr::from(0x0b00_0000 + 7 * host).into());
            let bad = (number..number + count).map(host);
            rules.bad.extend(bad.map(|prefix| Rule {
                prefix,
                list: 0,
                action: KernelAction::Count,
                expires: None,
            }));
            rules.bad.sort();
            let report = hosts.edge.run(|| filter.sync(&rules, &[EDGE.parse().unwrap()]));
            let report = report.unwrap().unwrap();
            assert_eq!(report.entries, 1 + count as usize);
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(dropped(&filter) >= 50, "only {} attempts", dropped(&filter));
    // The program that runs is the last one that was loaded: it knows the last table.
    assert_eq!(hosts.pins(), ["link-eth0-native"]);
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);
}

/// An earlier daemon's program asks the tables that it was loaded with until ours takes its place; when ours has outgrown
/// them, nothing of what it needs besides may go before that.
#[test]
fn a_table_outgrown_at_a_start_treats_nobody_wrongly_before_the_program_is_attached() {
    if !needs::root() {
        return;
    }
    let rule = |prefix: Prefix, action| Rule { prefix, list: 0, action, expires: None };
    let others = |count: u32| {
        let host = |number: u32| Prefix::host(Ipv4Addr::from(0x0b00_0000 + 7 * number).into());
        (0..count).map(move |number| rule(host(number), KernelAction::Drop))
    };
    let sender = rule(SENDER.parse().unwrap(), KernelAction::Drop);
    let network = rule("198.18.7.0/24".parse().unwrap(), KernelAction::Drop);
    let good = rule(SENDER.parse().unwrap(), KernelAction::Off);
    let made = |good: &[Rule], bad: &[Rule], count| {
        let mut bad: Vec<Rule> = bad.iter().copied().chain(others(count)).collect();
        bad.sort();
        Rules { version: 1, lists: vec!["list".into()], good: good.to_vec(), bad }
    };
    let grown = 1_400_000;
    for (what, before, after, expected) in [
        (
            "bad by the delta, then by the table",
            [made(&[], &[], 200), made(&[], &[sender], 200)],
            made(&[], &[sender], grown),
            io::ErrorKind::TimedOut,
        ),
        (
            "good in a bad network, then in none",
            [made(&[], &[], 200), made(&[good], &[network], 200)],
            made(&[good], &[], grown),
            io::ErrorKind::ConnectionRefused,
        ),
    ] {
        let hosts = Hosts::new(&["eth0"]);
        let (mut first, _) = hosts.start(KernelAction::Count);
        let own = [EDGE.parse().unwrap()];
        for rules in &before {
            hosts.edge.run(|| first.sync(rules, &own).unwrap()).unwrap();
        }
        assert_eq!(hosts.connect(), expected, "{what}");
        drop(first);
        let sync = || {
            let mut next = Filter::open(&hosts.config).unwrap();
            next.sync(&after, &own).unwrap();
            next
        };
        let mut next = hosts.edge.run(sync).unwrap();
        assert_eq!(hosts.connect(), expected, "{what}, before the program is attached");
        let attachments = hosts.edge.run(|| next.attach().unwrap()).unwrap();
        assert_eq!(attachments, [attachment("eth0", RunsIn::Native, true)]);
        assert_eq!(hosts.connect(), expected, "{what}, after that");
    }
}

/// Rules that make no table change nothing: few changes still go into the delta, which needs little memory, and an address
/// that the host got meanwhile is filtered by the rules that are there.
#[test]
fn rules_that_make_no_table_keep_nothing_else_from_the_kernel() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let rule = |number: u32, list: u32, action| Rule {
        prefix: Prefix::host(Ipv4Addr::from(0x0b00_0000 + number).into()),
        list: u16::try_from(list).unwrap(),
        action,
        expires: None,
    };
    let sender = rules(KernelAction::Drop).bad[0];
    let made = |bad: Vec<Rule>| {
        let lists = (0..60).map(|number| format!("list-{number}").into()).collect();
        let mut bad = [bad, vec![sender]].concat();
        bad.sort();
        Rules { version: 1, lists, good: Vec::new(), bad }
    };
    let few = |count| made((0..count).map(|number| rule(number, 0, KernelAction::Drop)).collect());
    let too_many =
        made((0..300).map(|n| rule(n, n % 60, KernelAction::ALL[n as usize / 60])).collect());
    let sync = || {
        let mut filter = Filter::open(&hosts.config).unwrap();
        filter.sync(&few(200), &[]).unwrap();
        filter.attach().unwrap();
        assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused, "not an own address");
        let own = [EDGE.parse().unwrap()];
        let error = filter.sync(&too_many, &own).unwrap_err().to_string();
        assert!(error.contains("combinations"), "{error}");
        assert_eq!(hosts.connect(), io::ErrorKind::TimedOut, "an own address");
        filter.sync(&few(201), &own).unwrap();
        assert_eq!(filter.delta(), 1);
    };
    hosts.edge.run(sync).unwrap();
}

/// What is damaged, how, and whether the link outlives it.
type Damage<'a> = (&'a str, &'a dyn Fn(), bool);

/// What lies in the pins is damaged while no daemon runs: the program that runs goes on with what it holds, and the next
/// daemon makes everything anew before it takes its place.
#[test]
fn damaged_pins_let_nothing_through() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (first, _) = hosts.start(KernelAction::Drop);
    let folder = hosts.config.pin_dir.join(format!("v{SCHEMA}"));
    let foreign = |name: &str| {
        let pin = folder.join(name);
        fs::remove_file(&pin).unwrap();
        Array::<MapData, u64>::create(1, 0).unwrap().pin(pin).unwrap();
    };
    let damages: [Damage<'_>; 5] = [
        ("a table torn", &|| tear(&folder.join("BAD_V4")), true),
        ("a map of others", &|| foreign("OWN_V4"), true),
        ("a map is gone", &|| fs::remove_file(folder.join("CONTROL")).unwrap(), true),
        ("all maps are gone", &|| remove_all_but_links(&folder), true),
        // Where the link is lost there is a gap, since the kernel ends it with its pin.
        ("no link but a map", &|| foreign("link-eth0-native"), false),
    ];
    damages.into_iter().fold(first, |filter, (what, damage, has_link)| {
        drop(filter);
        let start = || {
            damage();
            if has_link {
                assert_eq!(hosts.connect(), io::ErrorKind::TimedOut, "{what}: the program goes on");
            }
            hosts.start(KernelAction::Drop)
        };
        let (next, attachments) = if has_link { under_flood(&hosts, start) } else { start() };
        assert_eq!(attachments, [attachment("eth0", RunsIn::Native, has_link)], "{what}");
        assert_eq!(hosts.pins(), ["link-eth0-native"], "{what}");
        assert_eq!(hosts.connect(), io::ErrorKind::TimedOut, "{what}");
        assert!(dropped(&next) >= 1, "{what}: our program decides");
        next
    });
}

/// Cuts the table pinned at `holder` off in its middle, as a write that never ended would, header and all.
fn tear(holder: &Path) {
    let holder = Map::from_map_data(MapData::from_pin(holder).unwrap()).unwrap();
    let holder: ArrayOfMaps<MapData, MapData> = holder.try_into().unwrap();
    let table = Map::from_map_data(holder.get(&0, 0).unwrap()).unwrap();
    let mut table: Array<MapData, [u64; 8]> = table.try_into().unwrap();
    // Only lines that say nothing of this test's sender, whom the program goes on to drop meanwhile.
    for line in table.len() - 8..table.len() {
        table.set(line, [u64::MAX; 8], 0).unwrap();
    }
}

fn remove_all_but_links(folder: &Path) {
    for pin in fs::read_dir(folder).unwrap() {
        let pin = pin.unwrap();
        if !pin.file_name().to_string_lossy().starts_with("link-") {
            fs::remove_file(pin.path()).unwrap();
        }
    }
}

/// Does `work` while the sender, which is bad, connects as fast as it can; not one attempt may get through.
fn under_flood<T>(hosts: &Hosts, work: impl FnOnce() -> T) -> T {
    let (over, leaked) = (AtomicBool::new(false), AtomicU32::new(0));
    // A SYN that passes is refused by the edge itself, in well under these 20 ms.
    let flood = || {
        let edge = SocketAddr::new(EDGE.parse().unwrap(), 25);
        // Where the work fails, nobody says that it is over.
        let deadline = Deadline::after(Duration::from_mins(1));
        while !over.load(Ordering::Relaxed) && !deadline.passed() {
            let attempt = TcpStream::connect_timeout(&edge, Duration::from_millis(20));
            if attempt.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                leaked.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let sender = || hosts.sender.run(flood).unwrap();
    let done = thread::scope(|scope| {
        let senders = [(); 8].map(|()| scope.spawn(sender));
        let done = work();
        over.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().unwrap();
        }
        done
    });
    assert_eq!(leaked.load(Ordering::Relaxed), 0);
    done
}

#[test]
fn a_reset_reaches_the_sender() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (filter, _) = hosts.start(KernelAction::Reset);
    assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused);
    let counters = filter.counters().unwrap();
    assert_eq!((counters.reset.packets, counters.dropped.packets), (1, 0));
}

#[test]
fn each_interface_has_its_own_fate() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0", "no-such-if", "lo"]);
    let (filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments[0], attachment("eth0", RunsIn::Native, false));
    assert_eq!(attachments[1].mode, RunsIn::Off);
    let reason = attachments[1].reason.as_deref().unwrap();
    assert!(reason.starts_with("no such interface"), "{reason}");
    // The loopback device has no native mode.
    assert_eq!(attachments[2].mode, RunsIn::Generic);
    let reason = attachments[2].reason.as_deref().unwrap();
    assert_eq!(reason, "native: the driver cannot do it");
    assert_eq!(hosts.pins(), ["link-eth0-native", "link-lo-generic"]);
    drop(filter);

    let (filter, attachments) = hosts.start(KernelAction::Drop);
    assert!(attachments[0].adopted && attachments[2].adopted);
    let reason = attachments[2].reason.as_deref().unwrap();
    assert!(reason.starts_with("generic since an earlier start"), "{reason}");
    drop(filter);

    // An interface that is no longer configured is left alone.
    let mut hosts = hosts;
    hosts.config.interfaces = vec!["lo".to_owned()];
    let (_filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments.len(), 1);
    assert_eq!(hosts.pins(), ["link-lo-generic"]);
    assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn the_configured_mode_is_obeyed() {
    if !needs::root() {
        return;
    }
    let mut hosts = Hosts::new(&["eth0"]);
    for (mode, pins, connect) in [
        (Mode::Generic, vec!["link-eth0-generic"], io::ErrorKind::TimedOut),
        (Mode::Native, vec!["link-eth0-native"], io::ErrorKind::TimedOut),
        (Mode::Off, vec![], io::ErrorKind::ConnectionRefused),
    ] {
        hosts.config.mode = mode;
        let (_filter, attachments) = hosts.start(KernelAction::Drop);
        assert!(!attachments[0].adopted, "{mode:?}");
        assert_eq!(hosts.pins(), pins, "{mode:?}");
        assert_eq!(hosts.connect(), connect, "{mode:?}");
    }
    hosts.config.mode = Mode::Native;
    hosts.config.interfaces = vec!["lo".to_owned()];
    let (_filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments[0].mode, RunsIn::Off);
    assert!(hosts.pins().is_empty());
}

#[test]
fn a_program_in_the_way_is_named() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    hosts.edge.attach_pass_program("eth0").unwrap();
    let (_filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments[0].mode, RunsIn::Off);
    let reason = attachments[0].reason.as_deref().unwrap();
    assert!(
        reason.starts_with("native: another XDP program runs there already: `only`, number "),
        "{reason}"
    );
    assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_interface_made_anew_is_attached_anew() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&["eth0"]);
    let (mut filter, _) = hosts.start(KernelAction::Drop);
    hosts.edge.ip("link delete eth0").unwrap();
    hosts.join("eth0");
    assert_eq!(hosts.connect(), io::ErrorKind::ConnectionRefused);
    let attachments = hosts.edge.run(|| filter.attach().unwrap()).unwrap();
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, false)]);
    assert_eq!(hosts.connect(), io::ErrorKind::TimedOut);

    // An interface that took over the name of another: the pin leads to the wrong one.
    hosts.edge.ip("link set eth0 down").unwrap();
    hosts.edge.ip("link set eth0 name old0").unwrap();
    hosts.edge.ip("link add eth0 type veth peer name peer0").unwrap();
    let attachments = hosts.edge.run(|| filter.attach().unwrap()).unwrap();
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, false)]);
}

#[test]
fn the_default_routes_interface_is_found() {
    if !needs::root() {
        return;
    }
    let hosts = Hosts::new(&[]);
    let (_filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments, []);
    hosts.edge.ip(&format!("route add default via {SENDER}")).unwrap();
    let (_filter, attachments) = hosts.start(KernelAction::Drop);
    assert_eq!(attachments, [attachment("eth0", RunsIn::Native, false)]);
}

#[test]
fn a_vlan_interfaces_name_can_be_pinned() {
    if !needs::root() {
        return;
    }
    let mut hosts = Hosts::new(&[]);
    hosts.edge.ip("link delete eth0").unwrap();
    hosts.join("eth0.100");
    hosts.config.interfaces = vec!["eth0.100".to_owned()];
    for adopted in [false, true] {
        let (_filter, attachments) = hosts.start(KernelAction::Drop);
        assert_eq!(attachments, [attachment("eth0.100", RunsIn::Native, adopted)]);
        assert_eq!(hosts.pins(), ["link-eth0%2e100-native"]);
    }
}
