//! Who follows an address now, and what they are told: in bounds, and for one look at a number where nobody follows.

mod event;
mod queue;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

pub use event::{EventKind, TapEvent};

use self::queue::{Queue, queue};
use crate::net::Prefix;

/// The most who follow at the same time: each costs a copy of what it is told.
pub const MOST: usize = 4;

/// The longest that one follows; it is for a person who looks.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Between two words about lost lines, so that a flood does not tell of each.
const TELL_LOST: Duration = Duration::from_secs(1);

/// All who follow an address; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How many there are: all that is looked at where there is none.
    count: AtomicUsize,
    open: Mutex<Vec<Arc<Open>>>,
}

/// One who follows, as those see it who tell.
#[derive(Debug)]
struct Open {
    prefix: Prefix,
    queue: Queue,
    lost: AtomicU64,
}

/// One who follows an address; dropping it ends that.
#[derive(Debug)]
pub struct Tap {
    taps: Taps,
    open: Arc<Open>,
    lines: Receiver<Arc<str>>,
    end: Instant,
    told_lost: Instant,
    lost: u64,
}

/// What comes next for one who follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A line of JSON.
    Line(Arc<str>),
    /// So many lines were lost since the last word about it, since they were not read fast enough.
    Lost(u64),
    /// The time is over.
    End,
}

/// Too many follow already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MOST} follow an address already, which is the most")]
pub struct TooMany;

/// A line as it is told.
#[derive(Serialize)]
struct Told<'a, T> {
    event: &'static str,
    record: &'a T,
}

impl Taps {
    /// Follows the addresses of `prefix` for `time`.
    pub fn follow(&self, prefix: Prefix, time: Duration) -> Result<Tap, TooMany> {
        let (queue, lines) = queue();
        let mut all = self.open();
        if all.len() >= MOST {
            return Err(TooMany);
        }
        let open = Arc::new(Open { prefix, queue, lost: AtomicU64::new(0) });
        all.push(Arc::clone(&open));
        self.shared.count.store(all.len(), Ordering::Relaxed);
        drop(all);
        let now = Instant::now();
        Ok(Tap { taps: self.clone(), open, lines, end: now + time, told_lost: now, lost: 0 })
    }

    /// How many follow now.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Tells those who follow a prefix that `is_meant` of `event`. Never waits: who does not read loses lines, which are counted.
    pub fn tell(
        &self,
        is_meant: impl Fn(&Prefix) -> bool,
        event: &'static str,
        record: &impl Serialize,
    ) {
        if self.count() == 0 {
            return;
        }
        let all = self.open();
        let meant: Vec<_> = all.iter().filter(|tap| is_meant(&tap.prefix)).cloned().collect();
        drop(all);
        if meant.is_empty() {
            return;
        }
        let Ok(line) = serde_json::to_string(&Told { event, record }) else { return };
        let line: Arc<str> = line.into();
        for tap in meant {
            if !tap.queue.push(&line) {
                tap.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Open>>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    /// Waits for what comes next; after the end there is the end again.
    pub async fn next(&mut self) -> Next {
        loop {
            if self.told_lost.elapsed() >= TELL_LOST
                && let Some(lost) = self.take_lost()
            {
                return Next::Lost(lost);
            }
            // What was lost before a quiet time is told in it.
            let until = self.end.min(Instant::now() + TELL_LOST);
            let next = timeout_at(until, self.lines.recv()).await;
            let is_over = self.end <= Instant::now();
            match next {
                Ok(Some(line)) if !is_over => {
                    self.open.queue.taken(&line);
                    return Next::Line(line);
                }
                Ok(_) => return Next::End,
                Err(_elapsed) if is_over => {
                    return self.take_lost().map_or(Next::End, Next::Lost);
                }
                Err(_elapsed) => {}
            }
        }
    }

    /// How many lines were lost in all, as far as it was told.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn take_lost(&mut self) -> Option<u64> {
        let lost = self.open.lost.swap(0, Ordering::Relaxed);
        self.told_lost = Instant::now();
        self.lost += lost;
        (lost > 0).then_some(lost)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut all = self.taps.open();
        all.retain(|open| !Arc::ptr_eq(open, &self.open));
        self.taps.shared.count.store(all.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn tell(taps: &Taps, client: &str, number: u32) {
        let client: IpAddr = client.parse().unwrap();
        taps.tell(|prefix| prefix.contains(client), "decision", &number);
    }

    fn follow(taps: &Taps, prefix: &str, seconds: u64) -> Result<Tap, TooMany> {
        taps.follow(prefix.parse().unwrap(), Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_is_told_what_is_meant_until_the_time_is_over() {
        let taps = Taps::default();
        tell(&taps, "192.0.2.1", 0);
        let mut tap = follow(&taps, "192.0.2.0/24", 60).unwrap();
        let mut other = follow(&taps, "2001:db8::/32", 600).unwrap();
        for (number, client) in
            ["192.0.2.1", "192.0.3.1", "2001:db8::1", "192.0.2.9"].iter().enumerate()
        {
            tell(&taps, client, u32::try_from(number).unwrap());
        }
        let line = |number: u32| {
            Next::Line(format!("{{\"event\":\"decision\",\"record\":{number}}}").into())
        };
        assert_eq!((tap.next().await, tap.next().await), (line(0), line(3)));
        assert_eq!(other.next().await, line(2));
        let begun = Instant::now();
        assert_eq!(tap.next().await, Next::End);
        assert!(begun.elapsed() >= Duration::from_secs(59));
        tell(&taps, "192.0.2.1", 9);
        assert_eq!(tap.next().await, Next::End, "what comes after the end is not told");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_loses_lines_and_is_told_how_many() {
        let taps = Taps::default();
        let mut tap = follow(&taps, "192.0.2.1", 60).unwrap();
        let sent = u32::try_from(queue::MOST_LINES).unwrap() + 7;
        (0..sent).for_each(|number| tell(&taps, "192.0.2.1", number));
        let (mut lines, mut lost) = (0, 0);
        loop {
            match tap.next().await {
                Next::Line(_) => lines += 1,
                Next::Lost(more) => lost += more,
                Next::End => break,
            }
        }
        assert_eq!((lines, lost, tap.lost()), (queue::MOST_LINES, 7, 7));
    }

    #[tokio::test]
    async fn only_a_few_follow_and_who_hangs_up_makes_room() {
        let taps = Taps::default();
        let mut all: Vec<_> = (0..MOST).map(|_| follow(&taps, "::/0", 60).unwrap()).collect();
        assert_eq!((follow(&taps, "::/0", 60).err(), taps.count()), (Some(TooMany), MOST));
        drop(all.pop());
        assert_eq!(taps.count(), MOST - 1);
        all.push(follow(&taps, "::/0", 60).unwrap());
        drop(all);
        assert_eq!(taps.count(), 0);
    }
}
