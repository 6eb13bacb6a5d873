//! `portcullis list`: what lists there are, what is in them, and changes of them.

mod check;
mod copies;
mod edit;
mod export;
mod find;
mod show;

use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::{Exit, Failure};
use crate::config::Config;
use crate::list::{List, is_list_name};

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show all lists, or the entries of one
    Show(show::Options),
    /// Show where addresses are listed, and where they were
    Find(find::Options),
    /// Show what sources of lists hold, and their lines that are no entries
    Check(check::Options),
    /// Write the entries of a list for other programs
    Export(export::Options),
    /// Add an entry
    Add(edit::Entry),
    /// Take an entry out, or except a prefix from what the source has
    Remove(edit::Entry),
    /// Switch a list on
    Enable(edit::Switch),
    /// Switch a list off
    Disable(edit::Switch),
    /// End an exception: what it took out counts again
    Restore(edit::Restore),
    /// Show what would change if what was refused were accepted
    HeldBack(copies::HeldBack),
    /// Put in force what was refused as too different, broken or empty
    Accept(edit::Accept),
    /// Fill a list without a source, from a file or standard input
    Put(edit::Put),
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    match command {
        Command::Show(options) => show::run(options, config),
        Command::Find(options) => find::run(options, config),
        Command::Check(options) => check::run(options, config),
        Command::Export(options) => export::run(options, config),
        Command::Add(options) => edit::add(options, config),
        Command::Remove(options) => edit::remove(options, config),
        Command::Enable(options) => edit::switch(options, "enable", config),
        Command::Disable(options) => edit::switch(options, "disable", config),
        Command::Restore(options) => edit::restore(options, config),
        Command::HeldBack(options) => copies::held_back(options, config),
        Command::Accept(options) => edit::accept(options, config),
        Command::Put(options) => edit::put(options, config),
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

/// The name of a list as a part of a path of the API; what can be no name of a list is not put into one.
pub(super) fn in_path(name: &str) -> Result<&str, Failure> {
    let is_name = is_list_name(name) && !name.starts_with('.');
    is_name.then_some(name).ok_or_else(|| Failure::Usage(format!("`{name}` is no name of a list")))
}
