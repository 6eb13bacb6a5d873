//! `portcullis run`: the daemon in the foreground.

use std::path::Path;

use clap::Args;

use super::{Exit, Failure, output};
use crate::app;
use crate::config::Config;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct Options {}

pub(super) fn run(_options: &Options, path: &Path) -> Result<Exit, Failure> {
    let (config, notices) = Config::load_for_daemon(path)?;
    app::start_log(&config.log);
    for notice in notices {
        output::warn(notice);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(app::run(config))?;
    Ok(Exit::Done)
}
