//! How long decisions took, by phase.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::Phase;

/// The ends of the buckets: lists alone take microseconds, a reverse name or a zone up to the budget for DNS, a message up to three
/// of these.
const ENDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2500),
    Duration::from_secs(10),
];

/// How long decisions of each phase took.
#[derive(Debug, Default)]
pub struct Times {
    phases: [Buckets; PHASES.len()],
}

/// The phases in which something is judged here.
const PHASES: [Phase; 3] = [Phase::Connect, Phase::Recipient, Phase::Message];

/// The times of one phase.
#[derive(Debug, Default)]
struct Buckets {
    /// The last one is for all that took longer.
    counts: [AtomicU64; ENDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The times of one phase up to now.
#[derive(Clone, Debug, PartialEq)]
pub struct Took {
    /// The phase.
    pub phase: Phase,
    /// How many decisions took at most so many seconds, and longer than the bucket before says; the last end is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// What all took together, in seconds.
    pub seconds: f64,
}

impl Times {
    /// Counts the time that `work` takes. What is given up half-way, since the client is gone, decided nothing.
    pub(super) async fn measure<T>(&self, phase: Phase, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = work.await;
        self.note(phase, begun.elapsed());
        done
    }

    /// The times of all phases.
    pub fn took(&self) -> Vec<Took> {
        let ends = || ENDS.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let of_one = |(phase, buckets): (&Phase, &Buckets)| {
            let counts = buckets.counts.iter().map(|count| count.load(Ordering::Relaxed));
            let nanoseconds = buckets.nanoseconds.load(Ordering::Relaxed);
            let seconds = Duration::from_nanos(nanoseconds).as_secs_f64();
            Took { phase: *phase, buckets: ends().zip(counts).collect(), seconds }
        };
        PHASES.iter().zip(&self.phases).map(of_one).collect()
    }

    fn note(&self, phase: Phase, took: Duration) {
        let place = PHASES.iter().position(|known| *known == phase);
        let Some(buckets) = place.and_then(|place| self.phases.get(place)) else { return };
        let bucket = ENDS.partition_point(|end| *end < took);
        if let Some(count) = buckets.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        buckets.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_the_bucket_that_ends_with_it_or_next_after_it() {
        let times = Times::default();
        for (micros, expected) in [
            (0, 0.0001),
            (100, 0.0001),
            (101, 0.001),
            (10_000_000, 10.0),
            (10_000_001, f64::INFINITY),
        ] {
            let before = times.took();
            times.note(Phase::Message, Duration::from_micros(micros));
            let after = times.took();
            assert_eq!(after[..2], before[..2], "{micros} µs");
            let both = after[2].buckets.iter().zip(&before[2].buckets);
            let grown: Vec<_> =
                both.filter(|(now, then)| now != then).map(|(now, _)| now.0).collect();
            assert_eq!(grown, [expected], "{micros} µs");
        }
        assert!((times.took()[2].seconds - 20.000_202).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_measured_is_how_long_it_took() {
        let times = Times::default();
        let answer = times
            .measure(Phase::Connect, async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                7
            })
            .await;
        assert_eq!(answer, 7);
        let [connect, recipient, message] = times.took().try_into().unwrap();
        assert_eq!(connect.buckets.iter().find(|(_end, count)| *count > 0), Some(&(2.5, 1)));
        assert_eq!((recipient.seconds, message.seconds), (0.0, 0.0));
    }
}
