//! Promotion: who was refused so often that the kernel may do it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::bounded::Bounded;
use super::elapsed;
use crate::clock::Timestamp;
use crate::net::{Prefix, fold};

/// For how many addresses refusals are counted.
const ADDRESSES: usize = 100_000;

/// The most refusals that may be asked for: the time of each is kept.
pub const MOST_REFUSALS: u32 = 100;

/// When an address is promoted, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromotionSettings {
    /// How many refusals promote an address, at most [`MOST_REFUSALS`]; 0 for never.
    pub refusals: u32,
    /// Within which time.
    pub window: Duration,
    /// For how long.
    pub duration: Duration,
    /// How many prefixes may be promoted at the same time; to be seen to by who keeps the list of them.
    pub most: usize,
}

impl Default for PromotionSettings {
    fn default() -> Self {
        Self {
            refusals: 0,
            window: Duration::from_mins(10),
            duration: Duration::from_hours(1),
            most: 10_000,
        }
    }
}

/// An address that was refused often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The address, or the /64 of an IPv6 address.
    pub prefix: Prefix,
    /// How often it was refused.
    pub refusals: u32,
    /// Since when.
    pub since: Timestamp,
}

/// Refusals by address.
#[derive(Debug)]
pub struct Promotions {
    settings: ArcSwap<PromotionSettings>,
    /// When each address was refused, in milliseconds since 1970.
    refused: Mutex<Bounded<IpAddr, Vec<i64>>>,
}

impl Promotions {
    /// Nobody was refused yet.
    pub fn new(settings: PromotionSettings) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            refused: Mutex::new(Bounded::new(ADDRESSES)),
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> PromotionSettings {
        **self.settings.load()
    }

    /// Changes the settings; what was counted stays.
    pub fn set(&self, settings: PromotionSettings) {
        self.settings.store(settings.into());
    }

    /// Counts a refusal. What promotes an address is used up: as many again promote it again.
    pub fn refused(&self, address: IpAddr, now: Timestamp) -> Option<Promotion> {
        let PromotionSettings { refusals, window, .. } = self.settings();
        if refusals == 0 {
            return None;
        }
        let address = fold(address);
        let needed = refusals.min(MOST_REFUSALS);
        let counts = |at: &i64| {
            let at = Timestamp::from_millisecond(*at).unwrap_or(Timestamp::MAX);
            at <= now && elapsed(at, now) <= window
        };
        let worth = |times: &Vec<i64>| {
            (times.iter().filter(|at| counts(at)).count(), times.last().copied())
        };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let times = refused.entry(address, Vec::new(), worth)?;
        times.retain(counts);
        times.push(now.as_millisecond());
        let refusals = u32::try_from(times.len()).unwrap_or(u32::MAX);
        if refusals < needed {
            return None;
        }
        let first = times.first().and_then(|at| Timestamp::from_millisecond(*at).ok());
        *times = Vec::new();
        Some(Promotion { prefix: promoted(address), refusals, since: first.unwrap_or(now) })
    }
}

impl Default for Promotions {
    fn default() -> Self {
        Self::new(PromotionSettings::default())
    }
}

/// What is promoted of an address: who has an IPv6 address mostly has its /64.
fn promoted(address: IpAddr) -> Prefix {
    Prefix::around(address, 32, 64)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn promotions(refusals: u32) -> Promotions {
        Promotions::new(PromotionSettings { refusals, ..PromotionSettings::default() })
    }

    /// Which of the refusals of 192.0.2.7 at these seconds promote it, and since when.
    fn check(refusals: u32, seconds: &[i64], expected: &[(i64, u32, i64)]) {
        let promotions = promotions(refusals);
        let mut found = Vec::new();
        for &second in seconds {
            if let Some(it) = promotions.refused([192, 0, 2, 7].into(), at(second)) {
                assert_eq!(it.prefix.to_string(), "192.0.2.7");
                found.push((second, it.refusals, it.since.as_second() - at(0).as_second()));
            }
        }
        assert_eq!(found, expected, "{refusals} {seconds:?}");
    }

    #[test]
    fn as_many_refusals_as_are_asked_for_promote_once() {
        check(0, &[0, 0, 0], &[]);
        check(1, &[0, 1], &[(0, 1, 0), (1, 1, 1)]);
        check(3, &[0, 300, 600], &[(600, 3, 0)]);
        check(3, &[0, 300, 601], &[]);
        check(3, &[0, 300, 601, 900], &[(900, 3, 300)]);
        check(3, &[0, 0, 0, 0, 0, 0, 0], &[(0, 3, 0), (0, 3, 0)]);
        check(2, &[0, 601, 1202, 1803], &[]);
        // Times of a clock that has been set back do not count.
        check(3, &[1000, 1000, 0, 1, 2], &[(2, 3, 0)]);
        check(1000, &[0; 100], &[(0, 100, 0)]);
    }

    #[test]
    fn each_address_counts_for_itself_and_ipv6_is_promoted_by_64() {
        let promotions = promotions(2);
        for (address, expected) in [
            ("192.0.2.1", None),
            ("192.0.2.2", None),
            ("2001:db8::1", None),
            ("2001:db8::2", None),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::/64")),
        ] {
            let found = promotions.refused(address.parse().unwrap(), at(0));
            let found = found.map(|it| it.prefix.to_string());
            assert_eq!(found.as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_flood_of_strangers_hides_nobody_who_comes_often() {
        let promotions = promotions(5);
        let often = IpAddr::from([192, 0, 2, 7]);
        for _ in 0..4 {
            assert_eq!(promotions.refused(often, at(0)), None);
        }
        for stranger in 0..150_000 {
            let address = Ipv4Addr::from(0x0a00_0000 + stranger);
            assert_eq!(promotions.refused(address.into(), at(1)), None);
        }
        assert_eq!(promotions.refused.lock().unwrap().len(), ADDRESSES);
        assert!(promotions.refused(often, at(2)).is_some());
    }

    proptest! {
        /// The same as counting by hand all refusals since the last promotion.
        #[test]
        fn agrees_with_a_plain_count(refusals in 1_u32..6, steps in prop::collection::vec(0_i64..400, 0..60)) {
            let promotions = promotions(refusals);
            let mut times = Vec::new();
            let mut now = 0;
            for step in steps {
                now += step;
                times.push(now);
                let within: Vec<_> = times.iter().copied().filter(|time| now - time <= 600).collect();
                let found = promotions.refused([192, 0, 2, 7].into(), at(now));
                if within.len() == usize::try_from(refusals).unwrap() {
                    let since = at(*within.first().unwrap());
                    prop_assert_eq!(found.map(|it| (it.refusals, it.since)), Some((refusals, since)));
                    times.clear();
                } else {
                    prop_assert_eq!(found, None);
                }
            }
        }
    }
}
