//! Measures lookups, reloads and whole programs in the kernel: `cargo xtask bench kernel`.
#![expect(clippy::cast_precision_loss, reason = "figures have three digits that mean something")]

#[path = "../shared/console.rs"]
mod console;
mod lookup;
mod program;
mod reload;
mod reply;

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::console::say;

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    most: u32,
}

fn main() -> Result<()> {
    let options = options()?;
    let sizes = [1_000, 100_000, 1_000_000, 10_000_000];
    let sizes: Vec<u32> = sizes.into_iter().filter(|size| *size <= options.most).collect();
    let program = program::measure()?;
    let mut lookups = Vec::new();
    for size in &sizes {
        lookups.extend(lookup::measure(*size)?);
    }
    let reload = sizes.iter().map(|size| reload::measure(*size)).collect::<Result<Vec<_>>>()?;
    if let Some(file) = options.json {
        let answer = json!({ "lookup": lookups, "reload": reload, "program": program });
        std::fs::write(&file, format!("{answer:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { json: None, most: 1_000_000 };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {
                options.json = Some(arguments.next().context("--json needs a file")?.into());
            }
            "--most" => {
                options.most = arguments.next().context("--most needs a number")?.parse()?;
            }
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!("`{other}`, expected --json FILE or --most ENTRIES"),
        }
    }
    Ok(options)
}

fn median(values: Vec<f64>) -> f64 {
    Spread::new(values).median
}

/// The middle and the least of several runs; on a machine with other work, the least says what the code can do.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
}

impl Spread {
    fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or_default();
        Self { median: at(values.len() / 2), least: at(0) }
    }

    /// What is left of both without `other`.
    fn without(self, other: Self) -> Self {
        Self { median: self.median - other.median, least: self.least - other.least }
    }

    /// One row of the answer, said to whoever watches, too.
    fn row(self, case: &str) -> serde_json::Value {
        let Self { median, least } = self;
        say(&format!("{case:<24} {median:>6.1} ns, at least {least:>6.1}"));
        json!({ "case": case, "ns": rounded(median), "least_ns": rounded(least) })
    }
}

fn milliseconds(since: Instant) -> f64 {
    let elapsed: Duration = since.elapsed();
    elapsed.as_secs_f64() * 1e3
}

/// One digit behind the point.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures how long things take")]
fn now() -> Instant {
    Instant::now()
}
