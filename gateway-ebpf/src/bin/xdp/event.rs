//! Tells the daemon of some of the packets that were decided; it looks every now and then, and nobody wakes it.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{Outcome, RuleValue, map};
use gateway_ebpf::event::{Event, Sampler, Sampling, Tap, mapped};

use crate::maps;

/// How many events a processor tells in a slice, set by the loader; with 0 the verifier removes all that is here.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
static EVENT_MOST: Global<u32> = Global::new(0);

/// The length of a slice, set by the loader.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
static EVENT_SHIFT: Global<u32> = Global::new(0);

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(map::EVENTS.entries, 0);
#[map]
static SAMPLERS: PerCpuArray<Sampler> = PerCpuArray::with_max_entries(map::SAMPLERS.entries, 0);
#[map]
static TAPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(map::TAPS.entries, 0);

const _: () = maps::agrees::<u32, Sampler>(map::SAMPLERS);
const _: () = maps::agrees::<u32, u64>(map::TAPS);

/// Tells of a packet that a rule decided, if it is its turn.
#[inline(always)]
pub(crate) fn tell(context: &XdpContext, outcome: Outcome, rule: RuleValue, bytes: u64) {
    let sampling = Sampling { most: EVENT_MOST.load(), shift: EVENT_SHIFT.load() };
    if sampling.most == 0 || !Event::is_told(outcome) {
        return;
    }
    let Some(sampler) = SAMPLERS.get_ptr_mut(0) else { return };
    // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
    if unsafe { &mut *sampler }.choose(sampling, now) {
        send(context, outcome.index(), maps::number(rule), bytes);
    }
}

/// Counts one event or copy, told or lost.
#[inline(always)]
pub(crate) fn count(tap: Tap) {
    if let Some(counter) = TAPS.get_ptr_mut(tap as u32) {
        // SAFETY: as above.
        unsafe { *counter += 1 };
    }
}

/// Nanoseconds since some time; exact to a tick of the kernel, and cheap.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper takes nothing and only reads the kernel's clock.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The number of the interface that the packet came in by.
#[inline(always)]
pub(crate) fn interface(context: &XdpContext) -> u32 {
    // SAFETY: the context is the one that the kernel passed to the program.
    unsafe { (*context.ctx).ingress_ifindex }
}

/// A function of its own in the kernel, too, with numbers alone: it is needed seldom, and its stack is its own.
#[inline(never)]
fn send(context: &XdpContext, outcome: u32, rule: u32, bytes: u64) {
    let (Some(sampler), Some(segment)) = (SAMPLERS.get_ptr_mut(0), maps::kept()) else { return };
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        return count(Tap::EventsLost);
    };
    let rule = RuleValue::from_bytes(rule.to_ne_bytes());
    let (source, destination) = mapped(&segment.addresses);
    let [_, _, action, _] = rule.to_bytes();
    entry.write(Event {
        time: now(),
        // SAFETY: as above.
        weight: unsafe { &mut *sampler }.weigh(),
        length: bytes as u32,
        interface: interface(context),
        list: rule.list(),
        outcome: outcome as u8,
        action,
        source,
        destination,
        client_port: segment.client_port,
        port: segment.port,
        family: rule.family() as u32,
    });
    entry.submit(BPF_RB_NO_WAKEUP.into());
    count(Tap::Events);
}
