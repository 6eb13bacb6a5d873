//! Opening a file of the store: a damaged one is put aside, never used and never removed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::schema::Layout;
use super::{StoreError, schema};
use crate::clock::Timestamp;

/// How long a call waits for another process that has the file.
const PATIENCE: Duration = Duration::from_secs(2);

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
                let aside = put_aside(&path, now)?;
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
            Err(StoreError::Sql { .. }) if is_complete(&path) => {
                // SQLite wants to write beside the file even to read it, which a folder may forbid. The file alone is all
                // that there is, so it can be read as one that nobody changes.
                read_only(&path, &unchanging(&path), self, OpenFlags::SQLITE_OPEN_URI).or(opened)?
            }
            opened => opened?,
        };
        Ok((version > 0).then_some((path, connection)))
    }
}

fn open(path: &Path, layout: &Layout) -> Result<Connection, StoreError> {
    create(path).map_err(|source| StoreError::path(path, source))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|source| StoreError::sql(path, OPEN, source))?;
    prepare(path, layout, &mut connection)?;
    Ok(connection)
}

/// What failed, when opening did.
const OPEN: &str = "open the store";

/// Makes an empty file that only owner and group may read; SQLite gives what it puts beside it the same rights.
fn create(path: &Path) -> io::Result<()> {
    // A file that is there must not be opened here: closing it would give up the locks that SQLite has on it.
    match File::options().write(true).create_new(true).mode(0o640).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

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
    let connection = connect(name, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)
        .map_err(|source| StoreError::sql(path, OPEN, source))?;
    let version = version(path, layout, &connection)?;
    Ok((connection, version))
}

/// Whether nothing beside the file belongs to it.
fn is_complete(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0)
}

/// The name with which SQLite reads a file as one that nobody changes.
fn unchanging(path: &Path) -> PathBuf {
    let mut name = b"file:".to_vec();
    for octet in path.as_os_str().as_bytes() {
        match octet {
            b'%' => name.extend(b"%25"),
            b'?' => name.extend(b"%3f"),
            b'#' => name.extend(b"%23"),
            other => name.push(*other),
        }
    }
    name.extend(b"?immutable=1");
    OsString::from_vec(name).into()
}

/// Gives the file, with what belongs to it, a name that says when it was found damaged.
fn put_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let aside = beside(path, &format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    let rename = |suffix| match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    ["", "-wal", "-shm"]
        .into_iter()
        .try_for_each(rename)
        .map_err(|source| StoreError::path(path, source))?;
    Ok(aside)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
