//! Measures the control centre over a store of many records and a list of many entries: `cargo xtask bench web`.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures have three digits that mean something"
)]

mod aims;
mod client;
#[path = "../shared/console.rs"]
mod console;
mod field;
#[path = "../shared/figures.rs"]
mod figures;
#[path = "../shared/machine.rs"]
mod machine;
mod pages;
#[path = "../shared/records.rs"]
mod records;
#[path = "../shared/spent.rs"]
mod spent;
#[path = "../shared/trail.rs"]
mod trail;
mod viewers;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::client::Client;
use crate::console::say;
use crate::field::Field;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Records of the trail.
    records: u32,
    /// Entries of the list.
    entries: u32,
    /// How often each page is asked for.
    tries: u32,
    /// How often the host is looked at: that takes its time.
    looks: u32,
    /// Who looks on, and for how long.
    viewers: usize,
    watched: Duration,
    /// Whether the graphs are filled first: ten minutes.
    waits: bool,
}

const WHOLE: Plan = Plan {
    records: 10_000_000,
    entries: 1_000_000,
    tries: 200,
    looks: 5,
    viewers: 200,
    watched: Duration::from_secs(30),
    waits: true,
};
const QUICK: Plan = Plan {
    records: 200_000,
    tries: 50,
    looks: 2,
    watched: Duration::from_secs(10),
    waits: false,
    ..WHOLE
};

/// What the command line asks for.
struct Options {
    json: Option<PathBuf>,
    quick: bool,
    plan: Plan,
}

fn main() -> Result<()> {
    let Options { json: file, quick, plan } = options()?;
    let machine = machine::describe()?;
    let field = Field::new(&plan)?;
    let inside = || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(&field, &plan))
    };
    let (viewers, pages, files) = field.stage.edge.run(inside)??;
    let aims = aims::all(&pages, &files, &viewers);
    for aim in &aims {
        say(&aims::line(aim));
    }
    let Some(file) = file else { return Ok(()) };
    let answer = json!({
        "quick": quick,
        "built": field.built,
        "pages": pages,
        "files": files,
        "viewers": viewers,
        "aims": aims,
        "machine": machine,
        "load_after": machine::describe()?.get("load_before"),
    });
    std::fs::write(&file, format!("{answer:#}\n")).with_context(|| file.display().to_string())
}

/// What viewers cost, each page, and the octets of the files beside them.
async fn measure(field: &Field, plan: &Plan) -> Result<(Value, Vec<Value>, Value)> {
    let viewers = viewers::measure(field, plan).await?;
    say(&viewers::line(&viewers));
    let mut client = Client::connect(&field.token).await?;
    if plan.waits {
        pages::wait_for_graphs(&mut client).await?;
    }
    let files = pages::files(&mut client).await?;
    say(&format!("style, script and icon: {files}"));
    let pages = pages::measure(&mut client, field, plan).await?;
    Ok((viewers, pages, files))
}

fn options() -> Result<Options> {
    let (mut json, mut quick, mut records, mut entries) = (None, false, None, None);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--json" => json = Some(value()?.into()),
            "--quick" => quick = true,
            "--records" => records = Some(value()?.parse()?),
            "--entries" => entries = Some(value()?.parse()?),
            // Cargo says it to every benchmark.
            "--bench" => {}
            other => bail!(
                "`{other}`, expected --json FILE, --quick, --records NUMBER or --entries NUMBER"
            ),
        }
    }
    let plan = if quick { QUICK } else { WHOLE };
    let plan = Plan {
        records: records.unwrap_or(plan.records),
        entries: entries.unwrap_or(plan.entries),
        ..plan
    };
    Ok(Options { json, quick, plan })
}
