//! `portcullis audit stats`: records counted, and what the store holds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use clap::Args;
use serde::Serialize;

use super::super::safe::safe;
use super::super::{Failure, output};
use super::wanted::Wanted;
use super::{failed, warn_of};
use crate::audit::{Archive, AuditError, Kind, Seen, SegmentStatus, Veil};
use crate::clock::{Clock, Timestamp};

/// As long ago as counting begins when nobody says otherwise, in hours.
const HOURS: i64 = 24;
/// Rows of a table for people.
const ROWS: usize = 20;
/// Different words that are counted: senders of records with odd fields decide how many there are.
const MOST: usize = 10_000;

/// Arguments of `audit stats`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was counted.
#[derive(Debug, Default, Serialize)]
struct Answer {
    since: Timestamp,
    until: Timestamp,
    records: u64,
    codes: BTreeMap<String, u64>,
    actions: BTreeMap<String, u64>,
    lists: BTreeMap<String, u64>,
    hours: BTreeMap<String, u64>,
    store: Store,
}

/// What the store holds.
#[derive(Debug, Default, Serialize)]
struct Store {
    segments: usize,
    records: u64,
    octets: u64,
    oldest: Option<Timestamp>,
    newest: Option<Timestamp>,
    damaged: Vec<String>,
}

pub(super) fn run(options: &Options, archive: &Archive, veil: &Veil) -> Result<(), Failure> {
    let now = Clock::System.now();
    let day = jiff::SignedDuration::from_hours(HOURS);
    let since = options.wanted.since.unwrap_or_else(|| now.checked_sub(day).unwrap_or(now));
    let until = options.wanted.until.unwrap_or(now);
    let mut query = options.wanted.query(veil);
    (query.since, query.until) = (Some(since), Some(until));
    let mut answer = Answer { since, until, ..Answer::default() };
    let faults = archive.each(&query, |seen| {
        answer.count(seen);
        ControlFlow::Continue(())
    });
    let faults = faults.map_err(failed)?;
    let (segments, unread) = archive.segments().map_err(failed)?;
    answer.store = Store::new(&segments, &unread);
    warn_of(&faults);
    if options.json { output::json(&answer) } else { show(&answer) }
}

impl Answer {
    fn count(&mut self, seen: Seen<'_>) {
        self.records += 1;
        let hour = seen.terms.time.strftime("%Y-%m-%dT%HZ").to_string();
        add(&mut self.hours, &hour);
        for word in &seen.terms.words {
            match word.kind() {
                Kind::Code => add(&mut self.codes, word.value()),
                Kind::Action => add(&mut self.actions, word.value()),
                Kind::List => add(&mut self.lists, word.value()),
                _ => {}
            }
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, word: &str) {
    if let Some(count) = counts.get_mut(word) {
        *count += 1;
    } else if counts.len() < MOST {
        counts.insert(word.to_owned(), 1);
    }
}

impl Store {
    fn new(segments: &[SegmentStatus], unread: &[AuditError]) -> Self {
        Self {
            segments: segments.len(),
            records: segments.iter().map(|segment| u64::from(segment.records)).sum(),
            octets: segments.iter().map(|segment| segment.octets).sum(),
            oldest: segments.iter().filter_map(|segment| segment.oldest).min(),
            newest: segments.iter().filter_map(|segment| segment.newest).max(),
            damaged: unread.iter().map(ToString::to_string).collect(),
        }
    }
}

fn show(answer: &Answer) -> Result<(), Failure> {
    let Answer { since, until, records, store, .. } = answer;
    output::headline(format_args!("{records} records from {since:.0} to {until:.0}"))?;
    for (name, counts) in
        [("Verdicts", &answer.codes), ("Actions", &answer.actions), ("Lists", &answer.lists)]
    {
        let mut rows: Vec<_> = counts.iter().collect();
        rows.sort_by_key(|(_word, count)| std::cmp::Reverse(**count));
        table(name, &rows)?;
    }
    // The last hours are those of interest.
    let hours: Vec<_> = answer.hours.iter().rev().collect();
    table("Hours", &hours)?;
    output::headline("Store")?;
    let time =
        |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"));
    output::field("segments", store.segments)?;
    output::field("records", store.records)?;
    output::field("octets", store.octets)?;
    output::field("oldest", time(store.oldest))?;
    output::field("newest", time(store.newest))?;
    for damaged in &store.damaged {
        output::field("damaged", output::coloured(safe(damaged), output::Meaning::Bad))?;
    }
    Ok(())
}

fn table(name: &str, rows: &[(&String, &u64)]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    output::headline(name)?;
    for (word, count) in rows.iter().take(ROWS) {
        output::line(format_args!("  {:<24} {count:>10}", safe(word)))?;
    }
    match rows.len().checked_sub(ROWS) {
        None | Some(0) => Ok(()),
        Some(more) => output::line(format_args!("  and {more} more")),
    }
}
