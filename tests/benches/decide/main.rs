//! Measures decisions, greylist and what is gathered for them: `cargo xtask bench decide`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

#[path = "../shared/console.rs"]
mod console;
#[path = "../shared/figures.rs"]
mod figures;
mod floor;
mod gather;
mod greylist;
#[path = "../shared/machine.rs"]
mod machine;
mod meter;
#[path = "../shared/options.rs"]
mod options;
mod pure;
mod resolver;
mod site;

use anyhow::Result;
use serde_json::{Value, json};

use crate::console::say;
use crate::figures::text;
use crate::options::Options;

fn main() -> Result<()> {
    let options = Options::of_command_line()?;
    let machine = machine::describe()?;
    let (runs, tries) = if options.quick { (3, 5_000) } else { (7, 20_000) };
    let clock_us = meter::clock_us();
    say(&format!("{runs} runs; medians, least and most of the first figure; clock {clock_us} us"));
    let mut rows = Vec::new();
    let mut take = |measured: &[Value]| {
        for row in measured {
            say(&line(row));
        }
        rows.extend_from_slice(measured);
    };
    if options.wants("floor") {
        take(&floor::measure(runs)?);
    }
    if options.wants("pure") {
        take(&pure::measure(runs, if options.quick { 50_000 } else { 200_000 })?);
    }
    if options.wants("gather") {
        take(&gather::measure(runs)?);
    }
    if options.wants("greylist") {
        take(&greylist::measure(runs, tries)?);
    }
    let single_flight = options.wants("gather").then(|| gather::single_flight(runs)).transpose()?;
    if let Some(single_flight) = &single_flight {
        say(&single_flight.to_string());
    }
    options.write(&json!({
        "runs": runs,
        "clock_us": clock_us,
        "rows": rows,
        "single_flight": single_flight,
        "machine": machine,
        "load_after": machine::describe()?.get("load_before"),
    }))
}

/// A row for whoever watches.
fn line(row: &Value) -> String {
    let text = |pointer: &str| text(row, pointer).trim_end_matches(".0").to_owned();
    format!(
        "{:<8} {:<44} {:>10}/s ({} to {}), {:>10}/s of a core; {} / {} / {} us",
        text("/part"),
        text("/case"),
        text("/per_second/median"),
        text("/per_second/min"),
        text("/per_second/max"),
        text("/per_core_second/median"),
        text("/p50_us/median"),
        text("/p99_us/median"),
        text("/p999_us/median"),
    )
}
