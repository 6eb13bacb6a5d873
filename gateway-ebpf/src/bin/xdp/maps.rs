//! The maps, and what the program asks them.

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array as BtfArray, ArrayOfMaps};
use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{Array, HashMap, PerCpuArray};
use gateway_ebpf::abi::{Control, Counter, KernelAction, MapShape, Refusal, RuleValue, map};
use gateway_ebpf::dated::{self, DatedRule, HOLE, NOTHING, number, rule};
use gateway_ebpf::gate::Place;
use gateway_ebpf::parse::{Addresses, Segment};
use gateway_ebpf::rate::Answers;
use gateway_ebpf::table::v6::Leftover;
use gateway_ebpf::table::{Line, Lines, v4 as table_v4, v6 as table_v6};

use crate::trie_key::TrieKey;

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
static DELTA_V4: LpmTrie<V4, DatedRule> = LpmTrie::with_max_entries(map::DELTA_V4.entries, 0);
#[map]
static DELTA_V6: LpmTrie<V6, DatedRule> = LpmTrie::with_max_entries(map::DELTA_V6.entries, 0);
#[map]
static GATE: Array<Line> = Array::with_max_entries(map::GATE.entries, 0);
#[map]
static GOOD_V4: LpmTrie<V4, DatedRule> = LpmTrie::with_max_entries(map::GOOD_V4.entries, 0);
#[map]
static GOOD_V6: LpmTrie<V6, DatedRule> = LpmTrie::with_max_entries(map::GOOD_V6.entries, 0);
#[map]
static ALL_GOOD_V4: LpmTrie<V4, DatedRule> = LpmTrie::with_max_entries(map::ALL_GOOD_V4.entries, 0);
#[map]
static ALL_GOOD_V6: LpmTrie<V6, DatedRule> = LpmTrie::with_max_entries(map::ALL_GOOD_V6.entries, 0);
#[map]
static OWN_V4: HashMap<V4, u8> = HashMap::with_max_entries(map::OWN_V4.entries, 0);
#[map]
static OWN_V6: HashMap<V6, u8> = HashMap::with_max_entries(map::OWN_V6.entries, 0);
#[map]
static OUTCOMES: PerCpuArray<Counter> = PerCpuArray::with_max_entries(map::OUTCOMES.entries, 0);
#[map]
static LISTS: PerCpuArray<Counter> = PerCpuArray::with_max_entries(map::LISTS.entries, 0);
#[map]
static MUTE: HashMap<u32, u8> = HashMap::with_max_entries(map::MUTE.entries, 0);
#[map]
static CONTROL: Array<Control> = Array::with_max_entries(map::CONTROL.entries, 0);
#[map]
static REFUSALS: Array<Refusal> = Array::with_max_entries(map::REFUSALS.entries, 0);
#[map]
static ANSWERS: PerCpuArray<Answers> = PerCpuArray::with_max_entries(map::ANSWERS.entries, 0);
#[map]
static SEGMENT: PerCpuArray<Segment> = PerCpuArray::with_max_entries(map::SEGMENT.entries, 0);
/// For the daemon alone; declared here so that it is made and pinned with the others.
#[map]
static NAMES: Array<[u8; map::NAMES.value as usize]> =
    Array::with_max_entries(map::NAMES.entries, 0);

const _: () = agrees::<u32, u32>(map::BAD_V4);
const _: () = agrees::<Key<V4>, DatedRule>(map::DELTA_V4);
const _: () = agrees::<Key<V6>, DatedRule>(map::DELTA_V6);
const _: () = agrees::<u32, Line>(map::GATE);
const _: () = agrees::<Key<V4>, DatedRule>(map::GOOD_V4);
const _: () = agrees::<Key<V4>, DatedRule>(map::ALL_GOOD_V4);
const _: () = agrees::<Key<V6>, DatedRule>(map::ALL_GOOD_V6);
const _: () = agrees::<u32, u32>(map::BAD_V6);
const _: () = agrees::<Key<Left>, [u8; 4]>(map::LEFT_V6);
const _: () = agrees::<Key<V6>, DatedRule>(map::GOOD_V6);
const _: () = agrees::<V4, u8>(map::OWN_V4);
const _: () = agrees::<V6, u8>(map::OWN_V6);
const _: () = agrees::<u32, Counter>(map::OUTCOMES);
const _: () = agrees::<u32, Counter>(map::LISTS);
const _: () = agrees::<u32, u8>(map::MUTE);
const _: () = agrees::<u32, Control>(map::CONTROL);
const _: () = agrees::<u32, Refusal>(map::REFUSALS);
const _: () = agrees::<u32, Answers>(map::ANSWERS);
const _: () = agrees::<u32, Segment>(map::SEGMENT);

/// Whether the destination is this host. Most hosts have few addresses, and those are compared with at once.
#[inline(always)]
pub(crate) fn is_own(addresses: &Addresses) -> bool {
    match addresses {
        Addresses::V4 { destination, .. } => is_own_v4(*destination),
        Addresses::V6 { destination: [a, b, c, d], .. } => is_own_v6(half(*a, *b), half(*c, *d)),
    }
}

// Functions of their own in the kernel, too: to the verifier it is then all the same which of the addresses it was.

#[inline(never)]
fn is_own_v4(destination: u32) -> bool {
    let Some(control) = control() else { return false };
    control.own_v4.contains(&destination)
        || control.more_own != 0 && OWN_V4.get_ptr(v4(destination)).is_some()
}

#[inline(never)]
fn is_own_v6(high: u64, low: u64) -> bool {
    let (Some(control), destination) = (control(), words(high, low)) else { return false };
    control.own_v6.contains(&destination)
        || control.more_own != 0 && OWN_V6.get_ptr(v6(destination)).is_some()
}

/// The longest bad rule that covers the source.
#[inline(always)]
pub(crate) fn bad(addresses: &Addresses) -> Option<RuleValue> {
    rule(bad_number(addresses))
}

/// The longest bad rule that covers the source, or one that leaves it to the daemon.
///
/// A value stands for none: the compiler may keep none as whatever lies on the stack, and the verifier forbids that.
#[inline(always)]
pub(crate) fn bad_or_off(addresses: &Addresses) -> RuleValue {
    match bad_number(addresses) {
        NOTHING | HOLE => RuleValue::new(0, KernelAction::Off),
        number => RuleValue::from_bytes(number.to_ne_bytes()),
    }
}

#[inline(always)]
fn bad_number(addresses: &Addresses) -> u32 {
    match addresses {
        Addresses::V4 { source, .. } => bad_v4(*source),
        Addresses::V6 { source: [a, b, c, d], .. } => bad_v6(half(*a, *b), half(*c, *d)),
    }
}

// Each lookup is a function of its own in the kernel, too: it is needed at two places, and in one with what is around them
// it needs more than the 512 bytes of the stack. What goes in and comes out are numbers, which the verifier need not trace.

#[inline(never)]
fn bad_v4(source: u32) -> u32 {
    let changed = if is_gated(Place::v4(source)) { dated_v4(&DELTA_V4, source) } else { NOTHING };
    if changed != NOTHING {
        return changed;
    }
    // One look at the outer map, so that all lines are of one table, even while it is replaced.
    let Some(table) = BAD_V4.get(0) else { return NOTHING };
    table_v4::lookup(&InKernel(table), source).map_or(NOTHING, number)
}

#[inline(never)]
fn bad_v6(high: u64, low: u64) -> u32 {
    let source = words(high, low);
    let [top, ..] = source;
    let changed = if is_gated(Place::v6(top)) { dated_v6(&DELTA_V6, source) } else { NOTHING };
    if changed != NOTHING {
        return changed;
    }
    let Some(table) = BAD_V6.get(0) else { return NOTHING };
    let rule = table_v6::lookup(&InKernel(table), source, |generation| {
        let [a, b, c, d] = v6(source);
        let key = TrieKey::new([generation, a, b, c, d], 160);
        let [class, length, _, _] = *LEFT_V6.get(key.key())?;
        Some(Leftover { class, length })
    });
    rule.map_or(NOTHING, number)
}

/// Whether the delta may know an address.
#[inline(always)]
fn is_gated(place: Place) -> bool {
    control().is_some_and(|control| control.changes != 0)
        && GATE.get(place.line).is_some_and(|line| place.is_set(line))
}

#[inline(always)]
fn dated_v4(trie: &LpmTrie<V4, DatedRule>, source: u32) -> u32 {
    dated::find(32, |bits| trie.get(TrieKey::new(v4(source), bits).key()).copied(), uptime)
}

#[inline(always)]
fn dated_v6(trie: &LpmTrie<V6, DatedRule>, source: [u32; 4]) -> u32 {
    dated::find(128, |bits| trie.get(TrieKey::new(v6(source), bits).key()).copied(), uptime)
}

/// Seconds since the host started.
#[inline(always)]
fn uptime() -> u32 {
    // SAFETY: the helper takes nothing and only reads the kernel's clock.
    (unsafe { bpf_ktime_get_boot_ns() } / 1_000_000_000) as u32
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
    rule(match addresses {
        Addresses::V4 { source, .. } => good_v4(*source),
        Addresses::V6 { source: [a, b, c, d], .. } => good_v6(half(*a, *b), half(*c, *d)),
    })
}

// As with the bad ones. What they do first is done in them, so that the compiler does not see it and make no number of it.

#[inline(never)]
fn good_v4(source: u32) -> u32 {
    if has_goods() { dated_v4(&GOOD_V4, source) } else { NOTHING }
}

#[inline(never)]
fn good_v6(high: u64, low: u64) -> u32 {
    if has_goods() { dated_v6(&GOOD_V6, words(high, low)) } else { NOTHING }
}

#[inline(always)]
fn has_goods() -> bool {
    control().is_some_and(|control| control.goods != 0)
}

#[inline(always)]
const fn half(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

#[inline(always)]
const fn words(high: u64, low: u64) -> [u32; 4] {
    [(high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32]
}

/// Whether a good rule covers the source, though no bad one does.
#[inline(always)]
pub(crate) fn is_good(addresses: &Addresses) -> bool {
    let found = match addresses {
        Addresses::V4 { source, .. } => dated_v4(&ALL_GOOD_V4, *source),
        Addresses::V6 { source, .. } => dated_v6(&ALL_GOOD_V6, *source),
    };
    rule(found).is_some()
}

/// What is to be asked.
#[inline(always)]
pub(crate) fn control() -> Option<&'static Control> {
    CONTROL.get(0)
}

/// Whether everything passes now. Asked only about what would not pass otherwise.
#[inline(always)]
pub(crate) fn is_paused() -> bool {
    control().is_some_and(|control| control.paused_until != 0 && uptime() < control.paused_until)
}

/// Whether nothing may be answered on an interface.
#[inline(always)]
pub(crate) fn is_mute(interface: u32) -> bool {
    MUTE.get_ptr(interface).is_some()
}

/// One of the two refusals.
#[inline(always)]
pub(crate) fn refusal(index: u32) -> Option<&'static Refusal> {
    REFUSALS.get(index & 1)
}

/// The segment in memory of this processor, until the next packet.
///
/// To the verifier all segments are alike there, so it looks at what follows once, not once for each way to get there.
#[inline(always)]
pub(crate) fn keep(segment: &Segment) -> Option<&'static Segment> {
    let place = SEGMENT.get_ptr_mut(0)?;
    // SAFETY: the pointer is into a map value of this processor, on which XDP programs do not interrupt each other.
    unsafe { place.write(*segment) };
    // SAFETY: as above; nothing writes there before the next packet.
    Some(unsafe { &*place })
}

/// The segment that was kept last.
#[inline(always)]
pub(crate) fn kept() -> Option<&'static Segment> {
    SEGMENT.get(0)
}

/// What this processor has answered lately.
#[inline(always)]
pub(crate) fn answers() -> Option<*mut Answers> {
    ANSWERS.get_ptr_mut(0)
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

#[inline(always)]
fn v4(address: u32) -> V4 {
    [address.to_be()]
}

#[inline(always)]
fn v6(address: [u32; 4]) -> V6 {
    address.map(u32::to_be)
}

/// The maps here are what the contract says.
pub(crate) const fn agrees<K, V>(shape: MapShape) {
    assert!(size_of::<K>() == shape.key as usize);
    assert!(size_of::<V>() == shape.value as usize);
}
