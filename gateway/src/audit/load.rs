//! What is left out when records come faster than they can be written: details first, then accepts, refusals last.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;
use utoipa::ToSchema;

use crate::policy::{Action, Record};

/// Records that may wait.
pub const MOST: usize = 65_536;
/// Octets that may wait: senders decide how long some of the records are.
pub(super) const MOST_OCTETS: usize = 64 << 20;

/// Of so many accepts one is written where accepts are sampled.
pub(super) const ONE_IN: u64 = 16;

/// How much is left out, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing.
    Whole,
    /// From half of the room on: what did not decide.
    Details,
    /// From three quarters on: most accepts, too.
    Sampled,
    /// In the last sixteenth: all of them. What is left of the room is for refusals.
    Accepts,
}

impl Level {
    /// What is left out while `part` of `whole` are taken.
    const fn of(part: usize, whole: usize) -> Self {
        let sixteenths = part.saturating_mul(16) / whole;
        match sixteenths {
            0..8 => Self::Whole,
            8..12 => Self::Details,
            12..15 => Self::Sampled,
            _ => Self::Accepts,
        }
    }
}

/// How the audit trail is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TrailStatus)]
pub struct WriterStatus {
    /// Records written since the start.
    pub written: u64,
    /// Records that found no place in the queue, or that one of the file and the store did not get.
    pub lost: u64,
    /// Records written without what did not decide.
    pub without_details: u64,
    /// Accepts left out so that refusals find room.
    pub sampled_out: u64,
    /// Records that wait to be written.
    pub waiting: u64,
    /// Records that an output beside the file and the store did not take.
    pub outputs_lost: u64,
}

/// What waits, and what became of the others.
#[derive(Debug, Default)]
pub(super) struct Load {
    records: AtomicUsize,
    octets: AtomicUsize,
    level: AtomicU8,
    accepts: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
    without_details: AtomicU64,
    sampled_out: AtomicU64,
    outputs_lost: AtomicU64,
}

impl Load {
    /// How much is left out now.
    pub(super) fn level(&self) -> Level {
        let records = Level::of(self.records.load(Ordering::Relaxed), MOST);
        records.max(Level::of(self.octets.load(Ordering::Relaxed), MOST_OCTETS))
    }

    /// The record as it is to be written under this load; `None` where it is left out.
    pub(super) fn reduced<'a>(&self, record: Record<'a>) -> Option<Record<'a>> {
        let level = self.level();
        if level == Level::Whole {
            return Some(record);
        }
        let passes = matches!(record.action, Action::Accept | Action::Observe | Action::Tag);
        let is_left_out = passes
            && match level {
                Level::Whole | Level::Details => false,
                Level::Sampled => {
                    !self.accepts.fetch_add(1, Ordering::Relaxed).is_multiple_of(ONE_IN)
                }
                Level::Accepts => true,
            };
        if is_left_out {
            self.sampled_out.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.without_details.fetch_add(1, Ordering::Relaxed);
        Some(record.without_details())
    }

    /// Takes room for a record; false where there is none, and it is lost.
    pub(super) fn take(&self, octets: usize) -> bool {
        let records = self.records.fetch_add(1, Ordering::Relaxed);
        let before = self.octets.fetch_add(octets, Ordering::Relaxed);
        if records >= MOST || before.saturating_add(octets) > MOST_OCTETS {
            self.leave(octets);
            self.lose();
            return false;
        }
        true
    }

    /// Gives back the room of a record that was not written.
    pub(super) fn leave(&self, octets: usize) {
        self.records.fetch_sub(1, Ordering::Relaxed);
        self.octets.fetch_sub(octets, Ordering::Relaxed);
    }

    pub(super) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lose_output(&self) {
        self.outputs_lost.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the level is another one than at the last call, which it then is.
    pub(super) fn is_another_level(&self, level: Level) -> bool {
        self.level.swap(level as u8, Ordering::Relaxed) != level as u8
    }

    pub(super) fn status(&self) -> WriterStatus {
        WriterStatus {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            without_details: self.without_details.load(Ordering::Relaxed),
            sampled_out: self.sampled_out.load(Ordering::Relaxed),
            waiting: self.records.load(Ordering::Relaxed) as u64,
            outputs_lost: self.outputs_lost.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;
    use crate::clock::Timestamp;
    use crate::net::Hop;
    use crate::policy::{
        AddressFacts, Decision, MessageFacts, Outcome, Policy, Reference, decide_message,
    };

    #[test]
    fn more_is_left_out_the_fuller_it_is() {
        for (part, level) in [
            (0, Level::Whole),
            (MOST / 2 - 1, Level::Whole),
            (MOST / 2, Level::Details),
            (MOST * 3 / 4, Level::Sampled),
            (MOST / 16 * 15, Level::Accepts),
            (MOST * 2, Level::Accepts),
        ] {
            assert_eq!(Level::of(part, MOST), level, "{part}");
        }
    }

    fn decision(action: Action) -> Decision {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let hop = |address: &str| AddressFacts::new(address.parse().unwrap(), Hop::Received(1));
        let addresses = vec![AddressFacts::new(address, Hop::Connect), hop("198.51.100.7")];
        let facts = MessageFacts { addresses, ..MessageFacts::default() };
        let accepted = decide_message(&Policy::default(), facts, 1, Reference::new(1));
        Decision { action, ..accepted }
    }

    #[test]
    fn refusals_are_left_out_last() {
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let kept = |load: &Load, action| {
            let (decision, outcome) = (decision(action), Outcome::default());
            let time = Timestamp::UNIX_EPOCH;
            let records = (0..32).filter_map(|_| {
                let record = Record::new(time, client, client, None, &decision, outcome.clone());
                let record = load.reduced(record)?;
                Some((record.details, record.addresses.len(), record.addresses_total))
            });
            let kept: Vec<_> = records.collect();
            (kept.len(), kept.first().copied())
        };
        for (taken, accepts, refusals, known) in [
            (0, 32, 32, (true, 2, 2)),
            (MOST_OCTETS / 2, 32, 32, (false, 1, 2)),
            (MOST_OCTETS / 4 * 3, 2, 32, (false, 1, 2)),
            (MOST_OCTETS / 16 * 15, 0, 32, (false, 1, 2)),
        ] {
            let load = Load::default();
            assert!(load.take(taken));
            assert_eq!(kept(&load, Action::Reject), (refusals, Some(known)), "{taken}");
            assert_eq!(kept(&load, Action::Defer).0, refusals, "{taken}");
            for action in [Action::Accept, Action::Observe, Action::Tag] {
                assert_eq!(kept(&load, action).0, accepts, "{taken} {action:?}");
            }
            let status = load.status();
            assert_eq!(status.sampled_out, 3 * (32 - accepts as u64), "{taken}");
            assert_eq!(status.without_details > 0, !known.0, "{taken}");
        }
    }

    #[test]
    fn what_finds_no_room_is_lost_and_leaves_none_taken() {
        let load = Load::default();
        assert!(load.take(MOST_OCTETS));
        assert!(!load.take(1));
        load.leave(MOST_OCTETS);
        for _ in 0..MOST {
            assert!(load.take(1));
        }
        assert!(!load.take(0));
        let status = load.status();
        assert_eq!((status.lost, status.waiting), (1 + 1, MOST as u64));
    }
}
