//! Senders remembered in an SQLite file: a restart forgets nobody.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use rusqlite::Connection;
use tokio::time::Instant;

use super::rows::{self, SENDERS, Tally};
use super::{SenderCounts, SenderList, SenderStore, excess};
use crate::clock::Timestamp;
use crate::sender::{Attempt, Greylist, GreylistAnswer, Manual, Passed, Pool, Selection, judge};
use crate::store::values::check;
use crate::store::{Opened, StoreError};

/// The name of the store of senders in the state folder.
pub const FILE: &str = "senders.db";

/// How many pages of what is new may stand beside the file before they go into it.
const CHECKPOINT: i64 = 4000;
/// How much of the file SQLite keeps in memory, in KiB; it wants them negative.
const CACHE: i64 = -32 << 10;

/// Tries that come faster than this go into the file together.
const TOGETHER: Duration = Duration::from_millis(5);
/// How many tries go into the file together at most.
const MOST_TOGETHER: u32 = 1000;

/// Remembers senders in a file. Tries that come one by one are in the file when the call returns, those of a rush a few
/// milliseconds later, or after [`SenderStore::flush`]: the end of the process may cost these, the loss of power some more.
/// The file stays whole, and each transaction is there or not.
#[derive(Debug)]
pub struct SqliteSenders {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    tally: Tally,
    /// What `tally` goes back to when a transaction fails.
    committed: Tally,
    /// How many changes the open transaction has; 0 when none is open.
    pending: u32,
    /// When something was last committed; `None` for never.
    last: Option<Instant>,
}

impl Open {
    /// Does `work` in the open transaction, or in a new one. Whatever fails costs all of the transaction.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Tally) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let done = self.begin().and_then(|()| work(&self.connection, &mut self.tally));
        if done.is_ok() {
            self.pending += 1;
        } else {
            self.give_up();
        }
        done
    }

    fn begin(&self) -> rusqlite::Result<()> {
        if self.pending > 0 {
            return Ok(());
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([]).map(|_rows| ())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        if self.pending == 0 {
            return Ok(());
        }
        let done = self.connection.prepare_cached("COMMIT").and_then(|mut it| it.execute([]));
        if done.is_err() {
            self.give_up();
        }
        self.committed = self.tally;
        self.pending = 0;
        // After a fault each try is written for itself until one can be, so that each hears of it.
        self.last = done.is_ok().then(Instant::now);
        done.map(|_rows| ())
    }

    fn give_up(&mut self) {
        // After some errors SQLite has done so itself.
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK").unwrap_or_default();
        }
        self.tally = self.committed;
        self.pending = 0;
    }

    /// Whether others may join the open transaction.
    fn is_rush(&self) -> bool {
        self.pending < MOST_TOGETHER && self.last.is_some_and(|last| last.elapsed() < TOGETHER)
    }
}

/// What failed, when opening did.
const OPEN: &str = "open the store";

impl SqliteSenders {
    /// Opens the store in `state_dir`, and begins a new one where there is none, or one that is damaged. Looks at the whole
    /// file. To be called by one process at a time.
    pub fn open(state_dir: &Path, now: Timestamp) -> Result<Opened<Self>, StoreError> {
        let Opened { store: (path, connection), damaged } = SENDERS.open(state_dir, now)?;
        let settle =
            || {
                connection.pragma_update(None, "cache_size", CACHE)?;
                connection
                    .pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT, |_row| Ok(()))
            };
        settle().map_err(|source| StoreError::sql(&path, OPEN, source))?;
        Ok(Opened { store: Self::new(path, connection)?, damaged })
    }

    /// Opens the store in `state_dir` for reading, beside a daemon or without one; `None` where none was made yet.
    pub fn open_read_only(state_dir: &Path) -> Result<Option<Self>, StoreError> {
        let opened = SENDERS.open_read_only(state_dir)?;
        opened.map(|(path, connection)| Self::new(path, connection)).transpose()
    }

    fn new(path: PathBuf, connection: Connection) -> Result<Self, StoreError> {
        let tally = Tally::read(&connection);
        let tally = tally.map_err(|source| StoreError::sql(&path, OPEN, source))?;
        let open = Open { connection, tally, committed: tally, pending: 0, last: None };
        Ok(Self { path, open: Mutex::new(open) })
    }

    /// Lets the file grow no more.
    #[cfg(test)]
    pub(super) fn fill(&self) {
        self.flush().unwrap();
        let open = self.lock();
        let pages: i64 =
            open.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0).map(|_pages| ());
        open.connection.pragma_update_and_check(None, "max_page_count", pages, limit).unwrap();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with what else comes in a rush; `what` names it when it fails.
    fn join<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection, &mut Tally) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut open = self.lock();
        let done = open.change(work);
        let settled = if open.is_rush() { Ok(()) } else { open.commit() };
        drop(open);
        let done = done.and_then(|done| settled.map(|()| done));
        done.map_err(|source| StoreError::sql(&self.path, what, source))
    }

    /// Does `work` in a transaction of its own; `what` names it when it fails.
    fn write<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Connection, &mut Tally) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut open = self.lock();
        let run = || {
            open.commit()?;
            let done = open.change(work)?;
            open.commit()?;
            Ok(done)
        };
        let done = run();
        drop(open);
        done.map_err(|source| StoreError::sql(&self.path, what, source))
    }

    fn known(
        &self,
        pool: &str,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<Option<Passed>, StoreError> {
        let passed = rows::passed(&self.lock().connection, pool);
        let passed = passed.map_err(|source| StoreError::sql(&self.path, "read a pool", source))?;
        Ok(passed.filter(|it| it.counts(settings, now)))
    }
}

impl SenderStore for SqliteSenders {
    fn greylist(
        &self,
        attempt: &Attempt,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<GreylistAnswer, StoreError> {
        let pool = attempt.pool.to_string();
        if let Some(passed) = self.known(&pool, settings, now)? {
            if passed.is_due(settings, now) {
                self.join("remember a pool", |it, _| rows::set_used(it, &pool, now))?;
            }
            return Ok(passed.answer());
        }
        self.join("remember a try", |connection, tally| {
            let kept = rows::kept(connection, attempt, &pool)?;
            let waiting = |row: Option<(i64, _)>| row.map(|(_, waiting)| waiting);
            let turn = judge(waiting(kept.pool), waiting(kept.pair), settings, now);
            if let GreylistAnswer::Passed { .. } = turn.answer {
                for (id, _) in [kept.pool, kept.pair].into_iter().flatten() {
                    rows::drop_row(connection, tally, id)?;
                }
                rows::let_pass(connection, tally, &pool, &Passed::new(None, now))?;
            } else {
                rows::keep(connection, tally, attempt, None, kept.pair, turn.pair)?;
                rows::keep(connection, tally, attempt, Some(&pool), kept.pool, turn.pool)?;
            }
            match excess(tally.waiting, settings.most) {
                0 => {}
                rows => rows::drop_oldest(connection, tally, rows)?,
            }
            match excess(tally.passed.saturating_sub(tally.manual), settings.most) {
                0 => {}
                rows => rows::stop_oldest(connection, tally, rows)?,
            }
            Ok(turn.answer)
        })
    }

    fn passed(
        &self,
        pool: &Pool,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<Option<Passed>, StoreError> {
        self.known(&pool.to_string(), settings, now)
    }

    fn list(
        &self,
        selection: &Selection,
        limit: usize,
        settings: &Greylist,
        now: Timestamp,
    ) -> Result<SenderList, StoreError> {
        let open = self.lock();
        let read = || {
            let waiting = rows::waiting_rows(&open.connection, limit, |row| {
                selection.has_try(Some(&row.pool), &row.sender, &row.recipient)
                    && !row.waiting.is_over(settings, now)
            })?;
            let passed = rows::passed_rows(&open.connection, limit, |row| {
                selection.has_pool(&row.pool) && row.passed.counts(settings, now)
            })?;
            Ok(SenderList { waiting, passed })
        };
        read().map_err(|source| StoreError::sql(&self.path, "list senders", source))
    }

    fn pass(&self, pool: &Pool, manual: &Manual, now: Timestamp) -> Result<(), StoreError> {
        check("", &manual.author, manual.reason.as_deref())?;
        let passed = Passed::new(Some(manual.clone()), now);
        self.write("let a pool pass", |connection, tally| {
            rows::let_pass(connection, tally, &pool.to_string(), &passed)
        })
    }

    fn forget(&self, selection: &Selection) -> Result<SenderCounts, StoreError> {
        self.write("forget senders", |connection, tally| {
            let before = tally.counts();
            rows::forget_waiting(connection, tally, selection)?;
            for row in
                rows::passed_rows(connection, usize::MAX, |row| selection.has_pool(&row.pool))?
            {
                rows::stop(connection, tally, &row.pool.to_string())?;
            }
            Ok(removed(before, *tally))
        })
    }

    fn expire(&self, settings: &Greylist, now: Timestamp) -> Result<SenderCounts, StoreError> {
        let ago = |time| {
            let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
            now.checked_sub(time).unwrap_or(Timestamp::MIN)
        };
        let (oldest, unused) = (ago(settings.retry_within), ago(settings.pass_for));
        let mut all = SenderCounts::default();
        loop {
            let step = |connection: &Connection, tally: &mut Tally| {
                let before = tally.counts();
                let waiting = rows::drop_before(connection, tally, oldest, now)?;
                let passed = rows::stop_unused(connection, tally, unused)?;
                rows::stop_ended(connection, tally, now)?;
                Ok((waiting.max(passed) < rows::CHUNK, removed(before, *tally)))
            };
            let (is_done, removed) = self.write("forget who did not come again", step)?;
            all.waiting += removed.waiting;
            all.passed += removed.passed;
            if is_done {
                return Ok(all);
            }
        }
    }

    fn counts(&self) -> SenderCounts {
        self.lock().tally.counts()
    }

    fn flush(&self) -> Result<(), StoreError> {
        let done = self.lock().commit();
        done.map_err(|source| StoreError::sql(&self.path, "remember the last tries", source))
    }
}

impl Drop for SqliteSenders {
    fn drop(&mut self) {
        // Whom it forgets waits once more.
        self.flush().unwrap_or_default();
    }
}

fn removed(before: SenderCounts, tally: Tally) -> SenderCounts {
    SenderCounts {
        waiting: before.waiting.saturating_sub(tally.waiting),
        passed: before.passed.saturating_sub(tally.passed),
    }
}
