//! The quarantine: messages that were accepted lie here on the disk until somebody releases or deletes them, or their time is over.

mod error;
mod event;
mod folder;
mod id;
mod incoming;
mod index;
mod message;
mod selection;
mod taken;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tracing::info;

pub use self::error::QuarantineError;
pub use self::event::{Event, EventKind};
use utoipa::ToSchema;

use self::folder::Folder;
pub use self::folder::{FOLDER_MODE, make_folder};
pub use self::id::{Id, IdError};
pub use self::incoming::Incoming;
use self::index::Index;
pub use self::message::{HeldMessage, HeldRecipient, ReleaseBegun, SCHEMA, Why};
pub use self::selection::{Listing, Row, Selection};
pub use self::taken::Taken;
use crate::alarm::Alarms;
use crate::clock::{Clock, Timestamp};

/// The subject of the alarm.
const ALARM: &str = "quarantine";
/// Messages that expire at once; the others do a moment later.
const EXPIRE_AT_ONCE: usize = 100;

/// How much the quarantine may hold, for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Octets of all messages with their records.
    pub max_size: u64,
    /// Messages.
    pub max_messages: usize,
    /// How long each stays.
    pub keep_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_size: 1 << 30, max_messages: 10_000, keep_for: Duration::from_hours(30 * 24) }
    }
}

/// The quarantine. The folders on the disk are what counts; what is in memory is made from them.
///
/// Its calls wait for the disk, so they are not for threads that carry mail.
#[derive(Debug)]
pub struct Quarantine {
    folder: Folder,
    settings: ArcSwap<Settings>,
    alarms: Alarms,
    clock: Clock,
    index: Mutex<Index>,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    kept: AtomicU64,
    not_kept: AtomicU64,
    removed: AtomicU64,
    expired: AtomicU64,
}

/// How the quarantine is, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QuarantineStatus {
    /// Where it is.
    #[schema(value_type = String)]
    pub folder: PathBuf,
    /// Messages in it.
    pub messages: usize,
    /// Messages that it may hold.
    pub max_messages: usize,
    /// Octets of all of them.
    pub octets: u64,
    /// Octets that it may hold.
    pub max_size: u64,
    /// When the oldest came; `null` where there is none.
    pub oldest: Option<Timestamp>,
    /// Messages that came since the daemon began.
    pub kept: u64,
    /// Times that a message could not be kept: its sender was deferred.
    pub not_kept: u64,
    /// Messages that people released or deleted.
    pub removed: u64,
    /// Messages whose time was over.
    pub expired: u64,
}

/// A message whose time is over.
#[derive(Debug)]
pub struct Expired {
    /// Its name.
    pub id: Id,
    /// What was known of it; `None` where its record could not be read.
    pub message: Option<HeldMessage>,
}

impl Quarantine {
    /// The quarantine in `folder`, which is made when it is needed. What is wrong with it is an alarm: mail that should lie
    /// there waits meanwhile, all other mail does not.
    pub fn open(folder: &Path, settings: Settings, alarms: Alarms, clock: Clock) -> Arc<Self> {
        let quarantine = Arc::new(Self {
            folder: Folder::new(folder),
            settings: ArcSwap::from_pointee(settings),
            alarms,
            clock,
            index: Mutex::default(),
            counters: Counters::default(),
        });
        // The alarm tells it; whoever comes next tries again.
        drop(quarantine.look_again());
        quarantine
    }

    /// Puts other bounds in force. What is beyond them stays until its time is over.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Compares what is known with the folders on the disk, and removes what was half written when a daemon died.
    pub fn look_again(&self) -> Result<(), QuarantineError> {
        let swept = self.folder.sweep();
        if swept > 0 {
            info!(target: "quarantine", "removed half_written={swept} nothing of it was acknowledged");
        }
        let looked = self.index().look(&self.folder).map_err(self.failed("read"));
        self.told(looked)
    }

    /// Begins a message that will be called `id`.
    pub fn begin(self: &Arc<Self>, id: &Id) -> Result<Incoming, QuarantineError> {
        self.told(self.try_begin(id)).inspect_err(|_error| self.not_kept())
    }

    fn try_begin(self: &Arc<Self>, id: &Id) -> Result<Incoming, QuarantineError> {
        if !self.index().is_known() {
            self.look_again()?;
        }
        self.index().admit(&self.settings.load())?;
        match self.folder.begin(id) {
            Ok((folder, file)) => Ok(Incoming::new(Arc::clone(self), folder, file)),
            Err(error) => {
                self.free(0);
                Err(self.failed("write")(error))
            }
        }
    }

    /// What is known of a message.
    pub fn record(&self, id: &Id) -> Result<HeldMessage, QuarantineError> {
        let octets = self.folder.record(id).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if !self.folder.message(id).exists() => {
                QuarantineError::Unknown(id.clone())
            }
            _ => QuarantineError::Damaged { id: id.clone(), reason: error.to_string() },
        })?;
        let damaged = |reason| QuarantineError::Damaged { id: id.clone(), reason };
        let record: HeldMessage =
            serde_json::from_slice(&octets).map_err(|error| damaged(error.to_string()))?;
        if record.id != *id || record.schema > SCHEMA {
            return Err(damaged(format!("it is {} of version {}", record.id, record.schema)));
        }
        Ok(record)
    }

    /// The octets of a message, from the first on.
    pub fn open_message(&self, id: &Id) -> Result<File, QuarantineError> {
        let path = self.folder.message(id);
        File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => QuarantineError::Unknown(id.clone()),
            _ => QuarantineError::io("read", &path)(error),
        })
    }

    /// Takes a message, to release or delete it; whoever comes second does not get it.
    pub fn take(self: &Arc<Self>, id: &Id) -> Result<Taken, QuarantineError> {
        self.index().take(&self.folder, id)?;
        Ok(Taken::new(Arc::clone(self), id.clone()))
    }

    /// The messages that `selection` means, the newest first, at most `limit`.
    pub fn list(&self, selection: &Selection, limit: usize) -> Listing {
        let newest_first = self.index().newest_first();
        // What came at another time is not read.
        let in_time = newest_first.into_iter().filter(|row| selection.is_in_time(row.since));
        let mut rows = in_time.filter_map(|row| {
            let message = match self.record(&row.id) {
                Ok(message) => Ok(message),
                // It went in the meantime.
                Err(QuarantineError::Unknown(_)) => return None,
                Err(error) => Err(error.to_string()),
            };
            selection.means(message.as_ref().ok()).then_some(Row { message, ..row })
        });
        let found: Vec<_> = rows.by_ref().take(limit).collect();
        Listing { rows: found, has_more: rows.next().is_some() }
    }

    /// Removes some of those whose time is over.
    pub fn expire(self: &Arc<Self>) -> Vec<Expired> {
        let keep_for = self.settings.load().keep_for;
        let ids = self.index().over(self.clock.now(), keep_for, EXPIRE_AT_ONCE);
        let mut expired = Vec::new();
        for id in ids {
            let Ok(taken) = self.take(&id) else { continue };
            let message = taken.record().ok();
            // What cannot be removed is tried again.
            if self.told(taken.take_out()).is_ok() {
                self.counters.expired.fetch_add(1, Ordering::Relaxed);
                expired.push(Expired { id, message });
            }
        }
        expired
    }

    /// Tries whether messages could be kept: the alarm says so where they could not, and ends where they can again.
    pub fn check(&self) -> Result<(), QuarantineError> {
        // Whoever keeps a message waits for the index, and need not wait for the disk.
        let room = self.index().has_room(&self.settings.load());
        let checked = room.and_then(|()| self.folder.probe().map_err(self.failed("write")));
        self.told(checked).inspect(|()| self.well())
    }

    /// Whether there is an alarm.
    pub fn is_ill(&self) -> bool {
        self.index().is_ill()
    }

    /// How it is.
    pub fn status(&self) -> QuarantineStatus {
        let settings = self.settings.load();
        let index = self.index();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        QuarantineStatus {
            folder: self.folder.root().to_owned(),
            messages: index.messages(),
            max_messages: settings.max_messages,
            octets: index.octets(),
            max_size: settings.max_size,
            oldest: index.oldest(),
            kept: count(&self.counters.kept),
            not_kept: count(&self.counters.not_kept),
            removed: count(&self.counters.removed),
            expired: count(&self.counters.expired),
        }
    }

    /// Counts `octets` of a message on its way in, if there is room for them.
    fn reserve(&self, octets: u64) -> Result<(), QuarantineError> {
        self.index().reserve(octets, &self.settings.load())
    }

    /// A message with `octets` is no longer on its way in.
    fn free(&self, octets: u64) {
        self.index().free(octets);
    }

    fn came(&self, id: Id, since: Timestamp, octets: u64) {
        self.counters.kept.fetch_add(1, Ordering::Relaxed);
        self.index().put(id, since, octets);
        self.well();
    }

    fn well(&self) {
        self.index().set_ill(false);
        self.alarms.clear(ALARM);
    }

    /// Raises the alarm for a disk on which somebody waited in vain. Its message may be kept all the same in the end.
    pub fn is_slow(&self) {
        drop(self.told::<()>(Err(QuarantineError::Slow(self.folder.root().to_owned()))));
        self.not_kept();
    }

    /// Counts a message that could not be kept.
    fn not_kept(&self) {
        self.counters.not_kept.fetch_add(1, Ordering::Relaxed);
    }

    fn give_back(&self, id: &Id) {
        self.index().give_back(id);
    }

    /// Raises the alarm for what an operator has to do something about.
    fn told<T>(&self, done: Result<T, QuarantineError>) -> Result<T, QuarantineError> {
        if let Err(error) = &done
            && !error.is_of_request()
        {
            self.index().set_ill(true);
            let hint = error.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
            let text = format!("{error}; mail that should lie there is deferred{hint}");
            self.alarms.raise(ALARM, &text);
        }
        done
    }

    fn failed(&self, what: &'static str) -> impl FnOnce(std::io::Error) -> QuarantineError {
        QuarantineError::io(what, self.folder.root())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
