//! Mail servers as unpacked packages: where they are, their libraries, and files of their own in place of the system's.
//!
//! They exclude each other as packages, so none is ever installed: `cargo xtask test` unpacks them into the cache folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::netns::NetNs;

/// A mail server that the tests talk to.
#[derive(Clone, Copy, Debug)]
pub struct MailServer {
    /// What its makers call it.
    pub name: &'static str,
    /// The Debian package that is unpacked.
    pub package: &'static str,
    /// The program in the package.
    pub program: &'static str,
    /// The environment variable that names another folder with the unpacked package.
    pub variable: &'static str,
}

impl MailServer {
    /// The folder into which `cargo xtask test` unpacks it, whether or not it has yet.
    pub fn unpacked(&self) -> PathBuf {
        match said(self.variable) {
            Some(folder) => folder.into(),
            None => cache().join(self.package),
        }
    }

    /// Whether it was unpacked.
    pub fn is_there(&self) -> bool {
        self.unpacked().join(self.program).is_file()
    }
}

/// The folder for what `cargo xtask test` fetches.
pub(crate) fn cache() -> PathBuf {
    said("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("portcullis")
}

fn said(variable: &str) -> Option<OsString> {
    env::var_os(variable).filter(|value| !value.is_empty())
}

/// Where a mail server with files of its own sees its packages: every system has the folder, and every user may enter.
pub(crate) const PLACE: &str = "/mnt";

/// The folders with the libraries in `packages`, relative to it.
pub(crate) fn libraries(packages: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for folder in ["usr/lib", "lib"] {
        for entry in fs::read_dir(packages.join(folder)).into_iter().flatten() {
            let name = entry?.file_name();
            if name.to_string_lossy().ends_with("-linux-gnu") {
                folders.push(Path::new(folder).join(name));
            }
        }
    }
    Ok(folders)
}

/// Files and folders that a mail server sees in place of the system's.
#[derive(Debug)]
pub(crate) struct OwnFiles {
    program: PathBuf,
    library_path: OsString,
    /// What it sees, and where; both are there already.
    mounts: Vec<[PathBuf; 2]>,
}

impl OwnFiles {
    /// The packages, and the system's users and groups with `users`, whom the server looks for by name.
    ///
    /// Each has a group of its own. The lists of users and groups are made in `folder`.
    pub(crate) fn new(
        server: &MailServer,
        packages: &Path,
        folder: &Path,
        users: &[(&str, u32)],
    ) -> Result<Self> {
        let library_path =
            env::join_paths(libraries(packages)?.iter().map(|path| Path::new(PLACE).join(path)))?;
        let program = Path::new(PLACE).join(server.program);
        let mut own = Self { program, library_path, mounts: Vec::new() };
        own.put(packages, Path::new(PLACE));
        for (name, line) in
            [("passwd", "NAME:x:ID:ID::/nonexistent:/bin/false\n"), ("group", "NAME:x:ID:\n")]
        {
            let (system, made) = (Path::new("/etc").join(name), folder.join(name));
            // Theirs come first: the first line with a name is the one that counts.
            let user = |(name, id): &(&str, u32)| {
                line.replace("NAME", name).replace("ID", &id.to_string())
            };
            let mut text = users.iter().map(user).collect::<String>();
            text += &fs::read_to_string(&system).with_context(|| system.display().to_string())?;
            fs::write(&made, text)?;
            own.put(&made, &system);
        }
        Ok(own)
    }

    /// Has the server see `own` at `place`.
    pub(crate) fn put(&mut self, own: &Path, place: &Path) {
        self.mounts.push([own.to_owned(), place.to_owned()]);
    }

    /// The server as a command that runs in `netns`; nobody else sees its files, which are gone when it ends.
    ///
    /// Without set-user-ID bits, for which the libraries would be ignored.
    pub(crate) fn command(&self, netns: &NetNs) -> Command {
        const MOUNT: &str = r#"
            while [ "$1" != run ]; do mount -o bind,nosuid "$1" "$2" || exit; shift 2; done
            shift
            exec "$@""#;
        let mut command = netns.command("unshare");
        command.args(["--mount", "--", "sh", "-c", MOUNT, "sh"]);
        command.args(self.mounts.as_flattened()).arg("run").arg(&self.program);
        command.env("LD_LIBRARY_PATH", &self.library_path);
        command
    }
}
