//! What is known of an address: what would be decided now, which entries had it when, what was decided about it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Now;
use super::told_record::{FoundRecord, ToldRecord};
use super::trail::{LOOKED_AT, Trail, What};
use crate::config::Config;
use crate::net::Prefix;
use crate::store::{Event, History};

/// Decisions that are told whole.
const STORIES: usize = 3;

/// What is known of an address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WhyAddress)]
pub struct AddressAnswer {
    /// The address.
    #[schema(value_type = String)]
    pub ip: IpAddr,
    /// The time that was asked about; `null` for now.
    at: Option<Timestamp>,
    /// What `lookup` says of it now.
    #[schema(value_type = Option<Object>)]
    now: Option<Value>,
    /// The entries that had it at that time.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<EntryThen>,
    /// What came to lists and went from them that covers it, the newest first.
    changes: Vec<Event>,
    /// How many records are about it, up to a bound.
    records: usize,
    /// In short, for people.
    pub summary: Vec<String>,
}

/// What trail and journal have of an address.
#[derive(Debug)]
pub(super) struct FoundAddress {
    pub(super) ip: IpAddr,
    at: Option<Timestamp>,
    history: History,
    records: usize,
    /// The last of them in which it was a client.
    pub(super) last: Vec<FoundRecord>,
}

impl FoundAddress {
    /// Looks for it.
    pub(super) fn find(trail: &mut Trail<'_>, ip: IpAddr, at: Option<Timestamp>) -> Self {
        let history = trail.history(ip).unwrap_or_default();
        let found = trail.find(&What::Address(ip), at, LOOKED_AT);
        let records = found.len();
        let of_client = found.into_iter().rev().filter(|record| !record["client"].is_null());
        let mut last: Vec<_> =
            of_client.take(STORIES).map(|record| FoundRecord::new(record, trail)).collect();
        last.reverse();
        Self { ip, at, history, records, last }
    }

    /// Tells it.
    pub(super) fn tell(self, config: &Config, now: &Now) -> (AddressAnswer, Vec<ToldRecord>) {
        let Self { ip, at, history, records, last } = self;
        let stories: Vec<_> = last.into_iter().map(|found| found.tell(config, now, &[])).collect();
        let now = now.get(&ip).cloned();
        let entries = entries_then(&history, now.as_ref(), at);
        let summary = summary(ip, at, now.as_ref(), &entries, records, stories.len());
        (AddressAnswer { ip, at, now, entries, changes: history.events, records, summary }, stories)
    }
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

/// Which entries had the address at `at`, or have it now: those of now, less what came later, and what went since.
fn entries_then(history: &History, now: Option<&Value>, at: Option<Timestamp>) -> Vec<EntryThen> {
    let matches = now.and_then(|now| now["matches"].as_array()).into_iter().flatten();
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

/// The answer may come from a daemon of another version, so nothing in it is taken for granted.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn summary(
    ip: IpAddr,
    at: Option<Timestamp>,
    now: Option<&Value>,
    entries: &[EntryThen],
    records: usize,
    shown: usize,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(now) = now {
        lines.push(format!(
            "now: {} ({}), {}",
            text(&now["verdict"]),
            text(&now["code"]),
            text(&now["action"])
        ));
        let kernel = &now["kernel"];
        if !kernel.is_null() {
            lines.push(format!(
                "the kernel filter: {} by list {}; what it does with single packets is counted, and some are told",
                text(&kernel["action"]),
                text(&kernel["list"])
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
    lines.push(match records {
        0 => format!("no record is about it{span}"),
        _ if shown < records => format!("records about it{span}: {records}; the last {shown}:"),
        _ => format!("records about it{span}: {records}"),
    });
    lines
}
