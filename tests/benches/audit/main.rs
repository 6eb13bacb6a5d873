//! Measures the trail: how many records in a second are written, how soon some are found: `cargo xtask bench audit`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

mod ask;
#[path = "../shared/console.rs"]
mod console;
mod feed;
#[path = "../shared/figures.rs"]
mod figures;
#[path = "../shared/machine.rs"]
mod machine;
#[path = "../shared/records.rs"]
mod records;
#[path = "../shared/trail.rs"]
mod trail;

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::console::say;

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    records: u32,
}

fn main() -> Result<()> {
    let options = options()?;
    let machine = machine::describe()?;
    let folder = tempfile::tempdir()?;
    let fed = feed::measure(folder.path(), options.records)?;
    say(&format!("{fed:#}"));
    let paced = feed::paced(folder.path())?;
    say(&format!("{paced:#}"));
    let searches = ask::measure(&feed::store(folder.path()), options.records)?;
    for row in &searches {
        say(&ask::line(row));
    }
    if let Some(file) = options.json {
        let answer = json!({
            "records": options.records,
            "written": fed,
            "paced": paced,
            "searches": searches,
            "machine": machine,
            "load_after": machine::describe()?.get("load_before"),
        });
        std::fs::write(&file, format!("{answer:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn options() -> Result<Options> {
    let mut options = Options { json: None, records: 1_000_000 };
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => {
                options.json = Some(arguments.next().context("--json needs a file")?.into());
            }
            "--records" => {
                options.records = arguments.next().context("--records needs a number")?.parse()?;
            }
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!("`{other}`, expected --json FILE or --records NUMBER"),
        }
    }
    Ok(options)
}
