//! `portcullis xdp`: the kernel filter by itself, whether or not a daemon runs.

mod attach;
mod capture;
mod detach;
mod stats;
mod status;
mod top;
mod why;

use std::path::Path;

use clap::Subcommand;

use super::{Exit, Failure, offline, output};
use crate::xdp::XdpError;

/// What can be done with the kernel filter.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show where the filter runs, what it holds, and what it costs
    Status(status::Options),
    /// Show all that the filter counted
    Stats(stats::Options),
    /// Show which lists, sources and networks it has most to do with
    Top(top::Options),
    /// Show step by step how the filter finds its answer for an address
    Why(why::Options),
    /// Write the packets that the filter drops or answers to a file for tcpdump
    Capture(capture::Options),
    /// Put the filter on the interfaces and fill it, for a daemon that runs without capabilities and keeps it up to date then
    Attach,
    /// Take the filter from all interfaces and remove all that it left in the kernel
    Detach,
}

pub(super) fn run(command: &Command, file: &Path) -> Result<Exit, Failure> {
    let config = offline::config(file)?;
    match command {
        Command::Status(options) => status::run(options, &config),
        Command::Stats(options) => stats::run(options, &config),
        Command::Top(options) => top::run(options, &config),
        Command::Why(options) => why::run(options, &config),
        Command::Capture(options) => capture::run(options, &config),
        Command::Attach => attach::run(&config),
        Command::Detach => detach::run(&config),
    }
}

/// Why the filter cannot be asked, and what to do about it.
fn unavailable(error: &XdpError) -> Failure {
    let hint = match error {
        XdpError::NothingPinned { .. } => {
            "start the daemon with `portcullis run`, or give its configuration with --config"
        }
        XdpError::Rights { .. } => "run this as root",
        XdpError::CaptureTaken => "wait for it, or end it with Ctrl-C",
        _ => "restart the daemon, which makes anew what cannot be used; its log says why",
    };
    Failure::Unavailable {
        text: format!("the kernel filter cannot be asked: {error}"),
        hint: hint.to_owned(),
    }
}
