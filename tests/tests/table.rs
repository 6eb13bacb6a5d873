//! The table in the kernel against a naive search, over hundreds of thousands of random prefixes.
//!
//! Each address is the source of a SYN that the loaded program judges; what it does says which prefix it found.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test that uses them"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process;
use std::time::Duration;

use aya::programs::{TestRun as _, TestRunOptions};
use gateway::clock::{Clock, Expiry};
use gateway::list::{Rule, Rules};
use gateway::net::Prefix;
use gateway::xdp::{Config, Filter, Limits, detach};
use gateway_ebpf::abi::KernelAction;
use harness::deadline::wait_for;
use harness::needs;
use harness::packet::Packet;

const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;

/// An action, and what the program does for it.
type Choice = (KernelAction, u32);

const ACTIONS: [Choice; 3] =
    [(KernelAction::Drop, DROP), (KernelAction::Reset, TX), (KernelAction::Off, PASS)];

/// The loaded program with pins of its own, which are gone when it is.
struct Kernel {
    filter: Filter,
    config: Config,
}

impl Kernel {
    fn new(name: &str) -> Self {
        let pin_dir = PathBuf::from(format!("/sys/fs/bpf/portcullis-{name}-{}", process::id()));
        // All probes come in a moment, some from one network, and each reset is to be seen.
        let limits = Limits { answers_per_network: 0, ..Limits::default() };
        let config = Config { pin_dir, limits, answers_per_second: 0, ..Config::default() };
        Self { filter: Filter::open(&config).unwrap(), config }
    }

    /// What the program does with a SYN from `source`.
    fn judge(&self, source: IpAddr) -> u32 {
        let host = own().into_iter().find(|own| own.is_ipv4() == source.is_ipv4()).unwrap();
        let frame = Packet::syn(SocketAddr::new(source, 40000), SocketAddr::new(host, 25)).bytes();
        let mut out = [0; 128];
        let options = TestRunOptions {
            data_in: Some(&frame),
            data_out: Some(&mut out),
            ..TestRunOptions::default()
        };
        self.filter.program().unwrap().test_run(options).unwrap().return_value
    }
}

impl Kernel {
    fn sync(
        &mut self,
        lasting: &BTreeMap<Prefix, Choice>,
        expiring: &BTreeMap<Prefix, (Choice, Expiry)>,
    ) {
        let rule = |prefix: &Prefix, (action, _): Choice, expires| Rule {
            prefix: *prefix,
            list: 0,
            action,
            expires,
        };
        let mut bad: Vec<Rule> =
            lasting.iter().map(|(prefix, choice)| rule(prefix, *choice, None)).collect();
        let until =
            |(prefix, (choice, at)): (&Prefix, &(Choice, Expiry))| rule(prefix, *choice, Some(*at));
        bad.extend(expiring.iter().map(until));
        let rules = Rules { lists: vec!["list".into()], bad, ..Rules::default() };
        self.filter.sync(&rules, &own()).unwrap();
    }

    /// Asks the program about the ends of the prefixes and about some addresses anywhere, and the daemon's own search.
    fn compare(
        &self,
        prefixes: &BTreeSet<Prefix>,
        rules: &BTreeMap<Prefix, Choice>,
        numbers: &mut Numbers,
    ) {
        let oracle =
            Oracle(rules.iter().map(|(prefix, (_, verdict))| (*prefix, *verdict)).collect());
        let mut probes: Vec<IpAddr> = prefixes.iter().flat_map(|prefix| ends(*prefix)).collect();
        probes.extend((0..300).flat_map(|_| [numbers.v4(), numbers.v6()]));
        for source in probes {
            let expected = oracle.judge(source);
            assert_eq!(self.judge(source), expected, "{source}");
            let rule = self.filter.lookup(source).unwrap();
            let action = rule.map_or(KernelAction::Off, |rule| rule.action);
            let verdict =
                ACTIONS.iter().find(|(known, _)| *known == action).map(|(_, verdict)| *verdict);
            assert_eq!(verdict, Some(expected), "{source} by the daemon");
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        detach(&self.config).unwrap();
    }
}

fn own() -> [IpAddr; 2] {
    ["192.0.2.25".parse().unwrap(), "2001:db8:25::25".parse().unwrap()]
}

/// Numbers that look random, always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Half of the addresses lie in a few networks, so that prefixes are nested and have neighbours.
    fn v4(&mut self) -> IpAddr {
        let bits = u32::try_from(self.next() >> 32).unwrap();
        let bits = match self.below(4) {
            0 => bits & 0x0003_ffff | 0x5000_0000,
            1 => bits & 0x003f_00ff | 0x6400_0000,
            _ => bits,
        };
        Ipv4Addr::from_bits(bits).into()
    }

    fn v6(&mut self) -> IpAddr {
        let mut bits = u128::from(self.next()) << 64 | u128::from(self.next());
        let base = 0x2a00_0100_u128 << 96;
        bits = match self.below(8) {
            0 => bits,
            1 | 2 => bits & (0xff << 96 | 0xffff << 64 | 0xff) | base,
            3 | 4 => bits & (0xff << 96 | 0x00ff_ffff << 72) | base,
            _ => bits & (0x3 << 96 | 0xffff_ffff_ffff << 48 | 0x3) | base,
        };
        Ipv6Addr::from_bits(bits).into()
    }

    fn length_v4(&mut self) -> u8 {
        let (first, last) = match self.below(100) {
            0 => (9, 23),
            1..=14 => (24, 24),
            15..=39 => (25, 31),
            _ => (32, 32),
        };
        self.between(first, last)
    }

    fn length_v6(&mut self) -> u8 {
        let (first, last) = match self.below(100) {
            0 => (20, 31),
            1..=9 => (32, 47),
            10..=29 => (48, 63),
            30..=59 => (64, 64),
            60..=69 => (65, 127),
            _ => (128, 128),
        };
        self.between(first, last)
    }

    fn between(&mut self, first: u8, last: u8) -> u8 {
        first + u8::try_from(self.below(u64::from(last - first) + 1)).unwrap()
    }
}

/// The longest prefix by asking each length for itself.
struct Oracle(HashMap<Prefix, u32>);

impl Oracle {
    fn judge(&self, source: IpAddr) -> u32 {
        let longest = if source.is_ipv4() { 32 } else { 128 };
        let mut prefixes = (0..=longest).rev().map(|length| Prefix::new(source, length).unwrap());
        prefixes.find_map(|prefix| self.0.get(&prefix)).copied().unwrap_or(PASS)
    }
}

/// The first and the last address of a prefix, and those beside them.
fn ends(prefix: Prefix) -> [IpAddr; 4] {
    match prefix.address() {
        IpAddr::V4(first) => {
            let first = first.to_bits();
            let last = first | u32::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpAddr::V6(first) => {
            let first = first.to_bits();
            let last = first | u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

#[test]
fn the_kernel_finds_what_a_naive_search_finds() {
    if !needs::root() {
        return;
    }
    let mut numbers = Numbers(42);
    let mut prefixes = BTreeSet::new();
    while prefixes.len() < 200_000 {
        let (address, length) = (numbers.v4(), numbers.length_v4());
        prefixes.insert(Prefix::new(address, length).unwrap());
    }
    while prefixes.len() < 300_000 {
        let (address, length) = (numbers.v6(), numbers.length_v6());
        prefixes.insert(Prefix::new(address, length).unwrap());
    }
    let mut oracle = Oracle(HashMap::new());
    let mut rules = Rules { lists: vec!["list".into()], ..Rules::default() };
    for prefix in &prefixes {
        let (action, verdict) = *numbers_choice(&mut numbers);
        rules.bad.push(Rule { prefix: *prefix, list: 0, action, expires: None });
        oracle.0.insert(*prefix, verdict);
    }
    let mut kernel = Kernel::new("table");
    kernel.filter.sync(&rules, &own()).unwrap();

    let ends = prefixes.iter().step_by(4).flat_map(|prefix| ends(*prefix));
    let mut probes: Vec<IpAddr> = ends.collect();
    probes.extend((0..40_000).flat_map(|_| [numbers.v4(), numbers.v6()]));
    let mut seen = HashMap::from([(DROP, 0), (PASS, 0), (TX, 0)]);
    for source in probes {
        let (found, expected) = (kernel.judge(source), oracle.judge(source));
        assert_eq!(found, expected, "{source}");
        *seen.entry(found).or_insert(0) += 1;
    }
    assert!(seen.values().all(|count| *count > 20_000), "all verdicts are met: {seen:?}");
}

/// Changes of a few prefixes among many are in force at once, what expires ends by itself, and all is the same after a restart
/// and after the delta was folded into the table.
#[test]
fn changes_and_expiries_are_what_a_naive_search_finds() {
    if !needs::root() {
        return;
    }
    let mut numbers = Numbers(43);
    let mut lasting = BTreeMap::new();
    while lasting.len() < 40_000 {
        let (prefix, choice) = (any_prefix(&mut numbers), *numbers_choice(&mut numbers));
        lasting.insert(prefix, choice);
    }
    let mut kernel = Kernel::new("delta");
    kernel.sync(&lasting, &BTreeMap::new());
    assert_eq!(kernel.filter.delta(), 0, "many at once are a table");

    let mut expiring = BTreeMap::new();
    for round in 0..4 {
        let mut touched = BTreeSet::new();
        let gone: Vec<Prefix> = lasting.keys().copied().step_by(997 + round).collect();
        for prefix in gone {
            lasting.remove(&prefix);
            touched.insert(prefix);
        }
        for _ in 0..60 {
            let (prefix, choice) = (any_prefix(&mut numbers), *numbers_choice(&mut numbers));
            lasting.insert(prefix, choice);
            touched.insert(prefix);
        }
        kernel.sync(&lasting, &BTreeMap::new());
        assert!(
            kernel.filter.delta() >= 100,
            "{} in the delta in round {round}",
            kernel.filter.delta()
        );
        kernel.compare(&touched, &lasting, &mut numbers);
    }

    // Of some that expire the same prefix also lasts, and some lie in each other.
    let soon = Expiry::at(Clock::System.now() + Duration::from_secs(6));
    let late = Expiry::at(Clock::System.now() + Duration::from_hours(1));
    let known: Vec<Prefix> = lasting.keys().copied().step_by(501).collect();
    let fresh: Vec<Prefix> = (0..60).map(|_| any_prefix(&mut numbers)).collect();
    for (number, prefix) in known.into_iter().chain(fresh).enumerate() {
        let expires = if number % 2 == 0 { soon } else { late };
        expiring.insert(prefix, (*numbers_choice(&mut numbers), expires));
    }
    kernel.sync(&lasting, &expiring);
    let touched: BTreeSet<Prefix> = expiring.keys().copied().collect();
    let mut all = lasting.clone();
    all.extend(expiring.iter().map(|(prefix, (choice, _))| (*prefix, *choice)));
    kernel.compare(&touched, &all, &mut numbers);
    let in_time = clock_second() + 1 < soon.as_second();
    assert!(in_time, "too slow to see what was there before it expired");
    assert!(!kernel.filter.is_stale(), "nothing has expired");

    let expired = || Ok((clock_second() > soon.as_second() + 1).then_some(()));
    wait_for("the expiry", Duration::from_secs(30), expired).unwrap();
    let mut all = lasting.clone();
    let live = expiring.iter().filter(|(_, (_, expires))| *expires == late);
    all.extend(live.map(|(prefix, (choice, _))| (*prefix, *choice)));
    kernel.compare(&touched, &all, &mut numbers);

    // What has expired is only looked past, until the next sync takes it out.
    assert!(kernel.filter.is_stale(), "something has expired");
    let with_expired = kernel.filter.delta();
    kernel.sync(&lasting, &expiring);
    assert!(!kernel.filter.is_stale() && kernel.filter.delta() < with_expired);
    kernel.compare(&touched, &all, &mut numbers);

    // A daemon that starts again knows nothing, and finds what is there.
    kernel.filter = Filter::open(&kernel.config).unwrap();
    kernel.compare(&touched, &all, &mut numbers);
    kernel.sync(&lasting, &expiring);
    kernel.compare(&touched, &all, &mut numbers);
    let host: Prefix = "203.0.113.77".parse().unwrap();
    lasting.insert(host, (KernelAction::Drop, DROP));
    all.insert(host, (KernelAction::Drop, DROP));
    let before = kernel.filter.delta();
    kernel.sync(&lasting, &expiring);
    assert_eq!(kernel.filter.delta(), before + 1);
    assert!(kernel.filter.fold().unwrap(), "there is something to fold");
    assert!(!kernel.filter.fold().unwrap(), "and then there is not");
    assert_eq!(kernel.filter.delta(), before);
    kernel.compare(&touched, &all, &mut numbers);
}

fn clock_second() -> u32 {
    Expiry::at(Clock::System.now()).as_second()
}

/// None so wide that many others lie in it: with such changes a table is made anew.
fn any_prefix(numbers: &mut Numbers) -> Prefix {
    let v4 = numbers.below(2) == 0;
    let (address, length) = if v4 {
        (numbers.v4(), numbers.length_v4().max(22))
    } else {
        (numbers.v6(), numbers.length_v6().max(44))
    };
    Prefix::new(address, length).unwrap()
}

fn numbers_choice(numbers: &mut Numbers) -> &'static Choice {
    let choice = usize::try_from(numbers.below(3)).unwrap();
    ACTIONS.get(choice).unwrap_or_else(|| panic!("{choice} of {}", ACTIONS.len()))
}
