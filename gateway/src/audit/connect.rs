//! Opens the SQLite file of a segment, to write or to read, and says which version of the schema it has.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::AuditError;
use super::folder::beside;

/// The version of the tables of a segment, in `user_version`.
///
/// Segments are never rewritten to another version: readers know all of them, and the old ones end by themselves. A growing
/// segment of an earlier version is sealed, and the next one begun.
pub(super) const SCHEMA: i64 = 1;

/// How long a call waits for another process that has the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// Opens the file at `path` to write into it; it is made where there is none.
pub(super) fn to_write(path: &Path) -> Result<Connection, AuditError> {
    create(path).map_err(|error| AuditError::path(path, error))?;
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| AuditError::sql(path, error))
}

/// Opens a growing segment for reading, beside its writer or without one.
pub(super) fn to_read(path: &Path) -> Result<Connection, AuditError> {
    let opened = checked(path, path, OpenFlags::empty());
    match opened {
        Err(AuditError::Sql { .. }) if is_complete(path) => {
            // SQLite wants to write beside the file even to read it, which a folder may forbid.
            unchanging(path).or(opened)
        }
        opened => opened,
    }
}

/// Opens a file that nobody changes any more.
pub(super) fn unchanging(path: &Path) -> Result<Connection, AuditError> {
    checked(path, &immutable(path), OpenFlags::SQLITE_OPEN_URI)
}

fn checked(path: &Path, name: &Path, flags: OpenFlags) -> Result<Connection, AuditError> {
    let connection = connect(name, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)
        .map_err(|error| AuditError::sql(path, error))?;
    match version(path, &connection)? {
        0 => Err(AuditError::damaged(path, "it has no tables")),
        _ => Ok(connection),
    }
}

/// The version that the file says it has; 0 for a new one.
pub(super) fn version(path: &Path, connection: &Connection) -> Result<i64, AuditError> {
    let found = connection.pragma_query_value(None, "user_version", |row| row.get(0));
    match found.map_err(|error| AuditError::sql(path, error))? {
        found if found > SCHEMA => {
            Err(AuditError::Newer { path: path.to_owned(), found, known: SCHEMA })
        }
        found => Ok(found),
    }
}

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

/// Whether nothing beside the file belongs to it.
fn is_complete(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0)
}

/// The name with which SQLite reads a file as one that nobody changes.
fn immutable(path: &Path) -> PathBuf {
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
