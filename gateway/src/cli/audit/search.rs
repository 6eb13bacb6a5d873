//! `portcullis audit search`: a page of the records that are looked for.

use clap::Args;
use serde_json::Value;

use super::super::{Failure, output};
use super::{csv, failed, table, warn_of};
use crate::audit::{Archive, Cursor, Query, Veil};
use crate::records::Wanted;

/// Arguments of `audit search`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// At most as many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Show the oldest first
    #[arg(long)]
    oldest_first: bool,
    /// Go on where an earlier search ended
    #[arg(long, value_name = "PLACE")]
    after: Option<Cursor>,
    /// Print a JSON array
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(options: &Options, archive: &Archive, veil: &Veil) -> Result<(), Failure> {
    let newest_first = !options.oldest_first;
    let query = Query { newest_first, after: options.after, ..options.wanted.query(veil) };
    let found = archive.search(&query, options.limit).map_err(failed)?;
    let records = found.records.iter().map(|found| &found.record);
    if options.json {
        output::json(&records.collect::<Vec<&Value>>())?;
    } else if options.csv {
        let mut out = csv::Out::begin()?;
        for record in records {
            out.row(record)?;
        }
        out.finish()?;
    } else {
        for record in records {
            output::line(table::row(record))?;
        }
    }
    warn_of(&found.faults);
    if let Some(next) = found.next() {
        output::note(format_args!("there are more: add --after {next}"));
    }
    Ok(())
}
