//! `portcullis xdp why`: step by step, how the kernel filter finds its answer for an address.

use std::net::IpAddr;

use clap::Args;

use super::{Exit, Failure, output, unavailable};
use crate::cli::output::Meaning;
use crate::config::Config;
use crate::xdp;

/// Arguments of `xdp why`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The address
    #[arg(value_name = "IP")]
    address: IpAddr,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, config: &Config) -> Result<Exit, Failure> {
    let answer = xdp::explain(&config.xdp, options.address).map_err(|error| unavailable(&error))?;
    output::answer(options.json, &answer, show)?;
    Ok(Exit::Done)
}

fn show(answer: &xdp::Explanation) -> Result<(), Failure> {
    output::headline(answer.ip)?;
    for (number, step) in (1..).zip(&answer.steps) {
        let line = step.line.map(|line| format!(" line {line}")).unwrap_or_default();
        output::line(format_args!(
            "  {number}. {} {}{line}: looked for {}, found {}",
            step.map, step.part, step.looked_for, step.found
        ))?;
    }
    let meaning = if answer.decision == "pass" { Meaning::Good } else { Meaning::Bad };
    let decision = output::coloured(answer.decision, meaning);
    if let Some(until) = answer.paused_until {
        let paused = format_args!("everything passes until {until}");
        output::field("paused", output::coloured(paused, Meaning::Bad))?;
    }
    match &answer.list {
        Some(list) => output::field("decision", format_args!("{decision} by list {list}")),
        None => output::field("decision", format_args!("{decision}, no list has it")),
    }
}
