//! The file of JSON lines: whole lines in one piece, a new file when somebody has renamed it, or when it is long enough.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::settings::Rotation;

/// Octets that are written at once: readers and other writers see whole lines only.
const PIECE: usize = 256 << 10;

/// The file of JSON lines, as the writing thread sees it.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    rotation: Option<Rotation>,
    file: File,
    /// Whether the file may end in half a line.
    torn: bool,
    /// Whether the file is to be opened anew.
    stale: bool,
}

/// How far writing came.
#[derive(Debug)]
pub(super) struct Written {
    /// How many of the lines are whole in the file.
    pub(super) lines: usize,
    /// Why there are not more.
    pub(super) fault: Option<io::Error>,
}

impl Lines {
    /// Opens `path` for appending, readable by the owner and the group. An error begins with the path.
    pub(super) fn open(path: &Path, rotation: Option<Rotation>) -> io::Result<Self> {
        let file = append(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        let torn = ends_torn(path).unwrap_or(false);
        Ok(Self { path: path.to_owned(), rotation, file, torn, stale: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `lines`, each with its end.
    pub(super) fn append(&mut self, lines: &[&str]) -> Written {
        let mut done = 0;
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            let (count, fault) = self.piece(rest);
            done += count;
            if let Some(fault) = fault {
                self.stale = true;
                return Written { lines: done, fault: Some(fault) };
            }
        }
        Written { lines: done, fault: self.follow_rotation().err() }
    }

    /// Writes as many lines as make one piece; how many are whole in the file.
    fn piece(&mut self, lines: &[&str]) -> (usize, Option<io::Error>) {
        if self.stale {
            match append(&self.path) {
                Ok(file) => (self.file, self.stale) = (file, false),
                Err(fault) => return (0, Some(fault)),
            }
        }
        let (mut octets, mut ends) = (Vec::new(), Vec::new());
        if self.torn {
            octets.push(b'\n');
        }
        for line in lines {
            octets.extend_from_slice(line.as_bytes());
            octets.push(b'\n');
            ends.push(octets.len());
            if octets.len() >= PIECE {
                break;
            }
        }
        let (written, fault) = self.write(&octets);
        let whole = ends.iter().take_while(|end| **end <= written).count();
        // Where nothing came, what was torn before still is.
        if written > 0 {
            let last = whole.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
            let separated = usize::from(self.torn && whole == 0);
            self.torn = written > last + separated;
        }
        (whole, fault)
    }

    /// How much of it came into the file. In all but rare cases it is one write, of all.
    fn write(&mut self, octets: &[u8]) -> (usize, Option<io::Error>) {
        let mut written = 0;
        while let Some(rest) = octets.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (written, Some(io::ErrorKind::WriteZero.into())),
                Ok(length) => written += length,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return (written, Some(fault)),
            }
        }
        (written, None)
    }

    /// Somebody may have renamed the file to start another: what comes next goes to the name.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let ours = self.file.metadata()?;
        let named = fs::metadata(&self.path).ok();
        if named.is_none_or(|named| (named.dev(), named.ino()) != (ours.dev(), ours.ino())) {
            self.file = append(&self.path)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Renames the file to start another, where it is long enough.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let Some(Rotation { size, keep }) = self.rotation else { return Ok(()) };
        let ours = self.file.metadata()?;
        if !ours.is_file() || ours.len() < size {
            return Ok(());
        }
        // A name that leads elsewhere stays.
        let path = self.path.canonicalize()?;
        let earlier = |number: u32| path.with_added_extension(number.to_string());
        for number in (1..keep).rev() {
            match fs::rename(earlier(number), earlier(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&path, earlier(1))?;
        self.follow_rotation()
    }
}

/// Whether an earlier daemon had no room for the end of its last line.
fn ends_torn(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let mut last = [b'\n'];
    if found.is_file() && found.len() > 0 {
        file.read_exact_at(&mut last, found.len() - 1)?;
    }
    Ok(last != [b'\n'])
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_long_file_is_begun_anew_and_the_oldest_goes() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut lines = Lines::open(&path, Some(Rotation { size: 4, keep: 2 })).unwrap();
        for line in ["one", "two", "three", "4"] {
            assert_eq!(lines.append(&[line]).lines, 1);
            lines.rotate().unwrap();
        }
        let texts = ["", "1", "2", "3"].map(|number| read(&path.with_added_extension(number)));
        assert_eq!(texts, ["4\n", "three\n", "two\n", ""]);
        let other = folder.path().join("other");
        std::os::unix::fs::symlink(&other, folder.path().join("link")).unwrap();
        let mut lines =
            Lines::open(&folder.path().join("link"), Some(Rotation { size: 1, keep: 1 })).unwrap();
        lines.append(&["x"]);
        lines.rotate().unwrap();
        lines.append(&["y"]);
        assert_eq!(
            (read(&other), read(&other.with_added_extension("1"))),
            ("y\n".into(), "x\n".into())
        );
    }

    #[test]
    fn lines_longer_than_a_piece_are_whole() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut lines = Lines::open(&path, None).unwrap();
        let long = "x".repeat(PIECE);
        let all = [long.as_str(), "a", &long, &long, "b"];
        assert_eq!(lines.append(&all).lines, all.len());
        assert_eq!(read(&path).lines().collect::<Vec<_>>(), all);
    }

    #[test]
    fn a_device_is_never_renamed() {
        let mut lines =
            Lines::open(Path::new("/dev/null"), Some(Rotation { size: 0, keep: 1 })).unwrap();
        assert_eq!(lines.append(&["x"]).lines, 1);
        lines.rotate().unwrap();
        let mut full = Lines::open(Path::new("/dev/full"), None).unwrap();
        let written = full.append(&["x", "y"]);
        assert_eq!((written.lines, written.fault.is_some()), (0, true));
    }
}
