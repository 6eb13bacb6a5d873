//! Writes down what the kernel did: some of the packets one by one, all of them as counts per list once a minute.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gateway_ebpf::abi::{KernelAction, Outcome as KernelOutcome};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::engine::Engine;
use crate::list::{Class, List};
use crate::net::Hop;
use crate::policy::{
    Action, AddressFacts, Cause, KernelFacts, Offending, Outcome, Phase, Record,
    SCHEMA as RECORD_SCHEMA, Verdict,
};
use crate::xdp::{self, Counters, KernelEvent};

/// Writes a record of a packet that ended in the kernel; false for one that went on to the daemon, which has its own.
pub(super) fn record(engine: &Engine, event: &KernelEvent) -> bool {
    let Some((verdict, action)) = judged(engine, event) else { return false };
    let client = event.client.ip();
    let mut decision = engine.judge_address(client);
    let name = event.list.as_deref();
    let of_list = |facts: &AddressFacts| {
        let found = facts.matches.iter().find(|found| Some(&*found.list.name) == name);
        found.cloned().map(Cause::Entry)
    };
    decision.phase = Phase::Kernel;
    decision.verdict = verdict;
    decision.action = action;
    decision.enforced = true;
    decision.offending = Some(Offending { ip: client, hop: Hop::Connect });
    // The lists may have changed since; then the entry is gone, and its list is named all the same.
    decision.cause = decision.addresses.first().and_then(of_list);
    decision.score = None;
    decision.reply = None;
    let outcome = Outcome::default();
    let mut record = Record::new(event.time, event.client, event.local, None, &decision, outcome);
    record.list = name;
    record.kernel = Some(facts(event));
    engine.audit().write_decision(record);
    true
}

/// A kernel event as it is told to whoever follows its address, what passes on to the daemon among it.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    time: Timestamp,
    phase: Phase,
    client: IpAddr,
    client_port: u16,
    local: SocketAddr,
    list: Option<&'a str>,
    kernel: KernelFacts,
}

impl<'a> Told<'a> {
    pub(super) fn new(event: &'a KernelEvent) -> Self {
        Self {
            time: event.time,
            phase: Phase::Kernel,
            client: event.client.ip(),
            client_port: event.client.port(),
            local: event.local,
            list: event.list.as_deref(),
            kernel: facts(event),
        }
    }
}

fn facts(event: &KernelEvent) -> KernelFacts {
    KernelFacts {
        outcome: event.outcome.name(),
        action: event.action.map(KernelAction::name),
        interface: event.interface,
        packets: event.weight,
        octets: event.length,
    }
}

/// What a packet came to; `None` where it went on to the daemon, but for the first of a flood, which stands for a network.
fn judged(engine: &Engine, event: &KernelEvent) -> Option<(Verdict, Action)> {
    match event.outcome {
        KernelOutcome::Counted => None,
        KernelOutcome::FloodObserved => Some((Verdict::Flood, Action::Observe)),
        KernelOutcome::FloodDropped => Some((Verdict::Flood, Action::Reject)),
        _ => {
            let list = event.list.as_deref().and_then(|name| engine.list(name));
            Some((verdict(list.as_deref()), Action::Reject))
        }
    }
}

fn verdict(list: Option<&List>) -> Verdict {
    list.map_or(Class::LocalBad, |list| list.class).into()
}

/// What the counts were when they were written last.
#[derive(Debug)]
pub(super) struct CountRecords {
    before: Counters,
    since: Timestamp,
}

/// What the kernel did for one list in one way since the last record of this kind.
#[derive(Serialize)]
struct CountRecord<'a> {
    schema: u8,
    time: Timestamp,
    phase: Phase,
    verdict: Verdict,
    code: &'static str,
    list: &'a Arc<str>,
    family: &'static str,
    kernel_action: &'static str,
    since: Timestamp,
    packets: u64,
    bytes: u64,
    rules: u64,
}

impl CountRecords {
    /// Counts from now on: what was before has been written by an earlier daemon, or by nobody.
    pub(super) fn new(config: &xdp::Config, now: Timestamp) -> Self {
        Self { before: xdp::read_counters(config).unwrap_or_default(), since: now }
    }

    /// Writes a record for each list, family and action that counted something.
    pub(super) fn write(&mut self, config: &xdp::Config, engine: &Engine, now: Timestamp) {
        let Ok(counters) = xdp::read_counters(config) else { return };
        let counted = counters.since(&self.before);
        for (list, families) in &counted.families {
            for (family, actions) in families {
                for (kernel_action, count) in actions.iter().filter(|(_, count)| count.packets > 0)
                {
                    let verdict = verdict(engine.list(list).as_deref());
                    engine.audit().write(&CountRecord {
                        schema: RECORD_SCHEMA,
                        time: now,
                        phase: Phase::Kernel,
                        verdict,
                        code: verdict.code(),
                        list,
                        family,
                        kernel_action,
                        since: self.since,
                        packets: count.packets,
                        bytes: count.bytes,
                        rules: engine.rules_version(),
                    });
                }
            }
        }
        (self.before, self.since) = (counters, now);
    }
}
