//! Finds the networks that open too many connections, and those that got enough answers.
//!
//! Which networks are known only the daemon writes, for connections that it has accepted. An ACK seen here proves nothing: it
//! can be forged like any SYN, and whoever could make a network known with it could make all of them known.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray};
use gateway_ebpf::abi::{Outcome, map};
use gateway_ebpf::action::Decision;
use gateway_ebpf::limit::{Bucket, FloodAction, Limits, Window};
use gateway_ebpf::parse::{Addresses, Segment};
use gateway_ebpf::rate::Answers;

use crate::maps::{self, agrees};
use crate::refuse::now;

#[map]
static LIMITS: Array<Limits> = Array::with_max_entries(map::LIMITS.entries, 0);
#[map]
static WINDOW: PerCpuArray<Window> = PerCpuArray::with_max_entries(map::WINDOW.entries, 0);
#[map]
static BUCKETS: LruHashMap<u64, Bucket> = LruHashMap::with_max_entries(map::BUCKETS.entries, 0);
#[map]
static KNOWN_V4: LruHashMap<u64, u64> = LruHashMap::with_max_entries(map::KNOWN_V4.entries, 0);
#[map]
static KNOWN_V6: LruHashMap<u64, u64> = LruHashMap::with_max_entries(map::KNOWN_V6.entries, 0);
#[map]
static ANSWERED: PerCpuArray<Answers> = PerCpuArray::with_max_entries(map::ANSWERED.entries, 0);

const _: () = agrees::<u32, Limits>(map::LIMITS);
const _: () = agrees::<u32, Window>(map::WINDOW);
const _: () = agrees::<u64, Bucket>(map::BUCKETS);
const _: () = agrees::<u64, u64>(map::KNOWN_V4);
const _: () = agrees::<u64, u64>(map::KNOWN_V6);
const _: () = agrees::<u32, Answers>(map::ANSWERED);

/// Decides a connection attempt of a source that is on no list.
#[inline(always)]
pub(crate) fn unlisted(segment: &Segment) -> Decision {
    let unlisted = Decision::without_rule(Outcome::Unlisted);
    let Some(limits) = LIMITS.get(0) else { return unlisted };
    let outcome = match limits.action {
        action if action == FloodAction::Observe as u32 => Outcome::FloodObserved,
        action if action == FloodAction::Drop as u32 => Outcome::FloodDropped,
        _ => return unlisted,
    };
    let now = now();
    if !is_engaged(now, limits.engage_above) {
        return unlisted;
    }
    match beyond_limit(segment, now) {
        WITHIN => unlisted,
        beyond => Decision::of_flood(outcome, beyond == BEYOND_FIRST),
    }
}

/// The network may open this connection.
const WITHIN: u32 = 0;
/// It has opened too many.
const BEYOND: u32 = 1;
/// It has opened too many, and nobody was told of it lately.
const BEYOND_FIRST: u32 = 2;

/// Counts a SYN; whether there are so many that networks are looked at. All that a quiet host pays.
#[inline(always)]
fn is_engaged(now: u64, most: u32) -> bool {
    let Some(window) = WINDOW.get_ptr_mut(0) else { return false };
    // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
    unsafe { &mut *window }.count(now, most)
}

/// Takes a token of the source's network. Only when there is none is it asked whether the network is exempt.
#[inline(never)]
fn beyond_limit(segment: &Segment, now: u64) -> u32 {
    let Some(limits) = LIMITS.get(0) else { return WITHIN };
    let network = limits.network(&segment.addresses);
    let Some(bucket) = BUCKETS.get_ptr_mut(network) else {
        // Should that fail, the network is not limited: the limiter is no reason to lose mail.
        let _full = BUCKETS.insert(network, Bucket::new(now, limits), u64::from(BPF_ANY));
        return WITHIN;
    };
    // SAFETY: entries of this map are never given back to the system while a program runs. Another processor may write the
    // same numbers meanwhile, or the entry become another network's; either makes the limit a little less exact.
    let bucket = unsafe { &mut *bucket };
    if bucket.take(now, limits)
        || is_known(limits, &segment.addresses, network, now)
        || maps::is_good(&segment.addresses)
    {
        return WITHIN;
    }
    if bucket.tell(now) { BEYOND_FIRST } else { BEYOND }
}

/// Whether a host of the network completed a handshake lately. One map per family, for whoever has as many IPv6 networks as
/// he likes shall push no IPv4 network out.
#[inline(always)]
fn is_known(limits: &Limits, addresses: &Addresses, network: u64, now: u64) -> bool {
    let at = match addresses {
        Addresses::V4 { .. } => KNOWN_V4.get_ptr(network),
        Addresses::V6 { .. } => KNOWN_V6.get_ptr(network),
    };
    // SAFETY: as with the buckets; a number that is read while the daemon writes it is the old or the new one.
    at.is_some_and(|at| limits.is_recent(unsafe { *at }, now))
}

/// Whether the source's network may get another answer that proves nothing yet. Its address may be forged, and the answer
/// then goes to somebody who never asked.
#[inline(always)]
pub(crate) fn may_answer(segment: &Segment, now: u64) -> bool {
    let Some(limits) = LIMITS.get(0).filter(|limits| limits.answers_per_network != 0) else {
        return true;
    };
    let cell = limits.cell(limits.network(&segment.addresses));
    let Some(answers) = ANSWERED.get_ptr_mut(cell) else { return true };
    // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
    unsafe { &mut *answers }.allow(now, limits.answers_per_network)
}
