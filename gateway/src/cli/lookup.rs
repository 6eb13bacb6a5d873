//! `portcullis lookup`: what would be decided about an address that connects now, why, and what was before.

use std::net::IpAddr;
use std::path::Path;

use clap::Args;
use serde_json::Value;

use super::answer::{items, plain, plain_at};
use super::output::{self, Meaning};
use super::{Exit, Failure, daemon, letter, matches, offline, past};
use crate::admin::{self, ClientError, LookupAnswer};
use crate::config::Config;
use crate::explain::refuses;

/// Arguments of `lookup`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The addresses
    #[arg(required = true, value_name = "IP")]
    addresses: Vec<IpAddr>,
    /// Print a letter to the administrator of the open proxy that each of them is
    #[arg(long)]
    letter: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Path) -> Result<Exit, Failure> {
    let config = offline::config(config)?;
    if options.letter {
        return letter::of_addresses(&config, &options.addresses, options.json);
    }
    let answers = ask(&config, &options.addresses)?;
    if options.json {
        output::json(&answers)?;
    } else {
        answers.iter().try_for_each(show)?;
    }
    Ok(if answers.iter().any(refuses) { Exit::Refused } else { Exit::Done })
}

/// What would be decided about each of `addresses` now, by the daemon or, where none runs, by the files.
pub(super) fn ask(config: &Config, addresses: &[IpAddr]) -> Result<Vec<Value>, Failure> {
    match ask_daemon(config, addresses)? {
        Some(answers) => Ok(answers),
        None => ask_alone(config, addresses),
    }
}

/// What the daemon says, which knows how zones are and what addresses did; `None` where none runs.
fn ask_daemon(config: &Config, addresses: &[IpAddr]) -> Result<Option<Vec<Value>>, Failure> {
    daemon::block_on(async {
        let mut answers = Vec::new();
        for address in addresses {
            let path = format!("/api/v1/lookup/{address}");
            match admin::get(&config.admin_socket, &path).await {
                Ok(answer) => answers.push(answer),
                Err(ClientError::Unanswered(_)) => return Ok(None),
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(Some(answers))
    })?
}

/// The same from the files, the store and DNS, without what only a daemon remembers.
fn ask_alone(config: &Config, addresses: &[IpAddr]) -> Result<Vec<Value>, Failure> {
    daemon::block_on(async {
        let engine = offline::asking_engine(config).await;
        let memory = offline::memory(config);
        let mut answers = Vec::new();
        for &address in addresses {
            answers.push(LookupAnswer::about(&engine, &config.xdp, &memory, address).await);
        }
        answers
    })
}

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn show(answer: &Value) -> Result<(), Failure> {
    let text = |pointer: &str| plain_at(answer, pointer);
    let is_there = |pointer: &str| answer.pointer(pointer).is_some_and(|found| !found.is_null());
    output::headline(text("/ip"))?;
    let action = text("/action");
    let meaning = match action.as_str() {
        "accept" => Meaning::Good,
        "defer" => Meaning::Doubtful,
        _ => Meaning::Bad,
    };
    let dry = if answer["enforced"] == false { ", dry run" } else { "" };
    let verdict = output::coloured(text("/verdict"), meaning);
    output::field("verdict", format_args!("{verdict} ({}), {action}{dry}", text("/code")))?;
    if is_there("/paused") {
        let (until, author) = (text("/paused/until"), text("/paused/author"));
        let paused = format_args!("everything passes until {until}, by {author}");
        output::field("paused", output::coloured(paused, Meaning::Bad))?;
    }
    if is_there("/skipped") {
        output::field("skipped", text("/skipped"))?;
    }
    if is_there("/route") {
        let (direction, reason) = (text("/route/direction"), text("/route/reason"));
        output::field(
            "direction",
            format_args!("{direction}, {reason}, ptr {}", text("/route/ptr")),
        )?;
    }
    if is_there("/score") {
        let (from, above) = (text("/delay_from"), text("/reject_above"));
        let score = format_args!(
            "{}, {} (delay from {from}, reject above {above})",
            text("/score"),
            text("/band")
        );
        output::field("score", score)?;
    }
    for item in items(&answer["evidence"]) {
        let weight = item["weight"].as_i64().unwrap_or(0);
        output::field("evidence", format_args!("{} {weight:+}", plain(&item["name"])))?;
    }
    items(&answer["matches"]).try_for_each(matches::show)?;
    items(&answer["listings"]).try_for_each(show_listing)?;
    for fault in items(&answer["unanswered"]) {
        let reason =
            format_args!("{}: no answer, {}", plain(&fault["zone"]), plain(&fault["reason"]));
        output::field("zone", output::coloured(reason, Meaning::Doubtful))?;
    }
    if is_there("/kernel") {
        let (action, list) = (text("/kernel/action"), text("/kernel/list"));
        output::field("kernel", format_args!("{action} by list {list}"))?;
    } else if is_there("/kernel_fault") {
        output::field("kernel", text("/kernel_fault"))?;
    } else {
        output::field("kernel", "no rule")?;
    }
    past::show(answer)
}

/// Which zone has the address, with which answers, and what they mean.
fn show_listing(found: &Value) -> Result<(), Failure> {
    let hits = items(&found["hits"]).map(|hit| {
        let weight = hit["weight"].as_i64().filter(|weight| *weight != 0);
        let weight = weight.map(|weight| format!(" {weight:+}")).unwrap_or_default();
        format!("{} {}{weight}", plain(&hit["code"]), plain(&hit["meaning"]))
    });
    let hits: Vec<_> = hits.collect();
    let dry = if found["enforce"] == false { ", dry run" } else { "" };
    let words = &found["text"];
    let words = if words.is_null() { String::new() } else { format!(", {:?}", plain(words)) };
    output::field(
        "zone",
        format_args!(
            "{} ({}, {}{dry}): {}{words}",
            plain(&found["zone"]),
            plain(&found["class"]),
            plain(&found["action"]),
            hits.join(", ")
        ),
    )
}
