//! What can go wrong with the quarantine, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Id;

/// What can go wrong with the quarantine.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such message.
    #[error("{0} is not in quarantine")]
    Unknown(Id),
    /// It is being released or deleted at this moment.
    #[error("{0} is being released or deleted already")]
    Taken(Id),
    /// Its record cannot be understood.
    #[error("the record of {id} cannot be read: {reason}")]
    Damaged {
        /// The message.
        id: Id,
        /// Why.
        reason: String,
    },
    /// A bound is reached.
    #[error("the quarantine holds {found}, expected at most {bound}")]
    Full {
        /// What it would hold.
        found: String,
        /// The bound, with its key.
        bound: String,
    },
    /// The system refuses.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// The disk takes longer than a sender waits.
    #[error("{} does not take a message in time", _0.display())]
    Slow(PathBuf),
    /// A fault of our own.
    #[error("the thread that keeps a message died")]
    Died,
}

impl QuarantineError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    /// Whether whoever asked must ask for something else.
    pub const fn is_of_request(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Taken(_))
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(_) => Some("`portcullis quarantine list` shows what is there"),
            Self::Taken(_) => Some("look again when that is over"),
            Self::Damaged { .. } => Some(
                "`portcullis quarantine show --raw` still gives the message, which can be sent by hand, then deleted",
            ),
            Self::Full { .. } => {
                Some("release or delete messages, or raise the bound in `[quarantine]`")
            }
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("make room on the file system of the quarantine")
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Some("make `[quarantine] folder` one that the daemon can write")
                }
                _ => None,
            },
            Self::Slow(_) => Some("look at the load and the faults of its disk"),
            Self::Died => Some("look into the daemon's log"),
        }
    }
}
