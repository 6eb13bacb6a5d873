//! What is wrong with the files that TLS needs.

use std::path::{Path, PathBuf};

use tokio_rustls::rustls;

/// What is wrong with the files that TLS needs.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or holds something else.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what was expected.
        why: String,
    },
    /// The system names no authority.
    #[error("no certificate of an authority on this system: {0}")]
    NoAuthorities(String),
    /// What was read does not go together.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

impl TlsError {
    pub(super) fn file(file: &Path, why: impl ToString) -> Self {
        Self::File { file: file.to_owned(), why: why.to_string() }
    }

    /// What an operator can do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "see that the file is PEM, and that the daemon's user may read it",
            Self::NoAuthorities(_) => {
                "install the package ca-certificates, or name a file with authorities"
            }
            Self::Rustls(_) => "see that certificate and key belong together",
        }
    }
}
