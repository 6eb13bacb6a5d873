//! The time of day, from one place, so that tests can set it.

use std::num::NonZeroU32;

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

#[cfg(test)]
mod tests {
    use super::*;

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
