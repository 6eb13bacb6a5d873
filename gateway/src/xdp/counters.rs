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

/// How many single packets the kernel told of, and how many it could not for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taps {
    /// Events for the daemon.
    pub events: u64,
    /// Events that were lost.
    pub events_lost: u64,
    /// Copies for a capture.
    pub copies: u64,
    /// Copies that were lost.
    pub copies_lost: u64,
}

/// What the kernel counted since the maps were made; a restart of the daemon does not reset it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Each packet under its one outcome, by the names of [`gateway_ebpf::abi::Outcome`].
    pub outcomes: BTreeMap<&'static str, Count>,
    /// What was done for each list, by its name and the kernel action. `off` of a good list: it saved a listed address.
    pub lists: BTreeMap<Arc<str>, BTreeMap<&'static str, Count>>,
    /// The same for each family by itself, by list, family and action.
    pub families: BTreeMap<Arc<str>, BTreeMap<&'static str, BTreeMap<&'static str, Count>>>,
    /// How the telling of single packets went.
    pub taps: Taps,
    /// SYNs that were answered in order to refuse with a 554.
    pub refused: Count,
    /// The further packets of those connections.
    pub refused_dialogue: Count,
    /// Dropped without an answer, or over the cap on answers.
    pub dropped: Count,
    /// Answered with a RST.
    pub reset: Count,
    /// Passed on, for whatever reason.
    pub passed: Count,
}
