//! The account that the daemon runs as once it has bound its ports.

use std::ffi::CString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};
use nix::unistd::{getgrouplist, setgroups, setresgid, setresuid};
use rustix::process::geteuid;

use super::RightsError;

/// A user of this host with his groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Account {
    /// Looks up `user`, with `group` in place of his own first group.
    pub fn find(user: &str, group: Option<&str>) -> Result<Self, RightsError> {
        let unknown = |kind, name: &str| RightsError::Unknown { kind, name: name.to_owned() };
        let asked = |error: nix::Error| RightsError::call("look up users")(error.into());
        let found = User::from_name(user).map_err(asked)?;
        let found = found.ok_or_else(|| unknown("user", user))?;
        if found.uid.is_root() {
            return Err(RightsError::Root { name: user.to_owned() });
        }
        let gid = match group {
            None => found.gid,
            Some(group) => {
                let found = Group::from_name(group).map_err(asked)?;
                found.ok_or_else(|| unknown("group", group))?.gid
            }
        };
        // The system has just found the name, so there is no NUL in it.
        let name = CString::new(user).unwrap_or_default();
        let groups = getgrouplist(&name, gid).map_err(asked)?;
        Ok(Self { name: user.to_owned(), uid: found.uid, gid, groups })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the user.
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// The number of the group.
    pub fn gid(&self) -> u32 {
        self.gid.as_raw()
    }

    /// Whether this process is the account already.
    pub fn is_current(&self) -> bool {
        geteuid().as_raw() == self.uid()
    }

    /// Whether this process can become the account.
    fn is_within_reach(&self) -> Result<(), RightsError> {
        let uid = geteuid();
        if uid.is_root() || self.is_current() {
            return Ok(());
        }
        Err(RightsError::NotRoot { name: self.name.clone(), uid: uid.as_raw() })
    }

    /// Becomes the account for good, in all threads (the C library sees to that).
    pub(super) fn become_it(&self) -> Result<(), RightsError> {
        let Self { uid, gid, .. } = *self;
        self.is_within_reach()?;
        let call = |what| move |error: nix::Error| RightsError::call(what)(error.into());
        setgroups(&self.groups).map_err(call("set the groups"))?;
        setresgid(gid, gid, gid).map_err(call("set the group"))?;
        setresuid(uid, uid, uid).map_err(call("set the user"))?;
        // A switch that can be undone is none.
        if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
            let error = io::Error::other("the process can still become root");
            return Err(RightsError::call("give up root")(error));
        }
        Ok(())
    }

    /// Why the account could not read `file`, as far as modes and owners tell; `None` where it can, or where that is not known.
    pub fn unreadable(&self, file: &Path) -> Option<String> {
        let file = file.canonicalize().ok()?;
        for folder in file.ancestors().skip(1) {
            let metadata = folder.metadata().ok()?;
            if !self.has(&metadata, 0o1) {
                return Some(format!("{} is closed to `{}`", folder.display(), self.name));
            }
        }
        let metadata = file.metadata().ok()?;
        (!self.has(&metadata, 0o4))
            .then(|| format!("`{}` may not read {}", self.name, file.display()))
    }

    /// Whether the account could write `file`, or make it where it is not there yet; `None` where that is not known.
    pub fn may_write(&self, file: &Path) -> Option<bool> {
        match file.metadata() {
            Ok(metadata) => Some(self.has(&metadata, 0o2)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(self.has(&file.parent()?.metadata().ok()?, 0o3))
            }
            Err(_unknown) => None,
        }
    }

    /// Whether the account has the right `bit` of a file or folder: 4 to read, 2 to write, 1 to search.
    fn has(&self, metadata: &Metadata, bit: u32) -> bool {
        let shift = if metadata.uid() == self.uid() {
            6
        } else if self.groups.contains(&Gid::from_raw(metadata.gid()))
            || metadata.gid() == self.gid()
        {
            3
        } else {
            0
        };
        metadata.mode() >> shift & bit == bit
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn who_can_be_meant() {
        for (user, group, expected) in [
            ("nobody", None, "Ok"),
            ("nobody", Some("root"), "Ok"),
            ("root", None, "user `root`, expected one that is not root"),
            ("no-such-user", None, "user `no-such-user`, expected one that this host knows"),
            ("nobody", Some("no-such"), "group `no-such`, expected one that this host knows"),
            ("a\0b", None, "user `a\0b`, expected one that this host knows"),
        ] {
            let found = match Account::find(user, group) {
                Ok(_account) => "Ok".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(found.starts_with(expected), "{user} {group:?}: {found}");
        }
    }

    #[test]
    fn what_the_account_may_read_is_told_by_modes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        fs::write(&file, "").unwrap();
        let nobody = Account::find("nobody", None).unwrap();
        let set =
            |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for (folder_mode, file_mode, expected) in [
            (0o755, 0o644, None),
            (0o755, 0o640, Some("may not read")),
            (0o700, 0o644, Some("is closed to")),
        ] {
            set(folder.path(), folder_mode);
            set(&file, file_mode);
            let found = nobody.unreadable(&file);
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
