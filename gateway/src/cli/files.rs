//! Writes files whole or not at all: one that is replaced at once, or several that belong together.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Why files are not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// Some are there, and nobody said that they may go.
    #[error("{} would be written over", shown(.0))]
    Exist(Vec<PathBuf>),
    /// The system refuses.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

fn shown(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

/// Replaces `path` by what `write` writes, at once and only when all of it is there; what is no file is written to directly.
pub(super) fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let fail = |error| WriteError::Io { path: path.to_owned(), error };
    let is_special =
        path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    if is_special {
        let file = File::options().write(true).open(path).map_err(fail)?;
        let mut out = BufWriter::new(file);
        return write(&mut out).and_then(|()| out.flush()).map_err(fail);
    }
    // What a link stands for is replaced, not the link.
    let path = path.canonicalize().unwrap_or_else(|_new| path.to_owned());
    let place = Placed::beside(&path).map_err(fail)?;
    let written = place.fill(write).and_then(|()| fs::rename(&place.fresh, &path));
    written.map_err(|error| {
        place.undo();
        fail(error)
    })
}

/// Writes `files`, whose folders are made; `force` replaces those that are there.
///
/// Their names change to the new files in the order given, so that what names the others comes last.
pub(super) fn write_all(files: &[(PathBuf, &[u8])], force: bool) -> Result<(), WriteError> {
    let there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let existing: Vec<_> = files.iter().map(|(path, _)| path).filter(|path| there(path)).collect();
    if !force && !existing.is_empty() {
        return Err(WriteError::Exist(existing.into_iter().cloned().collect()));
    }
    let mut placed: Vec<Placed> = Vec::new();
    let done = files.iter().try_for_each(|(path, octets)| {
        let fail = |error| WriteError::Io { path: path.clone(), error };
        path.parent().map_or(Ok(()), fs::create_dir_all).map_err(fail)?;
        let place = Placed::beside(path).map_err(fail)?;
        let written = place.fill(|out| out.write_all(octets));
        placed.push(place);
        written.map_err(fail)
    });
    let done = done.and_then(|()| {
        placed.iter_mut().try_for_each(|place| {
            place.put(force).map_err(|error| WriteError::Io { path: place.path.clone(), error })
        })
    });
    for place in placed.iter().rev() {
        match &done {
            Ok(()) => place.forget_former(),
            Err(_) => place.undo(),
        }
    }
    done
}

/// One file on its way to its name.
#[derive(Debug)]
struct Placed {
    path: PathBuf,
    /// Where it is written first.
    fresh: PathBuf,
    /// Where the file goes that had the name.
    former: PathBuf,
    is_put: bool,
    has_former: bool,
}

impl Placed {
    fn beside(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        let no_name = || io::Error::new(io::ErrorKind::InvalidFilename, "it is no name of a file");
        let name = path.file_name().ok_or_else(no_name)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        // Names that begin with a dot are read by nobody.
        let hidden = |ending: &str| {
            let parts = [OsStr::new("."), name, OsStr::new(ending)];
            folder.join(parts.into_iter().collect::<OsString>())
        };
        let (fresh, former) = (hidden(".new"), hidden(".former"));
        Ok(Self { path: path.to_owned(), fresh, former, is_put: false, has_former: false })
    }

    fn fill(&self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(&self.fresh)?);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn put(&mut self, force: bool) -> io::Result<()> {
        if force && self.path.symlink_metadata().is_ok() {
            fs::rename(&self.path, &self.former)?;
            self.has_former = true;
        }
        // Unlike renaming, this replaces nothing that came in the meantime.
        fs::hard_link(&self.fresh, &self.path)?;
        self.is_put = true;
        fs::remove_file(&self.fresh)
    }

    /// What cannot be taken back is no worse than what it was done for: the first error tells of it.
    fn undo(&self) {
        drop(fs::remove_file(&self.fresh));
        if self.has_former {
            drop(fs::rename(&self.former, &self.path));
        } else if self.is_put {
            drop(fs::remove_file(&self.path));
        }
    }

    fn forget_former(&self) {
        if self.has_former {
            drop(fs::remove_file(&self.former));
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| name(entry).unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn all_are_written_and_none_is_written_over_by_itself() {
        let folder = TempDir::new().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("in/two"));
        write_all(&[(one.clone(), b"1"), (two.clone(), b"2")], false).unwrap();
        assert_eq!(fs::read(&two).unwrap(), b"2");
        let three = folder.path().join("three");
        let error = write_all(&[(three.clone(), b"3"), (one.clone(), b"4")], false).unwrap_err();
        assert_eq!(error.to_string(), format!("{} would be written over", one.display()));
        assert_eq!(
            (fs::read(&one).unwrap(), names(folder.path())),
            (b"1".to_vec(), vec!["in".to_owned(), "one".to_owned()])
        );
        write_all(&[(three, b"3"), (one.clone(), b"4")], true).unwrap();
        assert_eq!(fs::read(&one).unwrap(), b"4");
        assert_eq!(names(folder.path()), ["in", "one", "three"]);
    }

    #[test]
    fn a_file_is_replaced_by_all_of_another_or_stays() {
        let folder = TempDir::new().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&file, |out| out.write_all(b"1")).unwrap();
        replace(&link, |out| out.write_all(b"2")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"2");
        let broken = |out: &mut BufWriter<File>| {
            out.write_all(b"3")?;
            Err(io::Error::other("half of it"))
        };
        let error = replace(&file, broken).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write {}: half of it", file.display()));
        assert_eq!(
            (fs::read(&file).unwrap(), names(folder.path())),
            (b"2".to_vec(), vec!["file".to_owned(), "link".to_owned()])
        );
        replace(Path::new("/dev/null"), |out| out.write_all(b"4")).unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        assert!(replace(Path::new("/dev/full"), |out| out.write_all(b"4")).is_err());
        assert!(replace(folder.path(), |out| out.write_all(b"5")).is_err());
    }

    #[test]
    fn where_one_cannot_be_written_all_is_as_it_was() {
        let folder = TempDir::new().unwrap();
        let (one, fresh) = (folder.path().join("one"), folder.path().join("fresh"));
        fs::write(&one, b"1").unwrap();
        let is_file = folder.path().join("one/below");
        for blocked in [folder.path().join("folder"), is_file] {
            fs::create_dir_all(folder.path().join("folder")).unwrap();
            let files = [(one.clone(), &b"2"[..]), (fresh.clone(), b"2"), (blocked.clone(), b"3")];
            assert!(
                matches!(write_all(&files, true), Err(WriteError::Io { path, .. }) if path == blocked)
            );
            assert_eq!(fs::read(&one).unwrap(), b"1");
            assert_eq!(names(folder.path()), ["folder", "one"]);
        }
        // The name of the last one is taken when all are written already.
        let taken = folder.path().join("taken");
        fs::create_dir_all(folder.path().join(".taken.former/full")).unwrap();
        fs::write(&taken, b"t").unwrap();
        let files = [(one.clone(), &b"2"[..]), (fresh, b"2"), (taken.clone(), b"3")];
        assert!(write_all(&files, true).is_err());
        assert_eq!(
            (fs::read(&one).unwrap(), fs::read(&taken).unwrap()),
            (b"1".to_vec(), b"t".to_vec())
        );
        assert_eq!(names(folder.path()), [".taken.former", "folder", "one", "taken"]);
    }
}
