//! The writing thread: each record goes to the file of JSON lines and to the store, and waits for whichever has no room.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::time::Instant;

use super::lines::Lines;
use super::load::{Level, Load, MOST, MOST_OCTETS};
use super::shelf::Shelf;
use super::writer::OVERLOAD;
use crate::alarm::Alarms;

/// The subjects of the alarms.
const LINES: &str = "audit";
const STORE: &str = "audit-store";
const ROTATION: &str = "audit-rotation";

/// How long records gather so that they are written in one piece.
const GATHER: Duration = Duration::from_millis(20);
/// Records that are written in one piece.
const PIECE: usize = 1024;
/// Between two tries to write where it failed.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at what takes time alone.
const TEND: Duration = Duration::from_secs(1);

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Waiting {
    line: String,
    /// Whether the file or the store will not have it.
    is_lost: bool,
}

impl Waiting {
    pub(super) fn new(line: String) -> Self {
        Self { line, is_lost: false }
    }
}

/// How far one of the two is.
#[derive(Debug, Default)]
struct Progress {
    /// How many of those that wait it has.
    done: usize,
    /// When it is tried again; `None` while it goes well.
    again: Option<Instant>,
}

impl Progress {
    fn is_due(&self, is_last: bool) -> bool {
        is_last || self.again.is_none_or(|again| again <= Instant::now())
    }
}

/// The receiving end.
pub(super) struct Sink {
    lines: Lines,
    shelf: Option<Shelf>,
    waiting: VecDeque<Waiting>,
    in_lines: Progress,
    in_store: Progress,
    load: Arc<Load>,
    alarms: Alarms,
}

impl Sink {
    pub(super) fn new(lines: Lines, shelf: Option<Shelf>, load: Arc<Load>, alarms: Alarms) -> Self {
        let (in_lines, in_store) = Default::default();
        Self { lines, shelf, waiting: VecDeque::new(), in_lines, in_store, load, alarms }
    }

    pub(super) fn run(mut self, queue: Receiver<Waiting>) {
        self.begin();
        loop {
            match queue.recv_timeout(TEND) {
                Ok(first) => {
                    self.waiting.push_back(first);
                    if self.load.level() == Level::Whole {
                        // A commit for each record would cost more than the records.
                        std::thread::sleep(GATHER);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.tend(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.waiting.extend(queue.try_iter().take(MOST));
            self.pass(false);
        }
        self.pass(true);
        for lost in self.waiting.drain(..) {
            self.load.leave(lost.line.len());
            self.load.lose();
        }
    }

    /// What is wrong with the store is told at once, not with the first record.
    fn begin(&mut self) {
        if let Some(shelf) = &mut self.shelf {
            let fault = shelf.open().err();
            self.tell_store(fault.as_ref());
        }
    }

    fn tend(&mut self) {
        if let Some(shelf) = &mut self.shelf {
            shelf.tend();
        }
    }

    /// Brings both as far as they go.
    fn pass(&mut self, is_last: bool) {
        loop {
            let before = (self.in_lines.done, self.in_store.done);
            self.write_lines(is_last);
            self.write_store(is_last);
            if (self.in_lines.done, self.in_store.done) == before {
                break;
            }
            self.settle();
        }
        self.give_up();
        self.settle();
        if self.waiting.is_empty() && self.load.is_another_level(Level::Whole) {
            self.alarms.clear(OVERLOAD);
        }
    }

    fn write_lines(&mut self, is_last: bool) {
        if self.in_lines.done >= self.waiting.len() || !self.in_lines.is_due(is_last) {
            return;
        }
        let piece = piece(&self.waiting, self.in_lines.done);
        let written = self.lines.append(&piece);
        self.in_lines.done += written.lines;
        self.in_lines.again = written.fault.as_ref().map(|_fault| Instant::now() + AGAIN);
        let path = self.lines.path().display();
        let text = written.fault.map(|fault| waits(&path, &fault));
        self.alarms.set(LINES, text.as_deref());
        let rotated = self.lines.rotate().err();
        let path = self.lines.path().display();
        let text = rotated.map(|fault| {
            format!("cannot begin {path} anew: {fault}; it grows on: make its folder writable, or leave it to another program with `[audit] rotate_size = 0`")
        });
        self.alarms.set(ROTATION, text.as_deref());
    }

    fn write_store(&mut self, is_last: bool) {
        let Some(shelf) = &mut self.shelf else {
            self.in_store.done = self.waiting.len();
            return;
        };
        if self.in_store.done >= self.waiting.len() || !self.in_store.is_due(is_last) {
            return;
        }
        let written = shelf.append(&piece(&self.waiting, self.in_store.done));
        let fault = match written {
            Ok(count) => {
                self.in_store.done += count;
                None
            }
            Err(fault) => Some(fault),
        };
        self.in_store.again = fault.as_ref().map(|_fault| Instant::now() + AGAIN);
        self.tell_store(fault.as_ref());
    }

    fn tell_store(&self, fault: Option<&super::AuditError>) {
        let text = fault.map(|fault| waits(&"the store of records", fault));
        self.alarms.set(STORE, text.as_deref());
    }

    /// Where one of the two goes on and the other does not, the latter may keep half of the room and no more: what was decided
    /// is not left out for the sake of a file that nobody makes room for.
    fn give_up(&mut self) {
        if self.shelf.is_none() {
            return;
        }
        let octets: usize = self.waiting.iter().map(|waiting| waiting.line.len()).sum();
        let mut over = octets.saturating_sub(MOST_OCTETS / 2);
        let most = self.waiting.len().saturating_sub(MOST / 2);
        let mut count = 0;
        for waiting in &self.waiting {
            if over == 0 && count >= most {
                break;
            }
            over = over.saturating_sub(waiting.line.len());
            count += 1;
        }
        let ahead = self.in_lines.done.max(self.in_store.done).min(count);
        for progress in [&mut self.in_lines, &mut self.in_store] {
            for waiting in self.waiting.iter_mut().take(ahead).skip(progress.done) {
                waiting.is_lost = true;
            }
            progress.done = progress.done.max(ahead);
        }
    }

    /// Lets go of those that both have.
    fn settle(&mut self) {
        let both = self.in_lines.done.min(self.in_store.done);
        for waiting in self.waiting.drain(..both) {
            self.load.leave(waiting.line.len());
            if waiting.is_lost {
                self.load.lose();
            } else {
                self.load.wrote();
            }
        }
        self.in_lines.done -= both;
        self.in_store.done -= both;
    }
}

/// The next lines behind the first `done`.
fn piece(waiting: &VecDeque<Waiting>, done: usize) -> Vec<&str> {
    waiting.iter().skip(done).take(PIECE).map(|waiting| waiting.line.as_str()).collect()
}

/// What is told where records cannot be written.
fn waits(what: &dyn Display, fault: &dyn Display) -> String {
    format!(
        "cannot write {what}: {fault}; records wait as long as there is room in memory, mail goes on"
    )
}
