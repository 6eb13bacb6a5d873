//! A generator of SYNs that is faster than any socket, and the programs that its floods are measured against.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "packets and maps are reached through raw pointers that the verifier checks"
)]

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_F_MMAPABLE, xdp_action};
use aya_ebpf::btf_maps::Array as BtfArray;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_redirect};
use aya_ebpf::macros::{btf_map, map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::bench_flood as flood;
use gateway_ebpf::checksum::Checksum;

/// The sources in the order in which they are taken, as they lie in a packet.
#[map]
static SOURCES: Array<u32> = Array::with_max_entries(1, 0);
/// The frame that all others are made from; its source, source port, sequence number and check sums are 0.
#[map]
static FRAME: Array<[u32; flood::FRAME_WORDS]> = Array::with_max_entries(1, 0);
/// What a run is told, and how far it came: see `bench_flood`.
#[map]
static STATE: Array<[u64; 8]> = Array::with_max_entries(1, 0);

/// As much memory as the filter's table has for a million entries.
#[btf_map]
static LINES: BtfArray<[u64; 8], { LINE_COUNT as usize }, { BPF_F_MMAPABLE as usize }> =
    BtfArray::new();
const LINE_COUNT: u32 = 200_000;

/// The one address of the generator's host to which packets go on, as it lies in a packet.
// SAFETY: no other symbol of the object has this name.
#[unsafe(no_mangle)]
static CLIENT: Global<u32> = Global::new(0);

/// Helpers that the programs call are open to programs under a licence compatible with the GPL only.
// SAFETY: the section holds this text alone; no other symbol of the object has this name.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Makes one SYN and sends it; run by the kernel on frames of its own (`BPF_F_TEST_XDP_LIVE_FRAMES`).
#[xdp]
fn generate(context: XdpContext) -> u32 {
    let (Some(state), Some(frame)) = (STATE.get_ptr_mut(0), FRAME.get(0)) else {
        return xdp_action::XDP_ABORTED;
    };
    // SAFETY: the pointer is into a map value, and one run at a time uses it.
    let state = unsafe { &mut *state };
    if state[flood::ENTRIES] == 0 || (state[flood::GAP] != 0 && !is_due(state)) {
        return xdp_action::XDP_DROP;
    }
    let number = state[flood::NEXT];
    let next = number + 1;
    state[flood::NEXT] = if next >= state[flood::ENTRIES] { 0 } else { next };
    let Some(source) = SOURCES.get(number as u32) else {
        return xdp_action::XDP_ABORTED;
    };
    state[flood::SENT] += 1;
    if write(&context, state, frame, *source).is_none() {
        return xdp_action::XDP_ABORTED;
    }
    // SAFETY: the helper takes numbers only.
    unsafe { bpf_redirect(state[flood::DEVICE] as u32, 0) as u32 }
}

/// Drops everything and looks at nothing: the floor.
#[xdp]
fn drop_all(_: XdpContext) -> u32 {
    xdp_action::XDP_DROP
}

/// Drops everything after one look at the packet, which no filter can do without.
#[xdp]
fn drop_read(context: XdpContext) -> u32 {
    match source(&context) {
        // Nobody's address; no flood has it.
        Some(0) | None => xdp_action::XDP_PASS,
        Some(_) => xdp_action::XDP_DROP,
    }
}

/// Drops everything after a look at one random line of a table: what any table costs that does not fit into the cache.
#[xdp]
fn drop_line(context: XdpContext) -> u32 {
    match source(&context).and_then(|source| line(source.wrapping_mul(0x9e37_79b9))) {
        Some(0) => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_PASS,
    }
}

/// The same with two lines, of which neither says where the other is.
#[xdp]
fn drop_lines(context: XdpContext) -> u32 {
    let Some(source) = source(&context) else { return xdp_action::XDP_PASS };
    let lines = (line(source.wrapping_mul(0x9e37_79b9)), line(source.wrapping_mul(0x846c_a68b)));
    match lines {
        (Some(0), Some(0)) => xdp_action::XDP_DROP,
        _ => xdp_action::XDP_PASS,
    }
}

/// Drops answers to the flood, which nobody waits for; what is for the clean client goes on, and what is not IPv4.
#[xdp]
fn absorb(context: XdpContext) -> u32 {
    const IPV4: u16 = 0x0800_u16.to_be();
    let is_ipv4 = read::<u16>(&context, flood::KIND_AT) == Some(IPV4);
    let is_ours = read::<u32>(&context, flood::TARGET_AT) == Some(CLIENT.load());
    if is_ipv4 && !is_ours { xdp_action::XDP_DROP } else { xdp_action::XDP_PASS }
}

/// How much of what is late is made up for. The cable holds few frames, and clean clients need one of the places.
const MAKES_UP_NS: u64 = 100_000;

/// Whether a frame is to be sent now.
#[inline(always)]
fn is_due(state: &mut [u64; 8]) -> bool {
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_ns() };
    let due = state[flood::DUE].max(now.saturating_sub(MAKES_UP_NS));
    if now < due {
        return false;
    }
    state[flood::DUE] = due + state[flood::GAP];
    true
}

/// Writes the whole frame, since its page may come back with whatever its last reader left in it.
#[inline(always)]
fn write(
    context: &XdpContext,
    state: &[u64; 8],
    frame: &[u32; flood::FRAME_WORDS],
    source: u32,
) -> Option<()> {
    let start = at::<[u8; flood::FRAME]>(context, 0)?.cast::<u8>();
    let sequence = (state[flood::SENT] as u32).wrapping_mul(0x9e37_79b9);
    let port = (1024 | sequence >> 16) as u16;
    let ip = Checksum::new().word(state[flood::IP_SUM] as u32).word(source);
    let tcp = Checksum::new().word(state[flood::TCP_SUM] as u32).word(source).word(sequence);
    let tcp = tcp.word(port.into());
    // SAFETY: all of these lie within the frame, whose length was just checked.
    unsafe {
        for (index, word) in frame.iter().enumerate() {
            start.cast::<u32>().add(index).write(*word);
        }
        start.add(flood::SOURCE_AT).cast::<u32>().write(source);
        start.add(flood::PORT_AT).cast::<u16>().write(port);
        start.add(flood::SEQUENCE_AT).cast::<u32>().write(sequence);
        start.add(flood::IP_SUM_AT).cast::<u16>().write(ip.finish());
        start.add(flood::TCP_SUM_AT).cast::<u16>().write(tcp.finish());
    }
    Some(())
}

/// What is in a line of the table that is all zeros.
#[inline(always)]
fn line(hash: u32) -> Option<u64> {
    let mixed = hash ^ hash >> 15;
    let index = (u64::from(mixed) * u64::from(LINE_COUNT - 1)) >> 32;
    LINES.get(index as u32).map(|line| line[0])
}

/// The source address of the packet, if it is as long as that.
#[inline(always)]
fn source(context: &XdpContext) -> Option<u32> {
    read(context, flood::SOURCE_AT)
}

/// The number at `offset`, as it lies there.
#[inline(always)]
fn read<T: Copy>(context: &XdpContext, offset: usize) -> Option<T> {
    // SAFETY: the number lies within the packet, as was just checked; the machine reads it wherever it begins.
    at::<T>(context, offset).map(|number| unsafe { number.read() })
}

/// A pointer to a `T` at `offset`, if it lies within the packet.
#[inline(always)]
fn at<T>(context: &XdpContext, offset: usize) -> Option<*mut T> {
    let address = context.data() + offset;
    (address + size_of::<T>() <= context.data_end()).then_some(address as *mut T)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // There is no panic in the object: the verifier refuses a program with an endless loop.
    loop {}
}
