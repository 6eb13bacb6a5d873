//! The folder of the trail: which segments are there, who writes into which, which number is next.
//!
//! `N.db` grows, `N.sealed` never changes any more, `N.lock` is locked by whoever writes or seals segment N. Daemons that run
//! beside each other for a while so never have one segment.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::AuditError;
use crate::clock::Timestamp;
use crate::sqlite;

/// A segment that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Somebody writes into it, or has.
    Growing,
    /// It is complete.
    Sealed,
}

/// The folder of the trail.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes it, for the daemon and its group.
    pub(super) fn make(&self) -> Result<(), AuditError> {
        let made = DirBuilder::new().recursive(true).mode(0o750).create(&self.0);
        made.map_err(|error| AuditError::path(&self.0, error))
    }

    pub(super) fn growing(&self, number: u64) -> PathBuf {
        self.file(number, "db")
    }

    pub(super) fn sealed(&self, number: u64) -> PathBuf {
        self.file(number, "sealed")
    }

    /// What is to become the sealed segment.
    pub(super) fn sealing(&self, number: u64) -> PathBuf {
        self.file(number, "sealing")
    }

    fn lock(&self, number: u64) -> PathBuf {
        self.file(number, "lock")
    }

    fn file(&self, number: u64, ending: &str) -> PathBuf {
        self.0.join(format!("{number:08}.{ending}"))
    }

    /// The segments, by their numbers. One that has just been sealed is told once, as the sealed one.
    pub(super) fn segments(&self) -> Result<BTreeMap<u64, Form>, AuditError> {
        let mut found = BTreeMap::new();
        for (number, ending) in self.names()? {
            match ending.as_str() {
                "sealed" => {
                    found.insert(number, Form::Sealed);
                }
                "db" => {
                    found.entry(number).or_insert(Form::Growing);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// All files that have the number of a segment; a folder that is not there has none.
    fn names(&self) -> Result<Vec<(u64, String)>, AuditError> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| AuditError::path(&self.0, error))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| AuditError::path(&self.0, error))?;
            let name = entry.file_name();
            let parts = name.to_str().and_then(|name| name.split_once('.'));
            if let Some((number, ending)) = parts
                && let Ok(number) = number.parse()
            {
                names.push((number, ending.to_owned()));
            }
        }
        Ok(names)
    }

    /// Takes the next number, which nobody has had.
    pub(super) fn claim(&self) -> Result<Claim, AuditError> {
        let mut number = self.names()?.into_iter().map(|(number, _)| number).max().unwrap_or(0) + 1;
        loop {
            let lock = self.lock(number);
            match File::options().write(true).create_new(true).mode(0o640).open(&lock) {
                Ok(file) => {
                    // Nobody else locks one of which there is no segment.
                    flock(&file, FlockOperation::NonBlockingLockExclusive)
                        .map_err(|error| AuditError::path(&lock, error.into()))?;
                    return Ok(Claim { number, lock, _file: file });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(AuditError::path(&lock, error)),
            }
        }
    }

    /// Takes a growing segment that its writer has left; `None` where somebody has it.
    pub(super) fn reclaim(&self, number: u64) -> Result<Option<Claim>, AuditError> {
        let lock = self.lock(number);
        let file = File::options().write(true).create(true).truncate(false).mode(0o640).open(&lock);
        let file = file.map_err(|error| AuditError::path(&lock, error))?;
        let is_ours = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        // It may have been sealed in the meantime.
        let is_there = self.growing(number).exists();
        Ok((is_ours && is_there).then_some(Claim { number, lock, _file: file }))
    }

    /// The growing segments that nobody writes into any more, the oldest first.
    pub(super) fn left_behind(&self) -> Result<Vec<Claim>, AuditError> {
        let mut left = Vec::new();
        let mut numbers = self.names()?;
        numbers.retain(|(_number, ending)| ending == "db");
        numbers.sort_unstable();
        for (number, _ending) in numbers {
            left.extend(self.reclaim(number)?);
        }
        Ok(left)
    }

    /// How long the files of all segments are, by number; what was put aside is no segment any more.
    pub(super) fn octets(&self) -> Result<BTreeMap<u64, u64>, AuditError> {
        let mut octets = BTreeMap::new();
        for (number, ending) in self.names()? {
            if ending.contains("damaged") {
                continue;
            }
            // Who seals may have removed it.
            let length = fs::metadata(self.file(number, &ending)).map_or(0, |found| found.len());
            *octets.entry(number).or_insert(0) += length;
        }
        Ok(octets)
    }

    /// Removes the growing form of a segment, once it is sealed or empty.
    pub(super) fn remove_growing(&self, claim: Claim) -> Result<(), AuditError> {
        let path = self.growing(claim.number);
        // The database first: what lies beside it means nothing without.
        for suffix in sqlite::FILES {
            remove(&sqlite::beside(&path, suffix))?;
        }
        remove(&claim.lock)
    }

    /// Removes a sealed segment.
    pub(super) fn remove_sealed(&self, number: u64) -> Result<(), AuditError> {
        remove(&self.sealed(number))
    }

    /// Gives a damaged segment a name that says when it was found so; it is never used, and never removed.
    pub(super) fn put_aside(&self, claim: Claim, now: Timestamp) -> Result<PathBuf, AuditError> {
        let path = self.growing(claim.number);
        let aside = sqlite::put_aside(&path, now);
        let aside = aside.map_err(|error| AuditError::path(&path, error))?;
        remove(&claim.lock)?;
        Ok(aside)
    }
}

/// The right to write into a segment; it ends when it is dropped, and with the process.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) number: u64,
    lock: PathBuf,
    _file: File,
}

fn remove(path: &Path) -> Result<(), AuditError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(AuditError::path(path, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn nobody_gets_a_number_twice() {
        let outer = TempDir::new().unwrap();
        let folder = Folder::new(&outer.path().join("audit"));
        assert!(folder.segments().unwrap().is_empty(), "there is no folder yet");
        folder.make().unwrap();
        let (first, second) = (folder.claim().unwrap(), folder.claim().unwrap());
        assert_eq!((first.number, second.number), (1, 2));
        for number in [1, 2] {
            fs::write(folder.growing(number), "").unwrap();
        }
        assert!(folder.left_behind().unwrap().is_empty(), "both are written into");
        drop(first);
        let left = folder.left_behind().unwrap();
        assert_eq!(left.iter().map(|claim| claim.number).collect::<Vec<_>>(), [1]);
        assert!(folder.reclaim(1).unwrap().is_none(), "it was just taken");
        fs::write(folder.sealed(1), "").unwrap();
        for claim in left {
            folder.remove_growing(claim).unwrap();
        }
        let found: Vec<_> = folder.segments().unwrap().into_iter().collect();
        assert_eq!(found, [(1, Form::Sealed), (2, Form::Growing)]);
        fs::write(folder.0.join("00000007.db.damaged-20261120T080000Z"), "").unwrap();
        fs::write(folder.0.join("other"), "").unwrap();
        assert_eq!(folder.claim().unwrap().number, 8);
        let aside = folder.put_aside(second, Timestamp::UNIX_EPOCH).unwrap();
        assert!(aside.ends_with("00000002.db.damaged-19700101T000000Z"), "{}", aside.display());
        assert_eq!(folder.segments().unwrap().len(), 1);
    }
}
