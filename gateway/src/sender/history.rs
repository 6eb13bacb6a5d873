//! What an address did of late, as evidence that fades.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::bounded::Bounded;
use super::elapsed;
use crate::clock::Timestamp;
use crate::net::{Prefix, fold};

/// How many addresses are remembered.
const ADDRESSES: usize = 100_000;
/// How many networks are remembered.
const NETWORKS: usize = 50_000;

/// What the past of an address weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// The weight of each refusal of the address.
    pub refused: i32,
    /// The most that refusals of the address weigh.
    pub refused_most: i32,
    /// The weight of each refusal of another address of its network, a /24 or /64.
    pub network_refused: i32,
    /// The most that refusals of other addresses weigh.
    pub network_refused_most: i32,
    /// The weight of having talked before it was asked; more than once weighs no more.
    pub early_talking: i32,
    /// The weight of each message that was delivered.
    pub delivered: i32,
    /// The most that delivered messages weigh.
    pub delivered_most: i32,
    /// After this time a thing that happened counts half.
    pub half_life: Duration,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            refused: 40,
            refused_most: 200,
            network_refused: 10,
            network_refused_most: 100,
            early_talking: 200,
            delivered: -10,
            delivered_most: -100,
            half_life: Duration::from_hours(6),
        }
    }
}

/// What an address did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was refused for what it is.
    Refused,
    /// It talked before it was asked.
    EarlyTalking,
    /// A message of it was delivered.
    Delivered,
}

/// What addresses did of late. It is never on a disk: after a restart nobody has a past.
#[derive(Debug)]
pub struct History {
    settings: ArcSwap<HistorySettings>,
    past: Mutex<Past>,
}

#[derive(Debug)]
struct Past {
    addresses: Bounded<IpAddr, Counts>,
    networks: Bounded<Prefix, Counts>,
}

impl History {
    /// A history in which nothing has happened.
    pub fn new(settings: HistorySettings) -> Self {
        let past = Past { addresses: Bounded::new(ADDRESSES), networks: Bounded::new(NETWORKS) };
        Self { settings: ArcSwap::from_pointee(settings), past: Mutex::new(past) }
    }

    /// Changes what the past weighs; all of it stays.
    pub fn set(&self, settings: HistorySettings) {
        self.settings.store(settings.into());
    }

    /// Remembers what an address did.
    pub fn note(&self, address: IpAddr, event: Event, now: Timestamp) {
        let address = fold(address);
        let half_life = self.settings.load().half_life;
        let worth = |counts: &Counts| counts.worth(half_life, now);
        let new = Counts::new(now);
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = past.addresses.entry(address, new, worth) {
            counts.add(event, half_life, now);
        }
        // Of a network only refusals are asked.
        if event == Event::Refused
            && let Some(counts) = past.networks.entry(network(address), new, worth)
        {
            counts.add(event, half_life, now);
        }
    }

    /// Whether mail of an address was delivered of late.
    pub fn has_delivered(&self, address: IpAddr, now: Timestamp) -> bool {
        let half_life = self.settings.load().half_life;
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = past.addresses.get_mut(fold(address));
        counts.is_some_and(|it| it.faded(half_life, now).delivered >= 0.5)
    }

    /// What the past of an address says, each with its weight; what weighs nothing is left out.
    pub fn evidence(&self, address: IpAddr, now: Timestamp) -> Vec<(&'static str, i32)> {
        let address = fold(address);
        let settings = **self.settings.load();
        let (own, network) = {
            let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
            let look = |counts: Option<&mut Counts>| {
                counts.map_or_else(|| Counts::new(now), |it| it.faded(settings.half_life, now))
            };
            (look(past.addresses.get_mut(address)), look(past.networks.get_mut(network(address))))
        };
        let others = network.refused - own.refused;
        let early = own.early.min(1.0);
        let items = [
            (
                "history:early-talking",
                weight(early, settings.early_talking, settings.early_talking),
            ),
            ("history:refused", weight(own.refused, settings.refused, settings.refused_most)),
            (
                "history:network-refused",
                weight(others, settings.network_refused, settings.network_refused_most),
            ),
            (
                "history:delivered",
                weight(own.delivered, settings.delivered, settings.delivered_most),
            ),
        ];
        items.into_iter().filter(|(_, weight)| *weight != 0).collect()
    }
}

impl Default for History {
    fn default() -> Self {
        Self::new(HistorySettings::default())
    }
}

/// The network of an address: those who have one of its addresses mostly have the others, too.
fn network(address: IpAddr) -> Prefix {
    Prefix::around(address, 24, 64)
}

/// `count` times `each`, which weighs `most` at most, whichever way it counts.
fn weight(count: f64, each: i32, most: i32) -> i32 {
    let most = f64::from(most.unsigned_abs());
    let weight = (count.max(0.0) * f64::from(each)).round().clamp(-most, most);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and no larger than an i32")]
    let weight = weight as i32;
    weight
}

/// How often things happened, faded up to a moment.
#[derive(Clone, Copy, Debug)]
struct Counts {
    refused: f64,
    early: f64,
    delivered: f64,
    at: Timestamp,
}

impl Counts {
    const fn new(now: Timestamp) -> Self {
        Self { refused: 0.0, early: 0.0, delivered: 0.0, at: now }
    }

    /// What is left of them at `now`, which is kept: a clock that was set back must not keep them from fading.
    fn faded(&mut self, half_life: Duration, now: Timestamp) -> Self {
        let left = self.left(half_life, now);
        let Self { refused, early, delivered, at: _ } = *self;
        *self = Self {
            refused: refused * left,
            early: early * left,
            delivered: delivered * left,
            at: now,
        };
        *self
    }

    /// The part of each that is left at `now`.
    fn left(&self, half_life: Duration, now: Timestamp) -> f64 {
        let passed = elapsed(self.at, now);
        if passed.is_zero() { 1.0 } else { (-passed.div_duration_f64(half_life)).exp2() }
    }

    fn add(&mut self, event: Event, half_life: Duration, now: Timestamp) {
        self.faded(half_life, now);
        match event {
            Event::Refused => self.refused += 1.0,
            Event::EarlyTalking => self.early += 1.0,
            Event::Delivered => self.delivered += 1.0,
        }
    }

    fn worth(&self, half_life: Duration, now: Timestamp) -> f64 {
        (self.refused + self.early + self.delivered) * self.left(half_life, now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + 3600 * hour).unwrap()
    }

    const EVENTS: [(&str, Event); 3] = [
        ("refused", Event::Refused),
        ("early", Event::EarlyTalking),
        ("delivered", Event::Delivered),
    ];

    /// What is said of 192.0.2.7 after `what * times` of addresses at hours, as `name weight, ...`.
    fn check(events: &[(&str, &str, usize, i64)], hour: i64, expected: &str) {
        let history = History::default();
        for (what, address, times, hour) in events {
            let event = EVENTS.iter().find(|(name, _)| name == what).unwrap().1;
            for _ in 0..*times {
                history.note(address.parse().unwrap(), event, at(*hour));
            }
        }
        let evidence = history.evidence([192, 0, 2, 7].into(), at(hour));
        let found: Vec<_> =
            evidence.iter().map(|(name, weight)| format!("{name} {weight}")).collect();
        assert_eq!(found.join(", ").replace("history:", ""), expected, "{events:?} {hour}");
    }

    #[test]
    fn the_past_weighs_less_and_less() {
        const OWN: &str = "192.0.2.7";
        check(&[], 0, "");
        check(&[("refused", OWN, 1, 0)], 0, "refused 40");
        check(&[("refused", "::ffff:192.0.2.7", 1, 0)], 0, "refused 40");
        check(&[("refused", OWN, 1, 0)], 6, "refused 20");
        check(&[("refused", OWN, 1, 0)], 100, "");
        check(&[("refused", OWN, 1, 0), ("refused", OWN, 1, 6)], 6, "refused 60");
        check(&[("refused", OWN, 99, 0)], 0, "refused 200");
        check(&[("refused", OWN, 1, 10)], 0, "refused 40");
        check(&[("refused", "192.0.2.8", 1, 0)], 0, "network-refused 10");
        check(&[("refused", "192.0.2.8", 1, 0)], 6, "network-refused 5");
        check(&[("refused", "192.0.2.8", 99, 0)], 0, "network-refused 100");
        check(&[("refused", "192.0.3.8", 9, 0)], 0, "");
        check(&[("early", "192.0.2.8", 9, 0), ("delivered", "192.0.2.8", 9, 0)], 0, "");
        check(
            &[("refused", OWN, 2, 0), ("refused", "192.0.2.8", 3, 6)],
            6,
            "refused 40, network-refused 30",
        );
        check(&[("early", OWN, 1, 0)], 0, "early-talking 200");
        check(&[("early", OWN, 4, 0)], 0, "early-talking 200");
        check(&[("early", OWN, 1, 0)], 6, "early-talking 100");
        check(&[("early", OWN, 4, 0)], 12, "early-talking 200");
        check(&[("delivered", OWN, 3, 0)], 0, "delivered -30");
        check(&[("delivered", OWN, 99, 0)], 0, "delivered -100");
    }

    #[test]
    fn an_ipv6_network_is_a_64() {
        let history = History::default();
        history.note("2001:db8::1".parse().unwrap(), Event::Refused, at(0));
        for (address, expected) in [
            ("2001:db8::1", &[("history:refused", 40)][..]),
            ("2001:db8::2", &[("history:network-refused", 10)]),
            ("2001:db8:0:1::1", &[]),
        ] {
            assert_eq!(history.evidence(address.parse().unwrap(), at(0)), expected, "{address}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_from_fading() {
        let history = History::default();
        let address = IpAddr::from([192, 0, 2, 7]);
        history.note(address, Event::Refused, at(1_000_000));
        assert_eq!(history.evidence(address, at(0)), [("history:refused", 40)]);
        assert_eq!(history.evidence(address, at(6)), [("history:refused", 20)]);
    }

    #[test]
    fn settings_change_at_run_time_and_may_have_no_sense() {
        let history = History::default();
        let address = IpAddr::from([192, 0, 2, 7]);
        history.note(address, Event::Refused, at(0));
        for (refused, refused_most, half_life, weight) in [
            (0, 100, 6, 0),
            (100, 0, 6, 0),
            (-50, 30, 6, -30),
            (30, -20, 6, 20),
            (i32::MAX, i32::MIN, 6, i32::MAX),
            (40, 200, 0, 40),
        ] {
            let half_life = Duration::from_hours(half_life);
            history.set(HistorySettings { refused, refused_most, half_life, ..Default::default() });
            let found = history.evidence(address, at(0)).first().map_or(0, |(_, weight)| *weight);
            assert_eq!(found, weight, "{refused} {refused_most}");
        }
        assert_eq!(history.evidence(address, at(1)), [], "nothing lasts without a half-life");
    }

    #[test]
    fn a_flood_of_strangers_does_not_push_out_who_is_known() {
        let history = History::default();
        let known = IpAddr::from([192, 0, 2, 7]);
        for _ in 0..5 {
            history.note(known, Event::Refused, at(0));
        }
        for stranger in 0..150_000_u32 {
            let address = Ipv4Addr::from(0x0a00_0000 + stranger * 256);
            history.note(address.into(), Event::Refused, at(1));
        }
        assert!(!history.evidence(known, at(1)).is_empty());
        let past = history.past.lock().unwrap();
        assert_eq!((past.addresses.len(), past.networks.len()), (ADDRESSES, NETWORKS));
    }
}
