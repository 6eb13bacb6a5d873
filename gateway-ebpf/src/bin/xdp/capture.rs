//! Copies packets that end here into a ring for `xdp capture`, as they came in: `tcpdump` is behind us and never sees them.

use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_md};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, RingBuf};
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::abi::{RuleValue, map};
use gateway_ebpf::dated::number;
use gateway_ebpf::event::{Capturing, Copied, SNAP, Tap, mapped};
use gateway_ebpf::frame::Frame as _;

use crate::event::count;
use crate::maps;
use crate::packet::{self, Packet};
use crate::refuse::now;

#[map]
static CAPTURE: RingBuf = RingBuf::with_byte_size(map::CAPTURE.entries, 0);
#[map]
static CAPTURING: Array<Capturing> = Array::with_max_entries(map::CAPTURING.entries, 0);

const _: () = maps::agrees::<u32, Capturing>(map::CAPTURING);

/// Copies the packet, if somebody captures. To be called before the packet is turned into its answer.
#[inline(always)]
pub(crate) fn tap(context: &XdpContext, rule: RuleValue) {
    if CAPTURING.get(0).is_some_and(|capturing| capturing.until != 0) {
        copy_packet(context.ctx, number(rule));
    }
}

/// A function that the verifier looks at by itself (Linux 5.6), once, and not from each place where it is called.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn copy_packet(context: *mut xdp_md, rule: u32) -> u32 {
    copy(&XdpContext::new(context), rule);
    0
}

#[inline(always)]
fn copy(context: &XdpContext, rule: u32) {
    let Some(segment) = maps::kept() else { return };
    let Some(capturing) = CAPTURING.get_ptr_mut(0) else { return };
    // SAFETY: the pointer is into a map value; who captures replaces it as a whole, and any numbers are good in it.
    let capturing = unsafe { &mut *capturing };
    let time = now();
    if time >= capturing.until {
        // Whoever captured is gone, and the next packet need not look at the clock.
        capturing.until = 0;
        return;
    }
    if !capturing.wants(mapped(&segment.addresses).0) {
        return;
    }
    let Some(entry) = CAPTURE.reserve::<Copied>(0) else {
        return count(Tap::CopiesLost);
    };
    let copied = entry.as_ptr().cast_mut();
    // SAFETY: the ring has given us as many bytes as a copy has; nobody else sees them before they are submitted.
    unsafe {
        (*copied).time = time;
        (*copied).length = Packet::new(context).length() as u32;
        (*copied).interface = packet::interface(context);
        (*copied).rule = RuleValue::from_bytes(rule.to_ne_bytes());
        octets(context, (&raw mut (*copied).octets).cast(), &raw mut (*copied).kept);
    }
    entry.submit(BPF_RB_NO_WAKEUP.into());
    count(Tap::Copies);
}

/// Copies the beginning of the packet to `place`, and to `kept` how much that is: eight bytes at once while there are eight.
///
/// There are helpers for it, but older kernels lack them.
///
/// # Safety
///
/// There must be [`SNAP`] bytes at `place`, and a number at `kept`.
#[inline(always)]
unsafe fn octets(context: &XdpContext, place: *mut u8, kept: *mut u32) {
    let packet = Packet::new(context);
    let mut at = 0;
    while at < SNAP {
        let Some(address) = packet.at(at, 8) else { break };
        // SAFETY: eight bytes lie there within the packet, as was just checked, and within the copy.
        unsafe { place.add(at).cast::<u64>().write((address as *const u64).read()) };
        at += 8;
    }
    // SAFETY: the caller says that it lies there.
    unsafe { kept.write_volatile(at as u32) };
    if at >= SNAP {
        return;
    }
    // What comes out of memory is any number to the verifier, and of a packet got anew it has checked nothing: it looks
    // once at what follows, not once for each number of words.
    let packet = Packet::new(context);
    // SAFETY: as above.
    let at = unsafe { kept.read_volatile() } as usize & (SNAP - 8);
    let mut more = 0;
    for offset in 0..7 {
        let Some(byte) = packet.byte(at + offset) else { break };
        // SAFETY: it lies within the last eight bytes of the copy, or before them.
        unsafe { place.add(at + offset).write(byte) };
        more += 1;
    }
    // SAFETY: as above.
    unsafe { kept.write(at as u32 + more) };
}
