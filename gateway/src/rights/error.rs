//! Why rights could not be given up, or not be given to whom they are for.

use std::io;
use std::path::{Path, PathBuf};

/// Why rights could not be given up, or not be given to whom they are for.
#[derive(Debug, thiserror::Error)]
pub enum RightsError {
    /// The configuration names nobody of this host.
    #[error("{kind} `{name}`, expected one that this host knows")]
    Unknown {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Root is nobody else.
    #[error("user `{name}`, expected one that is not root")]
    Root {
        /// The name.
        name: String,
    },
    /// The process cannot become another user.
    #[error(
        "user number {uid} cannot become `{name}`, expected to be started as root or as `{name}`"
    )]
    NotRoot {
        /// Whom it should become.
        name: String,
        /// Who it is.
        uid: u32,
    },
    /// Too late: each thread would have to give up its rights by itself.
    #[error("{threads} threads run already, expected one that gives up its rights")]
    Threads {
        /// How many there are.
        threads: usize,
    },
    /// The system refuses.
    #[error("cannot {what}: {error}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// A folder that cannot be given away without giving others' things away.
    #[error("{} belongs to root and holds what is not the daemon's, expected a folder of its own", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// A folder of somebody else.
    #[error("{} belongs to user number {owner}, expected root or `{name}`", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        name: String,
    },
    /// A file or folder could not be made or given away.
    #[error("cannot give {} to the daemon: {error}", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

impl RightsError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown { kind: "user", name } => format!(
                "`useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {name}` makes it, or correct `user`"
            ),
            Self::Unknown { .. } => "correct `group`, or leave it out".to_owned(),
            Self::Root { .. } => "leave `user` out, or make a user for the daemon alone".to_owned(),
            Self::NotRoot { .. } => {
                "start it as root, or leave `user` out where the service manager sets the user"
                    .to_owned()
            }
            Self::Threads { .. } => "this is a fault of our own, please report it".to_owned(),
            Self::Call { .. } => {
                "the sandbox of the service manager may forbid it; see rights.md".to_owned()
            }
            Self::Shared { path } => format!(
                "set `state_dir` to another folder, or `chown` {} to the user if it is his alone",
                path.display()
            ),
            Self::Foreign { path, name, .. } => format!("`chown -R {name} {}`", path.display()),
            Self::Path { .. } => {
                "make it by hand, with the user as its owner, or choose another place".to_owned()
            }
        }
    }

    pub(super) fn call(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Call { what, error }
    }

    pub(super) fn path(path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Path { path: path.to_owned(), error: error.into() }
    }
}
