//! The last good copy of a source on disk, so that a host starts protected without it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::read::{SIZE_LIMIT, bounded};
use crate::clock::Timestamp;

/// The longest first line of a copy, in octets.
const HEAD_LIMIT: u64 = 1 << 16;

/// Where the last good copy of one source is kept.
#[derive(Clone, Debug)]
pub struct LastGood {
    path: PathBuf,
    origin: String,
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
}

impl LastGood {
    /// The copy at `path`, of `origin`.
    pub fn new(path: PathBuf, origin: String) -> Self {
        Self { path, origin }
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
    pub fn read(&self) -> Option<(Head, Vec<u8>)> {
        let octets = bounded(File::open(&self.path).ok()?, SIZE_LIMIT + HEAD_LIMIT).ok()?;
        let (head, content) = split(&octets)?;
        (head.origin == self.origin).then(|| (head, content.to_vec()))
    }

    /// What it says about itself, which is read without the rest; `None` as for [`Self::read`].
    pub fn head(&self) -> Option<Head> {
        let mut line = Vec::new();
        let mut file = BufReader::new(File::open(&self.path).ok()?).take(HEAD_LIMIT);
        file.read_until(b'\n', &mut line).ok()?;
        let head: Head = serde_json::from_slice(&line).ok()?;
        (head.origin == self.origin).then_some(head)
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
}
