//! A kernel that lacks something: this one, which refuses the daemon under test some commands of bpf(2).

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::cleanup::folder_prefix;

const SCRIPT: &str = include_str!("seccomp.py");

/// `EPERM` for every command: a sandbox.
pub const NO_BPF: &str = "-1:1";
/// `EINVAL` for `BPF_LINK_CREATE`: Linux 5.8.
pub const NO_LINKS: &str = "28:22";

/// A program that starts another on such a kernel; it is gone when this is dropped. It needs `python3`.
#[derive(Debug)]
pub struct OldKernel {
    folder: TempDir,
}

impl OldKernel {
    /// Starts `program` with `refusals`, pairs of a command and an error, when it is started itself.
    pub fn new(refusals: &str, program: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix(&folder_prefix()).tempdir()?;
        let script = folder.path().join("seccomp.py");
        fs::write(&script, SCRIPT)?;
        let old = Self { folder };
        let text = format!(
            "#!/bin/sh\nexec python3 {} {refusals} {} \"$@\"\n",
            script.display(),
            program.display()
        );
        fs::write(old.starter(), text)?;
        fs::set_permissions(old.starter(), Permissions::from_mode(0o755))?;
        Ok(old)
    }

    /// The program.
    pub fn starter(&self) -> PathBuf {
        self.folder.path().join("portcullis")
    }
}
