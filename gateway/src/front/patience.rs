//! How long a session waits: for what it asked, for its own end, for the end of the daemon.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Tells the fronts to stop: `None` while they run, then the moment at which everything must be over.
pub type Stop = watch::Receiver<Option<Instant>>;

/// Waits until a stop is asked for; answers with its deadline.
pub async fn stopped(stop: &mut Stop) -> Instant {
    let asked = stop.wait_for(Option::is_some).await;
    // Whoever could ask is gone, and has no use for us any more.
    asked.ok().and_then(|deadline| *deadline).unwrap_or_else(Instant::now)
}

/// The patience of one session.
#[derive(Debug)]
pub(in crate::front) struct Patience {
    stop: Stop,
    end: Instant,
}

impl Patience {
    /// For a session that begins now and may take `length` in all.
    pub(in crate::front) fn new(stop: Stop, length: Duration) -> Self {
        Self { stop, end: Instant::now() + length }
    }

    /// Whether a stop was asked for.
    pub(in crate::front) fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Waits until a stop is asked for.
    pub(in crate::front) async fn stopping(&self) {
        stopped(&mut self.stop.clone()).await;
    }

    /// What `work` brings, or `None` when it takes longer than `wait` or than the session may.
    pub(in crate::front) async fn within<T>(
        &self,
        wait: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut stop = self.stop.clone();
        let stop_deadline = async { sleep_until(stopped(&mut stop).await).await };
        // Thousands of sessions wait: one timer for both ends.
        let end = Instant::now().checked_add(wait).map_or(self.end, |end| end.min(self.end));
        tokio::select! {
            biased;
            done = timeout_at(end, work) => done.ok(),
            () = stop_deadline => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_first_end_counts() {
        for (wait, length, stop_in, expected) in
            [(3, 60, None, 3), (60, 5, None, 5), (60, 60, Some(7), 7), (60, 60, Some(90), 60_u32)]
        {
            let started = Instant::now();
            let (sender, stop) = watch::channel(None);
            let patience = Patience::new(stop, SECOND * length);
            sender.send_replace(stop_in.map(|seconds: u32| started + SECOND * seconds));
            assert_eq!(patience.is_stopping(), stop_in.is_some());
            assert_eq!(patience.within(SECOND * wait, pending::<()>()).await, None);
            assert_eq!(started.elapsed().as_secs(), u64::from(expected));
            assert_eq!(patience.within(SECOND, async { 1 }).await, Some(1));
        }
    }
}
