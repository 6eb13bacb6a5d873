//! `cargo xtask tidy`: what the compiler does not check; every finding says where it is and what to do.

use std::fmt;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Result;

use crate::root;

mod blank;
mod dependencies;
mod imports;
mod licence;
mod sources;

/// Checks imports, first lines, forbidden words, licences and duplicate dependencies.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root of the repository.
    file: String,
    /// The line, from 1.
    line: usize,
    /// What is wrong and what to do about it.
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Runs the task; whether everything is tidy.
pub(crate) fn run(_options: &Options) -> Result<bool> {
    let findings = findings(root())?;
    let mut out = stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => writeln!(out, "tidy")?,
        count => writeln!(out, "{count} findings")?,
    }
    Ok(findings.is_empty())
}

/// Everything that is not as it should be in the repository at `root`, by file and line.
pub(crate) fn findings(root: &Path) -> Result<Vec<Finding>> {
    let files = sources::read(root)?;
    let mut findings = sources::check(root, &files);
    findings.extend(imports::check(&files)?);
    findings.extend(dependencies::check(root)?);
    findings.sort();
    Ok(findings)
}
