//! When a feed is fetched next: its interval, later after faults, never all feeds at once.

use std::time::Duration;

/// How long a feed is left alone after its first fault; twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// However often it failed, a feed is tried again after that long.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// However long a server asks to be left alone, it is tried again after that long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The first fetches of lists that have a copy are spread over that long.
const SPREAD: Duration = Duration::from_secs(30);

/// When one feed is fetched: what went before, in a number. `random` is a number that nobody can foresee, so that many
/// hosts with the same feed do not ask for it in the same second.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    interval: Duration,
    faults: u32,
}

impl Schedule {
    /// A feed that is fetched every `interval`.
    pub const fn new(interval: Duration) -> Self {
        Self { interval, faults: 0 }
    }

    /// How many fetches failed since the last that did not.
    pub const fn faults(self) -> u32 {
        self.faults
    }

    /// The wait before the first fetch: none where there is no copy to protect the host meanwhile. `age` is that of the copy:
    /// of its interval the rest is waited for, since a daemon that starts again and again is as unwelcome as one that asks
    /// again and again.
    pub fn first(self, age: Option<Duration>, random: u32) -> Duration {
        age.map_or(Duration::ZERO, |age| self.interval.saturating_sub(age) + part(SPREAD, random))
    }

    /// The wait after a fetch that went well.
    pub fn after_success(&mut self, random: u32) -> Duration {
        self.faults = 0;
        spread(self.interval, random)
    }

    /// The wait after a fault; `retry_after` is what the server asks for.
    pub fn after_fault(&mut self, retry_after: Option<Duration>, random: u32) -> Duration {
        let doubled =
            FIRST_PAUSE.saturating_mul(1_u32.checked_shl(self.faults).unwrap_or(u32::MAX));
        self.faults = self.faults.saturating_add(1);
        let pause = spread(doubled.min(self.interval).min(LONGEST_PAUSE), random);
        pause.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }
}

/// Up to a tenth later, never sooner: what a feed allows is the least time between two fetches.
fn spread(time: Duration, random: u32) -> Duration {
    time + part(time / 10, random)
}

fn part(most: Duration, random: u32) -> Duration {
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn the_interval_and_up_to_a_tenth_more() {
        let mut schedule = Schedule::new(HOUR);
        for (random, expected) in [(0, HOUR), (u32::MAX, HOUR + 6 * MINUTE)] {
            assert_eq!(schedule.after_success(random), expected, "{random}");
        }
    }

    #[test]
    fn the_first_fetch_waits_for_the_rest_of_the_interval() {
        for (age, random, expected) in [
            (None, u32::MAX, Duration::ZERO),
            (Some(Duration::ZERO), 0, HOUR),
            (Some(Duration::ZERO), u32::MAX, HOUR + SPREAD),
            (Some(20 * MINUTE), 0, 40 * MINUTE),
            (Some(HOUR), 0, Duration::ZERO),
            (Some(Duration::MAX), u32::MAX, SPREAD),
        ] {
            assert_eq!(Schedule::new(HOUR).first(age, random), expected, "{age:?} {random}");
        }
    }

    #[test]
    fn after_each_fault_twice_as_long() {
        for (interval, minutes) in [
            (HOUR, vec![1, 2, 4, 8, 16, 32, 60, 60]),
            (5 * MINUTE, vec![1, 2, 4, 5, 5]),
            (24 * HOUR, vec![1, 2, 4, 8, 16, 32, 60, 60]),
        ] {
            let mut schedule = Schedule::new(interval);
            for (index, minutes) in minutes.into_iter().enumerate() {
                assert_eq!(schedule.after_fault(None, 0), minutes * MINUTE, "{interval:?} {index}");
            }
            assert_eq!(schedule.after_success(0), interval);
            assert_eq!((schedule.faults(), schedule.after_fault(None, 0)), (0, MINUTE));
        }
    }

    #[test]
    fn hundreds_of_faults_do_no_harm() {
        let mut schedule = Schedule::new(HOUR);
        let pauses: Vec<_> = (0..300).map(|_| schedule.after_fault(None, 0)).collect();
        assert_eq!((schedule.faults(), pauses.last()), (300, Some(&HOUR)));
    }

    #[test]
    fn the_server_may_ask_for_more_time_within_reason() {
        for (asked, expected) in [
            (Duration::ZERO, MINUTE),
            (10 * MINUTE, 10 * MINUTE),
            (3 * HOUR, 3 * HOUR),
            (Duration::MAX, 24 * HOUR),
        ] {
            let pause = Schedule::new(5 * MINUTE).after_fault(Some(asked), 0);
            assert_eq!(pause, expected, "{asked:?}");
        }
    }
}
