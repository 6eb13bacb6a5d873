//! `portcullis list export`: the entries of a list as other programs read them.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::super::files::replace;
use super::super::offline::{self, Lists};
use super::super::output;
use super::super::progress::Progress;
use super::super::{Exit, Failure};
use super::find;
use crate::clock::Clock;
use crate::list::{ExportFormat, export};

/// Arguments of `list export`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// The list
    name: String,
    /// What it is written as
    #[arg(long, value_parser = PossibleValuesParser::new(ExportFormat::ALL.map(ExportFormat::name)))]
    format: String,
    /// Write to this file, all of it at once, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let list = find(&config, &options.name)?;
    let lists = Lists::open(&config);
    let reading = Progress::of(format!("reading the list {}", list.name));
    let (loaded, status) = lists.load(list);
    drop(reading);
    offline::notice(&status).iter().for_each(output::warn);
    let named = ExportFormat::ALL.into_iter().find(|format| format.name() == options.format);
    // The parser of the arguments takes no other word.
    let format = named.unwrap_or(ExportFormat::Plain);
    let mut count = 0_usize;
    let entries = loaded.in_force(Clock::System.now()).inspect(|_entry| count += 1);
    let Some(file) = &options.output else {
        let mut out = BufWriter::new(io::stdout().lock());
        export(format, &options.name, entries, &mut out)?;
        out.flush()?;
        return Ok(Exit::Done);
    };
    let writing = Progress::of(format!("writing {}", file.display()));
    let written = replace(file, |out| export(format, &options.name, entries, out));
    drop(writing);
    written.map_err(|error| {
        let hint = "give a file in a folder that this user may write to";
        Failure::Unavailable { text: error.to_string(), hint: hint.to_owned() }
    })?;
    let (file, name) = (file.display(), &options.name);
    output::line(format_args!("{file}: list {name} as {format}, entries: {count}"))?;
    Ok(Exit::Done)
}
