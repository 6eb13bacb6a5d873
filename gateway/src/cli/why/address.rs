//! What is known of an address: what would be decided now, which entries had it when, what was decided about it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::LOOKED_AT;
use super::about::{Teller, ToldRecord};
use super::find::{What, find};
use crate::cli::answer::{items_at, plain, plain_at};
use crate::cli::{Failure, output};
use crate::config::Config;
use crate::net::Prefix;
use crate::refresh;
use crate::store::{Event, History};

/// Decisions that are told whole.
const STORIES: usize = 3;

/// What is known of an address.
#[derive(Debug, Serialize)]
pub(super) struct AddressAnswer {
    /// The address.
    pub(super) ip: IpAddr,
    /// The time that was asked about; `null` for now.
    at: Option<Timestamp>,
    /// What `lookup` says of it now.
    now: Option<Value>,
    /// The entries that had it at that time.
    entries: Vec<EntryThen>,
    /// What came to lists and went from them that covers it, the newest first.
    changes: Vec<Event>,
    /// How many records are about it, up to a bound.
    records: usize,
    /// In short, for people.
    pub(super) summary: Vec<String>,
    /// The last decisions.
    pub(super) stories: Vec<ToldRecord>,
}

/// An entry that had the address at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct EntryThen {
    list: String,
    entry: Prefix,
    /// Since when; `null` where it was there before anybody wrote it down.
    since: Option<Timestamp>,
    /// Until when; `null` where it is there still.
    until: Option<Timestamp>,
}

pub(super) fn about(
    config: &Config,
    ip: IpAddr,
    at: Option<Timestamp>,
) -> Result<AddressAnswer, Failure> {
    let mut teller = Teller::new(config);
    let now = teller.now(ip)?.cloned();
    let history = refresh::history(&config.state_dir, ip).unwrap_or_else(|error| {
        output::warn(format_args!("the journal of lists cannot be read: {error}"));
        None
    });
    let history = history.unwrap_or_default();
    let entries = entries_then(&history, now.as_ref(), at);
    let found = find(config, &What::Address(ip), at, LOOKED_AT);
    let records = found.len();
    let mut last: Vec<_> = found
        .into_iter()
        .rev()
        .filter(|record| !record["client"].is_null())
        .take(STORIES)
        .collect();
    last.reverse();
    let stories = last.into_iter().map(|record| teller.tell(record, &[]));
    let stories = stories.collect::<Result<Vec<_>, _>>()?;
    let summary = summary(ip, at, now.as_ref(), &entries, records, &stories);
    Ok(AddressAnswer { ip, at, now, entries, changes: history.events, records, summary, stories })
}

/// Which entries had the address at `at`, or have it now: those of now, less what came later, and what went since.
fn entries_then(history: &History, now: Option<&Value>, at: Option<Timestamp>) -> Vec<EntryThen> {
    let matches = now.map(|now| items_at(now, "/matches")).into_iter().flatten();
    let here = matches.filter_map(|found| {
        let list = found["list"].as_str()?.to_owned();
        let entry = found["entry"].as_str()?.parse().ok()?;
        let since = found["added"].as_str().and_then(|added| added.parse().ok());
        Some(EntryThen { list, entry, since, until: None })
    });
    let gone = history.events.iter().filter(|event| !event.added).map(|event| {
        let came = history.events.iter().filter(|earlier| {
            earlier.added
                && earlier.list == event.list
                && earlier.prefix == event.prefix
                && earlier.at <= event.at
        });
        EntryThen {
            list: event.list.to_string(),
            entry: event.prefix,
            since: came.map(|earlier| earlier.at).max(),
            until: Some(event.at),
        }
    });
    let was_there = |then: &EntryThen| match at {
        None => then.until.is_none(),
        Some(at) => {
            then.since.is_none_or(|since| since <= at) && then.until.is_none_or(|until| until > at)
        }
    };
    here.chain(gone).filter(was_there).collect()
}

fn summary(
    ip: IpAddr,
    at: Option<Timestamp>,
    now: Option<&Value>,
    entries: &[EntryThen],
    records: usize,
    stories: &[ToldRecord],
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(now) = now {
        lines.push(format!(
            "now: {} ({}), {}",
            plain_at(now, "/verdict"),
            plain_at(now, "/code"),
            plain_at(now, "/action")
        ));
        let kernel = &now["kernel"];
        if !kernel.is_null() {
            lines.push(format!(
                "the kernel filter: {} by list {}; what it does with single packets is counted, and some are told",
                plain(&kernel["action"]),
                plain(&kernel["list"])
            ));
        }
    }
    let when = at.map_or_else(|| "now".to_owned(), |at| format!("at {at}"));
    for then in entries {
        let EntryThen { list, entry, since, until } = then;
        let since = since.map(|since| format!(", since {since}")).unwrap_or_default();
        let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
        lines.push(format!("{when}: list {list} has {entry}{since}{until}"));
    }
    if entries.is_empty() {
        lines.push(format!("{when}: no list has {ip}"));
    }
    let span = at.map_or_else(String::new, |at| format!(" within ten minutes of {at}"));
    let shown = stories.len();
    lines.push(match records {
        0 => format!("no record is about it{span}"),
        _ if shown < records => format!("records about it{span}: {records}; the last {shown}:"),
        _ => format!("records about it{span}: {records}"),
    });
    lines
}
