//! Measures filters under a flood of SYNs from listed sources: `cargo xtask bench flood`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

#[path = "../shared/console.rs"]
mod console;
mod contender;
mod cores;
mod field;
#[path = "../shared/figures.rs"]
mod figures;
mod generator;
mod list;
#[path = "../shared/machine.rs"]
mod machine;
mod measure;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use harness::smtp_server::{Options as ServerOptions, SmtpServer};
use serde_json::{Value, json};

use crate::console::say;
use crate::field::{Field, target};
use crate::generator::Generator;
use crate::list::Lists;
use crate::measure::{Effort, MODERATE};

/// The sizes of the lists.
const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    quick: bool,
    only: Option<String>,
    entries: Option<usize>,
}

fn main() -> Result<()> {
    let options = options()?;
    let (effort, sizes) = if options.quick {
        (effort(3, 100, 500), SIZES.get(..2))
    } else {
        (effort(5, 120, 1_000), SIZES.get(..))
    };
    let _claim = cores::Claim::new()?;
    let field = Field::new()?;
    let _server =
        field.edge.host.run(|| SmtpServer::start(target(), ServerOptions::default()))??;
    let machine = machine::describe()?;
    let quiet = measure::quiet(&field, effort)?;
    let mut rows = Vec::new();
    let sizes =
        options.entries.map_or_else(|| sizes.unwrap_or_default().to_vec(), |entries| vec![entries]);
    for entries in &sizes {
        rows.extend(measure(&field, *entries, effort, options.only.as_deref())?);
    }
    if let Some(file) = options.json {
        let answer = json!({
            "flood": rows,
            "smtp_latency_without_flood_ms": quiet,
            "machine": machine,
            "packets_per_second_beside_others": MODERATE,
        });
        std::fs::write(&file, format!("{answer:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn effort(runs: usize, window_ms: u64, clients_ms: u64) -> Effort {
    let (window, clients) = (Duration::from_millis(window_ms), Duration::from_millis(clients_ms));
    Effort { runs, window, clients }
}

/// All contenders that can hold `entries`; those that hold none are measured once for each size, beside the others.
fn measure(
    field: &Field,
    entries: usize,
    effort: Effort,
    only: Option<&str>,
) -> Result<Vec<Value>> {
    let lists = Lists::new(entries);
    let mut generator = Generator::new(lists.sources(), target())?;
    let mut rows = Vec::new();
    say(&format!("\n{entries} entries"));
    for mut contender in contender::all()? {
        let fits = contender.most().is_none_or(|most| most == 0 || most >= entries);
        if !fits || only.is_some_and(|only| !contender.name().contains(only)) {
            continue;
        }
        contender.write(&lists.first, &lists.second)?;
        let sizes = (entries, lists.sources().len());
        let row = measure::measure(field, &mut generator, contender.as_mut(), sizes, effort);
        say(&line(&row));
        rows.push(row);
    }
    Ok(rows)
}

fn options() -> Result<Options> {
    let mut options = Options { json: None, quick: false, only: None, entries: None };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {
                options.json = Some(arguments.next().context("--json needs a file")?.into());
            }
            "--quick" => options.quick = true,
            "--entries" => {
                options.entries =
                    Some(arguments.next().context("--entries needs a number")?.parse()?);
            }
            "--only" => options.only = Some(arguments.next().context("--only needs a name")?),
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!("`{other}`, expected --json FILE, --quick or --only NAME"),
        }
    }
    Ok(options)
}

/// A row for whoever watches.
fn line(row: &Value) -> String {
    let text = |pointer: &str| figures::text(row, pointer);
    let name = format!("{:<20} {:<7}", text("/contender"), text("/action"));
    if row.get("reason").is_some() {
        return format!("{name} {}", text("/reason"));
    }
    format!(
        "{name} {:>8} ns = {:>6} drop-alls, {:>11}/s, {} passed; load {} ms ({} in the kernel), replace {} ms, {} of {} leaked; client {} / {} ms, {} of {} failed",
        text("/cpu_ns_per_packet/median"),
        text("/relative_to_drop_all/median"),
        text("/packets_per_second/median"),
        text("/passed"),
        text("/load_ms"),
        text("/load_in_kernel_ms"),
        text("/replace_ms"),
        text("/leaked_during_replace"),
        text("/packets_during_replace"),
        text("/smtp_latency_ms/median"),
        text("/smtp_latency_ms/p99"),
        text("/smtp_latency_ms/failed"),
        text("/smtp_latency_ms/dialogues"),
    )
}
