//! `portcullis check`: everything that is wrong with the configuration, at once.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::offline::{self, Lists};
use super::output::{self, Meaning};
use super::safe::safe;
use super::{Exit, Failure};
use crate::app;
use crate::config::{Config, Faults, InForce, Override, ShownKey, ShownTable, Wins};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Show all keys with what holds, and where it was said
    #[arg(long)]
    show: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    faults: Vec<String>,
    notices: Vec<String>,
    /// What commands set in the place of what the files say.
    overrides: Vec<Override>,
}

impl Answer {
    fn refused(faults: Vec<String>) -> Self {
        Self { ok: false, faults, notices: Vec::new(), overrides: Vec::new() }
    }
}

pub(super) fn run(options: &Options, path: &Path) -> Result<Exit, Failure> {
    match Config::load_for_daemon(path) {
        Ok((config, _notices)) if options.show => {
            output::answer(options.json, &config.in_force(), show_all)?;
            Ok(Exit::Done)
        }
        Ok((config, notices)) => {
            let account = app::account(&config).map_err(Failure::from);
            if let Err(error) = &account
                && options.json
            {
                let faults = vec![error.to_string()];
                output::json(&Answer::refused(faults))?;
            }
            let account = account?;
            let notices = notices.iter().map(ToString::to_string);
            let unreadable = account.iter().flat_map(|account| app::unreadable(&config, account));
            let mut notices: Vec<_> =
                notices.chain(list_notices(&config)).chain(unreadable).collect();
            let overrides = config.overrides().unwrap_or_else(|error| {
                notices.push(format!("what was set by commands is not known: {error}"));
                Vec::new()
            });
            if options.json {
                output::json(&Answer { ok: true, faults: Vec::new(), notices, overrides })?;
            } else {
                notices.iter().for_each(output::warn);
                show(&config)?;
                overrides.iter().try_for_each(show_override)?;
            }
            Ok(Exit::Done)
        }
        Err(Faults(faults)) => {
            if options.json {
                let faults = faults.iter().map(ToString::to_string).collect();
                output::json(&Answer::refused(faults))?;
            }
            Err(Faults(faults).into())
        }
    }
}

/// A list without a readable source is no fault: the daemon starts with its last good copy, or with nothing.
fn list_notices(config: &Config) -> Vec<String> {
    let lists = Lists::open(config);
    config.lists.iter().filter_map(|list| offline::notice(&lists.load(list).1)).collect()
}

fn show(config: &Config) -> Result<(), Failure> {
    let (lists, listeners) = (config.lists.len(), config.listeners.len());
    let file = config.file.display();
    let well = output::coloured("in order", Meaning::Good);
    let services =
        config.services().map(|(name, service)| format!(", {name} {}", service.endpoint));
    let services = services.collect::<String>();
    output::line(format_args!("{file} is {well}: lists {lists}, listeners {listeners}{services}"))
}

/// What the files say, what was set by whom and when, and which counts.
fn show_override(it: &Override) -> Result<(), Failure> {
    let Override { about, file, set, author, at, wins } = it;
    let author = safe(author);
    let which = match wins {
        Wins::File => "what the file says",
        Wins::Set => "what was set",
    };
    output::line(format_args!(
        "{about}: the file says {file}; set to {set} by {author} at {at:.0}; {which} counts"
    ))
}

/// As TOML, with where each key was said; what commands set stands at the end.
fn show_all(in_force: &InForce) -> Result<(), Failure> {
    output::line(format_args!("# {}", in_force.shown.file.display()))?;
    for ShownTable { heading, place, keys, .. } in &in_force.shown.tables {
        if !heading.is_empty() {
            let place = place.as_ref().map(|place| format!("  # {place}")).unwrap_or_default();
            output::line("")?;
            output::headline(format_args!("{heading}{place}"))?;
        }
        keys.iter().try_for_each(show_key)?;
    }
    if let Some(fault) = &in_force.fault {
        output::warn(format_args!("what was set by commands is not known: {fault}"));
    }
    if !in_force.overrides.is_empty() {
        output::line("")?;
    }
    in_force.overrides.iter().try_for_each(show_override)
}

fn show_key(key: &ShownKey) -> Result<(), Failure> {
    let ShownKey { key, value, words, place, .. } = key;
    let value = value.as_ref().and_then(|value| toml::Value::try_from(value).ok());
    match (value, words, place) {
        (Some(value), _, place) => {
            let whence = place.as_deref().unwrap_or("default");
            output::line(format_args!("{key} = {}  # {whence}", safe(&value.to_string())))
        }
        (None, Some(words), _) => output::line(format_args!("# {key}: {words}")),
        (None, None, _) => Ok(()),
    }
}
