//! `portcullis why`: what a reference stands for, from the audit file or from the reference itself.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Exit, Failure, offline, output};
use crate::clock::Timestamp;
use crate::config::Config;
use crate::net::Prefix;
use crate::refresh;
use crate::store::Event;
use crate::xdp::{self, References};

/// Arguments of `why`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The reference from a reply
    reference: String,
    /// Say whether it was given to this address; only the kernel's references are asked
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a reference of the kernel says.
#[derive(Serialize)]
struct Answer {
    reference: String,
    decided_by: &'static str,
    action: &'static str,
    /// The minute in which it was given.
    time: Timestamp,
    /// `null` when the filter is gone, and with it the names of its lists.
    list: Option<Arc<str>>,
    slot: u16,
    /// Whether it was given to the address in question.
    client: Option<bool>,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    let reference = options.reference.to_ascii_uppercase();
    if let Some(mut record) = record(&config.audit_file, &reference) {
        if let Some(fields) = record.as_object_mut() {
            let removed = removed(&config, fields);
            fields.insert("entry_removed".to_owned(), serde_json::to_value(removed)?);
        }
        output::json(&record)?;
        return Ok(Exit::Done);
    }
    let answer = answer(&config, reference, options.client)?;
    if options.json {
        output::json(&answer)?;
    } else {
        show(&answer)?;
    }
    Ok(Exit::Done)
}

/// The daemon's record, when it was the daemon that decided.
pub(super) fn record(audit: &Path, reference: &str) -> Option<Value> {
    let lines = BufReader::new(File::open(audit).ok()?).lines().map_while(Result::ok);
    let is_it = |record: &Value| record.get("reference").and_then(Value::as_str) == Some(reference);
    lines
        .filter(|line| line.contains(reference))
        .filter_map(|line| serde_json::from_str(&line).ok())
        .find(is_it)
}

/// When and by what the entry that decided was removed since; `None` while it is there, and where nothing is known of it.
pub(super) fn removed(config: &Config, record: &Map<String, Value>) -> Option<Event> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let entry: Prefix = text("entry")?.parse().ok()?;
    let time: Timestamp = text("time")?.parse().ok()?;
    let history = refresh::history(&config.state_dir, entry.address()).unwrap_or_else(|error| {
        output::warn(format_args!("the journal of lists cannot be read: {error}"));
        None
    })?;
    let list = text("list")?;
    let of_entry = history.events.into_iter().filter(|event| {
        *event.list == *list && event.prefix == entry && !event.added && event.at > time
    });
    // The newest comes first.
    of_entry.last()
}

fn answer(config: &Config, reference: String, client: Option<IpAddr>) -> Result<Answer, Failure> {
    let unavailable =
        |text: String, hint: &str| Failure::Unavailable { text, hint: hint.to_owned() };
    let references = References::load(config.xdp.references.as_deref()).map_err(|error| {
        unavailable(error.to_string(), "only the owner of the daemon's state may read the keys")
    })?;
    let Some(found) = references.read(&reference) else {
        return Err(unavailable(
            format!("{reference:?} was given neither by this daemon nor by its kernel filter"),
            "look at the letters again, and at the audit files of earlier days",
        ));
    };
    Ok(Answer {
        reference,
        decided_by: "kernel",
        action: "refuse",
        time: found.at,
        list: xdp::pinned_list(&config.xdp, found.slot).ok().flatten(),
        slot: found.slot,
        client: client.map(|client| found.is_of(client)),
    })
}

fn show(answer: &Answer) -> Result<(), Failure> {
    output::headline(&answer.reference)?;
    output::field("decided by", format_args!("{}, {}", answer.decided_by, answer.action))?;
    output::field("time", answer.time)?;
    match &answer.list {
        Some(list) => output::field("list", list)?,
        None => output::field("list", format_args!("number {}, whose name is gone", answer.slot))?,
    }
    match answer.client {
        Some(true) => output::field("client", "given to this address"),
        Some(false) => output::field("client", "given to another address"),
        None => Ok(()),
    }
}
