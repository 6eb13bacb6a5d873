//! `portcullis list show`: all lists, or the entries of one.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::super::offline::{self, Lists};
use super::super::output;
use super::super::{Exit, Failure};
use super::find;
use crate::list::{Entry, Loaded, Part};
use crate::refresh::ListStatus;

/// Arguments of `list show`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// The list whose entries are shown
    name: Option<String>,
    /// What was taken out of it by hand, instead
    #[arg(long, requires = "name")]
    exceptions: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let lists = Lists::open(&config);
    if let Some(name) = &options.name {
        let list = find(&config, name)?;
        let shown =
            if options.exceptions { lists.exceptions(list) } else { lists.load_aloud(list) };
        return entries(options, &shown);
    }
    let all: Vec<_> = config.lists.iter().map(|list| lists.load(list).1).collect();
    show(options, &all)
}

fn show(options: &Options, all: &[ListStatus]) -> Result<Exit, Failure> {
    if options.json {
        output::json(&all)?;
        return Ok(Exit::Done);
    }
    output::headline(format_args!(
        "{:<20} {:<12} {:<15} {:<7} {:>9}  source",
        "list", "class", "action", "kernel", "entries"
    ))?;
    for list in all {
        let state = match (list.enabled, list.enforce) {
            (false, _) => " (off)",
            (true, false) => " (dry run)",
            (true, true) => "",
        };
        let class = list.class.name();
        let fault = list.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
        output::line(format_args!(
            "{:<20} {class:<12} {:<15} {:<7} {:>9}  {}{state}{fault}",
            list.name, list.action, list.kernel, list.entries, list.source
        ))?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct ShownEntry {
    #[serde(flatten)]
    entry: Entry,
    origin: String,
}

fn entries(options: &Options, loaded: &Loaded) -> Result<Exit, Failure> {
    let with_place =
        |part: &Part, entry: Entry| ShownEntry { origin: part.origin.place(&entry), entry };
    let entries = loaded
        .parts
        .iter()
        .flat_map(|part| part.entries.iter().map(move |entry| with_place(part, entry)));
    if options.json {
        output::json(&entries.collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    for ShownEntry { entry, origin } in entries {
        let reason = entry.reason.as_deref().unwrap_or("");
        let until = entry.expires.map(|expires| format!("until {} ", expires.timestamp()));
        let until = until.unwrap_or_default();
        output::line(format_args!("{:<43} {until}{origin} {reason}", entry.prefix.to_string()))?;
    }
    Ok(Exit::Done)
}
