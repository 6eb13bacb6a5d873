//! Where a list has entries from, as records name it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::Entry;

/// Where a list has entries from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A file of this host.
    File(PathBuf),
    /// A download.
    Url(Arc<str>),
    /// The command `list put`, whose input is kept.
    Put,
    /// The command `list add`, one at a time.
    Manual,
}

impl Origin {
    /// Whether somebody else than this host's operator writes it, so that it is not trusted to be sane.
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::Url(_))
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
            Self::Url(url) => f.write_str(url),
            Self::Put => f.write_str("list put"),
            Self::Manual => f.write_str("list add"),
        }
    }
}
