//! Opens the SQLite file of a segment, to write or to read, and says which version of the schema it has.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::AuditError;
use crate::sqlite;

/// The version of the tables of a segment, in `user_version`.
///
/// Segments are never rewritten to another version: readers know all of them, and the old ones end by themselves. A growing
/// segment of an earlier version is sealed, and the next one begun.
pub(super) const SCHEMA: i64 = 1;

/// Opens the file at `path` to write into it; it is made where there is none.
pub(super) fn to_write(path: &Path) -> Result<Connection, AuditError> {
    sqlite::create(path).map_err(|error| AuditError::path(path, error))?;
    sqlite::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| AuditError::sql(path, error))
}

/// Opens a growing segment for reading, beside its writer or without one.
pub(super) fn to_read(path: &Path) -> Result<Connection, AuditError> {
    let opened = checked(path, path, OpenFlags::empty());
    match opened {
        Err(AuditError::Sql { .. }) if sqlite::is_complete(path) => {
            // SQLite wants to write beside the file even to read it, which a folder may forbid.
            unchanging(path).or(opened)
        }
        opened => opened,
    }
}

/// Opens a file that nobody changes any more.
pub(super) fn unchanging(path: &Path) -> Result<Connection, AuditError> {
    checked(path, &sqlite::unchanging(path), OpenFlags::SQLITE_OPEN_URI)
}

fn checked(path: &Path, name: &Path, flags: OpenFlags) -> Result<Connection, AuditError> {
    let connection = sqlite::connect(name, OpenFlags::SQLITE_OPEN_READ_ONLY | flags)
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
