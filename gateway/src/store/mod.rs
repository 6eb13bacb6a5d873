//! The embedded stores, each in one SQLite file: what people said of lists and of reviews, what came and went, who waits or passes.
//!
//! One thread writes while others read; a reader that must not wait for a long write opens the store with
//! [`Store::open_read_only`] for itself.

mod bounds;
mod error;
mod journal;
mod manual;
mod open;
mod reviews;
mod schema;
mod senders;
mod slider;
mod switches;
#[cfg(test)]
mod tests;
mod values;
mod zones;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::bounds::Bounds;
pub use self::error::StoreError;
pub use self::journal::{
    Additions, Baseline, Change, Counted, Event, History, ListHistory, MOST_EVENTS,
};
pub use self::manual::{Kind, ManualEntry};
pub use self::open::{Damaged, Opened};
pub use self::reviews::{Page, Requested, Reviews};
use self::schema::LISTS;
pub use self::senders::{
    MemorySenders, PassedRow, SENDERS_FILE, SenderCounts, SenderList, SenderStore, SqliteSenders,
    WaitingRow,
};
pub use self::switches::Switch;
pub use self::zones::KeptZone;
use crate::clock::Timestamp;

/// The name of the store of lists in the state folder.
pub const FILE: &str = "portcullis.db";

/// The open store. What a call has written is on the disk when it returns, all of it or nothing.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
    bounds: Bounds,
}

impl Store {
    /// Opens the store in `state_dir`, and begins a new one where there is none, or one that is damaged. Looks at the whole
    /// file. To be called by one process at a time.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Opened<Self>, StoreError> {
        let Opened { store: (path, connection), damaged } = LISTS.open(state_dir, now)?;
        Ok(Opened { store: Self::new(path, connection), damaged })
    }

    /// Opens the store in `state_dir` for reading, beside a daemon or without one; `None` where none was made yet.
    pub fn open_read_only(state_dir: &Path) -> Result<Option<Self>, StoreError> {
        let opened = LISTS.open_read_only(state_dir)?;
        Ok(opened.map(|(path, connection)| Self::new(path, connection)))
    }

    fn new(path: PathBuf, connection: Connection) -> Self {
        Self { path, connection: Mutex::new(connection), bounds: Bounds::default() }
    }

    /// Does `work` in one transaction that alone may write; `what` names it when it fails.
    fn write<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Immediate, what, work)
    }

    /// Does `work` on what the store holds at one moment; `what` names it when it fails.
    fn read<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.transact(TransactionBehavior::Deferred, what, work)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        what: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|source| StoreError::sql(&self.path, what, source))
    }
}
