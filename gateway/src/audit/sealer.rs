//! Beside the writer: seals segments that are full or were left behind, and removes the oldest ones.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::folder::{Claim, Folder, Form};
use super::sealed::{self, SealedReader};
use super::{AuditError, Retention};
use crate::alarm::Alarms;
use crate::clock::{Clock, ClockWatch, Timestamp};

/// Between two looks for what was left behind or is too old.
const LOOK: Duration = Duration::from_secs(30);

/// By so much a clock that goes right is not off between two looks, in milliseconds.
const JUMP: u64 = 60_000;

/// The subject of the alarm.
const ALARM: &str = "audit-segments";

/// The thread that seals.
#[derive(Debug)]
pub(super) struct Sealer {
    jobs: Option<Sender<Claim>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sealer {
    pub(super) fn start(
        folder: Folder,
        retention: Retention,
        settled: Duration,
        alarms: Alarms,
        clock: Clock,
    ) -> io::Result<Self> {
        let (jobs, inbox) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let trust = Trust { settled, watch: ClockWatch::begin(), since: Instant::now() };
        let work = Work { folder, retention, trust, alarms, clock, stop, latest: BTreeMap::new() };
        let thread = std::thread::Builder::new();
        let thread = thread.name("audit-seal".to_owned()).spawn(move || work.run(&inbox))?;
        Ok(Self { jobs: Some(jobs), stopping, thread: Some(thread) })
    }

    /// Has the segment sealed. Where the thread is gone, the next daemon does it.
    pub(super) fn seal(&self, claim: Claim) {
        if let Some(jobs) = &self.jobs {
            drop(jobs.send(claim));
        }
    }
}

impl Drop for Sealer {
    /// What is not sealed yet is left behind.
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // Whoever panicked has said so.
            drop(thread.join());
        }
    }
}

/// Whether the clock can be believed: one that somebody sets wrong, or that is wrong until the network is there, would make all
/// records too old at once.
struct Trust {
    /// How long it has to go without a jump.
    settled: Duration,
    watch: ClockWatch,
    since: Instant,
}

impl Trust {
    fn is_given(&mut self) -> bool {
        if self.watch.jumped_ms().unsigned_abs() > JUMP {
            info!(target: "audit", "the clock has jumped: no record is too old until it has gone right for a while");
            (self.watch, self.since) = (ClockWatch::begin(), Instant::now());
        }
        self.since.elapsed() >= self.settled
    }
}

/// What the thread knows.
struct Work {
    folder: Folder,
    retention: Retention,
    trust: Trust,
    alarms: Alarms,
    clock: Clock,
    stop: Arc<AtomicBool>,
    /// The time of the last record of each sealed segment.
    latest: BTreeMap<u64, i64>,
}

impl Work {
    fn run(mut self, inbox: &Receiver<Claim>) {
        let mut look = Instant::now() + LOOK;
        loop {
            let mut done = match inbox.recv_timeout(look.saturating_duration_since(Instant::now()))
            {
                Ok(claim) => self.seal(claim),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if Instant::now() >= look {
                let left_behind = self.seal_left_behind();
                done = done.and(left_behind);
                look = Instant::now() + LOOK;
            }
            if !self.goes_on() {
                return;
            }
            // Where a disk is full, what is too old makes room.
            let removed = self.remove_old();
            let fault = done.and(removed).err();
            let text = fault.map(|fault| format!("{fault}; the segment stays, and is tried again"));
            self.alarms.set(ALARM, text.as_deref());
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn seal_left_behind(&self) -> Result<(), AuditError> {
        // One that cannot be sealed keeps none of the others from it.
        let sealed = self.folder.left_behind()?.into_iter().map(|claim| self.seal(claim));
        sealed.fold(Ok(()), Result::and)
    }

    /// Makes the sealed form; then the growing one goes. Wherever this ends, one of the two is whole.
    fn seal(&self, claim: Claim) -> Result<(), AuditError> {
        if !self.goes_on() {
            return Ok(());
        }
        let number = claim.number;
        let (growing, sealing) = (self.folder.growing(number), self.folder.sealing(number));
        let target = self.folder.sealed(number);
        if !target.exists() {
            let sealed = sealed::seal(&growing, &sealing, || self.goes_on());
            match sealed {
                Ok(Some(0)) => std::fs::remove_file(&sealing).unwrap_or_default(),
                Ok(Some(records)) => {
                    std::fs::rename(&sealing, &target)
                        .map_err(|error| AuditError::path(&target, error))?;
                    info!(target: "audit", "sealed segment={number} records={records}");
                }
                Ok(None) => return Ok(()),
                Err(error @ AuditError::Damaged { .. }) => {
                    std::fs::remove_file(&sealing).unwrap_or_default();
                    let aside = self.folder.put_aside(claim, self.clock.now())?;
                    let aside = aside.display();
                    warn!(target: "audit", "{error}; it is put aside as {aside}");
                    return Ok(());
                }
                Err(error) => {
                    // What there is of it only takes up room.
                    std::fs::remove_file(&sealing).unwrap_or_default();
                    return Err(error);
                }
            }
        }
        self.folder.remove_growing(claim)
    }

    /// Removes what is older than is kept, then the oldest as long as there is too much.
    fn remove_old(&mut self) -> Result<(), AuditError> {
        let segments = self.folder.segments()?;
        let sealed: Vec<_> = segments
            .iter()
            .filter(|(_number, form)| **form == Form::Sealed)
            .map(|(number, _form)| *number)
            .collect();
        let octets = self.folder.octets()?;
        let mut total: u64 = octets.values().sum();
        let keep = jiff::SignedDuration::try_from(self.retention.keep);
        let keep = keep.ok().filter(|_keep| self.trust.is_given());
        let oldest = keep.and_then(|keep| self.clock.now().checked_sub(keep).ok());
        let oldest = oldest.map_or(i64::MIN, Timestamp::as_microsecond);
        // The segment that grows has room until the next look.
        let most = self.retention.max_size - self.retention.part();
        self.latest.retain(|number, _latest| sealed.contains(number));
        for number in sealed {
            let is_old = self.latest(number).is_some_and(|latest| latest < oldest);
            if is_old || total > most {
                self.folder.remove_sealed(number)?;
                total -= octets.get(&number).copied().unwrap_or(0).min(total);
                let because = if is_old { "age" } else { "size" };
                info!(target: "audit", "removed segment={number} because={because}");
            }
        }
        Ok(())
    }

    /// The time of the last record of a sealed segment; a damaged one goes when there is too much.
    fn latest(&mut self, number: u64) -> Option<i64> {
        if let Some(latest) = self.latest.get(&number) {
            return Some(*latest);
        }
        let (_records, _earliest, latest) =
            SealedReader::open(&self.folder.sealed(number)).ok()?.extent();
        self.latest.insert(number, latest);
        Some(latest)
    }
}
