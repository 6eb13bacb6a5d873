//! A segment that is complete: its records in packed blocks, and for each key and address the numbers of its records.

use std::fs::{self, File};
use std::mem;
use std::path::{Path, PathBuf};

use rusqlite::types::ToSql;
use rusqlite::{Connection, Transaction, params};

use super::growing::{GrowingReader, Stored};
use super::pack::{DICTIONARY, Packer, Unpacker, distances, numbers};
use super::query::Query;
use super::{AuditError, connect};

/// `earliest` and `latest` are microseconds since 1970; `records` in the indexes are distances between their numbers.
const TABLES: &str = "
    CREATE TABLE about (
        records INTEGER NOT NULL, earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
        dictionary BLOB NOT NULL
    ) STRICT;
    CREATE TABLE blocks (
        id INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE keys (key INTEGER PRIMARY KEY, records BLOB NOT NULL) STRICT;
    CREATE TABLE addresses (address BLOB PRIMARY KEY, records BLOB NOT NULL) STRICT, WITHOUT ROWID;
";

/// Records in a block: more are fewer octets, and more work to get at one of them.
const BLOCK: u32 = 32;

/// What parts the records of a block; JSON has no such octet outside of escapes.
const BETWEEN: char = '\n';

/// Makes the file `target` with all that the growing segment at `source` has, whole on the disk; how many records that are.
///
/// `go_on` is asked now and then; where it says no, nothing is made.
pub(super) fn seal(
    source: &Path,
    target: &Path,
    go_on: impl Fn() -> bool,
) -> Result<Option<u32>, AuditError> {
    fs::remove_file(target).unwrap_or_default();
    let reader = GrowingReader::open(source)?;
    let mut connection = connect::to_write(target)?;
    let failed = |error| AuditError::sql(target, error);
    // Until it has its name nobody reads it, and half of one is made anew.
    let settle = || {
        connection.pragma_update(None, "page_size", 8192)?;
        connection.pragma_update_and_check(None, "journal_mode", "off", |_mode| Ok(()))?;
        connection.pragma_update(None, "synchronous", "off")?;
        connection.execute_batch(TABLES)
    };
    settle().map_err(failed)?;
    let transaction = connection.transaction().map_err(failed)?;
    let mut sealing = Sealing::new(target, &transaction)?;
    let mut is_cut_short = false;
    reader.all(|stored| {
        is_cut_short |= !go_on();
        if is_cut_short { Ok(()) } else { sealing.add(stored) }
    })?;
    if is_cut_short {
        drop(transaction);
        fs::remove_file(target).unwrap_or_default();
        return Ok(None);
    }
    let records = sealing.finish()?;
    transaction.pragma_update(None, "user_version", connect::SCHEMA).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_connection, error)| failed(error))?;
    let synced = File::open(target).and_then(|file| file.sync_all());
    synced.map_err(|error| AuditError::path(target, error))?;
    Ok(Some(records))
}

/// What is collected while a segment is sealed.
struct Sealing<'a> {
    path: &'a Path,
    transaction: &'a Transaction<'a>,
    packer: Packer,
    block: String,
    in_block: u32,
    times: Option<(i64, i64)>,
    all_times: Option<(i64, i64)>,
    records: u32,
    keys: Vec<(i64, u32)>,
    addresses: Vec<([u8; 16], u32)>,
}

impl<'a> Sealing<'a> {
    fn new(path: &'a Path, transaction: &'a Transaction<'a>) -> Result<Self, AuditError> {
        let packer = Packer::new(DICTIONARY).map_err(|error| AuditError::path(path, error))?;
        Ok(Self {
            path,
            transaction,
            packer,
            block: String::new(),
            in_block: 0,
            times: None,
            all_times: None,
            records: 0,
            keys: Vec::new(),
            addresses: Vec::new(),
        })
    }

    fn add(&mut self, stored: Stored) -> Result<(), AuditError> {
        let Stored { id, time, keys, addresses, line } = stored;
        if id != self.records + 1 {
            return Err(AuditError::damaged(self.path, format!("record {id} is not in its place")));
        }
        self.records = id;
        self.times = Some(widened(self.times, time));
        self.all_times = Some(widened(self.all_times, time));
        self.keys.extend(keys.into_iter().map(|key| (key, id)));
        self.addresses.extend(addresses.into_iter().map(|address| (address, id)));
        if self.in_block > 0 {
            self.block.push(BETWEEN);
        }
        self.block.push_str(&line);
        self.in_block += 1;
        if self.in_block == BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), AuditError> {
        let Some((earliest, latest)) = self.times.take() else { return Ok(()) };
        let packed = self.packer.pack(&self.block);
        let body = packed.map_err(|error| AuditError::path(self.path, error))?;
        let id = block_of(self.records);
        (self.in_block, self.block) = (0, String::new());
        self.run(
            "INSERT INTO blocks (id, earliest, latest, body) VALUES (?1, ?2, ?3, ?4)",
            params![id, earliest, latest, body],
        )
    }

    /// Writes the indexes in the order in which they lie, each once.
    fn finish(mut self) -> Result<u32, AuditError> {
        self.end_block()?;
        let (keys, addresses) = (mem::take(&mut self.keys), mem::take(&mut self.addresses));
        index(keys, |key, records| {
            let sql = "INSERT INTO keys (key, records) VALUES (?1, ?2)";
            self.run(sql, params![key, records])
        })?;
        index(addresses, |address, records| {
            let sql = "INSERT INTO addresses (address, records) VALUES (?1, ?2)";
            self.run(sql, params![address, records])
        })?;
        let (earliest, latest) = self.all_times.unwrap_or_default();
        self.run(
            "INSERT INTO about (records, earliest, latest, dictionary) VALUES (?1, ?2, ?3, ?4)",
            params![self.records, earliest, latest, DICTIONARY],
        )?;
        Ok(self.records)
    }

    fn run(&self, sql: &str, values: &[&dyn ToSql]) -> Result<(), AuditError> {
        let done = self.transaction.prepare_cached(sql).and_then(|mut it| it.execute(values));
        done.map(drop).map_err(|error| AuditError::sql(self.path, error))
    }
}

fn widened(times: Option<(i64, i64)>, time: i64) -> (i64, i64) {
    times.map_or((time, time), |(earliest, latest)| (earliest.min(time), latest.max(time)))
}

/// Which block a record is in.
const fn block_of(record: u32) -> u32 {
    record.saturating_sub(1) / BLOCK
}

/// Hands each of them with the numbers of its records to `insert`, in rising order.
fn index<T: Copy + Ord>(
    mut pairs: Vec<(T, u32)>,
    mut insert: impl FnMut(T, Vec<u8>) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    pairs.sort_unstable();
    pairs.dedup();
    for chunk in pairs.chunk_by(|(one, _), (other, _)| one == other) {
        if let Some((of, _record)) = chunk.first() {
            insert(*of, distances(chunk.iter().map(|(_, record)| *record)))?;
        }
    }
    Ok(())
}

/// A sealed segment to be read.
#[derive(Debug)]
pub(super) struct SealedReader {
    path: PathBuf,
    connection: Connection,
    unpacker: Unpacker,
    records: u32,
    earliest: i64,
    latest: i64,
    /// The block that was read last: records that are looked for often lie side by side.
    block: Option<(u32, String)>,
}

impl SealedReader {
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        let connection = connect::unchanging(path)?;
        let about = connection.query_row(
            "SELECT records, earliest, latest, dictionary FROM about",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Vec<u8>>(3)?)),
        );
        let (records, earliest, latest, dictionary) =
            about.map_err(|error| AuditError::sql(path, error))?;
        let unpacker = Unpacker::new(&dictionary).map_err(|error| AuditError::path(path, error))?;
        let path = path.to_owned();
        Ok(Self { path, connection, unpacker, records, earliest, latest, block: None })
    }

    /// How many records it has, and the earliest and the latest time of one.
    pub(super) fn extent(&self) -> (u32, i64, i64) {
        (self.records, self.earliest, self.latest)
    }

    /// The numbers of the records that may be looked for, in rising order.
    pub(super) fn candidates(&self, query: &Query) -> Result<Vec<u32>, AuditError> {
        let times = query.times();
        if self.latest < *times.start() || self.earliest > *times.end() {
            return Ok(Vec::new());
        }
        let mut found: Option<Vec<u32>> = None;
        for key in query.keys() {
            let of_key = self.of_key(key)?;
            let both = narrowed(found, of_key);
            if both.is_empty() {
                return Ok(both);
            }
            found = Some(both);
        }
        if let Some(range) = query.addresses() {
            found = Some(narrowed(found, self.of_addresses(range.start(), range.end())?));
        }
        let is_within = times.contains(&self.earliest) && times.contains(&self.latest);
        let found = found.unwrap_or_else(|| (1..=self.records).collect());
        if is_within || found.is_empty() {
            return Ok(found);
        }
        let blocks = self.blocks(*times.start(), *times.end())?;
        Ok(found.into_iter().filter(|id| blocks.binary_search(&block_of(*id)).is_ok()).collect())
    }

    fn of_key(&self, key: i64) -> Result<Vec<u32>, AuditError> {
        let found = self
            .connection
            .prepare_cached("SELECT records FROM keys WHERE key = ?1")
            .and_then(|mut statement| {
                let mut rows = statement.query([key])?;
                rows.next()?.map(|row| row.get::<_, Vec<u8>>(0)).transpose()
            })
            .map_err(|error| self.failed(error))?;
        Ok(found.map(|records| numbers(&records)).unwrap_or_default())
    }

    fn of_addresses(&self, first: &[u8; 16], last: &[u8; 16]) -> Result<Vec<u32>, AuditError> {
        let failed = |error| self.failed(error);
        let mut statement = self
            .connection
            .prepare_cached("SELECT records FROM addresses WHERE address BETWEEN ?1 AND ?2")
            .map_err(failed)?;
        let mut rows = statement.query([first, last]).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            found.extend(numbers(&row.get::<_, Vec<u8>>(0).map_err(failed)?));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The blocks that have a record between two times, in rising order.
    fn blocks(&self, since: i64, until: i64) -> Result<Vec<u32>, AuditError> {
        let sql = "SELECT id FROM blocks WHERE latest >= ?1 AND earliest <= ?2 ORDER BY id";
        let blocks = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut it| it.query_map([since, until], |row| row.get(0))?.collect());
        blocks.map_err(|error| self.failed(error))
    }

    /// The record of that number; `None` where there is none.
    pub(super) fn line(&mut self, id: u32) -> Result<Option<String>, AuditError> {
        let wanted = block_of(id);
        if self.block.as_ref().is_none_or(|(block, _text)| *block != wanted) {
            self.block = self.read_block(wanted)?.map(|text| (wanted, text));
        }
        let Some((_block, text)) = &self.block else { return Ok(None) };
        let place = usize::try_from(id.saturating_sub(1) % BLOCK).unwrap_or(usize::MAX);
        Ok(text.split(BETWEEN).nth(place).map(ToOwned::to_owned))
    }

    fn read_block(&mut self, id: u32) -> Result<Option<String>, AuditError> {
        let found = self
            .connection
            .prepare_cached("SELECT body FROM blocks WHERE id = ?1")
            .and_then(|mut statement| {
                let mut rows = statement.query([id])?;
                rows.next()?.map(|row| row.get::<_, Vec<u8>>(0)).transpose()
            })
            .map_err(|error| self.failed(error))?;
        let text = found.map(|body| self.unpacker.unpack(&body)).transpose();
        text.map_err(|error| AuditError::damaged(&self.path, error))
    }

    fn failed(&self, error: rusqlite::Error) -> AuditError {
        AuditError::sql(&self.path, error)
    }
}

/// What is in both; all of the second where there is no first.
fn narrowed(first: Option<Vec<u32>>, second: Vec<u32>) -> Vec<u32> {
    let Some(mut first) = first else { return second };
    let mut others = second.into_iter().peekable();
    first.retain(|number| {
        while others.next_if(|other| other < number).is_some() {}
        others.peek() == Some(number)
    });
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_both_is_left() {
        for (first, second, both) in [
            (None, vec![1, 2], vec![1, 2]),
            (Some(vec![]), vec![1], vec![]),
            (Some(vec![1, 3, 5]), vec![3, 4, 5, 9], vec![3, 5]),
            (Some(vec![4]), vec![1, 2, 3], vec![]),
        ] {
            assert_eq!(narrowed(first, second), both);
        }
    }

    #[test]
    fn an_index_has_each_number_once() {
        let mut found = Vec::new();
        index(vec![(7, 3), (1, 2), (7, 1), (7, 3)], |of, records| {
            found.push((of, numbers(&records)));
            Ok(())
        })
        .unwrap();
        assert_eq!(found, [(1, vec![2]), (7, vec![1, 3])]);
    }
}
