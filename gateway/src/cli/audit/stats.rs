//! `portcullis audit stats`: records counted, and what the store holds.

use clap::Args;

use super::super::safe::safe;
use super::super::{Failure, output};
use super::{failed, warn_of};
use crate::audit::{Archive, Query, Veil};
use crate::clock::{Clock, Timestamp};
use crate::records::{Counted, Counts, Wanted};

/// As long ago as counting begins when nobody says otherwise, in hours.
const HOURS: i64 = 24;
/// Rows of a table for people.
const ROWS: usize = 20;

/// Arguments of `audit stats`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, archive: &Archive, veil: &Veil) -> Result<(), Failure> {
    let now = Clock::System.now();
    let day = jiff::SignedDuration::from_hours(HOURS);
    let since = options.wanted.since.unwrap_or_else(|| now.checked_sub(day).unwrap_or(now));
    let until = options.wanted.until.unwrap_or(now);
    let query = Query { newest_first: false, ..options.wanted.query(veil) };
    let counted = Counts::of(archive, &query, (since, until), u64::MAX);
    let Counted { counts, faults, .. } = counted.map_err(failed)?;
    warn_of(&faults);
    if options.json { output::json(&counts) } else { show(&counts) }
}

fn show(answer: &Counts) -> Result<(), Failure> {
    let Counts { since, until, records, store, .. } = answer;
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
