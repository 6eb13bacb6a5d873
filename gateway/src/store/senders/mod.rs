//! The senders that are remembered: tries that wait on the greylist, pools whose mail passes.

#[cfg(test)]
mod contract;
mod memory;
mod rows;
mod sqlite;

use std::fmt::Debug;

use serde::Serialize;

pub use self::memory::MemorySenders;
pub use self::sqlite::{FILE as SENDERS_FILE, SqliteSenders};
use super::StoreError;
use crate::clock::Timestamp;
use crate::sender::{Attempt, Greylist, GreylistAnswer, Manual, Passed, Pool, Selection, Waiting};

/// Remembers senders. All of its kinds follow the same rules, those of [`crate::sender`].
pub trait SenderStore: Send + Sync + Debug {
    /// Judges a try, and remembers it.
    fn greylist(
        &self,
        attempt: &Attempt,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<GreylistAnswer, StoreError>;

    /// What is known of a pool whose mail passes at `now`; this is no use of it.
    fn passed(
        &self,
        pool: &Pool,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<Option<Passed>, StoreError>;

    /// The senders that are selected and count at `now`, the newest first: at most `limit` tries, and as many pools.
    fn list(
        &self,
        selection: &Selection,
        limit: usize,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<SenderList, StoreError>;

    /// Lets a pool pass because a person says so, whatever was known of it. Use makes it last no longer, and no number of
    /// strangers pushes it out.
    fn pass(&self, pool: &Pool, manual: &Manual, now: Timestamp) -> Result<(), StoreError>;

    /// Forgets the senders that are selected, which begin anew; says how many tries and pools there were.
    fn forget(&self, selection: &Selection) -> Result<SenderCounts, StoreError>;

    /// Forgets what does not count at `now` any more; says how many rows that were. To be called now and then.
    fn expire(&self, settings: &Greylist, now: Timestamp) -> Result<SenderCounts, StoreError>;

    /// How many rows there are, with what has expired but was not removed yet.
    fn counts(&self) -> SenderCounts;

    /// Brings what came in a rush to where it lasts. To be called every second or so.
    fn flush(&self) -> Result<(), StoreError>;
}

/// How many rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SenderCounts {
    /// Rows of tries that wait: for each sender and recipient one, and one more for each pool from which they were tried.
    pub waiting: usize,
    /// Pools that pass, by themselves or because a person said so.
    pub passed: usize,
}

/// Senders that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderList {
    /// Tries that wait.
    pub waiting: Vec<WaitingRow>,
    /// Pools that pass.
    pub passed: Vec<PassedRow>,
}

/// Tries of one sender to one recipient from one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    /// From where.
    pub pool: Pool,
    /// The sender; empty for bounces.
    pub sender: Box<str>,
    /// The recipient.
    pub recipient: Box<str>,
    /// The tries from this pool.
    pub waiting: Waiting,
    /// How many tries of this sender to this recipient count, from whatever pool.
    pub tries: u32,
}

/// One pool whose mail passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedRow {
    /// Which.
    pub pool: Pool,
    /// Since when, and why.
    pub passed: Passed,
}

/// How many of the oldest rows go when there may be `most`: some more than must, so that they go many at once.
fn excess(rows: usize, most: usize) -> usize {
    match rows.checked_sub(most) {
        None | Some(0) => 0,
        Some(too_many) => too_many + most / 1000,
    }
}
