//! Makes the file of a secret, once: it has its name when it is whole and on the disk.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes `octets` to a file at `path` with these permissions. One that is there, of another daemon which was faster, stays.
pub fn make(path: &Path, mode: u32, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_added_extension(std::process::id().to_string());
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
    let made = file.write_all(octets).and_then(|()| file.sync_all());
    let linked = made.and_then(|()| fs::hard_link(&fresh, path));
    fs::remove_file(&fresh)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
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
}
