//! The kernel's clock, as the program reads it: monotonic, exact to a tick.

use jiff::SignedDuration;
use rustix::time::{ClockId, clock_gettime};

use crate::clock::Timestamp;

/// Now, in nanoseconds.
pub(super) fn now() -> u64 {
    let now = clock_gettime(ClockId::MonotonicCoarse);
    let nanoseconds = i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or(0)
}

/// The kernel's time in the time of day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    kernel: u64,
    day: Timestamp,
}

impl Moment {
    /// The moment `day`, which is now.
    pub(super) fn at(day: Timestamp) -> Self {
        Self { kernel: now(), day }
    }

    /// The time of day at `kernel`, not far from this moment.
    pub(super) fn day(self, kernel: u64) -> Timestamp {
        let later = i128::from(kernel) - i128::from(self.kernel);
        let later = SignedDuration::from_nanos(i64::try_from(later).unwrap_or(0));
        self.day.checked_add(later).unwrap_or(self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_goes_with_the_kernels() {
        let day: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let moment = Moment { kernel: 5_000_000_000, day };
        for (kernel, expected) in [
            (5_000_000_000, "2026-11-21T12:00:00Z"),
            (4_000_000_000, "2026-11-21T11:59:59Z"),
            (6_500_000_000, "2026-11-21T12:00:01.5Z"),
            // Nobody wrote that.
            (u64::MAX, "2026-11-21T12:00:00Z"),
        ] {
            assert_eq!(moment.day(kernel), expected.parse().unwrap(), "{kernel}");
        }
    }
}
