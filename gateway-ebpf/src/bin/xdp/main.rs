//! The XDP program: refuses connection attempts from listed sources to filtered ports, and passes everything else.
//!
//! It decides nothing by itself: parsing, decision, dialogue and answer are the library's. It never ends in
//! `XDP_ABORTED`, and what it cannot read passes, counted.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    unsafe_code,
    reason = "packets and maps are reached through raw pointers that the kernel's verifier checks"
)]

mod capture;
mod event;
mod limit;
mod maps;
mod packet;
mod refuse;
#[cfg(feature = "repeat")]
mod repeat;
mod report;
mod trie_key;

use aya_ebpf::Global;
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{MAX_PORTS, Outcome};
use gateway_ebpf::action::Decision;
use gateway_ebpf::glance::glance;
use gateway_ebpf::parse::{Intent, Segment, parse};

use crate::packet::Packet;

/// The filtered ports, set by the loader; the first 0 ends them.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
static PORTS: [Global<u16>; MAX_PORTS] = [const { Global::new(0) }; MAX_PORTS];

/// Helpers that the program calls are open to programs under a licence compatible with the GPL only.
// SAFETY: the section holds this text alone; no other symbol of the object has this name.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Called for each packet that an interface receives.
#[xdp]
fn portcullis(context: XdpContext) -> u32 {
    filter(&context)
}

#[inline(always)]
fn filter(context: &XdpContext) -> u32 {
    let packet = Packet::new(context);
    let bytes = packet.bytes();
    if let Some(outcome) = glance(&packet, is_filtered) {
        report::passed(outcome, bytes);
        return xdp_action::XDP_PASS;
    }
    let decision = match parse(&packet, is_filtered) {
        Ok(segment) => decide(context, &packet, &segment),
        Err(outcome) => Decision::without_rule(outcome),
    };
    report::count(context, decision, bytes);
    match decision.outcome {
        Outcome::Dropped
        | Outcome::OverCap
        | Outcome::OverNetworkCap
        | Outcome::Mute
        | Outcome::FloodDropped
        | Outcome::RefusedAck => xdp_action::XDP_DROP,
        Outcome::RefusedSyn
        | Outcome::Refused554
        | Outcome::Refused503
        | Outcome::Refused221
        | Outcome::RefusedClose
        | Outcome::Reset => xdp_action::XDP_TX,
        _ => xdp_action::XDP_PASS,
    }
}

/// The ports are constants to the verifier, which removes the comparisons with the unused ones.
#[inline(always)]
fn is_filtered(port: u16) -> bool {
    for filtered in &PORTS {
        let filtered = filtered.load();
        if filtered == 0 {
            return false;
        }
        if filtered == port {
            return true;
        }
    }
    false
}

/// Decides a segment and, if that is what follows, turns it into its answer.
#[inline(always)]
fn decide(context: &XdpContext, packet: &Packet, segment: &Segment) -> Decision {
    match segment.intent {
        Intent::Connect => connect(context, segment),
        Intent::Continue { acknowledged, ends } => {
            Decision::without_rule(refuse::go_on(context, packet, segment, acknowledged, ends))
        }
    }
}

/// Decides a connection attempt and, if that is what follows, turns it into its answer.
#[inline(always)]
fn connect(context: &XdpContext, segment: &Segment) -> Decision {
    if !maps::is_own(&segment.addresses) {
        return Decision::without_rule(Outcome::NotOwn);
    }
    let Some(segment) = maps::keep(segment) else {
        return Decision::without_rule(Outcome::ReplyFailed);
    };
    let mut decision =
        Decision::new(maps::bad(&segment.addresses), || maps::good(&segment.addresses));
    if decision.outcome == Outcome::Unlisted {
        decision = limit::unlisted(segment);
    }
    if decision.ends_here() {
        if maps::is_paused() {
            return decision.paused();
        }
        capture::tap(context, decision.rule_or_none());
    }
    match decision.outcome {
        Outcome::RefusedSyn | Outcome::Reset => refuse::begin(context, segment, decision),
        _ => decision,
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // There is no panic in the object: the verifier refuses a program with an endless loop.
    loop {}
}
