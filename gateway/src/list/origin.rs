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
    /// The command `list remove`, which takes out what a source has.
    Exception,
}

impl Origin {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Url(_) => "url",
            Self::Put => "put",
            Self::Manual => "manual",
            Self::Exception => "exception",
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

    /// Where `entry` of this origin was written: `FILE:LINE`, `URL:LINE`, or the person who added it or took it out.
    pub fn place(&self, entry: &Entry) -> String {
        let author = entry.author.as_deref().unwrap_or("somebody");
        match self {
            Self::Manual => format!("added by {author}"),
            Self::Exception => format!("taken out by {author}"),
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
            Self::Exception => f.write_str("list remove"),
        }
    }
}
