//! `cargo xtask bench`: how fast the kernel side is, as figures in a file.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::step::Steps;
use crate::{root, setup};

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

/// Runs the task; false never comes back, as figures are not judged here.
pub(crate) fn run(options: &Options) -> Result<bool> {
    if !rustix::process::geteuid().is_root() {
        bail!("the benchmark loads programs into the kernel: run it as root");
    }
    let What::Kernel(kernel) = &options.what;
    let mut steps = Steps::default();
    setup::ensure(&mut steps)?;
    let mut bench = Command::new(env!("CARGO"));
    bench.current_dir(root()).args(["bench", "--quiet", "--package", "harness"]);
    bench.args(["--features", "bench", "--bench", "kernel", "--"]);
    bench.args(["--most", &kernel.most.to_string()]);
    if let Some(file) = &kernel.json {
        let file: &Path = file;
        bench.arg("--json").arg(absolute(file)?);
    }
    steps.loud("kernel", &mut bench)?;
    Ok(true)
}
