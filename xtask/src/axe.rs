//! Fetches axe-core, which looks at pages as a screen reader does; only the tests use it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use harness::axe;
use harness::needs::find;

use crate::packages::{self, NPM};
use crate::step::{Steps, captured};

/// Puts the script into the cache folder, if it is not there yet.
pub(crate) fn ensure(steps: &mut Steps) -> Result<()> {
    let script = axe::script();
    if script.is_file() {
        return Ok(());
    }
    if find("npm").is_none() {
        packages::ensure(steps, NPM)?;
    }
    steps.quiet("fetching axe-core", || fetch(&script).map(|()| ((), axe::VERSION.to_owned())))
}

fn fetch(script: &PathBuf) -> Result<()> {
    let parent = script.parent().context("the root is no cache folder")?;
    fs::create_dir_all(parent)?;
    let fresh = tempfile::tempdir_in(parent)?;
    let package = format!("axe-core@{}", axe::VERSION);
    captured(Command::new("npm").args(["pack", &package]).current_dir(fresh.path()))?;
    let archive = format!("axe-core-{}.tgz", axe::VERSION);
    let unpack = ["-xzf", &archive, "package/axe.min.js"];
    captured(Command::new("tar").args(unpack).current_dir(fresh.path()))?;
    fs::rename(fresh.path().join("package/axe.min.js"), script)
        .with_context(|| script.display().to_string())
}
