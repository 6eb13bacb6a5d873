//! A clock that a test sets: `libfaketime` before the C library of one process, from the unpacked package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::mail_server::{self, MailServer};

/// The package.
pub const FAKETIME: MailServer = MailServer {
    name: "libfaketime",
    package: "libfaketime",
    program: "usr/share/doc/libfaketime/copyright",
    variable: "PORTCULLIS_FAKETIME",
};

/// What the clock of a process is ahead, in a file that it looks into each time it asks.
#[derive(Debug)]
pub struct FakeTime {
    library: PathBuf,
    ahead: PathBuf,
}

impl FakeTime {
    /// A clock that goes right, told of in a file in `folder`.
    pub fn new(packages: &Path, folder: &Path) -> Result<Self> {
        let mut folders = mail_server::libraries(packages)?;
        folders.extend(folders.clone().into_iter().map(|folder| folder.join("faketime")));
        let named = folders.iter().map(|folder| packages.join(folder).join("libfaketime.so.1"));
        let library =
            named.into_iter().find(|file| file.is_file()).context("no libfaketime.so.1")?;
        let clock = Self { library, ahead: folder.join("faketime") };
        clock.set("+0")?;
        Ok(clock)
    }

    /// Sets it ahead of the real one, or back: `+40d`, `-3h`.
    pub fn set(&self, ahead: &str) -> Result<()> {
        let fresh = self.ahead.with_extension("new");
        fs::write(&fresh, format!("{ahead}\n"))?;
        Ok(fs::rename(fresh, &self.ahead)?)
    }

    /// Lets the program of `command` go by it; what counts how long something takes goes on as it is.
    pub fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.ahead)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }
}
