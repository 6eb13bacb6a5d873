//! The time of day, from one place, so that tests can set it; and the time since the host started, which nobody can set.

pub mod duration;
pub mod moment;

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Unit};
use rustix::time::{ClockId, clock_gettime};

pub use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Where the time of day comes from.
#[derive(Clone, Copy, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still, for tests.
    Fixed(Timestamp),
}

impl Clock {
    /// The time of day, UTC.
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => at,
        }
    }
}

/// The second from which on something does not count any more; there is none after February 2106.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry(NonZeroU32);

impl Expiry {
    /// The first whole second that is not before `at`.
    pub fn at(at: Timestamp) -> Self {
        let second = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
        let second = u32::try_from(second.max(1)).unwrap_or(u32::MAX);
        Self(NonZeroU32::new(second).unwrap_or(NonZeroU32::MIN))
    }

    /// In seconds since 1970.
    pub const fn as_second(self) -> u32 {
        self.0.get()
    }

    /// Whether what has it still counts at `now`.
    pub fn is_after(self, now: Timestamp) -> bool {
        i64::from(self.as_second()) > now.as_second()
    }

    /// The moment.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_second(self.as_second().into()).unwrap_or(Timestamp::MAX)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.timestamp().serialize(serializer)
    }
}

/// The time since the host started, sleep included (`CLOCK_BOOTTIME`).
pub fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The same in whole seconds, as the kernel filter counts them.
pub fn uptime() -> u32 {
    u32::try_from(since_boot().as_secs()).unwrap_or(u32::MAX)
}

/// The time of day at which the host will have run, or had run, for `uptime` seconds, by what the clock on the wall says now.
pub fn day_of_uptime(uptime: u32) -> Timestamp {
    let now = Clock::System.now();
    let ran = SignedDuration::try_from(since_boot()).unwrap_or(SignedDuration::MAX);
    let later = SignedDuration::from_secs(uptime.into()).saturating_sub(ran);
    let day = now.checked_add(later).unwrap_or(now);
    day.round(Unit::Second).unwrap_or(day)
}

/// Notices that somebody set the clock: it then goes apart from the time since the host started.
#[derive(Clone, Copy, Debug)]
pub struct ClockWatch {
    day: Timestamp,
    ran: Duration,
}

impl ClockWatch {
    /// From now on.
    pub fn begin() -> Self {
        Self { day: Clock::System.now(), ran: since_boot() }
    }

    /// The time of day at which it began, by the clock of then.
    pub const fn began(self) -> Timestamp {
        self.day
    }

    /// How far the clock jumped since then, in milliseconds; negative: back. What it is slewed by counts as well.
    pub fn jumped_ms(self) -> i64 {
        self.jumped_by(Clock::System.now(), since_boot())
    }

    fn jumped_by(self, day: Timestamp, ran: Duration) -> i64 {
        let ran = SignedDuration::try_from(ran.saturating_sub(self.ran)).unwrap_or_default();
        let jumped = day.duration_since(self.day).saturating_sub(ran).as_millis();
        i64::try_from(jumped).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_uptime_is_an_hour_of_the_day() {
        let ran = uptime();
        let now = Clock::System.now().as_second();
        for (uptime, expected) in [(ran, 0), (ran + 3600, 3600), (ran.saturating_sub(1), -1)] {
            let found = day_of_uptime(uptime).as_second() - now;
            assert!(found.abs_diff(expected) <= 2, "{found}, expected {expected}");
        }
    }

    #[test]
    fn a_clock_that_is_set_has_jumped() {
        let watch = ClockWatch { day: Timestamp::UNIX_EPOCH, ran: Duration::from_secs(100) };
        for (day, ran, expected) in [(60, 160, 0), (61, 160, 1000), (0, 160, -60_000)] {
            let day = Timestamp::from_second(day).unwrap();
            assert_eq!(watch.jumped_by(day, Duration::from_secs(ran)), expected, "{day} {ran}");
        }
        assert!(ClockWatch::begin().jumped_ms().abs() < 100);
    }

    #[test]
    fn what_expires_is_good_to_the_end_of_its_second() {
        for (at, second) in [
            ("2026-11-21T10:00:00Z", 1_795_255_200),
            ("2026-11-21T10:00:00.1Z", 1_795_255_201),
            ("1960-01-01T00:00:00Z", 1),
            ("2300-01-01T00:00:00Z", u32::MAX),
        ] {
            assert_eq!(Expiry::at(at.parse().unwrap()).as_second(), second, "{at}");
        }
    }
}
