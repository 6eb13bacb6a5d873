//! The capabilities that the daemon keeps (capabilities(7)).

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};

use super::RightsError;

/// Capabilities that somebody needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed(CapabilitySet);

/// What the kernel filter needs for as long as the daemon runs: to make maps (`CAP_BPF`), to have its program verified with
/// comparisons of pointers (`CAP_PERFMON`), and to put it on interfaces (`CAP_NET_ADMIN`). All since Linux 5.8.
pub const KERNEL_FILTER: Needed =
    Needed(CapabilitySet::BPF.union(CapabilitySet::PERFMON).union(CapabilitySet::NET_ADMIN));

/// Nothing, for a daemon without a kernel filter.
pub const NOTHING: Needed = Needed(CapabilitySet::empty());

/// Lets the capabilities outlive a change of the user; they are not in effect then until they are set again.
pub(super) fn keep_over_switch() -> Result<(), RightsError> {
    set_keep_capabilities(true).map_err(|error| failed("keep capabilities")(error))
}

/// Keeps at most `needed` of what the thread has, and makes sure that nothing brings more back: no inheritable, ambient or
/// bounding ones, and no program with a set-user-id bit (`no_new_privs`).
pub(super) fn reduce_to(Needed(needed): Needed) -> Result<(), RightsError> {
    let call = failed("set capabilities");
    let held = capabilities(None).map_err(&call)?.permitted;
    if held.contains(CapabilitySet::SETPCAP) {
        let all = CapabilitySets {
            effective: held,
            permitted: held,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, all).map_err(&call)?;
        for one in all_known().filter(|one| !needed.contains(*one)) {
            remove_capability_from_bounding_set(one).map_err(failed("reduce the bounding set"))?;
        }
    }
    clear_ambient_capability_set().map_err(failed("clear ambient capabilities"))?;
    let kept = held & needed;
    let kept =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, kept).map_err(&call)?;
    set_no_new_privs(true).map_err(failed("set no_new_privs"))
}

/// The names of those in effect, `CAP_BPF` for one.
pub(super) fn in_effect() -> Vec<String> {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    held.iter_names().map(|(name, _)| format!("CAP_{name}")).collect()
}

/// Those that this kernel knows.
fn all_known() -> impl Iterator<Item = CapabilitySet> {
    let each = (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit));
    each.filter(|one| capability_is_in_bounding_set(*one).unwrap_or(false))
}

fn failed(what: &'static str) -> impl Fn(rustix::io::Errno) -> RightsError {
    move |error| RightsError::call(what)(error.into())
}
