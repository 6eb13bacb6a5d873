//! `portcullis audit`: the records of decisions, from the store beside a daemon or without one.

mod csv;
mod export;
mod search;
mod stats;
mod table;
mod tail;

use std::path::Path;

use clap::Subcommand;

use super::safe::safe;
use super::{Exit, Failure, offline, output};
use crate::audit::AuditError;
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
    let archive = records::archive(&config).map_err(|fault| Failure::Unavailable {
        text: fault.to_string(),
        hint: fault.hint().to_owned(),
    })?;
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
