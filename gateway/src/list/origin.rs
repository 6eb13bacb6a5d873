//! Where a list has entries from, as records name it.

use std::fmt;
use std::path::PathBuf;

use super::{Entry, FeedUrl};

/// Where a list has entries from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A file of this host.
    File(PathBuf),
    /// A download.
    Url(FeedUrl),
    /// The command `list put`, whose input is kept.
    Put,
    /// The command `list add`, one at a time.
    Manual,
}

impl Origin {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Url(_) => "url",
            Self::Put => "put",
            Self::Manual => "manual",
        }
    }

    /// Whether somebody else than this host's operator writes it, so that it is not trusted to be sane.
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::Url(_))
    }

    /// What tells it from all others: of a download more than is shown, since what is not may stand for another list.
    pub fn identity(&self) -> String {
        match self {
            Self::Url(url) => url.identity(),
            _ => self.to_string(),
        }
    }

    /// Where `entry` of this origin was written: `FILE:LINE`, `URL:LINE`, or the person who added it.
    pub fn place(&self, entry: &Entry) -> String {
        match self {
            Self::Manual => {
                let author = entry.author.as_deref().unwrap_or("somebody");
                format!("added by {author}")
            }
            _ => format!("{self}:{}", entry.line),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => url.fmt(f),
            Self::Put => f.write_str("list put"),
            Self::Manual => f.write_str("list add"),
        }
    }
}
