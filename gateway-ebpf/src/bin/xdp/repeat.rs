//! Runs the filter many times on one packet, for the benchmark alone: an answer changes the packet, so it is restored.

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::bpf_xdp_adjust_head;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::frame::{Frame as _, FrameMut as _};
use gateway_ebpf::repeat::{FRAME_WORDS, Run};

use crate::filter;
use crate::packet::{self, Packet};

#[map]
static RUN: Array<Run> = Array::with_max_entries(1, 0);

/// Runs the loop once.
#[xdp]
fn repeat(context: XdpContext) -> u32 {
    let Some(run) = run() else { return xdp_action::XDP_ABORTED };
    let mut held: *mut xdp_md = context.as_ptr().cast();
    // SAFETY: the step is a function of the object that takes what is passed here.
    let (start, end) = unsafe {
        let start = bpf_ktime_get_ns();
        bpf_loop(run.times, step as *mut c_void, ptr::from_mut(&mut held).cast(), 0);
        (start, bpf_ktime_get_ns())
    };
    run.nanoseconds = end - start;
    xdp_action::XDP_PASS
}

extern "C" fn step(_: u64, held: *mut c_void) -> i64 {
    // SAFETY: the kernel passes on what `repeat` gave it.
    let context = XdpContext::new(unsafe { *held.cast::<*mut xdp_md>() });
    let Some(run) = run().filter(|run| restore(&context, run).is_some()) else { return 1 };
    if run.filters != 0 && filter(&context) == xdp_action::XDP_TX {
        run.answered += 1;
    }
    0
}

#[inline(always)]
fn run() -> Option<&'static mut Run> {
    // SAFETY: the pointer is into a map value, and one run at a time uses it.
    RUN.get_ptr_mut(0).map(|run| unsafe { &mut *run })
}

/// The packet as it was before the answer.
#[inline(always)]
fn restore(context: &XdpContext, run: &Run) -> Option<()> {
    let grown = if run.answered == 0 { 0 } else { (run.grown & 0xff) as usize };
    if Packet::new(context).length() != grown + 4 * FRAME_WORDS {
        packet::cut(context, grown + 4 * FRAME_WORDS)?;
    }
    if grown != 0 {
        // SAFETY: the context is the one that the kernel passed to the program.
        unsafe { bpf_xdp_adjust_head(context.as_ptr().cast(), grown as i32) };
    }
    Packet::new(context).put_words(0, &run.frame)
}
