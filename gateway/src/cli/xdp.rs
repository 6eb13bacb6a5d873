//! `portcullis xdp`: the kernel filter by itself, whether or not a daemon runs.

use std::path::Path;

use clap::Subcommand;

use super::output;
use super::{Exit, Failure, offline};
use crate::xdp;

/// What can be done with the kernel filter.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Take the filter from all interfaces and remove all that it left in the kernel
    Detach,
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    match command {
        Command::Detach => detach(&offline::config(config)?.xdp),
    }
}

fn detach(config: &xdp::Config) -> Result<Exit, Failure> {
    let was_there = xdp::is_pinned(config);
    xdp::detach(config).map_err(|error| Failure::Unavailable {
        text: format!("the kernel filter cannot be removed: {error}"),
        hint: "run as root, in the network namespace of the interfaces".to_owned(),
    })?;
    output::line(if was_there {
        "the kernel filter is removed; a daemon that still runs puts it back at its next start"
    } else {
        "there was no kernel filter"
    })?;
    Ok(Exit::Done)
}
