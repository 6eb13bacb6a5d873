//! Measures lists from file to kernel: `cargo xtask bench lists`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

#[path = "../shared/console.rs"]
mod console;
mod corpus;
#[path = "../shared/figures.rs"]
mod figures;
mod latency;
#[path = "../shared/machine.rs"]
mod machine;
mod peers;
mod replace;

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::console::say;
use crate::corpus::Case;

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    entries: u32,
    quick: bool,
}

fn main() -> Result<()> {
    if let Some(task) = replace::Task::of_command_line()? {
        return replace::run(&task);
    }
    let options = options()?;
    let machine = machine::describe()?;
    let cases = if options.quick { Case::ALL.get(..1) } else { Case::ALL.get(..) };
    let replacements = if options.quick { 2 } else { 5 };
    let mut rows = Vec::new();
    for case in cases.unwrap_or_default() {
        let row = replace::measure(*case, options.entries, replacements)?;
        say(&line(&row));
        rows.push(row);
    }
    let latencies = latency::measure(options.entries, if options.quick { 10 } else { 50 })?;
    let peers = if options.quick { Vec::new() } else { peers::measure(options.entries)? };
    if let Some(file) = options.json {
        let answer = json!({
            "lists": rows,
            "latency": latencies,
            "peers": peers,
            "machine": machine,
        });
        std::fs::write(&file, format!("{answer:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { json: None, entries: 1_000_000, quick: false };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {
                options.json = Some(arguments.next().context("--json needs a file")?.into());
            }
            "--entries" => {
                options.entries = arguments.next().context("--entries needs a number")?.parse()?;
            }
            "--quick" => options.quick = true,
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!("`{other}`, expected --json FILE, --entries N or --quick"),
        }
    }
    Ok(options)
}

/// A row for whoever watches.
fn line(row: &Value) -> String {
    let text = |pointer: &str| figures::text(row, pointer);
    let least = |of: &str| text(&format!("{of}/spread/total_ms/min"));
    format!(
        "{:<16} {} entries, {} MB: {} + {} + {} = {} ms (least {}), 1 %: {} ms (least {}); {} MiB, parsing {} MB/s",
        text("/case"),
        text("/entries"),
        text("/megabytes"),
        text("/parse_ms"),
        text("/compile_ms"),
        text("/sync_ms"),
        text("/total_ms"),
        least(""),
        text("/change/total_ms"),
        least("/change"),
        text("/rss_mib"),
        text("/parse_mb_per_s"),
    )
}
