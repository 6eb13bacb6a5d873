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
    /// Dropped without an answer: by a list, over a cap on answers, or as part of a flood.
    pub dropped: Count,
    /// Answered with a RST.
    pub reset: Count,
    /// Passed on, for whatever reason.
    pub passed: Count,
}

impl Counters {
    /// What was counted after `earlier`. A list that counts from 0 again, since another got its place, has no less than 0.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = self.clone();
        for (name, count) in &mut since.outcomes {
            *count = count.since(earlier.outcomes.get(name));
        }
        for (list, actions) in &mut since.lists {
            let before = earlier.lists.get(list);
            for (action, count) in actions {
                *count = count.since(before.and_then(|before| before.get(action)));
            }
        }
        for (list, families) in &mut since.families {
            let before = earlier.families.get(list);
            for (family, actions) in families {
                let before = before.and_then(|before| before.get(family));
                for (action, count) in actions {
                    *count = count.since(before.and_then(|before| before.get(action)));
                }
            }
        }
        since.taps = self.taps.since(earlier.taps);
        since.refused = self.refused.since(Some(&earlier.refused));
        since.refused_dialogue = self.refused_dialogue.since(Some(&earlier.refused_dialogue));
        since.dropped = self.dropped.since(Some(&earlier.dropped));
        since.reset = self.reset.since(Some(&earlier.reset));
        since.passed = self.passed.since(Some(&earlier.passed));
        since
    }
}

impl Count {
    fn since(self, earlier: Option<&Self>) -> Self {
        let earlier = earlier.copied().unwrap_or_default();
        Self {
            packets: self.packets.saturating_sub(earlier.packets),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

impl Taps {
    const fn since(self, earlier: Self) -> Self {
        Self {
            events: self.events.saturating_sub(earlier.events),
            events_lost: self.events_lost.saturating_sub(earlier.events_lost),
            copies: self.copies.saturating_sub(earlier.copies),
            copies_lost: self.copies_lost.saturating_sub(earlier.copies_lost),
        }
    }
}
