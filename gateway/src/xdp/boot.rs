//! When the host started: the kernel compares expiries with the time since then, which nobody can set back.

use crate::clock::{Clock, Expiry, uptime};

/// How far the wall clock may move before expiries are written anew, in seconds.
const TOLERANCE: u64 = 2;

/// The second at which the host started, since 1970, by what the wall clock says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boot(i64);

impl Boot {
    /// By the clocks as they are.
    pub(super) fn now() -> Self {
        Self(Clock::System.now().as_second() - i64::from(uptime()))
    }

    /// Follows a wall clock that was set. One that is only slewed changes nothing, or all would be written each time.
    pub(super) fn adjust(&mut self) {
        let now = Self::now();
        if self.is_off(now) {
            *self = now;
        }
    }

    /// Whether the wall clock was set since, so that expiries are other seconds than they were; it is so `now`.
    pub(super) const fn is_off(self, now: Self) -> bool {
        now.0.abs_diff(self.0) > TOLERANCE
    }

    /// An expiry in the kernel's clock; never 0, which would be never.
    pub(super) fn second(self, expiry: Expiry) -> u32 {
        let second = i64::from(expiry.as_second()) - self.0;
        u32::try_from(second.max(1)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let boot = Boot(1_795_000_000);
        for (seconds, expected) in
            [(0, false), (2, false), (-2, false), (3, true), (-3, true), (i64::MIN / 2, true)]
        {
            assert_eq!(boot.is_off(Boot(boot.0 + seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn expiries_are_told_in_the_time_since_the_start() {
        let boot = Boot(1_795_000_000);
        for (at, second) in [
            ("2026-11-18T11:06:40Z", 1),
            ("2026-11-18T12:06:41Z", 3_601),
            ("1999-01-01T00:00:00Z", 1),
        ] {
            assert_eq!(boot.second(Expiry::at(at.parse().unwrap())), second, "{at}");
        }
    }
}
