//! The lists as they are on disk now, for commands that work without the daemon: read as it would, written by nobody.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::by_hand::ByHand;
use super::kept::Kept;
use super::list_state::{ListState, ListStatus};
use crate::alarm::Alarms;
use crate::clock::Timestamp;
use crate::list::{List, Loaded};
use crate::review::Review;
use crate::store::{History, ListHistory, Page, Reviews, Store, StoreError};

/// What is kept of lists on disk, to look at.
#[derive(Debug)]
pub struct OnDisk {
    copies: PathBuf,
    kept: Kept,
}

impl OnDisk {
    /// Opens what is kept in `state_dir`, with the last good copies in `copies`. Why the store cannot be read comes beside it:
    /// then manual entries and switches are missing.
    pub fn open(state_dir: &Path, copies: PathBuf, now: Timestamp) -> (Self, Option<StoreError>) {
        match Kept::open_read_only(state_dir, now) {
            Ok(kept) => (Self { copies, kept }, None),
            Err(error) => (Self { copies, kept: Kept::none(Alarms::default()) }, Some(error)),
        }
    }

    /// The entries of `list`, and how reading its sources went.
    pub fn load(&self, list: &Arc<List>, now: Timestamp) -> (Loaded, ListStatus) {
        let mut state = ListState::reader(Arc::clone(list), now);
        // What is on disk and not in the journal, the daemon has not read yet: there is no time since when the list has it.
        let unknown = Timestamp::UNIX_EPOCH;
        state.load(&self.copies, &self.kept, &Alarms::default(), unknown);
        (state.loaded(), state.status())
    }

    /// What was taken out of `list` by hand, in the form of a list.
    pub fn exceptions(&self, list: &Arc<List>) -> Loaded {
        let said: Vec<_> = self.kept.manual(&list.name).collect();
        ByHand::new(&said).as_exceptions_of(list)
    }
}

/// What the journal in `state_dir` knows of `address`; `None` where there is no journal.
pub fn history(state_dir: &Path, address: IpAddr) -> Result<Option<History>, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(None) };
    store.history(None, address).map(Some)
}

/// What the journal in `state_dir` knows of `list`: the newest `limit` changes and prefixes; `None` where there is no journal.
pub fn list_history(
    state_dir: &Path,
    list: &str,
    limit: usize,
) -> Result<Option<ListHistory>, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(None) };
    store.list_history(list, limit).map(Some)
}

/// The review of that number in `state_dir`.
pub fn review(state_dir: &Path, id: u64) -> Result<Option<Review>, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(None) };
    store.review(id)
}

/// The newest reviews in `state_dir` of those that are wanted.
pub fn reviews(state_dir: &Path, page: &Page) -> Result<Reviews, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(Reviews::default()) };
    store.reviews(page)
}

/// The newest reviews in `state_dir` of `address` and of the prefixes that cover it, those that are open first.
pub fn reviews_of(
    state_dir: &Path,
    address: IpAddr,
    limit: usize,
) -> Result<Vec<Review>, StoreError> {
    let Some(store) = Store::open_read_only(state_dir)? else { return Ok(Vec::new()) };
    store.reviews_of(address, limit)
}
