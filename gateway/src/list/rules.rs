//! Rules: the one outcome per prefix that the kernel enforces, compiled from all lists.

use gateway_ebpf::abi::KernelAction;

use crate::net::Prefix;

/// What the kernel does with SYNs from one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The prefix.
    pub prefix: Prefix,
    /// The list that decides, as an index into [`Rules::lists`].
    pub list: u16,
    /// What the kernel does; of a good rule always `Off`.
    pub action: KernelAction,
}

/// All rules of one version. The longest bad prefix that covers an address decides, unless any good prefix covers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Counts up with each change of any list; 0 is the empty set before the first.
    pub version: u64,
    /// The names of the lists, in configuration order; counters are kept under these.
    pub lists: Vec<std::sync::Arc<str>>,
    /// Prefixes of good lists and protected hosts, sorted.
    pub good: Vec<Rule>,
    /// Prefixes of the lists that act at connect, sorted.
    pub bad: Vec<Rule>,
}
