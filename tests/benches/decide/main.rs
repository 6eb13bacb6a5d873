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
mod pure;
mod resolver;
mod site;

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::console::say;
use crate::figures::text;

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    quick: bool,
}

fn main() -> Result<()> {
    let options = options()?;
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
    take(&floor::measure(runs)?);
    take(&pure::measure(runs, if options.quick { 50_000 } else { 200_000 })?);
    take(&gather::measure(runs)?);
    take(&greylist::measure(runs, tries)?);
    let single_flight = gather::single_flight(runs)?;
    say(&single_flight.to_string());
    if let Some(file) = options.json {
        let answer = json!({
            "runs": runs,
            "clock_us": clock_us,
            "rows": rows,
            "single_flight": single_flight,
            "machine": machine,
            "load_after": machine::describe()?.get("load_before"),
        });
        std::fs::write(&file, format!("{answer:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { json: None, quick: false };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {
                options.json = Some(arguments.next().context("--json needs a file")?.into());
            }
            "--quick" => options.quick = true,
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!("`{other}`, expected --json FILE or --quick"),
        }
    }
    Ok(options)
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
