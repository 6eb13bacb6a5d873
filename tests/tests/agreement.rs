//! The kernel and the daemon say the same of every address: random lists in both, random addresses asked of both.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that uses them")]

mod program;

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use gateway::audit;
use gateway::clock::{Clock, Expiry, Timestamp};
use gateway::engine::{Engine, Settings};
use gateway::list::{
    Class, List, ListAction, Listed, Loaded, Membership, Origin, Part, Remark, Rules,
};
use gateway::net::Prefix;
use gateway::policy::{Cause, Policy};
use gateway::xdp::{Config, KernelRule, Limits, read_pinned};
use gateway_ebpf::abi::KernelAction;
use harness::needs;
use harness::packet::Packet;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::program::{DROP, Kernel, PASS, TX};

const OWN: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 25)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x25, 0, 0, 0, 0, 0x25)),
];

/// Addresses that lie close together, so that prefixes of random length cover some of them and not others.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u32..512).prop_map(|low| Ipv4Addr::from_bits(0xc612_0000 + low).into()),
        (0_u128..512).prop_map(|low| {
            Ipv6Addr::from_bits(0x2001_0db8_0001_0000_0000_0000_0000_0000 + (low << 60)).into()
        }),
    ]
}

/// A prefix, and when it ends, in seconds from now.
type Ending = (Prefix, Option<i64>);

/// A prefix round such an address, and when it ends: never, an hour ago, in an hour.
fn listed() -> impl Strategy<Value = Ending> {
    let end = prop::sample::select(vec![None, None, Some(-3600), Some(3600)]);
    (address(), 0_u8..=10, end).prop_map(|(address, wider, end)| {
        let longest = if address.is_ipv4() { 32 } else { 68 };
        (Prefix::new(address, longest - wider).unwrap(), end)
    })
}

fn list() -> impl Strategy<Value = (List, Vec<Ending>)> {
    let class = prop::sample::select(Class::ALL.to_vec());
    let action = prop::sample::select(vec![
        ListAction::Reject,
        ListAction::Reject,
        ListAction::Defer,
        ListAction::Tag,
    ]);
    let kernel = prop::sample::select(KernelAction::ALL.to_vec());
    let enforce = prop::bool::weighted(0.8);
    let spec = (class, action, kernel, enforce).prop_map(|(class, action, kernel, enforce)| {
        let action = if class.is_good() { ListAction::Accept } else { action };
        let kernel = if action == ListAction::Reject { kernel } else { KernelAction::Off };
        List { kernel, enforce, ..List::new("any", class, action) }
    });
    (spec, prop::collection::vec(listed(), 0..16))
}

/// The lists with names of their own, each with its entries.
fn loaded(lists: Vec<(List, Vec<Ending>)>, now: Timestamp) -> Vec<Loaded> {
    let loaded = |(number, (list, prefixes)): (usize, (List, Vec<Ending>))| {
        let name: Arc<str> = format!("list-{number}").into();
        let entries = prefixes.into_iter().map(|(prefix, end)| Listed {
            prefix,
            line: 0,
            remark: Remark::default(),
            expires: end
                .map(|end| Expiry::at(Timestamp::from_second(now.as_second() + end).unwrap())),
        });
        let entries = Arc::new(entries.collect());
        Loaded {
            list: Arc::new(List { label: Arc::clone(&name), name, ..list }),
            parts: vec![Part { origin: Arc::new(Origin::Manual), entries }],
        }
    };
    lists.into_iter().enumerate().map(loaded).collect()
}

#[test]
fn kernel_and_daemon_say_the_same_of_every_address() {
    if !needs::root() {
        return;
    }
    let limits = Limits { answers_per_network: 0, ..Limits::default() };
    let kernel =
        RefCell::new(Kernel::with(Config { answers_per_second: 0, limits, ..Config::default() }));
    let policy = Policy { enforce: true, ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let engine = Engine::new(settings, audit::Writer::none(), Clock::System);
    let (version, refused) = (Cell::new(0), Cell::new(0_u32));
    let cases = (prop::collection::vec(list(), 1..6), prop::collection::vec(address(), 48));
    let mut runner = TestRunner::new(ProptestConfig { cases: 48, ..ProptestConfig::default() });
    let result = runner.run(&cases, |(lists, addresses)| {
        version.set(version.get() + 1);
        let mut kernel = kernel.borrow_mut();
        let now = Clock::System.now();
        let membership = Arc::new(Membership::new(loaded(lists, now), &[]));
        kernel.filter.sync(&Rules::compile(&membership, version.get(), now), &OWN).unwrap();
        engine.set_lists(Arc::clone(&membership), version.get());
        for source in addresses {
            let [v4, v6] = OWN;
            let host = if source.is_ipv4() { v4 } else { v6 };
            let syn = Packet::syn(SocketAddr::new(source, 40_000), SocketAddr::new(host, 25));
            let (_outcome, verdict, _frame) = kernel.outcome(&syn.bytes());
            let decision = engine.judge_address(source);
            let rejects = decision.effective().refuses() && decision.action.name() == "reject";
            let cause = decision.cause.as_ref().filter(|_cause| rejects);
            let by = cause.and_then(Cause::entry).map(|found| &found.list);
            // A list that the kernel leaves to the daemon, or only counts, is the daemon's alone.
            let by = by.filter(|list| list.kernel > KernelAction::Count);
            let in_kernel = matches!(verdict, DROP | TX);
            prop_assert!(in_kernel || verdict == PASS, "{}: {}", source, verdict);
            prop_assert_eq!(in_kernel, by.is_some(), "{}: {:?}", source, decision);
            if let Some(list) = by {
                let rule: Option<KernelRule> = read_pinned(&kernel.config, source).unwrap();
                let rule = rule.map(|rule| (rule.list.to_string(), rule.action));
                prop_assert_eq!(rule, Some((list.name.to_string(), list.kernel)), "{}", source);
                refused.set(refused.get() + 1);
            }
        }
        Ok(())
    });
    result.unwrap();
    let refused = refused.get();
    assert!(refused > 100, "only {refused} addresses were refused, so that little was compared");
}
