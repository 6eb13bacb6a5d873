//! Writes records as JSON lines behind a bounded queue; a full disk costs records, never mail, and is counted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;
use tracing::error;

use crate::alarm::Alarms;

/// Records that may wait.
const QUEUE: usize = 65_536;
/// Octets that may wait: senders decide how long some of the records are.
const QUEUE_OCTETS: usize = 64 << 20;

/// The subject of the alarm.
const ALARM: &str = "audit";

/// How long a record may wait in memory before it is handed to the system.
const FLUSH: Duration = Duration::from_millis(100);

/// The sending end: cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: Option<PathBuf>,
    queue: Mutex<Option<SyncSender<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    waiting: Arc<AtomicUsize>,
    written: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

/// How the audit trail is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriterStatus {
    /// Records written since the start.
    pub written: u64,
    /// Records that found no place in the queue or on the disk.
    pub lost: u64,
}

impl Writer {
    /// Opens `path` for appending, readable by the owner and the group, and starts the writing thread.
    pub fn open(path: &Path, alarms: Alarms) -> io::Result<Self> {
        let file = append(path)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let writer = Self::with_queue(Some(path.to_owned()), Some(sender));
        let sink = Sink {
            path: path.to_owned(),
            file: BufWriter::new(file),
            torn: false,
            pending: 0,
            waiting: Arc::clone(&writer.shared.waiting),
            written: Arc::clone(&writer.shared.written),
            lost: Arc::clone(&writer.shared.lost),
            alarms,
        };
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(|| sink.run(receiver))?;
        *writer.shared.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(writer)
    }

    /// A writer that keeps nothing, for one-off questions of the command line.
    pub fn none() -> Self {
        Self::with_queue(None, None)
    }

    fn with_queue(path: Option<PathBuf>, queue: Option<SyncSender<String>>) -> Self {
        let shared = Shared {
            path,
            queue: Mutex::new(queue),
            thread: Mutex::new(None),
            waiting: Arc::default(),
            written: Arc::default(),
            lost: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The file that records go to; `None` where none are kept.
    pub fn path(&self) -> Option<&Path> {
        self.shared.path.as_deref()
    }

    /// Queues `record`; where there is no room it is lost and counted, since mail must not wait.
    pub fn write(&self, record: &impl Serialize) {
        let queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return };
        let Ok(line) = serde_json::to_string(record) else { return self.lose() };
        let length = line.len();
        let waiting = &self.shared.waiting;
        if waiting.load(Ordering::Relaxed) + length > QUEUE_OCTETS {
            return self.lose();
        }
        waiting.fetch_add(length, Ordering::Relaxed);
        if queue.try_send(line).is_err() {
            waiting.fetch_sub(length, Ordering::Relaxed);
            self.lose();
        }
    }

    fn lose(&self) {
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// How the trail is doing.
    pub fn status(&self) -> WriterStatus {
        WriterStatus {
            written: self.shared.written.load(Ordering::Relaxed),
            lost: self.shared.lost.load(Ordering::Relaxed),
        }
    }

    /// Writes out all that waits; afterwards nothing is kept any more. Blocks for as long as the disk does.
    pub fn close(&self) {
        drop(self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!(target: "alarm", "audit: the writing thread died, its last records are lost");
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The receiving end: the file, with what is not flushed yet.
struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    /// Whether the file may end in half a line.
    torn: bool,
    pending: u64,
    waiting: Arc<AtomicUsize>,
    written: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    alarms: Alarms,
}

impl Sink {
    fn run(mut self, queue: Receiver<String>) {
        loop {
            match queue.recv_timeout(FLUSH) {
                Ok(line) => {
                    self.line(&line);
                    // A burst is written as one piece.
                    for line in queue.try_iter().take(QUEUE) {
                        self.line(&line);
                    }
                    self.flush();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.flush();
    }

    fn line(&mut self, line: &str) {
        self.pending += 1;
        self.waiting.fetch_sub(line.len(), Ordering::Relaxed);
        let start: &[u8] = if std::mem::take(&mut self.torn) { b"\n" } else { b"" };
        let written =
            [start, line.as_bytes(), b"\n"].iter().try_for_each(|part| self.file.write_all(part));
        if let Err(fault) = written {
            self.fail(&fault);
        }
    }

    fn flush(&mut self) {
        if self.pending == 0 {
            return;
        }
        match self.file.flush().and_then(|()| self.follow_rotation()) {
            Ok(()) => {
                self.written.fetch_add(std::mem::take(&mut self.pending), Ordering::Relaxed);
                self.alarms.clear(ALARM);
            }
            Err(fault) => self.fail(&fault),
        }
    }

    /// Somebody may have renamed the file to start another: what comes next goes to the name.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let ours = self.file.get_ref().metadata()?;
        let named = fs::metadata(&self.path).ok();
        if named.is_none_or(|named| (named.dev(), named.ino()) != (ours.dev(), ours.ino())) {
            self.file = BufWriter::new(append(&self.path)?);
        }
        Ok(())
    }

    /// Gives up what is not written, and starts over with the file as it is named now.
    fn fail(&mut self, fault: &io::Error) {
        self.lost.fetch_add(std::mem::take(&mut self.pending), Ordering::Relaxed);
        self.torn = true;
        let path = self.path.display();
        self.alarms
            .raise(ALARM, &format!("cannot write {path}: {fault}; records are lost, mail goes on"));
        let fresh = append(&self.path).map(BufWriter::new);
        if let Ok(fresh) = fresh {
            // Unwritten octets of the old buffer would come out twice, or in the middle of a line.
            drop(std::mem::replace(&mut self.file, fresh).into_parts());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::{Action, Decision, Outcome, Phase, Record, Reference, Verdict};

    fn write_one(writer: &Writer, number: u64) {
        let decision = Decision {
            phase: Phase::Connect,
            verdict: Verdict::Accept,
            action: Action::Accept,
            enforced: true,
            offending: None,
            cause: None,
            score: None,
            logical_client: None,
            route: None,
            greylisted: None,
            exempt: None,
            addresses: Vec::new(),
            rules: number,
            reply: None,
            reference: Reference::new(number),
        };
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let time = Timestamp::UNIX_EPOCH;
        writer.write(&Record::new(time, client, client, None, &decision, Outcome::default()));
    }

    fn rules_in(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        let records =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        records.map(|record| record["rules"].as_u64().unwrap()).collect()
    }

    #[test]
    fn every_record_is_a_line_and_a_rotated_file_is_left_alone() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let writer = Writer::open(&path, Alarms::default()).unwrap();
        write_one(&writer, 1);
        while writer.status().written < 1 {
            std::thread::yield_now();
        }
        let rotated = folder.path().join("audit.jsonl.1");
        fs::rename(&path, &rotated).unwrap();
        // The record that finds the file gone still goes to the old one.
        write_one(&writer, 2);
        while writer.status().written < 2 {
            std::thread::yield_now();
        }
        write_one(&writer, 3);
        writer.close();
        assert_eq!((rules_in(&rotated), rules_in(&path)), (vec![1, 2], vec![3]));
    }

    #[test]
    fn a_full_disk_costs_records_and_says_so() {
        let alarms = Alarms::default();
        let writer = Writer::open(Path::new("/dev/full"), alarms.clone()).unwrap();
        write_one(&writer, 1);
        while writer.status().lost < 1 {
            std::thread::yield_now();
        }
        writer.close();
        assert_eq!(writer.status(), WriterStatus { written: 0, lost: 1 });
        let [alarm] = &alarms.list()[..] else { panic!("{alarms:?}") };
        assert!(alarm.text.starts_with("cannot write /dev/full: No space left"), "{}", alarm.text);
    }
}
