//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be made, seen or put aside.
    #[error("{path}: {source}")]
    Path {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and is no store.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// A later version of Portcullis wrote the file.
    #[error("{path} has schema version {found}, expected at most {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest one known here.
        known: i64,
    },
    /// SQLite could not do it; nothing of it is done.
    #[error("{path}: cannot {what}: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        source: rusqlite::Error,
    },
    /// A text that is longer than the store keeps.
    #[error("{what} has {found} characters, expected at most {most}")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// How long it is.
        found: usize,
        /// How long it may be.
        most: usize,
    },
}

impl StoreError {
    pub(super) fn path(path: &Path, source: io::Error) -> Self {
        Self::Path { path: path.to_owned(), source }
    }

    pub(super) fn sql(path: &Path, what: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, reason: source.to_string() }
            }
            _ => Self::Sql { path, what, source },
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Path { .. } => Some(WRITABLE),
            Self::Damaged { .. } => {
                Some("start the daemon again: it puts the file aside and begins a new one")
            }
            Self::Newer { .. } => {
                Some("run the version that wrote it, or move the file away to begin a new one")
            }
            Self::Sql { source, .. } => match source.sqlite_error_code()? {
                ErrorCode::DiskFull => {
                    Some("make room on the file system of `state_dir`; what is stored can be read")
                }
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => {
                    Some(WRITABLE)
                }
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Some("another process writes into the file: stop it, then try again")
                }
                ErrorCode::SystemIoFailure => {
                    Some("look for faults of the disk and for room on it, then try again")
                }
                _ => None,
            },
            Self::TooLong { .. } => None,
        }
    }
}

const WRITABLE: &str =
    "run as root or as the user of the daemon, and make `state_dir` a folder that can be written";
