//! Takes records from whoever decides, without ever waiting, and has one thread write them to the file and to the store.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use serde::Serialize;
use tracing::error;

use super::lines::Lines;
use super::load::{Level, Load, MOST, WriterStatus};
use super::output::Outlets;
use super::privacy::Veil;
use super::settings::Settings;
use super::shelf::Shelf;
use super::sink::{Sink, Waiting};
use crate::alarm::Alarms;
use crate::clock::Clock;
use crate::json;
use crate::policy::Record;

/// The subject of the alarm about what is left out.
pub(super) const OVERLOAD: &str = "audit-overload";

/// The sending end: cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Option<Settings>,
    /// `None` once it is closed.
    queues: RwLock<Option<Queues>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    veil: Veil,
    load: Arc<Load>,
    alarms: Alarms,
}

/// Where records wait.
#[derive(Debug)]
struct Queues {
    /// For the file and the store.
    main: SyncSender<Waiting>,
    outlets: Outlets,
}

impl Writer {
    /// Writes JSON lines to `path` alone, as [`Writer::start`] does.
    pub fn open(path: &Path, alarms: Alarms) -> io::Result<Self> {
        Self::start(Settings::lines(path), alarms, Clock::System)
    }

    /// Opens the file for appending, readable by the owner and the group, and starts the writing thread. What is wrong with the
    /// store is an alarm, and tried again. An error begins with the path that it is about.
    pub fn start(settings: Settings, alarms: Alarms, clock: Clock) -> io::Result<Self> {
        let lines = Lines::open(&settings.file, settings.rotation)?;
        let veil = Veil::open(&settings.privacy)?;
        let load = Arc::<Load>::default();
        let outlets = Outlets::start(&settings.outputs, &settings.hostname, &load, &alarms)?;
        let store = settings.store.as_ref();
        let shelf = store.map(|store| Shelf::new(store, alarms.clone(), clock)).transpose()?;
        let (main, receiver): (_, Receiver<Waiting>) = sync_channel(MOST);
        let sink = Sink::new(lines, shelf, Arc::clone(&load), alarms.clone());
        let thread =
            std::thread::Builder::new().name("audit".to_owned()).spawn(|| sink.run(receiver))?;
        Ok(Self::with(Shared {
            settings: Some(settings),
            queues: RwLock::new(Some(Queues { main, outlets })),
            thread: Mutex::new(Some(thread)),
            veil,
            load,
            alarms,
        }))
    }

    /// A writer that keeps nothing, for one-off questions of the command line.
    pub fn none() -> Self {
        Self::with(Shared {
            settings: None,
            queues: RwLock::default(),
            thread: Mutex::default(),
            veil: Veil::none(),
            load: Arc::default(),
            alarms: Alarms::default(),
        })
    }

    fn with(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The file that records go to; `None` where none are kept.
    pub fn path(&self) -> Option<&Path> {
        self.shared.settings.as_ref().map(|settings| settings.file.as_path())
    }

    /// The folder of the store; `None` where there is none.
    pub fn store(&self) -> Option<&PathBuf> {
        self.shared.settings.as_ref()?.store.as_ref().map(|store| &store.folder)
    }

    /// Queues the record of a decision. Under too much load it loses what did not decide, or is left out if it is of an accept;
    /// where there is no room at all it is lost. Each is counted, since mail must not wait.
    pub fn write_decision(&self, record: Record<'_>) {
        let queues = self.shared.queues.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queues) = queues.as_ref() else { return };
        self.tell(self.shared.load.level());
        let envelope = self.shared.veil.envelope(record.envelope);
        if let Some(record) = self.shared.load.reduced(record) {
            self.queue(queues, &self.shared.veil.record(record, envelope.as_ref()));
        }
    }

    /// Queues any other record; where there is no room it is lost and counted. What it has of an envelope is kept as in decisions.
    pub fn write(&self, record: &impl Serialize) {
        let queues = self.shared.queues.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queues) = queues.as_ref() else { return };
        if self.shared.veil.is_none() {
            return self.queue(queues, record);
        }
        match serde_json::to_value(record) {
            Ok(record) => self.queue(queues, &self.shared.veil.fields(record)),
            Err(_no_json) => self.shared.load.lose(),
        }
    }

    fn queue(&self, queues: &Queues, record: &impl Serialize) {
        let load = &self.shared.load;
        let Ok(line) = json::to_string(record) else { return load.lose() };
        if !queues.outlets.take(&line) {
            load.lose_output();
        }
        let length = line.len();
        if load.take(length) && queues.main.try_send(Waiting::new(line)).is_err() {
            load.leave(length);
            load.lose();
        }
    }

    /// Tells an operator what is left out from now on; the writing thread tells of the end.
    fn tell(&self, level: Level) {
        let text = match level {
            Level::Whole => return,
            Level::Details => {
                "records come faster than they are written: evidence and matches that did not decide are left out"
            }
            Level::Sampled => {
                "records come much faster than they are written: of accepts one in 16 is recorded, refusals are"
            }
            Level::Accepts => {
                "there is hardly room for records that wait: accepts are not recorded, refusals as long as there is room"
            }
        };
        if self.shared.load.is_another_level(level) {
            self.shared.alarms.raise(OVERLOAD, text);
        }
    }

    /// How the trail is doing.
    pub fn status(&self) -> WriterStatus {
        self.shared.load.status()
    }

    /// Writes out all that waits; afterwards nothing is kept any more. Blocks for as long as the disk does.
    pub fn close(&self) {
        let queues = self.shared.queues.write().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody waits for the outputs with the lock in his hand.
        drop(queues);
        let thread = self.shared.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!(target: "alarm", "audit: the writing thread died, its last records are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::{MessageFacts, Outcome, Policy, Record, Reference, decide_message};

    fn write_one(writer: &Writer, number: u64) {
        let facts = MessageFacts::default();
        let decision = decide_message(&Policy::default(), facts, number, Reference::new(number));
        let client = SocketAddr::from(([192, 0, 2, 1], 1));
        let time = Timestamp::UNIX_EPOCH;
        writer.write_decision(Record::new(
            time,
            client,
            client,
            None,
            &decision,
            Outcome::default(),
        ));
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
        while alarms.list().is_empty() {
            std::thread::yield_now();
        }
        // It waits for room as long as there is somebody to wait.
        assert_eq!(writer.status().waiting, 1);
        writer.close();
        assert_eq!(writer.status(), WriterStatus { lost: 1, ..WriterStatus::default() });
        let [alarm] = &alarms.list()[..] else { panic!("{alarms:?}") };
        assert!(alarm.text.starts_with("cannot write /dev/full: No space left"), "{}", alarm.text);
    }
}
