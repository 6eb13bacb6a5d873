//! Several runs of the same calls: how many in a second, how long one takes.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

use crate::figures::{Spread, now, percentile, rounded};

/// The shares of calls that are not slower than what is told.
const SHARES: [(&str, f64); 3] = [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)];

/// What runs came to.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    per_second: Vec<f64>,
    per_core_second: Vec<f64>,
    percentiles: [Vec<f64>; SHARES.len()],
}

/// What something took by the clock on the wall, and by the processors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    wall: Duration,
    processor: Duration,
}

impl Spent {
    /// Adds what `work` takes.
    pub(crate) fn during<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Begun::now();
        let done = work();
        self.add(&begun);
        done
    }

    /// Adds what it took since `begun`.
    pub(crate) fn add(&mut self, begun: &Begun) {
        self.wall += begun.wall.elapsed();
        self.processor += processor_time().saturating_sub(begun.processor);
    }
}

/// When something began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    wall: Instant,
    processor: Duration,
}

impl Begun {
    pub(crate) fn now() -> Self {
        Self { wall: now(), processor: processor_time() }
    }
}

impl Meter {
    /// One run of `calls` calls.
    pub(crate) fn add(&mut self, calls: usize, spent: Spent) {
        self.per_second.push(calls as f64 / spent.wall.as_secs_f64());
        self.per_core_second.push(calls as f64 / spent.processor.as_secs_f64());
    }

    /// How long each call of a run took.
    pub(crate) fn add_times(&mut self, times: &[Duration]) {
        let mut times: Vec<_> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        for (all, (_, share)) in self.percentiles.iter_mut().zip(SHARES) {
            all.extend(percentile(&mut times, share));
        }
    }

    /// The figures under the name of what was measured.
    pub(crate) fn row(self, part: &str, case: &str) -> Value {
        let mut row = Map::new();
        row.insert("part".to_owned(), part.into());
        row.insert("case".to_owned(), case.into());
        let mut insert = |name: &str, values| {
            row.insert(name.to_owned(), Spread::of(values).map(Spread::json).into());
        };
        let whole = |values: Vec<f64>| values.into_iter().map(f64::round).collect();
        insert("per_second", whole(self.per_second));
        insert("per_core_second", whole(self.per_core_second));
        for (values, (name, _)) in self.percentiles.into_iter().zip(SHARES) {
            insert(name, values);
        }
        row.into()
    }
}

/// Does `work` with each of `items`; how long each took, with the clock in it.
pub(crate) fn times<T>(
    items: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T),
) -> Vec<Duration> {
    let timed = items.into_iter().map(|item| {
        let started = now();
        work(item);
        started.elapsed()
    });
    timed.collect()
}

/// What reading the clock adds to each time, in microseconds.
pub(crate) fn clock_us() -> f64 {
    const READINGS: usize = 100_000;
    let started = now();
    drop(times(0..READINGS, |_| ()));
    rounded(started.elapsed().as_secs_f64() * 1e6 / READINGS as f64 / 2.0)
}

/// What all threads of this process have used of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
