//! `cargo xtask bench`: how fast lists, the kernel side, decisions, the audit trail, the SMTP proxy and the control centre are, as figures in a file.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::step::{Steps, say};
use crate::{mail_servers, packages, root, setup};

/// Measures.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lookups beside the kernel's own maps, reloads, and whole programs, in one run
    Kernel(Kernel),
    /// A flood of SYNs from listed sources, against the filter and against others, in one run
    Flood(Flood),
    /// Lists of a million entries from file to kernel: time, memory, and how soon a change is in force
    Lists(Lists),
    /// Decisions and what is gathered for them, the greylist; needs neither root nor the network
    Decide(Decide),
    /// The audit trail: records a second, searches, octets of a record; needs neither root nor the network
    Audit(Audit),
    /// The SMTP proxy beside the direct path and Postfix in its place: messages, latency, memory, refusals
    Smtp(Smtp),
    /// The control centre over millions of records and entries: each page, a scrape, viewers
    Web(Web),
}

#[derive(Debug, clap::Args)]
struct Kernel {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The largest list; the kernel's trie takes a minute and gigabytes for 10000000
    #[arg(long, value_name = "ENTRIES", default_value_t = 1_000_000)]
    most: u32,
}

#[derive(Debug, clap::Args)]
struct Flood {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure shortly, and no list of 1000000
    #[arg(long)]
    quick: bool,
    /// Only contenders with this in their names
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Only lists of this size
    #[arg(long, value_name = "ENTRIES")]
    entries: Option<u32>,
}

#[derive(Debug, clap::Args)]
struct Lists {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The size of the lists
    #[arg(long, value_name = "ENTRIES", default_value_t = 1_000_000)]
    entries: u32,
    /// One format, few runs, few changes, nobody else
    #[arg(long)]
    quick: bool,
}

#[derive(Debug, clap::Args)]
struct Decide {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Few runs
    #[arg(long)]
    quick: bool,
    /// Only this part: floor, pure, gather or greylist
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Audit {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many records are written and searched
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    records: u32,
}

#[derive(Debug, clap::Args)]
struct Smtp {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One short run of each, and a tenth of the connections
    #[arg(long)]
    quick: bool,
    /// Only this part: relayed, latency, slow, refused or idle
    #[arg(long, value_name = "PART")]
    only: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Web {
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many records are searched [default: 10000000, 200000 with --quick]
    #[arg(long, value_name = "NUMBER")]
    records: Option<u32>,
    /// The size of the list [default: 1000000]
    #[arg(long, value_name = "ENTRIES")]
    entries: Option<u32>,
    /// Few records, few tries, and the graphs as short as they are after a minute
    #[arg(long)]
    quick: bool,
}

/// Runs the task; false never comes back, as figures are not judged here.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let needs_kernel = !matches!(options.what, What::Decide(_) | What::Audit(_));
    if needs_kernel && !rustix::process::geteuid().is_root() {
        bail!("the benchmark loads programs into the kernel: run it as root");
    }
    let mut steps = Steps::default();
    setup::ensure(&mut steps)?;
    match &options.what {
        What::Kernel(kernel) => {
            let mut bench = bench("kernel", kernel.json.as_deref())?;
            bench.args(["--most", &kernel.most.to_string()]);
            steps.loud("kernel", &mut bench)?;
        }
        What::Flood(flood) => {
            ensure_contenders(&mut steps);
            let mut bench = bench("flood", flood.json.as_deref())?;
            bench.args(flood.quick.then_some("--quick"));
            if let Some(only) = &flood.only {
                bench.args(["--only", only]);
            }
            if let Some(entries) = flood.entries {
                bench.args(["--entries", &entries.to_string()]);
            }
            steps.loud("flood", &mut bench)?;
        }
        What::Lists(lists) => {
            ensure_contenders(&mut steps);
            steps.loud("daemon", &mut daemon())?;
            let mut bench = bench("lists", lists.json.as_deref())?;
            bench.args(["--entries", &lists.entries.to_string()]);
            bench.args(lists.quick.then_some("--quick"));
            steps.loud("lists", &mut bench)?;
        }
        What::Decide(decide) => {
            let mut bench = bench("decide", decide.json.as_deref())?;
            bench.args(decide.quick.then_some("--quick"));
            bench.args(decide.only.iter().flat_map(|only| ["--only", only]));
            steps.loud("decide", &mut bench)?;
        }
        What::Audit(audit) => {
            let mut bench = bench("audit", audit.json.as_deref())?;
            bench.args(["--records", &audit.records.to_string()]);
            steps.loud("audit", &mut bench)?;
        }
        What::Smtp(smtp) => {
            mail_servers::ensure(&mut steps)?;
            steps.loud("daemon", &mut daemon())?;
            let mut bench = bench("smtp", smtp.json.as_deref())?;
            bench.args(smtp.quick.then_some("--quick"));
            bench.args(smtp.only.iter().flat_map(|only| ["--only", only]));
            steps.loud("smtp", &mut bench)?;
        }
        What::Web(web) => {
            steps.loud("daemon", &mut daemon())?;
            let mut bench = bench("web", web.json.as_deref())?;
            bench.args(web.quick.then_some("--quick"));
            for (name, value) in [("--records", web.records), ("--entries", web.entries)] {
                bench.args(value.iter().flat_map(|value| [name.to_owned(), value.to_string()]));
            }
            steps.loud("web", &mut bench)?;
        }
    }
    Ok(true)
}

/// Whoever is not there is not measured, and the figures say so.
fn ensure_contenders(steps: &mut Steps) {
    if !packages::is_debian() {
        return;
    }
    if let Err(error) = packages::ensure(steps, packages::CONTENDERS) {
        say(&format!("{error:#}; the others are measured"));
    }
}

/// The command that builds the daemon as it is released, which a benchmark finds beside itself.
fn daemon() -> Command {
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(root()).args(["build", "--quiet", "--release", "--package", "gateway"]);
    build
}

/// The command that builds and runs one of the benchmarks.
fn bench(name: &str, json: Option<&Path>) -> Result<Command> {
    let mut bench = Command::new(env!("CARGO"));
    bench.current_dir(root()).args(["bench", "--quiet", "--package", "harness"]);
    bench.args(["--features", "bench", "--bench", name, "--"]);
    if let Some(file) = json {
        bench.arg("--json").arg(absolute(file)?);
    }
    Ok(bench)
}
