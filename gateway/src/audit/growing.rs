//! A segment that grows: records are appended without an index, and found by looking at their terms one after the other.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::folder::{Claim, Folder};
use super::query::Query;
use super::terms::{self, Terms};
use super::{AuditError, connect};
use crate::clock::Timestamp;

/// Times are microseconds since 1970; keys are runs of 8 octets, addresses of 16.
const TABLES: &str = "
    CREATE TABLE records (id INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
    CREATE TABLE terms (
        id INTEGER PRIMARY KEY, time INTEGER NOT NULL, keys BLOB NOT NULL, addresses BLOB NOT NULL
    ) STRICT;
";

/// As long as the file of what is not yet in the main one becomes, in pages, before it is brought there.
const LOG_PAGES: i64 = 4000;

/// What fills a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) records: u32,
    pub(super) octets: u64,
    /// Between its first record and now.
    pub(super) seconds: i64,
}

/// The segment that a daemon writes into.
#[derive(Debug)]
pub(super) struct Growing {
    claim: Claim,
    path: PathBuf,
    connection: Connection,
    /// How many records it has; they are numbered from 1.
    records: u32,
    octets: u64,
    began: Timestamp,
}

impl Growing {
    /// Begins a new segment.
    pub(super) fn begin(folder: &Folder, now: Timestamp) -> Result<Self, AuditError> {
        folder.make()?;
        Self::open(folder, folder.claim()?, now).map_err(|failed| {
            let (error, claim) = *failed;
            // Tries would leave more and more of them.
            drop(folder.remove_growing(claim));
            error
        })
    }

    /// Goes on with a segment that was left behind, whose file is looked at as a whole.
    pub(super) fn adopt(
        folder: &Folder,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Self, Box<(AuditError, Claim)>> {
        Self::open(folder, claim, now)
    }

    fn open(
        folder: &Folder,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Self, Box<(AuditError, Claim)>> {
        let path = folder.growing(claim.number);
        match prepare(&path) {
            Ok((connection, (records, octets, began))) => {
                let began = began.unwrap_or(now);
                Ok(Self { claim, path, connection, records, octets, began })
            }
            Err(error) => Err(Box::new((error, claim))),
        }
    }

    /// Appends records, all or none: what was written before is on its way to the disk when this returns.
    pub(super) fn append(&mut self, lines: &[&str]) -> Result<(), AuditError> {
        let (mut records, mut octets) = (self.records, self.octets);
        let failed = |error| AuditError::sql(&self.path, error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        {
            let mut record = transaction
                .prepare_cached("INSERT INTO records (id, line) VALUES (?1, ?2)")
                .map_err(failed)?;
            let mut term = transaction
                .prepare_cached(
                    "INSERT INTO terms (id, time, keys, addresses) VALUES (?1, ?2, ?3, ?4)",
                )
                .map_err(failed)?;
            for line in lines {
                let found = Terms::of(line);
                let keys: Vec<u8> =
                    found.words.iter().flat_map(|word| word.key().to_be_bytes()).collect();
                let addresses: Vec<u8> =
                    found.addresses.iter().flat_map(|address| terms::octets(*address)).collect();
                records += 1;
                octets += (line.len() + keys.len() + addresses.len() + ROW) as u64;
                record.execute(params![records, line]).map_err(failed)?;
                let time = found.time.as_microsecond();
                term.execute(params![records, time, keys, addresses]).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        (self.records, self.octets) = (records, octets);
        Ok(())
    }

    pub(super) fn is_full(&self, full: Full, now: Timestamp) -> bool {
        let age = now.duration_since(self.began).as_secs();
        self.records > 0
            && (self.records >= full.records || self.octets >= full.octets || age >= full.seconds)
    }

    /// How many records find room before it is full.
    pub(super) fn room(&self, full: Full) -> usize {
        usize::try_from(full.records.saturating_sub(self.records)).unwrap_or(usize::MAX)
    }

    /// Whether its file still has its name.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Ends the writing.
    pub(super) fn close(self) -> Claim {
        let Self { claim, connection, .. } = self;
        // What is still in the log is read from there.
        drop(connection);
        claim
    }
}

/// What SQLite adds to the two rows of a record.
const ROW: usize = 24;

/// Records, octets and the first time of a segment.
type Counts = (u32, u64, Option<Timestamp>);

fn prepare(path: &Path) -> Result<(Connection, Counts), AuditError> {
    let mut connection = connect::to_write(path)?;
    let failed = |error| AuditError::sql(path, error);
    let is_new = connect::version(path, &connection)? == 0;
    if !is_new {
        let said: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if said != "ok" {
            return Err(AuditError::damaged(path, said));
        }
    }
    let mut settle = || {
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_mode| Ok(()))?;
        // A process that dies loses nothing that was committed; a host that dies loses what the system had not written.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection
            .pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_pages| Ok(()))?;
        if is_new {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(TABLES)?;
            transaction.pragma_update(None, "user_version", connect::SCHEMA)?;
            transaction.commit()?;
        }
        let counts = connection.query_row(
            "SELECT coalesce(max(id), 0), (SELECT time FROM terms WHERE id = 1) FROM terms",
            [],
            |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Option<i64>>(1)?)),
        )?;
        let pages: u64 = connection.pragma_query_value(None, "page_count", |row| {
            row.get::<_, i64>(0).map(i64::unsigned_abs)
        })?;
        Ok((counts, pages))
    };
    let ((records, began), pages) = settle().map_err(failed)?;
    let began = began.and_then(|time| Timestamp::from_microsecond(time).ok());
    Ok((connection, (records, pages * 4096, began)))
}

/// Number, time, keys, addresses and line of a record.
type Row = (u32, i64, Vec<u8>, Vec<u8>, String);

/// A growing segment to be read.
#[derive(Debug)]
pub(super) struct GrowingReader {
    path: PathBuf,
    connection: Connection,
}

/// One record with its terms as they are stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: u32,
    pub(super) time: i64,
    pub(super) keys: Vec<i64>,
    pub(super) addresses: Vec<[u8; 16]>,
    pub(super) line: String,
}

impl GrowingReader {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        Ok(Self { path: path.to_owned(), connection: connect::to_read(path)? })
    }

    /// How many records it has now, and the times of the first and the last.
    pub(super) fn extent(&self) -> Result<(u32, i64, i64), AuditError> {
        let sql = "SELECT coalesce(max(id), 0), (SELECT time FROM terms WHERE id = 1),
            (SELECT time FROM terms ORDER BY id DESC LIMIT 1) FROM terms";
        let found = self.connection.query_row(sql, [], |row| {
            let time = |index| row.get::<_, Option<i64>>(index).map(Option::unwrap_or_default);
            Ok((row.get(0)?, time(1)?, time(2)?))
        });
        found.map_err(|error| AuditError::sql(&self.path, error))
    }

    /// The numbers of the records behind `after` that may be looked for, in rising order.
    pub(super) fn candidates(&self, query: &Query, after: u32) -> Result<Vec<u32>, AuditError> {
        let failed = |error| AuditError::sql(&self.path, error);
        let (keys, addresses, times) = (query.keys(), query.addresses(), query.times());
        let keys: Vec<_> = keys.into_iter().map(i64::to_be_bytes).collect();
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, time, keys, addresses FROM terms WHERE id > ?1")
            .map_err(failed)?;
        let mut rows = statement.query([after]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let look = || -> rusqlite::Result<Option<u32>> {
                if !times.contains(&row.get(1)?) {
                    return Ok(None);
                }
                let blob = |index| row.get_ref(index).map(|value| value.as_blob().unwrap_or(&[]));
                let (of_record, seen) = (blob(2)?, blob(3)?);
                let has_keys = keys
                    .iter()
                    .all(|key| of_record.chunks_exact(8).any(|other| other == key.as_slice()));
                let has_address = addresses.as_ref().is_none_or(|range| {
                    seen.as_chunks::<16>().0.iter().any(|address| range.contains(address))
                });
                if has_keys && has_address { row.get(0).map(Some) } else { Ok(None) }
            };
            found.extend(look().map_err(failed)?);
        }
        Ok(found)
    }

    /// The record of that number; `None` where there is none.
    pub(super) fn line(&self, id: u32) -> Result<Option<String>, AuditError> {
        self.connection
            .prepare_cached("SELECT line FROM records WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(|error| AuditError::sql(&self.path, error))
    }

    /// Hands all records with their terms to `each`, in the order of their numbers.
    pub(super) fn all(
        &self,
        mut each: impl FnMut(Stored) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let path = &self.path;
        let failed = |error| AuditError::sql(path, error);
        let mut statement = self
            .connection
            .prepare(
                "SELECT id, time, keys, addresses, line FROM terms JOIN records USING (id) ORDER BY id",
            )
            .map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let read = || -> rusqlite::Result<Row> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            };
            let (id, time, keys, addresses, line) = read().map_err(failed)?;
            let keys = keys.as_chunks::<8>().0.iter().map(|key| i64::from_be_bytes(*key)).collect();
            let addresses = addresses.as_chunks::<16>().0.to_vec();
            each(Stored { id, time, keys, addresses, line })?;
        }
        Ok(())
    }
}
