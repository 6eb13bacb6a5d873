//! Files of SQLite: made for owner and group alone, opened to be read beside their writer, put aside when they are damaged.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::clock::Timestamp;

/// How long a call waits for another process that has the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// What SQLite puts beside a file that is written, with the file itself.
pub const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Makes an empty file that only owner and group may read; SQLite gives what it puts beside it the same rights.
pub fn create(path: &Path) -> io::Result<()> {
    // A file that is there must not be opened here: closing it would give up the locks that SQLite has on it.
    match File::options().write(true).create_new(true).mode(0o640).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Opens the file, for one thread at a time.
pub fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// Whether nothing beside the file belongs to it.
pub fn is_complete(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).map_or(true, |log| log.len() == 0)
}

/// The name with which SQLite reads a file as one that nobody changes, given `SQLITE_OPEN_URI`.
pub fn unchanging(path: &Path) -> PathBuf {
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

/// Gives a damaged file, with what belongs to it, a name that says when it was found so; it is never used, and never removed.
pub fn put_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let aside = beside(path, &format!(".damaged-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    for suffix in FILES {
        match fs::rename(beside(path, suffix), beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

/// The name of what lies beside a file.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
