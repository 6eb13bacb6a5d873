//! `portcullis audit`: the records of decisions, from the store beside a daemon or without one.

mod csv;
mod export;
mod search;
mod stats;
mod table;
mod tail;
mod wanted;

use std::path::Path;

use clap::Subcommand;

use super::safe::safe;
use super::{Exit, Failure, offline, output};
use crate::audit::{Archive, AuditError};
use crate::config::Config;
use crate::records;

/// What can be done with records.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the records that are looked for, the newest first
    Search(search::Options),
    /// Show the newest records, and those that come
    Tail(tail::Options),
    /// Write all records that are looked for, the oldest first
    Export(export::Options),
    /// Count records by verdict, action, list and hour; show what the store holds
    Stats(stats::Options),
}

pub(super) fn run(command: &Command, file: &Path) -> Result<Exit, Failure> {
    let config = offline::config(file)?;
    let archive = archive(&config)?;
    let (veil, warning) = records::veil(&config.audit.privacy);
    warning.iter().for_each(output::warn);
    match command {
        Command::Search(options) => search::run(options, &archive, &veil)?,
        Command::Tail(options) => tail::run(options, &archive, &veil)?,
        Command::Export(options) => export::run(options, &archive, &veil)?,
        Command::Stats(options) => stats::run(options, &archive, &veil)?,
    }
    Ok(Exit::Done)
}

/// The store that the configuration names.
fn archive(config: &Config) -> Result<Archive, Failure> {
    let missing = |text: String, hint: &str| Failure::Unavailable { text, hint: hint.to_owned() };
    let Some(store) = &config.audit.store else {
        let file = config.audit.file.display();
        let text = format!("there is no store of records; JSON lines are in {file}");
        return Err(missing(text, "`[audit] store = true` keeps records where they are found"));
    };
    if !store.folder.is_dir() {
        let text = format!("no records in {}", store.folder.display());
        let hint = "the daemon makes it when it starts; `state_dir` and `--config` say where it is";
        return Err(missing(text, hint));
    }
    Ok(Archive::new(&store.folder))
}

fn failed(error: AuditError) -> Failure {
    let hint = error.hint().unwrap_or("try again").to_owned();
    Failure::Unavailable { text: error.to_string(), hint }
}

/// Tells what of the store could not be read.
fn warn_of(faults: &[AuditError]) {
    for fault in faults {
        output::warn(format_args!("records are missing: {}", safe(&fault.to_string())));
    }
}
