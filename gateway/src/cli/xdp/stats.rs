//! `portcullis xdp stats`: all that the kernel filter counted, from its pinned maps.

use std::thread;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{Exit, Failure, output, unavailable};
use crate::config::Config;
use crate::xdp::{self, Count, Counters, Taps};

/// How long `--watch` waits between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `xdp stats`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Say every second what was counted in that second
    #[arg(long)]
    watch: bool,
}

/// What was counted, in rows.
#[derive(Serialize)]
struct Stats {
    /// Each packet is in one of these.
    outcomes: Vec<OutcomeRow>,
    /// What was done for each list; a list without a rule has none of its rows above 0.
    lists: Vec<ListRow>,
    events: Told,
    copies: Told,
}

#[derive(Serialize)]
struct OutcomeRow {
    outcome: &'static str,
    packets: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct ListRow {
    list: String,
    family: &'static str,
    action: &'static str,
    packets: u64,
    bytes: u64,
}

/// How many single packets were told of, and for how many there was no room.
#[derive(Serialize)]
struct Told {
    written: u64,
    lost: u64,
}

pub(super) fn run(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let mut counters = read(config)?;
    if !options.watch {
        show(&Stats::new(&counters), options.json, "")?;
        return Ok(Exit::Done);
    }
    loop {
        thread::sleep(LOOK);
        let now = read(config)?;
        show(&Stats::new(&now.since(&counters)), options.json, "/s")?;
        counters = now;
    }
}

fn read(config: &Config) -> Result<Counters, Failure> {
    xdp::read_counters(&config.xdp).map_err(|error| unavailable(&error))
}

impl Stats {
    fn new(counters: &Counters) -> Self {
        let outcomes = counters.outcomes.iter();
        let lists = counters.families.iter().flat_map(|(list, families)| {
            families.iter().flat_map(move |(family, actions)| {
                actions.iter().map(move |(action, Count { packets, bytes })| ListRow {
                    list: list.to_string(),
                    family,
                    action,
                    packets: *packets,
                    bytes: *bytes,
                })
            })
        });
        let Taps { events, events_lost, copies, copies_lost } = counters.taps;
        Self {
            outcomes: outcomes
                .map(|(outcome, Count { packets, bytes })| OutcomeRow {
                    outcome,
                    packets: *packets,
                    bytes: *bytes,
                })
                .collect(),
            lists: lists.collect(),
            events: Told { written: events, lost: events_lost },
            copies: Told { written: copies, lost: copies_lost },
        }
    }
}

/// People see only what is not 0.
fn show(stats: &Stats, json: bool, per: &str) -> Result<(), Failure> {
    if json {
        return output::json(stats);
    }
    output::headline(format_args!(
        "{:<44} {:>14} {:>16}",
        "Outcomes",
        format!("packets{per}"),
        format!("bytes{per}")
    ))?;
    for row in stats.outcomes.iter().filter(|row| row.packets > 0) {
        output::line(format_args!("  {:<42} {:>14} {:>16}", row.outcome, row.packets, row.bytes))?;
    }
    output::headline("Lists")?;
    for row in stats.lists.iter().filter(|row| row.packets > 0) {
        output::line(format_args!(
            "  {:<26} {:<6} {:<8} {:>14} {:>16}",
            row.list, row.family, row.action, row.packets, row.bytes
        ))?;
    }
    output::headline("Told one by one")?;
    for (name, told) in [("events", &stats.events), ("copies", &stats.copies)] {
        output::line(format_args!("  {name:<26} {} written, {} lost", told.written, told.lost))?;
    }
    Ok(())
}
