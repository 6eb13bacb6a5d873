//! The lines that wait for one who follows: bounded in number and in octets, for senders decide how long some are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Lines that may wait.
pub(super) const MOST_LINES: usize = 1024;
/// Octets that may wait.
const MOST_OCTETS: usize = 4 << 20;

/// The end into which lines are put.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Arc<str>>,
    octets: AtomicUsize,
}

/// A queue, and the end from which lines are taken.
pub(super) fn queue() -> (Queue, Receiver<Arc<str>>) {
    let (sender, receiver) = channel(MOST_LINES);
    (Queue { sender, octets: AtomicUsize::new(0) }, receiver)
}

impl Queue {
    /// Puts `line` in; false where there is no room for it.
    pub(super) fn push(&self, line: &Arc<str>) -> bool {
        if self.octets.load(Ordering::Relaxed) + line.len() > MOST_OCTETS {
            return false;
        }
        self.octets.fetch_add(line.len(), Ordering::Relaxed);
        let is_in = self.sender.try_send(Arc::clone(line)).is_ok();
        if !is_in {
            self.taken(line);
        }
        is_in
    }

    /// Makes room again, for `line` is out.
    pub(super) fn taken(&self, line: &str) {
        self.octets.fetch_sub(line.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_many_lines_nor_long_ones_wait() {
        for (length, expected) in [(10, MOST_LINES), (1 << 20, 4), (MOST_OCTETS, 1)] {
            let (queue, mut lines) = queue();
            let line: Arc<str> = "x".repeat(length).into();
            assert_eq!((0..2000).filter(|_| queue.push(&line)).count(), expected, "{length}");
            queue.taken(&lines.try_recv().unwrap());
            assert!(queue.push(&line) && !queue.push(&line), "{length}");
        }
        let (queue, _lines) = queue();
        assert!(!queue.push(&"x".repeat(MOST_OCTETS + 1).into()));
    }
}
