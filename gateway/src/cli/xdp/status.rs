//! `portcullis xdp status`: where the kernel filter runs, what it holds and what it costs, from its pins.

use std::fmt::Display;

use clap::Args;

use super::{Exit, Failure, output, unavailable};
use crate::cli::output::Meaning;
use crate::config::Config;
use crate::xdp::{self, Inspection, Running};

/// Arguments of `xdp status`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let found = xdp::inspect(&config.xdp).map_err(|error| unavailable(&error))?;
    if options.json {
        output::json(&found)?;
    } else {
        show(&found)?;
    }
    Ok(Exit::Done)
}

fn show(found: &Inspection) -> Result<(), Failure> {
    output::headline(format_args!("kernel filter, schema {}", found.schema))?;
    if let Some(until) = found.paused_until {
        let paused = format_args!("everything passes until {until}");
        output::field("paused", output::coloured(paused, Meaning::Bad))?;
    }
    for interface in &found.interfaces {
        show_interface(interface)?;
    }
    if found.interfaces.is_empty() {
        output::field("interfaces", output::coloured("none", Meaning::Bad))?;
    }
    for table in &found.tables {
        output::field(
            table.family,
            format_args!(
                "{} bad prefixes, generation {}, {}",
                table.prefixes, table.generation, table.shape
            ),
        )?;
    }
    output::field("leftovers", found.leftovers)?;
    output::field("delta", format_args!("{} prefixes", found.delta))?;
    output::field(
        "good",
        format_args!("{} prefixes, of which {} overlap bad ones", found.good, found.overlapping),
    )?;
    let ages: Vec<String> = found
        .key_ages_s
        .iter()
        .map(|age| age.map_or("-".to_owned(), |age| format!("{age} s")))
        .collect();
    output::field("key ages", ages.join(", "))?;
    output::field("capture", if found.capturing { "on" } else { "off" })?;
    output::field(
        "events",
        format_args!("{} written, {} lost", found.taps.events, found.taps.events_lost),
    )?;
    output::field("memory", format_args!("{} KiB", kibibytes(found.memory_bytes)))?;
    output::headline(format_args!("{:<14} {:>8} {:>10} {:>12}", "Maps", "id", "entries", "KiB"))?;
    for map in &found.maps {
        output::line(format_args!(
            "  {:<12} {:>8} {:>10} {:>12}",
            map.name,
            map.id,
            map.entries,
            kibibytes(map.memory_bytes)
        ))?;
    }
    Ok(())
}

fn show_interface(interface: &Running) -> Result<(), Failure> {
    let meaning = match interface.mode.as_str() {
        _ if !interface.running => Meaning::Bad,
        "native" => Meaning::Good,
        _ => Meaning::Doubtful,
    };
    let state = if interface.running { &interface.mode } else { "not running here" };
    output::field(
        &interface.interface,
        format_args!(
            "{}, program {} tag {}",
            output::coloured(state, meaning),
            or_dash(interface.program),
            or_dash(interface.tag.as_deref())
        ),
    )?;
    output::field(
        "",
        format_args!(
            "loaded {}, {} instructions verified, {} bytes",
            or_dash(interface.loaded),
            or_dash(interface.verified),
            or_dash(interface.bytes)
        ),
    )
}

fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn kibibytes(bytes: Option<u64>) -> String {
    or_dash(bytes.map(|bytes| bytes.div_ceil(1024)))
}
