//! `portcullis list show`: all lists, or the entries of one.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::super::output;
use super::super::{Exit, Failure, offline};
use super::find;
use crate::config::Config;
use crate::list::{Class, Entry, List, Loaded, Part};

/// Arguments of `list show`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    /// The list whose entries are shown
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    match &options.name {
        Some(name) => entries(options, &offline::load_aloud(find(&config, name)?, &config)),
        None => all(options, &config),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    class: Class,
    action: &'static str,
    kernel: &'static str,
    enforce: bool,
    source: String,
    entries: usize,
    rejected: usize,
    fault: Option<String>,
}

fn all(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let shown: Vec<_> = config.lists.iter().map(|list| shown(list, config)).collect();
    if options.json {
        output::json(&shown)?;
        return Ok(Exit::Done);
    }
    output::headline(format_args!(
        "{:<20} {:<12} {:<15} {:<7} {:>9}  source",
        "list", "class", "action", "kernel", "entries"
    ))?;
    for list in shown {
        let dry = if list.enforce { "" } else { " (dry run)" };
        let class = list.class.name();
        let fault = list.fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        output::line(format_args!(
            "{:<20} {class:<12} {:<15} {:<7} {:>9}  {}{dry}{fault}",
            list.name, list.action, list.kernel, list.entries, list.source
        ))?;
    }
    Ok(Exit::Done)
}

fn shown<'a>(list: &'a Arc<List>, config: &Config) -> Shown<'a> {
    let offline::ListNow { loaded, rejected, fault } = offline::load(list, config);
    Shown {
        name: &list.name,
        class: list.class,
        action: list.action.name(),
        kernel: list.kernel.name(),
        enforce: list.enforce,
        source: list.source.to_string(),
        entries: loaded.entry_count(),
        rejected,
        fault,
    }
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
