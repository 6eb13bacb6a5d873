//! The embedded store: what people said of lists, and what came to and went from each, in one SQLite file.
//!
//! One thread writes while others read; a reader that must not wait for a long write opens the store with
//! [`Store::open_read_only`] for itself.

mod bounds;
mod error;
mod journal;
mod manual;
mod open;
mod schema;
mod switches;
#[cfg(test)]
mod tests;
mod values;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::bounds::Bounds;
pub use self::error::StoreError;
pub use self::journal::{Additions, Baseline, Change, Event, History, MOST_EVENTS};
pub use self::manual::{Kind, ManualEntry};
pub use self::open::{Damaged, FILE, Opened};
pub use self::switches::Switch;

/// The open store. What a call has written is on the disk when it returns, all of it or nothing.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
    bounds: Bounds,
}

impl Store {
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
/// STUB.
pub trait SenderStore: Send + Sync + std::fmt::Debug {
    /// STUB.
    fn greylist(
        &self,
        attempt: &crate::sender::Attempt,
        settings: &crate::sender::Greylist,
        now: crate::clock::Timestamp,
    ) -> Result<crate::sender::GreylistAnswer, StoreError>;
    /// STUB.
    fn is_passed(
        &self,
        pool: &crate::sender::Pool,
        settings: &crate::sender::Greylist,
        now: crate::clock::Timestamp,
    ) -> Result<bool, StoreError>;
}
