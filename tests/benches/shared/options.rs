//! What the command line of a benchmark without options of its own asks for, and the file that it names.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// What the command line asks for.
pub(crate) struct Options {
    json: Option<PathBuf>,
    pub(crate) quick: bool,
}

impl Options {
    /// Those of this process.
    pub(crate) fn of_command_line() -> Result<Self> {
        let mut options = Self { json: None, quick: false };
        let mut arguments = env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--json" => {
                    options.json = Some(arguments.next().context("--json needs a file")?.into());
                }
                "--quick" => options.quick = true,
                // Cargo says it to every benchmark.
                "--bench" => {}
                other => bail!("`{other}`, expected --json FILE or --quick"),
            }
        }
        Ok(options)
    }

    /// Writes the figures where somebody wants them.
    pub(crate) fn write(&self, figures: &Value) -> Result<()> {
        let Some(file) = &self.json else { return Ok(()) };
        std::fs::write(file, format!("{figures:#}\n")).with_context(|| file.display().to_string())
    }
}
