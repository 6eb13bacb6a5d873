//! Keeps refused clients waiting, a few at a time: their time is worth something, and so is our memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::smtp::Limits;

/// The clients that wait.
#[derive(Debug, Default)]
pub(super) struct Tarpit(Arc<AtomicUsize>);

/// One client that waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Stuck {
    all: Arc<AtomicUsize>,
    /// How long it waits for each reply.
    pub(super) delay: Duration,
}

impl Tarpit {
    /// Takes one more client in, if it is to wait and there is room.
    pub(super) fn take(&self, limits: &Limits) -> Option<Stuck> {
        let delay = limits.tarpit?;
        let earlier = self.0.fetch_add(1, Ordering::Relaxed);
        let stuck = Stuck { all: Arc::clone(&self.0), delay };
        (earlier < limits.tarpit_connections).then_some(stuck)
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_wait() {
        let tarpit = Tarpit::default();
        assert!(tarpit.take(&Limits::default()).is_none(), "off");
        let delay = Duration::from_secs(3);
        let limits = Limits { tarpit: Some(delay), tarpit_connections: 2, ..Limits::default() };
        let first = tarpit.take(&limits).unwrap();
        assert_eq!(first.delay, delay);
        let _second = tarpit.take(&limits).unwrap();
        assert!(tarpit.take(&limits).is_none());
        assert!(tarpit.take(&limits).is_none(), "who was not taken in takes no room");
        drop(first);
        assert!(tarpit.take(&limits).is_some());
    }
}
