//! Takes all files out of the process's reach that it has no need of, where the kernel can (Landlock, Linux 5.13).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, RestrictionStatus, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus,
};

use super::RightsError;

/// The newest rules that we know (Linux 6.10); an older kernel has fewer of them, and what it has is used.
const NEWEST: ABI = ABI::V5;

/// What a process reaches, with all that lies below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Folders and files that are read.
    pub read: Vec<PathBuf>,
    /// Folders in which files are made, written and removed, too.
    pub write: Vec<PathBuf>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// All that is not in reach is out of it.
    Full,
    /// Some ways to it are open, for this reason.
    Partial(String),
    /// Nothing is confined, for this reason.
    None(String),
    /// The configuration does not want it.
    Off,
}

impl Confinement {
    /// The word that `status` uses.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial(_) => "partial",
            Self::None(_) => "none",
            Self::Off => "off",
        }
    }

    /// Why it is not all.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Partial(reason) | Self::None(reason) => Some(reason),
            Self::Full | Self::Off => None,
        }
    }
}

impl Reach {
    /// What of it is there.
    #[must_use]
    pub fn existing(mut self) -> Self {
        self.read.retain(|path| path.exists());
        self.write.retain(|path| path.exists());
        self
    }

    /// Whether `path`, or the folder in which it would be, can be read; links are followed.
    pub fn can_read(&self, path: &Path) -> bool {
        let resolved = resolved(path);
        let mut all = self.read.iter().chain(&self.write);
        all.any(|reached| resolved.starts_with(self::resolved(reached)))
    }
}

/// Confines this thread, and all that it starts, to `reach`. What of that is not there cannot be reached later either: see
/// [`Reach::existing`].
pub fn confine(reach: &Reach) -> Result<Confinement, RightsError> {
    let failed = |error: landlock::RulesetError| {
        RightsError::call("confine the daemon to its files")(std::io::Error::other(error))
    };
    let all = AccessFs::from_all(NEWEST);
    let mut rules =
        Ruleset::default().handle_access(all).and_then(Ruleset::create).map_err(failed)?;
    // Nothing is run.
    let read = AccessFs::from_read(NEWEST) & !BitFlags::from(AccessFs::Execute);
    let write = all & !BitFlags::from(AccessFs::Execute);
    for (paths, access) in [(&reach.read, read), (&reach.write, write)] {
        for path in paths {
            let Ok(opened) = PathFd::new(path) else { continue };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
            rules = rules.add_rule(PathBeneath::new(opened, access)).map_err(failed)?;
        }
    }
    let RestrictionStatus { ruleset, .. } = rules.restrict_self().map_err(failed)?;
    Ok(match ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial(
            "this kernel knows Landlock, but not all of it: Linux 6.10 does".to_owned(),
        ),
        RulesetStatus::NotEnforced => Confinement::None(
            "this kernel has no Landlock: Linux 5.13 has, when it is among its security modules"
                .to_owned(),
        ),
    })
}

/// Without links, as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    let existing = path.ancestors().find_map(|outer| Some((outer, outer.canonicalize().ok()?)));
    let Some((outer, resolved)) = existing else { return path.to_owned() };
    match path.strip_prefix(outer) {
        Ok(rest) if !rest.as_os_str().is_empty() => resolved.join(rest),
        _ => resolved,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_can_be_read_is_told_by_where_links_lead() {
        let outer = tempfile::tempdir().unwrap();
        let path = |name: &str| outer.path().join(name);
        for folder in ["lists", "lists/sub", "else"] {
            fs::create_dir(path(folder)).unwrap();
        }
        symlink(path("else"), path("lists/away")).unwrap();
        symlink(path("lists"), path("here")).unwrap();
        let reach = Reach { read: vec![path("lists")], write: Vec::new() };
        for (name, expected) in [
            ("lists/a.txt", true),
            ("lists/sub/a.txt", true),
            ("lists/not/yet.txt", true),
            ("here/a.txt", true),
            ("lists/away/a.txt", false),
            ("else/a.txt", false),
            ("lists-2/a.txt", false),
        ] {
            assert_eq!(reach.can_read(&path(name)), expected, "{name}");
        }
    }

    /// On a thread of its own, which goes with it.
    #[test]
    fn what_is_not_named_is_out_of_reach() {
        let outer = tempfile::tempdir().unwrap();
        let path = |name: &str| outer.path().join(name);
        for folder in ["read", "write", "else"] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("file"), "x").unwrap();
        }
        let reach = Reach { read: vec![path("read"), path("gone")], write: vec![path("write")] };
        let tried = std::thread::scope(|scope| {
            let tries = || {
                let confinement = confine(&reach).unwrap();
                let read =
                    ["read", "write", "else"].map(|it| fs::read(path(it).join("file")).is_ok());
                let write =
                    ["read", "write", "else"].map(|it| fs::write(path(it).join("new"), "").is_ok());
                (confinement, read, write)
            };
            scope.spawn(tries).join().unwrap()
        });
        match tried {
            (Confinement::None(reason), ..) => assert!(reason.contains("5.13")),
            (_, read, write) => {
                assert_eq!((read, write), ([true, true, false], [false, true, false]));
            }
        }
    }
}
