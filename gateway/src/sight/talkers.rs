//! Who the kernel has most to do with: the heaviest sources and networks, in bounded memory.
//!
//! Space-Saving (Metwally, Agrawal, El Abbadi, 2005): where a newcomer finds no place, it takes that of the lightest and
//! inherits its weight as an error. Whoever has more than one part in [`MOST`] of all packets is never missed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use jiff::SignedDuration;
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::net::Prefix;

/// How many sources, and how many networks, are kept apart.
pub const MOST: usize = 1024;

/// The last minute goes by in so many slices of so many seconds.
const SLICES: usize = 6;
const SLICE: SignedDuration = SignedDuration::from_secs(10);

/// The networks of the two families.
const NETWORKS: (u8, u8) = (24, 64);

/// The heaviest sources and networks, in the last minute and since the start.
#[derive(Debug)]
pub struct Talkers {
    started: Timestamp,
    all: Heaviest,
    recent: VecDeque<(Timestamp, Heaviest)>,
}

/// The heaviest sources and networks of a time, the heaviest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Top {
    /// How long that time was.
    pub seconds: u64,
    /// How many events there were.
    pub events: u64,
    /// For how many packets they stand.
    pub packets: u64,
    /// Whether there were more packets than events, so that all that follows is an estimate.
    pub estimated: bool,
    /// Single addresses.
    pub sources: Vec<Talker>,
    /// Networks, /24 and /64.
    pub networks: Vec<Talker>,
}

/// A source or a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Talker {
    /// Its prefix.
    #[schema(value_type = String)]
    pub prefix: Prefix,
    /// Its packets.
    pub packets: u64,
    /// How many of them may be those of others that lost their place to it.
    pub error: u64,
    /// Its events.
    pub events: u64,
}

impl Talkers {
    /// Nobody yet.
    pub fn new(now: Timestamp) -> Self {
        Self { started: now, all: Heaviest::default(), recent: VecDeque::new() }
    }

    /// Takes in the events of one look: their clients, and for how many packets all of them stand.
    ///
    /// The packets are spread evenly: an event stands for those before it, whoever sent them.
    pub fn add(&mut self, now: Timestamp, clients: &[IpAddr], packets: u64) {
        self.forget(now);
        let count = u64::try_from(clients.len()).unwrap_or(u64::MAX);
        let (Some(each), Some(over)) = (packets.checked_div(count), packets.checked_rem(count))
        else {
            return;
        };
        if self.recent.back().is_none_or(|(began, _)| now.duration_since(*began) >= SLICE) {
            self.recent.push_back((now, Heaviest::default()));
        }
        let slice = self.recent.back_mut().map(|(_, slice)| slice);
        for heaviest in slice.into_iter().chain([&mut self.all]) {
            for (number, client) in (0..).zip(clients) {
                heaviest.add(*client, each + u64::from(number < over));
            }
        }
    }

    /// The heaviest of the last minute, at most `most` of each kind.
    pub fn recent(&mut self, now: Timestamp, most: usize) -> Top {
        self.forget(now);
        let began = self.recent.front().map_or(now, |(began, _)| *began);
        let mut merged = Heaviest::default();
        for (_, slice) in &self.recent {
            merged.merge(slice);
        }
        merged.top(now.duration_since(began), most)
    }

    /// The heaviest since the start, at most `most` of each kind.
    pub fn all(&self, now: Timestamp, most: usize) -> Top {
        self.all.top(now.duration_since(self.started), most)
    }

    fn forget(&mut self, now: Timestamp) {
        let slices = i32::try_from(SLICES).unwrap_or(i32::MAX);
        while self
            .recent
            .front()
            .is_some_and(|(began, _)| now.duration_since(*began) >= SLICE * slices)
        {
            self.recent.pop_front();
        }
    }
}

/// The heaviest of one time.
#[derive(Clone, Debug, Default)]
struct Heaviest {
    events: u64,
    packets: u64,
    sources: Places,
    networks: Places,
}

impl Heaviest {
    fn add(&mut self, client: IpAddr, packets: u64) {
        self.events += 1;
        self.packets = self.packets.saturating_add(packets);
        self.sources.add(Weight { packets, error: 0, events: 1 }, Prefix::host(client));
        let network = Prefix::around(client, NETWORKS.0, NETWORKS.1);
        self.networks.add(Weight { packets, error: 0, events: 1 }, network);
    }

    fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.packets = self.packets.saturating_add(other.packets);
        for (mine, others) in
            [(&mut self.sources, &other.sources), (&mut self.networks, &other.networks)]
        {
            for (prefix, weight) in &others.weights {
                mine.add(*weight, *prefix);
            }
        }
    }

    fn top(&self, time: SignedDuration, most: usize) -> Top {
        Top {
            seconds: u64::try_from(time.as_secs()).unwrap_or(0),
            events: self.events,
            packets: self.packets,
            estimated: self.packets != self.events,
            sources: self.sources.top(most),
            networks: self.networks.top(most),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Weight {
    packets: u64,
    error: u64,
    events: u64,
}

/// At most [`MOST`] prefixes with their weights.
#[derive(Clone, Debug, Default)]
struct Places {
    weights: HashMap<Prefix, Weight>,
    /// The same by weight, the lightest first.
    order: BTreeSet<(u64, Prefix)>,
}

impl Places {
    fn add(&mut self, more: Weight, prefix: Prefix) {
        let before = match self.weights.get(&prefix) {
            Some(weight) => {
                self.order.remove(&(weight.packets, prefix));
                *weight
            }
            None => self.make_room(),
        };
        let weight = Weight {
            packets: before.packets.saturating_add(more.packets),
            error: before.error.saturating_add(more.error),
            events: before.events + more.events,
        };
        self.weights.insert(prefix, weight);
        self.order.insert((weight.packets, prefix));
    }

    /// The weight that a newcomer begins with.
    fn make_room(&mut self) -> Weight {
        let lightest = if self.weights.len() < MOST { None } else { self.order.pop_first() };
        let inherited = lightest.map_or(0, |(packets, prefix)| {
            self.weights.remove(&prefix);
            packets
        });
        Weight { packets: inherited, error: inherited, events: 0 }
    }

    fn top(&self, most: usize) -> Vec<Talker> {
        let heaviest = self.order.iter().rev().take(most);
        heaviest
            .filter_map(|(_, prefix)| {
                let Weight { packets, error, events } = *self.weights.get(prefix)?;
                Some(Talker { prefix: *prefix, packets, error, events })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn start() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0xc612_0000 + number).into()
    }

    fn seen(talkers: &[Talker]) -> Vec<(String, u64, u64, u64)> {
        talkers.iter().map(|t| (t.prefix.to_string(), t.packets, t.error, t.events)).collect()
    }

    #[test]
    fn sources_and_their_networks_are_counted() {
        let mut talkers = Talkers::new(start());
        let v6: [IpAddr; 2] = [1, 2].map(|low| Ipv6Addr::from_bits(0x2001_0db8 << 96 | low).into());
        talkers.add(start(), &[v4(1), v4(2), v4(1), v6[0], v6[1], v4(300)], 6);
        let top = talkers.recent(start(), 10);
        assert_eq!((top.events, top.packets, top.estimated), (6, 6, false));
        assert_eq!(seen(&top.sources)[0], ("198.18.0.1".to_owned(), 2, 0, 2));
        assert_eq!(top.sources.len(), 5);
        assert_eq!(
            seen(&top.networks)[..2],
            [("198.18.0.0/24".to_owned(), 3, 0, 3), ("2001:db8::/64".to_owned(), 2, 0, 2),]
        );
        assert_eq!(talkers.recent(start(), 1).sources.len(), 1);
    }

    #[test]
    fn packets_that_were_not_told_are_spread_and_none_is_lost() {
        let mut talkers = Talkers::new(start());
        talkers.add(start(), &[v4(1), v4(1), v4(2)], 100);
        let top = talkers.all(start(), 10);
        assert_eq!((top.events, top.packets, top.estimated), (3, 100, true));
        assert_eq!(
            seen(&top.sources),
            [("198.18.0.1".to_owned(), 67, 0, 2), ("198.18.0.2".to_owned(), 33, 0, 1),]
        );
        talkers.add(start(), &[], 7);
        assert_eq!(talkers.all(start(), 10), top);
    }

    #[test]
    fn the_last_minute_goes_by() {
        let mut talkers = Talkers::new(start());
        let at = |second| start() + SignedDuration::from_secs(second);
        for second in 0..90 {
            talkers.add(at(second), &[v4(u32::try_from(second / 30).unwrap())], 1);
        }
        let top = talkers.recent(at(90), 10);
        assert_eq!((top.seconds, top.packets), (50, 50));
        assert_eq!(seen(&top.sources)[0], ("198.18.0.2".to_owned(), 30, 0, 30));
        assert_eq!(talkers.all(at(90), 10).packets, 90);
        assert_eq!(talkers.recent(at(200), 10), Top::default());
    }

    #[test]
    fn a_flood_of_newcomers_does_not_drive_out_the_heaviest() {
        let mut talkers = Talkers::new(start());
        for round in 0..100 {
            let crowd: Vec<IpAddr> = (0..1000).map(|n| v4(1000 + 1000 * round + n)).collect();
            talkers.add(start(), &crowd, 1000);
            talkers.add(start(), &[v4(1), v4(2)], 400);
        }
        let top = talkers.all(start(), MOST * 2);
        assert_eq!(top.sources.len(), MOST);
        assert_eq!(top.packets, 140_000);
        for (talker, expected) in top.sources.iter().zip([v4(2), v4(1)]) {
            assert!([v4(1), v4(2)].contains(&talker.prefix.address()), "{expected}");
            assert!(talker.packets - talker.error <= 20_000 && talker.packets >= 20_000);
        }
        // What is said is never less than what was.
        let all: u64 = top.sources.iter().map(|talker| talker.packets).sum();
        assert_eq!(all, top.packets);
    }
}
