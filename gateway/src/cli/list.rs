//! `portcullis list`: which lists there are, what is in them, which of their lines are none.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Meaning};
use super::{Exit, Failure, offline};
use crate::config::Config;
use crate::feed;
use crate::list::{Class, Entry, List, Parsed, parse, parse_with};

/// What can be done with lists.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show all lists, or the entries of one
    Show(Show),
    /// Show the lines of list files that are no entries
    Check(Check),
}

/// Arguments of `list show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The list whose entries are shown
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `list check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Names of lists, or files in the format of lists; without any, all lists of the configuration
    #[arg(value_name = "NAME|FILE")]
    names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, config: &Path) -> Result<Exit, Failure> {
    match command {
        Command::Show(options) => show(options, &offline::config(config)?),
        Command::Check(options) => check(options, config),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    class: Class,
    action: &'static str,
    kernel: &'static str,
    enforce: bool,
    file: &'a Path,
    /// `null` where the file cannot be read.
    entries: Option<usize>,
    rejected: Option<usize>,
    fault: Option<String>,
}

fn show(options: &Show, config: &Config) -> Result<Exit, Failure> {
    if let Some(name) = &options.name {
        return show_entries(options, find(config, name)?);
    }
    let shown: Vec<_> = config.lists.iter().map(|list| shown(list)).collect();
    if options.json {
        output::json(&shown)?;
        return Ok(Exit::Done);
    }
    output::headline(format_args!(
        "{:<20} {:<12} {:<15} {:<7} {:>9}  file",
        "list", "class", "action", "kernel", "entries"
    ))?;
    for list in shown {
        let dry = if list.enforce { "" } else { " (dry run)" };
        let (class, file) = (list.class.name(), list.file.display());
        let entries = list.entries.map_or_else(|| "-".to_owned(), |entries| entries.to_string());
        let fault = list.fault.map(|fault| format!(": {fault}")).unwrap_or_default();
        output::line(format_args!(
            "{:<20} {class:<12} {:<15} {:<7} {entries:>9}  {file}{dry}{fault}",
            list.name, list.action, list.kernel
        ))?;
    }
    Ok(Exit::Done)
}

fn shown(list: &List) -> Shown<'_> {
    let parsed = feed::read(&list.file).map(|octets| parse(&octets));
    Shown {
        name: &list.name,
        class: list.class,
        action: list.action.name(),
        kernel: list.kernel.name(),
        enforce: list.enforce,
        file: &list.file,
        entries: parsed.as_ref().ok().map(|parsed| parsed.entries.len()),
        rejected: parsed.as_ref().ok().map(|parsed| parsed.rejected.count),
        fault: parsed.err().map(|error| error.to_string()),
    }
}

fn show_entries(options: &Show, list: &List) -> Result<Exit, Failure> {
    let parsed = read(&list.file)?;
    if options.json {
        output::json(&parsed.entries)?;
        return Ok(Exit::Done);
    }
    for Entry { prefix, line, reason } in &parsed.entries {
        let reason = reason.as_deref().unwrap_or("");
        output::line(format_args!("{:<43} line {line:<8} {reason}", prefix.to_string()))?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    /// `null` where the file cannot be read.
    entries: Option<usize>,
    rejected: Vec<Rejected>,
    fault: Option<String>,
}

#[derive(Serialize)]
struct Rejected {
    line: u32,
    text: String,
    fault: String,
}

fn check(options: &Check, config: &Path) -> Result<Exit, Failure> {
    let checked: Vec<_> = files(options, config)?.into_iter().map(checked).collect();
    if options.json {
        output::json(&checked)?;
    } else {
        checked.iter().try_for_each(show_checked)?;
    }
    if let Some(unread) = checked.iter().find(|file| file.fault.is_some()) {
        return Err(Failure::Unavailable {
            text: format!("cannot read {}", unread.file.display()),
            hint: "see whether the file is there and this user may read it".to_owned(),
        });
    }
    let refused = checked.iter().any(|file| !file.rejected.is_empty());
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

fn checked(file: PathBuf) -> Checked {
    let octets = match feed::read(&file) {
        Ok(octets) => octets,
        Err(error) => {
            let fault = Some(error.to_string());
            return Checked { file, entries: None, rejected: Vec::new(), fault };
        }
    };
    let mut rejected = Vec::new();
    let parsed = parse_with(&octets, |error| {
        rejected.push(Rejected {
            line: error.line,
            text: error.text,
            fault: error.fault.to_string(),
        });
    });
    Checked { file, entries: Some(parsed.entries.len()), rejected, fault: None }
}

/// The files that the arguments mean; a path needs no configuration.
fn files(options: &Check, config: &Path) -> Result<Vec<PathBuf>, Failure> {
    let is_file = |name: &String| name.contains('/') || Path::new(name).is_file();
    if !options.names.is_empty() && options.names.iter().all(is_file) {
        return Ok(options.names.iter().map(PathBuf::from).collect());
    }
    let config = offline::config(config)?;
    if options.names.is_empty() {
        return Ok(config.lists.iter().map(|list| list.file.clone()).collect());
    }
    options
        .names
        .iter()
        .map(|name| match find(&config, name) {
            Ok(list) => Ok(list.file.clone()),
            Err(_unknown) if is_file(name) => Ok(PathBuf::from(name)),
            Err(unknown) => Err(unknown),
        })
        .collect()
}

fn show_checked(checked: &Checked) -> Result<(), Failure> {
    let file = checked.file.display();
    let Some(entries) = checked.entries else {
        let fault = output::coloured(checked.fault.as_deref().unwrap_or_default(), Meaning::Bad);
        return output::line(format_args!("{file}: {fault}"));
    };
    let count = checked.rejected.len();
    let meaning = if count == 0 { Meaning::Good } else { Meaning::Bad };
    let rejected = output::coloured(format_args!("rejected lines: {count}"), meaning);
    output::line(format_args!("{file}: entries: {entries}, {rejected}"))?;
    for error in &checked.rejected {
        output::line(format_args!("{file}:{}: `{}`: {}", error.line, error.text, error.fault))?;
    }
    Ok(())
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a List, Failure> {
    let found = config.lists.iter().find(|list| *list.name == *name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let names: Vec<_> = config.lists.iter().map(|list| &*list.name).collect();
        Failure::Usage(format!("`{name}` is no list, expected one of: {}", names.join(", ")))
    })
}

fn read(file: &Path) -> Result<Parsed, Failure> {
    let octets = feed::read(file).map_err(|error| Failure::Unavailable {
        text: format!("cannot read {}: {error}", file.display()),
        hint: "see whether the file is there and this user may read it".to_owned(),
    })?;
    Ok(parse(&octets))
}
