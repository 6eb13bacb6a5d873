//! Where a list's entries come from, and how far a new copy of it is believed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Url(download) => f.write_str(&download.url),
            Self::Put => f.write_str("list put"),
        }
    }
}

/// How a list is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What is fetched, `http` or `https`.
    pub url: Arc<str>,
    /// The time between two fetches, before jitter.
    pub interval: Duration,
    /// How long one fetch may take in all.
    pub timeout: Duration,
    /// The most octets that are taken, before and after decompression.
    pub max_size: u64,
    /// The proxy, `http://HOST:PORT`; `None` for none.
    pub proxy: Option<Arc<str>>,
    /// What the content must hash to.
    pub sha256: Option<[u8; 32]>,
    /// A signature that the content must have.
    pub signature: Option<Signature>,
}

/// A detached signature of a download, in the format of minisign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Where the signature is fetched.
    pub url: Arc<str>,
    /// The key, the second line of a minisign public key file.
    pub public_key: Arc<str>,
}

/// How much the entries of a source may change at once, in percent of those before; `None` without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// More of them: 100 is twice as many.
    pub max_growth: Option<u32>,
    /// Fewer of them: 100 is none left.
    pub max_shrink: Option<u32>,
}
