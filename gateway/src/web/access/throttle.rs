//! Who guesses passwords waits longer each time.

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;
use tokio::time::Instant;

use crate::net::Prefix;

/// Tries that cost nothing.
const FREE: u32 = 5;
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(15);
/// How long a failure is remembered.
const REMEMBERED: Duration = Duration::from_hours(1);
/// Networks that are remembered.
const MOST: u64 = 10_000;

/// The failures of each address, or network of IPv6.
#[derive(Debug)]
pub(super) struct Throttle(Cache<Prefix, Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(REMEMBERED).build())
    }
}

impl Throttle {
    /// The seconds until `peer` may try again; `None`: now.
    pub(super) fn wait(&self, peer: IpAddr) -> Option<u64> {
        let until = self.0.get(&network(peer))?.until;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| left.as_secs() + 1)
    }

    /// Remembers that `peer` was wrong.
    pub(super) fn failed(&self, peer: IpAddr) {
        self.0.entry(network(peer)).and_upsert_with(|known| {
            let count = known.map_or(0, |known| known.into_value().count).saturating_add(1);
            let wait = match count.checked_sub(FREE) {
                None => Duration::ZERO,
                Some(more) => Duration::from_secs(1 << more.min(10)).min(LONGEST),
            };
            Failures { count, until: Instant::now() + wait }
        });
    }

    /// Takes one try back, which was right; those before it stay.
    pub(super) fn take_back(&self, peer: IpAddr) {
        self.0.entry(network(peer)).and_upsert_with(|known| {
            let count = known.map_or(0, |known| known.into_value().count).saturating_sub(1);
            Failures { count, until: Instant::now() }
        });
    }
}

/// Whoever has an address of IPv6 mostly has its /64.
pub(in crate::web) fn network(peer: IpAddr) -> Prefix {
    Prefix::around(peer, 32, 64)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn guessing_takes_longer_and_longer() {
        let throttle = Throttle::default();
        let [guesser, neighbour, other]: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].map(|text| text.parse().unwrap());
        for _ in 1..FREE {
            throttle.failed(guesser);
            assert_eq!(throttle.wait(guesser), None);
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            throttle.failed(guesser);
            let wait = throttle.wait(neighbour).unwrap();
            waits.push(wait);
            advance(Duration::from_secs(wait)).await;
            assert_eq!(throttle.wait(guesser), None);
        }
        assert!(waits.is_sorted() && waits[0] == 2 && waits[11] == 901, "{waits:?}");
        assert_eq!(throttle.wait(other), None);
        // Who is right in between is let in, and goes on where he was.
        throttle.failed(guesser);
        throttle.take_back(guesser);
        assert_eq!(throttle.wait(guesser), None);
        throttle.failed(guesser);
        assert!(throttle.wait(guesser).unwrap() > 900);
    }
}
