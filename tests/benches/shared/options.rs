//! What the command line of a benchmark without options of its own asks for, and the file that it names.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What the command line asks for.
pub(crate) struct Options {
    json: Option<PathBuf>,
    pub(crate) quick: bool,
    only: Option<String>,
}

impl Options {
    /// Those of this process.
    pub(crate) fn of_command_line() -> Result<Self> {
        let mut options = Self { json: None, quick: false, only: None };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => {
                    options.json = Some(arguments.next().context("--json needs a file")?.into());
                }
                "--quick" => options.quick = true,
                "--only" => options.only = Some(arguments.next().context("--only needs a name")?),
                // Cargo says it to every benchmark.
                "--bench" => {}
                other => bail!("`{other}`, expected --json FILE, --quick or --only PART"),
            }
        }
        Ok(options)
    }

    /// Whether that part is asked for.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// Writes the figures where somebody wants them.
    pub(crate) fn write(&self, figures: &Value) -> Result<()> {
        let Some(file) = &self.json else { return Ok(()) };
        std::fs::write(file, format!("{figures:#}\n")).with_context(|| file.display().to_string())
    }
}
