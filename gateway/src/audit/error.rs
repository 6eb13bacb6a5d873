//! What can go wrong with the store of the trail, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the store of the trail.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A file or folder cannot be made, seen, renamed or removed.
    #[error("{path}: {source}")]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment is there and cannot be read.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A later version of Portcullis wrote the segment.
    #[error("{path} has schema version {found}, expected at most {known}")]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest one known here.
        known: i64,
    },
    /// SQLite could not do it.
    #[error("{path}: {source}")]
    Sql {
        /// The segment.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

impl AuditError {
    pub(super) fn path(path: &Path, source: io::Error) -> Self {
        Self::Path { path: path.to_owned(), source }
    }

    pub(super) fn damaged(path: &Path, reason: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn sql(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::damaged(path, source)
            }
            // A table or column that ought to be there, or a value of another type.
            None => Self::damaged(path, source),
            Some(_) => Self::Sql { path: path.to_owned(), source },
        }
    }

    /// Whether the same connection may succeed later.
    pub(super) fn is_for_want_of_room(&self) -> bool {
        matches!(self, Self::Sql { source, .. }
            if source.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// Whether the file is not there any more.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Path { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Sql { source, path } => {
                source.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !path.exists()
            }
            Self::Damaged { .. } | Self::Newer { .. } => false,
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Path { .. } => Some(READABLE),
            Self::Damaged { .. } => Some(
                "its records may still be in the files of JSON lines; move it away to hear no more of it",
            ),
            Self::Newer { .. } => Some("run the version that wrote it"),
            Self::Sql { source, .. } => match source.sqlite_error_code()? {
                ErrorCode::DiskFull => Some("make room on the file system of `state_dir`"),
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    Some(READABLE)
                }
                _ => None,
            },
        }
    }
}

const READABLE: &str = "run as root or as the user of the daemon, and look at the rights of the folder `audit` in `state_dir`";
