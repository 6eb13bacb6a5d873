//! The last good copy of a source on disk, so that a host starts protected without it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::hash::{sha256, sha256_of_rest};
use super::read::{SIZE_LIMIT, bounded};
use crate::clock::Timestamp;

/// The longest first line of a copy, in octets.
const HEAD_LIMIT: u64 = 1 << 16;

/// Where the last good copy of one source is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    path: PathBuf,
    origin: String,
    /// The hash of content that is not gone back to.
    void: Option<String>,
}

/// What follows the first line, if that says that this is such a copy.
pub(super) fn content(octets: &[u8]) -> Option<&[u8]> {
    split(octets).map(|(_head, content)| content)
}

fn split(octets: &[u8]) -> Option<(Head, &[u8])> {
    let mut lines = octets.splitn(2, |&octet| octet == b'\n');
    let head = serde_json::from_slice(lines.next()?).ok()?;
    Some((head, lines.next()?))
}

/// What a copy says about itself, its first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// What it is a copy of.
    pub origin: String,
    /// When that was written or fetched.
    pub as_of: Timestamp,
    /// What the server calls this state of it (RFC 9110, section 8.8.3).
    pub etag: Option<String>,
    /// When the server says that it changed last, in its own words.
    pub last_modified: Option<String>,
    /// What its content hashes to, as `sha256sum` prints it.
    pub sha256: String,
}

/// What is wrong with a copy that is there.
#[derive(Debug, thiserror::Error)]
pub enum CopyFault {
    /// The system does not give it.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It does not say what it is.
    #[error("is damaged: no first line that says of what it is a copy")]
    NoHead,
    /// Its content is not what was written.
    #[error("is damaged: sha256 {found}, expected {expected}")]
    Hash {
        /// What the content hashes to.
        found: String,
        /// What its first line says.
        expected: String,
    },
}

impl LastGood {
    /// The copy at `path`, of `origin`.
    pub fn new(path: PathBuf, origin: String) -> Self {
        Self { path, origin, void: None }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its content; `None` when there is none, or when it is of another origin: a list that is given another source must not
    /// fall back to the entries of the first.
    pub fn read(&self) -> Result<Option<(Head, Vec<u8>)>, CopyFault> {
        let octets = match File::open(&self.path) {
            Ok(file) => bounded(file, SIZE_LIMIT + HEAD_LIMIT).map_err(CopyFault::Read)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CopyFault::Read(error)),
        };
        let (head, content) = split(&octets).ok_or(CopyFault::NoHead)?;
        if !self.can_use(&head) {
            return Ok(None);
        }
        let found = sha256(content);
        if found != head.sha256 {
            return Err(CopyFault::Hash { found, expected: head.sha256 });
        }
        Ok(Some((head, content.to_vec())))
    }

    /// What it says about itself; `None` where [`Self::read`] gives no content, for which it is read to its end.
    pub fn head(&self) -> Option<Head> {
        let mut line = Vec::new();
        let mut file = BufReader::new(File::open(&self.path).ok()?);
        file.by_ref().take(HEAD_LIMIT).read_until(b'\n', &mut line).ok()?;
        let head: Head = serde_json::from_slice(&line).ok()?;
        let is_whole = || sha256_of_rest(file).is_ok_and(|found| found == head.sha256);
        (self.can_use(&head) && is_whole()).then_some(head)
    }

    /// How long ago its content was what the source had, as far as `now` tells; `None` as for [`Self::head`].
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.head()?;
        let written = fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok()?;
        // One from the future is one of a clock that was set back: it is as good as new.
        Some(SystemTime::from(now).duration_since(written).unwrap_or_default())
    }

    /// Remembers that its content is what the source has `now`.
    pub fn touch(&self, now: Timestamp) -> io::Result<()> {
        File::options().append(true).open(&self.path)?.set_modified(now.into())
    }

    /// Takes content with the hash `sha256` as none from now on, since nothing can be made of it.
    pub(super) fn set_void(&mut self, sha256: String) {
        self.void = Some(sha256);
    }

    /// Removes it, if there is one.
    pub fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Writes it whole or not at all.
    pub fn write(&self, head: &Head, octets: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        serde_json::to_writer(&mut file, head)?;
        file.write_all(b"\n")?;
        file.write_all(octets)?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)
    }

    fn can_use(&self, head: &Head) -> bool {
        head.origin == self.origin && self.void.as_ref() != Some(&head.sha256)
    }
}
