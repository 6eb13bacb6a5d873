//! Writes small files whole or not at all: a file has its name when all of it is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `octets` to a file at `path` with these permissions. One that is there, of another daemon which was faster, stays.
pub fn make(path: &Path, mode: u32, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_added_extension(std::process::id().to_string());
    let made = fill(open(&fresh, mode)?, octets);
    let linked = made.and_then(|()| fs::hard_link(&fresh, path));
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes `octets` in the place of the file at `path`, if there is one; a new one has these permissions, less the umask.
pub fn replace(path: &Path, mode: u32, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fill(open(&fresh, mode)?, octets)?;
    fs::rename(&fresh, path)
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)
}

fn fill(mut file: File, octets: &[u8]) -> io::Result<()> {
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_first_one_stays_and_nothing_else_is_left() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("key");
        make(&path, 0o600, b"first").unwrap();
        make(&path, 0o600, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(make(&folder.path().join("none/key"), 0o600, b"x").is_err());
    }

    #[test]
    fn the_last_one_replaces_the_one_before() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("state.json");
        for text in ["first", "second"] {
            replace(&path, 0o600, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("none/state"), 0o600, b"x").is_err());
    }
}
