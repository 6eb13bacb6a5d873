//! The maps, and what the program asks them.

use core::ptr;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array as BtfArray, ArrayOfMaps};
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use gateway_ebpf::abi::{Counter, MapShape, RuleValue, map};
use gateway_ebpf::parse::Addresses;
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{Line, Lines, v4 as table_v4, v6 as table_v6};

/// Addresses as they are on the wire. Words, not bytes: the verifier wants keys on the stack to be aligned.
type V4 = [u32; 1];
type V6 = [u32; 4];

/// A generation, then an address.
type Left = [u32; 5];

/// A table. How many lines it has is said by the maps that the daemon makes before it loads the program, not here.
type Table = BtfArray<Line, 1, { BPF_F_MMAPABLE as usize }>;

#[btf_map]
static BAD_V4: ArrayOfMaps<Table, { map::BAD_V4.entries as usize }> = ArrayOfMaps::new();
#[btf_map]
static BAD_V6: ArrayOfMaps<Table, { map::BAD_V6.entries as usize }> = ArrayOfMaps::new();
#[map]
static LEFT_V6: LpmTrie<Left, [u8; 4]> = LpmTrie::with_max_entries(map::LEFT_V6.entries, 0);
#[map]
static GOOD_V4: LpmTrie<V4, RuleValue> = LpmTrie::with_max_entries(map::GOOD_V4.entries, 0);
#[map]
static GOOD_V6: LpmTrie<V6, RuleValue> = LpmTrie::with_max_entries(map::GOOD_V6.entries, 0);
#[map]
static OWN_V4: HashMap<V4, u8> = HashMap::with_max_entries(map::OWN_V4.entries, 0);
#[map]
static OWN_V6: HashMap<V6, u8> = HashMap::with_max_entries(map::OWN_V6.entries, 0);
#[map]
static OUTCOMES: PerCpuArray<Counter> = PerCpuArray::with_max_entries(map::OUTCOMES.entries, 0);
#[map]
static LISTS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(map::LISTS.entries, 0);
/// For the daemon alone; declared here so that it is made and pinned with the others.
#[map]
static NAMES: Array<[u8; map::NAMES.value as usize]> =
    Array::with_max_entries(map::NAMES.entries, 0);

const _: () = agrees::<u32, u32>(map::BAD_V4);
const _: () = agrees::<Key<V4>, RuleValue>(map::GOOD_V4);
const _: () = agrees::<u32, u32>(map::BAD_V6);
const _: () = agrees::<Key<Left>, [u8; 4]>(map::LEFT_V6);
const _: () = agrees::<Key<V6>, RuleValue>(map::GOOD_V6);
const _: () = agrees::<V4, u8>(map::OWN_V4);
const _: () = agrees::<V6, u8>(map::OWN_V6);
const _: () = agrees::<u32, Counter>(map::OUTCOMES);
const _: () = agrees::<u32, Counter>(map::LISTS);

/// Whether the destination is this host.
#[inline(always)]
pub(crate) fn is_own(addresses: &Addresses) -> bool {
    match addresses {
        Addresses::V4 { destination, .. } => OWN_V4.get_ptr(v4(*destination)).is_some(),
        Addresses::V6 { destination, .. } => OWN_V6.get_ptr(v6(*destination)).is_some(),
    }
}

/// The longest bad rule that covers the source.
#[inline(always)]
pub(crate) fn bad(addresses: &Addresses) -> Option<RuleValue> {
    // One look at the outer map, so that all lines are of one table, even while it is replaced.
    match addresses {
        Addresses::V4 { source, .. } => table_v4::lookup(&InKernel(BAD_V4.get(0)?), *source),
        Addresses::V6 { source, .. } => {
            table_v6::lookup(&InKernel(BAD_V6.get(0)?), *source, |generation| {
                let [a, b, c, d] = v6(*source);
                let key = TrieKey::new([generation, a, b, c, d]);
                let [class, length, _, _] = *LEFT_V6.get(key.key())?;
                Some(Leftover { class, length })
            })
        }
    }
}

/// A table as the program sees it.
struct InKernel(&'static Table);

impl Lines for InKernel {
    type Line<'a> = &'a Line;

    #[inline(always)]
    fn line(&self, index: u32) -> Option<&Line> {
        self.0.get(index)
    }
}

/// The longest good rule that covers the source.
#[inline(always)]
pub(crate) fn good(addresses: &Addresses) -> Option<RuleValue> {
    match addresses {
        Addresses::V4 { source, .. } => GOOD_V4.get(TrieKey::new(v4(*source)).key()).copied(),
        Addresses::V6 { source, .. } => GOOD_V6.get(TrieKey::new(v6(*source)).key()).copied(),
    }
}

/// The counter for `outcome`, this processor's own.
#[inline(always)]
pub(crate) fn outcome_counter(index: u32) -> Option<*mut Counter> {
    OUTCOMES.get_ptr_mut(index)
}

/// The counter of a list, this processor's own.
#[inline(always)]
pub(crate) fn list_counter(index: u32) -> Option<*mut Counter> {
    LISTS.get_ptr_mut(index)
}

/// A key of a trie, placed so that its address is aligned for any access.
#[repr(C, align(8))]
struct TrieKey<const N: usize> {
    unused: u32,
    length: u32,
    address: [u32; N],
}

impl<const N: usize> TrieKey<N> {
    /// The key that asks for the longest prefix that covers `address`.
    #[inline(always)]
    fn new(address: [u32; N]) -> Self {
        Self { unused: 0, length: 32 * N as u32, address }
    }

    #[inline(always)]
    fn key(&self) -> &Key<[u32; N]> {
        let start = ptr::from_ref(self).cast::<u32>();
        // SAFETY: behind the first word come the length and the address, without gaps, as in a `Key`, which is packed and
        // so is aligned anywhere.
        unsafe { &*start.add(1).cast() }
    }
}

#[inline(always)]
fn v4(address: u32) -> V4 {
    [address.to_be()]
}

#[inline(always)]
fn v6(address: [u32; 4]) -> V6 {
    address.map(u32::to_be)
}

/// The maps here are what the contract says.
const fn agrees<K, V>(shape: MapShape) {
    assert!(size_of::<K>() == shape.key as usize);
    assert!(size_of::<V>() == shape.value as usize);
}
