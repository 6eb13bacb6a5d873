//! `portcullis list`: what lists there are, what is in them, what of their sources is none.

mod check;
mod show;

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::{Exit, Failure};
use crate::config::Config;
use crate::list::List;

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show all lists, or the entries of one
    Show(show::Options),
    /// Show the lines of list files that are no entries
    Check(check::Options),
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    match command {
        Command::Show(options) => show::run(options, config),
        Command::Check(options) => check::run(options, config),
    }
}

/// The list of that name.
fn find<'a>(config: &'a Config, name: &str) -> Result<&'a Arc<List>, Failure> {
    let found = config.lists.iter().find(|list| *list.name == *name);
    found.ok_or_else(|| {
        let names: Vec<_> = config.lists.iter().map(|list| &*list.name).collect();
        Failure::Usage(format!("`{name}` is no list, expected one of: {}", names.join(", ")))
    })
}
