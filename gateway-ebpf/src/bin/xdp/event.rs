//! Tells the daemon of some of the packets that were decided; it looks every now and then, and nobody wakes it.

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_md};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{KernelAction, Outcome, RuleValue, map};
use gateway_ebpf::dated::number;
use gateway_ebpf::event::{Event, NO_LIST, Sampler, Sampling, Tap, mapped};

use crate::refuse::now;
use crate::{maps, packet};

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
    let sampler = unsafe { &mut *sampler };
    if sampler.choose(sampling, now)
        && tell_event(context.ctx, outcome.index(), number(rule), bytes, sampler.untold) != 0
    {
        sampler.untold = 0;
    }
}

/// Tells of the packet by which a network is beyond its limit. It is the only one of its network for some time.
#[inline(always)]
pub(crate) fn tell_of_flood(context: &XdpContext, outcome: Outcome, bytes: u64) {
    if EVENT_MOST.load() != 0 {
        let none = RuleValue::new(NO_LIST, KernelAction::Drop);
        tell_event(context.ctx, outcome.index(), number(none), bytes, 1);
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

/// A function that the verifier looks at by itself (Linux 5.6), once, and not from each place where it is called. 1 when
/// the event found room.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_event(
    context: *mut xdp_md,
    outcome: u32,
    rule: u32,
    bytes: u64,
    weight: u64,
) -> u32 {
    u32::from(send(&XdpContext::new(context), outcome, rule, bytes, weight))
}

#[inline(always)]
fn send(context: &XdpContext, outcome: u32, rule: u32, bytes: u64, weight: u64) -> bool {
    let Some(segment) = maps::kept() else { return false };
    let Some(mut entry) = EVENTS.reserve::<Event>(0) else {
        count(Tap::EventsLost);
        return false;
    };
    let rule = RuleValue::from_bytes(rule.to_ne_bytes());
    let (source, destination) = mapped(&segment.addresses);
    let [_, _, action, _] = rule.to_bytes();
    entry.write(Event {
        time: now(),
        weight: Event::weight(weight),
        length: bytes as u32,
        interface: packet::interface(context),
        list: rule.list(),
        outcome: outcome as u8,
        action,
        source,
        destination,
        client_port: segment.client_port,
        port: segment.port,
        reserved: 0,
    });
    entry.submit(BPF_RB_NO_WAKEUP.into());
    count(Tap::Events);
    true
}
