//! `portcullis audit tail`: the newest records, and those that come.

use std::ops::ControlFlow;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::super::{Failure, output};
use super::{failed, table, warn_of};
use crate::audit::{Archive, Query, Veil};
use crate::records::Wanted;

/// Between two looks for new records.
const LOOK: Duration = Duration::from_millis(200);

/// Arguments of `audit tail`.
#[derive(Debug, Args)]
pub(in super::super) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// How many of those that are there
    #[arg(long, short = 'n', default_value_t = 10)]
    lines: usize,
    /// Go on with those that come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, archive: &Archive, veil: &Veil) -> Result<(), Failure> {
    let query = Query { newest_first: false, ..options.wanted.query(veil) };
    let mut follower = archive.follow().map_err(failed)?;
    let mut newest = Vec::new();
    let backwards = Query { newest_first: true, ..query.clone() };
    let faults = archive.each(&backwards, |seen| {
        if newest.len() >= options.lines {
            return ControlFlow::Break(());
        }
        // What has come since the following began is shown by it.
        if !options.follow || follower.has_seen(seen.at) {
            newest.push(seen.line.to_owned());
        }
        ControlFlow::Continue(())
    });
    warn_of(&faults.map_err(failed)?);
    for line in newest.iter().rev() {
        show(line, options.json)?;
    }
    if !options.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(LOOK);
        let mut lines = Vec::new();
        // What cannot be read now was told above, or is told when it is searched.
        follower.next(&query, |seen| lines.push(seen.line.to_owned())).map_err(failed)?;
        for line in &lines {
            show(line, options.json)?;
        }
    }
}

fn show(line: &str, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return output::line(line);
    }
    let record: Value = serde_json::from_str(line)?;
    output::line(table::row(&record))
}
