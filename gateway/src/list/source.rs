//! Where a list's entries come from, and how far a new copy of it is believed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use minisign_verify::PublicKey;

use super::FeedUrl;

/// Where a list's entries come from, beside those added by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file of this host, read again when it changes.
    File(PathBuf),
    /// All files of a folder.
    Folder(PathBuf),
    /// A download.
    Url(Arc<Download>),
    /// What the command `list put` is given.
    Put,
}

impl Source {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Folder(_) => "folder",
            Self::Url(_) => "url",
            Self::Put => "put",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Url(download) => download.url.fmt(f),
            Self::Put => f.write_str("list put"),
        }
    }
}

/// How a list is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What is fetched.
    pub url: FeedUrl,
    /// The least time between two fetches.
    pub interval: Duration,
    /// How long one fetch may take in all.
    pub timeout: Duration,
    /// The most octets that are taken, before and after decompression.
    pub max_size: u64,
    /// The proxy, `http://HOST:PORT`; `None` for none.
    pub proxy: Option<FeedUrl>,
    /// Authorities that are believed beside those of the system, as PEM.
    pub ca_file: Option<PathBuf>,
    /// What the content must hash to.
    pub sha256: Option<[u8; 32]>,
    /// A signature that the content must have.
    pub signature: Option<Signature>,
}

impl Download {
    /// Whether the content has to be what somebody vouches for.
    pub const fn is_pinned(&self) -> bool {
        self.sha256.is_some() || self.signature.is_some()
    }
}

/// A detached signature of a download, in the format of minisign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where the signature is fetched.
    pub url: FeedUrl,
    /// The key.
    pub public_key: PublicKey,
}

/// How much the entries of a source may change at once, in percent of those before; `None` without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// More of them: 100 is twice as many.
    pub max_growth: Option<u32>,
    /// Fewer of them: 100 is none left.
    pub max_shrink: Option<u32>,
}
