//! `portcullis run`: the daemon in the foreground.

use std::path::Path;

use clap::Args;

use super::{Exit, Failure, output};
use crate::app;
use crate::config::Config;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Take sockets and state over from the daemon that runs, which then finishes its connections and ends: nobody is refused
    /// meanwhile; where none runs, this is a start like any other
    #[arg(long)]
    take_over: bool,
}

pub(super) fn run(options: &Options, path: &Path) -> Result<Exit, Failure> {
    let (config, notices) = Config::load_for_daemon(path)?;
    let levels = app::start_log(&config.log);
    for notice in notices {
        output::warn(notice);
    }
    // While there is but one thread, whose rights all later ones have.
    let begun = app::begin(&config, options.take_over)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::run(config, begun, levels))?;
    Ok(Exit::Done)
}
