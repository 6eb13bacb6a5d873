//! Opening a file of the store: a damaged one is put aside, never used and never removed.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::schema::Layout;
use super::{StoreError, schema};
use crate::clock::Timestamp;
use crate::sqlite;

/// As long as the file of what is not yet in the main one stays after a large change.
const LOG_OCTETS: i64 = 16 << 20;

/// A store just opened for writing.
#[derive(Debug)]
pub struct Opened<T> {
    /// The store.
    pub store: T,
    /// The file that was there, when it was of no use; the store is new then.
    pub damaged: Option<Damaged>,
}

/// A file that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// What was wrong with it.
    pub reason: String,
    /// Where it is now.
    pub aside: PathBuf,
}

/// A connection with the path of its file.
pub(super) type Connected = (PathBuf, Connection);

impl Layout {
    /// Opens the file in `state_dir`, and begins a new one where there is none, or one that is damaged. Looks at the whole
    /// file. To be called by one process at a time.
    pub(super) fn open(
        &self,
        state_dir: &Path,
        now: Timestamp,
    ) -> Result<Opened<Connected>, StoreError> {
        let path = state_dir.join(self.file);
        let (connection, damaged) = match open(&path, self) {
            Ok(connection) => (connection, None),
            Err(StoreError::Damaged { reason, .. }) => {
                let aside = sqlite::put_aside(&path, now)
                    .map_err(|source| StoreError::path(&path, source))?;
                (open(&path, self)?, Some(Damaged { reason, aside }))
            }
            Err(error) => return Err(error),
        };
        Ok(Opened { store: (path, connection), damaged })
    }

    /// Opens the file in `state_dir` for reading, beside a daemon or without one; `None` where none was made yet.
    pub(super) fn open_read_only(&self, state_dir: &Path) -> Result<Option<Connected>, StoreError> {
        let path = state_dir.join(self.file);
        if !path.try_exists().map_err(|source| StoreError::path(&path, source))? {
            return Ok(None);
        }
        let opened = read_only(&path, &path, self, OpenFlags::empty());
        let (connection, version) = match opened {
            Err(StoreError::Sql { .. }) if sqlite::is_complete(&path) => {
                // SQLite wants to write beside the file even to read it, which a folder may forbid. The file alone is all
                // that there is, so it can be read as one that nobody changes.
                read_only(&path, &sqlite::unchanging(&path), self, OpenFlags::SQLITE_OPEN_URI)
                    .or(opened)?
            }
            opened => opened?,
        };
        Ok((version > 0).then_some((path, connection)))
    }
}

fn open(path: &Path, layout: &Layout) -> Result<Connection, StoreError> {
    sqlite::create(path).map_err(|source| StoreError::path(path, source))?;
    let mut connection = sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|source| StoreError::sql(path, OPEN, source))?;
    prepare(path, layout, &mut connection)?;
    Ok(connection)
}

/// What failed, when opening did.
const OPEN: &str = "open the store";

/// Checks the whole file, and makes the tables if it is new.
fn prepare(path: &Path, layout: &Layout, connection: &mut Connection) -> Result<(), StoreError> {
    let failed = |source| StoreError::sql(path, OPEN, source);
    let version = version(path, layout, connection)?;
    if let Some(reason) = schema::fault(connection, version).map_err(failed)? {
        return Err(StoreError::Damaged { path: path.to_owned(), reason });
    }
    let mut settle = || {
        // Readers go on while somebody writes.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_mode| Ok(()))?;
        connection.pragma_update(None, "synchronous", layout.synchronous)?;
        connection
            .pragma_update_and_check(None, "journal_size_limit", LOG_OCTETS, |_size| Ok(()))?;
        if version <= 0 {
            schema::create(connection, layout)?;
        }
        connection.execute_batch(layout.later)
    };
    settle().map_err(failed)
}

/// The version of the schema, if it is one that is known here.
fn version(path: &Path, layout: &Layout, connection: &Connection) -> Result<i64, StoreError> {
    let known = layout.version;
    match schema::version(connection).map_err(|source| StoreError::sql(path, OPEN, source))? {
        found if found > known => Err(StoreError::Newer { path: path.to_owned(), found, known }),
        found => Ok(found),
    }
}

fn read_only(
    path: &Path,
    name: &Path,
    layout: &Layout,
    flags: OpenFlags,
) -> Result<(Connection, i64), StoreError> {
    let connection = sqlite::connect(name, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)
        .map_err(|source| StoreError::sql(path, OPEN, source))?;
    let version = version(path, layout, &connection)?;
    Ok((connection, version))
}
