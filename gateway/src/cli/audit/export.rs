//! `portcullis audit export`: all records that are looked for, as JSON lines or CSV.

use std::io::{self, BufWriter, Write as _};
use std::ops::ControlFlow;

use clap::Args;

use super::super::Failure;
use super::{csv, failed, warn_of};
use crate::audit::{Archive, Query, Veil};
use crate::records::Wanted;

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// Write JSON lines, which is so without it, too
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write CSV
    #[arg(long)]
    csv: bool,
}

pub(super) fn run(options: &Options, archive: &Archive, veil: &Veil) -> Result<(), Failure> {
    let query = Query { newest_first: false, ..options.wanted.query(veil) };
    if options.csv { as_csv(&query, archive) } else { as_lines(&query, archive) }
}

fn as_lines(query: &Query, archive: &Archive) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut done = Ok(());
    let faults = archive.each(query, |seen| {
        done = writeln!(out, "{}", seen.line);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    warn_of(&faults.map_err(failed)?);
    done?;
    Ok(out.flush()?)
}

fn as_csv(query: &Query, archive: &Archive) -> Result<(), Failure> {
    let mut out = csv::Out::begin()?;
    let mut done = Ok(());
    let faults = archive.each(query, |seen| {
        let Ok(record) = serde_json::from_str(seen.line) else { return ControlFlow::Continue(()) };
        done = out.row(&record);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    warn_of(&faults.map_err(failed)?);
    done?;
    out.finish()
}
