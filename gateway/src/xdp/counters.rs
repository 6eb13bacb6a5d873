//! What the kernel counted.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use serde::Serialize;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Their bytes, Ethernet header included.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What the kernel counted since the maps were made; a restart of the daemon does not reset it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Each packet under its one outcome, by the names of [`gateway_ebpf::abi::Outcome`].
    pub outcomes: BTreeMap<&'static str, Count>,
    /// What was done for each list, by its name and the kernel action. `off` of a good list: it saved a listed address.
    pub lists: BTreeMap<Arc<str>, BTreeMap<&'static str, Count>>,
    /// SYNs that were answered in order to refuse with a 554.
    pub refused: Count,
    /// The further packets of those connections.
    pub refused_dialogue: Count,
    /// Dropped without an answer: by a list, over a cap on answers, or as part of a flood.
    pub dropped: Count,
    /// Answered with a RST.
    pub reset: Count,
    /// Passed on, for whatever reason.
    pub passed: Count,
}
