//! Counts what became of a packet, tells of some, and logs it when the daemon was built and started for that.

use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{Counter, Outcome};
use gateway_ebpf::action::Decision;

use crate::{event, maps};

/// Counts one packet under its outcome, and under the list that decided.
#[inline(always)]
pub(crate) fn count(context: &XdpContext, decision: Decision, bytes: u64) {
    add(maps::outcome_counter(decision.outcome.index()), bytes);
    if let Some(index) = decision.list_index() {
        add(maps::list_counter(index), bytes);
        log(context, decision);
    }
    if let Some(rule) = decision.rule {
        event::tell(context, decision.outcome, rule, bytes);
    } else if decision.first_of_flood {
        event::tell_of_flood(context, decision.outcome, bytes);
    }
}

/// Counts one packet that is none of ours.
#[inline(always)]
pub(crate) fn passed(outcome: Outcome, bytes: u64) {
    add(maps::outcome_counter(outcome.index()), bytes);
}

#[inline(always)]
fn add(counter: Option<*mut Counter>, bytes: u64) {
    if let Some(counter) = counter {
        // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += bytes;
    }
}

#[cfg(feature = "log")]
#[inline(always)]
fn log(context: &XdpContext, decision: Decision) {
    if let Some(rule) = decision.rule {
        aya_log_ebpf::debug!(
            context,
            target: "gateway::xdp::program",
            "slot {} decided: outcome {}",
            rule.list(),
            decision.outcome.index()
        );
    }
}

#[cfg(not(feature = "log"))]
#[inline(always)]
fn log(_: &XdpContext, _: Decision) {}
