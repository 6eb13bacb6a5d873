//! Programs that do many lookups in a loop and say how long it took: our tables beside the kernel's own maps.
#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "maps and loops are reached through raw pointers that the verifier checks"
)]

#[path = "../xdp/trie_key.rs"]
mod trie_key;

use core::ffi::c_void;
use core::ptr;

use aya_ebpf::bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, xdp_action};
use aya_ebpf::btf_maps::{Array as BtfArray, ArrayOfMaps};
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_loop};
use aya_ebpf::macros::{btf_map, map, xdp};
use aya_ebpf::maps::lpm_trie::LpmTrie;
use aya_ebpf::maps::{Array, HashMap};
use aya_ebpf::programs::XdpContext;
use gateway_ebpf::bench_keys::{self as keys, Keys};
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{Line, Lines, v4, v6};

use crate::trie_key::TrieKey;

type Table = BtfArray<Line, 1, { BPF_F_MMAPABLE as usize }>;

#[btf_map]
static TABLE_V4: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();
#[btf_map]
static TABLE_V6: ArrayOfMaps<Table, 1> = ArrayOfMaps::new();
#[map]
static LEFT_V6: LpmTrie<[u32; 5], [u8; 4]> = LpmTrie::with_max_entries(1 << 20, 0);
#[map]
static TRIE_V4: LpmTrie<[u32; 1], u32> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static TRIE_V6: LpmTrie<[u32; 4], u32> = LpmTrie::with_max_entries(1, BPF_F_NO_PREALLOC);
#[map]
static HASH_V4: HashMap<[u32; 1], u32> = HashMap::with_max_entries(1, 0);
/// A length, then an address cut to it.
#[map]
static HASH_V6: HashMap<[u32; 5], u32> = HashMap::with_max_entries(1, 0);
/// What a run is asked for, and what it answers: see `bench_keys`.
#[map]
static RUN: Array<[u64; 8]> = Array::with_max_entries(1, 0);

/// Helpers that the programs call are open to programs under a licence compatible with the GPL only.
// SAFETY: the section holds this text alone; no other symbol of the object has this name.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A program for one way to find a key.
macro_rules! program {
    ($name:ident, $step:ident, $find:expr) => {
        /// Runs the loop once.
        #[xdp]
        fn $name(_: XdpContext) -> u32 {
            run($step as *mut c_void)
        }

        extern "C" fn $step(_: u64, keys: *mut c_void) -> i64 {
            // SAFETY: the kernel passes on what `run` gave it.
            let keys = unsafe { &mut *keys.cast::<Keys>() };
            if $find(keys) {
                keys.found += 1;
            }
            0
        }
    };
}

program!(loop_v4, loop_v4_step, |keys: &mut Keys| keys.next_v4() == 1);
program!(loop_v6, loop_v6_step, |keys: &mut Keys| keys.next_v6()[3] == 1);
program!(table_v4, table_v4_step, |keys: &mut Keys| {
    let address = keys.next_v4();
    TABLE_V4.get(0).is_some_and(|table| v4::lookup(&InKernel(table), address).is_some())
});
program!(table_v6, table_v6_step, |keys: &mut Keys| {
    let address = keys.next_v6();
    TABLE_V6.get(0).is_some_and(|table| {
        v6::lookup(&InKernel(table), address, |generation| {
            let [a, b, c, d] = address.map(u32::to_be);
            let key = TrieKey::new([generation, a, b, c, d], 160);
            let [class, length, _, _] = *LEFT_V6.get(key.key())?;
            Some(Leftover { class, length })
        })
        .is_some()
    })
});
program!(trie_v4, trie_v4_step, |keys: &mut Keys| {
    let key = TrieKey::new([keys.next_v4().to_be()], 32);
    TRIE_V4.get(key.key()).is_some()
});
program!(trie_v6, trie_v6_step, |keys: &mut Keys| {
    let key = TrieKey::new(keys.next_v6().map(u32::to_be), 128);
    TRIE_V6.get(key.key()).is_some()
});
program!(hash_v4, hash_v4_step, |keys: &mut Keys| { HASH_V4.get_ptr([keys.next_v4()]).is_some() });
program!(hash_v6, hash_v6_step, |keys: &mut Keys| {
    let [a, b, c, d] = keys.next_v6();
    HASH_V6.get_ptr([128, a, b, c, d]).is_some()
        || HASH_V6.get_ptr([64, a, b, 0, 0]).is_some()
        || HASH_V6.get_ptr([48, a, b & 0xffff_0000, 0, 0]).is_some()
});

#[inline(always)]
fn run(step: *mut c_void) -> u32 {
    let Some(run) = RUN.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: the pointer is into a map value, and one run at a time uses it.
    let run = unsafe { &mut *run };
    let mut keys = Keys::new(run);
    // SAFETY: the step is a function of the object that takes what is passed here.
    let (start, end) = unsafe {
        let start = bpf_ktime_get_ns();
        bpf_loop(run[keys::LOOKUPS] as u32, step, ptr::from_mut(&mut keys).cast(), 0);
        (start, bpf_ktime_get_ns())
    };
    run[keys::STATE] = keys.state;
    run[keys::FOUND] = keys.found;
    run[keys::NANOSECONDS] = end - start;
    xdp_action::XDP_PASS
}

struct InKernel(&'static Table);

impl Lines for InKernel {
    type Line<'a> = &'a Line;

    #[inline(always)]
    fn line(&self, index: u32) -> Option<&Line> {
        self.0.get(index)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // There is no panic in the object: the verifier refuses a program with an endless loop.
    loop {}
}
