//! Gives files and folders to the account that the daemon is going to be, while it is still root.
//!
//! Who owns a folder can put links into it. So nothing in a folder that belongs to the account already is touched, and what
//! is given away is opened first, without following links, and looked at as what was opened.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, fchown};
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, Stat, fstat, openat};

use super::{Account, RightsError};

/// What an earlier daemon, or this one, leaves in its state folder: by it the folder is known.
const MARK: &str = "lock";

/// How deep the state folder is at most.
const DEPTH: u32 = 4;

/// Makes the state folder, and gives it with all that root left in it to `account`.
pub fn own_state(folder: &Path, account: &Account) -> Result<(), RightsError> {
    let failed = |error: io::Error| RightsError::path(folder, error);
    if make_folder(folder, 0o750, account)? {
        return Ok(());
    }
    let opened = open(CWD, folder, OFlags::DIRECTORY).map_err(failed)?;
    let found = fstat(&opened).map_err(|error| failed(error.into()))?;
    let owner = found.st_uid;
    if owner == account.uid() {
        return Ok(());
    }
    if owner != 0 {
        let (path, name) = (folder.to_owned(), account.name().to_owned());
        return Err(RightsError::Foreign { path, owner, name });
    }
    // In one that others may write to, anybody can have put what is there.
    if found.st_mode & 0o022 != 0 || !is_ours(&opened).map_err(failed)? {
        return Err(RightsError::Shared { path: folder.to_owned() });
    }
    give_all(&opened, account, DEPTH).map_err(failed)?;
    // Last, so that a start that was cut short is made good by the next.
    give(&opened, account).map_err(failed)
}

/// Makes `folder` with `mode` for `account` where there is none; false where there is one, which stays whose it is.
pub fn make_folder(folder: &Path, mode: u32, account: &Account) -> Result<bool, RightsError> {
    let failed = |error: io::Error| RightsError::path(folder, error);
    if let Some(outer) = folder.parent().filter(|outer| !outer.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o755).create(outer).map_err(failed)?;
    }
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => {
            let opened = open(CWD, folder, OFlags::DIRECTORY).map_err(failed)?;
            give(&opened, account).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Makes `file` for `account` where the folder is root's: there the account could not make it, and could not have put a link.
pub fn own_file(file: &Path, account: &Account) -> Result<(), RightsError> {
    let failed = |error: io::Error| RightsError::path(file, error);
    let folder = file.parent().unwrap_or_else(|| Path::new("/"));
    let folder = open(CWD, folder, OFlags::DIRECTORY).map_err(failed)?;
    let of_folder = fstat(&folder).map_err(|error| failed(error.into()))?;
    let is_roots = of_folder.st_uid == 0 && of_folder.st_mode & 0o022 == 0;
    let Some(name) = file.file_name().filter(|_name| is_roots) else { return Ok(()) };
    let flags = OFlags::WRONLY
        | OFlags::APPEND
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK;
    match openat(&folder, name, flags, Mode::from_raw_mode(0o640)) {
        Ok(opened) => {
            let found = fstat(&opened).map_err(|error| failed(error.into()))?;
            if is_plain(&found) && found.st_uid == 0 {
                give(&opened, account).map_err(failed)?;
            }
            Ok(())
        }
        // A link, or something else that the operator has put there: he knows whose it is.
        Err(_other) => Ok(()),
    }
}

/// Whether the folder is empty, or a daemon has had its state in it.
fn is_ours(folder: &OwnedFd) -> io::Result<bool> {
    let mut is_empty = true;
    for entry in Dir::read_from(folder)? {
        match entry?.file_name().to_bytes() {
            b"." | b".." => {}
            name if name == MARK.as_bytes() => {
                // A folder has that name in many places.
                let mark = open(folder, MARK, OFlags::empty())?;
                return Ok(is_plain(&fstat(&mark)?));
            }
            _other => is_empty = false,
        }
    }
    Ok(is_empty)
}

fn give_all(folder: &OwnedFd, account: &Account, depth: u32) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        // Links and sockets cannot be opened, and need not be given away.
        let Ok(opened) = open(folder, entry.file_name(), OFlags::empty()) else { continue };
        let found = fstat(&opened)?;
        let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if let Some(depth) = depth.checked_sub(1).filter(|_depth| is_folder) {
            give_all(&opened, account, depth)?;
        }
        if found.st_uid == 0 && (is_folder || is_plain(&found)) {
            give(&opened, account)?;
        }
    }
    Ok(())
}

/// A regular file that has no other name: one with two may be somebody else's, too.
fn is_plain(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink == 1
}

fn open<P: rustix::path::Arg>(folder: impl AsFd, name: P, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

fn give(opened: &OwnedFd, account: &Account) -> io::Result<()> {
    fchown(opened, Some(account.uid()), Some(account.gid()))
}

/// Opens the lock of a state folder: it is never written, so whoever owns it does not matter.
pub fn open_lock(folder: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(CWD, folder.join(MARK), flags, Mode::from_raw_mode(0o644))?;
    Ok(File::from(opened))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    /// Only root can give anything away.
    fn nobody() -> Option<Account> {
        rustix::process::geteuid().is_root().then(|| Account::find("nobody", None).unwrap())
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().uid()
    }

    #[test]
    fn all_that_root_left_goes_to_the_account_and_nothing_else() {
        let Some(nobody) = nobody() else { return };
        let outer = tempfile::tempdir().unwrap();
        let (state, other) = (outer.path().join("state"), outer.path().join("other"));
        fs::create_dir_all(state.join("lists")).unwrap();
        fs::write(&other, "").unwrap();
        for name in ["lock", "senders.db", "lists/a"] {
            fs::write(state.join(name), "").unwrap();
        }
        symlink(&other, state.join("link")).unwrap();
        fs::hard_link(&other, state.join("hard")).unwrap();
        own_state(&state, &nobody).unwrap();
        for name in ["", "lock", "senders.db", "lists", "lists/a"] {
            assert_eq!(owner(&state.join(name)), nobody.uid(), "{name}");
        }
        assert_eq!((owner(&other), owner(&state.join("link"))), (0, 0));
        // What comes later is the account's doing, and is left alone.
        fs::write(state.join("later"), "").unwrap();
        own_state(&state, &nobody).unwrap();
        assert_eq!(owner(&state.join("later")), 0);
    }

    #[test]
    fn folders_of_others_are_refused() {
        let Some(nobody) = nobody() else { return };
        let outer = tempfile::tempdir().unwrap();
        let shared = outer.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("something"), "").unwrap();
        let error = own_state(&shared, &nobody).unwrap_err();
        assert!(matches!(error, RightsError::Shared { .. }), "{error}");
        assert_eq!(owner(&shared), 0);
        std::os::unix::fs::chown(&shared, Some(1), None).unwrap();
        let error = own_state(&shared, &nobody).unwrap_err();
        assert!(matches!(error, RightsError::Foreign { owner: 1, .. }), "{error}");
        // One that is not there is made.
        let fresh = outer.path().join("a/b");
        own_state(&fresh, &nobody).unwrap();
        assert_eq!((owner(&fresh), owner(&outer.path().join("a"))), (nobody.uid(), 0));
    }

    #[test]
    fn a_file_in_a_folder_of_root_is_made_for_the_account() {
        let Some(nobody) = nobody() else { return };
        let outer = tempfile::tempdir().unwrap();
        let file = outer.path().join("audit.jsonl");
        own_file(&file, &nobody).unwrap();
        assert_eq!(owner(&file), nobody.uid());
        let (precious, link) = (outer.path().join("precious"), outer.path().join("link"));
        fs::write(&precious, "").unwrap();
        symlink(&precious, &link).unwrap();
        own_file(&link, &nobody).unwrap();
        assert_eq!(owner(&precious), 0);
    }
}
